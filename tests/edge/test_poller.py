"""The poll loop: a silent unit cannot starve its bus; no slot is read twice after a restart."""

import asyncio
import contextlib
from pathlib import Path

from contract.clock import SystemClock
from contract.errors import DeviceError
from contract.reading import Reason
from edge.decode import Source
from edge.drivers.protocol import LinkStats
from edge.outbox import Bounds, Outbox
from edge.plan import RawBlock, ReadBlock
from edge.poller import Bus, Unit, run_bus
from edge.profile import PointSpec

BLOCK = ReadBlock(3, 0, 1, (PointSpec("power_kw", 3, 0, "u16", unit="kW"),))


class ScriptedDriver:
    """A driver whose units are silent or answer 7; counts what it was asked."""

    def __init__(self, silent: set[int]) -> None:
        self.silent, self.asked = silent, dict.fromkeys(range(1, 5), 0)
        self.stats = LinkStats()

    async def read(
        self, unit: int, block: ReadBlock, pause_s: float = 0.0, timeout_s: float | None = None
    ) -> RawBlock:
        self.asked[unit] += 1
        if unit in self.silent:
            raise DeviceError(Reason.TIMEOUT)
        return RawBlock(block, (7,))

    async def close(self) -> None:
        pass


def bus_of(driver: ScriptedDriver, interval_ms: int = 1000) -> Bus:
    units = [Unit(Source("s", f"D{i}"), i, (BLOCK, BLOCK)) for i in (1, 2, 3)]
    return Bus("bus", driver, units, interval_ms)


def test_a_silent_unit_is_asked_ever_more_rarely_and_the_others_every_round() -> None:
    driver = ScriptedDriver({2})
    bus = bus_of(driver)

    async def rounds() -> None:
        for i in range(40):
            readings = await bus.poll_round(1000 * i, SystemClock())
            assert len(readings) == 6
            assert all(r.value is None for r in readings if r.point.device == "D2")

    asyncio.run(rounds())
    assert driver.asked[1] == driver.asked[3] == 80
    assert driver.asked[2] <= 8


def test_a_unit_that_answers_again_is_read_at_once() -> None:
    driver = ScriptedDriver({2})
    bus = bus_of(driver)

    async def back() -> list[Reason]:
        for i in range(2):
            await bus.poll_round(1000 * i, SystemClock())
        driver.silent.clear()
        reasons = []
        for i in range(2, 8):
            readings = await bus.poll_round(1000 * i, SystemClock())
            reasons.append(next(r.reason for r in readings if r.point.device == "D2"))
        return reasons

    reasons = asyncio.run(back())
    assert Reason.SUSPENDED in reasons
    assert reasons[-1] is Reason.GOOD


def run_for(bus: Bus, box: Outbox, seconds: float) -> None:
    async def some_time() -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await run_bus(bus, box, SystemClock(), lambda _: None)

    asyncio.run(some_time())


def test_slots_are_aligned_consecutive_and_never_kept_twice(tmp_path: Path) -> None:
    box = Outbox(tmp_path / "o.db", Bounds(10**9, 10**12))
    for _ in range(3):  # each time as after a kill: a new bus on the same outbox
        run_for(bus_of(ScriptedDriver(set()), 200), box, 0.7)
    slots = [r.slot_ms for r in box.take(10**9)]
    assert len(slots) == len(set(slots)) >= 8
    assert all(s % 200 == 0 for s in slots)
    assert slots == list(range(slots[0], slots[-1] + 1, 200))
