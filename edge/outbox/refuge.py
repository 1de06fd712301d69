"""The file, and memory for as long as the file cannot be written."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path

from edge.outbox.broken import (
    Fault,
    Salvage,
    fault_of,
    finish_renaming,
    fresh_name,
    is_writable,
    set_aside,
)
from edge.outbox.disk import DiskLedger
from edge.outbox.ledger import Ledger, RamLedger, Size
from edge.outbox.parcel import Change, Parcel, Refused, Span
from edge.outbox.spans import Spans

AT_ONCE = 200  # parcels moved in one transaction
_UNSEEN = 2**40  # positions from here on, while what the file holds is unknown
_TRIES = 3  # of a file that cannot be opened on a disk that is well, before it is set aside
FOREVER = 2**62


class Refuge:
    """A file's ledger with one in memory beside it while the file is full, read-only or gone.

    Both share one row of positions.  `set_aside` is the damaged file last put away, and `lost` the
    ledger (outbox_id, next sequence) of which not all could be read again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.disk: DiskLedger | None = None
        self.ram: RamLedger | None = None
        self.ram_from = FOREVER  # positions from here on lie in memory
        self.error: str | None = None  # why the file is not in use
        self.set_aside: Path | None = None
        self.lost: list[tuple[int, int]] = []
        self._tries = 0
        try:
            finish_renaming(path)
            self.disk = DiskLedger(path)
        except (sqlite3.Error, OSError) as error:
            self.fall(error, 1, Spans())

    @property
    def current(self) -> Ledger:
        """Give the ledger that is written."""
        found = self.ram or self.disk
        assert found is not None  # noqa: S101 - one of the two is always there
        return found

    def ledgers(self) -> tuple[Ledger, ...]:
        """Give the ledgers that can be read, the older first."""
        return tuple(ledger for ledger in (self.disk, self.ram) if ledger is not None)

    def marks(self) -> dict[str, int]:
        """Give the marks of all ledgers."""
        return {n: v for ledger in self.ledgers() for n, v in ledger.marks().items()}

    def settled(self) -> Mapping[str, Sequence[Span]]:
        """Give the positions that each destination has settled."""
        return self.ledgers()[0].settled()

    def parcels(self, spans: Iterator[Span]) -> Iterator[Parcel]:
        """Give the parcels at positions of spans that are not held, oldest first."""
        return chain.from_iterable(
            ledger.parcels(span) for span in spans for ledger in self.ledgers()
        )

    def sizes(self, first: int = 1) -> Iterator[Size]:
        """Give the size of each parcel from a position on."""
        return chain.from_iterable(ledger.sizes(first) for ledger in self.ledgers())

    def held(self, boot_id: str, limit: int) -> list[Parcel]:
        """Give the oldest parcels held for the clock of a boot."""
        done = set[int]()  # of the file, and told in memory
        if self.ram is not None:
            done = {p.position for p in self.ram.parcels((1, self.ram_from - 1))}
        found = (p for ledger in self.ledgers() for p in ledger.held(boot_id, limit + len(done)))
        return list(islice((p for p in found if p.position not in done), limit))

    def boots(self) -> list[str]:
        """Give the boots whose parcels are held."""
        return list(dict.fromkeys(b for ledger in self.ledgers() for b in ledger.boots()))

    def refused(self) -> list[Refused]:
        """Give the lines set aside, oldest first."""
        return [r for ledger in self.ledgers() for r in ledger.refused()]

    def fall(self, error: sqlite3.Error | OSError, position: int, settled: Spans) -> Fault:
        """Do what an error of the file asks for; `position` is the next parcel's.

        Afterwards there is a ledger that can be written, unless the file is only busy.
        """
        fault = fault_of(error)
        if fault is Fault.BUSY and self.disk is not None:
            return fault
        if fault is Fault.DAMAGED:
            try:
                self._start_anew(settled)
            except (sqlite3.Error, OSError) as worse:
                error = worse
            else:
                return fault
        if self.ram is None:
            self.ram = RamLedger()
            self.ram_from = position if self.disk is not None else max(position, _UNSEEN)
        elif self.disk is not None:  # not even read any more
            self._close_disk()
        self.error = str(error)
        return Fault.UNUSABLE

    def heal(self, settled: Spans) -> dict[str, int]:
        """Go back to the file with all that memory holds; give the marks that the file had.

        sqlite3.Error or OSError when it cannot be: memory stays.
        """
        disk = self.disk or self._reopened(settled)
        marks = dict(disk.marks())
        try:
            self._move_into(disk, settled)
        except (sqlite3.Error, OSError):
            if not is_writable(self.path):  # as before: at least it can be read
                raise
            self._close_disk()
            raise
        self.ram, self.error, self.ram_from, self._tries = None, None, FOREVER, 0
        return marks

    def _reopened(self, settled: Spans) -> DiskLedger:
        try:
            finish_renaming(self.path)
            self.disk = DiskLedger(self.path)
        except (sqlite3.Error, OSError) as error:
            self._tries += 1
            if fault_of(error) is not Fault.DAMAGED and (
                self._tries < _TRIES or not is_writable(self.path)
            ):
                raise
            return self._start_anew(settled)
        return self.disk

    def _move_into(self, disk: DiskLedger, settled: Spans) -> None:
        if (memory := self.ram) is None:
            return
        held = memory.parcels((1, FOREVER), with_held=True)
        waiting = (p for p in held if p.position not in settled)
        while some := list(islice(waiting, AT_ONCE)):
            disk.apply(Change(some))
        kept = {n: v for n, v in memory.marks().items() if n.startswith(("bus:", "next:"))}
        disk.apply(Change(marks={**kept}, refused=memory.refused()))

    def close(self) -> None:
        """Close the file."""
        self._close_disk()

    def _close_disk(self) -> None:
        if self.disk is not None:
            with suppress(sqlite3.Error):
                self.disk.close()
            self.disk = None

    def _start_anew(self, settled: Spans) -> DiskLedger:
        """Put a fresh file, with what can still be read, in the place of a broken one.

        sqlite3.Error or OSError when it cannot be: the broken file stays where it is.
        """
        self._close_disk()
        found = Salvage(self.path)
        old_id = found.marks.get("outbox_id", 0)
        fresh_path = fresh_name(self.path)
        fresh_path.unlink(missing_ok=True)
        fresh = DiskLedger(fresh_path)
        try:
            parcels = (p for p in found.parcels() if p.position not in settled)
            while some := list(islice(parcels, AT_ONCE)):
                fresh.apply(Change(some))
            marks = {n: v for n, v in found.marks.items() if n != "outbox_id"}
            fresh.apply(Change(marks={**marks}, refused=found.refused()))
        finally:
            fresh.close()
        self.set_aside = set_aside(self.path)
        fresh_path.rename(self.path)
        self.disk = fresh = DiskLedger(self.path)
        if old_id and not found.is_whole:
            self.lost.append((old_id, found.marks.get(f"next:{old_id}", 0)))
        return fresh
