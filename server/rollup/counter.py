"""Counter readings → consumption per interval, exact: any span adds up to the counters' difference.

The counter is first made continuous (`continuous`), then read off at the interval edges, linear
between neighbouring readings.  Neighbours further apart than `max_spacing_ms` bracket a gap: the
energy is spread evenly over it, graded estimated, and lowers the coverage.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from server.periods import Step
from server.rollup.model import Grade, Rollup
from server.series import Series, Times, Values
from server.site.model import Replacement

SPIKE_PASSES = 3  # garbage of up to this many samples in a row is recognised
NEAR_ROLLOVER = 0.9  # a fall counts as a rollover when it starts above this share of the width


def without_spikes(series: Series) -> Series:
    """Give a counter's series without garbage samples.

    A sample is garbage when leaving it out mends the order: it stands above the next one, or
    below the one before, while those two are in order.  A reset or rollover is never that: after
    it the counter stays low.
    """
    times, values = series.times_ms, series.values
    for _ in range(SPIKE_PASSES):
        if len(values) < 3:
            break
        before, here, after = values[:-2], values[1:-1], values[2:]
        wrong = (before <= after) & ((here > after) | (here < before))
        wrong[1:] &= ~wrong[:-1]  # of two neighbours only the first: the second may be sound
        if not wrong.any():
            break
        keep = np.concatenate([[True], ~wrong, [True]])
        times, values = times[keep], values[keep]
    return Series(times, values)


def joined(
    series: Series, rollover: float | None, replacements: Sequence[Replacement]
) -> tuple[Times, Values, Times]:
    """Give (times, continuous counter, times of resets) over all meters that stood at a place."""
    times: list[Times] = []
    totals: list[Values] = []
    reset_times: list[Times] = []
    carried, opening = 0.0, None
    cuts = [r.at_ms for r in replacements]
    for i in range(len(cuts) + 1):
        part = _between(series, cuts[i - 1] if i else None, cuts[i] if i < len(cuts) else None)
        part = without_spikes(part)
        if opening is not None:
            part = _with(part, cuts[i - 1], opening, first=True)
        if i < len(cuts):
            part = _with(part, cuts[i], replacements[i].closing, first=False)
            opening = replacements[i].opening
        if not len(part):
            continue
        total = continuous(part.values, rollover) + carried
        carried = float(total[-1])
        times.append(part.times_ms)
        totals.append(total)
        reset_times.append(part.times_ms[1:][resets(part.values, rollover)])
    if not times:
        return np.empty(0, np.int64), np.empty(0), np.empty(0, np.int64)
    return np.concatenate(times), np.concatenate(totals), np.concatenate(reset_times)


def _between(series: Series, start_ms: int | None, end_ms: int | None) -> Series:
    i = 0 if start_ms is None else int(np.searchsorted(series.times_ms, start_ms, "right"))
    j = len(series) if end_ms is None else int(np.searchsorted(series.times_ms, end_ms, "left"))
    return Series(series.times_ms[i:j], series.values[i:j])


def _with(part: Series, at_ms: int, value: float, *, first: bool) -> Series:
    time, reading = np.array([at_ms], np.int64), np.array([value])
    if first:
        return Series(np.concatenate([time, part.times_ms]), np.concatenate([reading, part.values]))
    return Series(np.concatenate([part.times_ms, time]), np.concatenate([part.values, reading]))


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
    replacements: Sequence[Replacement] = (),
) -> Rollup:
    """Give a meter's consumption in the intervals between (n + 1,) edges.

    An interval that is not bracketed by readings is missing: NaN, coverage as far as it was seen.
    """
    n = max(0, len(edges_ms) - 1)
    if len(series) + len(replacements) < 2 or n == 0:
        return _missing(meter, step, edges_ms, n)
    times, total, reset_times = joined(series, rollover, replacements)
    at_edges = np.interp(edges_ms, times, total, left=np.nan, right=np.nan)
    values = np.diff(at_edges)
    coverage = _coverage(times, edges_ms, max_spacing_ms)
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
