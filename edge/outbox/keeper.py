"""What one commit does: rounds in, settled and shed parcels out, all in one transaction."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import structlog

from contract.clock import Clock
from contract.reading import Reason
from edge.clock.marks import ClockMark, ToSlot
from edge.outbox.bounds import Present, Shed, Shedder
from edge.outbox.broken import Fault
from edge.outbox.delivery import DeliveryLines
from edge.outbox.parcel import (
    DAMAGED,
    PRIMARY,
    Batch,
    Bounds,
    Change,
    Parcel,
    Refused,
    Round,
    Span,
    gzip_lines,
    packed,
)
from edge.outbox.positions import Positions
from edge.outbox.refuge import AT_ONCE, FOREVER, Refuge
from edge.outbox.restamp import released
from edge.outbox.spans import Spans
from edge.outbox.speaking import Speaking
from edge.outbox.thin import readings_in

log = structlog.get_logger()


class Keeper:
    """The outbox without its threads: used by one at a time, except for the counts."""

    def __init__(
        self,
        path: Path,
        bounds: Bounds,
        ram_max_bytes: int,
        copies: Mapping[str, Bounds],
        delivery: DeliveryLines | None,
        clock: Clock,
    ) -> None:
        self.store, self.clock = Refuge(path), clock
        marks = self.store.marks()
        self.speaking = Speaking(delivery, marks)
        self.slots = _named(marks, "bus:")
        self.tally = _named(marks, "tally:")
        self.sequence = marks.get(next_of(self.store.current.outbox_id), 1)
        newest = max(ledger.last_position() for ledger in self.store.ledgers())
        self.position = newest + 1 if self.store.ram is None else self.store.ram_from
        self.positions = Positions(copies, self.store.settled(), self.position - 1)
        self._present = Present(bounds.max_age_ms)
        self._disk_shedder = Shedder(bounds, marks, newest)
        self._ram_bounds = replace(bounds, max_bytes=min(ram_max_bytes, bounds.max_bytes))
        self._ram_shedder = Shedder(self._ram_bounds, {}, 0)
        self._mark: ClockMark | None = None  # of the newest round
        self.refused: list[Refused] = []
        self._is_blind = self.store.ram is not None  # what the file holds is not known
        self.waiting = self.bytes = 0
        self._recount()
        self._told: tuple[Path | None, str | None] = (None, None)
        self._tell()

    def take(self, max_bytes: int, spans: Iterator[Span]) -> Batch:
        """Give the oldest parcels of spans whose sequence numbers follow one another."""
        taken: list[Parcel] = []
        size = 0
        for p in self.store.parcels(spans):
            size += len(p.body)
            if taken and (size > max_bytes or not _follows(taken[-1], p)):
                break
            taken.append(p)
        return tuple(taken)

    def settle(self, batch: Batch, refused: Sequence[Refused], destination: str) -> None:
        """Take note that a destination keeps a batch but for what it refuses."""
        self.refused += refused
        self._count("quarantined", len(refused))
        for p in batch:
            if self.positions.settle(destination, p) and destination == PRIMARY:
                self.waiting -= 1
                self.bytes -= len(p.body)

    def leave(self, parcel: Parcel, lines: Sequence[str]) -> None:
        """Leave only some lines of a parcel to be sent.  sqlite3.Error."""
        if parcel.position < self.store.ram_from < FOREVER:
            return  # the file cannot be written; the whole parcel is tried again
        readings = sum(map(readings_in, lines))
        self._rewrite([parcel], [replace(parcel, body=gzip_lines(lines), readings=readings)])

    def restamp(self, boot_id: str, to_slot: ToSlot, doubt: Reason) -> int:
        """Give a boot's held parcels their true times; give how many.  sqlite3.Error."""
        done = 0
        while held := self.store.held(boot_id, AT_ONCE):
            self._rewrite(held, [_let_go(p, to_slot, doubt) for p in held])
            done += len(held)
        return done

    def write(self, rounds: Sequence[Round], *, last: bool = False) -> None:
        """Commit rounds with all that rides along; sqlite3.Error, and nothing is changed."""
        ledger, change = self.store.current, Change(refused=list(self.refused))
        now_ms = change.at_ms = self.clock.now_ms()
        again = ledger.asked_again()
        change.taken_back = [number for number, _ in again]
        for slot_ms in (r.slot_ms for r in rounds if r.mark is None):
            self._present.saw(slot_ms)
        self._give_up()
        shed, gone = self._shed()
        said = self.speaking.lines(
            now_ms, shed.lost, self.refused, self.store.lost, self._queued, last=last
        )
        mark = rounds[-1].mark if rounds else self._mark  # what is said has the time of now
        more = [([line for _, line in again], None), (said, mark)]
        rounds = [
            *rounds,
            *(Round(None, now_ms, ls, sum(map(readings_in, ls)), m) for ls, m in more if ls),
        ]
        new = packed(rounds, ledger.outbox_id, self.position, self.sequence)
        change.parcels, change.gone = [*shed.replaced.values(), *new], list(gone)
        rides_alone = last and self.positions.changed  # a cut would only cost a resend
        if not (new or rides_alone or any((change.parcels, gone, again, change.refused))):
            return
        tally = {**self.tally}
        for name, count in (("dropped", shed.parcels), ("dropped_readings", shed.readings)):
            tally[name] = tally.get(name, 0) + count
        change.marks = {f"bus:{r.bus}": r.slot_ms for r in rounds if r.bus is not None}
        change.marks |= {f"tally:{name}": count for name, count in tally.items()}
        change.marks |= self._shedder.marks() | self.speaking.marks(now_ms, shed.lost, last=last)
        change.marks[next_of(ledger.outbox_id)] = self.sequence + len(new)
        change.settled = self.positions.rows(gone)
        ledger.apply(change)
        self.tally, self._mark = tally, mark
        self._written(new, shed, gone)
        self.speaking.said(now_ms, shed.lost, last=last)

    def newest(self, rounds: Sequence[Round], most: int) -> Sequence[Round]:
        """Give the newest of rounds that could not be written; the others are counted as lost."""
        self._count("dropped_readings", sum(r.readings for r in rounds[:-most]))
        return rounds[-most:]

    def fall(self, error: sqlite3.Error | OSError) -> Fault:
        """Do what an error of the file asks for, and say so once."""
        before_id = self.store.current.outbox_id
        fault = self.store.fall(error, self.position, self.positions.everywhere())
        if self.store.current.outbox_id != before_id:
            self.sequence = 1
            self._ram_shedder = Shedder(self._ram_bounds, {}, 0)
        if fault is Fault.DAMAGED:
            self._recount()
        self._tell()
        return fault

    def heal(self) -> None:
        """Go back from memory to the file; sqlite3.Error or OSError when it is not healed."""
        marks = self.store.heal(self.positions.everywhere())
        if self._is_blind:
            for name, count in _named(marks, "tally:").items():
                self._count(name, count)
            self.slots = _named(marks, "bus:") | self.slots
            self._is_blind = False
        self.sequence = marks.get(next_of(self.store.current.outbox_id), 1)
        self._recount()
        self._tell()

    def _shed(self) -> tuple[Shed, Spans]:
        """Give what bounds take out, and all that leaves the ledger."""
        gone = self.positions.everywhere()
        shed = self._shedder.shed(
            self.store.current, gone, self.positions.primary, self._present.slot_ms
        )
        gone = Spans(gone)
        for position in shed.gone:
            gone.add((position, position))
        return shed, gone

    def _written(self, new: Sequence[Parcel], shed: Shed, gone: Spans) -> None:
        self.refused.clear()
        self.store.lost.clear()
        if self.store.ram is not None:  # the file still has what lies below
            gone = gone.both(Spans([(self.store.ram_from, FOREVER)]))
        self.positions.forget(gone)
        self.position += len(new)
        self.sequence += len(new)
        self.waiting += len(new) - shed.parcels
        self.bytes += sum(len(p.body) for p in new) - shed.freed_waiting

    def _rewrite(self, old: Sequence[Parcel], new: Sequence[Parcel]) -> None:
        self.store.current.apply(Change(list(new)))
        self.bytes += sum(len(p.body) for p in new) - sum(len(p.body) for p in old)

    def _give_up(self) -> None:
        for name, first in self.positions.owing():
            missed = self.positions.give_up(name, self.store.sizes(first), self._present.slot_ms)
            self._count(f"missed:{name}", missed)

    def _queued(self) -> tuple[Parcel, int, int] | None:
        gaps = self.positions.gaps(PRIMARY, self.position - 1)
        oldest = next(self.store.parcels(gaps), None)
        if oldest is None:
            return None
        return oldest, self.sequence_next(oldest.outbox_id) or 0, self.waiting

    def sequence_next(self, outbox_id: int) -> int | None:
        """Give the number the next parcel of a ledger gets; None when the ledger is not known."""
        if outbox_id == self.store.current.outbox_id:
            return self.sequence
        return self.store.marks().get(next_of(outbox_id))

    def _recount(self) -> None:
        primary = self.positions.primary
        self.waiting = self.bytes = 0
        for position, _, size, _, _ in self.store.sizes():
            if position not in primary:
                self.waiting += 1
                self.bytes += size
        self.positions.counted(self.store.sizes)

    def _tell(self) -> None:
        """Log once what happened to the file."""
        if self.store.set_aside != self._told[0]:
            log.error("outbox_broken", set_aside=str(self.store.set_aside))
            self._count("set_aside", 1)
        if self.store.error is not None and self._told[1] is None:
            log.error("outbox_in_ram", error=self.store.error)
        elif self.store.error is None and self._told[1] is not None:
            log.info("outbox_healed", parcels=self.waiting)
        self._told = (self.store.set_aside, self.store.error)

    def _count(self, name: str, more: int) -> None:
        if more:
            self.tally[name] = self.tally.get(name, 0) + more

    @property
    def _shedder(self) -> Shedder:
        return self._disk_shedder if self.store.ram is None else self._ram_shedder


def _let_go(parcel: Parcel, to_slot: ToSlot, doubt: Reason) -> Parcel:
    try:
        return released(parcel, to_slot, doubt)
    except DAMAGED:  # it is set aside when it is sent
        return replace(parcel, boot=None, rounds=())


def next_of(outbox_id: int) -> str:
    """Give the name of the mark that holds a ledger's next sequence number."""
    return f"next:{outbox_id}"


def _named(marks: Mapping[str, int], prefix: str) -> dict[str, int]:
    return {n.removeprefix(prefix): v for n, v in marks.items() if n.startswith(prefix)}


def _follows(one: Parcel, other: Parcel) -> bool:
    return (other.outbox_id, other.sequence) == (one.outbox_id, one.sequence + 1)
