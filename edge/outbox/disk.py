"""The ledger on SQLite: a row a parcel, a transaction and one sync a commit.

WAL with synchronous=FULL makes "committed" mean "survives a power cut"; page_size 1024 halves what
is written to the card.
"""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edge.outbox.parcel import Change, Parcel, Refused, Span
from edge.outbox.schema import new_outbox_id, prepare

_CHECKED_PAGES = 65_536  # a larger file is not read as a whole at every start
_KEPT_REFUSED = 10_000
_TAKE = "SELECT * FROM parcel WHERE position BETWEEN ? AND ? AND boot IS NULL ORDER BY position"
_HELD = "SELECT * FROM parcel WHERE boot = ? ORDER BY position LIMIT ?"
_PUT = "INSERT OR REPLACE INTO parcel VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"


class DiskLedger:
    """Parcels in a file.  Used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db = _connect(path)
        marks = self.marks()
        self.outbox_id = marks.get("outbox_id") or self._begin()

    def marks(self) -> dict[str, int]:
        """Give the small numbers kept beside the parcels, by name."""
        return dict(self._db.execute("SELECT name, value FROM mark"))

    def last_position(self) -> int:
        """Give the newest parcel's position; 0 when none waits."""
        return self._number("SELECT coalesce(max(position), 0) FROM parcel")

    def totals(self) -> tuple[int, int]:
        """Give (parcels, bytes of their bodies)."""
        row = self._db.execute("SELECT count(*), coalesce(sum(length(body)), 0) FROM parcel")
        count, size = row.fetchone()
        return int(count), int(size)

    def parcels(self, span: Span) -> Iterator[Parcel]:
        """Give the parcels at positions of a span that are not held, oldest first."""
        rows = self._db.execute(_TAKE, span)
        try:
            yield from map(_parcel, rows)
        finally:
            rows.close()

    def held(self, boot_id: str, limit: int) -> list[Parcel]:
        """Give the oldest parcels held for the clock of a boot."""
        return [_parcel(row) for row in self._db.execute(_HELD, (boot_id, limit))]

    def boots(self) -> list[str]:
        """Give the boots whose parcels are held."""
        return [b for (b,) in self._db.execute(
            "SELECT boot FROM parcel WHERE boot IS NOT NULL GROUP BY boot ORDER BY min(position)"
        )]  # fmt: skip

    def sizes(self) -> Iterator[tuple[int, int, int]]:
        """Give (position, newest slot, bytes) of every parcel, oldest first."""
        rows = self._db.execute(
            "SELECT position, newest_ms, length(body) FROM parcel ORDER BY position"
        )
        try:
            yield from rows
        finally:
            rows.close()

    def refused(self) -> list[Refused]:
        """Give the lines set aside, oldest first."""
        asked = "SELECT outbox_id, sequence, line, reason FROM refused ORDER BY id"
        return [Refused(*row) for row in self._db.execute(asked)]

    def apply(self, change: Change) -> None:
        """Do all of a change or nothing; durable when it returns.  sqlite3.Error."""
        with self._db as db:
            db.executemany(_PUT, [_row(p) for p in change.parcels])
            db.executemany("DELETE FROM parcel WHERE position BETWEEN ? AND ?", change.gone)
            db.executemany("INSERT OR REPLACE INTO mark VALUES (?, ?)", change.marks.items())
            if change.refused:
                db.executemany(
                    "INSERT INTO refused (outbox_id, sequence, line, reason, at_ms)"
                    " VALUES (?, ?, ?, ?, ?)",
                    [(r.outbox_id, r.sequence, r.line, r.reason, change.at_ms)
                     for r in change.refused],
                )  # fmt: skip
                db.execute(
                    "DELETE FROM refused WHERE id <= (SELECT max(id) FROM refused) - ?",
                    (_KEPT_REFUSED,),
                )

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _begin(self) -> int:
        made = new_outbox_id()
        with self._db as db:
            db.execute("INSERT INTO mark VALUES ('outbox_id', ?)", (made,))
        return made

    def _number(self, sql: str) -> int:
        return int(self._db.execute(sql).fetchone()[0])


def set_aside(path: Path) -> Path:
    """Rename a broken file and forget its log; give the new name."""
    number = 1
    while (name := path.with_name(f"{path.name}.broken-{number}")).exists():
        number += 1
    path.rename(name)
    for suffix in ("-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    return name


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, check_same_thread=False, timeout=30)
    try:
        db.execute("PRAGMA page_size = 1024")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        (pages,) = db.execute("PRAGMA page_count").fetchone()
        if pages <= _CHECKED_PAGES and db.execute("PRAGMA quick_check").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("quick_check failed")
        prepare(db)
    except sqlite3.Error:
        db.close()
        raise
    return db


def _row(p: Parcel) -> tuple[object, ...]:
    rounds = json.dumps(p.rounds) if p.rounds else None
    return (p.position, p.outbox_id, p.sequence, p.oldest_ms, p.newest_ms, p.readings,
            p.boot, rounds, p.body)  # fmt: skip


def _parcel(row: tuple[Any, ...]) -> Parcel:
    position, outbox_id, sequence, oldest, newest, readings, boot, rounds, body = row
    spoken = tuple(map(tuple, json.loads(rounds))) if rounds else ()
    return Parcel(position, outbox_id, sequence, oldest, newest, readings, boot, spoken, body)
