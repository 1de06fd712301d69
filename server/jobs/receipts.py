"""Receipts of days that are over, joined and kept in state: the proof outlives the receipts."""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from server.delivery import REPORT, RUN, AgentLog, Records, joined, log_of, rolled
from server.jobs.works import Works
from server.periods import DAY_MS, Interval
from server.state.fleet import ReportRow

DELIVERIES = "deliveries"  # the mark: receipts sent before it are joined
OVER_MS = 2 * DAY_MS  # a day is closed for receipts when it has been over for so long
_AFTER_ALL_MS = 2**53
_READ_MS = 7 * DAY_MS
# how far back late reports are looked for: once a day, and whenever somebody asks
_ROLLED_BACK_MS, _ASKED_BACK_MS = 400 * DAY_MS, 31 * DAY_MS
_KINDS = ("dropped", "quarantined", "queued")


def roll_deliveries(works: Works, now_ms: int) -> int:
    """Join the receipts of closed days, and keep the reports; give how many days were closed.

    Reports wait in the outbox as readings do: where a receipt tells of old readings, reports of
    their time are looked for again.
    """
    upto_ms = _day(now_ms - OVER_MS)
    mark_ms = works.state.mark(DELIVERIES)
    if mark_ms is None:
        mark_ms = _day(works.store.first_ms(works.site.id) or upto_ms)
    days = range(mark_ms, upto_ms, DAY_MS)
    for day_ms in days:
        logs = said_in(works, Interval(day_ms, day_ms + DAY_MS))
        runs = {a: rolled(x.runs) for a, x in logs.items()}
        rows = {a: r.tobytes() for a, r in runs.items() if len(r)}
        works.state.fleet.save_deliveries(day_ms, rows)
        late = late_reports(works, logs, day_ms, _ROLLED_BACK_MS)
        works.state.fleet.save_reports(_rows([*logs.values(), *late.values()]))
        works.state.set_mark(DELIVERIES, day_ms + DAY_MS)
    return len(days)


def agent_logs(works: Works, *, fresh_to_ms: int | None = None) -> dict[str, AgentLog]:
    """Give every agent's log: what is kept in state, and what came since.

    fresh_to_ms (now): from the receipts themselves, as far back as the store keeps them.
    """
    if fresh_to_ms is not None:
        return _fresh(works, fresh_to_ms)
    kept = {a: [log] for a, log in _kept(works).items()}
    mark_ms = works.state.mark(DELIVERIES) or 0
    new = said_in(works, Interval(mark_ms, _AFTER_ALL_MS))
    for logs in (new, late_reports(works, new, mark_ms, _ASKED_BACK_MS)):
        for agent, log in logs.items():
            kept.setdefault(agent, []).append(log)
    return {agent: joined(parts) for agent, parts in sorted(kept.items())}


def _fresh(works: Works, now_ms: int) -> dict[str, AgentLog]:
    """Read all receipts, joining as they come: a year of them need not be held at once."""
    first_ms = _day(works.store.first_ms(works.site.id) or now_ms)
    cuts = [first_ms, *range(first_ms + _READ_MS, now_ms, _READ_MS), _AFTER_ALL_MS]
    found: dict[str, list[AgentLog]] = {}
    for start_ms, end_ms in pairwise(cuts):
        for agent, log in said_in(works, Interval(start_ms, end_ms)).items():
            found.setdefault(agent, []).append(replace(log, runs=rolled(log.runs)))
    return {agent: joined(parts) for agent, parts in sorted(found.items())}


def said_in(works: Works, sent: Interval) -> dict[str, AgentLog]:
    """Give what agents said in a span, by agent."""
    said = works.store.read_delivery(works.site.id, sent)
    return {agent: log_of(agent, fields) for agent, fields in said.items()}


def late_reports(
    works: Works, logs: dict[str, AgentLog], mark_ms: int, back_ms: int
) -> dict[str, AgentLog]:
    """Give the reports of the time before a mark that may have come with readings of that time.

    They are looked for as far back as the oldest of these readings, at most `back_ms`.
    """
    oldest = [int(x.runs["oldest_ms"].min()) for x in logs.values() if len(x.runs)]
    start_ms = max(min(oldest, default=mark_ms), mark_ms - back_ms, 0)
    cuts = [*range(start_ms, mark_ms, _READ_MS), mark_ms]
    found: dict[str, list[AgentLog]] = {}
    for span in pairwise(cuts):
        for agent, log in said_in(works, Interval(*span)).items():
            found.setdefault(agent, []).append(replace(log, runs=np.empty(0, RUN)))
    return {agent: joined(parts) for agent, parts in found.items()}


def _kept(works: Works) -> dict[str, AgentLog]:
    fleet = works.state.fleet
    runs = {a: np.frombuffer(b, RUN) for a, b in fleet.deliveries().items()}
    told: dict[tuple[str, str], list[tuple[int, ...]]] = {}
    for r in fleet.reports():
        row = (r.outbox_id, r.at_ms, r.first, r.last, r.amount)
        told.setdefault((r.agent, r.kind), []).append(row)
    agents = runs.keys() | {agent for agent, _ in told}
    return {
        a: AgentLog(
            a,
            runs.get(a, np.empty(0, RUN)),
            *(np.array(told.get((a, kind), []), REPORT) for kind in _KINDS),
        )
        for a in agents
    }


def _rows(logs: list[AgentLog]) -> list[ReportRow]:
    """Give the reports to be kept; of those on what waits, only each ledger's newest."""
    out = []
    for log in logs:
        for kind in _KINDS:
            reports: Records = getattr(log, kind)
            if kind == "queued":
                newest = {int(r["ledger"]): r for r in np.sort(reports, order="at_ms")}
                reports = np.array(list(newest.values()), REPORT)
            out += [
                ReportRow(log.agent, kind, ledger, at_ms, first, last, amount)
                for ledger, at_ms, first, last, amount in reports.tolist()
            ]
    return list({(r.agent, r.kind, r.at_ms): r for r in out}.values())


def _day(time_ms: int) -> int:
    return time_ms // DAY_MS * DAY_MS
