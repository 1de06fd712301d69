"""What comes into the embedded store: small bodies through the journal, large ones directly.

A body is durable when it was taken.  The tables get what the journal holds from whoever reads
next, or half a second later, many bodies in one transaction: a commit of the tables costs several
times what a sync of the journal does, and waits for whatever else runs.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import structlog

from contract.errors import DeliveryError
from contract.reading import PointId
from server.series import Series
from server.store.duck_newest import Newest
from server.store.journal import Journal
from server.store.parse import BodyParser, Columns, flag_rows, raw_rows
from server.store.protocol import WriteResult
from server.store.transaction import transaction

JOURNALED_BYTES = 256_000  # a larger body is as fast in the tables
DRAIN_S = 0.5
log = structlog.get_logger()


class Intake:
    """Takes bodies; `tables` is held by who writes to the tables, before `lock` if both are."""

    def __init__(self, db: duckdb.DuckDBPyConnection, path: Path) -> None:
        self._db = db
        self.tables, self.lock = threading.RLock(), threading.RLock()
        rows = db.execute("SELECT site, device, measurand, id FROM point").fetchall()
        self.points = {PointId(*row[:3]): int(row[3]) for row in rows}
        self._new_points: list[tuple[int, str, str, str]] = []
        self._parser = BodyParser(self._point_number)
        newest = db.execute(
            "SELECT greatest(coalesce((SELECT max(seq) FROM raw), 0),"
            " coalesce((SELECT max(value) FROM keeper WHERE name = 'seq'), 0))"
        ).fetchall()
        self.seq = int(newest[0][0])
        self.newest = Newest.load(db)
        self._pending: list[tuple[int, Columns]] = []  # durable in the journal, not in the tables
        self._is_drained = True
        self._something, self._closing = threading.Event(), threading.Event()
        self._drainer: threading.Thread | None = None
        self._journal = self._open_journal(path)

    def take(self, body: bytes, precision: str) -> WriteResult:
        """Take a line-protocol body; its good lines are durable when this returns."""
        text = body.decode("utf-8", "replace")
        with self.lock:
            columns = self._parser.parse(text, precision)
            is_kept = self._keep(columns, precision, body)
        if not is_kept:
            with self.tables, self.lock:
                self.seq += 1  # only now: whoever sees a number finds its body in the tables
                self._insert([(self.seq, columns)])
                self.newest.remember(columns)
        return WriteResult(columns.lines, tuple(columns.errors))

    def load(self, point: PointId, series: Series) -> None:
        """Put a whole series of one point into the tables."""
        if not len(series):
            return
        with self.tables, self.lock:
            number = self._point_number(point)
            self.seq += 1
            rows = {
                "point": np.full(len(series), number, np.int32),
                "time_ms": series.times_ms,
                "value": series.values,
                "seq": np.full(len(series), self.seq, np.int64),
            }
            with self._writing():
                _append(self._db, "INSERT INTO raw SELECT * FROM new_rows", rows)
            last = (int(series.times_ms[-1]), float(series.values[-1]))
            self.newest.remember(Columns([number], [last[0]], [last[1]]))

    def drain(self) -> None:
        """Put what only the journal holds into the tables; DeliveryError, and it stays there."""
        if self._is_drained:
            return
        with self.tables:
            with self.lock:
                pending, self._pending = self._pending, []
                is_turned = self._journal is not None and self._journal.turn()
            is_in = False
            try:
                self._insert(pending)
                is_in = True
            finally:
                if not is_in:
                    with self.lock:
                        self._pending = [*pending, *self._pending]
            with self.lock:
                self._is_drained = not self._pending
                if self._journal is not None and (is_turned or not self._pending):
                    self._journal.let_go(everything=not is_turned)

    def drain_for_good(self) -> None:
        """Drain, and let nothing of it come back after a power cut; `tables` is held."""
        self.drain()
        if self._journal is not None:
            self._journal.sync()

    def close(self) -> None:
        """Drain, and close the journal; DeliveryError when the tables refuse: it keeps the rest."""
        self._closing.set()
        self._something.set()
        if self._drainer is not None:
            self._drainer.join()
        try:
            with self.tables:
                self.drain_for_good()
        finally:
            if self._journal is not None:
                self._journal.close()

    def _keep(self, columns: Columns, precision: str, body: bytes) -> bool:
        """Keep a body in the journal; False when it is for the tables themselves."""
        if self._journal is None or len(body) > JOURNALED_BYTES:
            return False
        if columns.points or columns.flag_points:
            try:
                if not self._journal.append(self.seq + 1, f"{precision} ".encode() + body):
                    return False
            except OSError as error:
                raise DeliveryError(f"journal: {error.strerror}", permanent=False) from error
            self.seq += 1
            self._pending.append((self.seq, columns))
            self._is_drained = False
            self.newest.remember(columns)
            self._wake()
        return True

    def _open_journal(self, path: Path) -> Journal | None:
        """Put what a journal still holds into the tables; None where there is no room for one."""
        try:
            journal = Journal(path)
        except OSError as error:
            log.warning("no_journal", error=str(error.strerror))
            return None
        found = []
        for record in journal.records():
            precision, _, body = record.content.decode("utf-8", "replace").partition(" ")
            found.append((record.seq, self._parser.parse(body, precision)))
        if found:
            self.seq = max(self.seq, found[-1][0])
            self._insert(found)
            for _, columns in found:
                self.newest.remember(columns)
        journal.begin()
        return journal

    def _wake(self) -> None:
        if self._drainer is None:
            self._drainer = threading.Thread(target=self._drain_on, name="drain", daemon=True)
            self._drainer.start()
        self._something.set()

    def _drain_on(self) -> None:
        is_told = False
        while True:
            self._something.wait()
            if self._closing.wait(DRAIN_S):
                return  # who closes drains
            self._something.clear()
            try:
                self.drain()
                is_told = False
            except DeliveryError as error:
                if not is_told:
                    log.error("journal_not_drained", error=str(error))
                is_told = True
                self._something.set()

    def _point_number(self, point: PointId) -> int:
        number = self.points.get(point)
        if number is None:
            number = self.points[point] = len(self.points) + 1
            self._new_points.append((number, point.site, point.device, point.measurand))
        return number

    def _insert(self, bodies: Sequence[tuple[int, Columns]]) -> None:
        """Put bodies into the tables in one transaction, each at its place."""
        raw, flag = raw_rows(bodies), flag_rows(bodies)
        with self._writing():
            _append(self._db, "INSERT INTO raw SELECT * FROM new_rows", raw)
            _append(self._db, "INSERT INTO flag SELECT * FROM new_rows", flag)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Write readings and the points first met with them: both or neither.

        Until then the points wait: their numbers are in use already.
        """
        with self.lock:
            new = list(self._new_points)
        with transaction(self._db):
            if new:
                self._db.executemany("INSERT INTO point VALUES (?, ?, ?, ?)", new)
            yield
        with self.lock:
            del self._new_points[: len(new)]


def _append(db: duckdb.DuckDBPyConnection, insert: str, columns: dict[str, Any]) -> None:
    if len(columns["point"]):
        db.register("new_rows", columns)
        db.execute(insert)
        db.unregister("new_rows")
