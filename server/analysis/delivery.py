"""Delivery as pages, API and commands ask for it: proofs of a span, marks of days, the count."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from server.analysis.questions import Analysis
from server.delivery import AgentLog, DayMark, Proof, marks_of, prove
from server.jobs.receipts import agent_logs
from server.periods import Interval, Step, edges

_REPORT_FIELDS = 4  # outbox_id and what it says


@dataclass(frozen=True, slots=True)
class CountCheck:
    """Readings of a span: told of by all receipts (at least, at most), and held by the store."""

    least: int
    most: int
    held: int

    @property
    def lost(self) -> int:
        """Give how many readings, at least, arrived and are no longer there."""
        return max(0, self.least - self.held)


def proofs(
    analysis: Analysis, span: Interval, agent: str | None = None, *, fresh: bool = False
) -> list[Proof]:
    """Give each agent's proof, or one agent's; none of an agent that was never heard of."""
    now_ms = analysis.clock.now_ms()
    logs = agent_logs(analysis.works, fresh_to_ms=now_ms if fresh else None)
    return [prove(log, span, now_ms) for a, log in logs.items() if agent in {None, a}]


def count_check(analysis: Analysis, span: Interval) -> CountCheck:
    """Compare the readings that receipts speak of with those that the store holds.

    The whole site at once: a reading does not say which agent brought it.  Readings of pushes
    across the span's ends, and lines that a store refused, count at most, not at least.
    """
    now_ms = analysis.clock.now_ms()
    logs = agent_logs(analysis.works)
    found = [prove(log, span, now_ms) for log in logs.values()]
    doubtful = sum(_doubtful(log, span) for log in logs.values())
    held = analysis.works.store.count_readings(analysis.site.id, span)
    least = sum(p.readings_least for p in found) - doubtful
    return CountCheck(max(0, least), sum(p.readings_most for p in found), held)


def day_marks(analysis: Analysis, span: Interval) -> dict[str, list[DayMark]]:
    """Give every agent's marks of the site's days that a span touches."""
    grid = edges(span, Step.DAY, analysis.site.zone)
    if len(grid) < 2:
        return {}
    now_ms = analysis.clock.now_ms()
    return {a: marks_of(log, grid, now_ms) for a, log in agent_logs(analysis.works).items()}


def proof_json(proof: Proof) -> dict[str, Any]:
    """Give a proof as plain values."""
    return {
        "agent": proof.agent,
        "from": proof.span.start_ms,
        "to": proof.span.end_ms,
        "is_complete": proof.is_complete,
        "last_word_ms": proof.last_word_ms,
        "parcels": proof.parcels,
        "readings_least": proof.readings_least,
        "readings_most": proof.readings_most,
        "findings": [asdict(f) for f in proof.findings],
    }


def delivery_json(found: Sequence[Proof], count: CountCheck | None) -> dict[str, Any]:
    """Give proofs, and the count where it was asked for, as plain values.

    Where nothing at all arrived of the span, nothing is proved.
    """
    whole = all(p.is_complete for p in found) and any(p.parcels for p in found)
    return {
        "is_complete": whole and (count is None or not count.lost),
        "agents": [proof_json(p) for p in found],
        "count": None if count is None else {**asdict(count), "lost": count.lost},
    }


def _doubtful(log: AgentLog, span: Interval) -> int:
    """Give the readings of a span that receipts count and the store need not hold.

    They are those beside a refused line, and the agents' own reports, which are no readings.
    """
    runs = log.runs[
        (log.runs["oldest_ms"] < span.end_ms) & (log.runs["newest_ms"] >= span.start_ms)
    ]
    poisoned = np.zeros(len(runs), np.bool_)
    for report in log.quarantined:
        poisoned |= (
            (runs["ledger"] == report["ledger"])
            & (runs["first"] <= report["last"])
            & (runs["last"] >= report["first"])
        )
    reports = sum(
        int(((r["at_ms"] >= span.start_ms) & (r["at_ms"] < span.end_ms)).sum())
        for r in (log.dropped, log.quarantined, log.queued)
    )
    return int(runs["readings"][poisoned].sum()) + _REPORT_FIELDS * reports
