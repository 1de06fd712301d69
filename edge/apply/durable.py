"""Durable files: a file is there whole, old or new, whatever is cut when."""

import contextlib
import os
from pathlib import Path


def write_durably(path: Path, content: bytes, like: Path | None = None) -> None:
    """Put a file in place by rename, synced; mode and owner as those of `like`.  OSError."""
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            if like is not None:
                _resemble(file.fileno(), like)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def remove_durably(path: Path) -> None:
    """Take a file away, synced."""
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make what was renamed or removed in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _resemble(handle: int, like: Path) -> None:
    it = like.stat()
    os.fchmod(handle, it.st_mode & 0o7777)
    with contextlib.suppress(PermissionError):  # only root may give a file away
        os.fchown(handle, it.st_uid, it.st_gid)
