"""Judging: every rule on every meter over a span."""

from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from contract.reading import PointId
from server.factbook.workdays import day_type, minute_of_day, work_mask
from server.jobs.works import Report, Works, silent, whole_days
from server.metrics.cost import price_rollup
from server.metrics.inputs import MetricInputs
from server.periods import DAY_MS, QUARTER_MS, Interval, Step, day_interval, day_of, days_in, edges
from server.rollup.combine import mean_power_kw
from server.rollup.model import Rollup
from server.rules.engine import AlertSpan, alerts
from server.rules.kinds import LEARN_DAYS, judge
from server.rules.model import Evidence, Judgement, Rule
from server.rules.presence import occupancy
from server.series import Values
from server.site.model import Carrier, Meter
from server.state import NewAlert

GRACE_MIN = 30


def judge_all(works: Works, interval: Interval, now_ms: int, report: Report = silent) -> int:
    """Judge every rule on every meter over a span and save the alerts; give how many are new."""
    site = works.site
    end_ms = min(interval.end_ms, now_ms) // QUARTER_MS * QUARTER_MS
    learn_from = interval.start_ms - LEARN_DAYS * DAY_MS
    start_ms = whole_days(Interval(learn_from, learn_from + 1), site).start_ms
    if end_ms <= interval.start_ms:
        return 0
    span = Interval(start_ms, end_ms)
    targets = [(r, m) for r in works.rules for m in r.targets(site)]
    meters = sorted({m.id for _, m in targets})
    rollups = works.store.read_rollups(site, meters, Step.QUARTER, span)
    report(0.4)
    shared = _Shared.of(works, span)
    new = 0
    for number, (rule, meter) in enumerate(targets, 1):
        r = rollups[meter.id]
        judgement = since(judge(rule, shared.evidence(r, meter)), interval.start_ms)
        for found in alerts(rule, judgement):
            new += works.state.save_alert(_alert(works, rule, meter, r, found), now_ms)
        report(0.4 + 0.6 * number / len(targets))
    return new


def evidence_of(works: Works, rule: Rule, meter: Meter, interval: Interval) -> Judgement:
    """Judge one meter over a span again, for showing; thresholds are learned as they were."""
    start_ms = whole_days(
        Interval(interval.start_ms - LEARN_DAYS * DAY_MS, interval.start_ms), works.site
    ).start_ms
    span = Interval(start_ms, interval.end_ms)
    r = works.store.read_rollups(works.site, [meter.id], Step.QUARTER, span)[meter.id]
    return since(judge(rule, _Shared.of(works, span).evidence(r, meter)), interval.start_ms)


def since(j: Judgement, start_ms: int) -> Judgement:
    """Give the part of a judgement from an instant on."""
    i = int(np.searchsorted(j.edges_ms, start_ms, "left"))
    return Judgement(j.edges_ms[i:], j.truth[i:], j.threshold[i:], j.floor[i:], j.excess[i:])


@dataclass(frozen=True, slots=True, eq=False)
class _Shared:
    """Evidence that all meters of a site share, on one grid."""

    grid: np.ndarray
    is_work_time: np.ndarray
    minute: np.ndarray
    is_workday: np.ndarray
    occupancy: dict[str, Values]

    @classmethod
    def of(cls, works: Works, span: Interval) -> "_Shared":
        site, store = works.site, works.store
        grid = edges(span, Step.QUARTER, site.zone)
        is_workday = np.zeros(max(0, len(grid) - 1), bool)
        for day in days_in(span, site.zone):
            whole = day_interval(day, site.zone)
            i, j = np.searchsorted(grid[:-1], [whole.start_ms, whole.end_ms])
            is_workday[i:j] = day_type(day, site).is_workday
        present: dict[str, Values] = {}
        for gate in site.gates:
            ids = [PointId(site.id, gate.device, f"door_{d}_total") for d in ("in", "out")]
            found = store.read_many(ids, Interval(span.start_ms - DAY_MS, span.end_ms + DAY_MS))
            counts = occupancy(found[ids[0]], found[ids[1]], grid, site)
            present[gate.building] = present.get(gate.building, np.zeros(len(counts))) + counts
        return cls(
            grid, work_mask(grid, site, GRACE_MIN), minute_of_day(grid[:-1], site), is_workday,
            present,
        )  # fmt: skip

    def evidence(self, r: Rollup, meter: Meter) -> Evidence:
        return Evidence(
            r.edges_ms, mean_power_kw(r), self.occupancy.get(meter.building),
            self.is_work_time, self.minute, self.is_workday,
        )  # fmt: skip


def _alert(works: Works, rule: Rule, meter: Meter, r: Rollup, span: AlertSpan) -> NewAlert:
    site = works.site
    day = day_of(span.start_ms, site.zone)
    return NewAlert(
        rule=rule.id, rule_version=rule.version, meter=meter.id, building=meter.building,
        start_ms=span.start_ms, fired_ms=span.fired_ms, end_ms=span.end_ms,
        excess=round(span.excess, 6), unit=meter.carrier.unit,
        yuan=_price(works, meter, r, span), floor=round(span.floor, 6),
        known_share=span.known_share, day_state=day_type(day, site).state,
    )  # fmt: skip


def _price(works: Works, meter: Meter, r: Rollup, span: AlertSpan) -> Decimal | None:
    """Give what the excess cost: the span's consumption priced, scaled to the part above floor."""
    site = works.site
    tariff = site.electricity_tariff if meter.carrier is Carrier.ELECTRICITY else site.water_tariff
    a, b = np.searchsorted(r.edges_ms, [span.start_ms, span.end_ms or int(r.edges_ms[-1])])
    part = Rollup(
        r.meter, r.step, r.edges_ms[a : b + 1], r.values[a:b], r.coverage[a:b], r.grades[a:b]
    )
    interval = Interval(span.start_ms, span.end_ms or int(r.edges_ms[-1]))
    inputs = MetricInputs(site, interval, {}, works.factbook)
    priced = price_rollup(part, tariff, inputs) if b > a and tariff else None
    used = float(np.nansum(part.values))
    if priced is None or used <= 0:
        return None
    share = Decimal(repr(round(span.excess / used, 9)))
    return (priced[0] * share).quantize(Decimal("0.01"))
