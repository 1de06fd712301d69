"""The faults that other systems stumble over: 60 kWh an hour, six hours, read every 5 minutes.

What comes late goes through the store and the jobs, as it does in a running server.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from server.jobs.schedule import Schedule
from server.jobs.works import Works
from server.periods import DAY_MS, HOUR_MS, MINUTE_MS, Interval, Step
from server.rollup.interval import rollup
from server.rollup.model import Grade, Rollup
from server.rollup.track import Counting
from server.series import Series, Values
from server.site.model import Replacement, Site
from tests.server.running import FixedClock
from tests.server.small_site import ZONE
from tests.server.test_recompute import SITE, Line, works, write

T0 = 1_772_380_800_000
TIMES = T0 + np.arange(0, 73) * 5 * MINUTE_MS
TRUTH: Values = np.asarray(np.arange(0, 73) * 5.0, np.float64)
MIDDLE = 36
LATER = np.arange(73) > MIDDLE
LIMITS = (100.0, 1000.0)  # what the place is said to use at most, kW
Case = tuple[Series, Counting]


def normal(how: Counting) -> Case:
    return Series(TIMES, 20_000 + TRUTH), how


def outage(how: Counting) -> Case:
    keep = (TIMES <= T0 + 2 * HOUR_MS) | (TIMES >= T0 + 4 * HOUR_MS)
    return Series(TIMES[keep], 20_000 + TRUTH[keep]), how


def exchanged_at_zero(how: Counting) -> Case:
    shown = np.where(LATER, TRUTH - TRUTH[MIDDLE] - 5, 20_000 + TRUTH)
    return Series(TIMES, np.asarray(shown, np.float64)), how


def exchanged_and_written_down(how: Counting) -> Case:
    at = int(TIMES[MIDDLE]) + MINUTE_MS
    closing = 20_000 + TRUTH[MIDDLE] + 1
    shown = np.where(LATER, TRUTH - TRUTH[MIDDLE] - 1, 20_000 + TRUTH)
    return Series(TIMES, np.asarray(shown, np.float64)), replace(
        how, replacements=(Replacement(at, closing, 0.0),)
    )


def rollover(how: Counting) -> Case:
    return Series(TIMES, (99_999 - TRUTH[MIDDLE] + TRUTH) % 100_000), replace(
        how, widths=((0, 100_000.0),)
    )


def rollover_not_declared(how: Counting) -> Case:
    return rollover(how)[0], how


def exchanged_at_50000(how: Counting) -> Case:
    shown = np.where(LATER, 50_000 + TRUTH, 20_000 + TRUTH)
    return Series(TIMES, np.asarray(shown, np.float64)), how


def garbage(how: Counting) -> Case:
    shown = 20_000 + TRUTH
    shown[MIDDLE + 3] *= 65_536
    return Series(TIMES, shown), how


CASES: dict[Callable[[Counting], Case], Grade] = {
    normal: Grade.MEASURED,
    outage: Grade.ESTIMATED,
    exchanged_at_zero: Grade.ESTIMATED,
    exchanged_and_written_down: Grade.MEASURED,
    rollover: Grade.MEASURED,
    rollover_not_declared: Grade.ESTIMATED,
    exchanged_at_50000: Grade.ESTIMATED,
    garbage: Grade.MEASURED,
}


def computed(case: Callable[[Counting], Case], limit: float) -> Rollup:
    series, how = case(Counting(max_power=limit))
    grid = np.arange(T0, T0 + 6 * HOUR_MS + 1, HOUR_MS)
    return rollup("m", series, grid, Step.HOUR, how=how, zone=ZONE)


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("case", CASES, ids=lambda c: c.__name__)
def test_every_hour_has_its_60_kwh(case: Callable[[Counting], Case], limit: float) -> None:
    r = computed(case, limit)
    assert r.values.tolist() == [60.0] * 6
    assert r.grades.max() == CASES[case]


def on_site(limit: float) -> Site:
    meters = tuple(replace(m, max_power=limit) for m in SITE.meters)
    return replace(SITE, meters=meters)


def hours(it: Works) -> Rollup:
    span = Interval(T0, T0 + 6 * HOUR_MS)
    return it.store.read_rollups(it.site, ["E0"], Step.HOUR, span)["E0"]


@pytest.mark.parametrize("limit", LIMITS)
def test_readings_that_come_late_make_the_outage_measured(limit: float, tmp_path: Path) -> None:
    came, all_of_it = outage(Counting())[0], normal(Counting())[0]
    late = ~np.isin(all_of_it.times_ms, came.times_ms)
    with works(tmp_path / "live", on_site(limit)) as it:
        schedule = Schedule(it, FixedClock(T0 + 3 * DAY_MS))
        write(it, lines(came))
        schedule.roll_up()
        before = hours(it)
        write(it, lines(Series(all_of_it.times_ms[late], all_of_it.values[late])))
        schedule.roll_up()
        after = hours(it)
        notes = [(n.meter, n.before, n.after) for n in it.state.books.notes()]
    assert before.values.tolist() == [60.0] * 6
    assert before.grades.tolist() == [0, 0, Grade.ESTIMATED, Grade.ESTIMATED, 0, 0]
    assert before.coverage.tolist() == [1, 1, 0, 0, 1, 1]
    assert after.values.tolist() == [60.0] * 6
    assert after.grades.tolist() == [Grade.MEASURED] * 6
    assert after.coverage.tolist() == [1] * 6
    assert notes == []  # nothing moved: it was known, and now it is measured


def test_what_comes_late_gives_each_hour_its_own(tmp_path: Path) -> None:
    """The use was not even: spread evenly at first, each hour's own when the readings are there."""
    hourly = np.array([60, 60, 90, 30, 60, 60])
    shown = 20_000 + np.concatenate([[0.0], np.cumsum(np.repeat(hourly / 12, 12))])
    came = np.isin(TIMES, outage(Counting())[0].times_ms)
    with works(tmp_path / "live", on_site(1000.0)) as it:
        schedule = Schedule(it, FixedClock(T0 + 3 * DAY_MS))
        write(it, lines(Series(TIMES[came], shown[came])))
        schedule.roll_up()
        assert hours(it).values.tolist() == [60.0] * 6
        write(it, lines(Series(TIMES[~came], shown[~came])))
        schedule.roll_up()
        assert hours(it).values.tolist() == hourly.tolist()
        assert hours(it).grades.tolist() == [Grade.MEASURED] * 6


def lines(series: Series) -> list[Line]:
    return [
        ("E0", t, v) for t, v in zip(series.times_ms.tolist(), series.values.tolist(), strict=True)
    ]
