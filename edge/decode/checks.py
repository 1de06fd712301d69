"""Checks: what one device's values of a slot say about each other.  Pure.

A check lowers quality to uncertain and never takes a value away.  Registers of one slot are not
read at one instant, and secondary values are coarse, so tolerances are wide: they catch a wrong
register, ratio or word order, and leave rounding and a starting motor alone.

- phases   |P1 + P2 + P3 - P| <= 10 % of the larger + 0.2 kW, else all four are doubted
- power    |P| <= 1.05 S + 0.2 kVA, else P and S are; without an S: |P| <= 1.10 ΣUI + 0.2 kVA
- factor   | |PF| - |P|/S | <= 0.10 where S >= 1 kVA, else PF is
- voltage  no phase above 1.3 times the median of the three (a lost phase is real, and no doubt)
- counter  not below its last value.  One reading is doubted, then the new value is the last one.
  A rollover steps back, too: that it was declared, and what it means, is the server's affair.
"""

from collections.abc import Iterable, Mapping, Sequence

from contract.measurand import MEASURANDS, Kind
from contract.reading import Reading, Reason
from edge.decode.values import Columns

_COUNTERS = frozenset(m.name for m in MEASURANDS.values() if m.kind is Kind.COUNTER)
_PHASE_POWERS = ("power_l1_kw", "power_l2_kw", "power_l3_kw")
_VOLTAGES = ("voltage_l1_v", "voltage_l2_v", "voltage_l3_v")
_CURRENTS = ("current_l1_a", "current_l2_a", "current_l3_a")
_SLACK_KW = 0.2
_SMALLEST_KVA = 1.0
_LIVE_V = 50.0


def cross_checked(readings: Sequence[Reading], previous: Mapping[str, float]) -> list[Reading]:
    """Give one device's readings of a slot, those that contradict each other as uncertain.

    `previous` holds the counters' last values by measurand: the caller keeps
    `previous | counters(readings)` for the next slot.
    """
    values = {r.point.measurand: r.value for r in readings if r.value is not None}
    found = doubts(values, previous)
    if not found:
        return list(readings)
    return [_doubted(r, found) for r in readings]


def cross_check(columns: Sequence[Columns], previous: Mapping[str, float]) -> dict[str, float]:
    """Add the same doubts to one device's columns of a slot; give the `previous` of the next."""
    values = _standing(columns)
    found = doubts(values, previous)
    if found:
        for c in columns:
            for i, name in enumerate(c.form.names):
                if name in found and i not in c.doubts:
                    c.doubts[i] = found[name]
    latest = dict(previous)
    for c in columns:
        for name in c.form.counters:
            if name in values:
                latest[name] = values[name]
    return latest


def _standing(columns: Iterable[Columns]) -> dict[str, float]:
    """Give the values that have no bad reason by measurand."""
    values: dict[str, float] = {}
    for c in columns:
        names = c.form.names
        values.update(zip(names, c.values, strict=True))
        for i, reason in c.doubts.items():
            if reason.is_bad:
                del values[names[i]]
    return values


def counters(readings: Iterable[Reading]) -> dict[str, float]:
    """Give the counters among readings by measurand."""
    return {
        r.point.measurand: r.value
        for r in readings
        if r.value is not None and r.point.measurand in _COUNTERS
    }


def doubts(values: Mapping[str, float], previous: Mapping[str, float]) -> dict[str, Reason]:
    """Give the measurands whose values contradict others, with the reason."""
    get = values.get
    power = get("power_kw")
    crossed = () if power is None else _crossed(power, values)
    found = dict.fromkeys(crossed, Reason.CROSS_CHECK)
    u1, u2, u3 = get("voltage_l1_v"), get("voltage_l2_v"), get("voltage_l3_v")
    if u1 is not None and u2 is not None and u3 is not None:
        _, middle, high = sorted((u1, u2, u3))
        if high > 1.3 * middle and middle > _LIVE_V:
            found |= {n: Reason.CROSS_CHECK for n in _VOLTAGES if values[n] > 1.3 * middle}
    for name, before in previous.items():
        now = get(name)
        if now is not None and now < before:
            found[name] = Reason.COUNTER_BACKWARD
    return found


def _crossed(power: float, values: Mapping[str, float]) -> tuple[str, ...]:
    apparent = values.get("apparent_power_kva")
    crossed: tuple[str, ...] = ()
    if _phases_differ(power, values):
        crossed = ("power_kw", *_PHASE_POWERS)
    if apparent is None:
        return (*crossed, "power_kw") if _exceeds_currents(power, values) else crossed
    if abs(power) > 1.05 * apparent + _SLACK_KW:
        crossed += ("power_kw", "apparent_power_kva")
    if _factor_differs(power, apparent, values.get("power_factor")):
        crossed += ("power_factor",)
    return crossed


def _phases_differ(power: float, values: Mapping[str, float]) -> bool:
    get = values.get
    p1, p2, p3 = get("power_l1_kw"), get("power_l2_kw"), get("power_l3_kw")
    if p1 is None or p2 is None or p3 is None:
        return False
    total = p1 + p2 + p3
    return abs(total - power) > 0.1 * max(abs(total), abs(power)) + _SLACK_KW


def _factor_differs(power: float, apparent: float, factor: float | None) -> bool:
    if factor is None or apparent < _SMALLEST_KVA:
        return False
    return not -0.1 <= abs(factor) - abs(power) / apparent <= 0.1


def _exceeds_currents(power: float, values: Mapping[str, float]) -> bool:
    pairs = [(values.get(u), values.get(i)) for u, i in zip(_VOLTAGES, _CURRENTS, strict=True)]
    products = [abs(u * i) / 1000 for u, i in pairs if u is not None and i is not None]
    measured = sum(u is not None or i is not None for u, i in pairs)
    is_whole = bool(products) and len(products) == measured
    return is_whole and abs(power) > 1.1 * sum(products) + _SLACK_KW


def _doubted(reading: Reading, found: Mapping[str, Reason]) -> Reading:
    reason = found.get(reading.point.measurand)
    if reason is None or reading.value is None or reading.reason is not Reason.GOOD:
        return reading
    return Reading(reading.point, reading.time_ms, reading.value, reason, reading.lag_s)
