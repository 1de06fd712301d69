"""Presence: a gate's totals, or else plug loads → persons in the building, per interval.  Pure."""

import numpy as np

from server.factbook.workdays import minute_of_day
from server.rules.model import Evidence
from server.rules.windows import (
    LEARN_DAYS,
    LEARN_MIN_DAYS,
    in_window,
    percentile_before,
    spread,
)
from server.series import Series, Times, Values
from server.site.model import Site

RESET_MINUTE = 180  # at 03:00 the count starts again at zero, so that misses do not add up
MAX_SILENCE_MS = 30 * 60_000
MOST_MISSED = 0.1  # a gate that misses more is broken


def occupancy(ins: Series, outs: Series, edges_ms: Times, site: Site) -> Values:
    """Give the largest count of persons at either edge of each interval, (n,); NaN: gate silent."""
    n = max(0, len(edges_ms) - 1)
    if not n or not len(ins) or not len(outs):
        return np.full(n, np.nan)
    is_reset = minute_of_day(edges_ms, site) == RESET_MINUTE
    base = np.maximum.accumulate(np.where(is_reset, np.arange(n + 1), 0))
    came, left = _at(ins, edges_ms), _at(outs, edges_ms)
    seen = np.where(is_reset & ~np.isnan(came + left))[0]
    missed = _missed(came[seen], left[seen])
    factor = np.ones(n + 1)
    factor[seen] = missed
    counts = (came - came[base]) - (left - left[base]) * factor[base]
    counts = np.rint(np.maximum(counts, 0.0))
    return np.asarray(np.maximum(counts[:-1], counts[1:]))


def _missed(came: Values, left: Values) -> Values:
    """Give by how much more left than a gate counted, at each reset, from the 28 before (k,).

    Over weeks as many leave as come; a gate that misses one way would keep people in at night.
    """
    out = np.ones(len(came))
    for k in range(LEARN_MIN_DAYS, len(came)):
        i = max(0, k - LEARN_DAYS)
        if left[k] > left[i]:
            out[k] = (came[k] - came[i]) / (left[k] - left[i])
    return np.clip(out, 1 - MOST_MISSED, 1 + MOST_MISSED)


def _at(series: Series, times_ms: Times) -> Values:
    """Give the last value at or before each instant; NaN when it is older than half an hour."""
    index = np.searchsorted(series.times_ms, times_ms, "right") - 1
    safe = np.maximum(index, 0)
    fresh = (index >= 0) & (times_ms - series.times_ms[safe] <= MAX_SILENCE_MS)
    return np.where(fresh, series.values[safe], np.nan)


def door_moves(ins: Series, outs: Series, edges_ms: Times) -> Values:
    """Give how many went in or out in each interval, (n,); NaN: gate silent."""
    if not len(ins) or not len(outs):
        return np.full(max(0, len(edges_ms) - 1), np.nan)
    return np.maximum(np.diff(_at(ins, edges_ms)) + np.diff(_at(outs, edges_ms)), 0.0)


def by_plugs(plugs: Evidence) -> Values:
    """Say from plug loads whether somebody is there: 1, 0, (n,); NaN unknown.

    Somebody: above the night's median by three times its lower spread (equipment left on widens
    the upper), and by 3 % of what work adds.  At night plugs say nothing: what runs was left on.
    """
    night = in_window(plugs.minute, 1410, 300)
    levels = {
        "median": percentile_before(plugs, night, 50),
        "low": percentile_before(plugs, night, 16),
        "work": percentile_before(plugs, plugs.is_work_time & plugs.is_workday, 50),
    }
    at = spread(levels, plugs)
    step = np.maximum(3 * (at["median"] - at["low"]), 0.03 * (at["work"] - at["median"]))
    limit = at["median"] + step
    known = ~np.isnan(plugs.power) & ~np.isnan(limit) & ~night
    return np.where(known, (plugs.power > limit).astype(np.float64), np.nan)
