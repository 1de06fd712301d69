"""Windows over intervals: what the days before taught, trailing sums and minima.  Pure.

Arrays are (n,) or (m, n): the last axis is time.  What is learned is (…, days) and uses only the
28 days before each day; with fewer than seven days of data it is NaN.
"""

from collections.abc import Mapping

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from server.periods import DAY_MS, HOUR_MS
from server.rules.model import Bools, Evidence, Judgement, Truth
from server.series import Values

LEARN_DAYS, LEARN_MIN_DAYS = 28, 7
QUARTERS_A_DAY, QUARTERS_AN_HOUR = 96, 4
Days = NDArray[np.int64]


def day_index(e: Evidence) -> Days:
    """Count days in whole 24 hours from the first interval, which callers lay on a midnight."""
    return np.asarray((e.edges_ms[:-1] - e.edges_ms[0]) // DAY_MS)


def days_of(e: Evidence) -> int:
    """Give how many days the evidence touches."""
    return int((e.edges_ms[-2] - e.edges_ms[0]) // DAY_MS) + 1 if len(e.edges_ms) > 1 else 0


def spread(daily: Mapping[str, Values], e: Evidence) -> dict[str, Values]:
    """Lay daily values (…, days) over the intervals, (…, n)."""
    day = day_index(e)
    return {name: values[..., day] for name, values in daily.items()}


def percentile_before(
    e: Evidence,
    columns: Bools,
    q: float,
    *,
    least: float | None = None,
    empty: float = np.nan,
    from_day: int = 0,
) -> Values:
    """Give a percentile (q in 0..100) of the power of the 28 days before each day, (…, days).

    columns: (n,) which intervals count; least: only values above it; empty: none did.
    """  # fmt: skip
    power = np.where(np.isnan(e.power), np.inf, e.power)[..., columns]
    if least is not None:
        power[power <= least] = np.inf
    day = day_index(e)
    enough = enough_before(e)
    chosen = day[columns]
    out = np.full((*e.power.shape[:-1], days_of(e)), np.nan)
    for d in range(max(LEARN_MIN_DAYS, from_day), out.shape[-1]):
        i, j = np.searchsorted(chosen, [d - LEARN_DAYS, d])
        found = _percentile(power[..., i:j], q)
        found = np.where(np.isnan(found), empty, found)
        out[..., d] = np.where(enough[..., d], found, np.nan)
    return out


def _percentile(values: Values, q: float) -> Values:
    """Give a percentile of the finite values; NaN where there are none."""
    if not values.shape[-1]:
        return np.full(values.shape[:-1], np.nan)
    ordered = np.sort(values, axis=-1)
    count = np.isfinite(ordered).sum(axis=-1)
    at = q / 100 * np.maximum(count - 1, 0)
    low = np.floor(at).astype(np.int64)
    high = np.minimum(low + 1, np.maximum(count - 1, 0))
    a = np.take_along_axis(ordered, low[..., None], -1)[..., 0]
    b = np.take_along_axis(ordered, high[..., None], -1)[..., 0]
    share = at - low
    with np.errstate(invalid="ignore"):
        return np.where(count > 0, a * (1 - share) + b * share, np.nan)


def enough_before(e: Evidence) -> Bools:
    """Say for each day whether the 28 days before it hold seven half-known days, (…, days)."""
    known = sum_by_day(e, (~np.isnan(e.power)).astype(np.float64))
    total = sum_before(known)
    return np.asarray(total >= LEARN_MIN_DAYS * QUARTERS_A_DAY / 2)


def sum_by_day(e: Evidence, values: Values) -> Values:
    """Sum values (…, n) by day, (…, days)."""
    starts = np.searchsorted(day_index(e), np.arange(days_of(e)))
    return np.asarray(np.add.reduceat(values, starts, axis=-1))


def mean_by_day(e: Evidence, values: Values, columns: Bools, least_known: int = 8) -> Values:
    """Give each day's mean of the known values in some columns, (…, days); NaN if too few."""
    known = ~np.isnan(values) & columns
    count = sum_by_day(e, known.astype(np.float64))
    total = sum_by_day(e, np.where(known, values, 0.0))
    return np.where(count >= least_known, total / np.maximum(count, 1), np.nan)


def sum_before(daily: Values, days: int = LEARN_DAYS) -> Values:
    """Give the sum of the days before each day, (…, days)."""
    total = np.cumsum(np.concatenate([np.zeros((*daily.shape[:-1], 1)), daily], -1), -1)
    d = np.arange(daily.shape[-1])
    return np.asarray(total[..., d] - total[..., np.maximum(0, d - days)])


def daily_before(values: Values, q: float = 50.0, least: int = 5) -> Values:
    """Give a percentile of the known daily values of the 28 days before each day, (…, days)."""
    front = np.full((*values.shape[:-1], LEARN_DAYS), np.nan)
    windows = sliding_window_view(np.concatenate([front, values], -1), LEARN_DAYS, axis=-1)
    windows = np.where(np.isnan(windows), np.inf, windows)[..., : values.shape[-1], :]
    count = np.isfinite(windows).sum(-1)
    return np.where(count >= least, _percentile(windows, q), np.nan)


def trailing_mean(values: Values, width: int) -> Values:
    """Give the mean of the known among the last `width` values, (…, n); NaN: none known."""
    known = ~np.isnan(values)
    total = _trailing_sum(np.where(known, values, 0.0), width)
    count = _trailing_sum(known.astype(np.float64), width)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _trailing_sum(values: Values, width: int) -> Values:
    out = np.cumsum(values, axis=-1)
    out[..., width:] = out[..., width:] - out[..., :-width].copy()
    return out


def trailing_min(values: Values, width: int) -> Values:
    """Give the least of the last `width` values, (…, n), by doubling; shorter at the front."""
    out, have = values.copy(), 1
    while have < width:
        step = min(have, width - have)
        out[..., step:] = np.minimum(out[..., step:], out[..., :-step])
        have += step
    return out


def trailing_max(values: Values, width: int) -> Values:
    """Give the most of the last `width` values, (…, n)."""
    return -trailing_min(-values, width)


def in_window(minute: NDArray[np.int64], start: float, end: float) -> Bools:
    """Say which minutes of the day lie in [start, end), which may pass midnight."""
    if start <= end:
        return np.asarray((minute >= start) & (minute < end))
    return np.asarray((minute >= start) | (minute < end))


def judged(
    e: Evidence,
    is_true: Bools,
    is_known: Bools,
    limit: Values,
    floor: Values,
    needs_power: bool = True,
    above: Values | None = None,
) -> Judgement:
    """Give a judgement; what lies above the floor counts where it is true.

    above: kW or m³/h that count instead of power less floor.
    """  # fmt: skip
    shape = e.power.shape
    known = is_known & ~np.isnan(e.power) if needs_power else is_known
    truth = np.where(known, is_true.astype(np.int8), np.int8(Truth.UNKNOWN))
    if above is None:
        above = np.nan_to_num(e.power) - floor
    hours = np.diff(e.edges_ms) / HOUR_MS
    excess = np.where(truth == Truth.TRUE, np.maximum(np.nan_to_num(above), 0.0) * hours, 0.0)
    wide = np.broadcast_to
    return Judgement(
        e.edges_ms, wide(truth, shape).astype(np.int8, copy=False), wide(limit, shape),
        wide(np.nan_to_num(floor), shape), wide(excess, shape),
    )  # fmt: skip
