"""Gates over OPC UA: values with their own status; a server that goes away and comes back."""

import asyncio

import pytest

from contract.clock import SystemClock
from contract.errors import DeviceError
from contract.reading import Reason
from edge.decode import Source, decode
from edge.drivers.opcua import OpcUaDriver
from edge.plan import ReadBlock, plan
from edge.profile import PointSpec, find_profile
from simulators.devices import Device, Fault
from simulators.opcua_server import UPDATE_S, GateServer

REF = "generic/opcua-gate"
VALUES = {
    "door_in_total": 4_000_000_000.0,
    "door_out_total": 17.0,
    "people_now": 3.0,
    "device_ok": 1.0,
}
PROFILE = find_profile(REF)
(BLOCK,) = plan(PROFILE.points, PROFILE.limits)


async def readings(driver: OpcUaDriver) -> dict[str, tuple[float | None, Reason]]:
    raw = await driver.read(1, BLOCK)
    out = decode(raw, Source("s", "G"), 0)
    return {r.point.measurand: (r.value, r.reason) for r in out}


def test_counts_are_read_in_one_request_with_their_status() -> None:
    async def run() -> None:
        device = Device("G", REF, lambda _: VALUES)
        server = GateServer(device, SystemClock())
        await server.start()
        driver = OpcUaDriver(server.url, 4.0)
        try:
            assert await readings(driver) == {k: (v, Reason.GOOD) for k, v in VALUES.items()}
            device.set_fault(Fault.SILENT, 0)
            await asyncio.sleep(2 * UPDATE_S)
            bad = await readings(driver)
            assert set(bad.values()) == {(None, Reason.BAD_STATUS)}
            assert driver.stats.requests == len(driver.stats.latencies_s) == 2
            assert driver.stats.busy_s > driver.stats.lost_s == 0
        finally:
            await driver.close()
            await server.stop()

    asyncio.run(run())


def test_a_node_that_is_not_there_is_an_illegal_address() -> None:
    async def run() -> None:
        server = GateServer(Device("G", REF, lambda _: VALUES), SystemClock())
        await server.start()
        driver = OpcUaDriver(server.url, 4.0)
        try:
            block = ReadBlock(
                0, 0, 1, (PointSpec("people_now", node="Gate/nothing", unit="persons"),)
            )
            with pytest.raises(DeviceError) as caught:
                await driver.read(1, block)
            assert caught.value.reason is Reason.ILLEGAL_ADDRESS
        finally:
            await driver.close()
            await server.stop()

    asyncio.run(run())


def test_no_server_is_refused_at_once_and_not_hammered() -> None:
    async def run() -> list[str]:
        driver = OpcUaDriver("opc.tcp://127.0.0.1:9/", 1.0)
        said = []
        for _ in range(3):
            with pytest.raises(DeviceError) as caught:
                await driver.read(1, BLOCK)
            assert caught.value.reason is Reason.REFUSED
            said.append(caught.value.detail)
        return said

    said = asyncio.run(run())
    assert "waiting before connecting again" in said[1]
