"""The faults that other systems stumble over: 60 kWh an hour, six hours, read every 5 minutes."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from server.periods import HOUR_MS, MINUTE_MS, Step
from server.rollup.interval import rollup
from server.rollup.model import Grade, Rollup
from server.rollup.track import Counting
from server.series import Series, Values
from server.site.model import Replacement
from tests.server.small_site import ZONE

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


def back_filled(how: Counting) -> Case:
    return normal(how)  # what came late is in its place in the store


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
    back_filled: Grade.MEASURED,
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


def test_before_the_late_readings_come_the_total_is_already_right() -> None:
    r = computed(outage, 100.0)
    assert r.values.sum() == 360
    assert r.coverage.tolist() == [1, 1, 0, 0, 1, 1]
