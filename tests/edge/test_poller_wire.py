"""The poller over real sockets: a dead unit, half of them dead, exceptions, and holes."""

import asyncio
import contextlib
import struct
from collections import Counter
from pathlib import Path

import pytest

from contract.clock import SystemClock
from contract.line import decode
from contract.reading import Reading, Reason
from edge.drivers.modbus import ModbusDriver, rtu_over_tcp_link, tcp_link
from edge.outbox import Bounds, Outbox
from edge.poller import Bus, run_bus
from tests.edge.test_modbus_guard import crc
from tests.edge.virtual import block, unit

INTERVAL_MS = 1000
TIMEOUT_S = 0.25
UNITS = range(1, 31)


class Meters:
    """Thirty meters behind one socket; counts what each of them was asked."""

    def __init__(self, *, rtu: bool) -> None:
        self.is_rtu = rtu
        self.silent: set[int] = set()
        self.busy: set[int] = set()  # answer exception 06
        self.missing: set[int] = set()  # registers that answer exception 02
        self.asked: Counter[int] = Counter()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = b"" if self.is_rtu else await reader.readexactly(6)
                request = await reader.readexactly(8 if self.is_rtu else 6)
                answer = self.answer(request[:6])
                if answer is None:
                    continue
                tail = crc(answer) if self.is_rtu else b""
                length = b"" if self.is_rtu else struct.pack(">H", len(answer))
                writer.write(head[:4] + length + answer + tail)
        writer.close()

    def answer(self, request: bytes) -> bytes | None:
        number, function, address, count = struct.unpack(">BBHH", request)
        self.asked[number] += 1
        if number in self.silent:
            return None
        span = set(range(address, address + count))
        if number in self.busy or span & self.missing:
            return bytes([number, function | 0x80, 6 if number in self.busy else 2])
        return struct.pack(f">BBB{count}H", number, function, 2 * count, *[7] * count)


async def polled(meters: Meters, bus_units: int, seconds: float, folder: Path) -> list[Reading]:
    """Poll the meters in real time for some seconds; give every reading kept."""
    server = await asyncio.start_server(meters.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    make = rtu_over_tcp_link if meters.is_rtu else tcp_link
    driver = ModbusDriver(make("127.0.0.1", port, TIMEOUT_S))
    blocks = block("power_kw", "energy_import_kwh"), block("voltage_l1_v", at=40)
    units = [unit(i, *blocks, timeout_s=TIMEOUT_S) for i in range(1, bus_units + 1)]
    bus = Bus("bus", driver, units, INTERVAL_MS)
    box = Outbox(folder / "o.db", Bounds(10**9, 10**15))
    task = asyncio.create_task(run_bus(bus, box, SystemClock(), lambda _: None))
    await asyncio.sleep(seconds)
    while not task.done():  # the wait_for of Python 3.11 may lose a cancellation
        task.cancel()
        await asyncio.wait([task], timeout=0.5)
    await driver.close()
    server.close()
    box.commit()
    parcels = box.take(10**9)
    box.close()
    return [r for parcel in parcels for r in decode("\n".join(parcel.lines()))]


@pytest.mark.parametrize("rtu", [True, False], ids=["rtu-over-tcp", "tcp"])
def test_a_dead_unit_of_thirty_is_asked_rarely_and_delays_nobody(rtu: bool, tmp_path: Path) -> None:
    meters = Meters(rtu=rtu)
    meters.silent = {7}
    readings = asyncio.run(polled(meters, 30, 6.5, tmp_path))
    slots = sorted({r.time_ms for r in readings})
    assert len(slots) >= 5
    assert {meters.asked[u] for u in UNITS if u != 7} <= set(
        range(2 * len(slots) - 2, 2 * len(slots) + 3)
    )
    tries = 1 if rtu else 2  # Modbus TCP asks again under the same transaction id
    # two silent rounds, one question elsewhere, then probes after 1 and 2 seconds more
    assert 3 * tries <= meters.asked[7] <= 7 * tries
    others = [r for r in readings if r.point.device != "D7"]
    assert {r.reason for r in others} == {Reason.GOOD}
    late = [r for r in readings if r.point.device == "D7" and r.time_ms >= slots[2]]
    assert {r.reason for r in late} <= {Reason.SUSPENDED}
    assert max(r.lag_s for r in others) < 0.9  # nothing slipped to the next slot


def test_half_of_the_units_dead_leaves_the_others_their_slots(tmp_path: Path) -> None:
    meters = Meters(rtu=True)
    meters.silent = set(range(2, 11, 2))
    readings = asyncio.run(polled(meters, 10, 6.5, tmp_path))
    slots = sorted({r.time_ms for r in readings})
    last = [r for r in readings if r.time_ms in slots[-4:]]
    assert {r.reason for r in last if int(r.point.device[1:]) % 2} == {Reason.GOOD}
    assert sum(meters.asked[u] for u in meters.silent) <= 5 * 3 + 7
    assert all(meters.asked[u] >= len(slots) for u in (1, 3, 5, 7, 9))


def test_an_exception_storm_suspends_nobody(tmp_path: Path) -> None:
    meters = Meters(rtu=True)
    meters.busy = set(range(1, 6))
    readings = asyncio.run(polled(meters, 10, 3.5, tmp_path))
    slots = len({r.time_ms for r in readings})
    assert {r.reason for r in readings if int(r.point.device[1:]) <= 5} == {Reason.DEVICE_EXCEPTION}
    assert {r.reason for r in readings if int(r.point.device[1:]) > 5} == {Reason.GOOD}
    assert all(meters.asked[u] >= 2 * slots for u in range(1, 11))


def test_a_missing_register_costs_its_search_once(tmp_path: Path) -> None:
    meters = Meters(rtu=True)
    meters.missing = {1}
    readings = asyncio.run(polled(meters, 1, 3.5, tmp_path))
    slots = len({r.time_ms for r in readings})
    assert meters.asked[1] == 2 * slots + 2  # the block, its halves, and the other block
    good = Counter(r.point.measurand for r in readings if r.reason is Reason.GOOD)
    assert good == {"power_kw": slots, "voltage_l1_v": slots}
