"""Score: every rule on scenes it has not seen, beside the scenes' truth."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from server.jobs.evidence import Gathered
from server.periods import DAY_MS, Interval
from server.rules.engine import AlertSpan, alerts
from server.rules.kinds import KINDS, judge
from server.rules.measure import Score
from server.rules.model import Judgement, Rule
from server.rules.model import Truth as Said
from server.rules.repeats import lowest
from simulators.conditions import Floats
from simulators.scene_shapes import LEARN_DAYS, SCORED_DAYS, STEP_MS, STEPS_A_DAY
from simulators.scene_store import SceneStore, grid_of, lag_ms, site_of
from simulators.scene_wastes import draw_wastes, finish_clean
from simulators.scenes import MAIN, WATER, Scene, Truth, draw_scene

TUNING, SCORING = range(1, 41), range(1001, 1061)
EDGE_STEPS = 6  # half an hour: an alert may end this much after its waste
_ON_MAIN = frozenset({
    "ac_empty", "ac_empty_total", "equipment", "lights", "baseload", "day_off", "abnormal",
    "saving_hour", "setpoint", "sealed",
})  # fmt: skip
# a rule's own wastes, for recall; and those that are right to be told by it
OWN: dict[str, str] = {
    "unattended_ac": "ac_empty", "unattended_ac_inferred": "ac_empty_total",
    "lights_all_night": "lights", "equipment_left_on": "equipment",
    "outdoor_lights_by_day": "lit_by_day", "saving_hour_not_kept": "saving_hour",
    "setpoint_breach": "setpoint", "sealed_use": "sealed", "running_water": "leak",
    "night_flow": "leak", "water_burst": "burst", "water_balance": "lost",
    "night_baseload": "baseload", "day_off_use": "day_off", "abnormal_day": "abnormal",
    "load_high": "demand", "power_factor_low": "power_factor", "phase_imbalance": "imbalance",
    "silent_meter": "silent", "silent_water_meter": "silent_water", "frozen_meter": "frozen",
    "implausible_meter": "implausible", "agent_clock": "clock", "gate_silent": "gate_silent",
}  # fmt: skip
ALSO: dict[str, frozenset[str]] = {
    "unattended_ac_inferred": frozenset({"abnormal", "baseload", "day_off"}),
    "running_water": frozenset({"lost", "leak"}), "night_flow": frozenset({"lost", "leak"}),
    "water_burst": frozenset({"burst"}),
    "night_baseload": _ON_MAIN, "day_off_use": _ON_MAIN, "abnormal_day": _ON_MAIN,
}  # fmt: skip
LASTING = {"night_baseload"}  # other wastes count as far as they last three nights


@dataclass(slots=True)
class Tally(Score):
    """What a rule did over scenes; amounts in kWh or m³."""

    wasted: float = 0.0
    weeks: float = 0.0
    clean_alerts: int = 0  # in the same buildings without a waste or fault

    def cells(self) -> tuple[str, ...]:
        """Give a row of the table."""
        late = f"{median(self.minutes):.0f}" if self.minutes else "—"
        ratio = f"{self.flagged / self.wasted:.2f}" if self.wasted else "—"
        false = (self.alerts - self.right) / self.weeks if self.weeks else 0.0
        clean = self.clean_alerts / self.weeks if self.weeks else 0.0
        return (
            str(self.wastes), str(self.alerts), f"{self.precision:.3f}", f"{self.recall:.3f}",
            late, f"{false:.3f}",
            f"{clean:.3f}", ratio,
        )  # fmt: skip


COLUMNS = (
    "规则 rule|浪费 wastes|告警 alerts|查准 precision|查全 recall|延迟 min to alarm"
    "|误报/栋·周 false|无浪费时 clean|判定/实际 kWh ratio"
)


def score(rules: Sequence[Rule], seeds: Iterable[int]) -> dict[str, Tally]:
    """Judge every rule on the scenes of some seeds; give a tally each."""
    out = {r.id: Tally() for r in rules if r.id in OWN}
    for seed in seeds:
        clean, scene = draw_scene(seed), draw_scene(seed)
        finish_clean(clean)
        draw_wastes(scene)
        _judge_all(rules, clean, out, is_clean=True)
        _judge_all(rules, scene, out)
    return out


def _judge_all(
    rules: Sequence[Rule], scene: Scene, out: dict[str, Tally], is_clean: bool = False
) -> None:
    """Judge every rule on one scene and count."""
    grid = grid_of(scene)
    site = site_of(scene)
    span = Interval(int(grid[0]), int(grid[-1]))
    gathered = Gathered.of(SceneStore(scene), site, span).reading(site.meters)
    parents = {m.id: m.parent for m in site.meters}
    for rule in rules:
        targets = rule.targets(site)
        if rule.id not in OWN or not targets:
            continue
        judgement = judge(rule, gathered.evidence(rule, targets))
        scored = judgement.since(scene.setting.start_ms + LEARN_DAYS * DAY_MS)
        rows = {m.id: scored.row(i) for i, m in enumerate(targets)}
        found = lowest({m: alerts(rule, row) for m, row in rows.items()}, parents)
        tally = out[rule.id]
        if is_clean:
            for meter, spans in found.items():
                meant = [t for t in scene.truths if t.kind == OWN[rule.id] and t.meter == meter]
                start_ms = scene.setting.start_ms
                tally.clean_alerts += sum(
                    not any(_meets(a, t, start_ms, scored) for t in meant) for a in spans
                )
            continue
        tally.weeks += SCORED_DAYS / 7
        for meter, spans in found.items():
            _count(tally, scene, rule, meter, rows[meter], spans)


def _count(
    tally: Tally, scene: Scene, rule: Rule, meter: str, scored: Judgement,
    found: Sequence[AlertSpan],
) -> None:  # fmt: skip
    start_ms = scene.setting.start_ms
    own = [t for t in scene.truths if t.kind == OWN[rule.id] and t.meter == meter]
    kinds = ALSO.get(rule.id, frozenset())
    also = [t for t in scene.truths if t.kind in kinds and _under(t, meter) and t not in own]
    tally.wastes += len(own)
    tally.alerts += len(found)
    told: set[int] = set()
    for a in found:
        spans = [(k, t) for k, t in enumerate([*own, *also]) if _meets(a, t, start_ms, scored)]
        tally.right += bool(spans)
        for k, t in spans:
            if k < len(own) and k not in told:
                told.add(k)
                when = _heard_ms(scene, rule, meter, a)
                tally.minutes.append(max(0.0, (when - start_ms - t.start * STEP_MS) / 60_000))
        tally.flagged += a.excess
    tally.found += len(told)
    tally.wasted += sum(t.amount for t in own) + _seen_also(scene, rule, also, scored, found)


def _under(t: Truth, meter: str) -> bool:
    """Say whether a truth lies on a meter or below it."""
    return t.meter == meter or (meter == (WATER if t.meter.startswith("W") else MAIN))


def _meets(a: AlertSpan, t: Truth, start_ms: int, scored: Judgement) -> bool:
    end_ms = int(scored.edges_ms[-1]) if a.end_ms is None else a.end_ms
    first, last = (a.start_ms - start_ms) / STEP_MS, (end_ms - start_ms) / STEP_MS
    return first < t.end + EDGE_STEPS and t.start - EDGE_STEPS < last


def _heard_ms(scene: Scene, rule: Rule, meter: str, a: AlertSpan) -> int:
    """Give when an alert could be told: it fired, its readings had come, its day was over."""
    fired = a.fired_ms
    if KINDS[rule.kind].whole_days:
        fired = max(fired, a.start_ms + DAY_MS)
    lag = lag_ms(scene, meter)
    at = np.arange(len(lag)) * 900_000 + scene.setting.start_ms
    here = (at >= a.start_ms) & (at < a.fired_ms)
    come = (at + 900_000 + lag)[here]
    return max(fired, int(come.max())) if len(come) else fired


def _seen_also(
    scene: Scene, rule: Rule, also: Sequence[Truth], scored: Judgement, found: Sequence[AlertSpan]
) -> float:
    """Give what other wastes took while the rule said true in an alert: it is right to count."""
    told = np.zeros(len(scored.truth), bool)
    for a in found:
        i = np.searchsorted(scored.edges_ms, a.start_ms)
        j = len(told) if a.end_ms is None else np.searchsorted(scored.edges_ms, a.end_ms)
        told[i:j] = True
    true = np.repeat((scored.truth == Said.TRUE) & told, 3)
    true = np.concatenate([np.zeros(scene.setting.steps - len(true), bool), true])
    keys = {(t.meter, t.kind) for t in also}
    if rule.id not in LASTING:
        return float(sum(scene.wasted[k][true].sum() for k in keys)) / 12.0
    rest = sum((scene.wasted[k] for k in keys), np.zeros(scene.setting.steps))
    return float(np.minimum(rest, _lasting(rest))[true].sum()) / 12.0


def _lasting(wasted: Floats, nights: int = 3) -> Floats:
    """Give the waste that three nights together reach, (n,): what a base load can mean."""
    by_day = wasted.reshape(-1, STEPS_A_DAY)[:, : 5 * 12].mean(1)
    windows = np.lib.stride_tricks.sliding_window_view(by_day, nights).min(1)
    padded = np.concatenate([np.zeros(nights - 1), windows, np.zeros(nights - 1)])
    most = np.lib.stride_tricks.sliding_window_view(padded, nights).max(1)
    return np.repeat(most, STEPS_A_DAY)


def table(rules: Sequence[Rule], seeds: Iterable[int]) -> tuple[str, list[tuple[str, ...]]]:
    """Give (columns, rows) of the score, a rule a row."""
    found = score(rules, seeds)
    return COLUMNS, [(name, *tally.cells()) for name, tally in found.items()]
