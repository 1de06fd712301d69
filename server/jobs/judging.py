"""Judging: every rule on every meter over a span."""

from dataclasses import dataclass

import numpy as np

from contract.reading import PointId
from server.factbook.workdays import day_type, minute_of_day, work_mask
from server.jobs.alerting import Seen, found_by, record
from server.jobs.works import Report, Works, silent, whole_days
from server.periods import DAY_MS, QUARTER_MS, Interval, Step, day_interval, days_in, edges
from server.rollup.combine import mean_power_kw
from server.rollup.model import Rollup
from server.rules.kinds import LEARN_DAYS, judge
from server.rules.model import Evidence, Judgement, Rule
from server.rules.presence import occupancy
from server.series import Values
from server.site.model import Meter
from server.state.found import Judged

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
    judged: list[Judged] = []
    for number, (rule, meter) in enumerate(targets, 1):
        r = rollups[meter.id]
        evidence = shared.evidence(r, meter)
        judgement = since(judge(rule, evidence), interval.start_ms)
        judged.append(found_by(works, Seen(rule, meter, r, evidence, judgement)))
        report(0.4 + 0.5 * number / len(targets))
    return record(works, judged, now_ms)


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
