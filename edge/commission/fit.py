"""Fit: which device profile explains what a unit answered, and why.  Pure.

Each profile is tried by a few signature points.  What they decode to is weighed: a voltage near
230 V speaks for a profile, a refused register or a number no meter shows speaks against it.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from contract.reading import Reading, Reason
from edge.commission.checks import Check, by_phase, physical_checks
from edge.messages import say
from edge.profile import DeviceProfile, PointSpec

SIGNATURE = (
    "voltage_l1_v", "voltage_l2_v", "voltage_l3_v", "current_l1_a", "current_l2_a",
    "current_l3_a", "power_l1_kw", "power_l2_kw", "power_l3_kw", "power_kw", "power_factor",
    "apparent_power_kva", "frequency_hz", "energy_import_kwh", "energy_total_kwh",
)  # fmt: skip
OTHERS_TRIED = 6
FITS_FROM = 0.6  # share of the possible evidence from which a profile is proposed
STRONG, PLAIN, WEAK = 3.0, 1.0, 0.5
_WEIGHTS = {"voltage": STRONG, "frequency": STRONG, "sum": STRONG, "volt_amperes": STRONG}
_NO_LOAD_POINTS = ("current", "power")  # zero is a plain answer for these
_EXPECTED: Mapping[str, tuple[float, float]] = {
    "temperature_c": (-25, 50), "humidity_percent": (5, 100), "water_temperature_c": (0, 60),
    "water_pressure_mpa": (0, 2), "flow_m3_per_h": (-500, 500), "volume_m3": (0, 1e6),
    "co2_ppm": (200, 5000),
}  # fmt: skip
_TINY = 1e-9  # wrong words read as a float are mostly far from anything


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing seen: its weight, how much of that it earned (−1 … 1), what to say."""

    weight: float
    earned: float
    text: str


@dataclass(frozen=True, slots=True)
class Fit:
    """How well a profile explains a unit: share of the possible evidence (0 … 1), and why."""

    ref: str
    title: str
    share: float
    weight: float
    reasons: tuple[str, ...]
    against: tuple[str, ...]

    @property
    def is_proposed(self) -> bool:
        """Say whether the profile explains enough to be proposed."""
        return self.share >= FITS_FROM and self.weight >= STRONG - PLAIN


def signature(profile: DeviceProfile) -> list[PointSpec]:
    """Give the few points by which a profile is tried."""
    named = {p.measurand: p for p in profile.points if p.function}
    points = [named[n] for n in SIGNATURE if n in named]
    return points or [p for p in profile.points if p.function][:OTHERS_TRIED]


def fit(profile: DeviceProfile, readings: Mapping[str, Reading]) -> Fit:
    """Weigh a profile by the readings of its signature points."""
    evidence = [*_points(profile, readings), *_physics(readings)]
    possible = sum(e.weight for e in evidence)
    earned = sum(e.weight * e.earned for e in evidence)
    ordered = sorted(evidence, key=lambda e: -e.weight)
    return Fit(
        profile.ref,
        profile.title,
        max(0.0, earned / possible) if possible else 0.0,
        earned,
        tuple(e.text for e in ordered if e.earned > 0 and e.text),
        tuple(e.text for e in ordered if e.earned < 0 and e.text),
    )


def rank(fits: Iterable[Fit]) -> list[Fit]:
    """Give the fits, best first: those that explain enough by how much they explain."""
    return sorted(fits, key=lambda f: (f.is_proposed, f.weight, f.share), reverse=True)


def is_clear(ranked: Sequence[Fit]) -> bool:
    """Say whether the first fit stands alone."""
    proposed = [f for f in ranked if f.is_proposed]
    return len(proposed) == 1 or (
        len(proposed) > 1 and proposed[0].weight - proposed[1].weight >= STRONG
    )


def _physics(readings: Mapping[str, Reading]) -> Iterator[Evidence]:
    values = {n: r.value for n, r in readings.items() if r.value is not None}
    volts = by_phase(values, "voltage_{}_v")
    missing = [p for p, v in volts.items() if v == 0]
    for check in physical_checks(values):
        if check.name in {"direction", "balance"}:  # wiring is not the profile's fault
            continue
        weight = _WEIGHTS.get(check.name, PLAIN)
        if check.name == "voltage":
            weight *= len(volts)
            share = 1 - 2 * sum(1 for v in volts.values() if abs(v - 230) > 46) / len(volts)
            yield Evidence(weight, share, _why(check))
        elif check.holds is not None:
            yield Evidence(weight, 1.0 if check.holds else -1.0, _why(check))
    if missing and len(missing) < len(volts):
        yield Evidence(PLAIN, -1.0, "")


def _why(check: Check) -> str:
    return check.text.split(" / ")[0]


def _points(profile: DeviceProfile, readings: Mapping[str, Reading]) -> Iterator[Evidence]:
    refused = []
    for point in signature(profile):
        reading = readings.get(point.measurand)
        if reading is None:
            continue
        if reading.value is None:
            if reading.reason is Reason.ILLEGAL_ADDRESS:
                refused.append(f"{point.function:02d}:{point.address:04X}")
                yield Evidence(2 * PLAIN, -1.0, "")
            else:
                bad = say("fit_bad_value", at=f"{point.address:04X}", why=reading.reason.name)
                yield Evidence(2 * PLAIN, -1.0, bad.lower())
            continue
        yield _value(point, reading.value)
    if refused:
        listed = " ".join(refused[:4]) + (" …" if len(refused) > 4 else "")
        yield Evidence(PLAIN, -1.0, say("fit_refused", registers=listed))


def _value(point: PointSpec, value: float) -> Evidence:
    name, shown = point.measurand, f"{value:.4g} {point.canonical_unit}"
    text = say("fit_value", name=name, shown=shown)
    if 0 < abs(value) < _TINY or not math.isfinite(value):
        return Evidence(2 * PLAIN, -1.0, text)
    if name in _EXPECTED:
        low, high = _EXPECTED[name]
        return Evidence(PLAIN, 1.0 if low <= value <= high else -1.0, text)
    if value == 0:
        return Evidence(WEAK, 0.5 if name.startswith(_NO_LOAD_POINTS) else 0.0, "")
    return Evidence(WEAK, 1.0, "")
