"""A register's readings → the readings to be believed, and how to step from each to the next.

Readings fall into runs within which every step is believable: not negative, and not more than
the place can use.  Nearly always there is one run.  Where there are more, each boundary is
decided on: rollover, garbage, stale readings, frozen register, reset, or a jump nobody can
explain.  Every decision depends on a bounded number of readings near by, so that a window
computed alone equals the same window of the whole.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from server.periods import DAY_MS, HOUR_MS
from server.rollup.ticks import PER_UNIT, Ticks, tick
from server.rollup.track import CounterEvent, Counting, EventKind
from server.series import Times, Values

GARBAGE_READINGS = 12  # longer runs of wrong values are not garbage but another meter
LOOK_AHEAD_RUNS = 4
STALE_MS = DAY_MS  # readings below an earlier one are passed over for at most this long
TAIL_READINGS = 3000  # believed readings looked back on: two days of minutes
RATE_READINGS = 8  # neighbours from which the use over an unknown step is estimated
DELAY_MS = 2 * HOUR_MS  # a step too steep is believed when it is possible over this long
GUESSED_WIDTHS = tuple(10**k for k in range(3, 10))
NEAR_WIDTH = 0.98
HALF = 0.5


@dataclass(frozen=True, slots=True)
class Link:
    """The step from one believed reading to the next where it is not their difference.

    kind says why; `ticks` is the step in register units, None when it is the plain difference.
    """

    left: int
    right: int
    kind: EventKind
    ticks: int | None


@dataclass(frozen=True, slots=True)
class Cleaned:
    """Indices of believed readings as [start, end) runs, links between runs, and events."""

    runs: tuple[tuple[int, int], ...]
    links: tuple[Link, ...]
    events: tuple[CounterEvent, ...]


Factors = float | Values
Indices = NDArray[np.intp]


def is_plain(times_ms: Times, register: Ticks, counting: Counting, factors: Factors) -> bool:
    """Say whether every step is believable; the usual case, and a cheap question."""
    steps = np.diff(register)
    if not len(steps):
        return True
    if steps.min() < 0:
        return False
    if steps.max() * np.max(factors) <= counting.slack * PER_UNIT:
        return True
    return bool((steps * factors <= _bounds(times_ms, counting)).all())


def _bounds(times_ms: Times, counting: Counting) -> np.ndarray:
    per_ms = counting.max_power * PER_UNIT / 3_600_000
    return np.diff(times_ms) * per_ms + counting.slack * PER_UNIT


def clean(
    times_ms: Times,
    register: Ticks,
    counting: Counting,
    factors: Factors,
    *,
    is_first_sure: bool = False,
    is_last_sure: bool = False,
) -> Cleaned:
    """Decide on every boundary between runs.

    register: (n,) ticks in register units; factors: one, or (n - 1,) one for each step; the first
    and last reading may be sure: read by people at an exchange, and not to be doubted.
    """
    if is_plain(times_ms, register, counting, factors):
        return Cleaned(((0, len(register)),) if len(register) else (), (), ())
    walker = _Cleaner(times_ms, register, counting, factors)
    walker.is_first_sure, walker.is_last_sure = is_first_sure, is_last_sure
    return walker.walk()


def _unwrapped(times: Times, register: Ticks, how: Counting) -> tuple[Ticks, Indices]:
    """Give the register without its declared rollovers, and the steps at which it rolled over.

    Of the two ways round a register of a declared width the shorter is taken, so that a reading
    from before a rollover that comes late steps back over it.
    """
    steps = np.diff(register)
    widths = np.array([tick(how.width_at(int(t)) or 0.0) for t in times[:-1][steps < 0]])
    if not widths.any():
        return register, np.empty(0, np.intp)
    whole = np.full(len(steps), tick(how.width_at(int(times[0])) or 0.0), np.int64)
    for start, width in how.widths:
        whole[times[:-1] >= start] = tick(width or 0.0)
    turns = np.where(whole > 0, np.rint(steps / np.maximum(whole, 1)), 0).astype(np.int64)
    rolled = np.flatnonzero((turns != 0) & (steps < 0))
    unwrapped = np.concatenate([register[:1], register[0] + np.cumsum(steps - turns * whole)])
    return unwrapped, rolled


class _Step(NamedTuple):
    """How the count goes on: from a believed reading to one of run `number`.

    kind None: by the plain difference, over whatever was left out between them.
    """

    left: int
    right: int
    number: int
    kind: EventKind | None = None
    ticks: int | None = None


class _Cleaner:
    """One walk over the runs of a register."""

    def __init__(self, times: Times, register: Ticks, counting: Counting, factors: Factors) -> None:
        self.t, self.raw, self.how = times, register, counting
        self.factors = np.broadcast_to(factors, (len(register) - 1,))
        self.c, self.wraps = _unwrapped(times, register, counting)
        steps = np.diff(self.c)
        believed = (steps >= 0) & (steps * factors <= _bounds(times, counting))
        cuts = np.flatnonzero(~believed) + 1
        starts = [0, *cuts.tolist()]
        self.runs = list(zip(starts, [*cuts.tolist(), len(register)], strict=True))
        self.kept: list[tuple[int, int]] = []  # believed so far, the last one still growing
        self.since = 0  # index in `kept` of the first run behind the last rollover, reset or jump
        self.links: list[Link] = []
        self.events: list[CounterEvent] = []
        self.is_first_sure = self.is_last_sure = False

    def walk(self) -> Cleaned:
        """Take the runs in order."""
        number = self._first()
        self.kept = [self.runs[number]]
        while number + 1 < len(self.runs):
            tail = self._tail()
            step = self._garbage(tail, number) or self._decide(tail, number + 1)
            if step is None:  # what follows is not to be believed, or not yet
                number += 1
                continue
            number = step.number
            self._take(step)
        return Cleaned(tuple(self.kept), tuple(self._all_links()), tuple(self.events))

    def _all_links(self) -> Iterator[Link]:
        """Give the links, and one for each rollover, wherever it was met."""
        made = {link.left: link for link in self.links}
        for begin, end in self.kept:
            for at in self.wraps[(self.wraps >= begin) & (self.wraps < end - 1)].tolist():
                yield self._rollover(at, at + 1, EventKind.ROLLOVER)
        for (_, before), (right, _) in pairwise(self.kept):
            left = before - 1
            link = made.get(left)
            has_wrapped = self.raw[right] - self.raw[left] != self._step(left, right)
            if has_wrapped and (link is None or link.ticks is None):
                yield self._rollover(left, right, link.kind if link else EventKind.ROLLOVER)
            elif link is not None:
                yield link

    def _rollover(self, left: int, right: int, kind: EventKind) -> Link:
        self._note(left, right, EventKind.ROLLOVER, self._step(left, right))
        return Link(left, right, kind, self._step(left, right))

    def _first(self) -> int:
        """Give the first run to believe: a short one before a long one it does not lead to is out.

        Nothing stands in front of it that could vouch for it.
        """
        if len(self.runs) == 1 or self.is_first_sure:
            return 0
        (begin, end), (after_begin, after_end) = self.runs[:2]
        is_short = end - begin <= GARBAGE_READINGS < after_end - after_begin
        if is_short and not self._is_reset(end - 1, after_begin):
            self._note(begin, after_begin, EventKind.GARBAGE)
            return 1
        return 0

    def _tail(self) -> Indices:
        """Give the last believed readings that count on without a link between them."""
        parts: list[Indices] = []
        room = TAIL_READINGS
        for begin, end in reversed(self.kept[self.since :]):
            parts.append(np.arange(max(begin, end - room), end))
            room -= end - begin
            if room <= 0:
                break
        return np.concatenate(parts[::-1])

    def _take(self, step: _Step) -> None:
        while self.kept[-1][0] > step.left:
            self.kept.pop()
        self.kept[-1] = (self.kept[-1][0], step.left + 1)
        self.links = [link for link in self.links if link.right <= step.left]
        if step.kind is not None:
            self.links.append(Link(step.left, step.right, step.kind, step.ticks))
            self._note(step.left, step.right, step.kind, step.ticks or 0)
        if step.ticks is not None:
            self.since = len(self.kept)
        self.kept.append((step.right, self.runs[step.number][1]))

    def _garbage(self, tail: Indices, number: int) -> _Step | None:
        """Find the run that goes on from here when the short ones between are left out."""
        left, last = int(tail[-1]), len(self.runs) - 1
        is_sure = self.is_first_sure and left == 0
        ahead = last if is_sure else min(number + LOOK_AHEAD_RUNS, last)
        further = [last] if self.is_last_sure and ahead < last else []
        for n in [*range(number + 2, ahead + 1), *further]:
            right = self.runs[n][0]
            is_short = right - self.runs[number][1] <= GARBAGE_READINGS
            if not is_short and not is_sure and not (self.is_last_sure and n == last):
                continue
            step = _Step(left, right, n) if self._fits(left, right) else self._late(tail, n)
            if step is not None:
                self._note(left, right, EventKind.GARBAGE)
                return step
        return None

    def _decide(self, tail: Indices, n: int) -> _Step | None:
        """Say how to go on from the last believed reading to run n; None: pass over that run."""
        left, right = int(tail[-1]), self.runs[n][0]
        if self._fits(left, right):  # after runs that were passed over
            return _Step(left, right, n)
        if self.c[right] > self.c[left]:
            return self._upward(tail, n)
        target = self._recovery(tail, n)
        if target is not None:
            self._note(left, target, EventKind.GARBAGE)
            return _Step(left, target, n)
        return self._restarted(tail, n) or self._fallen(tail, n)

    def _recovery(self, tail: Indices, n: int) -> int | None:
        """Give the reading, soon after a fall, at which the counter is back where it was.

        A counter that began again passes its old standing in its own steps; one that is back
        passes it in a leap.
        """
        left = int(tail[-1])
        head = self._below(n, int(self.c[left]))
        target = self.runs[n][0] + head
        if not 0 < head <= GARBAGE_READINGS or target >= self.runs[n][1]:
            return None
        if not self._fits(left, target):
            return None
        rate = self._rates(tail, n)[0]
        over = abs(self._step(left, target) - rate * self._span(left, target))
        leap = abs(self._step(target - 1, target) - rate * self._span(target - 1, target))
        return None if leap < HALF * over else target

    def _upward(self, tail: Indices, n: int) -> _Step | None:
        """Step over more than can be used: the register was frozen, or late, or nobody knows."""
        return self._late(tail, n) or self._restarted(tail, n) or self._jump(tail, n)

    def _late(self, tail: Indices, n: int) -> _Step | None:
        """Find the reading from which on the register cannot have shown the use as it came.

        It stood still, or its readings carry wrong times; what was used is not in doubt, only
        when: the readings since are left out, and the use is spread over their time.
        """
        left, right = int(tail[-1]), self.runs[n][0]
        same = int(tail[np.searchsorted(self.c[tail], self.c[left])])
        if same < left and self._fits(same, right):
            return _Step(same, right, n, EventKind.FROZEN)
        for earlier in tail[-2::-1].tolist():
            if self._fits(earlier, right):
                return _Step(earlier, right, n, EventKind.DELAYED)
            if self._span(earlier, left) > DELAY_MS:
                break
        return None

    def _restarted(self, tail: Indices, n: int) -> _Step | None:
        """Fall to near nothing: a rollover of a width nobody declared, or a reset."""
        left, right = int(tail[-1]), self.runs[n][0]
        expected = self._expected(tail, n)
        if self.how.width_at(int(self.t[left])) is None:
            for width in GUESSED_WIDTHS:
                step = tick(width) - int(self.raw[left]) + int(self.raw[right])
                most = max(4 * expected, tick(self.how.slack))
                if self.raw[left] >= NEAR_WIDTH * tick(width) and 0 <= step <= most:
                    return _Step(left, right, n, EventKind.GUESSED_ROLLOVER, step)
        if self._is_reset(left, right):
            return _Step(left, right, n, EventKind.RESET, max(int(self.raw[right]), expected))
        return None

    def _fallen(self, tail: Indices, n: int) -> _Step | None:
        """Step down by a little: one side of the step is stale or wrong; leave out the fewer."""
        left, right = int(tail[-1]), self.runs[n][0]
        above = int(np.count_nonzero(self.c[tail[-GARBAGE_READINGS - 1 :]] > self.c[right]))
        head = self._below(n, int(self.c[left]))
        if above <= min(GARBAGE_READINGS, len(tail) - 1):
            trimmed = int(tail[-above - 1])
            if self._fits(trimmed, right) and (above <= head or not self._reaches(left, n)):
                return _Step(trimmed, right, n, EventKind.STALE)
        if self._reaches(left, n):
            return _Step(left, right + head, n, EventKind.STALE)
        if right + head == self.runs[n][1] and self._is_followed(left, n):
            self._note(left, right + head - 1, EventKind.STALE)
            return None
        return self._jump(tail, n)

    def _reaches(self, left: int, n: int) -> bool:
        """Say whether a run, soon, is back at a reading."""
        at = self.runs[n][0] + self._below(n, int(self.c[left]))
        if at >= self.runs[n][1] or self._span(left, at) > STALE_MS:
            return False
        return self._fits(left, at)

    def _is_followed(self, left: int, n: int) -> bool:
        """Say whether a later run, soon, goes on from this reading."""
        for later in range(n + 1, len(self.runs)):
            if self._span(left, self.runs[later][0]) > STALE_MS:
                return False
            if self._reaches(left, later):
                return True
        return False

    def _jump(self, tail: Indices, n: int) -> _Step | None:
        left, (right, end) = int(tail[-1]), self.runs[n]
        if n == len(self.runs) - 1 and end - right <= GARBAGE_READINGS:
            self._note(left, end - 1, EventKind.PENDING)
            return None
        return _Step(left, right, n, EventKind.JUMP, self._expected(tail, n))

    def _rates(self, tail: Indices, n: int) -> list[float]:
        """Give ticks per ms before the last believed reading, and at the start of run n."""
        begin, end = self.runs[n]
        pairs = (
            (int(tail[max(0, len(tail) - 1 - RATE_READINGS)]), int(tail[-1])),
            (begin, min(end - 1, begin + RATE_READINGS)),
        )
        return [self._step(a, b) / self._span(a, b) for a, b in pairs if b > a] or [0.0]

    def _expected(self, tail: Indices, n: int) -> int:
        """Estimate the use over a step from the readings before and after it, in ticks."""
        left, right = int(tail[-1]), self.runs[n][0]
        rates = self._rates(tail, n)
        use = sum(rates) / len(rates) * self._span(left, right)
        return min(round(use), int(self._bound(left, right) / float(self.factors[left])))

    def _is_reset(self, left: int, right: int) -> bool:
        after, before = int(self.raw[right]), int(self.raw[left])
        return after < HALF * before and self._is_possible(after, left, right)

    def _fits(self, left: int, right: int) -> bool:
        step = self._step(left, right)
        return step >= 0 and self._is_possible(step, left, right)

    def _is_possible(self, step: int, left: int, right: int) -> bool:
        return bool(step * float(self.factors[left]) <= self._bound(left, right))

    def _bound(self, left: int, right: int) -> int:
        return self.how.bound(int(self.t[right] - self.t[left]))

    def _step(self, left: int, right: int) -> int:
        return int(self.c[right] - self.c[left])

    def _span(self, left: int, right: int) -> float:
        return float(self.t[right] - self.t[left])

    def _below(self, n: int, value: int) -> int:
        begin, end = self.runs[n]
        return int(np.searchsorted(self.c[begin:end], value))

    def _note(self, left: int, right: int, kind: EventKind, ticks: int = 0) -> None:
        self.events.append(CounterEvent(int(self.t[left]), int(self.t[right]), kind, ticks))
