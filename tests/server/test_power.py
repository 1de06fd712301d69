"""A device without a counter: its power is integrated, graded derived, and never over a gap."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.periods import HOUR_MS, MINUTE_MS, QUARTER_MS, Interval, Step
from server.rollup.interval import rollup_track
from server.rollup.meter import meter_track
from server.rollup.model import Grade, Rollup
from server.rollup.ticks import PER_UNIT, to_ticks
from server.rollup.track import Entries, EventKind
from server.series import Series
from server.site.model import Carrier, Meter, Role

METER = Meter("P", "P", "P", "power_kw", Carrier.ELECTRICITY, Role.SUB, "b", "01A00",
              max_power=100.0)  # fmt: skip
A_TICK_A_READING = 60 / PER_UNIT
TIMES = np.arange(0, 6 * HOUR_MS + 1, MINUTE_MS)


def read(values: np.ndarray, times: np.ndarray = TIMES, entries: Entries | None = None) -> Rollup:
    given = entries or Entries()
    track = meter_track(METER, Series(times, values), given)
    grid = np.arange(0, 6 * HOUR_MS + 1, HOUR_MS)
    return rollup_track("P", track, grid, Step.HOUR, given)


@given(st.floats(0, 100), st.floats(0, 100))
def test_power_that_rises_evenly_is_integrated_to_within_a_tick_a_reading(
    first: float, last: float
) -> None:
    r = read(np.linspace(first, last, len(TIMES)))
    truth = (first + last) / 2 * 6
    assert abs(r.values.sum() - truth) <= len(TIMES) / PER_UNIT
    assert r.grades.tolist() == [Grade.DERIVED] * 6
    assert r.coverage.tolist() == [1.0] * 6


@given(st.lists(st.floats(-100, 100), min_size=361, max_size=361), st.data())
def test_quarters_and_hours_of_any_power_add_up_to_the_same(
    power: list[float], data: st.DataObject
) -> None:
    here = np.array(data.draw(st.lists(st.booleans(), min_size=361, max_size=361)))
    here[[0, -1]] = True
    track = meter_track(METER, Series(TIMES[here], np.array(power)[here]))
    sums = []
    for width in (QUARTER_MS, HOUR_MS):
        grid = np.arange(0, 6 * HOUR_MS + 1, width)
        r = rollup_track("P", track, grid, Step.HOUR)
        assert (np.nan_to_num(r.values) >= 0).all()
        sums.append(int(to_ticks(np.nan_to_num(r.values)).sum()))
    assert sums == [int(track.totals[-1])] * 2


def test_nothing_is_added_over_a_gap() -> None:
    keep = (TIMES <= HOUR_MS) | (TIMES >= 3 * HOUR_MS)
    r = read(np.full(keep.sum(), 10.0), TIMES[keep])
    assert r.values[[0, 3, 4, 5]] == pytest.approx(10.0, abs=A_TICK_A_READING)
    assert np.isnan(r.values[[1, 2]]).all()
    assert r.grades[[1, 2]].tolist() == [Grade.MISSING] * 2


def test_a_spike_costs_nothing_and_is_noted() -> None:
    for wrong in (1e5, 1e300, -1e300):
        power = np.full(len(TIMES), 10.0)
        power[90] = wrong
        assert read(power).values == pytest.approx(10.0, abs=A_TICK_A_READING)
        events = meter_track(METER, Series(TIMES, power)).events
        assert [(e.kind, e.start_ms) for e in events] == [(EventKind.GARBAGE, int(TIMES[90]))]


def test_readings_that_people_exclude_are_left_out() -> None:
    power = np.where((TIMES >= HOUR_MS) & (TIMES < HOUR_MS + QUARTER_MS), 90.0, 10.0)
    span = Interval(HOUR_MS, HOUR_MS + QUARTER_MS)
    assert read(power).values[1] > 20
    mended = read(power, entries=Entries(excluded=(span,))).values
    assert mended == pytest.approx(10.0, abs=A_TICK_A_READING)
    assert not len(meter_track(METER, Series.empty()).times_ms)
