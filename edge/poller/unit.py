"""A unit: one device on a bus, what is read of it, and how it has behaved."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from operator import itemgetter
from typing import Literal

from contract.reading import Reading
from edge.decode import Columns, Source, readings_of
from edge.plan import ReadBlock, fingerprint, hole_of
from edge.poller.breaker import BACKOFF_MAX_S, Breaker
from edge.poller.due import Read
from edge.poller.holes import Refused, block_of, pieces
from edge.profile import Pace, ReadLimits

Priority = Literal["high", "normal", "low"]
RANK_OF_PRIORITY: dict[Priority, int] = {"high": 0, "normal": 1, "low": 2}
_RANK_OF_PACE = {Pace.FAST: 0, Pace.NORMAL: 1, Pace.SLOW: 2}


@dataclass(slots=True)
class Unit:
    """One device on a bus.

    blocks:    as planned; `reads` is what is left of them without what the device refuses
    pause_s, timeout_s, limits: what the device stands
    auxiliary: the newest values that other points are scaled by, by name
    latest:    the slot and values that each read gave last
    earlier:   the newest readings of when the reads were others
    counters:  the newest value of each counter
    lost_s:    time spent on waiting for answers that did not come
    last_good_s: monotonic; None before the first answer
    """

    source: Source
    unit: int
    blocks: tuple[ReadBlock, ...]
    pause_s: float = 0.0
    timeout_s: float | None = None
    priority: Priority = "normal"
    limits: ReadLimits = field(default_factory=ReadLimits)
    refused: Refused = field(default_factory=Refused)
    breaker: Breaker = field(default_factory=Breaker)
    reads: list[Read] = field(init=False, default_factory=list)
    auxiliary: dict[str, Fraction] = field(default_factory=dict)
    latest: dict[Read, tuple[int, list[Columns]]] = field(default_factory=dict)
    earlier: dict[str, Reading] = field(default_factory=dict)
    counters: dict[str, float] = field(default_factory=dict)
    lost_s: float = 0.0
    last_good_s: float | None = None
    lag_s: float = 0.0

    def __post_init__(self) -> None:
        self.rebuild()

    @property
    def plan_name(self) -> str:
        """Give the fingerprint of what is asked of the device."""
        return fingerprint(self.blocks)

    def rank(self, read: Read) -> int:
        """Give what can wait when time is short: 0 last, 4 (a low unit's slow read) first."""
        return RANK_OF_PRIORITY[self.priority] + _RANK_OF_PACE[read.pace]

    def rebuild(self) -> None:
        """Make the reads anew after what the device refuses has changed."""
        even = self.limits.even
        whole, left_out = pieces(self.blocks, self.refused.holes, self.refused.cuts, even=even)
        same = {id(r.block): r for r in self.reads if r.hole is None}
        holes = [Read(b, hole_of(b.points[0])) for b in left_out]
        self.earlier, self.latest = self.newest(), {}
        self.reads = [*(same.get(id(b)) or Read(b) for b in whole), *holes]
        self.set_backoff(self.breaker.first_s)

    def set_backoff(self, first_s: float) -> None:
        """Let back-off begin with the interval of the bus."""
        for breaker in (self.breaker, *(r.breaker for r in self.reads)):
            breaker.first_s, breaker.max_s = first_s, max(BACKOFF_MAX_S, first_s)

    def owe_slow(self) -> None:
        """Let the slow reads be made up for."""
        for read in self.reads:
            if read.hole is None:
                read.owe()

    def probe(self, avoid: Iterable[Read] = ()) -> ReadBlock | None:
        """Give the cheapest question: the shortest value of the shortest read that is not avoided.

        None when every read is avoided.
        """
        open_ones = [r for r in self.reads if r.hole is None and r not in set(avoid)]
        willing = [r for r in open_ones if not r.breaker.is_open] or open_ones
        if not willing:
            return None
        block = min((r.block for r in willing), key=lambda b: b.count)
        point = min(block.points, key=lambda p: p.words, default=None)
        return block if point is None else block_of([point], even=self.limits.even)

    def newest(self) -> dict[str, Reading]:
        """Give the newest reading of each measurand."""
        in_order = sorted(self.latest.values(), key=itemgetter(0))
        later = {r.point.measurand: r for at_ms, cs in in_order for r in readings_of(cs, at_ms)}
        return self.earlier | later

    def good_age_s(self, now_s: float) -> float | None:
        """Give the seconds since the device last gave registers; None before the first time."""
        return None if self.last_good_s is None else max(0.0, now_s - self.last_good_s)
