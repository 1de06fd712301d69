"""The poll loop of a bus: a round at each slot, on a grid that nothing shifts."""

import asyncio
from collections.abc import Callable

import structlog

from contract.clock import Clock, next_slot, slot_of
from edge.decode import encode_slot
from edge.outbox import Outbox
from edge.poller.bus import Bus
from edge.poller.holes import HoleBook

_TIMER_SLACK_S = 0.002  # a timer may fire a hair early; a slot must not be read before it begins
_LONGEST_SLEEP_S = 10.0  # a step of the wall clock is noticed after this long
_LATE_SHARE = 10  # a round may begin late by this part of the interval
_STAGGER_SHARE, _STAGGER_MAX_S = 0.2, 2.0
log = structlog.get_logger()


def stagger_ms(number: int, buses: int, interval_ms: int) -> int:
    """Give how long after its slot the bus `number` (from 0) of some buses begins its rounds."""
    return int(min(_STAGGER_SHARE * interval_ms, _STAGGER_MAX_S * 1000) * number / max(buses, 1))


async def run_bus(
    bus: Bus, outbox: Outbox, clock: Clock, on_progress: Callable[[str], None]
) -> None:
    """Poll a bus at every slot until cancelled.

    After a restart the present slot is read at once if it is not in the outbox yet, so that a
    restart shorter than the interval leaves no hole; no slot is ever kept twice.  A slot that a
    round has overrun is counted as missed and never made up for, but a hair's breadth is none.
    """
    last = outbox.last_slot(bus.name)
    slot_ms = _first_slot(last, clock.now_ms(), bus.interval_ms)
    steps, late_ms = _ClockSteps(clock, bus.interval_ms), bus.interval_ms - 1
    while True:
        stepped_ms = steps.newest_ms()
        if stepped_ms:
            log.warning("clock_stepped", bus=bus.name, seconds=round(stepped_ms / 1000, 3))
            slot_ms = next_slot(clock.now_ms(), bus.interval_ms)
        left_ms = slot_ms + bus.offset_ms - clock.now_ms()
        if left_ms > 0:
            await asyncio.sleep(min(left_ms / 1000 + _TIMER_SLACK_S, _LONGEST_SLEEP_S))
            continue
        missed = -((left_ms + late_ms) // bus.interval_ms)  # slots more than late_ms ago
        if missed > 0:
            bus.tally.slots_missed += missed
            log.warning("slots_missed", bus=bus.name, slots=missed)
            slot_ms += missed * bus.interval_ms
            continue
        late_ms = bus.interval_ms // _LATE_SHARE
        columns = await bus.poll_due(slot_ms, clock)
        if readings := sum(len(c.values) for c in columns):
            lines = encode_slot(columns, slot_ms)
            outbox.put(bus.name, slot_ms, lines, readings)
        if bus.book is not None and bus.book.is_changed:
            await asyncio.to_thread(_save, bus.book)
        on_progress(bus.name)
        slot_ms += bus.interval_ms


def _first_slot(last: int | None, now_ms: int, interval_ms: int) -> int:
    """Give the slot to begin with; a last slot far ahead was stamped by a clock that was wrong."""
    present = slot_of(now_ms, interval_ms)
    if last is None or last > present + interval_ms:
        return present + interval_ms
    return present if last < present else last + interval_ms


class _ClockSteps:
    """Tells a step of the wall clock from time that went by."""

    def __init__(self, clock: Clock, least_ms: int) -> None:
        self._clock, self._least_ms = clock, least_ms
        self._ahead_ms = self._ahead()

    def newest_ms(self) -> int:
        """Give the step since the last look; 0 when it is shorter than the least that matters."""
        before, self._ahead_ms = self._ahead_ms, self._ahead()
        step_ms = self._ahead_ms - before
        return step_ms if abs(step_ms) >= self._least_ms else 0

    def _ahead(self) -> int:
        return self._clock.now_ms() - round(self._clock.monotonic_s() * 1000)


def _save(book: HoleBook) -> None:
    try:
        book.save()
    except OSError as error:  # they will be found again
        book.is_changed = False
        log.warning("holes_not_saved", file=str(book.path), error=str(error))
