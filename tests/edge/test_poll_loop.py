"""The poll loop: its grid, what it misses, clock steps, and buses that do not tick together."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.clock import SystemClock
from contract.line import decode
from contract.reading import PointId, Reading
from edge.outbox import Bounds, Outbox
from edge.poller import Bus, HoleBook, run_bus, stagger_ms
from tests.edge.virtual import (
    T0_MS,
    ScriptedDriver,
    VirtualClock,
    block,
    in_virtual_time,
    unit,
)

HOUR_MS = 3_600_000


def box_at(path: Path) -> Outbox:
    return Outbox(path, Bounds(10**9, 10**15))


def slots(box: Outbox) -> list[int]:
    one = PointId("s", "D1", "power_kw")
    return [r.time_ms for r in kept(box) if r.point == one]


def kept(box: Outbox) -> list[Reading]:
    box.commit()
    return [r for parcel in box.take(10**9) for r in decode("\n".join(parcel.lines()))]


def run(
    bus: Bus,
    box: Outbox,
    seconds: float,
    meanwhile: Callable[[VirtualClock], Awaitable[None]] | None = None,
    behind_ms: int = 0,
) -> None:
    """Run a bus for some virtual seconds, `behind_ms` after a slot of all intervals."""

    async def some_time(clock: VirtualClock) -> None:
        clock.step_ms += behind_ms
        task = asyncio.create_task(run_bus(bus, box, clock, lambda _: None))
        if meanwhile is not None:
            await meanwhile(clock)
        await asyncio.sleep(seconds)
        assert not task.done(), task
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    in_virtual_time(some_time)


def bus_of(driver: ScriptedDriver, interval_ms: int = 10_000, offset_ms: int = 0) -> Bus:
    units = [unit(i) for i in (1, 2, 3)]
    return Bus("bus", driver, units, interval_ms, offset_ms=offset_ms)


def test_a_round_that_overruns_misses_slots_and_leaves_the_grid_where_it_is(
    tmp_path: Path,
) -> None:
    box, driver = box_at(tmp_path / "o.db"), ScriptedDriver(latency_s=0.02)
    bus = bus_of(driver)

    async def slow_once(_: VirtualClock) -> None:
        await asyncio.sleep(15)
        driver.latency_s = 9.0  # the round at 20 s lasts until 47 s
        await asyncio.sleep(25)
        driver.latency_s = 0.02

    run(bus, box, 45, slow_once)
    assert [(s - T0_MS) // 1000 for s in slots(box)] == [10, 20, 50, 60, 70, 80]
    assert bus.tally.slots_missed == 2
    assert sum(r.lag_s > 0.1 for r in kept(box)) == 3


def test_a_bus_begins_its_rounds_at_its_offset_and_stamps_the_slot(tmp_path: Path) -> None:
    box, driver = box_at(tmp_path / "o.db"), ScriptedDriver()
    run(bus_of(driver, offset_ms=1500), box, 35)
    assert [(s - T0_MS) // 1000 for s in slots(box)] == [10, 20, 30]
    lags = [r.lag_s for rnd in box.take(10**9) for r in decode("\n".join(rnd.lines()))]
    assert all(1.5 <= lag <= 1.6 for lag in lags)


@given(
    buses=st.integers(1, 64),
    interval_ms=st.sampled_from([100, 1000, 5000, 10_000, 60_000, 900_000]),
)
def test_offsets_differ_are_bounded_and_the_first_is_none(buses: int, interval_ms: int) -> None:
    offsets = [stagger_ms(i, buses, interval_ms) for i in range(buses)]
    assert offsets[0] == 0
    assert max(offsets) <= min(0.2 * interval_ms, 2000)
    assert offsets == sorted(offsets)
    if interval_ms >= 1000:
        assert len(set(offsets)) == buses


@pytest.mark.parametrize("step_ms", [-HOUR_MS, 7 * 24 * HOUR_MS, HOUR_MS])
def test_a_step_of_the_wall_clock_stops_nothing_and_is_no_missed_slot(
    tmp_path: Path, step_ms: int
) -> None:
    box, driver = box_at(tmp_path / "o.db"), ScriptedDriver()
    bus = bus_of(driver)

    async def step(clock: VirtualClock) -> None:
        await asyncio.sleep(25)
        clock.step_ms += step_ms

    run(bus, box, 60, step)
    assert bus.tally.slots_missed == 0
    after = slots(box)[2:]
    assert len(after) >= 5
    assert all(s % 10_000 == 0 for s in after)
    assert after[0] - (T0_MS + step_ms) <= 40_000


def test_a_clock_far_behind_the_last_slot_does_not_hold_the_start_up(tmp_path: Path) -> None:
    box, driver = box_at(tmp_path / "o.db"), ScriptedDriver()
    box.put("bus", T0_MS + HOUR_MS, [], 0)  # as stamped before the clock was set back
    run(bus_of(driver), box, 25)
    assert slots(box) == [T0_MS, T0_MS + 10_000, T0_MS + 20_000]


def test_after_a_restart_the_present_slot_is_read_at_once_and_none_twice(tmp_path: Path) -> None:
    box, driver = box_at(tmp_path / "o.db"), ScriptedDriver()
    run(bus_of(driver), box, 25)
    run(bus_of(driver), box, 0.5, behind_ms=27_000)  # a restart within slot 20, which is kept
    run(bus_of(driver), box, 5, behind_ms=38_000)  # and one within slot 30, which is not
    assert [(s - T0_MS) // 1000 for s in slots(box)] == [10, 20, 30, 40]


def test_slots_are_aligned_consecutive_and_never_kept_twice_in_real_time(tmp_path: Path) -> None:
    box = box_at(tmp_path / "o.db")

    async def some_time() -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.7):
                driver = ScriptedDriver(latency_s=0.001)
                await run_bus(bus_of(driver, 200), box, SystemClock(), lambda _: None)

    for _ in range(3):  # each time as after a kill: a new bus on the same outbox
        asyncio.run(some_time())
    found = slots(box)
    assert len(found) == len(set(found)) >= 8
    assert all(s % 200 == 0 for s in found)


def test_a_hole_file_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    driver = ScriptedDriver()
    driver.refused = {1}
    book = HoleBook(tmp_path / "no" / "such" / "h.json")
    device = unit(1, block("power_kw", "energy_import_kwh"))
    device.refused = book.of("D1", "p", device.plan_name)
    bus = Bus("bus", driver, [device], 10_000, book=book)
    box = box_at(tmp_path / "o.db")
    run(bus, box, 35)
    assert len(slots(box)) == 3
    assert list(device.refused.holes) == [(3, 1)]
