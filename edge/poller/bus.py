"""Poll: one owner task for each connection, one round of all its devices at each slot.

A unit that stays silent is asked once per back-off step, so that it cannot starve its bus;
meanwhile its points say SUSPENDED.  An exception answer is not silence.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog

from contract.clock import Clock, next_slot, slot_of
from contract.errors import DeviceError
from contract.line import encode
from contract.reading import Reading, Reason
from edge.decode import Source, decode, failed
from edge.drivers.protocol import Driver
from edge.outbox import Outbox
from edge.plan import ReadBlock

SILENT_ROUNDS = 2  # rounds without an answer before a unit is suspended
SUSPEND_MAX_ROUNDS = 32
_TIMER_SLACK_S = 0.002  # a timer may fire a hair early; a slot must not be read before it begins
_SILENCE = frozenset({Reason.TIMEOUT, Reason.PROTOCOL})
log = structlog.get_logger()


@dataclass(slots=True)
class Unit:
    """One device on a bus: its blocks, whose readings they are, and how it has behaved."""

    source: Source
    unit: int
    blocks: tuple[ReadBlock, ...]
    pause_s: float = 0.0
    silent_rounds: int = 0
    resume_round: int = 0  # not asked before this round of its bus

    def is_suspended(self, round_number: int) -> bool:
        """Say whether the unit is left out of a round."""
        return round_number < self.resume_round

    def heard(self, *, answered: bool, round_number: int) -> None:
        """Take note of a round: silence lengthens the back-off, an answer ends it."""
        if answered:
            if self.resume_round:
                log.info("device_back", device=self.source.device)
            self.silent_rounds = self.resume_round = 0
            return
        self.silent_rounds += 1
        if self.silent_rounds >= SILENT_ROUNDS:
            step = min(2 ** (self.silent_rounds - SILENT_ROUNDS), SUSPEND_MAX_ROUNDS)
            self.resume_round = round_number + 1 + step
            if step == 1:
                log.warning("device_silent", device=self.source.device, rounds=self.silent_rounds)


@dataclass(slots=True)
class Tally:
    """What a bus has done since the start; read by health."""

    polls: int = 0
    errors: int = 0
    rounds: int = 0
    slots_missed: int = 0


@dataclass(slots=True)
class Bus:
    """One connection, its driver and units.  Owned by one task."""

    name: str
    driver: Driver
    units: Sequence[Unit]
    interval_ms: int
    tally: Tally = field(default_factory=Tally)

    async def poll_round(self, slot_ms: int, clock: Clock) -> list[Reading]:
        """Read every unit once for a slot; what could not be read has its reason."""
        readings: list[Reading] = []
        for unit in self.units:
            readings += await self._poll_unit(unit, slot_ms, clock)
        self.tally.rounds += 1
        return readings

    async def _poll_unit(self, unit: Unit, slot_ms: int, clock: Clock) -> list[Reading]:
        if unit.is_suspended(self.tally.rounds):
            gone = DeviceError(Reason.SUSPENDED)
            return [r for b in unit.blocks for r in failed(b, gone, unit.source, slot_ms)]
        out: list[Reading] = []
        error: DeviceError | None = None
        for block in unit.blocks:
            lag_s = (clock.now_ms() - slot_ms) / 1000
            if error is not None and error.reason in _SILENCE | {Reason.REFUSED}:
                out += failed(block, error, unit.source, slot_ms, lag_s)
                continue  # a unit that has just been silent is not asked again in this round
            self.tally.polls += 1
            try:
                raw = await self.driver.read(unit.unit, block, unit.pause_s)
                out += decode(raw, unit.source, slot_ms, (clock.now_ms() - slot_ms) / 1000)
                error = None
            except DeviceError as failure:
                self.tally.errors += 1
                error = failure
                out += failed(block, failure, unit.source, slot_ms, lag_s)
        silent = error is not None and error.reason in _SILENCE
        if error is None or silent:
            unit.heard(answered=not silent, round_number=self.tally.rounds)
        return out


async def run_bus(
    bus: Bus, outbox: Outbox, clock: Clock, on_progress: Callable[[str], None]
) -> None:
    """Poll a bus at every slot until cancelled.

    After a restart the present slot is read at once if it is not in the outbox yet, so that a
    restart shorter than the interval leaves no hole; no slot is ever kept twice.
    """
    last = await asyncio.to_thread(outbox.last_slot, bus.name)
    slot_ms = slot_of(clock.now_ms(), bus.interval_ms)
    if last is None or last >= slot_ms:
        slot_ms = next_slot(max(clock.now_ms(), last or 0), bus.interval_ms)
    while True:
        await _until(slot_ms, clock)
        readings = await bus.poll_round(slot_ms, clock)
        lines = encode(readings)
        await asyncio.to_thread(outbox.append, bus.name, slot_ms, lines, len(readings))
        on_progress(bus.name)
        following = max(slot_ms, slot_of(clock.now_ms(), bus.interval_ms)) + bus.interval_ms
        missed = (following - slot_ms) // bus.interval_ms - 1
        if missed:
            bus.tally.slots_missed += missed
            log.warning("slots_missed", bus=bus.name, slots=missed)
        slot_ms = following


async def _until(time_ms: int, clock: Clock) -> None:
    """Sleep until a wall-clock instant (the event loop's timers are monotonic)."""
    await asyncio.sleep(max(0.0, (time_ms - clock.now_ms()) / 1000) + _TIMER_SLACK_S)
