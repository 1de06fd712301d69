"""What keeps parcels: on disk or in RAM, told the same and answering the same."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from edge.outbox.parcel import Change, Parcel, Refused, Span
from edge.outbox.schema import new_outbox_id

KEPT_REFUSED = 10_000
_RAM_OVERHEAD = 500  # bytes of a parcel beside its body


Size = tuple[int, int, int, int, bool]  # position, newest slot, bytes, readings, whether held


class Ledger(Protocol):
    """Parcels by position.  Used by one thread at a time; sqlite3.Error when it fails."""

    outbox_id: int

    def marks(self) -> Mapping[str, int]:
        """Give the small numbers kept beside the parcels, by name."""

    def settled(self) -> Mapping[str, Sequence[Span]]:
        """Give the positions that each destination has settled."""

    def last_position(self) -> int:
        """Give the newest parcel's position; 0 when there is none."""

    def totals(self) -> tuple[int, int]:
        """Give (parcels, bytes of their bodies)."""

    def used_bytes(self) -> int:
        """Give the bytes that are taken up, with all that is round the bodies."""

    def parcels(self, span: Span, *, with_held: bool = False) -> Iterator[Parcel]:
        """Give the parcels at positions of a span, oldest first."""

    def held(self, boot_id: str, limit: int) -> list[Parcel]:
        """Give the oldest parcels held for the clock of a boot."""

    def boots(self) -> list[str]:
        """Give the boots whose parcels are held, oldest first."""

    def sizes(self, first: int = 1) -> Iterator[Size]:
        """Give the size of each parcel from a position on."""

    def refused(self) -> list[Refused]:
        """Give the lines set aside, oldest first."""

    def asked_again(self) -> list[tuple[int, str]]:
        """Give (id, line) of refused lines that someone wants sent again."""

    def apply(self, change: Change) -> None:
        """Do all of a change or nothing; as durable as the ledger is when it returns."""

    def close(self) -> None:
        """Let go of everything."""


class RamLedger:
    """Parcels in memory, for as long as there is no disk."""

    def __init__(self) -> None:
        self.outbox_id = new_outbox_id()
        self._parcels: dict[int, Parcel] = {}  # by position, in order
        self._marks: dict[str, int] = {}
        self._settled: dict[str, list[Span]] = {}
        self._refused: list[Refused] = []
        self._bytes = 0

    def marks(self) -> Mapping[str, int]:
        """Give the small numbers kept beside the parcels, by name."""
        return self._marks

    def settled(self) -> Mapping[str, Sequence[Span]]:
        """Give the positions that each destination has settled."""
        return self._settled

    def last_position(self) -> int:
        """Give the newest parcel's position; 0 when there is none."""
        return next(reversed(self._parcels), 0)

    def totals(self) -> tuple[int, int]:
        """Give (parcels, bytes of their bodies)."""
        return len(self._parcels), self._bytes

    def used_bytes(self) -> int:
        """Give the bytes that are taken up, with all that is round the bodies."""
        return self._bytes + _RAM_OVERHEAD * len(self._parcels)

    def parcels(self, span: Span, *, with_held: bool = False) -> Iterator[Parcel]:
        """Give the parcels at positions of a span, oldest first."""
        later = (p for p in self._parcels.values() if p.position >= span[0])
        some = itertools.takewhile(lambda p: p.position <= span[1], later)
        return (p for p in some if with_held or p.boot is None)

    def held(self, boot_id: str, limit: int) -> list[Parcel]:
        """Give the oldest parcels held for the clock of a boot."""
        some = (p for p in self._parcels.values() if p.boot == boot_id)
        return list(itertools.islice(some, limit))

    def boots(self) -> list[str]:
        """Give the boots whose parcels are held, oldest first."""
        return list(dict.fromkeys(p.boot for p in self._parcels.values() if p.boot))

    def sizes(self, first: int = 1) -> Iterator[Size]:
        """Give the size of each parcel from a position on."""
        return (
            (p.position, p.newest_ms, len(p.body), p.readings, p.boot is not None)
            for p in self._parcels.values()
            if p.position >= first
        )

    def refused(self) -> list[Refused]:
        """Give the lines set aside, oldest first."""
        return list(self._refused)

    def asked_again(self) -> list[tuple[int, str]]:
        """Give nothing: nobody outside reaches into memory."""
        return []

    def apply(self, change: Change) -> None:
        """Do a change; it lasts as long as the process."""
        last = self.last_position()
        for p in change.parcels:
            self._bytes += len(p.body) - self._size_at(p.position)
            self._parcels[p.position] = p
        if any(p.position < last for p in change.parcels):
            self._parcels = dict(sorted(self._parcels.items()))
        for first, last in change.gone:
            for position in self._positions(first, last):
                self._bytes -= self._size_at(position)
                del self._parcels[position]
        for name, value in change.marks.items():
            if value is None:
                self._marks.pop(name, None)
            else:
                self._marks[name] = value
        self._settled.update(change.settled)
        self._refused = [*self._refused, *change.refused][-KEPT_REFUSED:]

    def close(self) -> None:
        """Do nothing."""

    def _size_at(self, position: int) -> int:
        known = self._parcels.get(position)
        return len(known.body) if known else 0

    def _positions(self, first: int, last: int) -> list[int]:
        if last - first < len(self._parcels):
            return [n for n in range(first, last + 1) if n in self._parcels]
        return [n for n in self._parcels if first <= n <= last]
