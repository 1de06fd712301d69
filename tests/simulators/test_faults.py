"""Faults act on the wire, and polls are counted at the source."""

import asyncio
import json
import urllib.request
from collections.abc import Awaitable, Callable

import pytest
from umodbus.client import tcp as independent

from contract.clock import SystemClock
from contract.errors import DeviceError
from contract.reading import Reason
from edge.drivers.modbus import ModbusDriver, tcp_link
from edge.drivers.tcp import TcpLink
from edge.plan import ReadBlock
from simulators.compound import Compound
from simulators.control import ControlServer
from simulators.devices import Device, DeviceSet, Fault
from simulators.modbus_server import Served, serve_tcp

BLOCK = ReadBlock(4, 0x48, 2, ())
CLOCK = SystemClock()
Asked = Callable[[ModbusDriver, Device], Awaitable[None]]


def device() -> Device:
    values = {"voltage_l1_v": 230.0, "energy_import_kwh": 500.0}
    names = dict.fromkeys(values, 1.0)
    return Device(
        "d", "eastron/sdm120", lambda _: {**dict.fromkeys(NAMES, 1.0), **names, **values},
        ("energy_import_kwh",), 10_000.0,
    )  # fmt: skip


NAMES = [
    "current_l1_a", "power_kw", "apparent_power_kva", "reactive_power_kvar", "power_factor",
    "frequency_hz", "energy_export_kwh", "reactive_energy_import_kvarh",
    "reactive_energy_export_kvarh", "energy_total_kwh",
]  # fmt: skip


def with_server(ask: Asked) -> Device:
    it = device()

    async def run() -> None:
        server, port = await serve_tcp([Served(1, it)], CLOCK)
        driver = ModbusDriver(tcp_link("127.0.0.1", port, 0.2))
        try:
            await ask(driver, it)
        finally:
            await driver.close()
            await server.shutdown()

    asyncio.run(run())
    return it


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault.SILENT, Reason.TIMEOUT),
        (Fault.SLOW, Reason.TIMEOUT),
        (Fault.GARBAGE, Reason.PROTOCOL),
        (Fault.EXCEPTION, Reason.DEVICE_EXCEPTION),
    ],
)
def test_a_fault_on_the_wire_becomes_its_reason(fault: Fault, reason: Reason) -> None:
    async def ask(driver: ModbusDriver, it: Device) -> None:
        it.set_fault(fault, 0)
        with pytest.raises(DeviceError) as caught:
            await driver.read(1, BLOCK)
        assert caught.value.reason is reason
        it.set_fault(Fault.NONE, 0)

    with_server(ask)


def test_counters_reset_and_roll_over() -> None:
    it = device()
    it.set_fault(Fault.COUNTER_RESET, 0)
    assert it.values(1)["energy_import_kwh"] == 0.0
    it.set_fault(Fault.ROLLOVER, 0)
    assert it.values(1)["energy_import_kwh"] == 9999.5


def test_answered_polls_are_counted() -> None:
    async def ask(driver: ModbusDriver, it: Device) -> None:
        for _ in range(3):
            await driver.read(1, BLOCK)
        it.set_fault(Fault.SILENT, 0)
        with pytest.raises(DeviceError):
            await driver.read(1, BLOCK)

    assert with_server(ask).polls == 3


def test_an_address_that_is_not_defined_answers_exception_2() -> None:
    async def ask(driver: ModbusDriver, _: Device) -> None:
        with pytest.raises(DeviceError) as caught:
            await driver.read(1, ReadBlock(4, 0x700, 2, ()))
        assert caught.value.reason is Reason.ILLEGAL_ADDRESS

    with_server(ask)


def test_an_independent_client_reads_the_same_registers() -> None:
    async def ask(driver: ModbusDriver, _: Device) -> None:
        def read_with_umodbus() -> list[int]:
            import socket

            with socket.create_connection(("127.0.0.1", port_of(driver)), timeout=2) as link:
                request = independent.read_input_registers(1, 0x48, 2)
                words: list[int] = independent.send_message(request, link)
                return words

        mine = await driver.read(1, BLOCK)
        theirs = await asyncio.to_thread(read_with_umodbus)
        assert list(mine.words) == theirs == [0x43FA, 0x0000]  # 500.0

    with_server(ask)


def port_of(driver: ModbusDriver) -> int:
    assert isinstance(driver.link, TcpLink)
    return driver.link.port


def test_faults_are_switched_through_the_control_door() -> None:
    day = 86_400_000
    start = 20_000 * day
    devices = DeviceSet(Compound.build(1, start, start + 60 * day, start + 58 * day))
    with ControlServer(devices) as control:
        body = json.dumps({"device": "E03", "fault": "silent"}).encode()
        request = urllib.request.Request(f"{control.url}/faults", data=body)
        with urllib.request.urlopen(request) as answer:
            assert json.load(answer) == {"device": "E03", "fault": "silent"}
        assert devices.devices["E03"].fault.kind is Fault.SILENT
        with urllib.request.urlopen(f"{control.url}/polls") as answer:
            assert json.load(answer)["E03"] == 0
        wrong = urllib.request.Request(f"{control.url}/faults", data=b'{"device": "E03"}')
        with pytest.raises(urllib.error.HTTPError, match="400"):
            urllib.request.urlopen(wrong)
