"""Blocks: points and limits → the fewest reads a device stands.  Pure.

Blocks are grown in address order.  Two neighbours share a block when the registers between them
are no more than `max_gap` and the block stays within `max_registers`; a value is never torn.
Growing each block as far as it goes is optimal, because a longer block never forbids what a
shorter one allowed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edge.profile import PointSpec, ReadLimits


@dataclass(frozen=True, slots=True)
class ReadBlock:
    """One request: `count` registers from `address` by `function`, and the points inside.

    An OPC UA block has function 0 and reads the points' nodes in one request.
    """

    function: int
    address: int
    count: int
    points: tuple[PointSpec, ...]


@dataclass(frozen=True, slots=True)
class RawBlock:
    """What came back: the block's registers, or one value (None: bad status) for each node."""

    block: ReadBlock
    words: tuple[int, ...] = ()
    values: tuple[float | None, ...] = ()


def plan(points: Iterable[PointSpec], limits: ReadLimits) -> tuple[ReadBlock, ...]:
    """Give the blocks, by function and address, that read every point exactly once."""
    ordered = sorted(points, key=lambda p: (p.function, p.address))
    nodes = tuple(p for p in ordered if p.node)
    groups: list[list[PointSpec]] = []
    for point in ordered:
        if point.node:
            continue
        if groups and _fits(groups[-1], point, limits):
            groups[-1].append(point)
        else:
            groups.append([point])
    blocks = [_block(group) for group in groups]
    return (*([ReadBlock(0, 0, len(nodes), nodes)] if nodes else []), *blocks)


def _fits(group: Sequence[PointSpec], point: PointSpec, limits: ReadLimits) -> bool:
    return (
        group[0].function == point.function
        and point.address - group[-1].end <= limits.max_gap
        and point.end - group[0].address <= limits.max_registers
    )


def _block(group: Sequence[PointSpec]) -> ReadBlock:
    first, last = group[0], group[-1]
    return ReadBlock(first.function, first.address, last.end - first.address, tuple(group))
