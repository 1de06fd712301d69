"""A track read off per interval: the rollup itself."""

from collections.abc import Mapping
from zoneinfo import ZoneInfo

import numpy as np

from server.periods import Step
from server.rollup.counter import register_track
from server.rollup.model import Grade, Rollup
from server.rollup.shape import with_shapes
from server.rollup.ticks import to_values
from server.rollup.track import (
    NO_ENTRIES,
    Counting,
    Entries,
    Fixed,
    Track,
    brackets,
    ticks_of,
    totals_at,
    unseen_ms,
    worst_grades,
)
from server.series import Series, Times

PLAIN = Counting()


def rollup(
    meter: str,
    series: Series,
    edges_ms: Times,
    step: Step,
    *,
    how: Counting = PLAIN,
    entries: Entries = NO_ENTRIES,
    zone: ZoneInfo | None = None,
) -> Rollup:
    """Give a register's consumption in the intervals between (n + 1,) edges.

    With a zone, gaps are filled by the meter's own load profile, else evenly.
    """
    track = register_track(series, how, entries)
    if zone is not None:
        track = with_shapes(track, zone)
    return rollup_track(meter, track, edges_ms, step, entries)


def rollup_track(
    meter: str, track: Track, edges_ms: Times, step: Step, entries: Entries = NO_ENTRIES
) -> Rollup:
    """Read a track off.  An interval that is not bracketed by readings is missing: NaN."""
    if len(edges_ms) < 2:
        return missing(meter, step, edges_ms)
    fixed = _relevant(entries.fixed, edges_ms)
    if fixed:
        return _with_fixed(meter, track, edges_ms, step, fixed)
    totals, inside = totals_at(track, edges_ms)
    known = inside[1:] & inside[:-1]
    blind = unseen_ms(track, edges_ms)
    coverage = np.clip(1.0 - blind / np.diff(edges_ms), 0.0, 1.0)
    grades = worst_grades(track, edges_ms)
    known &= ~((grades == Grade.MISSING) & (coverage == 0.0))
    grades = np.where(grades == Grade.MISSING, Grade.ESTIMATED, grades)
    return Rollup(
        meter,
        step,
        edges_ms,
        np.where(known, to_values(np.diff(totals)), np.nan),
        np.where(known, coverage, 0.0),
        np.where(known, grades, Grade.MISSING).astype(np.int8),
    )


def rollups_of_many(tracks: Mapping[str, Track], edges_ms: Times, step: Step) -> dict[str, Rollup]:
    """Read off the tracks of registers that never broke and are read at the same instants.

    Gives what `rollup_track` gives of each, to the bit; tracks that are not of this kind are left
    out.  What depends on the instants alone is found once for all.
    """
    alike: dict[tuple[bytes, str, Grade], list[str]] = {}
    for meter, track in tracks.items():
        if len(track.times_ms) > 1 and not len(track.marked) and not track.fills:
            key = (track.times_ms.tobytes(), track.counts.dtype.str, track.usual)
            alike.setdefault(key, []).append(meter)
    out: dict[str, Rollup] = {}
    for meters in alike.values() if len(edges_ms) > 1 else ():
        first = tracks[meters[0]]
        like = rollup_track(meters[0], first, edges_ms, step)
        low, high, share = brackets(first.times_ms, edges_ms)
        at_low, at_high = (
            ticks_of(np.stack([tracks[m].counts[at] for m in meters])) for at in (low, high)
        )
        totals = at_low + np.rint((at_high - at_low) * share).astype(np.int64)
        values = np.where(np.isnan(like.values), np.nan, to_values(np.diff(totals, axis=1)))
        for meter, row in zip(meters, values, strict=True):
            out[meter] = Rollup(meter, step, edges_ms, row, like.coverage, like.grades)
    return out


def missing(meter: str, step: Step, edges_ms: Times) -> Rollup:
    """Give a rollup in which nothing is known."""
    n = max(0, len(edges_ms) - 1)
    grades = np.full(n, Grade.MISSING, np.int8)
    return Rollup(meter, step, edges_ms, np.full(n, np.nan), np.zeros(n), grades)


def _relevant(fixed: tuple[Fixed, ...], edges_ms: Times) -> list[Fixed]:
    first, last = int(edges_ms[0]), int(edges_ms[-1])
    return sorted(
        (f for f in fixed if f.interval.start_ms < last and f.interval.end_ms > first),
        key=lambda f: f.interval,
    )


def _with_fixed(
    meter: str, track: Track, edges_ms: Times, step: Step, fixed: list[Fixed]
) -> Rollup:
    """Let bills and curves stand for their spans, and the counter for the rest.

    A quantity fixed for a span is spread evenly over it; the parts add up to it exactly.
    """
    bounds = {t for f in fixed for t in (f.interval.start_ms, f.interval.end_ms)}
    inner = [t for t in bounds if edges_ms[0] < t < edges_ms[-1]]
    grid = np.unique(np.concatenate([edges_ms, np.array(inner, np.int64)]))
    part = rollup_track(meter, track, grid, step)
    values = np.nan_to_num(part.values)
    ticks = np.rint(values * 1e6).astype(np.int64)
    known, coverage, grades = ~np.isnan(part.values), part.coverage.copy(), part.grades.copy()
    for f in fixed:
        start, end = f.interval.start_ms, f.interval.end_ms
        i, j = np.searchsorted(grid, [start, end])
        at = grid[i : j + 1]
        whole = np.rint(f.ticks * ((at - start) / (end - start))).astype(np.int64)
        ticks[i : i + len(whole) - 1] = np.diff(whole)
        for column, value in ((known, True), (coverage, 1.0), (grades, Grade.MANUAL)):
            column[i : i + len(whole) - 1] = value
    return _gathered(meter, step, edges_ms, grid, (ticks, known, coverage, grades))


def _gathered(
    meter: str, step: Step, edges_ms: Times, grid: Times, parts: tuple[np.ndarray, ...]
) -> Rollup:
    """Sum a finer grid into the edges it contains."""
    ticks, known, coverage, grades = parts
    first = np.searchsorted(grid, edges_ms[:-1])
    width = np.diff(grid)
    total = np.add.reduceat(np.where(known, ticks, 0), first)
    any_known = np.logical_or.reduceat(known, first)
    all_known = np.logical_and.reduceat(known, first)
    share = np.add.reduceat(np.where(known, coverage, 0.0) * width, first) / np.diff(edges_ms)
    worst = np.maximum.reduceat(np.where(known, grades, 0), first)
    worst = np.where(all_known, worst, np.maximum(worst, Grade.ESTIMATED))
    return Rollup(
        meter,
        step,
        edges_ms,
        np.where(any_known, to_values(total), np.nan),
        np.where(any_known, np.clip(share, 0.0, 1.0), 0.0),
        np.where(any_known, worst, Grade.MISSING).astype(np.int8),
    )
