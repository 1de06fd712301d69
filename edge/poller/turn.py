"""A turn: what is due of one unit is asked, and every due point gets a value or a reason."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from contract.clock import Clock
from contract.errors import DeviceError
from contract.reading import Reason
from edge.decode import Columns, auxiliary, cross_check, decode_columns, failed_columns
from edge.drivers.protocol import Driver
from edge.plan import Hole, RawBlock, ReadBlock, bisect, hole_of
from edge.poller.breaker import BreakerState, LossBudget
from edge.poller.due import Read
from edge.poller.unit import Unit

SILENCE = frozenset({Reason.TIMEOUT, Reason.PROTOCOL})
MASS_OUTAGE = 3  # from this many units falling silent in one round on, one silence is enough
SEARCH_AGAIN_S = 3600.0  # after a device refused everything
SEARCH_SOON_S = 600.0  # after a search that came to no end
_JITTER = 0.2
_SUSPENDED = DeviceError(Reason.SUSPENDED)
_MISSING = DeviceError(Reason.ILLEGAL_ADDRESS)
log = structlog.get_logger()


@dataclass(slots=True)
class Tally:
    """What a bus has done since the start; read by health.  shed: reads left out for time."""

    polls: int = 0
    errors: int = 0
    rounds: int = 0
    slots_missed: int = 0
    shed: int = 0


@dataclass(slots=True)
class Round:
    """What the turns of one round share.  began_s is monotonic; fallen: units silent just now."""

    driver: Driver
    clock: Clock
    slot_ms: int
    interval_s: float
    tally: Tally
    budget: LossBudget
    rng: random.Random
    began_s: float
    fallen: int = 0

    def jitter(self) -> float:
        """Give a factor around one for a back-off."""
        return self.rng.uniform(1 - _JITTER, 1 + _JITTER)

    def sheds(self, unit: Unit, read: Read) -> bool:
        """Say whether a read is left out: the round overruns its interval, and it can wait."""
        late = (self.clock.monotonic_s() - self.began_s) / self.interval_s
        return late >= 1 and unit.rank(read) >= 4 - int(late >= 2)

    def has_time(self) -> bool:
        """Say whether reads that are not due may be made up for: half the interval is left."""
        return self.clock.monotonic_s() - self.began_s < self.interval_s / 2

    def lag_s(self) -> float:
        """Give the seconds since the slot."""
        return (self.clock.now_ms() - self.slot_ms) / 1000


@dataclass(slots=True)
class Turn:
    """One unit's turn.

    out:      what each read gave, failures included
    error:    silence, or a link that is down: nothing more is asked in this turn
    answers:  requests answered, exceptions included; good: with registers
    silent:   reads that were not answered
    finds:    refused reads, with the points (holes) and cuts found in them
    """

    round: Round
    unit: Unit
    out: dict[Read, list[Columns]] = field(default_factory=dict)
    error: DeviceError | None = None
    answers: int = 0
    good: int = 0
    silent: list[Read] = field(default_factory=list)
    finds: list[tuple[Read, list[Hole], list[Hole]]] = field(default_factory=list)
    is_extra: bool = False  # not due: made up for, silent when it fails again
    has_tried_hole: bool = False
    is_replanned: bool = False
    lag_s: float = 0.0

    async def take(self, due: Sequence[Read], owed: Sequence[Read] = ()) -> list[Columns]:
        """Ask what is due, then what is owed as time allows; give the values of the slot."""
        unit = self.unit
        why = await self._suspended() if unit.breaker.is_open else None
        if why is not None:
            for read in due:
                self._fail(read, why)
            return self._taken()
        for read in sorted(due, key=_in_doubt):
            if read.hole is None:
                await self._take(read)
            else:
                await self._take_hole(read, read.hole)
        self.is_extra = True
        for read in owed:
            if self.error is None and self.round.has_time():
                await self._take(read)
        if self.silent or unit.breaker.silent_rounds:
            await self._conclude()
        if self.finds:
            await self._remember()
        return self._taken()

    def _taken(self) -> list[Columns]:
        """Keep what was read as the unit's newest, checked against each other; give it."""
        unit, slot_ms = self.unit, self.round.slot_ms
        unit.lag_s = self.lag_s
        out: list[Columns] = []
        for read, columns in self.out.items():
            unit.latest[read] = slot_ms, columns
            out += columns
        unit.counters = cross_check(out, unit.counters)
        return out

    async def _suspended(self) -> DeviceError | None:
        """Give why the unit is left out of this round; a probe decides when its time has come."""
        unit, now_s = self.unit, self.round.clock.monotonic_s()
        block, state = unit.probe(), unit.breaker.state(now_s)
        if state is BreakerState.OPEN or block is None or not self.round.budget.allows(now_s):
            return _SUSPENDED
        answer = await self._ask(block)
        if isinstance(answer, DeviceError):
            if answer.reason is Reason.REFUSED:
                return answer  # the link is down: nothing is known of the unit
            if answer.reason in SILENCE:
                unit.breaker.silent(self.round.clock.monotonic_s(), self.round.jitter())
                return _SUSPENDED
        for read in unit.reads:
            read.breaker.answered()
        unit.owe_slow()
        self._closed()
        return None

    def _may_ask(self, read: Read) -> bool:
        if self.round.sheds(self.unit, read):
            self.round.tally.shed += 1
            return False
        if not read.breaker.is_open:
            return True
        now_s = self.round.clock.monotonic_s()
        is_time = read.breaker.state(now_s) is BreakerState.HALF_OPEN
        return is_time and self.round.budget.allows(now_s)

    async def _take(self, read: Read) -> None:
        if self.error is not None:
            self._fail(read, self.error)
            return
        if not self._may_ask(read):
            self._fail(read, _SUSPENDED)
            return
        lag_s = self.round.lag_s()
        answer = await self._ask(read.block)
        if isinstance(answer, RawBlock):
            read.is_owed = False
            if read.breaker.answered():
                self._log("read_back", read)
            self._keep(read, answer)
        elif answer.reason is Reason.ILLEGAL_ADDRESS and self._may_search(read):
            await self._search(read, answer, lag_s)
        else:
            self._fail(read, answer, lag_s)
            if answer.reason in SILENCE:
                self._note_silence(read, answer)
            elif answer.reason is Reason.REFUSED:
                self.error = answer

    def _note_silence(self, read: Read, answer: DeviceError) -> None:
        """Ask no more of a unit that has answered nothing, and of any after two silences."""
        self.silent.append(read)
        if not self.answers or len(self.silent) > 1:
            self.error = answer

    async def _ask(self, block: ReadBlock) -> RawBlock | DeviceError:
        shared, unit = self.round, self.unit
        began_s = shared.clock.monotonic_s()
        shared.tally.polls += 1
        try:
            raw = await shared.driver.read(unit.unit, block, unit.pause_s, unit.timeout_s)
        except DeviceError as error:
            shared.tally.errors += 1
            if error.reason in SILENCE:
                took_s = shared.clock.monotonic_s() - began_s
                unit.lost_s += took_s
                shared.budget.lost(took_s)
            elif error.reason is not Reason.REFUSED:
                self.answers += 1
            return error
        self.answers += 1
        self.good += 1
        return raw

    def _keep(self, read: Read, raw: RawBlock) -> None:
        """Decode a block that was answered, scaled by what is known of the device."""
        unit = self.unit
        unit.last_good_s = self.round.clock.monotonic_s()
        lag_s = self.round.lag_s()
        if own := auxiliary(raw, unit.source):
            unit.auxiliary |= own
        self._put(read, decode_columns(raw, unit.source, lag_s, unit.auxiliary))

    def _fail(self, read: Read, error: DeviceError, lag_s: float = 0.0) -> None:
        if read.hole is None:
            read.owe()
        if not self.is_extra:
            self._fail_block(read, read.block, error, lag_s)

    def _fail_block(self, read: Read, block: ReadBlock, error: DeviceError, lag_s: float) -> None:
        self._put(read, failed_columns(block, error, self.unit.source, lag_s))

    def _put(self, read: Read, columns: Columns) -> None:
        self.lag_s = max(self.lag_s, columns.lag_s)
        self.out.setdefault(read, []).append(columns)

    async def _take_hole(self, read: Read, hole: Hole) -> None:
        """Say that the register is missing; once a day, see whether it still is."""
        refused, now_ms = self.unit.refused, self.round.clock.now_ms()
        if not self.good or self.has_tried_hole or not refused.to_try(hole, now_ms):
            self._fail(read, _MISSING)
            return
        self.has_tried_hole = self.is_replanned = True
        answer = await self._ask(read.block)
        if isinstance(answer, RawBlock):
            refused.holes.pop(hole, None)
            self._keep(read, answer)
            self._log("hole_healed", read)
        else:
            refused.holes[hole] = now_ms
            self._fail(read, _MISSING)

    def _may_search(self, read: Read) -> bool:
        return self.round.clock.monotonic_s() >= read.search_at_s

    async def _search(self, read: Read, why: DeviceError, lag_s: float) -> None:
        """Halve a refused block until single points are refused; what answers is kept."""
        holes: list[Hole] = []
        cuts: list[Hole] = []
        even = self.unit.limits.even
        waiting = list(reversed(bisect(read.block, even=even)))
        if len(waiting) == 1:  # the block is a single point: it has just been refused
            holes, waiting = [hole_of(read.block.points[0])], []
            self._fail_block(read, read.block, why, lag_s)
        while waiting:
            part = waiting.pop()
            lag_s = self.round.lag_s()
            answer = await self._ask(part)
            if isinstance(answer, RawBlock):
                cuts.append(hole_of(part.points[0]))
                self._keep(read, answer)
            elif answer.reason is not Reason.ILLEGAL_ADDRESS:
                for rest in (part, *waiting):  # nothing can be concluded: another time
                    self._fail_block(read, rest, answer, lag_s)
                read.search_at_s = self.round.clock.monotonic_s() + SEARCH_SOON_S
                self.error = None if answer.reason is Reason.DEVICE_EXCEPTION else answer
                return
            elif len(part.points) > 1:
                waiting += reversed(bisect(part, even=even))
            else:
                holes.append(hole_of(part.points[0]))
                self._fail_block(read, part, answer, lag_s)
        self.finds.append((read, holes, [] if holes else cuts[1:]))

    async def _conclude(self) -> None:
        """Judge the unit by the turn: any answer closes its breaker, silence alone opens it."""
        if not self.answers and self.silent:
            at_once = self.round.fallen >= MASS_OUTAGE - 1
            if self.unit.breaker.opens_at_next() and not at_once:
                await self._ask_elsewhere()
            if not self.answers:
                self._fallen(at_once=at_once)
                return
        if self.answers:
            self._closed()
            now_s = self.round.clock.monotonic_s()
            for read in self.silent:  # the unit lives: these registers alone are not answered
                if read.breaker.silent(now_s, self.round.jitter()):
                    self._log("read_silent", read)

    async def _ask_elsewhere(self) -> None:
        """Before a unit is suspended: perhaps it is only this block that it does not answer."""
        block = self.unit.probe(avoid=self.silent)
        if block is not None:
            await self._ask(block)
            if self.answers:
                for read in self.silent:
                    read.breaker.silent(self.round.clock.monotonic_s(), at_once=True)

    def _fallen(self, *, at_once: bool) -> None:
        unit, now_s = self.unit, self.round.clock.monotonic_s()
        self.round.fallen += not unit.breaker.silent_rounds
        if unit.breaker.silent(now_s, self.round.jitter(), at_once=at_once):
            log.warning("device_silent", device=unit.source.device, lost_s=round(unit.lost_s, 1))

    def _closed(self) -> None:
        if self.unit.breaker.answered():
            log.info("device_back", device=self.unit.source.device)

    async def _remember(self) -> None:
        """Keep the holes found, unless the device refuses everything: then it is not well."""
        if not self.finds:
            return
        unit = self.unit
        if not self.good:
            block = unit.probe(avoid=[read for read, _, _ in self.finds])
            if block is not None:
                await self._ask(block)
        now_ms, now_s = self.round.clock.now_ms(), self.round.clock.monotonic_s()
        for read, holes, cuts in self.finds:
            if not self.good:
                read.search_at_s = now_s + SEARCH_AGAIN_S
                self._log("everything_refused", read)
                continue
            unit.refused.holes |= dict.fromkeys(holes, now_ms)
            unit.refused.cuts |= set(cuts)
            self.is_replanned = True
            self._log("holes_found" if holes else "block_cut", read, places=holes or cuts)

    def _log(self, event: str, read: Read, places: Sequence[Hole] = ()) -> None:
        block = read.block
        at = [block.points[0].node] if not block.function else [f"{block.address:#06x}"]
        at += [f"{p:#06x}" if isinstance(p, int) else p for _, p in places]
        log.warning(event, device=self.unit.source.device, function=block.function, at=" ".join(at))


def _in_doubt(read: Read) -> bool:
    """Say whether a read has lately not been answered: it comes last, to delay no other."""
    return read.breaker.silent_rounds > 0
