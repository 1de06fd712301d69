"""The newest word of every point: what was saved, and what came since."""

from collections.abc import Sequence
from typing import Any

import duckdb

from contract.reading import Reason
from server.store.parse import Columns

Word = tuple[int, float, int]  # time_ms, value, reason
_NEWEST_FLAG = "SELECT point, max(time_ms), arg_max(reason, time_ms) FROM flag"
_NEVER: Word = (-1, 0.0, 0)


class Newest(dict[int, Word]):
    """Point number → its newest word."""

    @classmethod
    def load(cls, db: duckdb.DuckDBPyConnection) -> "Newest":
        """Read what was saved, and what came since."""
        saved = db.execute("SELECT point, time_ms, value, reason FROM latest").fetchall()
        last = cls({int(p): (int(t), float(v), int(r)) for p, t, v, r in saved})
        rows = db.execute(
            "SELECT point, max(time_ms), arg_max(value, time_ms) FROM raw WHERE seq > 0"
            " GROUP BY point"
        ).fetchall()
        for point, time_ms, value in rows:
            if time_ms >= last.get(int(point), _NEVER)[0]:
                last[int(point)] = (int(time_ms), float(value), int(Reason.GOOD))
        last.take_flags(db.execute(_NEWEST_FLAG + " GROUP BY point").fetchall())
        return last

    def remember(self, columns: Columns) -> None:
        """Take a body's words in."""
        newest = dict(zip(columns.points, range(len(columns.points)), strict=True))
        for point, i in newest.items():  # bodies are in time order: the last row is the newest
            if point not in self or columns.times_ms[i] >= self[point][0]:
                self[point] = (columns.times_ms[i], columns.values[i], int(Reason.GOOD))
        rows = zip(columns.flag_points, columns.flag_times_ms, columns.reasons, strict=True)
        for point, time_ms, code in rows:
            known = self.get(point)
            if known is None or time_ms > known[0]:
                self[point] = (time_ms, 0.0, code)
            elif time_ms == known[0]:
                self[point] = (time_ms, known[1], code)

    def take_flags(self, rows: Sequence[Any]) -> None:
        """Let each point's newest flag count where nothing newer is known."""
        for point, time_ms, code in rows:
            known = self.get(int(point), _NEVER)
            if time_ms >= known[0]:
                self[int(point)] = (int(time_ms), known[1], int(code))

    def take_flags_of(self, db: duckdb.DuckDBPyConnection, number: int) -> None:
        """Read a point's newest flag anew."""
        one = _NEWEST_FLAG + " WHERE point = ? GROUP BY point"
        self.take_flags(db.execute(one, [number]).fetchall())

    def save(self, db: duckdb.DuckDBPyConnection) -> None:
        """Keep all, within a transaction of the caller's."""
        db.execute("DELETE FROM latest")
        rows = [(p, t, v, r) for p, (t, v, r) in self.items()]
        if rows:
            db.executemany("INSERT INTO latest VALUES (?, ?, ?, ?)", rows)
