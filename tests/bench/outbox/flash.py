"""python -m tests.bench.outbox.flash parcels|rows FOLDER ROUNDS: what a queue writes to its card.

20 meters of 20 fields; a commit a round; every sixth round what waits is sent (to nobody) and
deleted.  `parcels` is the outbox, `rows` a row for each reading, both with a sync a commit.
"""

import gzip
import os
import sqlite3
import sys
from pathlib import Path

from edge.outbox import Bounds, Outbox, Terms
from tests.bench.outbox.measured import Stopwatch, say, written_bytes
from tests.bench.outbox.rounds import Site

EVERY = 6
METERS, FIELDS = 20, 20


def parcels(folder: Path, rounds: int) -> tuple[int, int]:
    """Give (bytes written, payload bytes)."""
    box = Outbox(folder / "o.db", Bounds(10**9, 10**15), Terms(commit_interval_s=3600))
    site, before, payload = Site(METERS, FIELDS), written_bytes(), 0
    for number, (slot_ms, lines) in enumerate(site.rounds(rounds, 10_000), 1):
        box.put("bus", slot_ms, lines, site.readings)
        box.commit()
        if number % EVERY == 0:
            batch = box.take(10**9)
            payload += sum(len(p.body) for p in batch)
            box.settle(batch)
    box.close()
    os.sync()
    return written_bytes() - before, payload


def rows(folder: Path, rounds: int) -> tuple[int, int]:
    """Give (bytes written, payload bytes)."""
    db = sqlite3.connect(folder / "rows.db")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute(
        "CREATE TABLE reading (id INTEGER PRIMARY KEY, slot_ms INTEGER, device TEXT, name TEXT,"
        " value REAL)"
    )
    site, before, payload = Site(METERS, FIELDS), written_bytes(), 0
    for number, (slot_ms, lines) in enumerate(site.rounds(rounds, 10_000), 1):
        payload += len(gzip.compress("\n".join(lines).encode(), 1))
        with db:
            db.executemany(
                "INSERT INTO reading (slot_ms, device, name, value) VALUES (?, ?, ?, ?)",
                [
                    (slot_ms, f"E{m:03}", name, value)
                    for m, row in enumerate(site.values())
                    for name, value in zip(site.names, row, strict=True)
                ],
            )
        if number % EVERY == 0:
            with db:
                db.execute("DELETE FROM reading")
    db.close()
    os.sync()
    return written_bytes() - before, payload


if __name__ == "__main__":
    watch = Stopwatch()
    work = {"parcels": parcels, "rows": rows}[sys.argv[1]]
    written, payload = work(Path(sys.argv[2]), int(sys.argv[3]))
    say(written=written, payload=payload, cpu_s=watch.cpu_s())
