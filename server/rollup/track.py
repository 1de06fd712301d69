"""A track: one meter's consumption as a continuous, never falling count over time."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.periods import HOUR_MS, MINUTE_MS, Interval
from server.rollup.model import Grade
from server.rollup.ticks import PER_UNIT, Ticks, to_ticks
from server.series import Flags, Series, Times, Values
from server.site.model import Replacement

FOREVER_MS = -(2**62)
DEFAULT_MAX_POWER = 1000.0  # kW; m³/h for water is given by the site model


class EventKind(StrEnum):
    """What was met on the way from a register to a count."""

    GAP = "gap"
    ROLLOVER = "rollover"
    GUESSED_ROLLOVER = "guessed_rollover"
    RESET = "reset"
    JUMP = "jump"
    GARBAGE = "garbage"
    STALE = "stale"
    FROZEN = "frozen"
    DELAYED = "delayed"
    PENDING = "pending"


@dataclass(frozen=True, slots=True, order=True)
class CounterEvent:
    """Something handled between two instants (epoch ms), and what it did to the count, in ticks.

    GAP: silence, spread.  RESET, JUMP: the count over the step is an estimate of at most
    `Counting.bound`.  GARBAGE, STALE, FROZEN, DELAYED: readings left out.
    PENDING: readings not yet used, because only what follows can say what they are.
    """

    start_ms: int
    end_ms: int
    kind: EventKind
    ticks: int = 0


@dataclass(frozen=True, slots=True)
class Counting:
    """How to read a register.

    widths:   (from_ms, width) in register units, oldest first; None: not known
    factors:  (from_ms, factor) register units → kWh or m³, oldest first; CT/PT ratio × corrections
    max_power: kW or m³/h, more than the place can ever use; says which steps are believed
    slack:    kWh or m³ believed over any time at all: a coarse register steps at once
    """

    widths: tuple[tuple[int, float | None], ...] = ()
    factors: tuple[tuple[int, float], ...] = ()
    replacements: tuple[Replacement, ...] = ()
    max_power: float = DEFAULT_MAX_POWER
    slack: float = 1.0
    max_spacing_ms: int = 20 * MINUTE_MS

    def width_at(self, time_ms: int) -> float | None:
        """Give the register's width at an instant, None when not known."""
        valid = [w for start, w in self.widths if start <= time_ms]
        return valid[-1] if valid else None

    def factor_at(self, time_ms: int) -> float:
        """Give the factor in force at an instant."""
        valid = [f for start, f in self.factors if start <= time_ms]
        return valid[-1] if valid else 1.0

    def bound(self, span_ms: int) -> int:
        """Give the most that is believed over a span, in ticks."""
        return int((self.max_power * span_ms / HOUR_MS + self.slack) * PER_UNIT)


@dataclass(frozen=True, slots=True)
class Fixed:
    """A quantity known for a span as a whole: a bill, or one interval of an imported curve."""

    interval: Interval
    ticks: int


@dataclass(frozen=True, slots=True, eq=False)
class Entries:
    """What people added to a meter's readings, or took away."""

    readings: Series = field(default_factory=Series.empty)
    excluded: tuple[Interval, ...] = ()
    fixed: tuple[Fixed, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Say whether there is nothing."""
        return not (len(self.readings) or self.excluded or self.fixed)


NO_ENTRIES = Entries()


@dataclass(frozen=True, slots=True, eq=False)
class Fill:
    """How a gap is filled: (n,) instants within it, its ends included, and the totals at them."""

    times_ms: Times
    totals: Ticks


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """times_ms: (k,) strictly increasing; counts: (k,) ticks, never falling, or the register
    itself in kWh or m³ where it never broke: then only what is read off is made ticks.

    A step is what lies between two neighbours.  `marked` (m,) are the indices of steps that are
    not simply measured, with a grade and whether they count as seen; all other steps are seen
    and have the grade `usual`.  `fills` say how gaps are filled that are not filled evenly.
    """

    times_ms: Times
    counts: Ticks | Values
    marked: NDArray[np.intp]
    grades: Flags
    seen: NDArray[np.bool_]
    events: tuple[CounterEvent, ...] = ()
    fills: tuple[Fill, ...] = ()
    usual: Grade = Grade.MEASURED

    def at(self, index: Any) -> Ticks:
        """Give the totals at indices, in ticks."""
        return ticks_of(self.counts[index])

    @property
    def totals(self) -> Ticks:
        """Give all totals, in ticks."""
        return self.at(slice(None))

    @classmethod
    def empty(cls) -> "Track":
        """Give a track without any reading."""
        return track_of(np.empty(0, np.int64), np.empty(0, np.int64), [], ())


def ticks_of(counts: NDArray[Any]) -> Ticks:
    """Give counts of a track in ticks."""
    return counts if counts.dtype == np.int64 else to_ticks(counts)


Mark = tuple[int, Grade, bool]


def track_of(
    times_ms: Times, counts: Ticks | Values, marks: Sequence[Mark], events: Sequence[CounterEvent]
) -> Track:
    """Give a track from marks (step, grade, seen); of two marks on a step both hold."""
    merged: dict[int, tuple[Grade, bool]] = {}
    for step, grade, is_seen in marks:
        known = merged.get(step, (Grade.MEASURED, True))
        merged[step] = (max(known[0], grade), known[1] and is_seen)
    steps = sorted(merged)
    return Track(
        times_ms,
        counts,
        np.array(steps, np.intp),
        np.array([merged[s][0] for s in steps], np.int8),
        np.array([merged[s][1] for s in steps], np.bool_),
        tuple(sorted(events)),
    )


def with_doubts(track: Track, times_ms: Times) -> Track:
    """Give a track whose steps from and to some readings are estimates: their time is a guess.

    What was counted stands; only when it was is in doubt.
    """
    at = np.searchsorted(track.times_ms, times_ms)
    last = len(track.times_ms) - 1
    is_there = at <= last
    is_there[is_there] = track.times_ms[at[is_there]] == times_ms[is_there]
    steps = np.unique(np.concatenate([at[is_there] - 1, at[is_there]]))
    steps = steps[(steps >= 0) & (steps < last)]
    if not len(steps):
        return track
    known = zip(track.marked.tolist(), track.grades.tolist(), track.seen.tolist(), strict=True)
    marks = [(s, Grade(g), seen) for s, g, seen in known]
    marks += [(s, Grade.ESTIMATED, True) for s in steps.tolist()]
    new = track_of(track.times_ms, track.counts, marks, track.events)
    return replace(new, fills=track.fills, usual=track.usual)


def totals_at(track: Track, edges_ms: Times) -> tuple[Ticks, NDArray[np.bool_]]:
    """Read a track off at (n,) instants: (ticks, whether the instant lies within the track)."""
    times = track.times_ms
    if not len(times):
        return np.zeros(len(edges_ms), np.int64), np.zeros(len(edges_ms), np.bool_)
    inside = (edges_ms >= times[0]) & (edges_ms <= times[-1])
    i, j, share = brackets(times, edges_ms)
    low = track.at(i)
    totals = low + np.rint((track.at(j) - low) * share).astype(np.int64)
    for fill in track.fills:
        a, b = np.searchsorted(edges_ms, [fill.times_ms[0], fill.times_ms[-1]])
        totals[a:b] = _between(fill, edges_ms[a:b])
    return totals, inside


def brackets(times_ms: Times, edges_ms: Times) -> tuple[NDArray[np.intp], NDArray[np.intp], Values]:
    """Give the readings before and after each instant, and how far between them it lies, 0 to 1."""
    last = len(times_ms) - 1
    i = np.clip(np.searchsorted(times_ms, edges_ms, "right") - 1, 0, max(0, last - 1))
    j = np.minimum(i + 1, last)
    span = np.maximum(times_ms[j] - times_ms[i], 1)
    return i, j, np.clip((edges_ms - times_ms[i]) / span, 0.0, 1.0)


def _between(fill: Fill, edges_ms: Times) -> Ticks:
    i = np.searchsorted(fill.times_ms, edges_ms, "right") - 1
    share = (edges_ms - fill.times_ms[i]) / (fill.times_ms[i + 1] - fill.times_ms[i])
    low, high = fill.totals[i], fill.totals[i + 1]
    return np.asarray(low + np.rint((high - low) * share).astype(np.int64))


def unseen_ms(track: Track, edges_ms: Times) -> Values:
    """Give how long each interval between (n + 1,) edges was not seen, (n,) ms."""
    n = len(edges_ms) - 1
    times = track.times_ms
    if len(times) < 2:
        return np.diff(edges_ms).astype(np.float64)
    blind = track.marked[~track.seen]
    starts = np.concatenate([[FOREVER_MS], times[blind], [times[-1]]])
    ends = np.concatenate([[times[0]], times[blind + 1], [-FOREVER_MS]])
    out = np.zeros(n, np.int64)
    first = np.clip(np.searchsorted(edges_ms, starts, "right") - 1, 0, n - 1)
    last = np.clip(np.searchsorted(edges_ms, ends, "left") - 1, 0, n - 1)
    for a, b, i, j in zip(starts, ends, first, last, strict=True):
        low, high = np.maximum(edges_ms[i : j + 1], a), np.minimum(edges_ms[i + 1 : j + 2], b)
        out[i : j + 1] += np.maximum(high - low, 0)
    return out.astype(np.float64)


def worst_grades(track: Track, edges_ms: Times) -> Flags:
    """Give the worst grade of the steps that touch each interval, (n,)."""
    n = len(edges_ms) - 1
    out = np.full(n, track.usual, np.int8)
    starts, ends = track.times_ms[track.marked], track.times_ms[track.marked + 1]
    first = np.searchsorted(edges_ms, starts, "right") - 1
    last = np.searchsorted(edges_ms, ends, "left") - 1
    for i, j, grade in zip(first, last, track.grades, strict=True):
        if j >= 0 and i < n:
            part = out[max(i, 0) : j + 1]
            np.maximum(part, grade, out=part)
    return out
