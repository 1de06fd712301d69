"""The kinds of rule: evidence → judgement.  Pure, vectorised, causal.

Thresholds are learned day by day from the 28 days before: nothing of the judged day is used.
With fewer than seven days of data the judgement is unknown.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from server.periods import DAY_MS, HOUR_MS
from server.rules.model import Bools, Evidence, Judgement, Kind, Rule, Truth
from server.series import Values

LEARN_DAYS, LEARN_MIN_DAYS = 28, 7
_QUARTERS_A_DAY = 96


def judge(rule: Rule, evidence: Evidence, threshold: Values | None = None) -> Judgement:
    """Judge one meter; `threshold` (n,) replaces the learned one (rule examples use it)."""
    return KINDS[rule.kind](rule.parameters, evidence, threshold)


def _unoccupied(
    parameters: Mapping[str, float], e: Evidence, threshold: Values | None
) -> Judgement:
    """Load above a share of its own P90 with nobody there: by the gate, else by the calendar."""
    limit, floor = threshold, np.zeros(len(e.power))
    if limit is None:
        share, least = parameters["share_of_p90"], parameters["least_kw"]
        p90 = _learned(e, e.power > least, lambda v: float(np.percentile(v, 90)), empty=0.0)
        limit = np.maximum(least, share * p90)
        limit[np.isnan(p90)] = np.nan
    if e.occupancy is None:
        empty, seen = ~e.is_work_time, np.ones(len(e.power), bool)
    else:
        empty, seen = e.occupancy == 0, ~np.isnan(e.occupancy)
    return _judged(e, (e.power > limit) & empty, seen & ~np.isnan(limit), limit, floor)


def _outside_hours(
    parameters: Mapping[str, float], e: Evidence, threshold: Values | None
) -> Judgement:
    """Lighting above a share of its work-hour median at night or on a day off, and its floor."""
    start, end = parameters["night_from_minute"], parameters["night_to_minute"]
    window = (e.minute >= start) | (e.minute < end) | ~e.is_workday
    limit, floor = threshold, np.zeros(len(e.power))
    if limit is None:
        night = (e.minute >= start) | (e.minute < end)
        median = _learned(e, e.is_work_time & e.is_workday, lambda v: float(np.median(v)))
        floor = _learned(e, night, lambda v: float(np.percentile(v, 25)))
        limit = np.maximum(
            parameters["share_of_median"] * median, parameters["times_floor"] * floor
        )
        floor = np.nan_to_num(floor)
    return _judged(e, (e.power > limit) & window, ~np.isnan(limit), limit, floor)


def _never_zero(
    parameters: Mapping[str, float], e: Evidence, threshold: Values | None
) -> Judgement:
    """Flow that stays above the meter's starting flow; the hold time says for how long."""
    n = len(e.power)
    limit = np.full(n, parameters["least_m3_per_h"]) if threshold is None else threshold
    return _judged(e, e.power > limit, np.ones(n, bool), limit, np.zeros(n))


def _judged(
    e: Evidence, is_true: Bools, is_known: Bools, limit: Values, floor: Values
) -> Judgement:
    known = is_known & ~np.isnan(e.power)
    truth = np.where(known, np.where(is_true, Truth.TRUE, Truth.FALSE), Truth.UNKNOWN)
    hours = np.diff(e.edges_ms) / HOUR_MS
    above = np.maximum(np.nan_to_num(e.power) - floor, 0.0) * hours
    excess = np.where(truth == Truth.TRUE, above, 0.0)
    return Judgement(e.edges_ms, truth.astype(np.int8), limit, floor, excess)


def _learned(
    e: Evidence,
    where: Bools,
    statistic: Callable[[Values], float],
    empty: float = np.nan,
) -> Values:
    """Give a statistic of the 28 days before each interval's day, (n,); NaN before seven days.

    Days are counted in whole 24 hours from the first interval, which callers lay on a midnight.
    """
    n = len(e.power)
    out = np.full(n, np.nan)
    if not n:
        return out
    day = (e.edges_ms[:-1] - e.edges_ms[0]) // DAY_MS
    usable = where & ~np.isnan(e.power)
    bounds: NDArray[np.int64] = np.searchsorted(day, np.arange(int(day[-1]) + 2))
    for d in range(LEARN_MIN_DAYS, int(day[-1]) + 1):
        i, j = bounds[max(0, d - LEARN_DAYS)], bounds[d]
        if np.count_nonzero(~np.isnan(e.power[i:j])) < LEARN_MIN_DAYS * _QUARTERS_A_DAY // 2:
            continue
        values = e.power[i:j][usable[i:j]]
        out[j : bounds[d + 1]] = statistic(values) if len(values) else empty
    return out


KINDS: Mapping[Kind, Callable[[Mapping[str, float], Evidence, Values | None], Judgement]] = {
    Kind.LOAD_WHILE_UNOCCUPIED: _unoccupied,
    Kind.LOAD_OUTSIDE_HOURS: _outside_hours,
    Kind.FLOW_NEVER_ZERO: _never_zero,
}
