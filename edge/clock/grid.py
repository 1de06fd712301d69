"""The grid: which slot a bus reads next, whatever happens to the clock meanwhile."""

import asyncio
from typing import Protocol, runtime_checkable

from contract.clock import Clock, next_slot, slot_of
from edge.clock.marks import ClockMark

REPEAT_MS = 10_000  # a clock set back by at most this waits for its slots instead of repeating them
_LATE_SHARE = 10  # a round may begin late by this part of the interval
_MOVED_SHARE = 20  # a clock set forward by more makes a round late that is not


@runtime_checkable
class MarkingClock(Clock, Protocol):
    """A clock that may not know the time."""

    @property
    def is_known(self) -> bool:
        """Say whether the time is known."""

    async def until_known(self, timeout_s: float) -> None:
        """Wait until the time is known, but no longer than that."""

    def mark(self, slot_ms: int, interval_ms: int) -> ClockMark | None:
        """Give what a round of this slot is kept with; None when the time is known."""

    def settled(self, slot_ms: int, interval_ms: int) -> int:
        """Give the true slot of one that was marked, once the time is known; others as is."""


class Grid:
    """The slots of one bus; `slot_ms` is the one to read next.

    No slot is given twice, but those that a clock far ahead had wrongly given away: they are read
    again at their time, and what they said is overwritten.
    """

    def __init__(self, clock: Clock, interval_ms: int, last_ms: int | None) -> None:
        """Begin with the present slot unless it is `last_ms`, the last one kept; a first start
        begins with the next.
        """
        self._clock, self._interval_ms = clock, interval_ms
        self._marking = clock if isinstance(clock, MarkingClock) else None
        now_ms = clock.now_ms()
        if last_ms is not None and self._marking is not None:
            last_ms = self._marking.settled(last_ms, interval_ms)
        self._may_wait_ms = max(interval_ms, REPEAT_MS)
        self._last_ms = None if last_ms is None or self._is_wrong(last_ms, now_ms) else last_ms
        self._late_ms = interval_ms - 1
        self._ahead_ms, self._is_unknown = self._ahead(now_ms), self._is_marking()
        self.slot_ms = next_slot(now_ms, interval_ms) if last_ms is None else self._next(now_ms)

    def left_ms(self, offset_ms: int) -> int:
        """Give how long until the next slot's round begins; follows the clock where it was set."""
        now_ms = self._clock.now_ms()
        moved_ms, self._ahead_ms = -self._ahead_ms, self._ahead(now_ms)
        moved_ms += self._ahead_ms
        was_unknown, self._is_unknown = self._is_unknown, self._is_marking()
        is_known_now = was_unknown and not self._is_unknown
        if is_known_now and self._marking is not None and self._last_ms is not None:
            self._last_ms = self._marking.settled(self._last_ms, self._interval_ms)
        if is_known_now or moved_ms * _MOVED_SHARE > self._interval_ms:
            self._resume(now_ms)
        elif moved_ms < -self._may_wait_ms:
            self._last_ms = None
            self._resume(now_ms)
        return self.slot_ms + offset_ms - now_ms

    async def sleep(self, seconds: float) -> None:
        """Sleep, but no longer than the time is unknown: the present slot may then be due."""
        if self._marking is not None and self._is_unknown:
            await self._marking.until_known(seconds)
        else:
            await asyncio.sleep(seconds)

    def mark(self) -> ClockMark | None:
        """Give what the round of the next slot is kept with."""
        return self._marking.mark(self.slot_ms, self._interval_ms) if self._marking else None

    def pass_over(self, left_ms: int) -> int:
        """Leave out the slots that have been missed; give how many."""
        missed = -((left_ms + self._late_ms) // self._interval_ms)
        self._late_ms = self._interval_ms // _LATE_SHARE if missed <= 0 else self._late_ms
        self.slot_ms += max(missed, 0) * self._interval_ms
        return max(missed, 0)

    def done(self) -> None:
        """Go on to the slot after the one that has been read."""
        self._last_ms = self.slot_ms
        self.slot_ms += self._interval_ms

    def _resume(self, now_ms: int) -> None:
        self._late_ms = self._interval_ms - 1
        self.slot_ms = self._next(now_ms)

    def _next(self, now_ms: int) -> int:
        present_ms = slot_of(now_ms, self._interval_ms)
        if self._last_ms is None or self._last_ms < present_ms:
            return present_ms
        return self._last_ms + self._interval_ms

    def _is_wrong(self, last_ms: int, now_ms: int) -> bool:
        """Say whether a last slot was stamped by a clock that was far ahead."""
        return last_ms > slot_of(now_ms, self._interval_ms) + self._may_wait_ms

    def _ahead(self, now_ms: int) -> int:
        return now_ms - round(self._clock.monotonic_s() * 1000)

    def _is_marking(self) -> bool:
        return self._marking is not None and not self._marking.is_known


class SteadyClock:
    """A clock for the length of a round: it goes on as it stood, however the time is set."""

    def __init__(self, clock: Clock) -> None:
        self.monotonic_s = clock.monotonic_s
        self._ahead_ms = clock.now_ms() - clock.monotonic_s() * 1000

    def now_ms(self) -> int:
        """Give the time as it would be by the clock as it stood."""
        return round(self.monotonic_s() * 1000 + self._ahead_ms)
