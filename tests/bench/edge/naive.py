"""python -m tests.bench.edge.naive PORT METERS INTERVAL_S URL DATABASE: the plain Python stack.

What one writes from the libraries' own examples, and not badly: pymodbus async with a connection
for each meter and one request a round, a SQLite row for each reading with one commit a round (WAL,
synchronous=FULL), and once a second what waits goes out by influxdb-client as one Point a meter
and round.  It checks nothing, retries nothing, and knows one register map.
"""

import asyncio
import itertools
import sqlite3
import sys
import time

from influxdb_client import InfluxDBClient, Point, WritePrecision
from influxdb_client.client.write_api import SYNCHRONOUS, WriteApi
from pymodbus.client import AsyncModbusTcpClient

from tests.bench.edge.meters import FLOATS_20

PUSH_S = 1.0


async def read(client: AsyncModbusTcpClient) -> list[float]:
    answer = await client.read_holding_registers(0, count=2 * len(FLOATS_20), device_id=1)
    values = client.convert_from_registers(answer.registers, client.DATATYPE.FLOAT32)
    assert isinstance(values, list)
    return [float(str(v)) if isinstance(v, str) else float(v) for v in values]


def push(database: str, api: WriteApi) -> None:
    db = sqlite3.connect(database, timeout=30)
    rows = db.execute(
        "SELECT id, slot_ms, device, name, value FROM reading ORDER BY slot_ms, device LIMIT 20000"
    ).fetchall()
    points = []
    for (slot_ms, device), group in itertools.groupby(rows, key=lambda r: (r[1], r[2])):
        point = Point("electricity").tag("device", device).tag("site", "bench")
        for row in group:
            point.field(row[3], row[4])
        points.append(point.time(slot_ms, WritePrecision.MS))
    if points:
        api.write(bucket="energy", record=points, write_precision=WritePrecision.MS)
        with db:
            db.executemany("DELETE FROM reading WHERE id = ?", [(r[0],) for r in rows])
    db.close()


async def main(port: int, meters: int, interval_s: float, url: str, database: str) -> None:
    db = sqlite3.connect(database, timeout=30)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute(
        "CREATE TABLE reading (id INTEGER PRIMARY KEY, slot_ms INTEGER, device TEXT, name TEXT,"
        " value REAL)"
    )
    clients = [AsyncModbusTcpClient("127.0.0.1", port=port) for _ in range(meters)]
    await asyncio.gather(*(c.connect() for c in clients))
    api = InfluxDBClient(url, token="bench", org="compound").write_api(write_options=SYNCHRONOUS)

    async def pushing() -> None:
        while True:
            await asyncio.sleep(PUSH_S)
            await asyncio.to_thread(push, database, api)

    pusher = asyncio.create_task(pushing())
    slot = int(time.time() / interval_s)
    while not pusher.done():
        slot = max(slot + 1, int(time.time() / interval_s))
        await asyncio.sleep(max(0.0, slot * interval_s - time.time()))
        rounds = await asyncio.gather(*(read(c) for c in clients))
        slot_ms = round(slot * interval_s * 1000)
        with db:
            db.executemany(
                "INSERT INTO reading (slot_ms, device, name, value) VALUES (?, ?, ?, ?)",
                [
                    (slot_ms, f"M{i}", name, value)
                    for i, values in enumerate(rounds)
                    for name, value in zip(FLOATS_20, values, strict=True)
                ],
            )
    await pusher


if __name__ == "__main__":
    asyncio.run(
        main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4], sys.argv[5])
    )
