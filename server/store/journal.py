"""The journal: bodies that are acknowledged and not in the tables yet, on two files in turn.

A record is durable when `append` returns: the files have their full size from the beginning, so
that one sync of data is all it takes.  Records of one turn carry its number; what an earlier turn
left behind them is not read.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_HEAD = struct.Struct("<IIQQ")  # length, checksum, turn, seq
_CHECKED = struct.Struct("<QQ")
SIZE = 4 << 20
_NOTHING = bytes(_HEAD.size)


@dataclass(frozen=True, slots=True)
class Record:
    """A body as it came, and its place among all that was written."""

    turn: int
    seq: int
    content: bytes


class Journal:
    """Two files of a fixed size beside the store; OSError when there is no room for them."""

    def __init__(self, path: Path, size: int = SIZE) -> None:
        self._size = size
        self._files = [_opened(Path(f"{path}.journal{i}"), size) for i in (0, 1)]
        self._is_free = [True, True]
        self._at, self._offset = 0, 0
        self._turn = 1 + max((r.turn for r in self.records()), default=0)

    def records(self) -> list[Record]:
        """Give what was appended and not let go of, in its order."""
        found = [r for file in self._files for r in _read(file, self._size)]
        return sorted(found, key=lambda r: r.seq)

    def append(self, seq: int, content: bytes) -> bool:
        """Keep a body, durably; False when there is no room before the next turn.  OSError."""
        end = self._offset + _HEAD.size + len(content)
        if end > self._size:
            return False
        check = zlib.crc32(content, zlib.crc32(_CHECKED.pack(self._turn, seq)))
        head = _HEAD.pack(len(content), check, self._turn, seq)
        file = self._files[self._at]
        _write(file, head + content, self._offset)
        os.fdatasync(file)
        self._offset, self._is_free[self._at] = end, False
        return True

    def turn(self) -> bool:
        """Let the next records go to the other file; False while that one is still needed."""
        other = 1 - self._at
        if not self._is_free[other]:
            return False
        self._at, self._offset, self._turn = other, 0, self._turn + 1
        return True

    def let_go(self, *, everything: bool = False) -> None:
        """Forget the file that is not written to, or both: what they hold is in the tables."""
        for i in (0, 1) if everything else (1 - self._at,):
            if not self._is_free[i]:
                _write(self._files[i], _NOTHING, 0)
                self._is_free[i] = True
        if everything:
            self._offset, self._turn = 0, self._turn + 1

    def begin(self) -> None:
        """Forget what was there at the beginning: it is in the tables."""
        for file in self._files:
            _write(file, _NOTHING, 0)
        self.sync()

    def sync(self) -> None:
        """Make what was let go of stay so: before something is deleted from the tables."""
        for file in self._files:
            os.fdatasync(file)

    def close(self) -> None:
        """Close the files."""
        for file in self._files:
            os.close(file)


def _opened(path: Path, size: int) -> int:
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if os.fstat(file).st_size < size:
            os.posix_fallocate(file, 0, size)
            os.fsync(file)
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except OSError:
        os.close(file)
        raise
    return file


def _write(file: int, content: bytes, offset: int) -> None:
    while content:
        done = os.pwrite(file, content, offset)
        content, offset = content[done:], offset + done


def _read(file: int, size: int) -> Iterator[Record]:
    """Give the records of one turn up to the first that is not whole."""
    content, offset, first = os.pread(file, size, 0), 0, None
    while offset + _HEAD.size <= len(content):
        length, check, turn, seq = _HEAD.unpack_from(content, offset)
        body = content[offset + _HEAD.size : offset + _HEAD.size + length]
        is_whole = seq and len(body) == length
        if not is_whole or check != zlib.crc32(body, zlib.crc32(_CHECKED.pack(turn, seq))):
            return
        if first is not None and turn != first:
            return
        first = turn
        yield Record(turn, seq, body)
        offset += _HEAD.size + length
