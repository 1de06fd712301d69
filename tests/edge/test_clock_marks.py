"""Marks and restamping: monotone, injective, on the grid, and no value lost."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from contract.line import decode, encode
from contract.reading import PointId, Reading, Reason
from edge.clock import ToSlot, restamped
from edge.clock.marks import put_before

INTERVALS = st.sampled_from([100, 1000, 10_000, 60_000, 900_000])
T_MS = 1_767_225_600_000
REASONS = st.sampled_from(list(Reason))


@given(
    interval_ms=INTERVALS,
    first=st.integers(0, 10**6),
    shift_ms=st.integers(-(10**9), 10**12),
    lengths=st.integers(2, 50),
)
def test_neighbours_stay_neighbours_on_the_grid(
    interval_ms: int, first: int, shift_ms: int, lengths: int
) -> None:
    stamped = [T_MS + (first + i) * interval_ms for i in range(lengths)]
    stamped = [s - s % interval_ms for s in stamped]
    to_slot = ToSlot(shift_ms)
    true = [to_slot(s, interval_ms) for s in stamped]
    assert all(t % interval_ms == 0 for t in true)
    assert [b - a for a, b in pairwise(true)] == [interval_ms] * (lengths - 1)
    moments = [to_slot.moved(s) for s in stamped]
    assert all(0 <= m - t < interval_ms for m, t in zip(moments, true, strict=True))


@given(
    interval_ms=INTERVALS, shift_ms=st.integers(-(10**9), 10**12), later_ms=st.integers(0, 10**7)
)
def test_no_restamped_slot_lies_behind_the_moment_at_which_it_was_read(
    interval_ms: int, shift_ms: int, later_ms: int
) -> None:
    """So that a slot polled afterwards, by the true time, is another one or the very same."""
    stamped_ms = T_MS - T_MS % interval_ms
    now_ms = ToSlot(shift_ms).moved(stamped_ms + later_ms)
    assert ToSlot(shift_ms)(stamped_ms, interval_ms) <= now_ms - now_ms % interval_ms


def reading(name: str, reason: Reason, device: str = "E 1,=") -> Reading:
    value = None if reason.is_bad else 1.5
    return Reading(PointId("s", device, name), T_MS, value, reason, 0.25)


@given(reasons=st.lists(REASONS, min_size=3, max_size=3), doubt=st.sampled_from(
    [Reason.CLOCK_UNSYNCED, Reason.CLOCK_RESTAMPED]))  # fmt: skip
def test_a_mark_takes_no_value_and_hides_no_reason(reasons: list[Reason], doubt: Reason) -> None:
    names = ("power_kw", "energy_import_kwh", "volume_m3")  # two lines
    before = [reading(n, r) for n, r in zip(names, reasons, strict=True)]
    lines = restamped(encode(before), ToSlot(63_250), 60_000, doubt)
    after = decode("\n".join(lines))
    assert [(r.point, r.value) for r in after] == [(r.point, r.value) for r in before]
    assert {r.time_ms for r in after} == {T_MS + 60_000}
    assert {r.lag_s for r in after} == {3.5}
    for old, new in zip(before, after, strict=True):
        if old.reason.is_bad:
            assert new.reason is old.reason
        elif old.reason in {Reason.CROSS_CHECK, Reason.COUNTER_BACKWARD}:
            assert new.reason is (old.reason if doubt is Reason.CLOCK_RESTAMPED else doubt)
        else:
            assert new.reason is doubt


def test_a_delivery_line_is_moved_and_keeps_its_own_millisecond() -> None:
    line = f"delivery,device=a1,site=s dropped_first=1.0,lag_s=0.0 {T_MS + 17}"
    assert restamped([line], ToSlot(5), 60_000, Reason.CLOCK_RESTAMPED) == [
        f"delivery,device=a1,site=s dropped_first=1.0,lag_s=0.0 {T_MS + 22}"
    ]


SPANS = st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 10**6)), max_size=6)


@given(rows=SPANS, began_ms=st.integers(10**8, 10**9))
def test_earlier_boots_end_before_the_next_one_begins(
    rows: list[tuple[int, int]], began_ms: int
) -> None:
    spans = [(start, start + length) for start, length in rows]
    ends_ms = began_ms
    for (start, end), to_slot in reversed(
        list(zip(spans, put_before(spans, began_ms), strict=True))
    ):
        assert to_slot.shift_ms <= 0
        assert to_slot.moved(end) < ends_ms
        ends_ms = to_slot.moved(start)


def test_earlier_boots_that_fit_stay_where_they_were_put() -> None:
    assert put_before([(100, 200), (300, 400)], 500) == [ToSlot(0), ToSlot(0)]
    assert put_before([(100, 350), (300, 400)], 350) == [ToSlot(-102), ToSlot(-51)]
