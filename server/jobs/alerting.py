"""Alerting: judgements → alerts with what they cost and what was seen, one of each cause told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np

from server.factbook.workdays import day_type
from server.jobs.whitelist import without_expected
from server.jobs.works import Works
from server.metrics.cost import price_rollup
from server.metrics.inputs import MetricInputs
from server.periods import Interval, day_of
from server.rollup.model import Rollup
from server.rules.causes import Firing, cause_key, parents
from server.rules.engine import AlertSpan, spans
from server.rules.hysteresis import near
from server.rules.kinds_supply import penalty_share
from server.rules.model import Evidence, Judgement, Kind, Rule, Truth
from server.site.model import Carrier, Meter
from server.state import AlertRow, NewAlert
from server.state.found import Judged

FEN = Decimal("0.01")


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What was looked at and what was said of it; the two may begin at different instants."""

    rule: Rule
    meter: Meter
    rollup: Rollup
    evidence: Evidence
    judgement: Judgement


def found_by(works: Works, seen: Seen) -> Judged:
    """Give the alerts of a judgement, priced, with their evidence; expected use is left out."""
    rule, meter, edges = seen.rule, seen.meter, seen.judgement.edges_ms
    quiet = Judged(rule.id, meter.id, int(edges[0]), int(edges[-1]))
    if not (seen.judgement.truth == Truth.TRUE).any():
        return quiet
    entries = works.state.inbox.allowed(rule.id, meter.id)
    judgement = without_expected(seen.judgement, entries, works.site)
    held = near(rule, seen.evidence, judgement)
    found = tuple(_alert(works, seen, span) for span in spans(rule, judgement, held))
    return replace(quiet, found=found)


def record(works: Works, judged: Sequence[Judged], now_ms: int) -> int:
    """Keep what a pass found, in one transaction; give how many alerts fired that were not known.

    Of alerts of one cause, one is told and the others are kept behind it.
    """
    kinds = {r.id: str(r.kind) for r in works.rules}

    def group(firing: Sequence[AlertRow]) -> Mapping[int, int]:
        told = [
            Firing(a.id, kinds.get(a.rule, ""), a.meter, a.start_ms, a.cause_key) for a in firing
        ]
        return parents(told, works.site)

    return works.state.inbox.record(judged, now_ms, group)


def _alert(works: Works, seen: Seen, span: AlertSpan) -> NewAlert:
    site, rule, meter = works.site, seen.rule, seen.meter
    day = day_of(span.start_ms, site.zone)
    return NewAlert(
        rule=rule.id, rule_version=rule.version, meter=meter.id, building=meter.building,
        start_ms=span.start_ms, fired_ms=span.fired_ms, end_ms=span.end_ms,
        excess=round(span.excess, 6), unit=meter.carrier.unit,
        yuan=_price(works, seen, span), floor=round(span.floor, 6),
        known_share=span.known_share, day_state=day_type(day, site).state,
        has_fired=span.has_fired, severity=str(rule.severity),
        cause_key=cause_key(str(rule.kind), meter), kgco2=_carbon(works, meter, span),
        evidence=_evidence(works, seen, span),
    )  # fmt: skip


def _evidence(works: Works, seen: Seen, span: AlertSpan) -> dict[str, Any]:
    """Give what was seen, in words that last: counts only, the day, coverage, what was expected."""
    e, j, r = seen.evidence, seen.judgement, seen.rollup
    end_ms = span.end_ms or int(j.edges_ms[-1])
    day = day_type(day_of(span.start_ms, works.site.zone), works.site)
    a, b = np.searchsorted(j.edges_ms, [span.start_ms, end_ms])
    limit = _mean(j.threshold[a:b])
    i, k = np.searchsorted(e.edges_ms, [span.start_ms, end_ms])
    a, b = np.searchsorted(r.edges_ms, [span.start_ms, end_ms])
    seen_here: dict[str, Any] = {
        "threshold": limit,
        "mean_power": _mean(e.power[i:k]),
        "coverage": _mean(r.coverage[a:b]),
        "is_workday": day.is_workday,
        "day_note": day.note,
        "tariff": _tariff(works, seen.meter),
        "presence": None,
    }
    if e.occupancy is not None and k > i:
        counts = e.occupancy[i:k]
        known = counts[~np.isnan(counts)]
        seen_here["presence"] = {
            "least": float(known.min()) if len(known) else None,
            "most": float(known.max()) if len(known) else None,
            "known_share": round(len(known) / len(counts), 4),
        }
    return seen_here


def _mean(values: np.ndarray) -> float | None:
    known = values[~np.isnan(values)]
    return round(float(known.mean()), 4) if len(known) else None


def _tariff(works: Works, meter: Meter) -> str:
    site = works.site
    return site.electricity_tariff if meter.carrier is Carrier.ELECTRICITY else site.water_tariff


def _carbon(works: Works, meter: Meter, span: AlertSpan) -> float | None:
    """Give kgCO2 of the excess by the factor valid then; None for water and without a factor."""
    if meter.carrier is not Carrier.ELECTRICITY:
        return None
    site = works.site
    fact = works.factbook.factor("kgco2_per_kwh", day_of(span.start_ms, site.zone), site.region)
    return None if fact is None else round(span.excess * fact.value, 3)


def _price(works: Works, seen: Seen, span: AlertSpan) -> Decimal | None:
    """Give what the excess cost: the span's consumption priced, scaled to the part above floor."""
    r, tariff = seen.rollup, _tariff(works, seen.meter)
    end_ms = span.end_ms or int(r.edges_ms[-1])
    a, b = np.searchsorted(r.edges_ms, [span.start_ms, end_ms])
    part = Rollup(
        r.meter, r.step, r.edges_ms[a : b + 1], r.values[a:b], r.coverage[a:b], r.grades[a:b]
    )
    inputs = MetricInputs(works.site, Interval(span.start_ms, end_ms), {}, works.factbook)
    priced = price_rollup(part, tariff, inputs) if b > a and tariff else None
    used = float(np.nansum(part.values))
    if priced is None or used <= 0:
        return None
    rule = seen.rule
    of_bill = span.excess / used
    if rule.kind is Kind.POWER_FACTOR:  # no energy is wasted; the bill grows by the factor
        of_bill = penalty_share(rule.parameters, seen.evidence, span.start_ms, end_ms)
    share = Decimal(repr(round(of_bill, 9)))
    return (priced[0] * share).quantize(FEN)
