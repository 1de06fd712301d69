"""A bus: one connection, its units, and the order in which a round asks them."""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from contract.clock import Clock
from contract.reading import Reading
from edge.decode import Columns, readings_of
from edge.drivers.protocol import Driver
from edge.poller.breaker import LossBudget
from edge.poller.due import Read, schedule
from edge.poller.holes import HoleBook
from edge.poller.turn import Round, Tally, Turn
from edge.poller.unit import RANK_OF_PRIORITY, Unit
from edge.profile import Pace

_Due = tuple[Unit, Sequence[Read], Sequence[Read]]


@dataclass(slots=True)
class Bus:
    """One connection, its driver and units.  Owned by one task.

    interval_ms: the base tick; pace_ms: the interval of each pace, multiples of it
    offset_ms:   its rounds begin this long after their slot, so that buses do not tick together
    book:        where refused registers are kept; None: nowhere
    """

    name: str
    driver: Driver
    units: Sequence[Unit]
    interval_ms: int
    tally: Tally = field(default_factory=Tally)
    pace_ms: Mapping[Pace, int] = field(default_factory=dict)
    offset_ms: int = 0
    book: HoleBook | None = None
    budget: LossBudget = field(init=False)
    last_tick: int | None = None
    rng: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        interval_s = self.interval_ms / 1000
        self.budget = LossBudget(interval_s)
        for unit in self.units:
            unit.set_backoff(interval_s)
        self.schedule()
        for unit in self.units:
            unit.owe_slow()  # what others are scaled by must not be waited for

    @property
    def lost_s(self) -> float:
        """Give the time that went into waiting for answers that did not come."""
        return sum(u.lost_s for u in self.units)

    def schedule(self) -> None:
        """Give every read its ticks."""
        schedule((r for u in self.units for r in u.reads), self.interval_ms, self.pace_ms)

    async def poll_round(self, slot_ms: int, clock: Clock) -> list[Reading]:
        """Read everything of every unit once, whatever is due; give the slot's readings."""
        return readings_of(await self._round(slot_ms, clock, None), slot_ms)

    async def poll_due(self, slot_ms: int, clock: Clock) -> list[Columns]:
        """Read what is due at a slot; give its values, nothing if nothing is due."""
        return await self._round(slot_ms, clock, slot_ms // self.interval_ms)

    async def _round(self, slot_ms: int, clock: Clock, tick: int | None) -> list[Columns]:
        interval_s = math.inf if tick is None else self.interval_ms / 1000
        shared = Round(
            self.driver, clock, slot_ms, interval_s, self.tally, self.budget, self.rng,
            clock.monotonic_s(),
        )  # fmt: skip
        out: list[Columns] = []
        is_replanned = False
        for unit, due, owed in self._in_order(tick):
            turn = Turn(shared, unit)
            out += await turn.take(due, owed)
            if turn.is_replanned:
                unit.rebuild()
                unit.set_backoff(self.interval_ms / 1000)
                is_replanned = True
        if is_replanned:
            self.schedule()
            if self.book is not None:
                self.book.is_changed = True
        self.tally.rounds += 1
        return out

    def _in_order(self, tick: int | None) -> list[_Due]:
        """Give the units' turns: by priority, and behind them those in doubt.

        A silence then delays nobody of the same round, and of the doubtful the one that has
        waited longest comes first, so that all get a turn however few probes a round allows.
        """
        trusted: list[_Due] = []
        doubtful: list[_Due] = []
        since, self.last_tick = self.last_tick, tick
        for unit in self.units:
            due, owed = unit.reads, []
            if tick is not None:
                due = [r for r in unit.reads if r.is_due(tick, since)]
                owed = [r for r in unit.reads if r.is_owed and r not in due]
            if due or owed:
                (doubtful if unit.breaker.silent_rounds else trusted).append((unit, due, owed))
        trusted.sort(key=lambda t: RANK_OF_PRIORITY[t[0].priority])
        doubtful.sort(key=lambda t: t[0].breaker.retry_at_s)
        return trusted + doubtful
