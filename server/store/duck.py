"""The embedded store: DuckDB in the server's own process.

Rows are appended and never updated; of several rows for one point and time the last written wins
when they are read, and only it is left after `maintain`.  A write is durable when it returns.
One process owns the file; one lock owns the writer, readers use cursors of their own.
"""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from contract.errors import DeliveryError
from contract.measurand import MEASURANDS
from contract.reading import PointId, Reading, Reason
from server.periods import Interval, Step, edges
from server.rollup.model import Grade, Rollup
from server.series import Series
from server.site.model import Site
from server.store.parse import BodyParser, Columns
from server.store.protocol import Receipt, WriteResult

_SCHEMA = """
CREATE TABLE IF NOT EXISTS point (
  id INTEGER, site VARCHAR, device VARCHAR, measurand VARCHAR);
CREATE TABLE IF NOT EXISTS raw (point INTEGER, time_ms BIGINT, value DOUBLE);
CREATE TABLE IF NOT EXISTS flag (point INTEGER, time_ms BIGINT, reason SMALLINT);
CREATE TABLE IF NOT EXISTS rollup (
  step VARCHAR, meter VARCHAR, start_ms BIGINT, value DOUBLE, coverage DOUBLE, grade TINYINT);
"""
_RECEIPT = ("sequence_first", "sequence_last", "oldest_ms", "newest_ms", "readings_sent")


class DuckStore:
    """Store on one DuckDB file; DeliveryError when another process has it open."""

    def __init__(self, path: Path) -> None:
        try:
            self._db = duckdb.connect(str(path))
        except duckdb.IOException as error:
            raise DeliveryError(str(error).splitlines()[0], permanent=True) from error
        self._write = threading.Lock()
        self._local = threading.local()
        self._db.execute(_SCHEMA)
        rows = self._db.execute("SELECT site, device, measurand, id FROM point").fetchall()
        self._points = {PointId(*row[:3]): int(row[3]) for row in rows}
        self._new_points: list[tuple[int, str, str, str]] = []
        self._parser = BodyParser(self._point_number)
        self._last = self._load_last()

    def write_lines(self, body: bytes, precision: str = "ms") -> WriteResult:
        """Store a line-protocol body; good lines are kept and durable when this returns."""
        text = body.decode("utf-8", "replace")
        with self._write:
            columns = self._parser.parse(text, precision)
            self._insert(columns)
            self._remember(columns)
        return WriteResult(columns.lines, tuple(columns.errors))

    def read_series(self, point: PointId, interval: Interval) -> Series:
        """Give a point's values with start <= time < end."""
        return self.read_many([point], interval)[point]

    def read_many(self, points: Sequence[PointId], interval: Interval) -> dict[PointId, Series]:
        """Give several points' values at once."""
        numbers = {self._points[p]: p for p in points if p in self._points}
        out = {p: Series.empty() for p in points}
        if not numbers:
            return out
        rows = self._reader().execute(
            "SELECT point, time_ms, value FROM raw WHERE point IN (SELECT unnest(?))"
            " AND time_ms >= ? AND time_ms < ? ORDER BY point, time_ms, rowid",
            [list(numbers), interval.start_ms, interval.end_ms],
        )
        got = rows.fetchnumpy()
        number, times, values = got["point"], got["time_ms"], got["value"]
        is_last = np.ones(len(times), bool)
        is_last[:-1] = (times[1:] != times[:-1]) | (number[1:] != number[:-1])
        number, times, values = number[is_last], times[is_last], values[is_last]
        for key, point in numbers.items():
            here = slice(*np.searchsorted(number, [key, key + 1]))
            out[point] = Series(np.asarray(times[here], np.int64), np.asarray(values[here], float))
        return out

    def read_last(self, site: str) -> Sequence[Reading]:
        """Give the newest reading of every point of a site, bad ones included."""
        with self._write:
            last = dict(self._last)
        out = []
        for point, number in list(self._points.items()):
            if point.site == site and point.measurand in MEASURANDS and number in last:
                time_ms, value, code = last[number]
                reason = Reason(code)
                kept = None if reason.is_bad else value
                if kept is not None or reason.is_bad:
                    out.append(Reading(point, time_ms, kept, reason))
        return out

    def read_receipts(self, site: str, since_ms: int) -> Sequence[Receipt]:
        """Give the delivery receipts sent at or after an instant, oldest first."""
        points = [p for p in list(self._points) if p.site == site and p.measurand in _RECEIPT]
        found = self.read_many(points, Interval(since_ms, 2**53))
        rows: dict[tuple[int, str], dict[str, int]] = {}
        for point, series in found.items():
            for time_ms, value in zip(
                series.times_ms.tolist(), series.values.tolist(), strict=True
            ):
                rows.setdefault((time_ms, point.device), {})[point.measurand] = int(value)
        return [
            Receipt(agent=device, sent_ms=time_ms, **fields)
            for (time_ms, device), fields in sorted(rows.items())
            if len(fields) == len(_RECEIPT)
        ]

    def write_rollups(self, site: Site, rollups: Sequence[Rollup]) -> None:
        """Replace the rollups of the meters, steps and spans given."""
        with self._write:
            self._db.execute("BEGIN")
            for r in rollups:
                self._replace_rollup(f"{site.id}/{r.meter}", r)
            self._db.execute("COMMIT")

    def read_rollups(
        self, site: Site, meters: Sequence[str], step: Step, interval: Interval
    ) -> dict[str, Rollup]:
        """Give the rollups of meters on the step grid that covers the interval; gaps are NaN."""
        grid = edges(interval, step, site.zone)
        n = max(0, len(grid) - 1)
        out = {m: _empty(m, step, grid, n) for m in meters}
        if not n or not meters:
            return out
        got = (
            self._reader()
            .execute(
                "SELECT meter, start_ms, value, coverage, grade FROM rollup WHERE step = ?"
                " AND start_ms >= ? AND start_ms < ?"
                " AND meter IN (SELECT unnest(?)) ORDER BY meter",
                [step.value, int(grid[0]), int(grid[-1]), [f"{site.id}/{m}" for m in meters]],
            )
            .fetchnumpy()
        )
        names = np.asarray(got["meter"], dtype=object)
        cuts = np.flatnonzero(names[1:] != names[:-1]) + 1 if len(names) else np.empty(0, int)
        for rows in np.split(np.arange(len(names)), cuts):
            if not len(rows):
                continue
            target = out[str(names[rows[0]]).split("/", 1)[1]]
            at = np.searchsorted(grid, got["start_ms"][rows])
            target.values[at] = got["value"][rows]
            target.coverage[at] = got["coverage"][rows]
            target.grades[at] = got["grade"][rows]
        return out

    def maintain(self) -> None:
        """Sort the readings by point and time, and leave one row for each."""
        with self._write:
            self._db.execute("BEGIN")
            self._db.execute(
                "CREATE TABLE sorted AS SELECT point, time_ms, value FROM raw QUALIFY"
                " row_number() OVER (PARTITION BY point, time_ms ORDER BY rowid DESC) = 1"
                " ORDER BY point, time_ms"
            )
            self._db.execute("DROP TABLE raw")
            self._db.execute("ALTER TABLE sorted RENAME TO raw")
            self._db.execute("COMMIT")
            self._db.execute("CHECKPOINT")

    def close(self) -> None:
        """Flush and release the file."""
        with self._write:
            self._db.close()

    def _reader(self) -> duckdb.DuckDBPyConnection:
        """Give this thread's own cursor."""
        if not hasattr(self._local, "cursor"):
            self._local.cursor = self._db.cursor()
        cursor: duckdb.DuckDBPyConnection = self._local.cursor
        return cursor

    def _point_number(self, point: PointId) -> int:
        number = self._points.get(point)
        if number is None:
            number = self._points[point] = len(self._points) + 1
            self._new_points.append((number, point.site, point.device, point.measurand))
        return number

    def _insert(self, columns: Columns) -> None:
        self._db.execute("BEGIN")
        if self._new_points:
            self._db.executemany("INSERT INTO point VALUES (?, ?, ?, ?)", self._new_points)
            self._new_points = []
        _append(
            self._db, "INSERT INTO raw SELECT * FROM new_rows", {
                "point": np.array(columns.points, np.int32),
                "time_ms": np.array(columns.times_ms, np.int64),
                "value": np.array(columns.values, np.float64),
            },
        )  # fmt: skip
        _append(
            self._db, "INSERT INTO flag SELECT * FROM new_rows", {
                "point": np.array(columns.flag_points, np.int32),
                "time_ms": np.array(columns.flag_times_ms, np.int64),
                "reason": np.array(columns.reasons, np.int16),
            },
        )  # fmt: skip
        self._db.execute("COMMIT")

    def _remember(self, columns: Columns) -> None:
        last = self._last
        newest = dict(zip(columns.points, range(len(columns.points)), strict=True))
        for point, i in newest.items():  # bodies are in time order: the last row is the newest
            if point not in last or columns.times_ms[i] >= last[point][0]:
                last[point] = (columns.times_ms[i], columns.values[i], int(Reason.GOOD))
        rows = zip(columns.flag_points, columns.flag_times_ms, columns.reasons, strict=True)
        for point, time_ms, code in rows:
            known = last.get(point)
            if known is None or time_ms > known[0]:
                last[point] = (time_ms, 0.0, code)
            elif time_ms == known[0]:
                last[point] = (time_ms, known[1], code)

    def _load_last(self) -> dict[int, tuple[int, float, int]]:
        rows = self._db.execute(
            "SELECT point, max(time_ms), arg_max(value, time_ms) FROM raw GROUP BY point"
        ).fetchall()
        last = {int(p): (int(t), float(v), int(Reason.GOOD)) for p, t, v in rows}
        flags = self._db.execute(
            "SELECT point, max(time_ms), arg_max(reason, time_ms) FROM flag GROUP BY point"
        ).fetchall()
        for point, time_ms, code in flags:
            known = last.get(point, (-1, 0.0, 0))
            if time_ms >= known[0]:
                last[int(point)] = (int(time_ms), known[1], int(code))
        return last

    def _replace_rollup(self, meter: str, r: Rollup) -> None:
        known = ~np.isnan(r.values)
        self._db.execute(
            "DELETE FROM rollup WHERE step = ? AND meter = ? AND start_ms >= ? AND start_ms < ?",
            [r.step.value, meter, int(r.edges_ms[0]), int(r.edges_ms[-1])],
        )
        columns = {
            "start_ms": r.starts_ms[known],
            "value": r.values[known],
            "coverage": r.coverage[known],
            "grade": r.grades[known],
        }
        if known.any():
            self._db.register("new_rollup", columns)
            self._db.execute(
                "INSERT INTO rollup SELECT ?, ?, start_ms, value, coverage, grade FROM new_rollup",
                [r.step.value, meter],
            )
            self._db.unregister("new_rollup")


def _append(db: duckdb.DuckDBPyConnection, insert: str, columns: dict[str, Any]) -> None:
    if len(columns["point"]):
        db.register("new_rows", columns)
        db.execute(insert)
        db.unregister("new_rows")


def _empty(meter: str, step: Step, grid: Any, n: int) -> Rollup:
    return Rollup(
        meter, step, grid, np.full(n, np.nan), np.zeros(n), np.full(n, Grade.MISSING, np.int8)
    )
