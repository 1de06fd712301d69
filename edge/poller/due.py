"""Which reads are due at a tick.  Pure.

A bus ticks at the shortest of its paces' intervals.  Fast and normal reads are due at slots that
are multiples of their interval; slow ones are spread evenly over the ticks of theirs.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from edge.plan import Hole, ReadBlock
from edge.poller.breaker import Breaker
from edge.profile import Pace

_PACES = tuple(Pace)  # the fastest first


@dataclass(slots=True, eq=False)
class Read:
    """One request of a unit and when it is due: each `every` ticks, at the tick `turn` of them.

    hole:        the block is one point the device refuses: not asked, but once a day
    is_owed:     a slow read that has not been answered when it was due is made up for
    search_at_s: not searched for refused registers before (monotonic)
    """

    block: ReadBlock
    hole: Hole | None = None
    every: int = 1
    turn: int = 0
    is_owed: bool = False
    search_at_s: float = -math.inf
    breaker: Breaker = field(default_factory=Breaker)
    pace: Pace = field(init=False)

    def __post_init__(self) -> None:
        self.pace = pace_of(self.block)

    def is_due(self, tick: int, since: int | None = None) -> bool:
        """Say whether the read is due at a tick; `since` is the tick polled before.

        A slow read whose turn was among ticks missed since then has its turn now.
        """
        if since is None or since >= tick - 1 or self.pace is not Pace.SLOW:
            return tick % self.every == self.turn
        return (tick - self.turn) // self.every > (since - self.turn) // self.every

    def owe(self) -> None:
        """Take note that the read has still to be answered; only slow ones are waited for."""
        self.is_owed = self.pace is Pace.SLOW and self.every > 1


def pace_of(block: ReadBlock) -> Pace:
    """Give the pace of a block: that of its fastest point."""
    return min((p.pace for p in block.points), key=_PACES.index, default=Pace.NORMAL)


def tick_ms(paces: Iterable[Pace], pace_ms: Mapping[Pace, int]) -> int:
    """Give the base tick of reads of some paces: their shortest interval.

    Where that does not divide the others, it is their greatest common divisor.
    """
    return math.gcd(*(pace_ms[p] for p in set(paces)))


def schedule(reads: Iterable[Read], interval_ms: int, pace_ms: Mapping[Pace, int]) -> None:
    """Give each read of a bus its ticks; a pace without an interval is due at every tick."""
    known = list(reads)
    slow = [r for r in known if r.pace is Pace.SLOW]
    for read in known:
        read.every = max(1, pace_ms.get(read.pace, interval_ms) // interval_ms)
        read.turn = 0
    for number, read in enumerate(slow):
        read.turn = number * read.every // len(slow)
