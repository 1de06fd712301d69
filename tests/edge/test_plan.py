"""The planner: every point once, within limits, in the fewest blocks."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from edge.plan import plan
from edge.profile import PointSpec, ReadLimits

WIDTHS = {1: "u16", 2: "f32", 4: "f64"}


@st.composite
def layouts(draw: st.DrawFn) -> list[PointSpec]:
    address, points = 0, []
    for i in range(draw(st.integers(1, 25))):
        address += draw(st.integers(0, 12))
        width = draw(st.sampled_from([1, 2, 4]))
        points.append(PointSpec(f"p{i}", 3, address, WIDTHS[width]))
        address += width
    return points


def fewest(points: list[PointSpec], limits: ReadLimits) -> int:
    """Give the optimum by dynamic programming over the points in address order."""
    best = [0] + [10**6] * len(points)
    for j in range(1, len(points) + 1):
        for i in range(j - 1, -1, -1):
            if i + 1 < j and points[i + 1].address - points[i].end > limits.max_gap:
                break
            if points[j - 1].end - points[i].address > limits.max_registers:
                break
            best[j] = min(best[j], best[i] + 1)
    return best[-1]


@given(layouts(), st.integers(4, 40), st.integers(0, 10))
def test_blocks_cover_every_point_once_within_limits_in_the_fewest_reads(
    points: list[PointSpec], most: int, gap: int
) -> None:
    limits = ReadLimits(max_registers=most, max_gap=gap)
    blocks = plan(points, limits)
    assert sorted(p.measurand for b in blocks for p in b.points) == sorted(
        p.measurand for p in points
    )
    for b in blocks:
        assert b.count <= most
        assert all(b.address <= p.address and p.end <= b.address + b.count for p in b.points)
        ordered = sorted(b.points, key=lambda p: p.address)
        assert all(y.address - x.end <= gap for x, y in pairwise(ordered))
    assert len(blocks) == fewest(points, limits)


def test_function_codes_never_share_a_block() -> None:
    points = [PointSpec("a", 3, 0, "u16"), PointSpec("b", 4, 1, "u16")]
    assert [b.function for b in plan(points, ReadLimits())] == [3, 4]


def test_nodes_are_read_in_one_request() -> None:
    points = [PointSpec("a", node="Gate/a"), PointSpec("b", node="Gate/b")]
    (block,) = plan(points, ReadLimits())
    assert len(block.points) == 2
