"""Rollups add up to the counters' difference, whatever is missing on the way."""

from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.periods import DAY_MS, HOUR_MS, QUARTER_MS, Interval, Step, edges
from server.rollup.combine import coarsen, combine, total
from server.rollup.counter import continuous, rollup, without_spikes
from server.rollup.model import Grade
from server.series import Series
from server.site.model import Replacement

ZONE = ZoneInfo("Asia/Shanghai")


def series(times: list[int], values: list[float]) -> Series:
    return Series(np.array(times, np.int64), np.array(values, np.float64))


def grid(start: int, end: int, step: int = QUARTER_MS) -> np.ndarray:
    return np.arange(start, end + 1, step, dtype=np.int64)


@st.composite
def counters(draw: st.DrawFn) -> Series:
    spacings = draw(st.lists(st.integers(1, 5 * HOUR_MS), min_size=1, max_size=60))
    steps = draw(st.lists(st.floats(0, 50), min_size=len(spacings), max_size=len(spacings)))
    times = np.concatenate([[0], np.cumsum(spacings)])
    values = np.concatenate([[100.0], 100.0 + np.cumsum(steps)])
    return Series(times.astype(np.int64), values)


@given(counters())
def test_any_span_adds_up_to_the_counters_difference(found: Series) -> None:
    inner = grid(-(-int(found.times_ms[0]) // QUARTER_MS) * QUARTER_MS, int(found.times_ms[-1]))
    ends = np.unique(np.concatenate([[found.times_ms[0]], inner, [found.times_ms[-1]]]))
    r = rollup("m", found, ends, Step.QUARTER)
    assert not np.isnan(r.values).any()
    assert r.values.sum() == pytest.approx(found.values[-1] - found.values[0], rel=1e-9, abs=1e-9)
    assert (r.values >= -1e-9).all()


def test_an_outage_is_spread_and_the_total_stays_exact() -> None:
    found = series([0, QUARTER_MS, QUARTER_MS + 2 * HOUR_MS, QUARTER_MS * 10], [0, 10, 370, 380])
    r = rollup("m", found, grid(0, 10 * QUARTER_MS), Step.QUARTER)
    assert r.values.sum() == pytest.approx(380)
    assert r.values[1:9] == pytest.approx([45.0] * 8)
    assert list(r.grades) == [Grade.MEASURED] + [Grade.ESTIMATED] * 8 + [Grade.MEASURED]
    assert list(r.coverage) == [1.0] + [0.0] * 8 + [1.0]


def test_what_is_not_bracketed_by_readings_is_missing_not_zero() -> None:
    found = series([QUARTER_MS, 2 * QUARTER_MS], [5, 6])
    r = rollup("m", found, grid(0, 3 * QUARTER_MS), Step.QUARTER)
    assert np.isnan(r.values[[0, 2]]).all()
    assert r.values[1] == 1
    assert list(r.grades) == [Grade.MISSING, Grade.MEASURED, Grade.MISSING]
    assert total(rollup("m", Series.empty(), grid(0, DAY_MS), Step.QUARTER))[0] is None


def test_a_rollover_at_its_width_loses_nothing() -> None:
    assert list(continuous(np.array([999.0, 999.5, 0.25, 1.0]), 1000.0)) == [0, 0.5, 1.25, 2.0]


def test_a_reset_counts_what_was_counted_since_and_says_estimated() -> None:
    found = series([0, QUARTER_MS, 2 * QUARTER_MS], [500, 510, 4])
    r = rollup("m", found, grid(0, 2 * QUARTER_MS), Step.QUARTER, rollover=1_000_000)
    assert list(r.values) == [10, 4]
    assert list(r.grades) == [Grade.MEASURED, Grade.ESTIMATED]


@given(counters())
def test_hours_and_days_hold_what_their_quarters_hold(found: Series) -> None:
    span = Interval(0, -(-int(found.times_ms[-1]) // DAY_MS) * DAY_MS)
    fine = rollup("m", found, edges(span, Step.QUARTER, ZONE), Step.QUARTER)
    for step in (Step.HOUR, Step.DAY):
        coarse = coarsen(fine, edges(span, step, ZONE), step)
        assert np.nansum(coarse.values) == pytest.approx(np.nansum(fine.values))
        assert np.isnan(coarse.values).all() == np.isnan(fine.values).all()


def test_a_day_with_a_hole_has_less_coverage_and_is_estimated() -> None:
    found = series(list(range(0, 12 * HOUR_MS + 1, QUARTER_MS)), list(range(49)))
    fine = rollup("m", found, grid(0, DAY_MS), Step.QUARTER)
    day = coarsen(fine, np.array([0, DAY_MS]), Step.DAY)
    assert day.values[0] == 48
    assert day.coverage[0] == pytest.approx(0.5)
    assert day.grades[0] == Grade.ESTIMATED


def test_a_silent_meter_lowers_a_sum_and_its_coverage_but_does_not_stall_it() -> None:
    ends = grid(0, 2 * QUARTER_MS)
    heard = rollup("a", series([0, QUARTER_MS, 2 * QUARTER_MS], [0, 1, 3]), ends, Step.QUARTER)
    silent = rollup("b", Series.empty(), ends, Step.QUARTER)
    both = combine("ab", [heard, silent])
    assert list(both.values) == [1, 2]
    assert list(both.coverage) == [0.5, 0.5]
    assert list(both.grades) == [Grade.ESTIMATED] * 2


def test_grids_follow_the_sites_midnight() -> None:
    day = edges(Interval(0, 1), Step.DAY, ZONE)
    assert list(day) == [-8 * HOUR_MS, 16 * HOUR_MS]
    assert list(edges(Interval(QUARTER_MS, 2 * QUARTER_MS), Step.QUARTER, ZONE)) == [
        QUARTER_MS,
        2 * QUARTER_MS,
    ]


@given(counters(), st.lists(st.tuples(st.integers(1, 58), st.floats(0, 1e6)), max_size=4))
def test_garbage_samples_change_nothing(found: Series, garbage: list[tuple[int, float]]) -> None:
    values = found.values.copy()
    spoilt: list[int] = []
    for at, value in sorted(garbage):
        apart = not spoilt or at - spoilt[-1] > 3
        outside = 3 < at < len(values) - 3
        if outside and apart and not values[at - 1] <= value <= values[at + 1]:
            values[at] = value
            spoilt.append(at)
    cleaned = without_spikes(Series(found.times_ms, values))
    kept = np.isin(found.times_ms, cleaned.times_ms)
    assert np.array_equal(cleaned.values, found.values[kept]) or not spoilt
    assert cleaned.values[-1] - cleaned.values[0] == found.values[-1] - found.values[0]


def test_one_garbage_sample_neither_adds_nor_takes() -> None:
    for wrong in (0.0, 999_999.0):
        times = [i * QUARTER_MS for i in range(5)]
        r = rollup(
            "m", series(times, [100, 101, wrong, 103, 104]), grid(0, times[-1]), Step.QUARTER
        )
        assert r.values.sum() == 4
        assert list(r.values) == [1, 1, 1, 1]


def test_a_rollover_or_reset_is_no_garbage() -> None:
    times = [i * QUARTER_MS for i in range(5)]
    rolled = series(times, [997, 999, 1, 3, 5])
    assert rollup("m", rolled, grid(0, times[-1]), Step.QUARTER, rollover=1000).values.sum() == 8
    began_again = series(times, [500, 501, 0.5, 1.5, 2.5])
    assert rollup("m", began_again, grid(0, times[-1]), Step.QUARTER).values.sum() == 3.5


def test_an_exchanged_meter_goes_on_where_the_old_one_ended() -> None:
    times = [i * QUARTER_MS for i in range(5)]
    found = series(times, [500, 502, 4, 6, 8])
    swap = Replacement(QUARTER_MS + QUARTER_MS // 2, closing=503, opening=3)
    r = rollup("m", found, grid(0, times[-1]), Step.QUARTER, replacements=[swap])
    assert list(r.values) == [2, 2, 2, 2]
    assert set(r.grades.tolist()) == {Grade.MEASURED}
