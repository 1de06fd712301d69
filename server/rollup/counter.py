"""Register readings → a track: replacements joined, factors applied, gaps marked.

The track is exact: between any two believed readings it grows by what the register grew, in
ticks, times the factor in force, however the time between them is filled.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from server.periods import HOUR_MS
from server.rollup.clean import Cleaned, clean
from server.rollup.model import Grade
from server.rollup.ticks import PER_UNIT, Ticks, to_ticks
from server.rollup.track import (
    FOREVER_MS,
    NO_ENTRIES,
    CounterEvent,
    Counting,
    Entries,
    EventKind,
    Mark,
    Track,
    track_of,
)
from server.series import Series, Times, Values
from server.site.model import Replacement

MOST = 4e12  # kWh or m³: the difference of two such readings is still a number of ticks


@dataclass(frozen=True, slots=True, eq=False)
class _Era:
    """What one physical meter counted: readings believed, steps in ticks of consumption."""

    times: Times
    steps: Ticks
    marks: list[Mark]
    events: list[CounterEvent]


def register_track(series: Series, how: Counting, entries: Entries = NO_ENTRIES) -> Track:
    """Give the track of a register.  Readings: (n,) in register units."""
    if entries.is_empty and not how.replacements and not how.factors:
        plain = _plain_track(series, how)
        if plain is not None:
            return plain
    series, manual = _with_entries(series, entries)
    times: list[Times] = []
    totals: list[Ticks] = []
    marks: list[Mark] = []
    events: list[CounterEvent] = []
    carried, at = 0, 0
    for start_ms, end_ms, opening, closing in _eras(how.replacements):
        part = _between(series, start_ms, end_ms)
        era = _era(part, how, manual, opening, closing)
        if not len(era.times):
            continue
        count = np.concatenate([[0], np.cumsum(era.steps)]) + carried
        carried = int(count[-1])
        marks += [(step + at, grade, seen) for step, grade, seen in era.marks]
        events += era.events
        at += len(era.times)
        times.append(era.times)
        totals.append(count)
    if not times:
        return Track.empty()
    all_times = np.concatenate(times)
    all_totals = np.concatenate(totals)
    keep = np.ones(len(all_times), bool)
    return _without_doubles(all_times, all_totals, keep, marks, events)


def _plain_track(series: Series, how: Counting) -> Track | None:
    """Give the track of a register that never broke, the usual case, without copying it."""
    values, spans = series.values, np.diff(series.times_ms)
    steps = np.diff(values)
    if not len(steps) or steps.min() < 0 or not is_believed(steps, spans, how):
        return None
    gaps = np.flatnonzero(spans > how.max_spacing_ms).tolist()
    marks: list[Mark] = [(at, Grade.ESTIMATED, False) for at in gaps]
    events = [
        CounterEvent(
            int(series.times_ms[at]), int(series.times_ms[at + 1]), EventKind.GAP,
            int(np.diff(to_ticks(values[at : at + 2]))[0]),
        )
        for at in gaps
    ]  # fmt: skip
    return track_of(series.times_ms, values, marks, events)


def is_believed(steps: Values, spans: Times, how: Counting) -> bool:
    """Say whether no step is more than can be used; a tick of room for rounding is not given."""
    room = 1 / PER_UNIT  # steps of doubles may be off by less than this: let the exact path decide
    if steps.max() <= how.slack - room:
        return True
    return bool((steps <= spans * (how.max_power / HOUR_MS) + (how.slack - room)).all())


def _without_doubles(
    times: Times, totals: Ticks, keep: NDArray[np.bool_], marks: list[Mark],
    events: list[CounterEvent],
) -> Track:  # fmt: skip
    """Drop the second of two neighbours at one instant (closing and opening of a replacement)."""
    keep[1:] = times[1:] != times[:-1]
    if keep.all():
        return track_of(times, totals, marks, events)
    new_step = np.cumsum(keep) - 1
    moved = [(int(new_step[s]), grade, seen) for s, grade, seen in marks]
    # a mark on the empty step between the doubles cannot be: closing and opening share an instant
    return track_of(times[keep], totals[keep], moved, events)


def _eras(
    replacements: Sequence[Replacement],
) -> list[tuple[int | None, int | None, tuple[int, float] | None, tuple[int, float] | None]]:
    out = []
    before: Replacement | None = None
    for swap in [*replacements, None]:
        start = None if before is None else before.at_ms
        opening = None if before is None else (before.at_ms, before.opening)
        end = None if swap is None else swap.at_ms
        closing = None if swap is None else (swap.at_ms, swap.closing)
        out.append((start, end, opening, closing))
        before = swap
    return out


def _between(series: Series, start_ms: int | None, end_ms: int | None) -> Series:
    if start_ms is None and end_ms is None:
        return series
    i = 0 if start_ms is None else int(np.searchsorted(series.times_ms, start_ms, "right"))
    j = len(series) if end_ms is None else int(np.searchsorted(series.times_ms, end_ms, "left"))
    return Series(series.times_ms[i:j], series.values[i:j])


def without_excluded(series: Series, entries: Entries) -> Series:
    """Give the readings that people did not exclude."""
    keep = np.ones(len(series), bool)
    for span in entries.excluded:
        keep &= (series.times_ms < span.start_ms) | (series.times_ms >= span.end_ms)
    return series if keep.all() else Series(series.times_ms[keep], series.values[keep])


def _with_entries(series: Series, entries: Entries) -> tuple[Series, Times]:
    """Give the readings with exclusions and hand readings applied, and the times read by hand."""
    if entries.is_empty:
        return series, np.empty(0, np.int64)
    series, hand = without_excluded(series, entries), entries.readings
    keep = ~np.isin(series.times_ms, hand.times_ms)
    times = np.concatenate([series.times_ms[keep], hand.times_ms])
    values = np.concatenate([series.values[keep], hand.values])
    order = np.argsort(times, kind="stable")
    return Series(times[order], values[order]), hand.times_ms


def _era(
    part: Series,
    how: Counting,
    manual: Times,
    opening: tuple[int, float] | None,
    closing: tuple[int, float] | None,
) -> _Era:
    part = _possible(part, how)
    # what no register shows is garbage already; kept within what whole numbers can hold
    times, register = part.times_ms, to_ticks(np.clip(part.values, -MOST, MOST))
    if opening is not None:
        times, register = _joined(opening, (times, register), None)
    if closing is not None:
        times, register = _joined(None, (times, register), closing)
    cleaned = clean(
        times, register, how, _factors(times[:-1], how) if how.factors else 1.0,
        is_first_sure=opening is not None, is_last_sure=closing is not None,
    )  # fmt: skip
    index, links = _believed(cleaned)
    if len(index) != len(times):
        last = len(times) - 1
        times, register = times[index], register[index]
        if closing is not None and (not len(index) or index[-1] != last):
            times, register, links = _closed(times, register, links, closing)
    times, register, links, cut = _at_factors(times, register, links, how)
    factors = _factors(times[:-1], how)
    steps = _scaled(register[1:], factors) - _scaled(register[:-1], factors)
    marks: list[Mark] = [(s, Grade.ESTIMATED, True) for s in cut]
    for at, (kind, ticks) in links.items():
        if ticks is not None:
            steps[at] = round(ticks * (float(factors[at]) if len(factors) else 1.0))
        if kind is not EventKind.ROLLOVER:
            marks.append((at, Grade.ESTIMATED, True))
    events = list(cleaned.events)
    for at in np.flatnonzero(np.diff(times) > how.max_spacing_ms).tolist():
        a, b = int(times[at]), int(times[at + 1])
        by_hand = bool(np.isin([a, b], manual).any())
        marks.append((at, Grade.MANUAL if by_hand else Grade.ESTIMATED, False))
        events.append(CounterEvent(a, b, EventKind.GAP, int(steps[at])))
    return _Era(times, steps, marks, events)


_Links = dict[int, tuple[EventKind, int | None]]


def _believed(cleaned: Cleaned) -> tuple[NDArray[np.intp], _Links]:
    """Give the indices of believed readings, and the links by the step they stand for."""
    index = np.concatenate([np.arange(a, b) for a, b in cleaned.runs] or [np.empty(0, np.intp)])
    links: _Links = {}
    for link in cleaned.links:
        links[int(np.searchsorted(index, link.left))] = (link.kind, link.ticks)
    return index, links


def _possible(part: Series, how: Counting) -> Series:
    """Leave out what a register of the declared width cannot show."""
    widths = [w for _, w in how.widths if w is not None]
    if not widths or not len(part):
        return part
    shown = part.values <= max(widths)
    return part if shown.all() else Series(part.times_ms[shown], part.values[shown])


def _joined(
    opening: tuple[int, float] | None, part: tuple[Times, Ticks], closing: tuple[int, float] | None
) -> tuple[Times, Ticks]:
    """Put the readings of an exchange at the ends."""
    before, after = ([] if end is None else [end] for end in (opening, closing))
    times = [np.array([t for t, _ in end], np.int64) for end in (before, after)]
    values = [to_ticks(np.array([v for _, v in end])) for end in (before, after)]
    return (
        np.concatenate([times[0], part[0], times[1]]),
        np.concatenate([values[0], part[1], values[1]]),
    )


def _closed(
    times: Times, register: Ticks, links: _Links, closing: tuple[int, float]
) -> tuple[Times, Ticks, _Links]:
    """End with a closing reading that no reading leads to: those that contradict it are out."""
    value = int(to_ticks(np.array([closing[1]]))[0])
    keep = len(register)
    while keep and register[keep - 1] > value and keep - 1 not in links:
        keep -= 1
    times, register = _joined(None, (times[:keep], register[:keep]), closing)
    return times, register, {s: link for s, link in links.items() if s < keep - 1}


def _factors(times: Times, how: Counting) -> Values:
    """Give the factor in force from each instant on."""
    if not how.factors:
        return np.ones(0)
    starts = np.array([f[0] for f in how.factors], np.int64)
    values = np.array([1.0, *(f[1] for f in how.factors)])
    return np.asarray(values[np.searchsorted(starts, times, "right")])


def _scaled(register: Ticks, factors: Values) -> Ticks:
    if not len(factors):
        return register
    return np.rint(register * factors).astype(np.int64)


def _at_factors(
    times: Times, register: Ticks, links: _Links, how: Counting
) -> tuple[Times, Ticks, _Links, list[int]]:
    """Insert the register's standing at the moments a factor changes; give the steps cut in two."""
    cut: list[int] = []
    for moment, _ in how.factors:
        if moment == FOREVER_MS or not len(times) or not times[0] < moment < times[-1]:
            continue
        i = int(np.searchsorted(times, moment, "right")) - 1
        if times[i] == moment or i in links:
            continue
        share = (moment - int(times[i])) / (int(times[i + 1]) - int(times[i]))
        value = int(register[i]) + round(int(register[i + 1] - register[i]) * share)
        times = np.insert(times, i + 1, moment)
        register = np.insert(register, i + 1, value)
        links = {s + (s > i): link for s, link in links.items()}
        cut = [s + (s > i) for s in cut] + [i, i + 1]
    return times, register, links, cut
