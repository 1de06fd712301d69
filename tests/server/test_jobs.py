"""Jobs: rollups follow the receipts, late data included; a lease keeps two servers apart."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from contract.line import encode
from contract.reading import PointId, Reading
from server.factbook.load import load_factbook
from server.jobs.rolling import roll_up
from server.jobs.schedule import Schedule
from server.jobs.works import Works
from server.periods import HOUR_MS, QUARTER_MS, Interval, Step
from server.rollup.model import Grade
from server.rules.load import load_rules
from server.state import open_state
from server.store.duck import DuckStore
from tests.server.running import FixedClock
from tests.server.small_site import SITE, at

NOW = at("2026-03-02T12:00")
POINT = PointId("s", "E1", "energy_import_kwh")


@pytest.fixture
def works(tmp_path: Path) -> Iterator[Works]:
    store = DuckStore(tmp_path / "r.duckdb")
    state = open_state(f"sqlite:///{tmp_path / 's.db'}")
    yield Works(store, state, SITE, load_factbook(), load_rules())
    store.close()
    state.close()


def push(works: Works, start_ms: int, end_ms: int, sent_ms: int, step_ms: int = QUARTER_MS) -> None:
    """Write a counter that grows by one a quarter hour, with a receipt."""
    times = range(start_ms, end_ms + 1, step_ms)
    readings = [Reading(POINT, t, (t - at("2026-03-01T00:00")) / QUARTER_MS) for t in times]
    receipt = (
        "delivery,device=a1,site=s sequence_first=1.0,sequence_last=1.0,"
        f"oldest_ms={float(start_ms)},newest_ms={float(end_ms)},"
        f"readings_sent=1.0,lag_s=0.0 {sent_ms}"
    )
    assert not works.store.write_lines("\n".join([*encode(readings), receipt]).encode()).errors


def hours(works: Works, span: Interval) -> np.ndarray:
    return works.store.read_rollups(SITE, ["E1"], Step.HOUR, span)["E1"].values


def test_what_a_receipt_speaks_of_is_rolled_up(works: Works) -> None:
    push(works, NOW - 4 * HOUR_MS, NOW, NOW - 1000)
    Schedule(works, FixedClock(NOW)).roll_up()
    assert hours(works, Interval(NOW - 4 * HOUR_MS, NOW)).tolist() == [4, 4, 4, 4]


def test_late_data_of_another_day_is_rolled_up_when_it_comes(works: Works) -> None:
    late = Interval(at("2026-03-01T08:00"), at("2026-03-01T10:00"))
    push(works, NOW - 2 * HOUR_MS, NOW, NOW - 1000)
    schedule = Schedule(works, FixedClock(NOW))
    schedule.roll_up()
    assert np.isnan(hours(works, late)).all()
    push(works, late.start_ms, late.end_ms, NOW - 500)
    schedule.roll_up()
    assert hours(works, late).tolist() == [4, 4]


def test_a_reading_after_a_silence_fills_the_silence_on_both_days(works: Works) -> None:
    midnight = at("2026-03-02T00:00")
    schedule = Schedule(works, FixedClock(NOW))
    push(works, midnight - 6 * HOUR_MS, midnight - 2 * HOUR_MS, NOW - 2000)
    schedule.roll_up()
    push(works, midnight + 2 * HOUR_MS, midnight + 4 * HOUR_MS, NOW - 1000)
    schedule.roll_up()
    silence = Interval(midnight - 2 * HOUR_MS, midnight + 2 * HOUR_MS)
    assert hours(works, silence).tolist() == [4, 4, 4, 4]
    day = works.store.read_rollups(SITE, ["E1"], Step.HOUR, silence)["E1"]
    assert set(day.grades.tolist()) == {Grade.ESTIMATED}


def test_recomputing_gives_the_same_bits(works: Works) -> None:
    push(works, NOW - 30 * HOUR_MS, NOW, NOW - 1000, 7 * 60_000)
    whole = Interval(NOW - 30 * HOUR_MS, NOW)
    roll_up(works, whole, NOW)
    first = works.store.read_rollups(SITE, ["E1"], Step.QUARTER, whole)["E1"].values
    roll_up(works, Interval(NOW - HOUR_MS, NOW), NOW)
    roll_up(works, Interval(NOW - 30 * HOUR_MS, NOW - 20 * HOUR_MS), NOW)
    again = works.store.read_rollups(SITE, ["E1"], Step.QUARTER, whole)["E1"].values
    assert np.array_equal(first, again, equal_nan=True)


def test_two_servers_do_not_work_at_once(works: Works) -> None:
    ran: list[str] = []
    one = Schedule(works, FixedClock(NOW), owner="one")
    two = Schedule(works, FixedClock(NOW), owner="two")

    def job() -> None:
        ran.append("x")
        asyncio.run(two._in_thread(job))

    asyncio.run(one._in_thread(job))
    assert ran == ["x"]


def test_the_schedule_starts_and_stops_in_a_loop(works: Works) -> None:
    async def run() -> list[str]:
        scheduler = Schedule(works, FixedClock(NOW)).start()
        names = [str(job.trigger) for job in scheduler.get_jobs()]
        scheduler.shutdown(wait=False)
        return names

    assert len(asyncio.run(run())) == 4
