"""From touched spans to tracks: how much must be read, and how far a change reaches.

A span computed from a window of readings equals the same span of the whole when the window holds
enough around it: believed readings on both sides, every event that reaches in, and for a gap the
days its profile is taken from.  Windows are small first and grow where they do not suffice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from contract.reading import PointId, Reason
from server.jobs.works import Works
from server.periods import DAY_MS, HOUR_MS, Interval
from server.rollup.clean import GARBAGE_READINGS, RATE_READINGS
from server.rollup.meter import meter_track
from server.rollup.shape import MIN_GAP_MS, SHAPE_DAYS, with_shapes
from server.rollup.track import NO_ENTRIES, CounterEvent, Entries, EventKind, Track, with_doubts
from server.series import Series
from server.site.model import Meter, MeterKind, Site
from server.state.books import EventRow

CONTEXT_READINGS = 2 * (GARBAGE_READINGS + RATE_READINGS)
REACHES_MS = (3 * HOUR_MS, 3 * DAY_MS, 17 * DAY_MS, 62 * DAY_MS, 800 * DAY_MS)
EVENT_REACH_MS = DAY_MS
SHAPE_MS = SHAPE_DAYS * DAY_MS
LAST_MS, FIRST_MS = 2**52, 0


@dataclass(frozen=True, slots=True, eq=False)
class Reached:
    """A meter's track over a window, and the span that must be computed again."""

    track: Track
    span: Interval
    entries: Entries


def real_meters(site: Site) -> tuple[Meter, ...]:
    """Give the meters with readings or entries of their own."""
    return tuple(m for m in site.meters if m.kind in {MeterKind.REAL, MeterKind.BILLED})


def reach(
    works: Works,
    touched: Mapping[str, Interval],
    entries: Mapping[str, Entries],
    now_ms: int,
) -> dict[str, Reached]:
    """Give each touched meter's track, with the span that what was touched can have changed."""
    meters = {m.id: m for m in real_meters(works.site) if m.id in touched}
    hull = _hull([touched[m] for m in meters])
    past = works.state.books.events(
        meters, hull.start_ms - SHAPE_MS, hull.end_ms + SHAPE_MS + EVENT_REACH_MS
    )
    by_meter: dict[str, list[EventRow]] = {}
    for event in past:
        by_meter.setdefault(event.meter, []).append(event)
    out: dict[str, Reached] = {}
    waiting = list(meters.values())
    for level, reach_ms in enumerate(REACHES_MS):
        if not waiting:
            break
        is_last = level == len(REACHES_MS) - 1
        window = _window(hull, reach_ms, is_last=is_last)
        points = [_point(works.site, m) for m in waiting]
        series = works.store.read_many(points, window)
        guessed = works.store.read_doubts(points, window, Reason.CLOCK_UNSYNCED)
        left = []
        for meter in waiting:
            given = entries.get(meter.id, NO_ENTRIES)
            point = _point(works.site, meter)
            readings = series[point]
            plain = meter_track(meter, readings, given)
            if point in guessed:
                plain = with_doubts(plain, guessed[point])
            span = _affected(plain, touched[meter.id], by_meter.get(meter.id, []))
            found = Reached(with_shapes(plain, works.site.zone), span, given)
            if is_last or _suffices(found, readings, window, now_ms):
                out[meter.id] = found
            else:
                left.append(meter)
        waiting = left
    return out


def _point(site: Site, meter: Meter) -> PointId:
    return PointId(site.id, meter.point_device, meter.measurand)


def _hull(spans: Sequence[Interval]) -> Interval:
    if not spans:
        return Interval(0, 0)
    return Interval(min(s.start_ms for s in spans), max(s.end_ms for s in spans))


def _window(hull: Interval, reach_ms: int, *, is_last: bool) -> Interval:
    if is_last:
        return Interval(FIRST_MS, LAST_MS)
    return Interval(hull.start_ms - reach_ms, hull.end_ms + reach_ms)


def _affected(track: Track, touched: Interval, known: Sequence[EventRow]) -> Interval:
    """Give how far a change reaches: to the believed readings around it, over every event near it
    that may be decided differently now, and over gaps whose profile it may have been.
    """
    start, end = _bracketed(track, touched)
    events = [(e.kind, e.start_ms, e.end_ms) for e in known]
    events += [(e.kind.value, e.start_ms, e.end_ms) for e in track.events]
    for kind, first, last in events:
        if kind == EventKind.GAP:
            is_shaped = last - first >= MIN_GAP_MS
            if is_shaped and start <= first <= end + SHAPE_MS:
                end = max(end, last)
            elif first < end and last > start:
                start, end = min(start, first), max(end, last)
        elif first <= end + EVENT_REACH_MS and last >= start - EVENT_REACH_MS:
            start, end = min(start - EVENT_REACH_MS, first), max(end + EVENT_REACH_MS, last)
    return Interval(*_bracketed(track, Interval(start, end)))


def _bracketed(track: Track, span: Interval) -> tuple[int, int]:
    times = track.times_ms
    if not len(times):
        return span.start_ms, span.end_ms
    i = int(np.searchsorted(times, span.start_ms, "left")) - 1
    j = int(np.searchsorted(times, span.end_ms, "left"))
    start = int(times[i]) if i >= 0 else span.start_ms
    end = int(times[j]) if j < len(times) else span.end_ms
    return min(start, span.start_ms), max(end, span.end_ms)


def _suffices(found: Reached, series: Series, window: Interval, now_ms: int) -> bool:
    """Say whether a window holds all that its span depends on."""
    span, times = found.span, series.times_ms
    before = int(np.searchsorted(times, span.start_ms))
    after = len(times) - int(np.searchsorted(times, span.end_ms))
    is_live = window.end_ms > now_ms
    if before < CONTEXT_READINGS or (after < CONTEXT_READINGS and not is_live):
        return False
    if span.start_ms < window.start_ms or (span.end_ms > window.end_ms and not is_live):
        return False
    first_safe = window.start_ms + 2 * EVENT_REACH_MS
    return all(_is_covered(e, span, window, first_safe) for e in found.track.events)


def _is_covered(e: CounterEvent, span: Interval, window: Interval, first_safe: int) -> bool:
    if e.end_ms < span.start_ms or e.start_ms > span.end_ms:
        # an event in front may have begun before the window, and reach in
        return e.kind is EventKind.GAP or e.start_ms > span.end_ms or span.start_ms >= first_safe
    if e.kind is EventKind.GAP:
        is_shaped = e.end_ms - e.start_ms >= MIN_GAP_MS
        return not is_shaped or e.start_ms - SHAPE_MS >= window.start_ms
    return e.start_ms >= first_safe
