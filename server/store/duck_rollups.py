"""Rollups in the embedded store: one row per meter, step and interval start."""

from collections.abc import Sequence

import duckdb
import numpy as np

from server.periods import Step
from server.rollup.model import Grade, Rollup
from server.series import Times
from server.store.transaction import transaction

SCHEMA = """
CREATE TABLE IF NOT EXISTS rolled_meter (id INTEGER, name VARCHAR);
CREATE TABLE IF NOT EXISTS rolled (
  step TINYINT, meter INTEGER, start_ms BIGINT, value DOUBLE, coverage DOUBLE, grade TINYINT);
"""
_STEPS = {step: number for number, step in enumerate(Step)}


class DuckRollups:
    """The rollup table of one DuckDB file; the caller holds the lock when writing."""

    def __init__(self, db: duckdb.DuckDBPyConnection) -> None:
        db.execute(SCHEMA)
        rows = db.execute("SELECT name, id FROM rolled_meter").fetchall()
        self._numbers: dict[str, int] = {str(name): int(number) for name, number in rows}

    def write(self, db: duckdb.DuckDBPyConnection, site: str, rollups: Sequence[Rollup]) -> None:
        """Replace the intervals given, all in one transaction."""
        if not rollups:
            return
        sizes = [len(r.values) for r in rollups]
        starts = np.concatenate([r.starts_ms for r in rollups])
        columns = {
            "step": np.repeat(np.array([_STEPS[r.step] for r in rollups], np.int8), sizes),
            "meter": np.repeat(
                np.array([self._number(db, f"{site}/{r.meter}") for r in rollups], np.int32), sizes
            ),
            "start_ms": starts,
            "value": np.concatenate([r.values for r in rollups]),
            "coverage": np.concatenate([r.coverage for r in rollups]),
            "grade": np.concatenate([r.grades for r in rollups]),
        }
        if not len(starts):
            return
        with transaction(db):
            db.register("new_rollups", columns)
            db.execute(
                "DELETE FROM rolled USING new_rollups n WHERE rolled.start_ms >= ?"
                " AND rolled.start_ms <= ? AND rolled.step = n.step AND rolled.meter = n.meter"
                " AND rolled.start_ms = n.start_ms",
                [int(starts.min()), int(starts.max())],
            )
            db.execute("INSERT INTO rolled SELECT * FROM new_rollups WHERE NOT isnan(value)")
            db.unregister("new_rollups")

    def read(
        self,
        db: duckdb.DuckDBPyConnection,
        site: str,
        meters: Sequence[str],
        step: Step,
        grid: Times,
    ) -> dict[str, Rollup]:
        """Give rollups on a grid of edges; what has no row is missing."""
        n = max(0, len(grid) - 1)
        values = np.full((len(meters), n), np.nan)
        coverage = np.zeros((len(meters), n))
        grades = np.full((len(meters), n), Grade.MISSING, np.int8)
        rows = {self._numbers.get(f"{site}/{m}", -1): i for i, m in enumerate(meters)}
        if n and rows:
            got = db.execute(
                "SELECT meter, start_ms, value, coverage, grade FROM rolled WHERE step = ?"
                " AND start_ms >= ? AND start_ms < ? AND meter IN (SELECT unnest(?))",
                [_STEPS[step], int(grid[0]), int(grid[-1]), list(rows)],
            ).fetchnumpy()
            line = np.zeros(max(rows) + 2, np.intp)
            line[list(rows)] = list(rows.values())
            i, j = line[got["meter"]], _positions(grid, np.asarray(got["start_ms"]))
            values[i, j] = got["value"]
            coverage[i, j] = got["coverage"]
            grades[i, j] = got["grade"]
        return {
            m: Rollup(m, step, grid, values[i], coverage[i], grades[i])
            for i, m in enumerate(meters)
        }

    def _number(self, db: duckdb.DuckDBPyConnection, name: str) -> int:
        number = self._numbers.get(name)
        if number is None:
            number = len(self._numbers) + 1
            db.execute("INSERT INTO rolled_meter VALUES (?, ?)", [number, name])
            self._numbers[name] = number  # not before: a number that is not stored is given again
        return number


def _positions(grid: Times, starts: Times) -> np.ndarray:
    width = int(grid[1] - grid[0])
    if (np.diff(grid) == width).all():
        return np.asarray((starts - grid[0]) // width)
    return np.searchsorted(grid, starts)
