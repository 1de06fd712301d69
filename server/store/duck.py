"""The embedded store: DuckDB in the server's own process.

Rows are appended and never updated; of several rows for one point and time the last written wins
when they are read, and only it is left after `maintain`.  A write is durable when it returns: a
small body in the journal, from which whoever reads next, or half a second, puts it into the
tables; a large one in the tables themselves.  One process owns the file; readers use cursors of
their own.
"""

import threading
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path

import duckdb

from contract.errors import DeliveryError
from contract.measurand import MEASURANDS
from contract.reading import PointId, Reading, Reason
from server.periods import DAY_MS, HOUR_MS, Interval, Step, edges
from server.rollup.model import Rollup
from server.series import Series, Times
from server.site.model import Site
from server.store.duck_intake import Intake
from server.store.duck_newest import Newest
from server.store.duck_read import by_point, count_readings, merged, read_doubts, read_packed
from server.store.duck_rewrite import MEMORY
from server.store.duck_rollups import DuckRollups
from server.store.packed import (
    SCHEMA as PACKED_SCHEMA,
)
from server.store.packed import (
    compact,
    drop_before,
    learn_packings,
    load_packings,
)
from server.store.protocol import Receipt, WriteResult, Written
from server.store.receipts import is_delivery, receipts_of
from server.store.transaction import transaction

_SCHEMA = """
CREATE TABLE IF NOT EXISTS point (
  id INTEGER, site VARCHAR, device VARCHAR, measurand VARCHAR);
CREATE TABLE IF NOT EXISTS raw (point INTEGER, time_ms BIGINT, value DOUBLE, seq BIGINT);
ALTER TABLE raw ADD COLUMN IF NOT EXISTS seq BIGINT DEFAULT 1;
CREATE TABLE IF NOT EXISTS flag (point INTEGER, time_ms BIGINT, reason SMALLINT);
CREATE TABLE IF NOT EXISTS latest (
  point INTEGER, time_ms BIGINT, value DOUBLE, reason SMALLINT);
"""
_NEAR_MS = 2 * HOUR_MS  # spans written closer together are given as one


class DuckStore:
    """Store on one DuckDB file; DeliveryError when another process has it open."""

    def __init__(self, path: Path) -> None:
        try:
            self._db = duckdb.connect(str(path), config={"memory_limit": MEMORY})
        except duckdb.IOException as error:
            raise DeliveryError(str(error).splitlines()[0], permanent=True) from error
        self._local = threading.local()
        self._db.execute(_SCHEMA + PACKED_SCHEMA)
        self._packings = load_packings(self._db)
        self._rollups = DuckRollups(self._db)
        self._in = Intake(self._db, path)
        self._points = self._in.points

    def write_lines(self, body: bytes, precision: str = "ms") -> WriteResult:
        """Store a line-protocol body; good lines are kept and durable when this returns."""
        return self._in.take(body, precision)

    def load_series(self, point: PointId, series: Series) -> None:
        """Store a whole series of one point, durably: history taken over from elsewhere."""
        self._in.load(point, series)

    def read_series(self, point: PointId, interval: Interval) -> Series:
        """Give a point's values with start <= time < end."""
        return self.read_many([point], interval)[point]

    def read_many(self, points: Sequence[PointId], interval: Interval) -> dict[PointId, Series]:
        """Give several points' values at once."""
        numbers = {self._points[p]: p for p in points if p in self._points}
        out = {p: Series.empty() for p in points}
        if not numbers:
            return out
        # one snapshot for both tables: compaction moves readings from one to the other
        reader = self._reader()
        reader.execute("BEGIN")
        try:
            packed = read_packed(reader, dict(self._packings), list(numbers), interval)
            raw = by_point(
                reader.execute(
                    "SELECT point, time_ms, value, seq FROM raw WHERE point IN (SELECT unnest(?))"
                    " AND time_ms >= ? AND time_ms < ? ORDER BY point, time_ms, seq, rowid",
                    [list(numbers), interval.start_ms, interval.end_ms],
                ).fetchnumpy(),
                "time_ms",
                "value",
            )
        finally:
            reader.execute("ROLLBACK")
        for number, point in numbers.items():
            found = [part[number] for part in (packed, raw) if number in part]
            if found:
                out[point] = merged(found)
        return out

    def read_doubts(
        self, points: Sequence[PointId], interval: Interval, reason: Reason
    ) -> dict[PointId, Times]:
        """Give when points were said to be doubtful for a reason, sorted; none: left out."""
        numbers = {self._points[p]: p for p in points if p in self._points}
        found = read_doubts(self._reader(), list(numbers), interval, reason)
        return {numbers[n]: times for n, times in found.items()}

    def written_since(self, site: str, mark: int, now_ms: int) -> Written:
        """Give the spans written behind a mark, by point."""
        with self._in.lock:
            newest = self._in.seq
        self._in.drain()  # a mark beyond what is in the tables would leave it out for ever
        rows = (
            self._reader()
            .execute(
                "SELECT point, time_ms // ?, min(time_ms), max(time_ms) FROM raw"
                " WHERE seq > ? AND seq <= ? GROUP BY 1, 2 ORDER BY 1, 2",
                [HOUR_MS, mark, newest],
            )
            .fetchall()
        )
        names = {number: point for point, number in list(self._points.items())}
        spans: dict[PointId, list[Interval]] = {}
        for number, _, first, last in rows:
            point = names[number]
            if point.site != site:
                continue
            known = spans.setdefault(point, [])
            if known and first - known[-1].end_ms <= _NEAR_MS:
                known[-1] = Interval(known[-1].start_ms, last + 1)
            else:
                known.append(Interval(first, last + 1))
        return Written(newest, {p: tuple(found) for p, found in spans.items()})

    def delete(self, points: Sequence[PointId], interval: Interval) -> int:
        """Delete the points' readings with start <= time < end; give how many there were."""
        count = sum(len(s) for s in self.read_many(points, interval).values())
        bounds = [interval.start_ms, interval.end_ms]
        numbers = [self._points[p] for p in points if p in self._points]
        with self._in.tables, self._in.lock:
            self._in.drain_for_good()
            with transaction(self._db):
                for number in numbers:
                    for table in ("raw", "flag"):
                        self._db.execute(
                            f"DELETE FROM {table} WHERE point = ? AND time_ms >= ? AND time_ms < ?",
                            [number, *bounds],
                        )
                    if number in self._packings:
                        unit = self._packings[number].unit_ms
                        self._db.execute(
                            "DELETE FROM packed WHERE point = ? AND slot >= ? AND slot < ?",
                            [number, -(-bounds[0] // unit), -(-bounds[1] // unit)],
                        )
            self._forget_last(points, interval)
        return count

    def _forget_last(self, points: Sequence[PointId], gone: Interval) -> None:
        """Let the word before a deleted one be the last."""
        newest = self._in.newest
        numbers = {
            n: p
            for p in points
            if (n := self._points.get(p)) is not None
            and n in newest
            and gone.start_ms <= newest[n][0] < gone.end_ms
        }
        left = self.read_many(list(numbers.values()), Interval(0, gone.start_ms))
        for number, point in numbers.items():
            series = left[point]
            del newest[number]
            if len(series):
                word = (int(series.times_ms[-1]), float(series.values[-1]), int(Reason.GOOD))
                newest[number] = word
            newest.take_flags_of(self._db, number)
        self._save_last()

    def read_last(self, site: str) -> Sequence[Reading]:
        """Give the newest reading of every point of a site, bad ones included."""
        with self._in.lock:
            last = dict(self._in.newest)
        out = []
        for point, number in list(self._points.items()):
            if point.site == site and point.measurand in MEASURANDS and number in last:
                time_ms, value, code = last[number]
                reason = Reason(code)
                kept = None if reason.is_bad else value
                if kept is not None or reason.is_bad:
                    out.append(Reading(point, time_ms, kept, reason))
        return out

    def first_ms(self, site: str) -> int | None:
        """Give the time of the oldest reading kept."""
        rows = self._reader().execute(
            "SELECT min(first) FROM (SELECT min(time_ms) AS first FROM raw UNION ALL"
            " SELECT min(slot * unit_ms) FROM packed JOIN packing USING (point))"
        )
        first = rows.fetchall()[0][0]
        return None if first is None else int(first)

    def read_receipts(self, site: str, since_ms: int) -> Sequence[Receipt]:
        """Give the delivery receipts sent at or after an instant, oldest first."""
        return receipts_of(self.read_delivery(site, Interval(since_ms, 2**53)))

    def read_delivery(self, site: str, interval: Interval) -> Mapping[str, Mapping[str, Series]]:
        """Give what agents said of deliveries, by agent and field."""
        points = [p for p in list(self._points) if p.site == site and is_delivery(p.measurand)]
        out: dict[str, dict[str, Series]] = {}
        for point, series in self.read_many(points, interval).items():
            out.setdefault(point.device, {})[point.measurand] = series
        return out

    def count_readings(self, site: str, interval: Interval) -> int:
        """Count the readings kept, bad ones too, deliveries not."""
        numbers = [
            n
            for p, n in list(self._points.items())
            if p.site == site and p.measurand in MEASURANDS and not is_delivery(p.measurand)
        ]
        return count_readings(self._reader(), numbers, interval)

    def write_rollups(self, site: Site, rollups: Sequence[Rollup]) -> None:
        """Replace the rollups of the meters, steps and spans given."""
        with self._in.tables:
            self._rollups.write(self._db, site.id, rollups)

    def read_rollups(
        self, site: Site, meters: Sequence[str], step: Step, interval: Interval
    ) -> dict[str, Rollup]:
        """Give the rollups of meters on the step grid that covers the interval; gaps are NaN."""
        grid = edges(interval, step, site.zone)
        return self._rollups.read(self._reader(), site.id, meters, step, grid)

    def maintain(self, settled: int, now_ms: int, keep_from_ms: int | None) -> None:
        """Pack settled readings of whole days, sorted; drop what retention does not keep.

        Writing goes on meanwhile; only the checkpoint at the end makes it wait.
        """
        with self._in.tables:
            self._in.drain_for_good()
        with closing(self._db.cursor()) as worker:
            learn_packings(worker, self._packings)
            compact(worker, settled, now_ms // DAY_MS * DAY_MS)
            self._packings = load_packings(worker)
            if keep_from_ms is not None:
                drop_before(worker, keep_from_ms)
        with self._in.tables:
            self._save_last()
            self._db.execute("CHECKPOINT")

    def close(self) -> None:
        """Flush and release the file."""
        try:
            self._in.close()
        finally:
            with self._in.tables:
                self._db.close()

    def _reader(self) -> duckdb.DuckDBPyConnection:
        """Give this thread's own cursor, by which all that was acknowledged is seen.

        While the tables cannot be written to, what is in the journal alone is not seen yet.
        """
        with suppress(DeliveryError):
            self._in.drain()
        if not hasattr(self._local, "cursor"):
            self._local.cursor = self._db.cursor()
        cursor: duckdb.DuckDBPyConnection = self._local.cursor
        return cursor

    def _save_last(self) -> None:
        with self._in.lock:
            newest, seq = Newest(self._in.newest), self._in.seq
        with transaction(self._db):
            newest.save(self._db)
            self._db.execute("DELETE FROM keeper WHERE name = 'seq'")
            self._db.execute("INSERT INTO keeper VALUES ('seq', ?)", [seq])
