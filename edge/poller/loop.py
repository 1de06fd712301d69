"""The poll loop of a bus: a round at each slot, on a grid that nothing shifts."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from contract.clock import Clock
from edge.clock import ClockMark, Grid, SteadyClock
from edge.decode import encode_slot
from edge.poller.bus import Bus
from edge.poller.holes import HoleBook

_TIMER_SLACK_S = 0.002  # a timer may fire a hair early; a slot must not be read before it begins
_LONGEST_SLEEP_S = 10.0  # a clock that has been set is noticed after this long
_STAGGER_SHARE, _STAGGER_MAX_S, _STAGGER_STEP_MS = 0.2, 2.0, 2
log = structlog.get_logger()


def stagger_ms(number: int, buses: int, interval_ms: int) -> int:
    """Give how long after its slot the bus `number` (from 0) of some buses begins its rounds.

    Many buses begin a few at a time: one wake-up of the process serves them all.
    """
    span_ms = min(_STAGGER_SHARE * interval_ms, _STAGGER_MAX_S * 1000)
    return int(span_ms * number / max(buses, 1)) // _STAGGER_STEP_MS * _STAGGER_STEP_MS


class Keeper(Protocol):
    """Where rounds are kept.  Thread-safe."""

    def last_slot(self, bus: str) -> int | None:
        """Give the last slot kept for a bus."""

    def put(
        self, bus: str, slot_ms: int, lines: Sequence[str], readings: int, mark: ClockMark | None
    ) -> None:
        """Keep a bus's round; one with a mark has no time yet.  Never waits."""


async def run_bus(
    bus: Bus, outbox: Keeper, clock: Clock, on_progress: Callable[[str], None]
) -> None:
    """Poll a bus at every slot until cancelled.

    After a restart the present slot is read at once if it is not in the outbox yet, so that a
    restart shorter than the interval leaves no hole; no slot is ever kept twice.  A slot that a
    round has overrun is counted as missed and never made up for, but a hair's breadth is none.
    """
    grid = Grid(clock, bus.interval_ms, outbox.last_slot(bus.name))
    while True:
        left_ms = grid.left_ms(bus.offset_ms)
        if left_ms > 0:
            await grid.sleep(min(left_ms / 1000 + _TIMER_SLACK_S, _LONGEST_SLEEP_S))
            continue
        missed = grid.pass_over(left_ms)
        if missed:
            bus.tally.slots_missed += missed
            log.warning("slots_missed", bus=bus.name, slots=missed)
            continue
        slot_ms, mark = grid.slot_ms, grid.mark()
        columns = await bus.poll_due(slot_ms, SteadyClock(clock))
        if readings := sum(len(c.values) for c in columns):
            lines = encode_slot(columns, slot_ms)
            outbox.put(bus.name, slot_ms, lines, readings, mark)
        if bus.book is not None and bus.book.is_changed:
            await asyncio.to_thread(_save, bus.book)
        on_progress(bus.name)
        grid.done()


def _save(book: HoleBook) -> None:
    try:
        book.save()
    except OSError as error:  # they will be found again
        book.is_changed = False
        log.warning("holes_not_saved", file=str(book.path), error=str(error))
