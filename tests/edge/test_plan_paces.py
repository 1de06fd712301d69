"""Paces: slower points ride along, slow reads are spread, holes are left out."""

import math
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from edge.plan import DevicePlan, plan_paced, rotated, turns
from edge.profile import Pace, PointSpec, ReadLimits, find_profile

SECONDS = {Pace.FAST: 1.0, Pace.NORMAL: 10.0, Pace.SLOW: 60.0}
RANK = {p: i for i, p in enumerate(Pace)}


@st.composite
def devices(draw: st.DrawFn) -> tuple[tuple[PointSpec, ...], ReadLimits]:
    address, points = 0, []
    for i in range(draw(st.integers(1, 30))):
        address += draw(st.integers(0, 6))
        function, pace = draw(st.sampled_from([3, 4])), draw(st.sampled_from(list(Pace)))
        points.append(PointSpec(f"p{i}", function, address, "f32", pace=pace))
        address += 2
    limits = ReadLimits(max_registers=draw(st.integers(2, 40)), max_gap=draw(st.integers(0, 8)))
    return tuple(points), limits


def paced(points: tuple[PointSpec, ...], limits: ReadLimits, **more: object) -> DevicePlan:
    return plan_paced(points, limits, SECONDS, **more)  # type: ignore[arg-type]


@given(devices(), st.data())
def test_each_point_is_read_once_at_its_pace_or_at_a_faster_one(
    device: tuple[tuple[PointSpec, ...], ReadLimits], data: st.DataObject
) -> None:
    points, limits = device
    holes = data.draw(st.sets(st.sampled_from([(p.function, p.address) for p in points])))
    made = paced(points, limits, holes=holes)
    read = Counter(p.measurand for b in made.all_blocks for p in b.points)
    left_out = {p.measurand for p in made.left_out}
    assert set(read.values()) <= {1}
    assert set(read) | left_out == {p.measurand for p in points}
    assert not set(read) & left_out
    assert all((p.function, p.address) in holes for p in made.left_out)
    for pace, blocks in made.blocks.items():
        for block in blocks:
            assert block.count <= limits.max_registers
            assert min(RANK[p.pace] for p in block.points) == RANK[pace]
            assert not any((block.function, a) in holes for a in range(block.address, block.end))


@given(devices())
def test_no_slower_point_is_asked_for_that_a_faster_block_brings_anyway(
    device: tuple[tuple[PointSpec, ...], ReadLimits],
) -> None:
    made = paced(*device)
    for pace, blocks in made.blocks.items():
        faster = [b for p, some in made.blocks.items() if RANK[p] < RANK[pace] for b in some]
        for point in (p for b in blocks for p in b.points):
            assert not any(
                f.function == point.function and f.address <= point.address and point.end <= f.end
                for f in faster
            )


def test_a_slow_point_between_fast_ones_rides_along() -> None:
    points = tuple(
        PointSpec(name, 3, 2 * i, "f32", pace=pace)
        for i, (name, pace) in enumerate([("a", Pace.FAST), ("b", Pace.SLOW), ("c", Pace.FAST)])
    )
    made = paced(points, ReadLimits())
    ((pace, (block,)),) = made.blocks.items()
    assert (pace, block.points, block.idle_registers) == (Pace.FAST, points, 0)


def test_paces_read_equally_often_are_planned_as_one() -> None:
    profile = find_profile("eastron/sdm630")
    each = dict.fromkeys(Pace, 60.0)
    made = plan_paced(profile.points, profile.limits, each)
    assert list(made.blocks) == [Pace.NORMAL]


def test_the_fingerprint_stays_when_holes_are_found_paces_change_or_the_line_does() -> None:
    profile = find_profile("eastron/sdm630")
    plain = paced(profile.points, profile.limits)
    holed = paced(profile.points, profile.limits, holes={(4, 0)}, cost=3)
    assert plain.fingerprint == holed.fingerprint
    assert paced(profile.points[1:], profile.limits).fingerprint != plain.fingerprint


@given(st.integers(0, 40), st.integers(1, 60), st.integers(0, 10**9))
def test_rotation_reads_each_item_once_in_any_slow_interval_and_spreads_them(
    count: int, ticks: int, first: int
) -> None:
    items = range(count)
    due = [rotated(items, ticks, tick) for tick in range(first, first + ticks)]
    assert Counter(i for some in due for i in some) == Counter(items)
    assert max(map(len, due)) <= math.ceil(count / ticks)
    assert min(map(len, due)) >= count // ticks
    full = {(some[0], some[-1] + 1) for some in due if some}
    assert set(turns(count, ticks)) == full
