"""The outbox on SQLite: one transaction a poll round, one row a round.

A row holds the round's lines as one gzip member, so that pushing is concatenating.  WAL with
synchronous=FULL makes "appended" mean "survives a power cut"; page_size 1024 halves what is
written to the card.  Sequence numbers only ever grow, so that gaps can be proved.
"""

import gzip
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from contract.reading import Reason
from edge.clock import ClockMark, ToSlot, restamped

SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS round (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT, slot_ms INTEGER NOT NULL,
  readings INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS bus (name TEXT PRIMARY KEY, slot_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS quarantine (
  id INTEGER PRIMARY KEY AUTOINCREMENT, sequence INTEGER NOT NULL,
  line TEXT NOT NULL, reason TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS held (
  id INTEGER PRIMARY KEY AUTOINCREMENT, boot_id TEXT NOT NULL,
  slot_ms INTEGER NOT NULL, interval_ms INTEGER NOT NULL, readings INTEGER NOT NULL,
  body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS tally (name TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
"""
_KEEP_QUARANTINED = 10_000


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may wait: bytes on the card, and age of a slot."""

    max_bytes: int
    max_age_ms: int


@dataclass(frozen=True, slots=True)
class Round:
    """One poll round that waits: its lines are `body`, a gzip member."""

    sequence: int
    slot_ms: int
    readings: int
    body: bytes

    def lines(self) -> list[str]:
        """Give the round's lines."""
        return gzip.decompress(self.body).decode("utf-8").splitlines()


Batch = tuple[Round, ...]


def gzip_lines(lines: Sequence[str]) -> bytes:
    """Give lines as one gzip member that others can simply follow."""
    return gzip.compress("".join(f"{ln}\n" for ln in lines).encode("utf-8"), 1, mtime=0)


class Outbox:
    """A durable queue of rounds.  Thread-safe."""

    def __init__(self, path: Path, bounds: Bounds) -> None:
        self.path, self._bounds = path, bounds
        self.set_aside: Path | None = None  # the broken file, when one was found at the start
        self._lock = threading.Lock()
        self._db = self._open()
        self._waiting_bytes = self._scalar("SELECT coalesce(sum(length(body)), 0) FROM round")

    def append(self, bus: str, slot_ms: int, lines: Sequence[str], readings: int) -> int:
        """Keep a bus's round and remember its slot, in one transaction; give the sequence."""
        body = gzip_lines(lines)
        with self._lock, self._db:
            row = self._db.execute(
                "INSERT INTO round (slot_ms, readings, body) VALUES (?, ?, ?)",
                (slot_ms, readings, body),
            )
            self._db.execute("INSERT OR REPLACE INTO bus VALUES (?, ?)", (bus, slot_ms))
            self._waiting_bytes += len(body)
            self._drop_over_bounds(slot_ms)
            return int(row.lastrowid or 0)

    def put(
        self, bus: str, slot_ms: int, lines: Sequence[str], readings: int,
        mark: ClockMark | None = None,
    ) -> None:  # fmt: skip
        """Keep a bus's round; one with a mark is held until `restamp` gives it its time."""
        if mark is None:
            self.append(bus, slot_ms, lines, readings)
            return
        row = (mark.boot_id, slot_ms, mark.interval_ms, readings, gzip_lines(lines))
        with self._lock, self._db:
            self._db.execute(
                "INSERT INTO held (boot_id, slot_ms, interval_ms, readings, body)"
                " VALUES (?, ?, ?, ?, ?)",
                row,
            )
            self._db.execute("INSERT OR REPLACE INTO bus VALUES (?, ?)", (bus, slot_ms))

    def held_boots(self) -> list[str]:
        """Give the boots whose rounds are held, oldest first."""
        found = self._rows("SELECT boot_id FROM held GROUP BY boot_id ORDER BY min(id)")
        return [str(row[0]) for row in found]

    def restamp(self, boot_id: str, to_slot: ToSlot, doubt: Reason) -> int:
        """Give a boot's rounds their time and let them be sent; give how many there were."""
        count = 0
        with self._lock, self._db:
            rows = self._db.execute(
                "SELECT slot_ms, interval_ms, readings, body FROM held"
                " WHERE boot_id = ? ORDER BY id",
                (boot_id,),
            ).fetchall()
            for slot_ms, interval_ms, readings, body in rows:
                lines = gzip.decompress(body).decode("utf-8").splitlines()
                true_ms = to_slot(slot_ms, interval_ms)
                new = gzip_lines(restamped(lines, to_slot, interval_ms, doubt))
                self._db.execute(
                    "INSERT INTO round (slot_ms, readings, body) VALUES (?, ?, ?)",
                    (true_ms, readings, new),
                )
                self._waiting_bytes += len(new)
                count += 1
            self._db.execute("DELETE FROM held WHERE boot_id = ?", (boot_id,))
        return count

    def last_slot(self, bus: str) -> int | None:
        """Give the last slot kept for a bus, also when it has long been pushed."""
        rows = self._rows("SELECT slot_ms FROM bus WHERE name = ?", bus)
        return int(rows[0][0]) if rows else None

    def take(self, max_bytes: int) -> Batch:
        """Give the oldest rounds, at least one if any waits; they stay until settled."""
        taken: list[Round] = []
        size = 0
        with self._lock:
            rows = self._db.execute(
                "SELECT sequence, slot_ms, readings, body FROM round ORDER BY sequence LIMIT 2000"
            )
            for row in rows:
                if taken and size + len(row[3]) > max_bytes:
                    break
                taken.append(Round(*row))
                size += len(row[3])
            rows.close()
        return tuple(taken)

    def settle(self, batch: Batch, rejected: Sequence[tuple[int, str, str]] = ()) -> None:
        """Forget a batch the server keeps; `rejected` (sequence, line, reason) goes aside."""
        with self._lock, self._db:
            self._db.executemany(
                "DELETE FROM round WHERE sequence = ?", [(r.sequence,) for r in batch]
            )
            self._waiting_bytes -= sum(len(r.body) for r in batch)
            if rejected:
                self._db.executemany(
                    "INSERT INTO quarantine (sequence, line, reason) VALUES (?, ?, ?)", rejected
                )
                self._count("quarantined", len(rejected))
                self._db.execute(
                    "DELETE FROM quarantine WHERE id <= (SELECT max(id) FROM quarantine) - ?",
                    (_KEEP_QUARANTINED,),
                )

    def quarantined(self) -> list[tuple[int, str, str]]:
        """Give what was refused line by line: (sequence, line, reason), oldest first."""
        return self._rows("SELECT sequence, line, reason FROM quarantine ORDER BY id")

    def waiting(self) -> tuple[int, int]:
        """Give (rounds, bytes) that wait."""
        return self._scalar("SELECT count(*) FROM round"), self._waiting_bytes

    def tally(self, name: str) -> int:
        """Give a count kept over restarts: `dropped` rounds, `quarantined` lines."""
        return self._scalar("SELECT coalesce(sum(count), 0) FROM tally WHERE name = ?", name)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def _open(self) -> sqlite3.Connection:
        try:
            return self._connect()
        except sqlite3.DatabaseError:  # a broken file is set aside: the agent always starts
            self.set_aside = _free_name(self.path)
            self.path.rename(self.set_aside)
            for suffix in ("-wal", "-shm"):
                Path(f"{self.path}{suffix}").unlink(missing_ok=True)
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, check_same_thread=False, timeout=30)
        try:
            db.execute("PRAGMA page_size = 1024")
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            if db.execute("PRAGMA quick_check").fetchone()[0] != "ok":
                raise sqlite3.DatabaseError("quick_check failed")
            db.executescript(_SCHEMA)
        except sqlite3.DatabaseError:
            db.close()
            raise
        return db

    def _drop_over_bounds(self, now_slot_ms: int) -> None:
        oldest = now_slot_ms - self._bounds.max_age_ms
        gone = self._db.execute(
            "SELECT sequence, length(body) FROM round WHERE slot_ms < ?", (oldest,)
        ).fetchall()
        excess = self._waiting_bytes - sum(n for _, n in gone) - self._bounds.max_bytes
        if excess > 0:
            for row in self._db.execute(
                "SELECT sequence, length(body) FROM round WHERE slot_ms >= ? ORDER BY sequence",
                (oldest,),
            ):
                gone.append(row)
                excess -= row[1]
                if excess <= 0:
                    break
        if gone:
            self._db.executemany("DELETE FROM round WHERE sequence = ?", [(s,) for s, _ in gone])
            self._waiting_bytes -= sum(n for _, n in gone)
            self._count("dropped", len(gone))

    def _count(self, name: str, more: int) -> None:
        self._db.execute(
            "INSERT INTO tally VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET count = count + ?",
            (name, more, more),
        )

    def _rows(self, sql: str, *args: object) -> list[tuple[int, str, str]]:
        with self._lock:
            return self._db.execute(sql, args).fetchall()

    def _scalar(self, sql: str, *args: object) -> int:
        with self._lock:
            return int(self._db.execute(sql, args).fetchone()[0])


def _free_name(path: Path) -> Path:
    number = 1
    while (name := path.with_name(f"{path.name}.broken-{number}")).exists():
        number += 1
    return name
