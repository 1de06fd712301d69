"""Rolling up: touched spans in, changed rollups and change notes out; nothing else is written."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from server.jobs.entries import FIXED, entries_by_meter
from server.jobs.notes import announce, keep_notes, moved, notes_left_over
from server.jobs.tracks import Reached, reach, real_meters
from server.jobs.works import Report, Works, silent, whole_days
from server.periods import DAY_MS, Interval, Step, edges
from server.rollup.combine import coarsen_all
from server.rollup.interval import missing, rollup_track, rollups_of_many
from server.rollup.model import Rollup
from server.rollup.places import place_key, place_of, places, with_computed
from server.rollup.track import Track
from server.series import Times
from server.site.model import Carrier, MeterKind
from server.state.books import ChangeNote, EventRow

SLICE_MS = 31 * DAY_MS


@dataclass(slots=True)
class Rolled:
    """What a pass did: interval values known, and rollup rows written."""

    values: int = 0
    written: int = 0
    notes: list[ChangeNote] = field(default_factory=list)


def roll_up(
    works: Works, interval: Interval, now_ms: int, report: Report = silent, cause: str = "backfill"
) -> Rolled:
    """Compute every meter over the days touched; what is already right is not written."""
    span = whole_days(interval, works.site)
    touched = {m.id: [span] for m in real_meters(works.site)}
    return roll_up_spans(works, touched, now_ms, dict.fromkeys(touched, cause), report)


def roll_up_spans(
    works: Works,
    touched: Mapping[str, list[Interval]],
    now_ms: int,
    causes: Mapping[str, str],
    report: Report = silent,
    *,
    computed_over: Interval | None = None,
) -> Rolled:
    """Compute what touched spans of meters can have changed, and all that is made of it.

    computed_over: computed meters and places are computed there too, though no meter was touched.
    """
    done = Rolled(notes=notes_left_over(works))
    entries = entries_by_meter(works.state.books.repairs())
    slices = list(_slices(touched, computed_over))
    for number, (part, over) in enumerate(slices, 1):
        reached = _not_fixed(works, reach(works, part, entries, now_ms))
        _roll_slice(works, reached, over, now_ms, causes, done)
        report(number / len(slices))
    keep_notes(works, done.notes)
    return done


def _slices(
    touched: Mapping[str, list[Interval]], over: Interval | None
) -> Iterator[tuple[dict[str, Interval], Interval | None]]:
    """Cut long work into pieces of a month, so that memory does not grow with the span."""
    spans = [s for found in touched.values() for s in found] + ([over] if over else [])
    if not spans:
        return
    at = min(s.start_ms for s in spans)
    last = max(s.end_ms for s in spans)
    while at < last:
        piece = Interval(at, min(at + SLICE_MS, last))
        part = {}
        for meter, found in touched.items():
            here = [c for s in found if (c := _cut(s, piece)) is not None]
            if here:
                part[meter] = Interval(here[0].start_ms, max(c.end_ms for c in here))
        inner = _cut(over, piece) if over else None
        if part or inner:
            yield part, inner
        at = piece.end_ms


def _cut(span: Interval, piece: Interval) -> Interval | None:
    start, end = max(span.start_ms, piece.start_ms), min(span.end_ms, piece.end_ms)
    return Interval(start, end) if start < end else None


def _not_fixed(works: Works, found: Mapping[str, Reached]) -> dict[str, Reached]:
    """Leave out what stands."""
    fixed_ms = works.state.mark(FIXED)
    if fixed_ms is None:
        return dict(found)
    out = {}
    for meter, r in found.items():
        first_ms = fixed_ms if works.site.meter(meter).kind is MeterKind.REAL else 0
        if r.span.end_ms > first_ms:
            span = Interval(max(r.span.start_ms, first_ms), r.span.end_ms)
            out[meter] = replace(r, span=span)
    return out


def _roll_slice(
    works: Works,
    reached: Mapping[str, Reached],
    over: Interval | None,
    now_ms: int,
    causes: Mapping[str, str],
    done: Rolled,
) -> None:
    spans = [r.span for r in reached.values()] + ([over] if over else [])
    if not spans:
        return
    hull = Interval(min(s.start_ms for s in spans), max(s.end_ms for s in spans))
    hull = whole_days(Interval(hull.start_ms, min(hull.end_ms, now_ms + DAY_MS)), works.site)
    site, store = works.site, works.store
    real = [m.id for m in real_meters(site)]
    grid = edges(hull, Step.QUARTER, site.zone)
    stored = store.read_rollups(site, real, Step.QUARTER, hull)
    fresh = stored | _over_spans(reached, stored, grid)
    everything = with_computed(site, fresh, Step.QUARTER, grid)
    for key in {place_key(p, c) for p in places(site) for c in Carrier} - everything.keys():
        everything[key] = missing(key, Step.QUARTER, grid)  # a place may have lost its last meter
    computed = [key for key in everything if key not in stored]
    if computed:
        stored = {**stored, **store.read_rollups(site, computed, Step.QUARTER, hull)}
    none = missing("", Step.QUARTER, grid)
    places_at = {k: changed_at(r, stored.get(k, none)) for k, r in everything.items()}
    changed = [k for k, at in places_at.items() if len(at)]
    out = [_part(everything[k], places_at[k]) for k in changed]
    noted: list[ChangeNote] = []
    done.values += sum(int(np.count_nonzero(~np.isnan(r.values))) for r in out)
    for step in (Step.HOUR, Step.DAY):
        coarse_grid = edges(hull, step, site.zone)
        before = store.read_rollups(site, changed, step, hull)
        for r in coarsen_all([everything[k] for k in changed], coarse_grid, step):
            key = r.meter
            at = changed_at(r, before[key])
            if not len(at):
                continue
            out.append(_part(r, at))
            if step is Step.DAY and place_of(key) is None:
                cause = causes.get(key, "computed from changed meters")
                noted += moved(works, r, before[key], at, now_ms, cause)
    if noted:
        done.notes += noted
        announce(works, done.notes)
    done.written += sum(len(r.values) for r in out)
    _keep_events(works, reached)
    store.write_rollups(site, out)


def _over_spans(
    reached: Mapping[str, Reached], stored: Mapping[str, Rollup], grid: Times
) -> dict[str, Rollup]:
    """Give the stored quarters with those of the reached spans computed again."""
    alike: dict[tuple[int, int], dict[str, Track]] = {}
    for meter, found in reached.items():
        i = max(0, int(np.searchsorted(grid, found.span.start_ms, "right")) - 1)
        j = min(len(grid) - 1, int(np.searchsorted(grid, found.span.end_ms, "left")))
        if j > i:
            alike.setdefault((i, j), {})[meter] = found.track
    out = {}
    for (i, j), tracks in alike.items():
        part = grid[i : j + 1]
        plain = {m: t for m, t in tracks.items() if not reached[m].entries.fixed}
        many = rollups_of_many(plain, part, Step.QUARTER) if len(plain) > 1 else {}
        for meter, track in tracks.items():
            new = many.get(meter) or rollup_track(
                meter, track, part, Step.QUARTER, reached[meter].entries
            )
            out[meter] = _with_part(stored[meter], new, i, j)
    return out


def _with_part(stored: Rollup, new: Rollup, i: int, j: int) -> Rollup:
    values, coverage = stored.values.copy(), stored.coverage.copy()
    grades = stored.grades.copy()
    values[i:j], coverage[i:j], grades[i:j] = new.values, new.coverage, new.grades
    return Rollup(new.meter, new.step, stored.edges_ms, values, coverage, grades)


def changed_at(new: Rollup, old: Rollup) -> np.ndarray:
    """Give the indices of intervals that differ, to the bit."""
    same = (new.values == old.values) & (new.coverage == old.coverage) & (new.grades == old.grades)
    same |= np.isnan(new.values) & np.isnan(old.values)
    return np.flatnonzero(~same)


def _part(r: Rollup, at: np.ndarray) -> Rollup:
    """Give the part of a rollup from its first to its last changed interval."""
    i, j = int(at[0]), int(at[-1]) + 1
    return Rollup(
        r.meter, r.step, r.edges_ms[i : j + 1], r.values[i:j], r.coverage[i:j], r.grades[i:j]
    )


def _keep_events(works: Works, reached: Mapping[str, Reached]) -> None:
    spans = {m: (r.span.start_ms, r.span.end_ms) for m, r in reached.items()}
    rows = [
        EventRow(meter, e.kind.value, e.start_ms, e.end_ms, e.ticks)
        for meter, r in reached.items()
        for e in r.track.events
        if r.span.start_ms < e.end_ms <= r.span.end_ms
    ]
    works.state.books.save_events(spans, rows)
