"""Modbus against implementations that are not pymodbus: libmodbus (C) and mbpoll (C)."""

import asyncio
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from contract.clock import SystemClock
from contract.errors import DeviceError
from contract.reading import Reason
from edge.decode import Source, decode
from edge.drivers.modbus import ModbusDriver, rtu_link, tcp_link
from edge.plan import ReadBlock, plan
from edge.profile import find_profile
from simulators.devices import Device
from simulators.modbus_server import Served, serve_serial, serve_tcp
from simulators.ports import free_port
from simulators.pty_line import PtyLine

pytestmark = pytest.mark.real
SOURCE = Path(__file__).parent / "libmodbus_server.c"
REF = "eastron/sdm630"


@pytest.fixture(scope="module")
def libmodbus_server(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("c") / "server"
    flags = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "libmodbus"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    subprocess.run(["gcc", "-Wall", "-O1", str(SOURCE), "-o", str(program), *flags], check=True)
    return program


@contextmanager
def libmodbus(program: Path, *where: str) -> Iterator[None]:
    process = subprocess.Popen([str(program), *where], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"ready\n"
        yield
    finally:
        process.terminate()
        process.wait()


def values(driver: ModbusDriver) -> dict[str, float | None]:
    async def read() -> dict[str, float | None]:
        profile = find_profile(REF)
        out = {}
        for block in plan(profile.points, profile.limits):
            for r in decode(await driver.read(1, block), Source("s", "d"), 0):
                out[r.point.measurand] = r.value
        with pytest.raises(DeviceError) as caught:
            await driver.read(1, ReadBlock(4, 5000, 2, ()))
        assert caught.value.reason is Reason.ILLEGAL_ADDRESS
        await driver.close()
        return out

    return asyncio.run(read())


def check(got: dict[str, float | None]) -> None:
    assert got["voltage_l1_v"] == pytest.approx(230.5)
    assert got["power_kw"] == pytest.approx(12.5)
    assert got["frequency_hz"] == pytest.approx(49.98, rel=1e-6)
    assert got["energy_import_kwh"] == pytest.approx(11114.29, rel=1e-6)


def test_our_driver_reads_a_libmodbus_device_over_tcp(libmodbus_server: Path) -> None:
    port = free_port()
    with libmodbus(libmodbus_server, str(port)):
        check(values(ModbusDriver(tcp_link("127.0.0.1", port, 2.0))))


def test_our_driver_reads_a_libmodbus_device_on_a_serial_line(libmodbus_server: Path) -> None:
    with PtyLine(9600) as line, libmodbus(libmodbus_server, line.device_end, "9600"):
        check(values(ModbusDriver(rtu_link(line.master_end, 9600, "N", 1, 2.0))))


def shown() -> dict[str, float]:
    profile = find_profile(REF)
    out = {p.measurand: 0.5 for p in profile.points}
    return {**out, "voltage_l1_v": 230.5, "energy_import_kwh": 11114.5, "frequency_hz": 50.0}


@contextmanager
def in_loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def mbpoll(*args: str) -> dict[int, float]:
    """Read two input floats, high word first, at 0-based addresses; give them by address."""
    got = {}
    for address in (0x00, 0x48):
        command = ["mbpoll", "-0", "-a", "1", "-t", "3:float", "-B", "-r", str(address), "-1", "-q"]
        done = subprocess.run(
            [*command, *args], capture_output=True, text=True, timeout=20, check=True
        )
        found = re.search(rf"\[{address}\]:\s+(\S+)", done.stdout)
        assert found is not None, done.stdout
        got[address] = float(found[1])
    return got


def served() -> list[Served]:
    return [Served(1, Device("d", REF, lambda _: shown()))]


def test_mbpoll_reads_the_simulator_over_tcp() -> None:
    with in_loop() as loop:
        start = asyncio.run_coroutine_threadsafe(serve_tcp(served(), SystemClock()), loop)
        server, port = start.result(10)
        got = mbpoll("-m", "tcp", "-p", str(port), "127.0.0.1")
        asyncio.run_coroutine_threadsafe(server.shutdown(), loop).result(10)
    assert got == {0x00: 230.5, 0x48: pytest.approx(11114.5)}


def test_mbpoll_reads_the_serial_line() -> None:
    with PtyLine(9600) as line, in_loop() as loop:
        serving = serve_serial(served(), SystemClock(), line.device_end, 9600)
        server = asyncio.run_coroutine_threadsafe(serving, loop).result(10)
        got = mbpoll("-m", "rtu", "-b", "9600", "-P", "none", line.master_end)
        asyncio.run_coroutine_threadsafe(server.shutdown(), loop).result(10)
    assert got == {0x00: 230.5, 0x48: pytest.approx(11114.5)}
