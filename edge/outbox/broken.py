"""What a failing file means, and what can still be read of a damaged one."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from enum import Enum
from pathlib import Path

from edge.outbox.disk import parcel_of
from edge.outbox.parcel import Parcel

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
        return Fault.DAMAGED if type(error) is sqlite3.DatabaseError else Fault.UNUSABLE
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


class Salvage:
    """What can still be read of a file set aside; whole while nothing was found unreadable."""

    def __init__(self, path: Path) -> None:
        self._path, self.is_whole = path, True
        self.marks: dict[str, int] = {}
        with self._reading() as db:
            self.marks = dict(db.execute("SELECT name, value FROM mark"))

    def parcels(self) -> Iterator[Parcel]:
        """Give each parcel that can be read, from both ends inwards."""
        last = 0
        with self._reading() as db:
            for row in db.execute("SELECT * FROM parcel ORDER BY position"):
                last = row[0]
                yield parcel_of(row)
        if not self.is_whole:
            with self._reading() as db:
                asked = "SELECT * FROM parcel WHERE position > ? ORDER BY position DESC"
                for row in db.execute(asked, (last,)):
                    yield parcel_of(row)

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
