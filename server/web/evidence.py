"""An alert's page: what was seen, what it costs, what people did, what closing it saved."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from contract.reading import PointId
from server.analysis import Analysis
from server.jobs.judging import evidence_of
from server.jobs.works import whole_days
from server.periods import DAY_MS, HOUR_MS, QUARTER_MS, Interval, Step
from server.rollup.combine import mean_power_kw
from server.rules.model import Rule
from server.rules.presence import occupancy
from server.series import Times, Values
from server.site.model import Carrier, Meter
from server.state import AlertRow
from server.state.alert_rows import TransitionRow
from server.state.life import FALSE_ALARM_REASONS, SYSTEM, WHITELIST_REASONS, actions_of
from server.web import labels
from server.web.acting import MUTE_DAYS
from server.web.inbox import rows_of
from server.web.views import clean, local

SHOWN_DAYS = 10
LATE_MS = 2 * HOUR_MS  # recorded later than this after it was true: late data, said so
_PRESENCE_BEFORE_MS = 30 * DAY_MS  # what a gate misses is learned of weeks


def alert_page(analysis: Analysis, a: AlertRow) -> dict[str, Any]:
    """Give an alert's page."""
    inbox = analysis.works.state.inbox
    rule = next((r for r in analysis.works.rules if r.id == a.rule), None)
    meter = next((m for m in analysis.site.meters if m.id == a.meter), None)
    rates = inbox.false_alarm_rate()
    is_whole = rule is not None and meter is not None
    return {
        "alert": rows_of(analysis, [a])[0],
        "row": a,
        "rule": rule,
        "limit": labels.limit(rule.kind if rule else "", a.evidence.get("threshold"), a.unit),
        "parent": None if a.parent_id is None else inbox.get(a.parent_id),
        "children": rows_of(analysis, inbox.children(a.id)),
        "timeline": [line_of(analysis, t) for t in inbox.transitions(a.id)],
        "proofs": [_proof(analysis, p) for p in inbox.proofs(a.id)],
        "actions": [str(x) for x in actions_of(a.work)],
        "rate": rates.get(a.rule),
        "reasons": FALSE_ALARM_REASONS,
        "expected_reasons": WHITELIST_REASONS,
        "mute_days": MUTE_DAYS,
        "weekday": str(local(a.start_ms, analysis).isoweekday()),
        "chart": _chart(analysis, rule, meter, a) if is_whole and rule and meter else None,
        "said": "",
        "is_done": True,
    }


def _chart(analysis: Analysis, rule: Rule, meter: Meter, a: AlertRow) -> dict[str, Any]:
    now_ms = analysis.clock.now_ms()
    end_ms = min(a.end_ms or now_ms, a.start_ms + SHOWN_DAYS * DAY_MS)
    span = whole_days(Interval(a.start_ms - 6 * HOUR_MS, end_ms + 6 * HOUR_MS), analysis.site)
    span = Interval(span.start_ms, min(span.end_ms, max(now_ms, span.start_ms + HOUR_MS)))
    judged = evidence_of(analysis.works, rule, meter, span)
    r = analysis.works.store.read_rollups(analysis.site, [meter.id], Step.QUARTER, span)[meter.id]
    persons = present(analysis, meter.building, r.edges_ms)
    true = set(judged.edges_ms[:-1][judged.truth == 1].tolist())
    return {
        "times": [_iso(analysis, t) for t in r.starts_ms.tolist()],
        "power": clean(mean_power_kw(r)),
        "threshold": clean(judged.threshold) if labels.is_limit_of_load(rule.kind) else None,
        "floor": clean(judged.floor),
        "true": [t in true for t in r.starts_ms.tolist()],
        "persons": None if persons is None else clean(persons, 0),
        "unit": labels.POWER_UNITS[a.unit],
        "name": "功率" if meter.carrier is Carrier.ELECTRICITY else "流量",
        "start": _iso(analysis, a.start_ms),
        "fired": _iso(analysis, a.fired_ms),
        "end": _iso(analysis, min(a.end_ms or now_ms, span.end_ms)),
        "is_cut": end_ms < (a.end_ms or now_ms),
    }


def present(analysis: Analysis, building: str, edges_ms: Times) -> Values | None:
    """Give persons in a building by its gates, (n,), counts only; None: it has no gate."""
    gates = [g for g in analysis.site.gates if g.building == building]
    if not gates or len(edges_ms) < 2:
        return None
    site, store = analysis.site, analysis.works.store
    first, last = int(edges_ms[0]), int(edges_ms[-1])
    grid = np.arange(first - _PRESENCE_BEFORE_MS, last + 1, QUARTER_MS, dtype=np.int64)
    total = np.zeros(len(grid) - 1)
    for gate in gates:
        ids = [PointId(site.id, gate.device, f"door_{d}_total") for d in ("in", "out")]
        found = store.read_many(ids, Interval(int(grid[0]) - DAY_MS, last + DAY_MS))
        total = total + occupancy(found[ids[0]], found[ids[1]], grid, site)
    return np.asarray(total[-(len(edges_ms) - 1) :])


def _iso(analysis: Analysis, at_ms: int) -> str:
    return f"{local(at_ms, analysis):%Y-%m-%d %H:%M}"


def line_of(analysis: Analysis, t: TransitionRow) -> dict[str, Any]:
    """Give a transition as a line of the timeline."""
    return {
        "at": _iso(analysis, t.at_ms),
        "recorded": _iso(analysis, t.recorded_ms) if t.recorded_ms - t.at_ms > LATE_MS else "",
        "what": "未成立" if t.detail.get("lapsed") else labels.PHASES.get(t.to_phase, t.to_phase),
        "phase": t.to_phase,
        "by": "系统" if t.by == SYSTEM else t.by,
        "detail": "；".join(_detail(analysis, t)),
    }


def _detail(analysis: Analysis, t: TransitionRow) -> Iterable[str]:
    """Say what a transition carries, in words."""
    d: Mapping[str, Any] = t.detail
    if "to" in d:
        yield f"派给 {d['to']}"
    if "text" in d:
        yield str(d["text"])
    if "until_ms" in d:
        yield f"至 {_iso(analysis, d['until_ms'])}"
    if "reason" in d:
        yield FALSE_ALARM_REASONS.get(d["reason"], str(d["reason"]))
    for key, name in (("start_ms", "开始"), ("end_ms", "结束")):
        if key in d:
            yield f"{name} {_moment(analysis, d[key][0])} → {_moment(analysis, d[key][1])}"
    if "phase" in d:
        before, after = (labels.CONDITIONS.get(x, str(x)) for x in d["phase"])
        yield f"{before} → {after}"
    if "excess" in d:
        yield f"多用 {d['excess'][0]:,.1f} → {d['excess'][1]:,.1f}"


def _moment(analysis: Analysis, at_ms: int | None) -> str:
    return "至今" if at_ms is None else _iso(analysis, at_ms)


def _proof(analysis: Analysis, p: Mapping[str, Any]) -> dict[str, Any]:
    """Give what was said of a saving after one more week."""
    return {**p, "upto": f"{local(p['upto_ms'], analysis):%Y-%m-%d}"}
