"""Time: the only module that looks at a clock.  Everything else is told the time."""

import time
from typing import Protocol


class Clock(Protocol):
    """Wall time for stamping, monotonic time for waiting."""

    def now_ms(self) -> int:
        """Give wall time as epoch milliseconds, UTC."""

    def monotonic_s(self) -> float:
        """Give seconds from an arbitrary origin; never steps."""


class SystemClock:
    """The machine's clocks."""

    def now_ms(self) -> int:
        """Give wall time as epoch milliseconds, UTC."""
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        """Give seconds since boot."""
        return time.monotonic()

    def uptime_ms(self) -> float:
        """Give milliseconds since boot, those in which the machine was suspended included."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) / 1e6


def slot_of(now_ms: int, interval_ms: int) -> int:
    """Give the aligned slot that `now_ms` lies in: the largest multiple of the interval <= now."""
    return now_ms - now_ms % interval_ms


def next_slot(now_ms: int, interval_ms: int) -> int:
    """Give the first aligned slot after `now_ms`."""
    return slot_of(now_ms, interval_ms) + interval_ms
