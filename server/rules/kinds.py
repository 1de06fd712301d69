"""The kinds of rule: evidence → judgement.  Pure, vectorised over meters and intervals, causal.

What a kind learns comes from the 28 days before the judged day, nothing of that day itself; with
fewer than seven days of data the judgement is unknown.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from server.rules import kinds_data as data
from server.rules import kinds_long as long
from server.rules import kinds_place as place
from server.rules import kinds_supply as supply
from server.rules import kinds_water as water
from server.rules.model import Evidence, Judgement, Kind, Learned, Rule
from server.rules.windows import LEARN_DAYS, LEARN_MIN_DAYS, spread

__all__ = ["KINDS", "LEARN_DAYS", "LEARN_MIN_DAYS", "judge", "learn", "look_back_days"]


@dataclass(frozen=True, slots=True)
class Way:
    """How a kind judges: its functions, parameters, and the series it needs beside the load.

    whole_days: a day is judged when it is over; look_back_days: how much before an interval it
    looks at, once it has learned.
    """

    judge: Callable[[Mapping[str, float], Evidence, Learned], Judgement]
    parameters: frozenset[str]
    learn: Callable[[Mapping[str, float], Evidence, int], Learned] = water.nothing
    needs: frozenset[str] = frozenset()
    whole_days: bool = False
    look_back_days: int = 1


def look_back_days(rule: Rule) -> int:
    """Give how many days before an interval the rule looks at, once it has learned."""
    over = rule.parameters.get("over_days")
    return KINDS[rule.kind].look_back_days if over is None else math.ceil(over) + 1


def learn(rule: Rule, evidence: Evidence, from_day: int = 0) -> Learned:
    """Learn what the rule needs for each day of the evidence, from the 28 days before: (…, days).

    Days before `from_day` may be left out (NaN).
    """
    return KINDS[rule.kind].learn(rule.parameters, evidence, from_day)


def judge(rule: Rule, evidence: Evidence, learned: Learned | None = None) -> Judgement:
    """Judge one meter or several; `learned` broadcasts over intervals, None: learn it here."""
    if learned is None:
        learned = spread(learn(rule, evidence), evidence)
    return KINDS[rule.kind].judge(rule.parameters, evidence, learned)


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PRESENCE = "few_persons few_share still_min late_from_minute late_to_minute days_off_by_calendar"
_NIGHT = "night_from_minute night_to_minute"
_WEATHER = "cool_above_c heat_below_c ridge"

KINDS: Mapping[Kind, Way] = {
    Kind.LOAD_WHILE_UNOCCUPIED: Way(
        place.unoccupied, _names(f"share_of_p90 least_kw floor_share {_PRESENCE}"),
        place.learn_unoccupied,
    ),
    Kind.INFERRED_AC: Way(
        place.inferred_ac,
        _names(f"share_of_ac least_kw least_ac_kw least_degrees {_WEATHER} {_PRESENCE}"),
        place.learn_inferred, _names("outdoor_c"),
    ),
    Kind.LOAD_OUTSIDE_HOURS: Way(
        place.outside_hours,
        _names(f"share_of_median times_floor least_kw evenings {_NIGHT} {_PRESENCE}"),
        place.learn_outside_hours,
    ),
    Kind.LIT_BY_DAY: Way(
        place.lit_by_day, _names("share_of_full least_kw latitude longitude sun_above"),
        place.learn_lit,
    ),
    Kind.SAVING_HOUR: Way(
        place.saving_hour, _names("from_minute to_minute least_drop least_kw")
    ),
    Kind.SETPOINT: Way(
        place.setpoint,
        _names("share_of_p90 least_kw summer_above_c winter_below_c cool_to_c heat_to_c"
               " share_a_degree"),
        place.learn_running, _names("room_c outdoor_c"),
    ),
    Kind.SEALED_USE: Way(place.sealed_use, _names("least"), needs=_names("sealed")),
    Kind.FLOW_NEVER_ZERO: Way(water.flow_never_zero, _names("least_m3_per_h")),
    Kind.NIGHT_FLOW: Way(
        water.night_flow, _names(f"least_m3_per_h share_of_mean times_floor {_NIGHT}"),
        water.learn_night_flow,
    ),
    Kind.BURST: Way(water.burst, _names("times_p99 least_m3_per_h"), water.learn_hours),
    Kind.BALANCE: Way(
        water.balance, _names("least_share above_usual over_days usual_percentile least"),
        water.learn_balance, _names("below"),
    ),
    Kind.NIGHT_BASELOAD: Way(
        long.night_baseload, _names(f"times_floor least_kw {_NIGHT}"), long.learn_night,
        look_back_days=4,
    ),
    Kind.DAY_OFF_USE: Way(
        long.day_off_use, _names(f"times_floor least_kw {_PRESENCE}"), long.learn_days_off
    ),
    Kind.ABNORMAL_DAY: Way(
        long.abnormal_day, _names(f"sigmas share least_kwh least_known {_WEATHER}"),
        long.learn_days, _names("outdoor_c"), whole_days=True,
    ),
    Kind.TARGET_PACE: Way(
        long.target_pace, _names("margin least_share"), long.learn_target,
        _names("month_used month_share"), look_back_days=31,
    ),
    Kind.DEMAND: Way(
        supply.demand, _names("share_of_capacity power_factor"),
        needs=_names("capacity_kva reactive_kvar"),
    ),
    Kind.POWER_FACTOR: Way(
        supply.power_factor, _names("standard least_kw"), needs=_names("reactive_kvar")
    ),
    Kind.PHASE_IMBALANCE: Way(
        supply.phase_imbalance, _names("most_share share_of_full"), supply.learn_full,
        _names("current_l1_a current_l2_a current_l3_a"),
    ),
    Kind.SILENT: Way(data.silent, frozenset(), needs=_names("coverage")),
    Kind.FROZEN: Way(
        data.frozen, _names("same_min least_change least"), needs=_names("gauge_kw")
    ),
    Kind.IMPLAUSIBLE: Way(
        data.implausible, _names("times_most least"), needs=_names("max_power")
    ),
    Kind.CLOCK: Way(data.clock, _names("most_s"), needs=_names("clock_offset_s")),
    Kind.GATE_SILENT: Way(data.gate_silent, frozenset()),
}  # fmt: skip
