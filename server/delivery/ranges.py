"""Sets of whole numbers as sorted, disjoint ranges [first, last]: an (n, 2) int64 array."""

import numpy as np
from numpy.typing import NDArray

Ranges = NDArray[np.int64]
Numbers = NDArray[np.int64]
NONE: Ranges = np.empty((0, 2), np.int64)


def union(first: Numbers, last: Numbers) -> Ranges:
    """Give the numbers that lie in any of some ranges, in whatever order they come."""
    if not len(first):
        return NONE
    order = np.argsort(first, kind="stable")
    first, reach = first[order], np.maximum.accumulate(last[order])
    starts = np.flatnonzero(np.concatenate([[True], first[1:] > reach[:-1] + 1]))
    ends = np.concatenate([starts[1:] - 1, [len(first) - 1]])
    return np.stack([first[starts], reach[ends]], axis=1)


def both(a: Ranges, b: Ranges) -> Ranges:
    """Give the numbers in a and in b."""
    edges = _edges(a, b)
    return _joined(edges, _within(a, edges) & _within(b, edges))


def minus(a: Ranges, b: Ranges) -> Ranges:
    """Give the numbers in a that are not in b."""
    edges = _edges(a, b)
    return _joined(edges, _within(a, edges) & ~_within(b, edges))


def size(a: Ranges) -> int:
    """Give how many numbers there are."""
    return int((a[:, 1] - a[:, 0] + 1).sum())


def _edges(a: Ranges, b: Ranges) -> Numbers:
    return np.unique(np.concatenate([a[:, 0], a[:, 1] + 1, b[:, 0], b[:, 1] + 1]))


def _within(a: Ranges, numbers: Numbers) -> NDArray[np.bool_]:
    begun = np.searchsorted(a[:, 0], numbers, "right")
    return np.asarray(begun > np.searchsorted(a[:, 1] + 1, numbers, "right"))


def _joined(edges: Numbers, kept: NDArray[np.bool_]) -> Ranges:
    """Give the runs of kept pieces [edge, next edge); the last edge never begins one."""
    turns = np.diff(np.concatenate([[0], kept.astype(np.int8), [0]]))
    starts, stops = np.flatnonzero(turns == 1), np.flatnonzero(turns == -1)
    return np.stack([edges[starts], edges[stops] - 1], axis=1) if len(starts) else NONE
