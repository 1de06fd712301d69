"""What was refused line by line, for people: read and marked beside a running agent.

Only the agent gives lines out again, with its next commit: here they are only marked for it.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from edge.outbox.schema import VERSION


@dataclass(frozen=True, slots=True)
class Entry:
    """One refused line: its number here, the parcel it came from, why, when, and what is next."""

    id: int
    sequence: int
    line: str
    reason: str
    at_ms: int
    is_asked_again: bool


class Quarantine:
    """The refused lines in an outbox file; sqlite3.Error when it cannot be read or written."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def entries(self, ids: Sequence[int] = ()) -> list[Entry]:
        """Give some refused lines or all, oldest first; none of a file that is not there."""
        if not self._path.exists():
            return []
        with self._file() as db:
            rows = db.execute(
                "SELECT id, sequence, line, reason, at_ms, again FROM refused ORDER BY id"
            ).fetchall()
        return [
            Entry(number, sequence, line, reason, at_ms, bool(again))
            for number, sequence, line, reason, at_ms, again in rows
            if not ids or number in ids
        ]

    def waiting(self) -> dict[str, int]:
        """Give what the file holds: parcels, their bytes, and counts by name."""
        if not self._path.exists():
            return {}
        with self._file() as db:
            counts = dict(db.execute("SELECT name, value FROM mark WHERE name LIKE 'tally:%'"))
            row = db.execute("SELECT count(*), coalesce(sum(length(body)), 0) FROM parcel")
            parcels, size = row.fetchone()
        tally = {name.removeprefix("tally:"): n for name, n in counts.items()}
        return {"rounds": parcels, "bytes": size, **tally}

    def ask_again(self, entries: Sequence[Entry]) -> None:
        """Have the agent send lines again; it does so with its next commit, or when it starts."""
        self._each("UPDATE refused SET again = 1 WHERE id = ?", entries)

    def discard(self, entries: Sequence[Entry]) -> None:
        """Forget lines for good."""
        self._each("DELETE FROM refused WHERE id = ?", entries)

    def _each(self, sql: str, entries: Sequence[Entry]) -> None:
        if entries:
            with self._file() as db, db:
                db.executemany(sql, [(e.id,) for e in entries])

    @contextmanager
    def _file(self) -> Iterator[sqlite3.Connection]:
        address = f"{self._path.absolute().as_uri()}?mode=rw"  # never makes a file
        with closing(sqlite3.connect(address, uri=True, timeout=30)) as db:
            if db.execute("PRAGMA user_version").fetchone()[0] != VERSION:
                raise sqlite3.DatabaseError("made by another version; start the agent once")
            yield db
