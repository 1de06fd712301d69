"""Bounds: what goes first when more waits than may.

The agent's health goes first, then gauges, then counters but one an hour, each from the oldest
parcel on; whole parcels only when nothing else is left, or when they are too old.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from edge.outbox.ledger import Ledger
from edge.outbox.parcel import DAMAGED, Bounds, Parcel
from edge.outbox.spans import Spans
from edge.outbox.speaking import Lost, joined, told_in
from edge.outbox.thin import HOUR_MS, Hours, Level, thinned

_LOW_WATER = 0.95
_BODIES_A_COMMIT = 2_000_000  # bytes that are unpacked; a commit must not last
_AT_ONCE = 5000  # parcels that grow too old in one commit
_NEWEST = 2**62


@dataclass(slots=True)
class Shed:
    """What was taken out: parcels replaced, parcels gone whole, and readings lost by ledger."""

    replaced: dict[int, Parcel] = field(default_factory=dict)
    gone: dict[int, Parcel] = field(default_factory=dict)
    lost: Lost = field(default_factory=dict)
    freed: int = 0  # bytes, and how many of them the primary destination still waited for
    freed_waiting: int = 0
    parcels: int = 0  # and readings that it will never get
    readings: int = 0

    def take_out(self, parcel: Parcel, less: Parcel | None, primary: Spans) -> None:
        """Note what is left of a parcel, if anything; `primary` has been settled."""
        left = less if less is not None and less.lines() else None
        if left is None:
            self.lost = joined(self.lost, told_in(parcel))  # a word on a loss must not be lost
            self.gone[parcel.position] = parcel
            self.replaced.pop(parcel.position, None)
        else:
            self.replaced[parcel.position] = left
        freed = len(parcel.body) - (len(left.body) if left else 0)
        self.freed += freed
        if parcel.position in primary:
            return
        readings = parcel.readings - (left.readings if left else 0)
        self.freed_waiting += freed
        self.parcels += left is None
        self.readings += readings
        sequence = parcel.sequence
        self.lost = joined(self.lost, {parcel.outbox_id: (sequence, sequence, readings)})


class Present:
    """The slot that ages are counted from; one wrong clock must not make everything old."""

    def __init__(self, max_age_ms: int) -> None:
        self._most_ms = max_age_ms // 2
        self.slot_ms = 0
        self._ahead_since_ms: int | None = None

    def saw(self, slot_ms: int) -> None:
        """Take note of a slot; a jump ahead counts once an hour of slots has followed it."""
        if not self.slot_ms or slot_ms - self.slot_ms <= self._most_ms:
            self.slot_ms, self._ahead_since_ms = slot_ms, None
        elif self._ahead_since_ms is None or slot_ms < self._ahead_since_ms:
            self._ahead_since_ms = slot_ms
        elif slot_ms - self._ahead_since_ms >= HOUR_MS:
            self.slot_ms, self._ahead_since_ms = slot_ms, None


class Shedder:
    """Keeps a ledger within its bounds."""

    def __init__(self, bounds: Bounds, marks: Mapping[str, int], last_position: int) -> None:
        self._bounds = bounds
        done = {level: marks.get(_mark(level), 0) for level in Level}
        self._done = {n: d if d <= last_position else 0 for n, d in done.items()}
        self._hours: Hours = {}

    def marks(self) -> dict[str, int]:
        """Give how far each level has come, to be kept."""
        return {_mark(level): position for level, position in self._done.items() if position}

    def shed(self, ledger: Ledger, settled: Spans, primary: Spans, present_ms: int) -> Shed:
        """Give what has to go for the ledger to be within its bounds.

        `settled` is on its way out already; `primary` is what the primary destination has.
        """
        work = _Work(ledger, settled, primary)
        work.too_old(present_ms - self._bounds.max_age_ms)
        used, shed = ledger.used_bytes(), work.shed
        low = self._bounds.max_bytes * _LOW_WATER
        for level in Level:
            if used - shed.freed > low and work.left > 0:
                self._done[level] = work.thin(level, self._done[level], used - low, self._hours)
        if used - shed.freed > (low if work.left > 0 else self._bounds.max_bytes):
            work.drop(used - low)
        return shed


class _Work:
    """One commit's shedding."""

    def __init__(self, ledger: Ledger, settled: Spans, primary: Spans) -> None:
        self._ledger, self._settled, self._primary = ledger, settled, primary
        self.shed, self.left = Shed(), _BODIES_A_COMMIT

    def too_old(self, oldest_ms: int) -> None:
        """Drop what has no slot since then; what is held has no age yet."""
        last = 0
        for number, (position, newest_ms, _, _, is_held) in enumerate(self._ledger.sizes()):
            if number >= _AT_ONCE or (newest_ms >= oldest_ms and not is_held):
                break
            last = position
        for p in self._ledger.parcels((1, last)) if last else ():
            if p.position not in self._settled and p.newest_ms < oldest_ms:
                self.shed.take_out(p, None, self._primary)

    def thin(self, level: Level, done: int, wanted: float, hours: Hours) -> int:
        """Thin by one level until enough is freed or looked at; give the last position done."""
        for one in self._ledger.parcels((done + 1, _NEWEST)):
            done = one.position
            if done in self._settled or done in self.shed.gone:
                continue
            parcel = self.shed.replaced.get(done, one)
            self.left -= len(parcel.body)
            try:
                less = thinned(parcel, level, hours)
            except DAMAGED:
                self.shed.take_out(parcel, None, self._primary)
            else:
                if less is not None:
                    self.shed.take_out(parcel, less, self._primary)
            if self.left <= 0 or self.shed.freed >= wanted:
                break
        return done

    def drop(self, wanted: float) -> None:
        """Drop whole parcels, the oldest first, until enough is freed."""
        for p in self._ledger.parcels((1, _NEWEST), with_held=True):
            if p.position not in self._settled and p.position not in self.shed.gone:
                self.shed.take_out(self.shed.replaced.get(p.position, p), None, self._primary)
            if self.shed.freed >= wanted:
                break


def _mark(level: Level) -> str:
    return f"thinned:{level.value}"
