"""python -m tests.bench.outbox.backlog parcels|client FOLDER PORT ROUNDS: send what has waited.

`parcels` is the outbox and the push, `client` a row for each reading that goes out as a Point a
meter and round through influxdb-client (SYNCHRONOUS, gzip off: its faster way).
"""

import itertools
import sqlite3
import sys
from pathlib import Path

from influxdb_client import InfluxDBClient, Point, WritePrecision
from influxdb_client.client.write_api import SYNCHRONOUS

from contract.clock import SystemClock
from edge.config import AgentConfig
from edge.outbox import Bounds, Outbox, Terms
from edge.outbox.parcel import Change, Round, packed
from edge.push import Pusher
from tests.bench.outbox.measured import Stopwatch, peak_rss_mib, say
from tests.bench.outbox.rounds import Site

METERS, FIELDS = 20, 20
UNPACED = {"replay_share": 1, "replay_bytes_per_s": 1e12}


def config(folder: Path, port: int, **push: object) -> AgentConfig:
    """Give an agent's configuration."""
    (folder / "token").write_text("t")
    return AgentConfig.model_validate(
        {
            "site": "bench",
            "agent": "a1",
            "outbox": {"path": str(folder / "o.db")},
            "push": {
                "url": f"http://127.0.0.1:{port}",
                "token_file": str(folder / "token"),
                **push,
            },
            "connections": [{"id": "c", "driver": "modbus-tcp", "host": "h"}],
            "devices": [{"id": "E", "connection": "c", "profile": "eastron/sdm630"}],
        }
    )


def fill(box: Outbox, site: Site, rounds: int, interval_ms: int) -> None:
    """Put rounds into an outbox, a parcel each, many in a transaction: only the filling is fast."""
    keeper = box._keeper
    some: list[Round] = []

    def write() -> None:
        ledger = keeper.store.current
        new = [
            p
            for n, r in enumerate(some)
            for p in packed([r], ledger.outbox_id, keeper.position + n, keeper.sequence + n)
        ]
        ledger.apply(Change(new))
        keeper.position += len(new)
        keeper.sequence += len(new)
        keeper.waiting += len(new)
        keeper.bytes += sum(len(p.body) for p in new)
        some.clear()

    for slot_ms, lines in site.rounds(rounds, interval_ms):
        some.append(Round("bus", slot_ms, lines, site.readings))
        if len(some) == 500:
            write()
    write()


def parcels(folder: Path, port: int, rounds: int) -> None:
    box = Outbox(folder / "o.db", Bounds(10**10, 10**15), Terms(commit_interval_s=3600))
    site = Site(METERS, FIELDS)
    fill(box, site, rounds, 10_000)
    size = box.waiting()[1]
    box.close()
    box = Outbox(folder / "o.db", Bounds(10**10, 10**15), Terms(commit_interval_s=3600))
    pusher = Pusher(config(folder, port, **UNPACED), box, SystemClock())
    watch, readings, posts = Stopwatch(), 0, 0
    while (pushed := pusher.push()).readings:
        readings += pushed.readings
        posts += 1
    box.close()  # forgets them
    say(readings=readings, wall_s=watch.wall_s(), cpu_s=watch.cpu_s(), posts=posts, bytes=size,
        rss_mib=peak_rss_mib())  # fmt: skip


def client(folder: Path, port: int, rounds: int) -> None:
    site = Site(METERS, FIELDS)
    db = sqlite3.connect(folder / "rows.db")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute(
        "CREATE TABLE reading (id INTEGER PRIMARY KEY, slot_ms INTEGER, device TEXT, name TEXT,"
        " value REAL)"
    )
    with db:
        for slot_ms, _ in site.rounds(rounds, 10_000):
            db.executemany(
                "INSERT INTO reading (slot_ms, device, name, value) VALUES (?, ?, ?, ?)",
                [
                    (slot_ms, f"E{m:03}", name, value)
                    for m, row in enumerate(site.values())
                    for name, value in zip(site.names, row, strict=True)
                ],
            )
    api = InfluxDBClient(f"http://127.0.0.1:{port}", token="t", org="o").write_api(SYNCHRONOUS)
    watch, readings = Stopwatch(), 0
    while rows := db.execute(
        "SELECT id, slot_ms, device, name, value FROM reading ORDER BY id LIMIT 20000"
    ).fetchall():
        points = []
        for (slot_ms, device), group in itertools.groupby(rows, key=lambda r: (r[1], r[2])):
            point = Point("electricity").tag("device", device).tag("site", "bench")
            for row in group:
                point.field(row[3], row[4])
            points.append(point.time(slot_ms, WritePrecision.MS))
        api.write(bucket="energy", record=points, write_precision=WritePrecision.MS)
        with db:
            db.execute("DELETE FROM reading WHERE id <= ?", (rows[-1][0],))
        readings += len(rows)
    db.close()
    say(readings=readings, wall_s=watch.wall_s(), cpu_s=watch.cpu_s(), rss_mib=peak_rss_mib())


if __name__ == "__main__":
    work = {"parcels": parcels, "client": client}[sys.argv[1]]
    work(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
