"""Judge: does a device pass acceptance, and why not.  Pure.

What was read over some minutes is set beside what the display and a clamp meter show.  A check
that cannot be made says so; only what is wrong, or was required and not checked, fails a device.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from contract.measurand import MEASURANDS
from edge.commission.capture import canonical
from edge.commission.checks import Check, counter_running, physical_checks
from edge.commission.solve import COUNTED, Shown
from edge.messages import say

ERROR_SHARE_MAX = 0.01
DISPLAY_SHARE, CLAMP_SHARE = 0.02, 0.06
RATIO_SHARE = 0.08  # how near a standard ratio must lie to be named
STANDARD_RATIOS = (
    1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 40, 50, 60, 80, 100, 120, 150, 160, 200, 240, 250, 300,
    320, 400, 500, 600, 800, 1000,
)  # fmt: skip
SECONDARY_A = 5


@dataclass(frozen=True, slots=True)
class Observed:
    """What the minutes gave: values of each sample, their times, and what the line did."""

    times_s: tuple[float, ...]
    values: tuple[Mapping[str, float], ...]
    requests: int
    failures: int
    reasons: Mapping[str, int]
    latency_p50_s: float | None
    latency_p99_s: float | None
    refused: tuple[str, ...]

    def median(self, measurand: str) -> float | None:
        """Give the median of a point over the samples; None if it never had a value."""
        seen = self.seen(measurand)
        return statistics.median(seen) if seen else None

    def seen(self, measurand: str) -> list[float]:
        """Give the values of a point, oldest first."""
        return [v[measurand] for v in self.values if measurand in v]

    def middle(self) -> dict[str, float]:
        """Give the sample that lies in the middle of the run, as one consistent set of values."""
        full = [v for v in self.values if v]
        return dict(full[len(full) // 2]) if full else {}


@dataclass(frozen=True, slots=True)
class Wiring:
    """How the device is configured, and whether its ratio has to be proven."""

    ct_ratio: float = 1
    pt_ratio: float = 1
    needs_ratio: bool = False


def judge(
    observed: Observed, wiring: Wiring, displays: Sequence[Shown], clamps: Sequence[Shown]
) -> list[Check]:
    """Give every finding: the link, wiring and plausibility, the ratio, the counter."""
    out = [*_link(observed), *_physics(observed, wiring)]
    rows = [(s, DISPLAY_SHARE, "display") for s in displays]
    rows += [(s, CLAMP_SHARE, "clamp") for s in clamps]
    compared = [_compared(observed, wiring, s, share, by) for s, share, by in rows]
    out += compared
    proves = {"A", "kW", "kvar", "kVA", "kWh"}
    if wiring.needs_ratio and not any(MEASURANDS[s.measurand].unit in proves for s, *_ in rows):
        out.append(Check("ratio", False, say("accept_ratio_unproven", ct=f"{wiring.ct_ratio:g}")))
    out += _counter(observed)
    return out


def passes(checks: Sequence[Check]) -> bool:
    """Say whether a device is accepted: nothing is wrong."""
    return bool(checks) and all(c.holds is not False for c in checks)


def _link(observed: Observed) -> list[Check]:
    share = observed.failures / observed.requests if observed.requests else 1.0
    numbers = {"failures": observed.failures, "requests": observed.requests, "share": 100 * share}
    reasons = "、".join(f"{k} {n}" for k, n in observed.reasons.items())
    holds = share <= ERROR_SHARE_MAX and any(observed.values)
    out = [Check("link", holds, say("accept_link", **numbers) + (f" {reasons}" if reasons else ""))]
    if observed.latency_p50_s is not None and observed.latency_p99_s is not None:
        p50, p99 = 1000 * observed.latency_p50_s, 1000 * observed.latency_p99_s
        out.append(Check("latency", True, say("accept_latency", p50=p50, p99=p99)))
    if observed.refused:
        out.append(
            Check("refused", None, say("accept_refused", points="、".join(observed.refused)))
        )
    return out


def _physics(observed: Observed, wiring: Wiring) -> list[Check]:
    """Check the middle sample; a finding must hold in most samples, since loads move."""
    middle = observed.middle()
    has_vt = wiring.pt_ratio != 1
    runs = [physical_checks(v, has_vt=has_vt) for v in observed.values if v]
    out = []
    for check in physical_checks(middle, has_vt=has_vt):
        same = [c for run in runs for c in run if c.name == check.name]
        bad = [c for c in same if c.holds is False]
        good = [c for c in same if c.holds is True]
        out.append((bad if len(bad) > len(good) else good or same)[0])
    return out


def _compared(observed: Observed, wiring: Wiring, shown: Shown, share: float, by: str) -> Check:
    measurand = MEASURANDS[shown.measurand]
    seen, wanted = observed.seen(shown.measurand), canonical(shown)
    label = {"label": measurand.label_zh, "unit": measurand.unit, "shown": f"{wanted:g}"}
    if not seen:
        return Check(by, False, say("accept_no_reading", **label))
    value = statistics.median(seen)
    digit = shown.digit * wanted / shown.value if shown.value else shown.digit
    slack = abs(digit) + (0.0 if shown.unit in COUNTED else share * abs(wanted))
    numbers = {**label, "read": f"{value:.6g}"}
    if min(seen) - slack <= wanted <= max(seen) + slack:
        return Check(by, True, say(f"accept_{by}_ok", **numbers))
    return Check(
        by, False, say(f"accept_{by}_bad", **numbers) + hint(value, wanted, measurand.unit, wiring)
    )


def hint(value: float, wanted: float, unit: str, wiring: Wiring) -> str:
    """Say what would explain a reading that is not the displayed one: sign, scale, ratio."""
    if value == 0 or wanted == 0:
        return ""
    ratio = wanted / value
    if abs(ratio + 1) <= RATIO_SHARE:
        return say("accept_hint_sign")
    if ratio < 0:
        return ""
    base = wiring.pt_ratio if unit == "V" else wiring.ct_ratio
    wanted_ratio = ratio * base
    nearest = min(STANDARD_RATIOS, key=lambda r: abs(r - wanted_ratio) / r)
    if (
        abs(nearest - wanted_ratio) <= RATIO_SHARE * nearest
        and nearest != base
        and unit in _CT_UNITS
    ):
        plate = f"{nearest * SECONDARY_A}/{SECONDARY_A}"
        return say("accept_hint_ratio", ratio=nearest, plate=plate, configured=f"{base:g}")
    for power in (-3, -2, -1, 1, 2, 3):
        if abs(ratio / 10.0**power - 1) <= RATIO_SHARE:
            return say("accept_hint_scale", factor=f"{10.0**power:g}")
    return say("accept_hint_factor", factor=f"{ratio:.3g}")


_CT_UNITS = frozenset({"A", "kW", "kvar", "kVA", "kWh", "kvarh"})


def _counter(observed: Observed) -> list[Check]:
    rows = [(t, v) for t, v in zip(observed.times_s, observed.values, strict=True) if v]
    if len(rows) < 2:
        return []
    (start_s, before), (end_s, now) = rows[0], rows[-1]
    check = counter_running(before, now, (end_s - start_s) / 3600)
    return [] if check is None else [check]
