"""The planner: every point once, within limits, at the least cost there is."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.plan import FEWEST_REQUESTS, ReadBlock, bisect, fingerprint, hole_of, plan
from edge.profile import PointSpec, ReadLimits

WIDTHS = {1: "u16", 2: "f32", 4: "f64"}
COSTS = (FEWEST_REQUESTS, 0, 3, 10.5, 45)


@dataclass(frozen=True)
class Device:
    """Points, limits and holes of one function, and what a legal block of it is."""

    points: tuple[PointSpec, ...]
    limits: ReadLimits
    holes: frozenset[tuple[int, int]]

    @cached_property
    def wanted(self) -> list[PointSpec]:
        kept = [p for p in self.points if (3, p.address) not in self.holes]
        return sorted(kept, key=lambda p: (p.address, p.end))

    @cached_property
    def known(self) -> frozenset[int]:
        return frozenset(a for p in self.wanted for a in self.window([p]))

    def window(self, some: Sequence[PointSpec]) -> range:
        step = 2 if self.limits.even else 1
        start = min(p.address for p in some) // step * step
        end = max(p.end for p in some)
        return range(start, end + end % step)

    def is_legal(self, some: Sequence[PointSpec]) -> bool:
        """What one point needs cannot be helped."""
        return len(some) == 1 or self.stands(some)

    def stands(self, some: Sequence[PointSpec]) -> bool:
        """Look at each register of the window."""
        window = self.window(some)
        if len(window) > self.limits.max_registers:
            return False
        unknown_in_a_row = 0
        for a in window:
            unknown_in_a_row = 0 if a in self.known else unknown_in_a_row + 1
            crosses = a in self.limits.stops and a - 1 in window
            if unknown_in_a_row > self.limits.max_gap or crosses or (3, a) in self.holes:
                return False
        return True

    def cost_of(self, groups: Sequence[Sequence[PointSpec]], cost: float) -> float:
        return sum(cost + len(self.window(g)) for g in groups)


@st.composite
def devices(draw: st.DrawFn, most: int, *, may_overlap: bool = True) -> Device:
    address, points = draw(st.integers(0, 3)), []
    for i in range(draw(st.integers(1, most))):
        width = draw(st.sampled_from([1, 2, 4]))
        points.append(PointSpec(f"p{i}", 3, address, WIDTHS[width]))
        address += draw(st.integers(0, 8)) + (0 if may_overlap else width)
    limits = ReadLimits(
        max_registers=draw(st.integers(4, 40)),
        max_gap=draw(st.integers(0, 10)),
        even=draw(st.booleans()),
        stops=tuple(draw(st.lists(st.integers(1, address + 1), max_size=2))),
    )
    holes = draw(st.sets(st.sampled_from([p.address for p in points]), max_size=2))
    return Device(tuple(points), limits, frozenset((3, a) for a in holes))


def partitions(items: Sequence[PointSpec]) -> Iterator[list[list[PointSpec]]]:
    """Give every way to put the items into groups."""
    if not items:
        yield []
        return
    for rest in partitions(items[1:]):
        yield [[items[0]], *rest]
        for i, group in enumerate(rest):
            yield [*rest[:i], [items[0], *group], *rest[i + 1 :]]


def least_in_order(device: Device, cost: float) -> float:
    """Give the least cost of groups of neighbours: the best of all last groups, each time.

    Points that not even a block of their own stands can be in no other.
    """
    free = [p for p in device.wanted if device.stands([p])]
    best = [device.cost_of([[p] for p in device.wanted if p not in free], cost)]
    for j in range(1, len(free) + 1):
        lasts = (i for i in range(j) if device.stands(free[i:j]))
        best.append(min(best[i] + cost + len(device.window(free[i:j])) for i in lasts))
    return best[-1]


def planned(device: Device, cost: float) -> tuple[ReadBlock, ...]:
    return plan(device.points, device.limits, cost=cost, holes=device.holes)


@given(devices(40), st.sampled_from(COSTS))
def test_every_point_but_the_holes_is_read_once_and_no_limit_is_broken(
    device: Device, cost: float
) -> None:
    blocks = planned(device, cost)
    read = [p.measurand for b in blocks for p in b.points]
    assert sorted(read) == sorted(p.measurand for p in device.wanted)
    for b in blocks:
        assert range(b.address, b.end) == device.window(b.points)
        assert device.is_legal(b.points)
        assert not device.limits.even or (b.address % 2, b.count % 2) == (0, 0)


@given(devices(7), st.sampled_from(COSTS))
def test_no_way_at_all_to_group_few_points_costs_less(device: Device, cost: float) -> None:
    legal = (g for g in partitions(device.wanted) if all(map(device.is_legal, g)))
    least = min(device.cost_of(g, cost) for g in legal)
    assert device.cost_of([b.points for b in planned(device, cost)], cost) == least


@given(devices(60), st.sampled_from(COSTS))
def test_many_points_cost_what_an_exact_search_says(device: Device, cost: float) -> None:
    blocks = planned(device, cost)
    assert device.cost_of([b.points for b in blocks], cost) == least_in_order(device, cost)


@given(devices(30), st.randoms())
def test_the_order_in_which_points_are_given_does_not_matter(device: Device, rng: Random) -> None:
    mixed = list(device.points)
    rng.shuffle(mixed)
    blocks = plan(mixed, device.limits, holes=device.holes)
    assert spans(blocks) == spans(planned(device, FEWEST_REQUESTS))


def spans(blocks: Iterable[ReadBlock]) -> list[tuple[int, int]]:
    return [(b.address, b.count) for b in blocks]


def test_function_codes_never_share_a_block() -> None:
    points = [PointSpec("a", 3, 0, "u16"), PointSpec("b", 4, 1, "u16")]
    assert [b.function for b in plan(points, ReadLimits())] == [3, 4]


def test_nodes_are_read_in_one_request() -> None:
    points = [PointSpec("a", node="Gate/a"), PointSpec("b", node="Gate/b")]
    (block,) = plan(points, ReadLimits())
    assert len(block.points) == 2
    (block,) = plan(points, ReadLimits(), holes={(0, "Gate/a")})
    assert [p.measurand for p in block.points] == ["b"]


def test_of_plans_with_as_many_requests_the_one_with_the_fewest_registers_is_taken() -> None:
    points = [PointSpec(f"p{a}", 3, a, "u16") for a in (0, 8, 9, 10)]
    limits = ReadLimits(max_registers=10, max_gap=10)
    assert spans(plan(points, limits)) == [
        (0, 1),
        (8, 3),
    ]  # growing the first block as far as it goes would read 11


def test_a_stop_is_not_crossed_though_the_gap_would_allow_it() -> None:
    """As the PAC1600, which fails when a read goes over the gap before 49."""
    points = [PointSpec("q", 4, 29, "s32"), PointSpec("f", 4, 49, "u32")]
    assert len(plan(points, ReadLimits(max_gap=20))) == 1
    assert len(plan(points, ReadLimits(max_gap=20, stops=(49,)))) == 2


@pytest.mark.parametrize(("cost", "requests"), [(17, 1), (10, 2)])
def test_reading_through_a_gap_must_pay(cost: float, requests: int) -> None:
    points = [PointSpec("a", 3, 0, "f32"), PointSpec("b", 3, 14, "f32")]
    assert len(plan(points, ReadLimits(max_gap=20), cost=cost)) == requests


def test_registers_of_points_that_exist_are_no_gap() -> None:
    a, b, c = (PointSpec(name, 3, 2 * i, "f32") for i, name in enumerate("abc"))
    assert len(plan([a, c], ReadLimits())) == 2
    (block,) = plan([a, c], ReadLimits(), known=[b])
    assert (block.points, block.idle_registers) == ((a, c), 2)
    assert len(plan([a, c], ReadLimits(), known=[b], holes={hole_of(b)})) == 2


@given(devices(25, may_overlap=False), st.sets(st.integers(0, 24)))
def test_bisecting_finds_every_refused_point_and_no_other(device: Device, which: set[int]) -> None:
    bad = {p.measurand for i, p in enumerate(device.points) if i in which}
    waiting, refused, asked = list(plan(device.points, device.limits)), set(), 0
    while waiting:
        block = waiting.pop()
        asked += 1
        if not bad & {p.measurand for p in block.points}:
            continue
        halves = bisect(block, even=device.limits.even)
        if len(halves) == 1:
            refused |= {p.measurand for p in block.points}
            assert halves == (block,)
        else:
            waiting += halves
            assert [p for h in halves for p in h.points] == list(block.points)
            assert all(h.count <= block.count for h in halves)
    assert refused == bad
    assert asked <= 2 * len(device.points)


def test_a_fingerprint_names_what_is_asked() -> None:
    points = [PointSpec("a", 3, 0, "f32"), PointSpec("b", 3, 4, "f32")]
    names = {
        fingerprint(plan(points, ReadLimits())),
        fingerprint(plan(points, ReadLimits(max_gap=2))),
        fingerprint(plan(points[:1], ReadLimits())),
    }
    assert len(names) == 3
    assert fingerprint(plan(reversed(points), ReadLimits())) in names
