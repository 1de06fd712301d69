"""Counter readings → consumption per interval, exact: any span adds up to the counters' difference.

The counter is first made continuous (`continuous`), then read off at the interval edges, linear
between neighbouring readings.  Neighbours further apart than `max_spacing_ms` bracket a gap: the
energy is spread evenly over it, graded estimated, and lowers the coverage.
"""

import numpy as np
from numpy.typing import NDArray

from server.periods import Step
from server.rollup.model import Grade, Rollup
from server.series import Series, Times, Values

NEAR_ROLLOVER = 0.9  # a fall counts as a rollover when it starts above this share of the width


def continuous(values: Values, rollover: float | None) -> Values:
    """Give the counter without its falls, (n,), starting at 0.

    A fall from near the declared width is a rollover: the steps up to the width and from zero on
    are both counted.  Any other fall is a reset: the counter has counted its new value since.
    """
    steps = np.diff(values)
    reset = resets(values, rollover)
    if rollover is not None:
        rolled = (steps < 0) & ~reset
        steps = np.where(rolled, rollover - values[:-1] + values[1:], steps)
    steps = np.where(reset, values[1:], steps)
    return np.concatenate([np.zeros(1), np.cumsum(steps)])


def resets(values: Values, rollover: float | None) -> NDArray[np.bool_]:
    """Say for each step (n - 1,) whether the counter began again for no declared reason."""
    fell = np.diff(values) < 0
    if rollover is None:
        return fell
    return np.asarray(fell & (values[:-1] <= NEAR_ROLLOVER * rollover))


def rollup(
    meter: str,
    series: Series,
    edges_ms: Times,
    step: Step,
    *,
    rollover: float | None = None,
    max_spacing_ms: int = 20 * 60_000,
) -> Rollup:
    """Give a meter's consumption in the intervals between (n + 1,) edges.

    An interval that is not bracketed by readings is missing: NaN, coverage as far as it was seen.
    """
    n = max(0, len(edges_ms) - 1)
    if len(series) < 2 or n == 0:
        return _missing(meter, step, edges_ms, n)
    times = series.times_ms.astype(np.float64)
    total = continuous(series.values, rollover)
    at_edges = np.interp(edges_ms, times, total, left=np.nan, right=np.nan)
    values = np.diff(at_edges)
    coverage = _coverage(series.times_ms, edges_ms, max_spacing_ms)
    reset_times = series.times_ms[1:][resets(series.values, rollover)]
    estimated = (coverage < 1.0 - 1e-9) | _has_any(reset_times, edges_ms)
    grades = np.where(estimated, Grade.ESTIMATED, Grade.MEASURED)
    grades = np.where(np.isnan(values), Grade.MISSING, grades).astype(np.int8)
    return Rollup(meter, step, edges_ms, values, coverage, grades)


def _missing(meter: str, step: Step, edges_ms: Times, n: int) -> Rollup:
    return Rollup(
        meter,
        step,
        edges_ms,
        np.full(n, np.nan),
        np.zeros(n),
        np.full(n, Grade.MISSING, np.int8),
    )


def _coverage(times_ms: Times, edges_ms: Times, max_spacing_ms: int) -> Values:
    """Share of each interval that lies between readings no further apart than allowed."""
    spans = np.diff(times_ms)
    seen = np.concatenate([[0], np.cumsum(np.where(spans <= max_spacing_ms, spans, 0))])
    at_edges = np.interp(edges_ms, times_ms, seen)
    return np.asarray(np.clip(np.diff(at_edges) / np.diff(edges_ms), 0.0, 1.0))


def _has_any(times_ms: Times, edges_ms: Times) -> NDArray[np.bool_]:
    """Say for each interval (start, end] whether one of the instants lies in it."""
    counts = np.searchsorted(times_ms, edges_ms, "right")
    return np.asarray(np.diff(counts) > 0)
