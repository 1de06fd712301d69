"""The tables of an outbox file, and how the file of an earlier version becomes one of this."""

import sqlite3
from secrets import randbits

VERSION = 2
_TABLES = """
CREATE TABLE IF NOT EXISTS parcel (
  position INTEGER PRIMARY KEY, outbox_id INTEGER NOT NULL, sequence INTEGER NOT NULL,
  oldest_ms INTEGER NOT NULL, newest_ms INTEGER NOT NULL, readings INTEGER NOT NULL,
  boot TEXT, rounds TEXT, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS mark (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS refused (
  id INTEGER PRIMARY KEY AUTOINCREMENT, outbox_id INTEGER NOT NULL, sequence INTEGER NOT NULL,
  line TEXT NOT NULL, reason TEXT NOT NULL, at_ms INTEGER NOT NULL,
  again INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS settled (
  destination TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
  PRIMARY KEY (destination, first)) WITHOUT ROWID;
"""
_MOVED_AT_ONCE = 500  # rounds of version 1: what a full card has room for, and a cut costs


def new_outbox_id() -> int:
    """Give the random id of a new ledger: from 1, below 2**48, exact as a float."""
    return randbits(48) or 1


def prepare(db: sqlite3.Connection) -> None:
    """Make a file one of this version; sqlite3.DatabaseError when it is of a later one."""
    found = int(db.execute("PRAGMA user_version").fetchone()[0])
    if found > VERSION:
        raise sqlite3.DatabaseError(f"made by a later version ({found})")
    if found < VERSION:
        db.executescript(_TABLES)
        if _has(db, "round"):
            _move_rounds(db)
        db.execute(f"PRAGMA user_version = {VERSION}")


def _has(db: sqlite3.Connection, table: str) -> bool:
    asked = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
    return db.execute(asked, (table,)).fetchone() is not None


def _move_rounds(db: sqlite3.Connection) -> None:
    """Move what waits in a file of version 1, under a ledger id of its own.

    A cut in the midst of it leaves every round in exactly one of the two tables.
    """
    with db:
        db.execute("INSERT OR IGNORE INTO mark VALUES ('moved_id', ?)", (new_outbox_id(),))
    (moved_id,) = db.execute("SELECT value FROM mark WHERE name = 'moved_id'").fetchone()
    while True:
        with db:
            rows = db.execute(
                "SELECT sequence, slot_ms, readings, body FROM round ORDER BY sequence LIMIT ?",
                (_MOVED_AT_ONCE,),
            ).fetchall()
            if not rows:
                break
            db.executemany(
                "INSERT INTO parcel (position, outbox_id, sequence, oldest_ms, newest_ms,"
                " readings, body) VALUES ((SELECT coalesce(max(position), 0) + 1 FROM parcel),"
                " ?, ?, ?, ?, ?, ?)",
                [(moved_id, s, slot, slot, count, body) for s, slot, count, body in rows],
            )
            last = rows[-1][0]
            db.execute("DELETE FROM round WHERE sequence <= ?", (last,))
            db.execute("INSERT OR REPLACE INTO mark VALUES (?, ?)", (f"next:{moved_id}", last + 1))
    with db:
        db.execute("BEGIN")  # tables are dropped in the transaction that copies them
        db.execute("INSERT OR REPLACE INTO mark SELECT 'bus:' || name, slot_ms FROM bus")
        db.execute("INSERT OR REPLACE INTO mark SELECT 'tally:' || name, count FROM tally")
        db.execute(
            "INSERT INTO refused (outbox_id, sequence, line, reason, at_ms)"
            " SELECT ?, sequence, line, reason, 0 FROM quarantine ORDER BY id",
            (moved_id,),
        )
        for table in ("round", "bus", "tally", "quarantine"):
            db.execute(f"DROP TABLE {table}")
        db.execute("DELETE FROM mark WHERE name = 'moved_id'")
