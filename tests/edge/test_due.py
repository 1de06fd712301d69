"""Due reads: multiples of their interval; slow ones spread over theirs."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.poller.due import Read, pace_of, schedule, tick_ms
from edge.profile import Pace
from tests.edge.virtual import block, point

PACE_MS = {Pace.FAST: 5_000, Pace.NORMAL: 60_000, Pace.SLOW: 3_600_000}


def reads_of(*paces: Pace) -> list[Read]:
    return [Read(block("power_kw", pace=p)) for p in paces]


def test_fast_and_normal_reads_are_due_at_multiples_of_their_interval() -> None:
    fast, normal = reads_of(Pace.FAST, Pace.NORMAL)
    schedule([fast, normal], 5_000, PACE_MS)
    assert all(fast.is_due(t) for t in range(30))
    assert [t for t in range(30) if normal.is_due(t)] == [0, 12, 24]


@given(count=st.integers(1, 200), ticks=st.integers(1, 120))
def test_slow_reads_are_due_once_each_and_spread_evenly(count: int, ticks: int) -> None:
    reads = reads_of(*[Pace.SLOW] * count)
    schedule(reads, 1000, {Pace.SLOW: 1000 * ticks})
    due = Counter(t for t in range(ticks) for r in reads if r.is_due(t))
    assert sum(due.values()) == count
    assert all(sum(r.is_due(t) for t in range(ticks)) == 1 for r in reads)
    assert max(due.values()) <= -(-count // ticks)


def test_a_block_has_the_pace_of_its_fastest_point() -> None:
    slow, fast = point("power_kw", 0, Pace.SLOW), point("voltage_l1_v", 1, Pace.FAST)
    assert pace_of(block()) is Pace.NORMAL
    mixed = type(block())(3, 0, 2, (slow, fast))
    assert pace_of(mixed) is Pace.FAST


@pytest.mark.parametrize(
    ("paces", "tick"),
    [
        ((Pace.FAST, Pace.SLOW), 5_000),
        ((Pace.NORMAL, Pace.SLOW), 60_000),
        ((Pace.SLOW,), 3_600_000),
    ],
)
def test_a_bus_ticks_at_the_shortest_of_its_own_intervals(
    paces: tuple[Pace, ...], tick: int
) -> None:
    assert tick_ms(paces, PACE_MS) == tick


def test_a_tick_divides_intervals_that_do_not_divide_each_other() -> None:
    assert tick_ms((Pace.NORMAL, Pace.SLOW), {Pace.NORMAL: 40_000, Pace.SLOW: 60_000}) == 20_000
