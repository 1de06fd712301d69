"""The proof of delivery: range algebra and verdicts against sets of numbers, one by one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.delivery import REPORT, RUN, AgentLog, Finding, Records, Why, marks_of, prove, rolled
from server.delivery.prove import PATIENCE_MS, SUPERSEDED_MS
from server.delivery.ranges import both, minus, size, union
from server.periods import DAY_MS, HOUR_MS, Interval

T0 = 1_767_196_800_000
ALL = Interval(0, 2 * T0)
PAIRS = st.lists(st.tuples(st.integers(1, 40), st.integers(0, 8)), max_size=12)


def ranges(pairs: Sequence[tuple[int, int]]) -> np.ndarray:
    first = np.array([a for a, _ in pairs], np.int64)
    return union(first, first + np.array([n for _, n in pairs], np.int64))


def numbers(pairs: Sequence[tuple[int, int]]) -> set[int]:
    return {i for a, n in pairs for i in range(a, a + n + 1)}


def members(found: np.ndarray) -> set[int]:
    assert (found[1:, 0] > found[:-1, 1] + 1).all()  # sorted, disjoint, joined where they touch
    return {i for a, b in found.tolist() for i in range(a, b + 1)}


@given(PAIRS, PAIRS)
def test_ranges_are_sets_of_numbers(a: list[tuple[int, int]], b: list[tuple[int, int]]) -> None:
    assert members(ranges(a)) == numbers(a)
    assert members(both(ranges(a), ranges(b))) == numbers(a) & numbers(b)
    assert members(minus(ranges(a), ranges(b))) == numbers(a) - numbers(b)
    assert size(ranges(a)) == len(numbers(a))


def run(
    first: int, last: int, *, ledger: int = 7, said: int | None = None, after: int = 0
) -> tuple:  # type: ignore[type-arg] # a row
    """A receipt sent as soon as its last parcel was given out; a parcel a second."""
    at = T0 + 1000 * last if said is None else said
    return (ledger, first, last, T0 + 1000 * first, T0 + 1000 * last, last - first + 1, at, after)


def runs(*rows: tuple[int, ...]) -> Records:
    return np.array(list(rows), RUN)


def reports(*rows: tuple[int, ...]) -> Records:
    return np.array(list(rows), REPORT)


@dataclass(frozen=True)
class World:
    """What became of each number 1..issued, and what the agent said of it."""

    log: AgentLog
    arrived: set[int]
    dropped: set[int]
    quarantined: set[int]
    queued: set[int]
    settled: int
    issued: int


@st.composite
def worlds(draw: st.DrawFn) -> World:
    issued = draw(st.integers(1, 40))
    ends = sorted(draw(st.sets(st.integers(1, issued), max_size=8)) | {issued})
    pieces = list(zip([1, *[e + 1 for e in ends[:-1]]], ends, strict=True))
    fates = draw(st.lists(st.sampled_from("aaadqwl"), min_size=len(pieces), max_size=len(pieces)))
    now_ms = T0 + 1000 * issued
    sent, gone, aside = [], [], []
    for (first, last), fate in zip(pieces, fates, strict=True):
        if fate == "a":
            said = draw(st.sampled_from([T0 + 1000 * last, now_ms]))
            after = draw(st.sampled_from([0, last + 1]))
            sent.append(run(first, last, said=said, after=after))
            if draw(st.booleans()):
                sent.append(sent[-1])
        elif fate == "d":
            gone.append((7, now_ms - 5, first, last, 3))
        elif fate == "q":
            aside += [(7, now_ms - i, i, i, 2) for i in range(first, last + 1)]
    waits = [p for p, fate in zip(pieces, fates, strict=True) if fate == "w"]
    sent.append(run(issued, issued, said=now_ms, after=issued + 1))
    of = {
        f: {i for p, g in zip(pieces, fates, strict=True) if g == f for i in range(p[0], p[1] + 1)}
        for f in "adqwl"
    }
    word, queued, settled = [], set[int](), 0
    if draw(st.booleans()):
        low, high = (waits[0][0], waits[-1][1]) if waits else (0, 0)
        word = [(7, now_ms, low, high, high - low + 1 if waits else 0)]
        queued, settled = set(range(low, high + 1)) if waits else set(), issued
    log = AgentLog("a1", runs(*sent), reports(*gone), reports(*aside), reports(*word))
    arrived = of["a"] | {issued}
    return World(log, arrived, of["d"], of["q"], queued, settled, issued)


def told(found: Sequence[Finding], why: Why) -> set[int]:
    return {i for f in found if f.why is why for i in range(f.first, (f.last or 0) + 1)}


@settings(max_examples=300)
@given(worlds(), st.booleans())
def test_every_number_is_judged_as_sets_would(world: World, is_rolled: bool) -> None:
    log = replace(world.log, runs=rolled(world.log.runs)) if is_rolled else world.log
    now_ms = T0 + 1000 * world.issued + 2 * PATIENCE_MS
    found = [f for f in prove(log, ALL, now_ms).findings if f.last is not None]
    missing = set(range(1, world.issued + 1)) - world.arrived - world.quarantined
    assert told(found, Why.DROPPED) == world.dropped
    assert told(found, Why.QUARANTINED) == world.quarantined
    assert told(found, Why.QUEUED) == missing & world.queued
    left = missing - world.queued - world.dropped
    assert told(found, Why.UNKNOWN) == (left if world.settled else set())
    assert told(found, Why.PENDING) == (set() if world.settled else left)


def prove_all(log: AgentLog, now_ms: int | None = None, span: Interval = ALL) -> list[Finding]:
    at = int(log.runs["said_ms"].max()) if now_ms is None else now_ms
    return list(prove(log, span, at).findings)


def test_a_whole_ledger_is_complete() -> None:
    proof = prove(AgentLog("a1", runs(run(1, 5), run(6, 9))), ALL, T0 + 9000)
    assert proof.is_complete
    assert (proof.parcels, proof.readings_least, proof.readings_most) == (9, 9, 9)
    assert proof.last_word_ms == T0 + 9000


def test_what_was_sent_twice_counts_once_at_least() -> None:
    proof = prove(AgentLog("a1", runs(run(1, 5), run(1, 5), run(4, 9))), ALL, T0 + 9000)
    assert proof.is_complete
    assert (proof.parcels, proof.readings_least, proof.readings_most) == (9, 5, 16)


def test_a_gap_concerns_the_time_between_its_neighbours() -> None:
    log = AgentLog("a1", runs(run(1, 100), run(7201, 9000, after=9001)))
    log = replace(log, queued=reports((7, T0 + 9_000_000, 0, 0, 0)))
    (lost,) = prove_all(log)
    assert (lost.why, lost.first, lost.last, lost.parcels) == (Why.UNKNOWN, 101, 7200, 7100)
    assert (lost.start_ms, lost.end_ms) == (T0 + 100_000, T0 + 7_201_000)
    assert not prove_all(log, span=Interval(T0 - HOUR_MS, T0 + 30_000))
    assert not prove_all(log, span=Interval(T0 + 7_500_000, T0 + 8_000_000))
    assert prove_all(log, span=Interval(T0 + 3_600_000, T0 + 3_601_000)) == [lost]


def test_what_is_younger_than_the_last_report_is_not_yet_said_and_then_lost() -> None:
    log = AgentLog("a1", runs(run(1, 5, after=6), run(7, 9, after=10)))
    late = T0 + 9000 + 2 * PATIENCE_MS
    log = replace(log, queued=reports((7, T0 + 5000, 0, 0, 0)))
    assert [f.why for f in prove_all(log, late) if f.last] == [Why.PENDING]
    log = replace(log, queued=reports((7, T0 + 10_000, 0, 0, 0)))
    assert [f.why for f in prove_all(log, late) if f.last] == [Why.UNKNOWN]
    log = replace(log, queued=reports((7, T0 + 10_000, 6, 6, 1)))
    assert [f.why for f in prove_all(log, late) if f.last] == [Why.QUEUED]


def test_a_parcel_just_given_out_may_be_on_its_way() -> None:
    log = AgentLog("a1", runs(run(1, 5, after=8)))
    assert prove(log, ALL, T0 + 9000).is_complete
    (waits,) = prove_all(log, T0 + 5000 + PATIENCE_MS + 1, Interval(0, T0 + 4000))
    assert (waits.why, waits.first, waits.last) == (Why.PENDING, 6, 7)


def test_more_missing_than_the_queue_holds_is_lost() -> None:
    log = AgentLog("a1", runs(run(1, 5), run(16, 20, after=21)))
    log = replace(log, queued=reports((7, T0 + 21_000, 6, 15, 4)))
    found = prove_all(log, T0 + 21_000 + 2 * PATIENCE_MS, Interval(0, T0 + 30_000))
    assert {(f.why, f.parcels) for f in found} == {
        (Why.QUEUED, 10), (Why.UNKNOWN, 6), (Why.PENDING, None),
    }  # fmt: skip


def test_gauges_dropped_out_of_a_parcel_that_arrived_are_told() -> None:
    log = AgentLog("a1", runs(run(1, 9)), reports((7, T0 + 5000, 2, 4, 30)))
    (thinned,) = prove_all(log)
    assert (thinned.why, thinned.parcels, thinned.amount) == (Why.DROPPED, 0, 30)
    assert (thinned.start_ms, thinned.end_ms) == (T0 + 1000, T0 + 9000)


def test_what_lay_in_a_broken_file_is_dropped_and_what_had_arrived_is_not() -> None:
    log = AgentLog("a1", runs(run(1, 50), run(61, 80)), reports((7, T0 + 90_000, 1, 99, -1)))
    found = [(f.why, f.first, f.last, f.parcels, f.amount) for f in prove_all(log)]
    assert found == [
        (Why.DROPPED, 51, 60, 10, None),
        (Why.DROPPED, 81, 99, 19, None),
    ]
    assert not prove_all(log, span=Interval(0, T0 - HOUR_MS))


def test_an_agent_that_says_nothing_of_a_queue_for_an_hour_has_none() -> None:
    log = AgentLog("a1", runs(run(1, 5, after=6), run(8, 60, after=61), run(61, 3700)))
    assert [(f.why, f.first, f.last) for f in prove_all(log)] == [(Why.UNKNOWN, 6, 7)]
    busy = replace(log, queued=reports((9, T0 + 1_800_000, 1, 5, 5)))  # of another ledger
    found = [(f.outbox_id, f.why) for f in prove_all(busy) if f.outbox_id == 7]
    assert found == [(7, Why.PENDING)]


def test_a_word_on_the_queue_from_the_future_does_not_keep_a_loss_waiting() -> None:
    log = AgentLog("a1", runs(run(1, 5, after=6), run(8, 60, after=61), run(61, 3700)))
    wrong = replace(log, queued=reports((9, T0 + 400 * DAY_MS, 1, 5, 5)))
    found = [(f.why, f.first) for f in prove_all(wrong, T0 + 3_700_000) if f.outbox_id == 7]
    assert found == [(Why.UNKNOWN, 6)]


def test_what_was_thinned_and_waits_is_both_dropped_and_queued() -> None:
    log = AgentLog("a1", runs(run(1, 5), run(16, 20, after=21)))
    log = replace(log, dropped=reports((7, T0 + 20_000, 6, 12, 30)))
    log = replace(log, queued=reports((7, T0 + 21_000, 8, 15, 8)))
    found = prove_all(log, T0 + 21_000 + 2 * PATIENCE_MS, Interval(0, T0 + 20_000))
    assert [(f.why, f.first, f.last, f.parcels) for f in found if f.last] == [
        (Why.DROPPED, 6, 12, 2),
        (Why.QUEUED, 8, 15, 8),
    ]


def test_a_silent_agent_has_not_yet_said() -> None:
    log = AgentLog("a1", runs(run(1, 5, after=6)))
    (silence,) = prove_all(log, T0 + DAY_MS)
    assert (silence.why, silence.first, silence.last) == (Why.PENDING, 6, None)
    assert silence.start_ms == T0 + 5000
    assert not prove_all(log, T0 + DAY_MS, Interval(T0, T0 + 3000))
    assert prove(AgentLog("a1"), ALL, T0).last_word_ms is None
    assert not prove(AgentLog("a1"), ALL, T0).is_complete


def test_a_word_from_the_future_breaks_no_silence() -> None:
    log = AgentLog("a1", runs(run(1, 4, after=5), run(5, 5, said=T0 + 400 * DAY_MS, after=6)))
    assert [f.why for f in prove_all(log, T0 + DAY_MS)] == [Why.PENDING]


def test_a_ledger_that_is_no_longer_used_is_lost_where_it_waited() -> None:
    old = [run(1, 5, after=8)]
    log = AgentLog("a1", runs(*old), queued=reports((7, T0 + 6000, 6, 7, 2)))
    assert [f.why for f in prove_all(log, T0 + PATIENCE_MS * 2) if f.last] == [Why.QUEUED]
    new = run(1, 3, ledger=9, said=T0 + 6001 + SUPERSEDED_MS, after=4)
    log = replace(log, runs=runs(*old, new))
    assert [(f.outbox_id, f.why) for f in prove_all(log)] == [(7, Why.UNKNOWN)]


def test_a_new_ledger_that_begins_late_has_lost_its_beginning() -> None:
    log = AgentLog("a1", runs(run(1, 5), run(11, 15, ledger=9, after=16)))
    log = replace(log, queued=reports((9, T0 + 15_000, 0, 0, 0)))
    (lost,) = prove_all(log)
    assert (lost.outbox_id, lost.first, lost.last) == (9, 1, 10)
    assert (lost.start_ms, lost.end_ms) == (T0 + 5000, T0 + 11_000)


def test_an_agent_without_ledgers_sends_in_order_so_a_gap_is_lost_and_a_late_start_is_not() -> None:
    log = AgentLog("a1", runs(run(100, 105, ledger=0), run(108, 110, ledger=0)))
    (lost,) = prove_all(log)
    assert (lost.why, lost.first, lost.last) == (Why.UNKNOWN, 106, 107)


def test_what_waited_in_an_old_outbox_keeps_its_numbers_in_a_ledger_of_its_own() -> None:
    old = [run(9000, 10_000, ledger=0)]
    moved, new = run(10_006, 10_020, ledger=8), run(1, 9, ledger=9, said=T0 + 10_100_000)
    log = AgentLog("a1", runs(*old, moved, new), queued=reports((8, T0 + 10_100_000, 0, 0, 0)))
    assert [(f.outbox_id, f.first, f.last) for f in prove_all(log)] == [(8, 10_001, 10_005)]
    whole = replace(log, runs=runs(*old, run(9990, 10_020, ledger=8), new))
    assert not prove_all(whole)
    late = replace(log, runs=runs(*old, moved, run(5, 9, ledger=9, said=T0 + 10_100_000)))
    assert (9, 1, 4) in [(f.outbox_id, f.first, f.last) for f in prove_all(late)]


def test_a_ledger_of_which_nothing_arrived_is_known_by_its_reports() -> None:
    log = AgentLog("a1", runs(), reports((7, T0, 1, 50, 400)), queued=reports((7, T0, 51, 60, 10)))
    found = prove_all(log, T0 + 2 * PATIENCE_MS)
    assert [(f.why, f.first, f.last) for f in found] == [
        (Why.DROPPED, 1, 50),
        (Why.QUEUED, 51, 60),
    ]


def test_days_are_marked_by_the_worst_of_them() -> None:
    per_day = 86_400
    log = AgentLog(
        "a1",
        runs(run(1, per_day), run(per_day + 200, 3 * per_day, after=3 * per_day + 1)),
        queued=reports((7, T0 + 3 * DAY_MS, 0, 0, 0)),
    )
    edges = np.array([T0 + i * DAY_MS for i in range(6)], np.int64)
    marks = marks_of(log, edges, T0 + 3 * DAY_MS)
    assert [m.worst for m in marks] == [Why.UNKNOWN, Why.UNKNOWN, None, None, None]
    assert [m.readings for m in marks] == [per_day, 2 * per_day - 199, 0, 0, 0]
    assert [m.is_reached for m in marks] == [True, True, True, True, False]


@pytest.mark.parametrize("minutes", [1, 45, 600])
def test_joined_receipts_prove_the_same(minutes: int) -> None:
    rows = [run(i, i + 9, after=i + 10) for i in range(1, 60 * minutes, 10) if i % 7]
    log = AgentLog("a1", runs(*rows), queued=reports((7, T0 + 10**9, 0, 0, 0)))
    short = replace(log, runs=rolled(log.runs))
    assert len(short.runs) <= len(log.runs)
    now_ms = T0 + 10**9
    for span in (ALL, Interval(T0, T0 + HOUR_MS), Interval(T0 + HOUR_MS, T0 + 2 * HOUR_MS)):
        whole, brief = prove(log, span, now_ms), prove(short, span, now_ms)
        assert whole.findings == brief.findings
        assert (whole.readings_least >= brief.readings_least) & (
            whole.readings_most <= brief.readings_most
        )
