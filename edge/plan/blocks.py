"""Blocks: points and limits → the fewest reads a device stands.  Pure.

What a block may be depends on its window of registers alone: it is not longer than
`max_registers` and holds no wall (a run of unknown registers longer than `max_gap`, a stop, a
hole) whole.  Every part of a window that may be is a window that may be, so among the best plans
there is one whose blocks follow each other in address order: of two windows that overlap, the
later one can take all points that begin inside it.  An exact search over such plans is a dynamic
programme, and it finds the optimum: the least sum of `cost` for each request and one for each
register on the wire.
"""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from edge.profile import PointSpec, ReadLimits

FEWEST_REQUESTS = 1e9  # a request costs more than all registers there are
NODES = 0  # the function of a block of OPC UA nodes

Hole = tuple[int, int | str]  # function and address of what a device refuses, or 0 and the node
_Wall = tuple[int, int]  # half-open run of registers that no block may hold whole


@dataclass(frozen=True, slots=True)
class ReadBlock:
    """One request: `count` registers from `address` by `function`, and the points inside.

    An OPC UA block has function 0 and reads the points' nodes in one request.
    """

    function: int
    address: int
    count: int
    points: tuple[PointSpec, ...]

    @property
    def end(self) -> int:
        """Give the address behind the last register."""
        return self.address + self.count

    @property
    def idle_registers(self) -> int:
        """Give how many registers are read for nothing."""
        wanted = {a for p in self.points for a in range(p.address, p.end)}
        return 0 if self.function == NODES else self.count - len(wanted)


@dataclass(frozen=True, slots=True)
class RawBlock:
    """What came back: the block's registers, or one value (None: bad status) for each node."""

    block: ReadBlock
    words: tuple[int, ...] = ()
    values: tuple[float | None, ...] = ()


def plan(
    points: Iterable[PointSpec],
    limits: ReadLimits,
    *,
    cost: float = FEWEST_REQUESTS,
    holes: Collection[Hole] = (),
    known: Iterable[PointSpec] = (),
) -> tuple[ReadBlock, ...]:
    """Give the blocks, by function and address, that read every point but the holes' exactly once.

    cost:  what one more request costs, in registers; as given, the fewest requests win and, among
           plans with as many requests, the fewest registers
    holes: what the device refuses: points there are left out, and no block reads over them
    known: points that are not wanted but exist, so that reading over them is no gap
    """
    wanted = [p for p in points if hole_of(p) not in holes]
    nodes = tuple(p for p in wanted if p.node)
    blocks = [ReadBlock(NODES, 0, len(nodes), nodes)] if nodes else []
    exist = [*wanted, *(p for p in known if hole_of(p) not in holes)]
    ordered = sorted((p for p in wanted if not p.node), key=_place)
    for function, group in groupby(ordered, key=lambda p: p.function):
        there = sorted((p for p in exist if p.function == function), key=_place)
        refused = [a for f, a in holes if f == function and isinstance(a, int)]
        blocks += _fewest(list(group), _walls(there, limits, refused), limits, cost)
    return tuple(blocks)


def bisect(block: ReadBlock, *, even: bool = False) -> tuple[ReadBlock, ...]:
    """Give a refused block's two halves, cut between points; a single point's block is itself."""
    if len(block.points) < 2:
        return (block,)
    ordered = sorted(block.points, key=_place)
    half = len(ordered) // 2
    return tuple(_block(part, even=even) for part in (ordered[:half], ordered[half:]))


def hole_of(point: PointSpec) -> Hole:
    """Give the name of a point's place on its device."""
    return (NODES, point.node) if point.node else (point.function, point.address)


def fingerprint(blocks: Iterable[ReadBlock]) -> str:
    """Give a short name that two plans share only if they ask for the same points and registers."""
    rows = sorted(
        (b.function, b.address, b.count, p.measurand, p.address, p.words, p.node)
        for b in blocks
        for p in b.points
    )
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:16]


def _place(point: PointSpec) -> tuple[int, int, int]:
    return point.function, point.address, point.end


def _walls(exist: Sequence[PointSpec], limits: ReadLimits, holes: Iterable[int]) -> list[_Wall]:
    """Give what blocks of one function may not hold whole; `exist` in address order."""
    walls = [(stop - 1, stop + 1) for stop in limits.stops] + [(a, a + 1) for a in holes]
    reached = _window(exist[0], even=limits.even)[1]
    for start, end in (_window(p, even=limits.even) for p in exist[1:]):
        if start - reached > limits.max_gap:
            walls.append((reached, start))
        reached = max(reached, end)
    return walls


def _fewest(
    points: Sequence[PointSpec], walls: Sequence[_Wall], limits: ReadLimits, cost: float
) -> list[ReadBlock]:
    """Give the best blocks for points of one function in address order."""
    reach = {p: _reach(_window(p, even=limits.even)[0], walls, limits) for p in points}
    # a point that is itself more than a block may be has to be asked for, but by itself
    alone = [p for p in points if _window(p, even=limits.even)[1] > reach[p]]
    free = [p for p in points if p not in alone]
    windows = [_window(p, even=limits.even) for p in free]
    best = [(0.0, 0)] * (len(free) + 1)  # what free[i:] costs, and where the next block begins
    for i in range(len(free) - 1, -1, -1):
        start, end, choices = windows[i][0], 0, []
        for j in range(i, len(free)):
            end = max(end, windows[j][1])
            if end > reach[free[i]]:
                break
            choices.append((cost + end - start + best[j + 1][0], j + 1))
        best[i] = min(choices, key=_longest)
    groups, i = [[p] for p in alone], 0
    while i < len(free):
        groups.append(free[i : best[i][1]])
        i = best[i][1]
    return [_block(g, even=limits.even) for g in sorted(groups, key=lambda g: _place(g[0]))]


def _reach(start: int, walls: Iterable[_Wall], limits: ReadLimits) -> int:
    """Give the address that no block from `start` on may go beyond."""
    return min([start + limits.max_registers, *(b - 1 for a, b in walls if a >= start)])


def _longest(choice: tuple[float, int]) -> tuple[float, int]:
    return choice[0], -choice[1]


def _window(point: PointSpec, *, even: bool) -> tuple[int, int]:
    step = 2 if even else 1
    return point.address // step * step, -(-point.end // step) * step


def _block(group: Sequence[PointSpec], *, even: bool) -> ReadBlock:
    if group[0].node:
        return ReadBlock(NODES, 0, len(group), tuple(group))
    windows = [_window(p, even=even) for p in group]
    start, end = windows[0][0], max(end for _, end in windows)
    return ReadBlock(group[0].function, start, end - start, tuple(group))
