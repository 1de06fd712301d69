"""Reading and writing state; plain dataclasses go in and come out."""

import sqlite3
from dataclasses import asdict, dataclass
from decimal import Decimal
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

from server.state.books import Books
from server.state.fleet import Fleet
from server.state.schema import alert, lease, mark, transition

_MIGRATIONS = Path(__file__).parent / "migrations"
FIRING, RESOLVED = "firing", "resolved"


@dataclass(frozen=True, slots=True)
class NewAlert:
    """An alert as a rule found it; `end_ms` None: still firing."""

    rule: str
    rule_version: int
    meter: str
    building: str
    start_ms: int
    fired_ms: int
    end_ms: int | None
    excess: float
    unit: str
    yuan: Decimal | None
    floor: float
    known_share: float
    day_state: str

    @property
    def phase(self) -> str:
        """Give firing or resolved."""
        return FIRING if self.end_ms is None else RESOLVED


@dataclass(frozen=True, slots=True)
class AlertRow(NewAlert):
    """A stored alert."""

    id: int


class State:
    """The state database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.books = Books(engine)
        self.fleet = Fleet(engine)

    def save_alert(self, new: NewAlert, now_ms: int) -> bool:
        """Insert an alert, or bring the one it overlaps up to date; say whether it was new.

        Every change of phase is a transition row; saving the same alert again changes nothing.
        """
        with self._engine.begin() as db:
            known = self._overlapping(db, new)
            if known is None:
                values = {**asdict(new), "yuan": _text(new.yuan), "phase": new.phase}
                db.execute(insert(alert).values(**values))
                number = self._number_of(db, new)
                self._transit(db, number, FIRING, new.fired_ms, now_ms)
                if new.end_ms is not None:
                    self._transit(db, number, RESOLVED, new.end_ms, now_ms)
                return True
            if known.start_ms == new.start_ms:
                changed = {"excess": new.excess, "yuan": _text(new.yuan), "floor": new.floor}
                db.execute(update(alert).where(alert.c.id == known.id).values(**changed))
            if known.end_ms is None and new.end_ms is not None:
                done = {"end_ms": new.end_ms, "phase": RESOLVED}
                db.execute(update(alert).where(alert.c.id == known.id).values(**done))
                self._transit(db, known.id, RESOLVED, new.end_ms, now_ms)
            return False

    def alerts(
        self, start_ms: int = 0, end_ms: int = 2**53, *, is_open: bool | None = None
    ) -> list[AlertRow]:
        """Give the alerts that touch [start_ms, end_ms), newest first."""
        query = select(alert).where(alert.c.start_ms < end_ms)
        query = query.where((alert.c.end_ms.is_(None)) | (alert.c.end_ms > start_ms))
        if is_open is not None:
            query = query.where(alert.c.end_ms.is_(None) if is_open else alert.c.end_ms.isnot(None))
        with self._engine.connect() as db:
            rows = db.execute(query.order_by(alert.c.start_ms.desc(), alert.c.id)).mappings()
            return [_row(dict(r)) for r in rows]

    def alert(self, number: int) -> AlertRow | None:
        """Give one alert."""
        with self._engine.connect() as db:
            found = db.execute(select(alert).where(alert.c.id == number)).mappings().first()
        return None if found is None else _row(dict(found))

    def transitions(self, number: int) -> list[tuple[str, int]]:
        """Give an alert's (phase, at_ms), oldest first."""
        query = select(transition.c.to_phase, transition.c.at_ms)
        query = query.where(transition.c.alert_id == number).order_by(transition.c.at_ms)
        with self._engine.connect() as db:
            return [(str(p), int(t)) for p, t in db.execute(query)]

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

    def _overlapping(self, db: Connection, new: NewAlert) -> AlertRow | None:
        query = select(alert).where(alert.c.rule == new.rule, alert.c.meter == new.meter)
        query = query.where((alert.c.end_ms.is_(None)) | (alert.c.end_ms > new.start_ms))
        if new.end_ms is not None:
            query = query.where(alert.c.start_ms < new.end_ms)
        found = db.execute(query.order_by(alert.c.start_ms)).mappings().first()
        return None if found is None else _row(dict(found))

    def _number_of(self, db: Connection, new: NewAlert) -> int:
        query = select(alert.c.id).where(
            alert.c.rule == new.rule, alert.c.meter == new.meter, alert.c.start_ms == new.start_ms
        )
        return int(db.execute(query).scalar_one())

    def _transit(self, db: Connection, number: int, to: str, at_ms: int, now_ms: int) -> None:
        row = {"alert_id": number, "to_phase": to, "at_ms": at_ms, "recorded_ms": now_ms}
        db.execute(insert(transition).values(**row))


def _text(yuan: Decimal | None) -> str | None:
    return None if yuan is None else str(yuan)


def _row(values: dict[str, object]) -> AlertRow:
    values.pop("phase")
    yuan = values["yuan"]
    values["yuan"] = None if yuan is None else Decimal(str(yuan))
    return AlertRow(**values)  # type: ignore[arg-type] # columns are the fields


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
