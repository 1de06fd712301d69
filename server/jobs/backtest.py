"""Backtest: what the rules would have raised in the past, and why an alert was raised."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np

from server.jobs.alerting import found_by
from server.jobs.judging import evidence_of, judge_span
from server.jobs.learning import learned_of
from server.jobs.works import Works
from server.periods import DAY_MS, HOUR_MS, Interval
from server.rules.engine import AlertSpan, alerts
from server.rules.measure import Score, measure
from server.rules.model import Rule, Truth
from server.rules.repeats import lowest

Truths = Mapping[tuple[str, str], Sequence[tuple[int, int]]]


@dataclass(slots=True)
class Row:
    """One rule over a span; flagged in `unit`; yuan None: not priced."""

    rule: Rule
    unit: str
    score: Score
    yuan: Decimal | None = None
    has_truth: bool = False


def backtest(
    works: Works, span: Interval, only: frozenset[str] = frozenset(), truth: Truths | None = None
) -> list[Row]:
    """Judge a past span with what the rules would have known then; nothing is kept."""
    some = tuple(r for r in works.rules if not only or r.id in only)
    chosen = Works(works.store, works.state, works.site, works.factbook, some)
    found: dict[str, dict[str, Sequence[AlertSpan]]] = {r.id: {} for r in some}
    yuan: dict[tuple[str, str, int], Decimal | None] = {}
    for seen, fires in judge_span(chosen, span, keep=False):
        if not fires:
            continue
        found[seen.rule.id][seen.meter.id] = alerts(seen.rule, seen.judgement)
        for a in found_by(works, seen).found:
            yuan[seen.rule.id, seen.meter.id, a.start_ms] = a.yuan
    parents = {m.id: m.parent for m in works.site.meters}
    return [_row(r, lowest(found[r.id], parents), yuan, truth or {}, span) for r in some]


def _row(
    rule: Rule, found: Mapping[str, Sequence[AlertSpan]],
    yuan: Mapping[tuple[str, str, int], Decimal | None], truth: Truths, span: Interval,
) -> Row:  # fmt: skip
    out = Row(rule, rule.selector.carrier.unit, Score())
    meters = {*found, *(m for r, m in truth if r == rule.id)}
    for meter in meters:
        mine = found.get(meter, ())
        part = measure(mine, truth.get((rule.id, meter), ()), span.end_ms)
        out.score.wastes += part.wastes
        out.score.found += part.found
        out.score.alerts += part.alerts
        out.score.right += part.right
        out.score.flagged += part.flagged
        for a in mine:
            cost = yuan.get((rule.id, meter, a.start_ms))
            out.yuan = out.yuan if cost is None else (out.yuan or Decimal(0)) + cost
    out.has_truth = any(r == rule.id for r, _ in truth)
    return out


def explain(works: Works, number: int) -> list[tuple[str, str]] | None:
    """Give (what, value) about an alert, judged again as it was; None: there is no such alert."""
    a = works.state.inbox.get(number)
    if a is None:
        return None
    rule = next((r for r in works.rules if r.id == a.rule), None)
    meter = next((m for m in works.site.meters if m.id == a.meter), None)
    if rule is None or meter is None:
        return [("规则 rule", a.rule), ("表 meter", a.meter)]
    end_ms = a.end_ms or a.start_ms + DAY_MS
    judged = evidence_of(works, rule, meter, Interval(a.start_ms - 2 * HOUR_MS, end_ms))
    true = judged.truth == Truth.TRUE
    unknown = float((judged.truth == Truth.UNKNOWN).mean()) if len(judged.truth) else 0.0
    rows = [
        ("规则 rule", f"{rule.title} {rule.id} v{a.rule_version} ({rule.kind})"),
        ("表 meter", f"{meter.name} {meter.id}"),
        ("起 since", _local(a.start_ms, works)),
        ("止 until", "—" if a.end_ms is None else _local(a.end_ms, works)),
        ("超出 above", f"{a.excess:,.2f} {a.unit}"),
        ("阈值 threshold", _mean(judged.threshold, true)),
        ("应有 expected", _mean(judged.floor, true)),
        ("未知占比 unknown", f"{unknown:.0%}"),
        *((f"参数 {k}", f"{v:g}") for k, v in rule.parameters.items()),
    ]
    return rows + [(f"学得 {n}", v) for n, v in learned_of(works, rule, meter, a.start_ms)]


def _mean(values: np.ndarray, here: np.ndarray) -> str:
    known = here & ~np.isnan(values)
    return f"{float(values[known].mean()):,.3f}" if known.any() else "—"


def _local(time_ms: int, works: Works) -> str:
    return (
        f"{datetime.fromtimestamp(time_ms / 1000, UTC).astimezone(works.site.zone):%Y-%m-%d %H:%M}"
    )
