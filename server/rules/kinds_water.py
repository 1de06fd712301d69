"""Kinds for flow and for sums of meters: what runs on, bursts, or is lost between.  Pure."""

from collections.abc import Mapping

import numpy as np

from server.rules.model import Evidence, Judgement, Learned
from server.rules.windows import (
    QUARTERS_A_DAY,
    daily_before,
    day_index,
    days_of,
    in_window,
    judged,
    mean_by_day,
    percentile_before,
    trailing_mean,
    trailing_min,
)
from server.series import Values

P = Mapping[str, float]


def nothing(p: P, e: Evidence, from_day: int) -> Learned:
    """Learn nothing."""
    return {}


def flow_never_zero(p: P, e: Evidence, learned: Learned) -> Judgement:
    """Judge flow above the meter's starting flow; the hold time says for how long.

    What counts is the least hourly flow of a day, before or after: use by people is no leak.
    """
    del learned
    limit = np.full(e.power.shape[-1], p["least_m3_per_h"])
    running = e.power > limit
    hourly = np.where(running, trailing_mean(e.power, 4), 0.0)
    behind = trailing_min(hourly, QUARTERS_A_DAY)
    ahead = trailing_min(hourly[..., ::-1], QUARTERS_A_DAY)[..., ::-1]
    leak = np.maximum(behind, ahead)
    floor = np.nan_to_num(e.power) - leak
    return judged(e, running, np.ones(e.power.shape[-1], bool), limit, floor, above=leak)


def learn_night_flow(p: P, e: Evidence, from_day: int) -> Learned:
    """Learn the usual night minimum."""
    return {"floor_m3_per_h": daily_before(_night_minimum(p, e))}


def _night_minimum(p: P, e: Evidence) -> Values:
    """Give each night's least hourly flow, (…, days); NaN where the night is not known."""
    night = in_window(e.minute, p["night_from_minute"], p["night_to_minute"])
    ends = night & (e.minute % 60 == 45)
    hourly = np.where(ends & ~np.isnan(e.power), trailing_mean(e.power, 4), np.inf)
    starts = np.searchsorted(day_index(e), np.arange(days_of(e)))
    least = np.minimum.reduceat(hourly, starts, axis=-1)
    return np.where(np.isfinite(least), least, np.nan)


def night_flow(p: P, e: Evidence, learned: Learned) -> Judgement:
    """Judge the last night's least flow, until the next: beside the day's mean and other nights.

    By day no more counts than flows: a leak that was stopped in the morning has ended.
    """
    day = day_index(e)
    after = e.minute >= p["night_to_minute"]
    at = np.where(after, day, day - 1)
    least = np.where(at >= 0, _night_minimum(p, e)[..., np.maximum(at, 0)], np.nan)
    mean = trailing_mean(e.power, QUARTERS_A_DAY)
    floor = learned["floor_m3_per_h"]
    limit = np.maximum(p["least_m3_per_h"], p["share_of_mean"] * mean)
    limit = np.maximum(limit, p["times_floor"] * floor)
    known = ~np.isnan(least) & ~np.isnan(limit)
    above = np.minimum(least - floor, np.maximum(e.power - floor, 0.0))
    return judged(e, least > limit, known, limit, floor, above=above)


def learn_hours(p: P, e: Evidence, from_day: int) -> Learned:
    """Learn each hour's P99 and median."""
    out: dict[str, Values] = {}
    for h in range(24):
        here = e.minute // 60 == h
        out[f"p99_h{h:02d}"] = percentile_before(e, here, 99, from_day=from_day)
        out[f"p50_h{h:02d}"] = percentile_before(e, here, 50, from_day=from_day)
    return out


def by_hour(e: Evidence, learned: Learned, stem: str) -> Values:
    """Give what was learned for each interval's hour, (…, n)."""
    out = np.empty(e.power.shape)
    for h in range(24):
        here = e.minute // 60 == h
        found = learned[f"{stem}_h{h:02d}"]
        out[..., here] = found if found.shape[-1:] == (1,) or not found.ndim else found[..., here]
    return out


def burst(p: P, e: Evidence, learned: Learned) -> Judgement:
    """Judge flow far above the most that this hour has seen."""
    floor = by_hour(e, learned, "p50")
    limit = np.maximum(p["times_p99"] * by_hour(e, learned, "p99"), p["least_m3_per_h"])
    return judged(e, e.power > limit, ~np.isnan(limit), limit, floor)


def learn_balance(p: P, e: Evidence, from_day: int) -> Learned:
    """Learn the usual share that the meters below do not show."""
    gap, main = _gap(e)
    every = np.ones(len(e.minute), bool)
    lost, all_ = mean_by_day(e, gap, every, 48), mean_by_day(e, main, every, 48)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {"usual_share": daily_before(lost / all_, p["usual_percentile"])}


def _gap(e: Evidence) -> tuple[Values, Values]:
    below = e.series("below")
    gap = e.power - below
    return gap, np.where(np.isnan(gap), np.nan, e.power)


def balance(p: P, e: Evidence, learned: Learned) -> Judgement:
    """Judge the share of a main meter that the meters below it do not show, over days."""
    gap, main = _gap(e)
    width = round(p["over_days"] * QUARTERS_A_DAY)
    lost, total = trailing_mean(gap, width), trailing_mean(main, width)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = lost / total
    usual = np.nan_to_num(learned["usual_share"])
    limit = np.maximum(p["least_share"], usual + p["above_usual"])
    full = trailing_mean(np.isnan(gap).astype(np.float64), width) <= 0.5
    above = lost - usual * total  # the window's mean: it bridges what one meter does not say
    floor = np.nan_to_num(total) - np.nan_to_num(above)
    known = full & ~np.isnan(share) & (total > p["least"])
    return judged(e, share > limit, known, limit * total, floor, needs_power=False, above=above)
