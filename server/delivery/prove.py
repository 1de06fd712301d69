"""Prove that what an agent gave out has arrived, or say which numbers have not, and why.

Numbers of a ledger count from 1 and are never used again.  What was given out is known from the
agent's words; what arrived, from its receipts; the difference is explained by its reports or lost.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from server.delivery.model import (
    SEVERITY,
    UNCOUNTED,
    AgentLog,
    DayMark,
    Finding,
    Proof,
    Records,
    Why,
)
from server.delivery.ranges import NONE, Ranges, both, minus, size, union
from server.periods import HOUR_MS, MINUTE_MS, Interval
from server.series import Times

OLD_LEDGER = 0  # of agents that do not name their ledgers: sent in order, without reports
PATIENCE_MS = 10 * MINUTE_MS  # what is younger may be on its way
SLACK_MS = MINUTE_MS  # a parcel may hold a slot this much older than the parcel before it
RESENT = 2000  # a ledger that goes on where the old one ends may send so many of its numbers again
QUIET_MS = HOUR_MS  # while anything waits, an agent says so every minute: an hour is proof
SUPERSEDED_MS = HOUR_MS  # a ledger silent for so long beside another one is no longer used


@dataclass(frozen=True, slots=True)
class _Gaps:
    """Numbers that did not arrive, each range with the reading times it can be of."""

    ranges: Ranges
    start_ms: Times
    end_ms: Times


@dataclass(frozen=True, slots=True)
class _Ledger:
    """One ledger's records, runs sorted by number, and what follows from them."""

    id: int
    runs: Records
    dropped: Records
    quarantined: Records
    queued: Records
    gaps: _Gaps
    issued: int
    last_word_ms: int


def prove(log: AgentLog, span: Interval, now_ms: int) -> Proof:
    """Say what is missing of a span's readings, and why; nothing: it is complete.

    Parcels that the agent gave out within the last ten minutes may be on their way.
    """
    ledgers = _ledgers(log)
    words = [x.last_word_ms for x in ledgers]
    newest_ms = max((w for w in words if w <= now_ms + PATIENCE_MS), default=max(words, default=0))
    spoken = log.queued["at_ms"]
    queue_ms = int(spoken[spoken <= now_ms + PATIENCE_MS].max(initial=0))
    found = [f for x in ledgers for f in _findings(x, newest_ms, queue_ms)]
    found += _silence(ledgers, min(span.end_ms, now_ms - PATIENCE_MS), now_ms)
    fresh_ms = now_ms - PATIENCE_MS
    concerned = [
        f for f in found
        if f.start_ms - SLACK_MS < span.end_ms and f.end_ms + SLACK_MS >= span.start_ms
        and not (f.why in {Why.PENDING, Why.QUEUED} and f.start_ms >= fresh_ms)
    ]  # fmt: skip
    concerned.sort(key=lambda f: (f.start_ms, f.outbox_id, f.first, SEVERITY[f.why]))
    parcels = least = most = 0
    for x in ledgers:
        touching = x.runs[
            (x.runs["oldest_ms"] < span.end_ms) & (x.runs["newest_ms"] >= span.start_ms)
        ]
        parcels += size(union(touching["first"], touching["last"]))
        inside = (touching["oldest_ms"] >= span.start_ms) & (touching["newest_ms"] < span.end_ms)
        least += int(touching["readings"][inside & _is_new(touching)].sum())
        most += int(touching["readings"].sum())
    return Proof(log.agent, span, tuple(concerned), parcels, least, most, newest_ms or None)


def marks_of(log: AgentLog, edges_ms: Times, now_ms: int) -> list[DayMark]:
    """Give a mark for each [edge, next edge): what arrived of its readings, what is wrong."""
    whole = prove(log, Interval(int(edges_ms[0]), int(edges_ms[-1])), now_ms)
    days = len(edges_ms) - 1
    worst: list[Why | None] = [None] * days
    for f in whole.findings:
        first = max(int(np.searchsorted(edges_ms, f.start_ms - SLACK_MS, "right")) - 1, 0)
        stop = int(np.searchsorted(edges_ms, f.end_ms + SLACK_MS, "right"))
        for day in range(first, min(stop, days)):
            known = worst[day]
            if known is None or SEVERITY[f.why] > SEVERITY[known]:
                worst[day] = f.why
    parcels, readings = np.zeros(days, np.int64), np.zeros(days, np.int64)
    reached = np.zeros(days + 1, np.int64)  # where runs begin, and where they have ended
    for x in _ledgers(log):
        runs = x.runs[_is_new(x.runs)]
        day = np.searchsorted(edges_ms, runs["oldest_ms"], "right") - 1
        last_day = np.searchsorted(edges_ms, runs["newest_ms"], "right") - 1
        np.add.at(reached, np.clip(day, 0, days), 1)
        np.add.at(reached, np.clip(last_day + 1, 0, days), -1)
        known_day = (day >= 0) & (day < days)
        day, runs = day[known_day], runs[known_day]
        np.add.at(parcels, day, runs["last"] - runs["first"] + 1)
        np.add.at(readings, day, runs["readings"])
    is_reached = (np.cumsum(reached)[:days] > 0).tolist()
    starts_ms = edges_ms[:-1].tolist()
    rows = zip(starts_ms, parcels.tolist(), readings.tolist(), is_reached, worst, strict=True)
    return [DayMark(*row) for row in rows]


def _is_new(runs: Records) -> np.ndarray:
    """Say of sorted runs which do not overlap one before them."""
    if not len(runs):
        return np.empty(0, np.bool_)
    reach = np.maximum.accumulate(runs["last"])
    return np.concatenate([[True], runs["first"][1:] > reach[:-1]])


def _ledgers(log: AgentLog) -> list[_Ledger]:
    """Give an agent's ledgers, in the order of their first words."""
    kinds = (log.runs, _sound(log.dropped), _sound(log.quarantined), log.queued)
    ids = np.unique(np.concatenate([k["ledger"] for k in kinds]))
    parts = []
    for number in ids.tolist():
        runs, *told = (k[k["ledger"] == number] for k in kinds)
        runs = runs[np.lexsort((-runs["last"], runs["first"]))]
        spoken = [int(r["at_ms"].min()) for r in told if len(r)]
        first_word = min(spoken + ([int(runs["said_ms"].min())] if len(runs) else []))
        parts.append((first_word, number, runs, told))
    out: list[_Ledger] = []
    for first_word, number, runs, told in sorted(parts, key=lambda p: p[:2]):
        dropped, quarantined, queued = told
        issued = max(
            (int(v.max()) for v in (
                runs["last"], runs["next"] - 1, dropped["last"], quarantined["last"],
                queued["last"],
            ) if len(v)),
            default=0,
        )  # fmt: skip
        word = max(int(v.max()) for v in (runs["said_ms"], *(r["at_ms"] for r in told)) if len(v))
        before = [int(x.runs["newest_ms"].max()) for x in out if len(x.runs)]
        began = max(before) if before else first_word
        gaps = _gaps(runs, (_start(number, runs, out), issued), (min(began, first_word), word))
        out.append(_Ledger(number, runs, dropped, quarantined, queued, gaps, issued, word))
    return out


def _sound(reports: Records) -> Records:
    return reports[(reports["first"] >= 1) & (reports["last"] >= reports["first"])]


def _start(number: int, runs: Records, before: Sequence[_Ledger]) -> int:
    """Give the first number that a ledger must account for.

    What an old ledger counted before its receipts were kept is not known; what waited in one when
    it was taken over keeps its numbers in a ledger of its own.
    """
    if not len(runs):
        return 1
    begins = int(runs["first"].min())
    if number == OLD_LEDGER:
        return begins
    old = max((x.issued for x in before if x.id == OLD_LEDGER), default=0)
    return min(old + 1, begins) if old and begins > 1 and old - RESENT < begins else 1


def _gaps(runs: Records, given: tuple[int, int], known_ms: tuple[int, int]) -> _Gaps:
    """Give what did not arrive of the numbers given out, from the first to the last of them.

    A gap is of the times between the run before it and the run after it; at either end of the
    ledger, of the times since the ledger before it or until its last word.
    """
    (start, issued), (began, word) = given, known_ms
    if not len(runs):
        rows = _row(start, issued, began, word)
        return _Gaps(rows[:, :2], rows[:, 2], rows[:, 3])
    reach = np.maximum.accumulate(runs["last"])
    holder = np.maximum.accumulate(np.where(runs["last"] == reach, np.arange(len(runs)), 0))
    at = np.flatnonzero(runs["first"][1:] > reach[:-1] + 1)
    newest, oldest = runs["newest_ms"][holder], int(runs["oldest_ms"][0])
    between = np.stack(
        [reach[at] + 1, runs["first"][at + 1] - 1, newest[at], runs["oldest_ms"][at + 1]], axis=1
    )
    before, behind = int(runs["first"][0]) - 1, int(reach[-1]) + 1
    rows = np.concatenate([
        _row(start, before, began, oldest), between,
        _row(behind, issued, int(newest[-1]), word),
    ])  # fmt: skip
    return _Gaps(rows[:, :2], rows[:, 2:].min(axis=1), rows[:, 2:].max(axis=1))


def _row(first: int, last: int, left_ms: int, right_ms: int) -> np.ndarray:
    rows = [[first, last, left_ms, right_ms]] if first <= last else []
    return np.array(rows, np.int64).reshape(-1, 4)


def _findings(x: _Ledger, newest_ms: int, queue_ms: int) -> Iterator[Finding]:
    """Give everything that is wrong with a ledger, whatever span it concerns.

    What was refused lay there to be sent; what waits was not dropped whole, though parts of it may
    be; the rest was dropped, is younger than the agent's word, or is lost.
    """
    refused, _ = _told(x.quarantined)
    rest = minus(x.gaps.ranges, refused)
    settled, queued, parcels = _word_on_queue(x, newest_ms, queue_ms)
    waiting = both(rest, queued)
    counted = x.dropped["amount"] != UNCOUNTED
    dropped, _ = _told(x.dropped[counted])
    excess = size(minus(waiting, dropped)) - parcels
    rest = minus(rest, waiting)
    for why, reports, absent in (
        (Why.QUARANTINED, x.quarantined, x.gaps.ranges),
        (Why.DROPPED, x.dropped[counted], rest),
    ):
        yield from _reported(x, why, reports, absent)
    rest = minus(rest, dropped)
    broken, _ = _told(x.dropped[~counted])
    yield from _pieces(x, Why.DROPPED, both(rest, broken))
    rest = minus(rest, broken)
    upto = np.array([[1, settled]], np.int64) if settled else NONE
    yield from _pieces(x, Why.QUEUED, waiting)
    yield from _pieces(x, Why.UNKNOWN, both(rest, upto))
    yield from _pieces(x, Why.PENDING, minus(rest, upto))
    if excess > 0:  # more are missing of the queue's range than the agent says it holds
        first, last = int(waiting[0, 0]), int(waiting[-1, 1])
        start_ms, end_ms = _times(x, first, last, x.queued)
        yield Finding(x.id, first, last, Why.UNKNOWN, start_ms, end_ms, excess)


def _reported(x: _Ledger, why: Why, reports: Records, absent: Ranges) -> Iterator[Finding]:
    """Give what reports tell of, also where parcels arrived without what was taken out of them."""
    ranges, amounts = _told(reports)
    for (first, last), amount in zip(ranges.tolist(), amounts.tolist(), strict=True):
        start_ms, end_ms = _times(x, first, last, reports)
        parcels = size(both(absent, np.array([[first, last]], np.int64)))
        yield Finding(x.id, first, last, why, start_ms, end_ms, parcels, amount)


def _word_on_queue(x: _Ledger, newest_ms: int, queue_ms: int) -> tuple[int, Ranges, int]:
    """Give the number up to which the agent's last word settles what waits, and what waits.

    queue_ms: when the agent last spoke of a queue, of whichever ledger.
    """
    if newest_ms - x.last_word_ms > SUPERSEDED_MS or (x.id == OLD_LEDGER and not len(x.queued)):
        return x.issued, NONE, 0
    at_ms, first, last, parcels = 0, 0, 0, 0
    if len(x.queued):
        report = x.queued[int(np.argmax(x.queued["at_ms"]))]
        at_ms, first, last, parcels = (int(report[n]) for n in ("at_ms", "first", "last", "amount"))
    quiet_ms = int(x.runs["said_ms"].max(initial=0)) - QUIET_MS
    if queue_ms < quiet_ms:
        at_ms, parcels = quiet_ms, 0
    heard = x.runs[x.runs["said_ms"] <= at_ms]
    settled = max((int(v.max()) for v in (heard["next"] - 1, heard["last"]) if len(v)), default=0)
    if parcels <= 0:
        return settled, NONE, 0
    return max(settled, last), np.array([[first, last]], np.int64), parcels


def _pieces(x: _Ledger, why: Why, ranges: Ranges) -> Iterator[Finding]:
    at = np.searchsorted(x.gaps.ranges[:, 0], ranges[:, 0], "right") - 1
    rows = zip(
        ranges.tolist(), x.gaps.start_ms[at].tolist(), x.gaps.end_ms[at].tolist(), strict=True
    )
    for (first, last), start_ms, end_ms in rows:
        yield Finding(x.id, first, last, why, start_ms, end_ms, last - first + 1)


def _told(reports: Records) -> tuple[Ranges, np.ndarray]:
    """Give the ranges that reports speak of, joined, and the amounts of each."""
    ranges = union(reports["first"], reports["last"])
    amounts = np.zeros(len(ranges), np.int64)
    at = np.searchsorted(ranges[:, 0], reports["first"], "right") - 1
    np.add.at(amounts, at, reports["amount"])
    return ranges, amounts


def _times(x: _Ledger, first: int, last: int, reports: Records) -> tuple[int, int]:
    """Give the reading times that numbers first..last can be of."""
    i, j = _overlap(x.gaps.ranges[:, 0], x.gaps.ranges[:, 1], first, last)
    k, n = _overlap(x.runs["first"], np.maximum.accumulate(x.runs["last"]), first, last)
    starts = np.concatenate([x.gaps.start_ms[i:j], x.runs["oldest_ms"][k:n]])
    ends = np.concatenate([x.gaps.end_ms[i:j], x.runs["newest_ms"][k:n]])
    if not len(starts):
        return int(reports["at_ms"].min()), int(reports["at_ms"].max())
    return int(starts.min()), int(ends.max())


def _overlap(firsts: np.ndarray, lasts: np.ndarray, first: int, last: int) -> tuple[int, int]:
    """Give the slice of sorted ranges that can overlap first..last."""
    return int(np.searchsorted(lasts, first)), int(np.searchsorted(firsts, last, "right"))


def _silence(ledgers: Sequence[_Ledger], end_ms: int, now_ms: int) -> list[Finding]:
    """Give the time up to an instant about which the agent has not spoken yet.

    A word from the future was said by a wrong clock and does not count.
    """
    heard = []
    for x in ledgers:
        runs = x.runs[x.runs["said_ms"] <= now_ms + PATIENCE_MS]
        if len(runs):
            told = runs["next"].max() > 0
            heard.append((int(runs["said_ms" if told else "newest_ms"].max()), x))
    if not heard:
        return []
    heard_ms, current = max(heard, key=lambda pair: pair[0])
    if heard_ms >= end_ms:
        return []
    return [Finding(current.id, current.issued + 1, None, Why.PENDING, heard_ms, end_ms, None)]
