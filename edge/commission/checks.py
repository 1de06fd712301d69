"""Checks: what physics says about the values of one device at one moment.  Pure.

Values are in canonical units, by measurand; what is not known is absent.  A check says True,
False, or None where the values do not allow a judgement (no load, no such point).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from edge.messages import say

Values = Mapping[str, float]
PHASES = {"l1": "A", "l2": "B", "l3": "C"}
NOMINAL_V, NOMINAL_HZ = 230.0, 50.0
VOLTAGE_SHARE, BALANCE_SHARE, FREQUENCY_HZ = 0.2, 0.05, 1.0
SUM_SHARE, POWER_SHARE, FACTOR_SLACK = 0.02, 0.03, 0.03
NO_LOAD_KW = 0.02  # below this, power says nothing about wiring
REVERSED_FACTOR, CROSSED_FACTOR, STRAIGHT_FACTOR = 0.5, 0.5, 0.7


@dataclass(frozen=True, slots=True)
class Check:
    """One finding: a stable name, True / False / None (cannot tell), and what to tell a person."""

    name: str
    holds: bool | None
    text: str


def physical_checks(values: Values, *, has_vt: bool = False) -> list[Check]:
    """Give the checks that apply to a device's values; `has_vt`: a voltage transformer is used."""
    checks = [
        None if has_vt else _voltage(values),
        _balance(values),
        _frequency(values),
        sum_of_phases(values),
        _apparent(values),
        _factor(values),
        _volt_amperes(values),
        direction(values),
    ]
    return [c for c in checks if c is not None]


def by_phase(values: Values, name: str) -> dict[str, float]:
    """Give a quantity's values by phase key, for `name` like "voltage_{}_v"."""
    return {p: values[name.format(p)] for p in PHASES if name.format(p) in values}


def _listed(values: Mapping[str, float], digits: int = 1) -> str:
    return "/".join(f"{v:.{digits}f}" for v in values.values())


def _check(name: str, holds: bool | None, **values: object) -> Check:
    state = {True: "ok", False: "bad", None: "unknown"}[holds]
    return Check(name, holds, say(f"check_{name}_{state}", **values))


def _voltage(values: Values) -> Check | None:
    volts = by_phase(values, "voltage_{}_v")
    if not volts:
        return None
    off = [p for p, v in volts.items() if abs(v - NOMINAL_V) > VOLTAGE_SHARE * NOMINAL_V]
    phases = "、".join(PHASES[p] for p in off)
    return _check("voltage", not off, shown=_listed(volts), phases=phases)


def _balance(values: Values) -> Check | None:
    volts = by_phase(values, "voltage_{}_v")
    mean = sum(volts.values()) / len(volts) if volts else 0.0
    if len(volts) < 3 or mean <= 0:
        return None
    worst = max(volts, key=lambda p: abs(volts[p] - mean))
    share = abs(volts[worst] - mean) / mean
    return _check("balance", share <= BALANCE_SHARE, phase=PHASES[worst], percent=100 * share)


def _frequency(values: Values) -> Check | None:
    if "frequency_hz" not in values:
        return None
    hertz = values["frequency_hz"]
    return _check("frequency", abs(hertz - NOMINAL_HZ) <= FREQUENCY_HZ, shown=f"{hertz:.2f}")


def sum_of_phases(values: Values) -> Check | None:
    """Say whether the phases' powers add up to the total."""
    phases = by_phase(values, "power_{}_kw")
    if len(phases) < 3 or "power_kw" not in values:
        return None
    total, added = values["power_kw"], sum(phases.values())
    size = sum(abs(p) for p in phases.values())
    if max(size, abs(total)) < NO_LOAD_KW:
        return _check("sum", None)
    holds = abs(total - added) <= max(SUM_SHARE * size, 0.005)
    return _check("sum", holds, total=f"{total:.3f}", added=f"{added:.3f}")


def _apparent(values: Values) -> Check | None:
    if not {"power_kw", "apparent_power_kva"} <= values.keys():
        return None
    power, apparent = values["power_kw"], values["apparent_power_kva"]
    holds = abs(power) <= apparent * (1 + POWER_SHARE) + 0.005
    return _check("apparent", holds, power=f"{power:.3f}", apparent=f"{apparent:.3f}")


def apparent_kva(values: Values) -> float | None:
    """Give the apparent power: the meter's own, or volts times amperes; None if neither."""
    if "apparent_power_kva" in values:
        return values["apparent_power_kva"]
    volts, amperes = by_phase(values, "voltage_{}_v"), by_phase(values, "current_{}_a")
    if not amperes or not volts.keys() >= amperes.keys():
        return None
    return sum(volts[p] * abs(amperes[p]) for p in amperes) / 1000


def _factor(values: Values) -> Check | None:
    apparent = apparent_kva(values)
    if apparent is None or not {"power_factor", "power_kw"} <= values.keys():
        return None
    if apparent < NO_LOAD_KW:
        return _check("factor", None)
    shown, worked = abs(values["power_factor"]), abs(values["power_kw"]) / apparent
    holds = abs(shown - worked) <= FACTOR_SLACK
    return _check("factor", holds, shown=f"{shown:.3f}", worked=f"{worked:.3f}")


def _volt_amperes(values: Values) -> Check | None:
    """More power than volts times amperes allow: a scale or a ratio is wrong."""
    without = {k: v for k, v in values.items() if k != "apparent_power_kva"}
    apparent = apparent_kva(without)
    if apparent is None or "power_kw" not in values:
        return None
    power = abs(values["power_kw"])
    if max(apparent, power) < NO_LOAD_KW:
        return _check("volt_amperes", None)
    holds = 0.05 * apparent <= power <= apparent * (1 + POWER_SHARE) + 0.005
    return _check("volt_amperes", holds, power=f"{power:.3f}", apparent=f"{apparent:.3f}")


def phase_factors(values: Values) -> dict[str, float]:
    """Give P / (U·I) of each loaded phase, with the sign of P."""
    powers = by_phase(values, "power_{}_kw")
    volts, amperes = by_phase(values, "voltage_{}_v"), by_phase(values, "current_{}_a")
    out = {}
    for phase in powers.keys() & volts.keys() & amperes.keys():
        apparent = volts[phase] * abs(amperes[phase]) / 1000
        if apparent >= NO_LOAD_KW:
            out[phase] = powers[phase] / apparent
    return dict(sorted(out.items()))


def direction(values: Values) -> Check | None:
    """Say whether power flows the same way in all phases; name the one that looks reversed.

    One negative phase among positive ones is a current transformer turned round.  Two currents
    in each other's voltages stand 120° off: their power factors fall apart, the third's stays.
    """
    powers = by_phase(values, "power_{}_kw")
    loaded = {p: v for p, v in powers.items() if abs(v) >= NO_LOAD_KW}
    if not powers:
        return None
    if not loaded:
        return _check("direction", None)
    factors = phase_factors(values)
    odd = [p for p, f in factors.items() if f < 0 or abs(f) < CROSSED_FACTOR]
    rest = [f for p, f in factors.items() if p not in odd]
    if len(odd) == 2 and rest and min(rest) >= STRAIGHT_FACTOR and _fall_apart(factors, odd):
        return Check("direction", False, say("check_crossed", phases=_named(odd)))
    negative = [p for p, v in loaded.items() if v < 0]
    if negative and len(negative) == len(loaded):
        return Check("direction", False, say("check_all_reversed"))
    return _check("direction", not negative, phases=_named(negative))


def _fall_apart(factors: Mapping[str, float], odd: list[str]) -> bool:
    return any(abs(factors[p]) < REVERSED_FACTOR for p in odd)


def _named(phases: list[str]) -> str:
    return "、".join(f"{PHASES[p]}相" for p in phases)


COUNTERS = ("energy_import_kwh", "energy_total_kwh", "volume_m3")


def counter_running(before: Values, now: Values, hours: float, step: float = 0.1) -> Check | None:
    """Compare a counter's advance with the power or flow between two moments.

    `step` is what the counter may lag behind in its own unit (display digit, update interval).
    """
    name = next((c for c in COUNTERS if c in before and c in now), None)
    if name is None:
        return None
    moved = now[name] - before[name]
    if moved < 0:
        return _check("counter", False, moved=f"{moved:.3f}", expected="≥ 0")
    rate = "flow_m3_per_h" if name == "volume_m3" else "power_kw"
    if rate not in before or rate not in now:
        return (
            _check("counter", None) if moved == 0 else _check("counter", True, moved=f"{moved:.3f}")
        )
    mean = (before[rate] + now[rate]) / 2
    expected = max(mean, -mean if name == "energy_total_kwh" else 0.0) * hours
    if expected <= 2 * step and moved <= 2 * step + expected:
        return _check("counter", None)
    holds = abs(moved - expected) <= 0.1 * expected + step
    return _check("counter", holds, moved=f"{moved:.3f}", expected=f"{expected:.3f}")
