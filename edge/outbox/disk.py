"""The ledger on SQLite: a row a parcel, a transaction and one sync a commit.

WAL with synchronous=FULL makes "committed" mean "survives a power cut"; small pages cut what is
written to the card by half and more.
"""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from edge.outbox.ledger import KEPT_REFUSED, Size
from edge.outbox.parcel import Change, Parcel, Refused, Span
from edge.outbox.schema import new_outbox_id, prepare

_PAGE_BYTES = 512  # of a new file
_CHECKED_PAGES = 131_072  # a larger file is not read as a whole at every start
_BUSY_S = 5.0  # how long another reader or writer of the file is waited for
_SPAN = """SELECT * FROM parcel WHERE position BETWEEN ? AND ? AND (boot IS NULL OR ?)
  ORDER BY position"""
_HELD = "SELECT * FROM parcel WHERE boot = ? ORDER BY position LIMIT ?"
_BOOTS = "SELECT boot FROM parcel WHERE boot IS NOT NULL GROUP BY boot ORDER BY min(position)"
_SIZES = """SELECT position, newest_ms, length(body), readings, boot IS NOT NULL FROM parcel
  WHERE position >= ? ORDER BY position"""
_PUT = "INSERT OR REPLACE INTO parcel VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_REFUSE = """INSERT INTO refused (outbox_id, sequence, line, reason, at_ms)
  VALUES (?, ?, ?, ?, ?)"""


class DiskLedger:
    """Parcels in a file.  Used by one thread at a time; sqlite3.Error when the file fails."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db = connect(path)
        try:
            self.outbox_id = self.marks().get("outbox_id") or self._begin()
        except sqlite3.Error:
            self._db.close()
            raise
        self._page_bytes = self._number("PRAGMA page_size")
        self._seen = -1  # the file's version when others' wishes were last looked for

    def marks(self) -> Mapping[str, int]:
        """Give the small numbers kept beside the parcels, by name."""
        return dict(self._db.execute("SELECT name, value FROM mark"))

    def settled(self) -> Mapping[str, Sequence[Span]]:
        """Give the positions that each destination has settled."""
        out: dict[str, list[Span]] = defaultdict(list)
        for name, first, last in self._db.execute("SELECT destination, first, last FROM settled"):
            out[name].append((first, last))
        return out

    def last_position(self) -> int:
        """Give the newest parcel's position; 0 when there is none."""
        return self._number("SELECT coalesce(max(position), 0) FROM parcel")

    def totals(self) -> tuple[int, int]:
        """Give (parcels, bytes of their bodies)."""
        row = self._db.execute("SELECT count(*), coalesce(sum(length(body)), 0) FROM parcel")
        count, size = row.fetchone()
        return int(count), int(size)

    def used_bytes(self) -> int:
        """Give the bytes that are taken up, with all that is round the bodies."""
        pages = self._number("PRAGMA page_count") - self._number("PRAGMA freelist_count")
        return pages * self._page_bytes

    def parcels(self, span: Span, *, with_held: bool = False) -> Iterator[Parcel]:
        """Give the parcels at positions of a span, oldest first."""
        rows = self._db.execute(_SPAN, (*span, with_held))
        try:
            yield from map(parcel_of, rows)
        finally:
            rows.close()

    def held(self, boot_id: str, limit: int) -> list[Parcel]:
        """Give the oldest parcels held for the clock of a boot."""
        return [parcel_of(row) for row in self._db.execute(_HELD, (boot_id, limit))]

    def boots(self) -> list[str]:
        """Give the boots whose parcels are held, oldest first."""
        return [boot for (boot,) in self._db.execute(_BOOTS)]

    def sizes(self, first: int = 1) -> Iterator[Size]:
        """Give the size of each parcel from a position on."""
        rows = self._db.execute(_SIZES, (first,))
        try:
            for position, newest_ms, size, readings, is_held in rows:
                yield position, newest_ms, size, readings, bool(is_held)
        finally:
            rows.close()

    def refused(self) -> list[Refused]:
        """Give the lines set aside, oldest first."""
        asked = "SELECT outbox_id, sequence, line, reason FROM refused ORDER BY id"
        return [Refused(*row) for row in self._db.execute(asked)]

    def asked_again(self) -> list[tuple[int, str]]:
        """Give (id, line) of refused lines that someone wants sent again, when the file changed."""
        version = self._number("PRAGMA data_version")  # others' writes alone change it
        if version == self._seen:
            return []
        self._seen = version
        return list(self._db.execute("SELECT id, line FROM refused WHERE again = 1 ORDER BY id"))

    def apply(self, change: Change) -> None:
        """Do all of a change or nothing; durable when it returns."""
        with self._db as db:
            db.execute("BEGIN IMMEDIATE")
            db.executemany(_PUT, [_row(p) for p in change.parcels])
            db.executemany("DELETE FROM parcel WHERE position BETWEEN ? AND ?", change.gone)
            kept = [(n, v) for n, v in change.marks.items() if v is not None]
            db.executemany("INSERT OR REPLACE INTO mark VALUES (?, ?)", kept)
            lost = [(n,) for n, v in change.marks.items() if v is None]
            db.executemany("DELETE FROM mark WHERE name = ?", lost)
            for name, spans in change.settled.items():
                db.execute("DELETE FROM settled WHERE destination = ?", (name,))
                rows = [(name, *span) for span in spans]
                db.executemany("INSERT INTO settled VALUES (?, ?, ?)", rows)
            back = [(number,) for number in change.taken_back]
            db.executemany("DELETE FROM refused WHERE id = ?", back)
            if change.refused:
                self._refuse(change)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _refuse(self, change: Change) -> None:
        rows = [(r.outbox_id, r.sequence, r.line, r.reason, change.at_ms) for r in change.refused]
        self._db.executemany(_REFUSE, rows)
        oldest = "DELETE FROM refused WHERE id <= (SELECT max(id) FROM refused) - ?"
        self._db.execute(oldest, (KEPT_REFUSED,))

    def _begin(self) -> int:
        made = new_outbox_id()
        with self._db as db:
            db.execute("INSERT INTO mark VALUES ('outbox_id', ?)", (made,))
        return made

    def _number(self, sql: str) -> int:
        return int(self._db.execute(sql).fetchone()[0])


def connect(path: Path) -> sqlite3.Connection:
    """Open or make a file of this version; sqlite3.Error, of class DatabaseError when damaged."""
    db = sqlite3.connect(path, check_same_thread=False, timeout=_BUSY_S)
    try:
        db.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA secure_delete = OFF")  # else each parcel is written again as it goes
        (pages,) = db.execute("PRAGMA page_count").fetchone()
        if pages <= _CHECKED_PAGES and db.execute("PRAGMA quick_check").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("quick_check failed")
        prepare(db)
    except sqlite3.Error:
        db.close()
        raise
    return db


def parcel_of(row: tuple[Any, ...]) -> Parcel:
    """Give the parcel of a row of the table; sqlite3.DatabaseError when it cannot be one."""
    position, outbox_id, sequence, oldest, newest, readings, boot, rounds, body = row
    numbers = (position, outbox_id, sequence, oldest, newest, readings)
    if not (isinstance(body, bytes) and all(isinstance(n, int) for n in numbers)):
        raise sqlite3.DatabaseError(f"damaged row at position {position!r}")
    try:
        spoken = tuple(map(tuple, json.loads(rounds))) if rounds else ()
    except (ValueError, TypeError) as error:
        raise sqlite3.DatabaseError(f"damaged row at position {position!r}") from error
    return Parcel(position, outbox_id, sequence, oldest, newest, readings, boot, spoken, body)


def _row(p: Parcel) -> tuple[object, ...]:
    rounds = json.dumps(p.rounds) if p.rounds else None
    return (p.position, p.outbox_id, p.sequence, p.oldest_ms, p.newest_ms, p.readings,
            p.boot, rounds, p.body)  # fmt: skip
