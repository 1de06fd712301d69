"""An append-only file of records: whole or not there, whenever its writer is killed."""

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

_HEAD = struct.Struct(">II")  # length and checksum of what follows


class Journal:
    """Appends records; what a kill left half written is cut off when it is opened again."""

    def __init__(self, path: Path, *, syncs: bool) -> None:
        path.touch()
        whole = sum(_HEAD.size + len(r) for r in records(path))
        os.truncate(path, whole)
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND)
        self._syncs = syncs

    def append(self, record: bytes) -> None:
        """Add a record; it survives a kill, and a power cut too where the journal syncs."""
        left = memoryview(_HEAD.pack(len(record), zlib.crc32(record)) + record)
        while left:
            left = left[os.write(self._fd, left) :]
        if self._syncs:
            os.fdatasync(self._fd)

    def close(self) -> None:
        os.close(self._fd)


def records(path: Path) -> Iterator[bytes]:
    """Give the records of a file up to the first that is not whole."""
    with path.open("rb") as file:
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            length, checksum = _HEAD.unpack(head)
            record = file.read(length)
            if len(record) < length or zlib.crc32(record) != checksum:
                return
            yield record
