"""Rollups add up to the counters' difference, whatever is missing on the way."""

from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.periods import DAY_MS, HOUR_MS, QUARTER_MS, Interval, Step, edges
from server.rollup.combine import coarsen, coarsen_all, combine, total
from server.rollup.counter import register_track
from server.rollup.interval import rollup, rollup_track, rollups_of_many
from server.rollup.model import Grade, Rollup
from server.rollup.ticks import exact_sum, to_ticks
from server.rollup.track import Counting
from server.series import Series
from server.site.model import Replacement

ZONE = ZoneInfo("Asia/Shanghai")
HOW = Counting(max_spacing_ms=6 * HOUR_MS)


def series(times: list[int], values: list[float]) -> Series:
    return Series(np.array(times, np.int64), np.array(values, np.float64))


def grid(start: int, end: int, step: int = QUARTER_MS) -> np.ndarray:
    return np.arange(start, end + 1, step, dtype=np.int64)


def known(r: Rollup) -> np.ndarray:
    return r.values[~np.isnan(r.values)]


@st.composite
def counters(draw: st.DrawFn) -> Series:
    spacings = draw(st.lists(st.integers(1, 5 * HOUR_MS), min_size=1, max_size=60))
    steps = [draw(st.integers(0, 100 + s * 10_000 // HOUR_MS)) for s in spacings]
    times = np.concatenate([[0], np.cumsum(spacings)])
    values = np.concatenate([[10_000], 10_000 + np.cumsum(steps)]) / 100
    return Series(times.astype(np.int64), values)


@given(counters())
def test_any_span_adds_up_to_the_counters_difference(found: Series) -> None:
    inner = grid(-(-int(found.times_ms[0]) // QUARTER_MS) * QUARTER_MS, int(found.times_ms[-1]))
    ends = np.unique(np.concatenate([[found.times_ms[0]], inner, [found.times_ms[-1]]]))
    r = rollup("m", found, ends, Step.QUARTER)
    assert not np.isnan(r.values).any()
    assert to_ticks(r.values).sum() == to_ticks(found.values)[-1] - to_ticks(found.values)[0]
    assert (r.values >= 0).all()


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


def test_a_reset_is_estimated_from_the_use_around_it() -> None:
    found = series([0, QUARTER_MS, 2 * QUARTER_MS], [500, 510, 4])
    r = rollup(
        "m", found, grid(0, 2 * QUARTER_MS), Step.QUARTER, how=Counting(widths=((0, 1_000_000.0),))
    )
    assert list(r.values) == [10, 10]  # at least 4, and as much as before
    assert list(r.grades) == [Grade.MEASURED, Grade.ESTIMATED]


@given(counters())
def test_hours_and_days_hold_what_their_quarters_hold(found: Series) -> None:
    span = Interval(0, -(-int(found.times_ms[-1]) // DAY_MS) * DAY_MS)
    fine = rollup("m", found, edges(span, Step.QUARTER, ZONE), Step.QUARTER)
    for step in (Step.HOUR, Step.DAY):
        coarse = coarsen(fine, edges(span, step, ZONE), step)
        assert exact_sum(known(coarse)) == exact_sum(known(fine))
        assert np.isnan(coarse.values).all() == np.isnan(fine.values).all()
        (same,) = coarsen_all([fine], edges(span, step, ZONE), step)
        assert np.array_equal(same.values, coarse.values, equal_nan=True)
        assert np.array_equal(same.grades, coarse.grades)
        assert same.coverage == pytest.approx(coarse.coverage)


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
    assert (
        rollup(
            "m", rolled, grid(0, times[-1]), Step.QUARTER, how=Counting(widths=((0, 1000.0),))
        ).values.sum()
        == 8
    )
    began_again = series(times, [500, 501, 0.5, 1.5, 2.5])
    assert rollup("m", began_again, grid(0, times[-1]), Step.QUARTER).values.sum() == 4


def test_an_exchanged_meter_goes_on_where_the_old_one_ended() -> None:
    times = [i * QUARTER_MS for i in range(5)]
    found = series(times, [500, 502, 4, 6, 8])
    swap = Replacement(QUARTER_MS + QUARTER_MS // 2, closing=503, opening=3)
    r = rollup("m", found, grid(0, times[-1]), Step.QUARTER, how=Counting(replacements=(swap,)))
    assert list(r.values) == [2, 2, 2, 2]
    assert set(r.grades.tolist()) == {Grade.MEASURED}


@pytest.mark.parametrize("wrong", [1e10, 9.3e12, 1e13, 1e18, 1e300, -5.0, -1e300])
@pytest.mark.parametrize("factor", [1.0, 1000.0])
@pytest.mark.filterwarnings("error")
def test_no_number_is_too_large_to_be_garbage(wrong: float, factor: float) -> None:
    times = [i * QUARTER_MS for i in range(40)]
    values = [1000.0 + i for i in range(40)]
    values[20] = wrong
    how = Counting(max_power=10 * factor, factors=((0, factor),))
    r = rollup("m", series(times, values), grid(0, times[-1]), Step.QUARTER, how=how)
    assert r.values.tolist() == [factor] * 39


@given(st.lists(counters(), min_size=2, max_size=5), st.integers(1, 3))
def test_many_registers_read_at_once_are_as_if_read_off_one_by_one(
    found: list[Series], copies: int
) -> None:
    tracks = {}
    for number, one in enumerate(found):
        for copy in range(copies):  # the same instants, other counts
            shifted = Series(one.times_ms.copy(), one.values + 7.31 * copy)
            tracks[f"{number}/{copy}"] = register_track(shifted, HOW)
    last = max(int(one.times_ms[-1]) for one in found)
    ends = grid(-QUARTER_MS, last + QUARTER_MS)
    many = rollups_of_many(tracks, ends, Step.QUARTER)
    plain = {m for m, t in tracks.items() if len(t.times_ms) > 1 and not len(t.marked)}
    assert set(many) == plain
    for meter, r in many.items():
        alone = rollup_track(meter, tracks[meter], ends, Step.QUARTER)
        assert r.meter == meter
        for mine, theirs in (
            (r.values, alone.values), (r.coverage, alone.coverage), (r.grades, alone.grades),
        ):  # fmt: skip
            assert mine.tobytes() == theirs.tobytes()
