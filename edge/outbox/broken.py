"""What a failing file means, and what can still be read of a damaged one."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from enum import Enum
from pathlib import Path

from edge.outbox.disk import parcel_of
from edge.outbox.parcel import DAMAGED, Parcel, Refused

_PROBE_BYTES = 65_536
_MOST_TRIED = 100_000  # parcels looked for one by one
_KEPT_FILES = 2  # a card must not fill up with broken files
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


class Fault(Enum):
    """What an error of the file asks for."""

    BUSY = "busy"  # another process writes: try again
    DAMAGED = "damaged"  # set the file aside
    UNUSABLE = "unusable"  # full, read-only, gone: go on in RAM until it heals


def fault_of(error: sqlite3.Error | OSError) -> Fault:
    """Give what an error asks for."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        damaged = type(error) in {sqlite3.DatabaseError, sqlite3.OperationalError}
        return Fault.DAMAGED if damaged else Fault.UNUSABLE  # such as text that is not UTF-8
    if code & 0xFF in _BUSY:
        return Fault.BUSY
    return Fault.DAMAGED if code & 0xFF in _DAMAGED else Fault.UNUSABLE


def set_aside(path: Path) -> Path:
    """Rename a broken file with its log; give the new name.  OSError."""
    taken = sorted(path.parent.glob(f"{path.name}.broken-*"), key=_number)
    taken = [p for p in taken if _number(p)]
    name = path.with_name(f"{path.name}.broken-{_number(taken[-1]) + 1 if taken else 1}")
    path.rename(name)
    with suppress(FileNotFoundError):
        Path(f"{path}-wal").rename(f"{name}-wal")
    Path(f"{path}-shm").unlink(missing_ok=True)
    for old in taken[: 1 - _KEPT_FILES]:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{old}{suffix}").unlink(missing_ok=True)
    return name


def fresh_name(path: Path) -> Path:
    """Give where the file is made that takes a broken one's place."""
    return Path(f"{path}.fresh")


def finish_renaming(path: Path) -> None:
    """Do what a cut between two renames left undone.  OSError."""
    fresh = fresh_name(path)
    if not path.exists() and fresh.exists():
        fresh.rename(path)


def is_writable(path: Path) -> bool:
    """Say whether the disk would take a file beside this one."""
    probe = Path(f"{path}.probe")
    try:
        with probe.open("wb") as file:
            file.write(bytes(_PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
        probe.unlink()
    except OSError:
        return False
    return True


class Salvage:
    """What can still be read of a broken file; whole while nothing was found unreadable."""

    def __init__(self, path: Path) -> None:
        self._path, self.is_whole = path, True
        self.marks: dict[str, int] = {}
        self._newest = -1
        with self._reading() as db:
            (self._newest,) = db.execute("SELECT coalesce(max(position), 0) FROM parcel").fetchone()
        with self._reading() as db:
            self.marks = dict(db.execute("SELECT name, value FROM mark"))

    def parcels(self) -> Iterator[Parcel]:
        """Give each parcel that can be read: from both ends inwards, then each one between."""
        for parcel in self._parcels():
            try:
                parcel.lines()
            except DAMAGED:
                self.is_whole = False
            else:
                yield parcel

    def _parcels(self) -> Iterator[Parcel]:
        low = high = 0
        with self._reading() as db:
            for row in db.execute("SELECT * FROM parcel ORDER BY position"):
                low = row[0]
                yield parcel_of(row)
        if low == self._newest:
            return
        with self._reading() as db:
            asked = "SELECT * FROM parcel WHERE position > ? ORDER BY position DESC"
            for row in db.execute(asked, (low,)):
                high = row[0]
                yield parcel_of(row)
        for position in range(low + 1, min(high, low + _MOST_TRIED)):
            with self._reading() as db:
                for row in db.execute("SELECT * FROM parcel WHERE position = ?", (position,)):
                    yield parcel_of(row)

    def refused(self) -> list[Refused]:
        """Give the refused lines that can be read."""
        out: list[Refused] = []
        with self._reading() as db:
            rows = db.execute("SELECT outbox_id, sequence, line, reason FROM refused")
            out.extend(Refused(*row) for row in rows)
        return out

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        address = f"{self._path.absolute().as_uri()}?mode=rw"
        try:
            with closing(sqlite3.connect(address, uri=True, timeout=5)) as db:
                yield db
        except sqlite3.Error:
            self.is_whole = False


def _number(path: Path) -> int:
    tail = path.name.rpartition("-")[2]
    return int(tail) if tail.isdigit() else 0
