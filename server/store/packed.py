"""Compaction of the embedded store: settled readings as whole numbers, sorted, a third the size.

A point's readings are packed when nearly all of them are multiples of a power of ten and fall on
a grid of seconds; a reading that does not fit exactly stays as it came.  Nothing is rounded: what
is packed comes back as the same double.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import duckdb
import numpy as np

from server.series import Times, Values
from server.store.transaction import transaction

NARROW = 2**31
NARROW_UNIT_MS = 5000  # counted from 1970 in 32 bits: enough until 2310; seconds end in 2038
UNITS_MS = (60_000, 30_000, 15_000, 10_000, 5_000, 1_000, 1)
MAX_DECIMALS = 6
FIT_SHARE = 0.98  # a point is packed when this share of its readings fits
SAMPLE = 20_000
DAY_MS = 86_400_000

SCHEMA = """
CREATE TABLE IF NOT EXISTS packed (point INTEGER, slot BIGINT, scaled BIGINT);
CREATE TABLE IF NOT EXISTS packing (
  point INTEGER, unit_ms BIGINT, decimals TINYINT, wide BOOLEAN);
CREATE TABLE IF NOT EXISTS keeper (name VARCHAR, value BIGINT);
"""


@dataclass(frozen=True, slots=True)
class Packing:
    """How a point is packed: time = slot × unit_ms, value = scaled ÷ 10^decimals.

    wide: some scaled number needs more than 32 bits; reading narrow ones is twice as fast.
    """

    unit_ms: int
    decimals: int
    wide: bool = False

    @property
    def columns(self) -> str:
        """Give what is selected, as narrow as it fits."""
        slot = "slot::INTEGER AS slot" if self.unit_ms >= NARROW_UNIT_MS else "slot"
        return f"{slot}, {'scaled' if self.wide else 'scaled::INTEGER AS scaled'}"

    def times(self, slots: Times) -> Times:
        """Give times of slots."""
        return slots * np.int64(self.unit_ms)

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
    rows = db.execute("SELECT point, unit_ms, decimals, wide FROM packing").fetchall()
    return {int(p): Packing(int(u), int(d), bool(w)) for p, u, d, w in rows}


def learn_packings(db: duckdb.DuckDBPyConnection, known: dict[int, Packing]) -> None:
    """Find packings for points that have none yet, and which need the wide form from now on."""
    rows = db.execute("SELECT point, max(abs(value)) FROM raw GROUP BY point").fetchall()
    for point, most in sorted((int(p), float(v)) for p, v in rows):
        if point not in known:
            got = db.execute(
                "SELECT time_ms, value FROM raw WHERE point = ? LIMIT ?", [point, SAMPLE]
            ).fetchnumpy()
            found = packing_of(np.asarray(got["time_ms"]), np.asarray(got["value"]))
            if found is None:
                continue
            known[point] = found
            row = [point, found.unit_ms, found.decimals]
            db.execute("INSERT INTO packing VALUES (?, ?, ?, false)", row)
        if not known[point].wide and most * 10 ** known[point].decimals >= NARROW:
            known[point] = replace(known[point], wide=True)
            db.execute("UPDATE packing SET wide = true WHERE point = ?", [point])


def compact(db: duckdb.DuckDBPyConnection, settled: int, before_ms: int) -> None:
    """Move settled readings of whole days into `packed`, a month at a time, sorted by point.

    What does not fit stays in `raw`, deduplicated, and is not looked at again.
    """
    where = "seq > 0 AND seq <= ? AND time_ms < ?"
    days = db.execute(
        f"SELECT DISTINCT time_ms // {DAY_MS} FROM raw WHERE {where} ORDER BY 1",
        [settled, before_ms],
    ).fetchall()
    months: dict[tuple[int, int], None] = {}
    for (day,) in days:
        at = datetime.fromtimestamp(int(day) * 86_400, UTC)
        months[at.year, at.month] = None
    for year, month in months:
        start = datetime(year, month, 1, tzinfo=UTC)
        end = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
        span = (_ms(start), min(_ms(end), before_ms))
        grew = _compact_month(db, settled, span)
        if grew and _ms(end) <= before_ms:
            _sort(db, (_ms(start), _ms(end)))


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


_FRESH = """
CREATE OR REPLACE TEMP TABLE fresh AS
SELECT r.point, r.time_ms, r.value, q.measurand,
  coalesce(r.time_ms % p.unit_ms = 0 AND abs(r.value * power(10, p.decimals)) < 9e15
    AND round(r.value * power(10, p.decimals)) / power(10, p.decimals) = r.value, false) AS fits,
  r.time_ms // p.unit_ms AS slot,
  CASE WHEN abs(r.value * power(10, p.decimals)) < 9e15
    THEN CAST(round(r.value * power(10, p.decimals)) AS BIGINT) END AS scaled
FROM raw r JOIN point q ON q.id = r.point LEFT JOIN packing p ON p.point = r.point
WHERE r.seq > 0 AND r.seq <= ? AND r.time_ms >= ? AND r.time_ms < ?
QUALIFY row_number() OVER (PARTITION BY r.point, r.time_ms ORDER BY r.seq DESC, r.rowid DESC) = 1
"""


def _compact_month(db: duckdb.DuckDBPyConnection, settled: int, span: tuple[int, int]) -> bool:
    """Pack one month's new rows; say whether the month had packed rows before."""
    with transaction(db):
        # of several rows for one point and time the last written counts; rows that were looked at
        # before (seq 0) only where a newer one stands against them
        db.execute(_FRESH, [settled, *span])
        had = db.execute(
            "SELECT count(*) > 0 FROM (SELECT 1 FROM packed JOIN packing p USING (point)"
            " WHERE slot >= ? // p.unit_ms AND slot < ? // p.unit_ms LIMIT 1)",
            list(span),
        ).fetchall()
        bounds = [settled, *span]
        db.execute(
            "DELETE FROM raw WHERE seq > 0 AND seq <= ? AND time_ms >= ? AND time_ms < ?", bounds
        )
        db.execute(
            "DELETE FROM raw USING fresh f WHERE raw.seq = 0 AND raw.point = f.point"
            " AND raw.time_ms = f.time_ms"
        )
        if had[0][0]:
            db.execute(
                "DELETE FROM packed USING fresh f, packing p WHERE p.point = f.point"
                " AND packed.point = f.point AND f.time_ms % p.unit_ms = 0 AND packed.slot = f.slot"
            )
        db.execute(
            "INSERT INTO packed SELECT point, slot, scaled FROM fresh WHERE fits"
            " ORDER BY measurand, point, slot"  # like beside like: two thirds of the size
        )
        db.execute(
            "INSERT INTO raw SELECT point, time_ms, value, 0 FROM fresh WHERE NOT fits"
            " ORDER BY point, time_ms"
        )
        db.execute("DROP TABLE fresh")
    return bool(had[0][0])


def _sort(db: duckdb.DuckDBPyConnection, span: tuple[int, int]) -> None:
    """Sort a finished month: its days were appended one by one."""
    where = "slot >= ? // unit_ms AND slot < ? // unit_ms"
    with transaction(db):
        db.execute(
            "CREATE OR REPLACE TEMP TABLE month AS SELECT packed.* FROM packed JOIN packing"
            f" USING (point) WHERE {where}",
            list(span),
        )
        db.execute(
            f"DELETE FROM packed USING packing p WHERE p.point = packed.point AND {where}",
            list(span),
        )
        db.execute(
            "INSERT INTO packed SELECT month.* FROM month JOIN point ON point.id = month.point"
            " ORDER BY measurand, point, slot"
        )
        db.execute("DROP TABLE month")


def drop_before(db: duckdb.DuckDBPyConnection, keep_from_ms: int) -> None:
    """Drop readings older than the retention keeps."""
    with transaction(db):
        db.execute("DELETE FROM raw WHERE time_ms < ?", [keep_from_ms])
        db.execute("DELETE FROM flag WHERE time_ms < ?", [keep_from_ms])
        db.execute(
            "DELETE FROM packed USING packing p WHERE p.point = packed.point"
            " AND packed.slot * p.unit_ms < ?",
            [keep_from_ms],
        )
