"""Kinds that compare days with the days before: baseload, days off, expectation, pace.  Pure."""

from collections.abc import Mapping

import numpy as np

from server.rules.kinds_place import emptiness
from server.rules.kinds_water import by_hour
from server.rules.model import Bools, Evidence, Judgement, Learned
from server.rules.windows import (
    LEARN_DAYS,
    QUARTERS_A_DAY,
    daily_before,
    day_index,
    days_of,
    in_window,
    judged,
    mean_by_day,
    percentile_before,
    sum_by_day,
    trailing_min,
)
from server.series import Values

P = Mapping[str, float]


def learn_night(p: P, e: Evidence, from_day: int) -> Learned:
    """Learn the median night, and each hour's median on work days and days off."""
    return {
        "floor_kw": daily_before(_night_mean(p, e)),
        **_hours(e, e.is_workday, "work", from_day),
        **_hours(e, ~e.is_workday, "off", from_day),
    }


def _hours(e: Evidence, days: Bools, stem: str, from_day: int) -> Learned:
    return {
        f"{stem}_h{h:02d}": percentile_before(
            e, days & (e.minute // 60 == h), 50, from_day=from_day
        )
        for h in range(24)
    }


def _night_mean(p: P, e: Evidence) -> Values:
    night = in_window(e.minute, p["night_from_minute"], p["night_to_minute"])
    return mean_by_day(e, e.power, night)


def night_baseload(p: P, e: Evidence, learned: Learned) -> Judgement:
    """Judge the last night's mean load, from its end to the next, against the nights before.

    What lies above the median night, and does so for three nights together, is taken to run by
    day too, as far as the hour is above its own median.
    """
    day = day_index(e)
    at = np.where(e.minute >= p["night_to_minute"], day, day - 1)
    nights = _night_mean(p, e)
    night = np.where(at >= 0, nights[..., np.maximum(at, 0)], np.nan)
    lasting = _lasting(nights)[..., np.maximum(at, 0)]
    floor = learned["floor_kw"]
    limit = np.maximum(p["times_floor"] * floor, floor + p["least_kw"])
    known = ~np.isnan(night) & ~np.isnan(limit)
    usual = np.where(e.is_workday, by_hour(e, learned, "work"), by_hour(e, learned, "off"))
    usual = np.where(
        in_window(e.minute, p["night_from_minute"], p["night_to_minute"]), floor, usual
    )
    above = np.minimum(lasting - floor, np.maximum(e.power - usual, 0.0))
    return judged(e, night > limit, known, limit, floor, above=above)


def _lasting(nights: Values, width: int = 3) -> Values:
    """Give the most that each night and its neighbours, three together, all reach (…, days)."""
    least = trailing_min(np.nan_to_num(nights), width)
    out = least.copy()
    for ahead in range(1, width):
        out[..., :-ahead] = np.maximum(out[..., :-ahead], least[..., ahead:])
    return out


def learn_days_off(p: P, e: Evidence, from_day: int) -> Learned:
    """Learn each hour's median on days off."""
    return _hours(e, ~e.is_workday, "off", from_day)


def day_off_use(p: P, e: Evidence, learned: Learned) -> Judgement:
    """Judge load on a day off with nobody there against the days off before, hour by hour."""
    floor = by_hour(e, learned, "off")
    limit = np.maximum(p["times_floor"] * floor, floor + p["least_kw"])
    empty, known = emptiness(p, e)
    off = ~e.is_workday
    known = (known | e.is_workday) & ~np.isnan(limit)
    return judged(e, (e.power > limit) & off & empty, known, limit, floor)


def learn_days(p: P, e: Evidence, from_day: int) -> Learned:
    """Learn what a day's energy depends on, and how far days lie beside it.

    kWh a day = work + off + b · cooling + c · heating degrees (work days), least squares over 28.
    """
    x, y, known = _days(p, e)
    shape = (*y.shape, x.shape[0])
    beta, spread_ = np.full(shape, np.nan), np.full(y.shape, np.nan)
    ridge = np.diag([1e-6, 1e-6, p["ridge"], p["ridge"]])
    for d in range(max(14, from_day), y.shape[-1]):
        i = max(0, d - LEARN_DAYS)
        w = known[..., i:d].astype(np.float64)
        enough = w.sum(-1) >= 12
        found = _fitted(x[:, i:d], y[..., i:d], w, ridge)
        for _ in range(3):  # days that were themselves abnormal teach nothing
            beside = np.abs(np.nan_to_num(y[..., i:d]) - found @ x[:, i:d])
            middle = np.nanmedian(np.where(w > 0, beside, np.nan), -1) if w.any() else 0.0
            good = w * (beside <= 3.7 * np.asarray(middle)[..., None] + 1e-9)
            found = _fitted(x[:, i:d], y[..., i:d], good, ridge)
        beta[..., d, :] = np.where(enough[..., None], found, np.nan)
        freedom = np.maximum(good.sum(-1) - x.shape[0], 1)
        beside = (np.nan_to_num(y[..., i:d]) - found @ x[:, i:d]) * good
        spread_[..., d] = np.where(enough, np.sqrt((beside**2).sum(-1) / freedom), np.nan)
    names = ("work_kwh", "off_kwh", "kwh_per_cooling", "kwh_per_heating")
    out = {name: beta[..., k] for k, name in enumerate(names)}
    return {**out, "spread_kwh": spread_}


def _fitted(x: Values, y: Values, w: Values, ridge: Values) -> Values:
    """Give weighted least squares coefficients (…, k) of y (…, days) on x (k, days)."""
    a = np.einsum("...d,jd,kd->...jk", w, x, x) + ridge
    b = np.einsum("...d,jd->...j", w * np.nan_to_num(y), x)
    return np.asarray(np.linalg.solve(a, b[..., None])[..., 0])


def _days(p: P, e: Evidence) -> tuple[Values, Values, Values]:
    """Give (what days depend on (4, days), their kWh (…, days), which are known)."""
    every = np.ones(len(e.minute), bool)
    kw = mean_by_day(e, e.power, every, int(p["least_known"] * QUARTERS_A_DAY))
    size = sum_by_day(e, np.ones(len(e.minute)))
    celsius = e.series("outdoor_c")
    work = sum_by_day(e, e.is_workday.astype(np.float64)) > size / 2
    hours = in_window(e.minute, 480, 1050)
    cooling = mean_by_day(e, np.maximum(celsius - p["cool_above_c"], 0), hours) * work
    heating = mean_by_day(e, np.maximum(p["heat_below_c"] - celsius, 0), hours) * work
    x = np.stack([work, ~work, np.nan_to_num(cooling), np.nan_to_num(heating)])
    known = ~np.isnan(kw) & ~np.isnan(cooling) & (size == QUARTERS_A_DAY)
    return x.astype(np.float64), kw * 24.0, known


def abnormal_day(p: P, e: Evidence, learned: Learned) -> Judgement:
    """Judge whole days against what the calendar and the weather let expect."""
    x, y, known = _days(p, e)
    day = day_index(e)
    names = ("work_kwh", "off_kwh", "kwh_per_cooling", "kwh_per_heating")
    expected = sum(learned[name] * x[k][day] for k, name in enumerate(names))
    limit = expected + np.maximum(p["sigmas"] * learned["spread_kwh"], p["share"] * expected)
    limit = np.maximum(limit, expected + p["least_kwh"])
    sure = known[..., day] & ~np.isnan(limit)
    above = (y[..., day] - expected) / 24.0
    return judged(
        e, y[..., day] > limit, sure, limit / 24, np.asarray(expected) / 24, needs_power=False,
        above=above,
    )  # fmt: skip


def learn_target(p: P, e: Evidence, from_day: int) -> Learned:
    """Learn no target: one is pinned by a person, in kWh or m³ a month."""
    return {"month_target": np.full((*e.power.shape[:-1], days_of(e)), np.nan)}


def target_pace(p: P, e: Evidence, learned: Learned) -> Judgement:
    """Judge the use since the month began against the share of the target due by now."""
    used, due = e.series("month_used"), e.series("month_share") * learned["month_target"]
    limit = (1 + p["margin"]) * due
    known = ~np.isnan(used) & ~np.isnan(limit) & (e.series("month_share") >= p["least_share"])
    zero = np.zeros(e.power.shape[-1])
    return judged(e, used > limit, known, limit, zero, needs_power=False, above=zero)
