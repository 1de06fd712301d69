"""Whose word on the time is taken, word by word; and the grid that follows."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.clock import Grid, Look, SteadyClock, TimeSource, Trust
from edge.clock.truth import COAST_MS, RELEASE_MS, SERVER_AFTER_MS, Truth

NOW_MS = RELEASE_MS + 10**9
HOUR_MS = 3_600_000


def look(
    at_ms: float,
    off_ms: float = 0.0,
    *,
    is_synced: bool = False,
    token: float | None = None,
    is_rtc_kept: bool = False,
) -> Look:
    """Give a look at an uptime at which it really is NOW + uptime."""
    return Look(at_ms, NOW_MS + at_ms + off_ms, is_synced, token, is_rtc_kept)


def known(trust: Trust = "ntp", token: float | None = None) -> Truth:
    truth = Truth(trust, 0.0)
    assert truth.judge(look(0, is_synced=True, token=token)).became_known
    return truth


def hear(truth: Truth, at_ms: float, off_ms: float = 0.0) -> None:
    server_ms = int(NOW_MS + at_ms + off_ms)
    truth.server.heard(server_ms - server_ms % 1000, at_ms, at_ms + 10)


@pytest.mark.parametrize(
    ("trust", "first", "source"),
    [
        ("ntp", look(0, is_synced=True), TimeSource.NTP),
        ("ntp", look(0, -NOW_MS, is_synced=True), TimeSource.NONE),
        ("ntp", look(0, is_rtc_kept=True), TimeSource.RTC),
        ("ntp", look(0, -NOW_MS, is_rtc_kept=True), TimeSource.NONE),
        (
            "ntp",
            look(0, -2 * HOUR_MS, is_rtc_kept=True),
            TimeSource.NONE,
        ),  # behind what was reached
        ("ntp", look(0), TimeSource.NONE),
        ("server", look(0), TimeSource.NONE),
        ("system", look(0), TimeSource.SYSTEM),
        ("system", look(0, -2 * HOUR_MS), TimeSource.SYSTEM),
        ("system", look(0, -NOW_MS), TimeSource.NONE),
    ],
)
def test_what_makes_the_time_known(trust: Trust, first: Look, source: TimeSource) -> None:
    truth = Truth(trust, 0.0, floor_ms=NOW_MS - HOUR_MS)
    verdict = truth.judge(first)
    assert truth.source is source
    assert verdict.became_known is bool(source)
    assert truth.offset_ms == (first.offset_ms if source else 0.0)


@pytest.mark.parametrize(
    ("trust", "is_known"), [("server", True), ("system", True), ("ntp", False)]
)
def test_the_servers_word_is_taken_when_the_machine_has_none(trust: Trust, is_known: bool) -> None:
    truth = Truth(trust, 0.0)
    assert not truth.judge(look(0, -NOW_MS)).became_known
    hear(truth, 5)
    truth.judge(look(SERVER_AFTER_MS - 1, -NOW_MS))
    assert not truth.is_known
    truth.judge(look(SERVER_AFTER_MS, -NOW_MS))
    assert truth.is_known is is_known
    if is_known:
        assert abs(truth.offset_ms - NOW_MS) <= 1010


def test_a_far_jump_must_be_seen_twice_and_a_near_one_once() -> None:
    truth = known()
    assert truth.judge(look(5000, 700, is_synced=True)).step_ms == 700
    assert truth.judge(look(10_000, HOUR_MS, is_synced=True)).step_ms == 0
    assert truth.judge(look(15_000, 700, is_synced=True)).step_ms == 0  # it was nothing
    assert truth.judge(look(20_000, HOUR_MS, is_synced=True)).step_ms == 0
    assert truth.judge(look(29_000, HOUR_MS, is_synced=True)).step_ms == HOUR_MS - 700


def test_a_synchronisation_from_before_the_jump_does_not_vouch_for_it() -> None:
    truth = known(token=1.0)
    for at_ms in (5000, 14_000, 900_000):
        assert truth.judge(look(at_ms, HOUR_MS, is_synced=True, token=1.0)).step_ms == 0
    assert truth.offset_ms == NOW_MS
    assert truth.judge(look(910_000, HOUR_MS, is_synced=True, token=2.0)).step_ms == HOUR_MS


def test_a_jump_that_is_not_believed_is_told_once_there_and_once_back() -> None:
    truth = known()
    told = [truth.judge(look(at, HOUR_MS)).refused_ms for at in range(5000, 60_000, 5000)]
    assert [t for t in told if t] == [HOUR_MS]
    told = [truth.judge(look(at)).refused_ms for at in range(60_000, 90_000, 5000)]
    assert told == [-HOUR_MS, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(("server_off_ms", "is_believed"), [(HOUR_MS, True), (0, False)])
def test_a_clock_trusted_as_it_is_may_be_set_where_the_server_agrees(
    server_off_ms: int, is_believed: bool
) -> None:
    truth = Truth("system", 0.0)
    truth.judge(look(0))
    hear(truth, 5000, server_off_ms)
    steps = [truth.judge(look(at, HOUR_MS)).step_ms for at in (6000, 20_000)]
    assert steps == ([HOUR_MS, 0] if is_believed else [0, 0])


def test_a_time_from_the_server_is_moved_no_further_than_its_words_demand() -> None:
    truth = Truth("server", 0.0)
    truth.judge(look(0, -NOW_MS))
    hear(truth, 5)
    truth.judge(look(SERVER_AFTER_MS, -NOW_MS))
    before_ms = truth.offset_ms
    hear(truth, 40_100)
    truth.judge(look(41_000, -NOW_MS))
    low, high = truth.server.bounds(41_000) or (0, 0)
    assert low <= truth.offset_ms <= high
    assert truth.offset_ms in {before_ms, low, high}


def test_a_machine_whose_source_is_lost_for_long_takes_the_servers_word() -> None:
    truth = known("server")
    hear(truth, 1000, 9000)
    truth.judge(look(COAST_MS - 1))
    assert truth.offset_ms == NOW_MS
    assert truth.judge(look(COAST_MS + 1)).step_ms == pytest.approx(9000, abs=3000)
    assert truth.source is TimeSource.SERVER
    truth.judge(look(COAST_MS + 5000, is_synced=True))
    assert (truth.source, truth.offset_ms) == (TimeSource.NTP, NOW_MS)


@dataclass
class HandClock:
    """A clock that is moved by hand."""

    ms: int = NOW_MS
    off_ms: int = 0

    def now_ms(self) -> int:
        return self.ms + self.off_ms

    def monotonic_s(self) -> float:
        return self.ms / 1000


STEPS = st.lists(st.tuples(st.integers(1, 5000), st.integers(-9000, 9000)), max_size=60)


@given(steps=STEPS, interval_ms=st.sampled_from([100, 1000, 60_000]))
def test_no_small_step_makes_the_grid_give_a_slot_twice_or_one_that_has_not_begun(
    steps: list[tuple[int, int]], interval_ms: int
) -> None:
    clock, slots = HandClock(), []
    grid = Grid(clock, interval_ms, None)
    for wait_ms, step_ms in steps:
        clock.ms += wait_ms
        clock.off_ms += step_ms if wait_ms % 3 == 0 else 0
        left_ms = grid.left_ms(0)
        if left_ms <= 0 and not grid.pass_over(left_ms):
            slots.append(grid.slot_ms)
            assert grid.slot_ms <= clock.now_ms()
            grid.done()
    assert slots == sorted(set(slots))
    assert all(s % interval_ms == 0 for s in slots)


@pytest.mark.parametrize(
    ("last_ms", "first_ms"),
    [
        (None, 10_000),  # the first start of all
        (-10_000, 0),
        (-HOUR_MS, 0),
        (0, 10_000),
        (10_000, 20_000),  # set back by a little since
        (HOUR_MS, 0),  # stamped by a clock that was wrong
    ],
)
def test_a_start_reads_the_present_slot_unless_it_is_kept(
    last_ms: int | None, first_ms: int
) -> None:
    clock = HandClock(NOW_MS - NOW_MS % 10_000 + 3000)
    present_ms = clock.ms - 3000
    grid = Grid(clock, 10_000, None if last_ms is None else present_ms + last_ms)
    assert grid.slot_ms == present_ms + first_ms
    left_ms = grid.left_ms(0)
    assert left_ms == first_ms - 3000
    assert left_ms > 0 or grid.pass_over(left_ms) == 0


def test_a_round_keeps_the_clock_it_began_with() -> None:
    clock = HandClock()
    steady = SteadyClock(clock)
    clock.ms, clock.off_ms = clock.ms + 70, HOUR_MS
    assert steady.now_ms() == NOW_MS + 70
    assert steady.monotonic_s() == clock.monotonic_s()
