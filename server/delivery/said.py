"""What agents said, as it is stored field by field → records of one agent."""

from collections.abc import Mapping, Sequence

import numpy as np

from server.delivery.model import REPORT, RUN, UNCOUNTED, AgentLog, Records
from server.periods import HOUR_MS
from server.series import Series, Times

_RECEIPT = ("sequence_first", "sequence_last", "oldest_ms", "newest_ms", "readings_sent")
_DROPPED = ("dropped_first", "dropped_last", "dropped_readings")
_QUARANTINED = ("quarantined_sequence", "quarantined_sequence", "quarantined_lines")
_QUEUED = ("queued_first", "queued_last", "queued_parcels")
_LEDGER, _NEXT = "outbox_id", "sequence_next"
UNSAID = UNCOUNTED


def log_of(agent: str, fields: Mapping[str, Series]) -> AgentLog:
    """Give an agent's log; a line that lacks a field it needs does not count."""
    runs = _runs(fields)
    told = [_reports(fields, names) for names in (_DROPPED, _QUARANTINED, _QUEUED)]
    return AgentLog(agent, runs, *(_with_ledger(r, runs) for r in told))


def rolled(runs: Records) -> Records:
    """Join runs that follow each other within an hour of readings: hundreds of receipts in one.

    Doubles are dropped; runs that overlap otherwise stay apart, so that their readings are never
    counted twice unknowingly.  Runs across the turn of an hour stay apart from those within one.
    """
    if not len(runs):
        return runs
    runs = runs[np.lexsort((-runs["said_ms"], -runs["last"], runs["first"], runs["ledger"]))]
    same = (runs["ledger"][1:] == runs["ledger"][:-1]) & (runs["first"][1:] == runs["first"][:-1])
    double = np.concatenate([[False], same & (runs["last"][1:] == runs["last"][:-1])])
    runs = runs[~double]
    follows = (runs["ledger"][1:] == runs["ledger"][:-1]) & (
        runs["first"][1:] == runs["last"][:-1] + 1
    )
    for edge in ("oldest_ms", "newest_ms"):
        hour = runs[edge] // HOUR_MS
        follows &= hour[1:] == hour[:-1]
    starts = np.flatnonzero(np.concatenate([[True], ~follows]))
    out = runs[starts].copy()
    out["last"] = np.maximum.reduceat(runs["last"], starts)
    out["oldest_ms"] = np.minimum.reduceat(runs["oldest_ms"], starts)
    for name in ("newest_ms", "said_ms", "next"):
        out[name] = np.maximum.reduceat(runs[name], starts)
    out["readings"] = np.add.reduceat(runs["readings"], starts)
    return out


def joined(logs: Sequence[AgentLog]) -> AgentLog:
    """Give the logs of one agent as one; a report that is in several counts once."""
    return AgentLog(
        logs[0].agent,
        np.concatenate([x.runs for x in logs]),
        *(
            np.unique(np.concatenate([getattr(x, kind) for x in logs]))
            for kind in ("dropped", "quarantined", "queued")
        ),
    )


def _runs(fields: Mapping[str, Series]) -> Records:
    times = _common_times(fields, _RECEIPT)
    out = np.empty(len(times), RUN)
    for name, field in zip(
        ("first", "last", "oldest_ms", "newest_ms", "readings"), _RECEIPT, strict=True
    ):
        out[name] = _at(fields, field, times)
    out["ledger"] = np.maximum(_at(fields, _LEDGER, times), 0)
    out["next"] = np.maximum(_at(fields, _NEXT, times), 0)
    out["said_ms"] = times
    return out[(out["first"] >= 1) & (out["last"] >= out["first"])]


def _reports(fields: Mapping[str, Series], names: tuple[str, str, str]) -> Records:
    needed = names[:2] if names is _DROPPED else names  # of a broken file nobody counts readings
    times = _common_times(fields, needed)
    out = np.empty(len(times), REPORT)
    for name, field in zip(("first", "last", "amount"), names, strict=True):
        out[name] = _at(fields, field, times)
    out["ledger"], out["at_ms"] = _at(fields, _LEDGER, times), times
    return out


def _with_ledger(reports: Records, runs: Records) -> Records:
    """Let a report that does not name its ledger speak of the one in use at its time."""
    silent = reports["ledger"] == UNSAID
    if silent.any():
        order = np.argsort(runs["said_ms"], kind="stable")
        ids = np.concatenate([[0], runs["ledger"][order]])
        at = np.searchsorted(runs["said_ms"][order], reports["at_ms"][silent], "right")
        reports["ledger"][silent] = ids[at]
    return reports


def _common_times(fields: Mapping[str, Series], names: tuple[str, ...]) -> Times:
    """Give the times at which every field was said."""
    times = fields[names[0]].times_ms if names[0] in fields else np.empty(0, np.int64)
    for name in names[1:]:
        if name not in fields:
            return np.empty(0, np.int64)
        other = fields[name].times_ms
        if len(other) != len(times) or not np.array_equal(times, other):
            times = np.intersect1d(times, other, assume_unique=True)
    return times


def _at(fields: Mapping[str, Series], name: str, times: Times) -> Times:
    """Give a field's values at times, UNSAID where it has none."""
    series = fields.get(name)
    if series is None or not len(series):
        return np.full(len(times), UNSAID, np.int64)
    at = np.minimum(np.searchsorted(series.times_ms, times), len(series) - 1)
    said = series.times_ms[at] == times
    return np.where(said, series.values[at].astype(np.int64), UNSAID)
