"""Paces: which block is read how often, and at which tick.  Pure.

The fastest points are planned first.  A slower point whose registers lie inside a faster block
comes with it for nothing, so only the rest is planned at its own pace.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from edge.plan.blocks import FEWEST_REQUESTS, NODES, Hole, ReadBlock, fingerprint, hole_of, plan
from edge.profile import Pace, PointSpec, ReadLimits

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class DevicePlan:
    """How one device is read.

    blocks:      the blocks of each pace that has any; paces read equally often are one
    left_out:    points at holes: never asked, and each slot says so
    fingerprint: names what is asked of the device; holes, paces and line speed do not change it
    """

    blocks: Mapping[Pace, tuple[ReadBlock, ...]]
    left_out: tuple[PointSpec, ...]
    fingerprint: str

    @property
    def all_blocks(self) -> tuple[ReadBlock, ...]:
        """Give the blocks of all paces, the fastest first."""
        return tuple(b for blocks in self.blocks.values() for b in blocks)


def plan_paced(
    points: Iterable[PointSpec],
    limits: ReadLimits,
    intervals: Mapping[Pace, float],
    *,
    cost: float = FEWEST_REQUESTS,
    holes: Collection[Hole] = (),
) -> DevicePlan:
    """Plan each pace by itself, the fastest first; `intervals` has the seconds of every pace."""
    every = tuple(points)
    rest = [p for p in every if hole_of(p) not in holes]
    known = tuple(rest)
    blocks: dict[Pace, tuple[ReadBlock, ...]] = {}
    for name, paces in _beats(intervals):
        mine = [p for p in rest if p.pace in paces]
        rest = [p for p in rest if p.pace not in paces]
        own = plan(mine, limits, cost=cost, holes=holes, known=known)
        taken = []
        for block in own:
            riders = [p for p in rest if _lies_in(p, block)]
            rest = [p for p in rest if p not in riders]
            inside = sorted((*block.points, *riders), key=lambda p: (p.address, p.end))
            taken.append(replace(block, points=tuple(inside)) if riders else block)
        if taken:
            blocks[name] = tuple(taken)
    left_out = tuple(p for p in every if hole_of(p) in holes)
    return DevicePlan(blocks, left_out, fingerprint(plan(every, limits)))


def rotated(items: Sequence[_T], ticks: int, tick: int) -> Sequence[_T]:
    """Give the items due at a tick when each is due once in any `ticks` ticks in a row.

    They are spread evenly: no tick has more than ceil(len(items) / ticks) of them.
    """
    turn, count = tick % ticks, len(items)
    return items[-(-turn * count // ticks) : -(-(turn + 1) * count // ticks)]


def turns(count: int, ticks: int) -> Iterator[tuple[int, int]]:
    """Give (first, behind the last) index of the items of each tick that `rotated` gives any."""
    first = 0
    while first < count:
        tick = first * ticks // count
        end = -(-(tick + 1) * count // ticks)
        yield first, end
        first = end


def _beats(intervals: Mapping[Pace, float]) -> Iterator[tuple[Pace, frozenset[Pace]]]:
    """Group the paces that are read equally often; a group with the normal pace has its name."""
    for interval in sorted(set(intervals.values())):
        paces = frozenset(p for p in Pace if intervals[p] == interval)
        yield (Pace.NORMAL if Pace.NORMAL in paces else min(paces)), paces


def _lies_in(point: PointSpec, block: ReadBlock) -> bool:
    inside = block.address <= point.address and point.end <= block.end
    return point.function == block.function != NODES and inside
