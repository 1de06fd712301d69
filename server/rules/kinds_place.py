"""Kinds that ask whether a load should be on at all: people, hours, sun, seals.  Pure."""

from collections.abc import Mapping

import numpy as np

from server.rules.model import Bools, Evidence, Judgement, Learned
from server.rules.windows import (
    QUARTERS_A_DAY,
    enough_before,
    in_window,
    judged,
    percentile_before,
    sum_before,
    sum_by_day,
    trailing_max,
    trailing_mean,
)
from server.series import Values

P = Mapping[str, float]
_NIGHT = (1350.0, 330.0)  # 22:30–05:30, when floors are learned


def emptiness(p: P, e: Evidence) -> tuple[Bools, Bools]:
    """Give (empty, known), (…, n): by the gate, by plug loads, else by the calendar.

    A few persons whom no door has seen move for long are a gate's miscount.  A silent gate, or
    none, leaves the deep night to the calendar; when people may stay (evenings, and days off
    unless `days_off_by_calendar`) is unknown.
    """
    off = ~e.is_work_time
    late = off & in_window(e.minute, p["late_from_minute"], p["late_to_minute"])
    by_calendar = late | e.is_work_time
    if p["days_off_by_calendar"]:
        by_calendar = by_calendar | ~e.is_workday
    if e.occupancy is None:
        return off, by_calendar
    seen = ~np.isnan(e.occupancy)
    empty = np.where(seen, (e.occupancy == 0) | _miscounted(p, e), off)
    known = seen | late | e.is_work_time
    if e.has_gate is not None:
        empty = np.where(e.has_gate, empty, off)
        known = np.where(e.has_gate, known, by_calendar)
    return empty, known


def _miscounted(p: P, e: Evidence) -> Bools:
    """Say where those who are left are so few and so still that a gate has missed their leaving."""
    occupancy = np.asarray(e.occupancy)
    out = np.zeros(occupancy.shape, bool)
    off = ~e.is_work_time
    some = np.asarray(((occupancy > 0) & off).any(-1))  # most meters need no closer look
    if some.any():
        moves = np.broadcast_to(e.series("door_moves"), occupancy.shape)[some]
        still = trailing_mean(moves, max(1, round(p["still_min"] / 15))) == 0
        left = occupancy[some]
        most = trailing_max(np.nan_to_num(left), QUARTERS_A_DAY)
        few = left <= np.maximum(p["few_persons"], p["few_share"] * most)
        out[some] = few & still & off
    return out


def learn_unoccupied(p: P, e: Evidence, from_day: int) -> Learned:
    """Learn the running load's P90 and the stand-by."""
    every = np.ones(len(e.minute), bool)
    least = p["least_kw"]
    p90 = percentile_before(e, every, 90, least=least, empty=0.0, from_day=from_day)
    return {"p90_kw": p90, "floor_kw": percentile_before(e, every, 10, from_day=from_day)}


def unoccupied(p: P, e: Evidence, learned: Learned) -> Judgement:
    """Judge load above a share of its own P90 with nobody there."""
    p90, floor = learned["p90_kw"], np.nan_to_num(learned["floor_kw"])
    floor = np.minimum(floor, p["floor_share"] * np.nan_to_num(p90))  # a stand-by, not a habit
    limit = np.maximum(p["least_kw"] + floor, p["share_of_p90"] * p90)
    empty, known = emptiness(p, e)
    return judged(e, (e.power > limit) & empty, known & ~np.isnan(limit), limit, floor)


def learn_inferred(p: P, e: Evidence, from_day: int) -> Learned:
    """Learn the empty building's load, and how work-hour load follows the weather.

    Work-hour load = a + b · degrees above `cool_above_c` + c · degrees below `heat_below_c`, by
    least squares over the 28 days before; ac_kw is that part at the weather's 90th percentile.
    """
    night = in_window(e.minute, *_NIGHT)
    floor = percentile_before(e, night, 25, from_day=from_day)
    degrees = weather(p, e)
    here = e.is_work_time & e.is_workday & ~np.isnan(e.power) & ~np.isnan(degrees).any(0)
    x = np.stack([np.ones(degrees.shape[1]), *np.nan_to_num(degrees)])
    y = np.where(here, np.nan_to_num(e.power), 0.0)
    w = here.astype(np.float64)
    xx = sum_before(sum_by_day(e, w[..., None, None, :] * x[:, None] * x[None]))
    xy = sum_before(sum_by_day(e, y[..., None, :] * x))
    ridge = np.diag([1e-6, p["ridge"], p["ridge"]])
    a = np.moveaxis(xx, -1, -3) + ridge
    b = np.moveaxis(xy, -1, -2)
    slopes = np.maximum(np.linalg.solve(a, b[..., None])[..., 0][..., 1:], 0.0)
    top = _top_degrees(e, degrees)
    ac = (slopes * top.T).sum(-1)
    ac = np.where(enough_before(e) & (ac >= p["least_ac_kw"]), ac, np.nan)
    return {"floor_kw": floor, "ac_kw": ac}


def weather(p: P, e: Evidence) -> Values:
    """Give degrees of cooling and of heating, (2, n)."""
    celsius = e.series("outdoor_c")
    return np.stack(
        [np.maximum(celsius - p["cool_above_c"], 0), np.maximum(p["heat_below_c"] - celsius, 0)]
    )


def _top_degrees(e: Evidence, degrees: Values) -> Values:
    """Give the 90th percentile of the work-hour degrees of the 28 days before, (2, days)."""
    at_work = Evidence(e.edges_ms, degrees, None, e.is_work_time, e.minute, e.is_workday)
    found = percentile_before(at_work, e.is_work_time & e.is_workday, 90, empty=0.0)
    return np.nan_to_num(found)


def inferred_ac(p: P, e: Evidence, learned: Learned) -> Judgement:
    """Judge air conditioning inside a total: above the empty load by a share of its AC part.

    The share tells it from lights; the step says that it did not go off when people left; and
    the weather must ask for it.
    """
    floor, ac = learned["floor_kw"], learned["ac_kw"]
    limit = floor + np.maximum(p["least_kw"], p["share_of_ac"] * ac)
    asks = (trailing_mean(weather(p, e), 24) > p["least_degrees"]).any(0)
    empty, known = emptiness(p, e)
    return judged(e, (e.power > limit) & empty & asks, known & ~np.isnan(limit), limit, floor)


def learn_outside_hours(p: P, e: Evidence, from_day: int) -> Learned:
    """Learn the work-hour median and the night floor: emergency lights, fridges."""
    night = in_window(e.minute, *_NIGHT)
    return {
        "work_kw": percentile_before(e, e.is_work_time & e.is_workday, 50, from_day=from_day),
        "floor_kw": percentile_before(e, night, 25, from_day=from_day),
    }


def outside_hours(p: P, e: Evidence, learned: Learned) -> Judgement:
    """Judge load above a share of its work-hour median at night, or on a day off with nobody.

    evenings 1: from when the last one is known to have left; 0: the night alone, as by house rule.
    """
    night = in_window(e.minute, p["night_from_minute"], p["night_to_minute"])
    empty, known = emptiness(p, e)
    window = night | (~e.is_workday & empty)
    if p["evenings"]:
        window = window | (empty & known & ~e.is_work_time)
    floor = learned["floor_kw"]
    limit = np.maximum(p["share_of_median"] * learned["work_kw"], p["times_floor"] * floor)
    limit = np.maximum(limit, p["least_kw"])
    sure = (night | e.is_workday | known) & ~np.isnan(limit)
    return judged(e, (e.power > limit) & window, sure, limit, floor)


def learn_lit(p: P, e: Evidence, from_day: int) -> Learned:
    """Learn the full lamps' load."""
    night = in_window(e.minute, 1140, 1350)
    return {"full_kw": percentile_before(e, night, 90, from_day=from_day)}


def lit_by_day(p: P, e: Evidence, learned: Learned) -> Judgement:
    """Judge outdoor lamps that are lit with the sun above a height."""
    limit = np.maximum(p["share_of_full"] * learned["full_kw"], p["least_kw"])
    middle_ms = (e.edges_ms[:-1] + e.edges_ms[1:]) / 2
    up = sun_height(middle_ms, p["latitude"], p["longitude"]) > p["sun_above"]
    return judged(e, (e.power > limit) & up, ~np.isnan(limit), limit, np.zeros_like(limit))


def sun_height(times_ms: Values, latitude: float, longitude: float) -> Values:
    """Give the sun's height in degrees; Spencer (1971), good to half a degree."""
    days = times_ms / 86_400_000
    year = 2 * np.pi * ((days - 10_957) % 365.25) / 365.25  # since 2000-01-01
    declination = (
        0.006918 - 0.399912 * np.cos(year) + 0.070257 * np.sin(year)
        - 0.006758 * np.cos(2 * year) + 0.000907 * np.sin(2 * year)
    )  # fmt: skip
    equation_min = 229.18 * (
        0.000075 + 0.001868 * np.cos(year) - 0.032077 * np.sin(year)
        - 0.014615 * np.cos(2 * year) - 0.040849 * np.sin(2 * year)
    )  # fmt: skip
    minutes = (days % 1) * 1440 + 4 * longitude + equation_min
    angle = np.radians(minutes / 4 - 180)
    north = np.radians(latitude)
    sine = np.sin(north) * np.sin(declination)
    sine = sine + np.cos(north) * np.cos(declination) * np.cos(angle)
    return np.asarray(np.degrees(np.arcsin(np.clip(sine, -1, 1))))


def saving_hour(p: P, e: Evidence, learned: Learned) -> Judgement:
    """Judge the planned hour off: load above what the hour before leaves after the least drop."""
    del learned
    window = in_window(e.minute, p["from_minute"], p["to_minute"]) & e.is_workday
    before = trailing_mean(e.power, 4)
    steps = np.cumsum(window.astype(np.int64))
    steps -= np.maximum.accumulate(np.where(window, 0, steps))  # 1 at the window's first quarter
    at = np.maximum(np.arange(len(window)) - steps, 0)
    reference = before[..., at]
    limit = (1 - p["least_drop"]) * reference
    known = (reference > p["least_kw"]) | ~window
    return judged(e, (e.power > limit) & window, known, limit, np.zeros_like(limit))


def learn_running(p: P, e: Evidence, from_day: int) -> Learned:
    """Learn the running load's P90."""
    every = np.ones(len(e.minute), bool)
    return {"p90_kw": percentile_before(e, every, 90, least=p["least_kw"], from_day=from_day)}


def setpoint(p: P, e: Evidence, learned: Learned) -> Judgement:
    """Judge a room cooled below or heated above what is allowed while its AC runs.

    What it costs is a share of the load for each degree beyond; the weather says which season.
    """
    room, outdoor = e.series("room_c"), trailing_mean(e.series("outdoor_c"), 96)
    limit = np.maximum(p["share_of_p90"] * learned["p90_kw"], p["least_kw"])
    beyond = np.where(
        outdoor > p["summer_above_c"], p["cool_to_c"] - room,
        np.where(outdoor < p["winter_below_c"], room - p["heat_to_c"], -1.0),
    )  # fmt: skip
    known = ~np.isnan(room) & ~np.isnan(outdoor) & ~np.isnan(limit)
    share = np.minimum(p["share_a_degree"] * np.maximum(np.nan_to_num(beyond), 0.0), 0.6)
    floor = np.nan_to_num(e.power) * (1 - share)
    return judged(e, (e.power > limit) & (beyond > 0), known, limit, floor)


def sealed_use(p: P, e: Evidence, learned: Learned) -> Judgement:
    """Judge any use above noise in an area that is sealed."""
    del learned
    sealed = np.nan_to_num(e.series("sealed")) > 0
    limit = np.full(e.power.shape[-1], p["least"])
    return judged(e, (e.power > limit) & sealed, sealed | ~sealed, limit, np.zeros_like(limit))
