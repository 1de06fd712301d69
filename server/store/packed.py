"""Compaction of the embedded store: settled readings as whole numbers, sorted, a third the size.

A point's readings are packed when nearly all of them are multiples of a power of ten and fall on
a grid of seconds; a reading that does not fit exactly stays as it came.  Nothing is rounded: what
is packed comes back as the same double.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb
import numpy as np

from server.series import Times, Values

UNITS_MS = (60_000, 30_000, 15_000, 10_000, 5_000, 1_000, 1)
MAX_DECIMALS = 6
FIT_SHARE = 0.98  # a point is packed when this share of its readings fits
SAMPLE = 20_000
DAY_MS = 86_400_000

SCHEMA = """
CREATE TABLE IF NOT EXISTS packed (point INTEGER, slot BIGINT, scaled BIGINT);
CREATE TABLE IF NOT EXISTS packing (point INTEGER, unit_ms BIGINT, decimals TINYINT);
CREATE TABLE IF NOT EXISTS keeper (name VARCHAR, value BIGINT);
"""


@dataclass(frozen=True, slots=True)
class Packing:
    """How a point is packed: time = slot × unit_ms, value = scaled ÷ 10^decimals."""

    unit_ms: int
    decimals: int

    def times(self, slots: Times) -> Times:
        """Give times of slots."""
        return slots * self.unit_ms

    def values(self, scaled: Times) -> Values:
        """Give values: one correctly rounded division, so that they are what was read."""
        return np.asarray(scaled / float(10**self.decimals))


def packing_of(times: Times, values: Values) -> Packing | None:
    """Give the coarsest packing that nearly all readings fit, None when none does."""
    decimals = next((d for d in range(MAX_DECIMALS + 1) if _fits(values, d)), None)
    if decimals is None:
        return None
    unit = next(u for u in UNITS_MS if np.mean(times % u == 0) >= FIT_SHARE)
    return Packing(unit, decimals)


def _fits(values: Values, decimals: int) -> bool:
    scale = float(10**decimals)
    scaled = np.rint(values * scale)
    return bool(np.mean((scaled / scale == values) & (np.abs(scaled) < 2**53)) >= FIT_SHARE)


def load_packings(db: duckdb.DuckDBPyConnection) -> dict[int, Packing]:
    """Give the packings by point number."""
    rows = db.execute("SELECT point, unit_ms, decimals FROM packing").fetchall()
    return {int(p): Packing(int(u), int(d)) for p, u, d in rows}


def learn_packings(db: duckdb.DuckDBPyConnection, known: dict[int, Packing]) -> None:
    """Find packings for points that have none yet."""
    rows = db.execute("SELECT point, count(*) FROM raw GROUP BY point").fetchall()
    for point in sorted(int(p) for p, _ in rows if int(p) not in known):
        got = db.execute(
            "SELECT time_ms, value FROM raw WHERE point = ? LIMIT ?", [point, SAMPLE]
        ).fetchnumpy()
        found = packing_of(np.asarray(got["time_ms"]), np.asarray(got["value"]))
        if found is not None:
            known[point] = found
            db.execute(
                "INSERT INTO packing VALUES (?, ?, ?)", [point, found.unit_ms, found.decimals]
            )


def compact(db: duckdb.DuckDBPyConnection, settled: int, before_ms: int) -> None:
    """Move settled readings of whole days into `packed`; the rest stays, deduplicated."""
    db.execute("BEGIN")
    # of several rows for one point and time the last written counts; rows that were looked at
    # before (seq 0) only where a newer one stands against them
    db.execute(
        "CREATE OR REPLACE TEMP TABLE fresh AS SELECT r.point, r.time_ms, r.value, r.seq,"
        " coalesce(r.time_ms % p.unit_ms = 0 AND abs(r.value * power(10, p.decimals)) < 9e15"
        " AND round(r.value * power(10, p.decimals)) / power(10, p.decimals) = r.value, false)"
        " AS fits, r.time_ms // p.unit_ms AS slot,"
        " CASE WHEN abs(r.value) < 9e9 THEN"
        " CAST(round(r.value * power(10, p.decimals)) AS BIGINT) END AS scaled"
        " FROM raw r LEFT JOIN packing p ON p.point = r.point"
        " WHERE r.seq > 0 AND r.seq <= ? AND r.time_ms < ?"
        " QUALIFY row_number() OVER (PARTITION BY r.point, r.time_ms"
        " ORDER BY r.seq DESC, r.rowid DESC) = 1",
        [settled, before_ms],
    )
    months = db.execute(
        "SELECT DISTINCT time_ms // 86400000 FROM fresh WHERE EXISTS"
        " (SELECT 1 FROM packed LIMIT 1) ORDER BY 1"
    ).fetchall()
    db.execute("DELETE FROM raw WHERE seq > 0 AND seq <= ? AND time_ms < ?", [settled, before_ms])
    db.execute(
        "DELETE FROM raw USING fresh f WHERE raw.seq = 0 AND raw.point = f.point"
        " AND raw.time_ms = f.time_ms"
    )
    db.execute(
        "DELETE FROM packed USING fresh f, packing p WHERE p.point = f.point"
        " AND packed.point = f.point AND f.time_ms % p.unit_ms = 0 AND packed.slot = f.slot"
    )
    db.execute(
        "INSERT INTO packed SELECT point, slot, scaled FROM fresh WHERE fits ORDER BY point, slot"
    )
    db.execute(
        "INSERT INTO raw SELECT point, time_ms, value, 0 FROM fresh WHERE NOT fits"
        " ORDER BY point, time_ms"
    )
    db.execute("DROP TABLE fresh")
    db.execute("COMMIT")
    _sort_months(db, [int(d[0]) for d in months], before_ms)


def _sort_months(db: duckdb.DuckDBPyConnection, days: list[int], before_ms: int) -> None:
    """Sort each finished month that got new rows: its days were appended one by one."""
    current = datetime.fromtimestamp(before_ms / 1000, UTC)
    done = set()
    for day in days:
        at = datetime.fromtimestamp(day * 86_400, UTC)
        month = (at.year, at.month)
        if month in done or month == (current.year, current.month):
            continue
        done.add(month)
        start = datetime(*month, 1, tzinfo=UTC)
        end = datetime(month[0] + month[1] // 12, month[1] % 12 + 1, 1, tzinfo=UTC)
        bounds = [int(start.timestamp() * 1000), int(end.timestamp() * 1000)]
        where = "slot >= ? // unit_ms AND slot < ? // unit_ms"
        db.execute("BEGIN")
        db.execute(
            "CREATE OR REPLACE TEMP TABLE month AS SELECT packed.* FROM packed JOIN packing"
            f" USING (point) WHERE {where}",
            bounds,
        )
        db.execute(
            f"DELETE FROM packed USING packing p WHERE p.point = packed.point AND {where}", bounds
        )
        db.execute("INSERT INTO packed SELECT * FROM month ORDER BY point, slot")
        db.execute("DROP TABLE month")
        db.execute("COMMIT")


def drop_before(db: duckdb.DuckDBPyConnection, keep_from_ms: int) -> None:
    """Drop readings older than the retention keeps."""
    db.execute("BEGIN")
    db.execute("DELETE FROM raw WHERE time_ms < ?", [keep_from_ms])
    db.execute("DELETE FROM flag WHERE time_ms < ?", [keep_from_ms])
    db.execute(
        "DELETE FROM packed USING packing p WHERE p.point = packed.point"
        " AND packed.slot * p.unit_ms < ?",
        [keep_from_ms],
    )
    db.execute("COMMIT")
