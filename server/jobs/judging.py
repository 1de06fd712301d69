"""Judging: every rule on every meter over a span, many meters at once."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from server.jobs.alerting import Seen, found_by, record
from server.jobs.evidence import Gathered
from server.jobs.learning import AT_ONCE, Kept, lay, learned_rows, pins, pins_over
from server.jobs.works import Report, Works, silent
from server.periods import DAY_MS, QUARTER_MS, Interval, day_of, days_in, midnight_ms
from server.rules.kinds import LEARN_DAYS, judge, learn, look_back_days
from server.rules.model import Evidence, Judgement, Learned, Rule, Truth
from server.rules.windows import spread
from server.series import Values
from server.site.model import Meter
from server.state.found import Judged

CONTEXT_DAYS = 8  # the longest trailing window is a week
MONTH_DAYS = 31  # what a target's pace looks back
KEPT_DAYS = 7  # a longer span learns for itself, and keeps nothing of it
AT_ONCE_LONG = 40


def judge_all(works: Works, interval: Interval, now_ms: int, report: Report = silent) -> int:
    """Judge every rule on every meter over a span and save the alerts; give how many are new."""
    end_ms = min(interval.end_ms, now_ms) // QUARTER_MS * QUARTER_MS
    if end_ms <= interval.start_ms:
        return 0
    span = Interval(interval.start_ms, end_ms)
    judged = [
        found_by(works, seen) if fires else _quiet(seen)
        for seen, fires in judge_span(works, span, report)
    ]
    return record(works, judged, now_ms)


def judge_span(
    works: Works, span: Interval, report: Report = silent, *, keep: bool = True
) -> Iterator[tuple[Seen, bool]]:
    """Give what every rule says of every meter over a span, and whether it is ever true.

    keep: what is learned of a short span is kept for the next pass.
    """
    targets = [(r, r.targets(works.site)) for r in works.rules]
    meters = list({m.id: m for _, found in targets for m in found}.values())
    is_long = not keep or span.end_ms - span.start_ms > KEPT_DAYS * DAY_MS
    kept = None if is_long else learned_rows(works, span)
    gathered = _gathered(works, span, is_long)
    width = AT_ONCE_LONG if is_long else AT_ONCE
    for i in range(0, len(meters), width):
        some = meters[i : i + width]
        ids = {m.id for m in some}
        here = gathered.reading(some)
        for rule, found in targets:
            mine = [m for m in found if m.id in ids]
            if mine:
                yield from _judged(works, here, rule, mine, span, kept)
        report(0.9 * (i + len(some)) / len(meters))


def _gathered(works: Works, span: Interval, is_long: bool) -> Gathered:
    has_targets = bool(pins(works, "month_target"))
    context = MONTH_DAYS if is_long or has_targets else CONTEXT_DAYS
    start_ms = _midnight_before(works, span.start_ms, context)
    since_ms = _midnight_before(works, span.start_ms, LEARN_DAYS)
    return Gathered.of(works.store, works.site, Interval(start_ms, span.end_ms), since_ms)


def _midnight_before(works: Works, time_ms: int, days: int) -> int:
    zone = works.site.zone
    return midnight_ms(day_of(time_ms, zone) - timedelta(days=days), zone)


def _judged(
    works: Works, gathered: Gathered, rule: Rule, meters: Sequence[Meter], span: Interval,
    kept: Kept | None,
) -> Iterator[tuple[Seen, bool]]:  # fmt: skip
    evidence = gathered.evidence(rule, meters)
    if kept is not None:
        evidence = evidence.since(_midnight_before(works, span.start_ms, look_back_days(rule)))
    daily = _daily(works, rule, meters, evidence, kept)
    judgement = judge(rule, evidence, spread(daily, evidence)).since(span.start_ms)
    fires = (judgement.truth == Truth.TRUE).any(-1)
    for i, meter in enumerate(meters):
        r = gathered.rollups[meter.id]
        yield Seen(rule, meter, r, evidence.row(i), judgement.row(i)), bool(fires[i])


def _daily(
    works: Works, rule: Rule, meters: Sequence[Meter], evidence: Evidence, kept: Kept | None
) -> Learned:
    """Give what was learned by day, (m, days): as kept, or anew where a long span is judged."""
    grid = evidence.edges_ms
    days = list(days_in(Interval(int(grid[0]), int(grid[-1])), works.site.zone))
    if kept is not None:
        return lay(kept, rule, meters, days)
    taught: Mapping[str, Values] = learn(rule, evidence)
    return pins_over(works, taught, rule, meters, days)


def _quiet(seen: Seen) -> Judged:
    edges = seen.judgement.edges_ms
    return Judged(seen.rule.id, seen.meter.id, int(edges[0]), int(edges[-1]), ())


def evidence_of(works: Works, rule: Rule, meter: Meter, interval: Interval) -> Judgement:
    """Judge one meter over a span again, for showing; thresholds are learned as they were."""
    start_ms = _midnight_before(works, interval.start_ms, MONTH_DAYS)
    span = Interval(start_ms, interval.end_ms)
    gathered = Gathered.of(works.store, works.site, span).reading([meter])
    ((seen, _),) = _judged(works, gathered, rule, [meter], interval, None)
    return seen.judgement
