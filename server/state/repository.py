"""Reading and writing state; plain dataclasses go in and come out."""

import sqlite3
from pathlib import Path

from sqlalchemy import (
    Connection,
    Engine,
    create_engine,
    event,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.exc import IntegrityError

from server.state.alert_rows import AlertRow, alert_row
from server.state.alerts import Alerts
from server.state.books import Books
from server.state.fleet import Fleet
from server.state.learned import Learned
from server.state.life import FIRING, RESOLVED
from server.state.outbound import Outbound
from server.state.schema import alert, lease, mark

_MIGRATIONS = Path(__file__).parent / "migrations"
_FIRED = (FIRING, RESOLVED)


class State:
    """The state database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.books = Books(engine)
        self.fleet = Fleet(engine)
        self.inbox = Alerts(engine)
        self.learned = Learned(engine)
        self.outbound = Outbound(engine)

    def alerts(
        self, start_ms: int = 0, end_ms: int = 2**53, *, is_open: bool | None = None
    ) -> list[AlertRow]:
        """Give the alerts that fired and touch [start_ms, end_ms), newest first.

        What stands behind another alert of its cause is there too, what late data took back not.
        """
        query = select(alert).where(alert.c.start_ms < end_ms, alert.c.phase.in_(_FIRED))
        query = query.where((alert.c.end_ms.is_(None)) | (alert.c.end_ms > start_ms))
        if is_open is not None:
            query = query.where(alert.c.end_ms.is_(None) if is_open else alert.c.end_ms.isnot(None))
        with self._engine.connect() as db:
            rows = db.execute(query.order_by(alert.c.start_ms.desc(), alert.c.id)).mappings()
            return [alert_row(dict(r)) for r in rows]

    def alert(self, number: int) -> AlertRow | None:
        """Give one alert."""
        return self.inbox.get(number)

    def transitions(self, number: int) -> list[tuple[str, int]]:
        """Give an alert's (phase, at_ms), oldest first; `inbox` says by whom, and why."""
        rows = self.inbox.transitions(number)
        return sorted(((t.to_phase, t.at_ms) for t in rows), key=lambda t: t[1])

    def take_lease(self, job: str, owner: str, now_ms: int, until_ms: int) -> bool:
        """Take or prolong a job's lease; False while another owner holds it."""
        with self._engine.begin() as db:
            free = (lease.c.job == job) & ((lease.c.owner == owner) | (lease.c.until_ms < now_ms))
            taken = db.execute(update(lease).where(free).values(owner=owner, until_ms=until_ms))
            if taken.rowcount:
                return True
        try:
            with self._engine.begin() as db:
                db.execute(insert(lease).values(job=job, owner=owner, until_ms=until_ms))
        except IntegrityError:
            return False
        return True

    def mark(self, name: str) -> int | None:
        """Give a kept number, for instance how far receipts have been seen."""
        with self._engine.connect() as db:
            value = db.execute(select(mark.c.value).where(mark.c.name == name)).scalar()
        return None if value is None else int(value)

    def set_mark(self, name: str, value: int) -> None:
        """Keep a number."""
        with self._engine.begin() as db:
            done = db.execute(update(mark).where(mark.c.name == name).values(value=value))
            if not done.rowcount:
                db.execute(insert(mark).values(name=name, value=value))

    def close(self) -> None:
        """Release the connections."""
        self._engine.dispose()


def open_state(url: str) -> State:
    """Open the state database and bring its schema up to date."""
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
    with engine.begin() as connection:
        if not _is_current(connection):
            _upgrade(connection)
    return State(engine)


def _is_current(connection: Connection) -> bool:
    """Say whether the schema is the newest: a third of a second less at every start but one."""
    if not inspect(connection).has_table("alembic_version"):
        return False
    rows = connection.execute(text("SELECT version_num FROM alembic_version")).all()
    newest = max(p.stem[1:5] for p in (_MIGRATIONS / "versions").glob("v[0-9]*.py"))
    return [row[0] for row in rows] == [newest]


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _prepare_sqlite(connection: sqlite3.Connection, _: object) -> None:
    for pragma in ("journal_mode = WAL", "busy_timeout = 10000", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")
