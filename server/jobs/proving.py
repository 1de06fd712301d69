"""Proving: week by week after an alert was closed, what its closing saved."""

from dataclasses import asdict
from typing import Any

import numpy as np

from server.factbook.workdays import day_type
from server.jobs.judging import evidence_of
from server.jobs.whitelist import without_expected
from server.jobs.works import Works
from server.periods import DAY_MS, Interval, day_interval, day_of, days_in
from server.rules.model import Bools, Judgement, Rule, Truth
from server.rules.saving import Saving, saving
from server.series import Values
from server.state import AlertRow

BEFORE_DAYS, WEEKS = 28, 4
_LEAST_KNOWN = 0.5  # a day judged for less than half of it is unknown


def prove_savings(works: Works, now_ms: int) -> int:
    """Look again at what was closed in the last weeks; give how many proofs are new."""
    inbox, zone = works.state.inbox, works.site.zone
    rules = {r.id: r for r in works.rules}
    known_meters = {m.id for m in works.site.meters}
    new = 0
    for alert in inbox.closed_since(now_ms - (WEEKS + 1) * 7 * DAY_MS):
        rule = rules.get(alert.rule)
        if rule is None or alert.meter not in known_meters or alert.closed_ms is None:
            continue
        closed_ms = day_interval(day_of(alert.closed_ms, zone), zone).end_ms
        seen = {p["upto_ms"] for p in inbox.proofs(alert.id)}
        for week in range(1, WEEKS + 1):
            upto_ms = closed_ms + week * 7 * DAY_MS
            if upto_ms > now_ms or upto_ms in seen:
                continue
            found = _saving(works, rule, alert, closed_ms, upto_ms)
            if found is not None:
                content = _content(alert, found)
                new += inbox.keep_proof(alert.id, upto_ms, str(found.state), content)
    return new


def _saving(
    works: Works, rule: Rule, alert: AlertRow, closed_ms: int, upto_ms: int
) -> Saving | None:
    meter = works.site.meter(alert.meter)
    start_ms = closed_ms - (BEFORE_DAYS + 1) * DAY_MS  # the day of closing is neither
    judged = evidence_of(works, rule, meter, Interval(start_ms, upto_ms))
    entries = works.state.inbox.allowed(rule.id, meter.id)
    judged = without_expected(judged, entries, works.site)
    before, work_before = _by_day(works, judged, Interval(start_ms, closed_ms - DAY_MS))
    after, work_after = _by_day(works, judged, Interval(closed_ms, upto_ms))
    return saving(before, after, work_before, work_after)


def _by_day(works: Works, j: Judgement, span: Interval) -> tuple[Values, Bools]:
    """Give each day's excess, NaN where it was hardly judged, and whether it is worked."""
    zone = works.site.zone
    values, worked = [], []
    for day in days_in(span, zone):
        whole = day_interval(day, zone)
        a, b = np.searchsorted(j.edges_ms[:-1], [whole.start_ms, whole.end_ms])
        known = float((j.truth[a:b] != Truth.UNKNOWN).mean()) if b > a else 0.0
        values.append(float(j.excess[a:b].sum()) if known >= _LEAST_KNOWN else np.nan)
        worked.append(day_type(day, works.site).is_workday)
    return np.array(values), np.array(worked, bool)


def _content(alert: AlertRow, found: Saving) -> dict[str, Any]:
    """Give a proof's figures: of the excess, and by the alert's own price and factor."""
    content = {**asdict(found), "unit": alert.unit, "state": str(found.state)}
    if alert.excess > 0:
        if alert.yuan is not None:
            content["yuan"] = round(found.saved * float(alert.yuan) / alert.excess, 2)
        if alert.kgco2 is not None:
            content["kgco2"] = round(found.saved * alert.kgco2 / alert.excess, 3)
    return content
