"""What the agent's committer has acknowledged, noted by others than itself."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

from edge.outbox.disk import DiskLedger, parcel_of
from edge.outbox.parcel import Change

Note = Callable[[bytes], None]


@contextmanager
def commits_noted(note: Note) -> Iterator[None]:
    """Let `note` have the lines of every commit of this process as soon as it is durable."""
    apply = DiskLedger.apply

    def noted(ledger: DiskLedger, change: Change) -> None:
        apply(ledger, change)
        if text := "\n".join(line for p in change.parcels for line in p.lines()):
            note(text.encode())

    with patch.object(DiskLedger, "apply", noted):  # the one place that all commits pass
        yield


@dataclass(frozen=True)
class Snapshot:
    """What an outbox file holds: parcels by (ledger, number), and what had been given out."""

    parcels: dict[tuple[int, int], tuple[str, ...]] = field(default_factory=dict)
    next_of: dict[int, int] = field(default_factory=dict)

    def lines(self) -> list[str]:
        return [line for lines in self.parcels.values() for line in lines]


def snapshot(path: Path) -> Snapshot:
    """Read an outbox file that nobody has open as a killed process left it.

    A copy is read: opening the file itself would recover it before the next start does.
    """
    if not path.exists():
        return Snapshot()
    folder = path.parent / "snapshot"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for part in (path, path.with_name(f"{path.name}-wal")):
        if part.exists():
            shutil.copyfile(part, folder / part.name)
    with closing(sqlite3.connect(folder / path.name)) as db:
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
        if not {"parcel", "mark"} <= tables:  # killed before it was made
            return Snapshot()
        found = [parcel_of(row) for row in db.execute("SELECT * FROM parcel")]
        marks = dict(db.execute("SELECT name, value FROM mark WHERE name LIKE 'next:%'"))
    return Snapshot(
        {(p.outbox_id, p.sequence): tuple(p.lines()) for p in found},
        {int(name.removeprefix("next:")): value for name, value in marks.items()},
    )
