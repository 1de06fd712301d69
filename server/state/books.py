"""The books: what people entered and closed, what was recomputed and why; every edit audited."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, select, update

from server.state import schema as s


class RepairKind(StrEnum):
    """What a person did to a meter's readings."""

    EXCLUDE = "exclude"  # readings of a span are not to be used
    REPLACE = "replace"  # nor these; others stand in their place
    READING = "reading"  # register readings taken by hand
    BILL = "bill"  # a quantity for a span, from a bill
    CURVE = "curve"  # quantities for intervals, imported


@dataclass(frozen=True, slots=True)
class NewRepair:
    """A repair to be entered.

    content: readings {"readings": [[time_ms, register], …]}, a bill {"quantity": …, "yuan": …},
    a curve {"intervals": [[start_ms, end_ms, quantity], …]}; quantities and money as text.
    """

    kind: RepairKind
    meter: str
    start_ms: int
    end_ms: int
    content: Mapping[str, Any]
    reason: str
    author: str


@dataclass(frozen=True, slots=True)
class Repair(NewRepair):
    """A repair as it stands in the books."""

    id: int
    created_ms: int
    undone_ms: int | None


@dataclass(frozen=True, slots=True)
class Touch:
    """A span of a meter (empty: of computed meters and places) to be computed again, and why."""

    id: int
    meter: str
    start_ms: int
    end_ms: int
    cause: str


@dataclass(frozen=True, slots=True)
class EventRow:
    """Something met in a meter's readings."""

    meter: str
    kind: str
    start_ms: int
    end_ms: int
    ticks: int


@dataclass(frozen=True, slots=True)
class ChangeNote:
    """A value that moved: from what to what, and why.  after None: it is missing now."""

    recorded_ms: int
    meter: str
    start_ms: int
    end_ms: int
    before: float
    after: float | None
    unit: str
    cause: str


@dataclass(frozen=True, slots=True)
class Period:
    """A closed month or year; content is what was known at the close and is never changed."""

    label: str
    revision: int
    start_ms: int
    end_ms: int
    closed_ms: int
    closed_by: str
    reason: str
    content: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Correction:
    """A figure of a closed period that has moved since; revision None: not yet taken over."""

    label: str
    opened_ms: int
    subject: str
    before: str
    after: str
    unit: str
    cause: str
    revision: int | None = None


@dataclass(frozen=True, slots=True)
class AuditRow:
    """Who did what to what, when, why."""

    at_ms: int
    who: str
    action: str
    object: str
    reason: str
    detail: str


class Books:
    """The books of one state database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def enter(self, new: Sequence[NewRepair], now_ms: int) -> list[int]:
        """Enter repairs, all or none, audited; their spans are computed again.  Gives ids."""
        ids = []
        with self._engine.begin() as db:
            for repair in new:
                row = {**asdict(repair), "kind": repair.kind.value, "created_ms": now_ms}
                row["content"] = json.dumps(repair.content, ensure_ascii=False, sort_keys=True)
                done = db.execute(insert(s.repair).values(**row))
                number = int(done.inserted_primary_key[0])  # type: ignore[index] # it has one
                ids.append(number)
                self._touch(db, repair, f"repair {number} {repair.kind}: {repair.reason}")
                audit(
                    db, AuditRow(now_ms, repair.author, f"repair.{repair.kind}",
                    f"{repair.meter}#{number}", repair.reason, row["content"]),
                )  # fmt: skip
        return ids

    def undo(self, number: int, author: str, reason: str, now_ms: int) -> Repair | None:
        """Take a repair back; None when there is none that stands."""
        with self._engine.begin() as db:
            found = db.execute(select(s.repair).where(s.repair.c.id == number)).mappings().first()
            if found is None or found["undone_ms"] is not None:
                return None
            repair = _repair(found)
            db.execute(update(s.repair).where(s.repair.c.id == number).values(undone_ms=now_ms))
            self._touch(db, repair, f"repair {number} undone: {reason}")
            audit(
                db, AuditRow(now_ms, author, "repair.undo", f"{repair.meter}#{number}", reason, ""),
            )  # fmt: skip
        return repair

    def repairs(
        self, *, meters: Iterable[str] | None = None, standing: bool = True
    ) -> list[Repair]:
        """Give repairs, oldest first."""
        query = select(s.repair).order_by(s.repair.c.id)
        if meters is not None:
            query = query.where(s.repair.c.meter.in_(list(meters)))
        if standing:
            query = query.where(s.repair.c.undone_ms.is_(None))
        with self._engine.connect() as db:
            return [_repair(r) for r in db.execute(query).mappings()]

    def touch(self, meter: str, start_ms: int, end_ms: int, cause: str) -> None:
        """Ask for a span to be computed again."""
        row = {"meter": meter, "start_ms": start_ms, "end_ms": end_ms, "cause": cause[:300]}
        with self._engine.begin() as db:
            db.execute(insert(s.touch).values(**row))

    def touches(self) -> list[Touch]:
        """Give what is to be computed again, oldest first."""
        with self._engine.connect() as db:
            rows = db.execute(select(s.touch).order_by(s.touch.c.id)).mappings()
            return [Touch(**dict(r)) for r in rows]

    def settle(self, touches: Sequence[Touch]) -> None:
        """Forget touches that were worked on."""
        with self._engine.begin() as db:
            db.execute(delete(s.touch).where(s.touch.c.id.in_([t.id for t in touches])))

    def events(self, meters: Iterable[str], start_ms: int, end_ms: int) -> list[EventRow]:
        """Give the events of meters that touch [start, end]."""
        e = s.counter_event
        query = select(e.c.meter, e.c.kind, e.c.start_ms, e.c.end_ms, e.c.ticks)
        query = query.where(e.c.end_ms >= start_ms, e.c.start_ms <= end_ms)
        with self._engine.connect() as db:
            wanted = set(meters)
            rows = [EventRow(*r) for r in db.execute(query.order_by(e.c.start_ms))]
        return [r for r in rows if r.meter in wanted]

    def save_events(self, spans: Mapping[str, tuple[int, int]], events: Iterable[EventRow]) -> None:
        """Replace each meter's events that end in its span (start, end]."""
        e = s.counter_event
        rows = [asdict(r) for r in events]
        if not spans:
            return
        with self._engine.begin() as db:
            first, last = (pick(s[i] for s in spans.values()) for i, pick in ((0, min), (1, max)))
            query = select(e.c.meter).where(e.c.end_ms > first, e.c.end_ms <= last).distinct()
            for meter in {str(m) for (m,) in db.execute(query)} & spans.keys():
                start_ms, end_ms = spans[meter]
                here = (e.c.meter == meter) & (e.c.end_ms > start_ms) & (e.c.end_ms <= end_ms)
                db.execute(delete(e).where(here))
            if rows:
                db.execute(insert(e), rows)

    def add_notes(
        self, notes: Sequence[ChangeNote], also_known: tuple[str, str] | None = None
    ) -> None:
        """Keep change notes, and with them a text, both or neither."""
        with self._engine.begin() as db:
            if notes:
                db.execute(insert(s.change_note), [asdict(n) for n in notes])
            if also_known is not None:
                _set_known(db, *also_known)

    def notes(self, start_ms: int = 0, end_ms: int = 2**53) -> list[ChangeNote]:
        """Give the change notes that touch a span, newest first."""
        n = s.change_note
        query = select(n).where(n.c.start_ms < end_ms, n.c.end_ms > start_ms)
        with self._engine.connect() as db:
            rows = db.execute(query.order_by(n.c.id.desc())).mappings()
            return [ChangeNote(**{k: v for k, v in r.items() if k != "id"}) for r in rows]

    def close_period(self, new: Period) -> None:
        """Keep a close; a revision also takes over the open corrections of its label."""
        row = {**asdict(new), "content": json.dumps(new.content, ensure_ascii=False)}
        c = s.correction
        with self._engine.begin() as db:
            db.execute(insert(s.period).values(**row))
            is_open = (c.c.label == new.label) & c.c.revision.is_(None)
            db.execute(update(c).where(is_open).values(revision=new.revision))
            audit(
                db, AuditRow(new.closed_ms, new.closed_by, "period.close",
                f"{new.label} r{new.revision}", new.reason, ""),
            )  # fmt: skip

    def periods(self) -> list[Period]:
        """Give the newest revision of every closed period."""
        query = select(s.period).order_by(s.period.c.start_ms, s.period.c.revision)
        with self._engine.connect() as db:
            found = {}
            for r in db.execute(query).mappings():
                row = {k: v for k, v in r.items() if k != "id"}
                found[r["label"]] = Period(**{**row, "content": json.loads(row["content"])})
        return list(found.values())

    def open_correction(self, new: Correction) -> None:
        """Open a correction, or bring the one open for the same figure up to date."""
        c = s.correction
        same = (c.c.label == new.label) & (c.c.subject == new.subject) & c.c.revision.is_(None)
        with self._engine.begin() as db:
            changed = {"after": new.after, "cause": new.cause[:300], "opened_ms": new.opened_ms}
            if not db.execute(update(c).where(same).values(**changed)).rowcount:
                db.execute(insert(c).values(**{**asdict(new), "cause": new.cause[:300]}))

    def withdraw_corrections(self, label: str, still: Iterable[str]) -> None:
        """Drop the open corrections of figures that are back at what was closed."""
        c = s.correction
        gone = (c.c.label == label) & c.c.revision.is_(None) & c.c.subject.not_in(list(still))
        with self._engine.begin() as db:
            db.execute(delete(c).where(gone))

    def corrections(self, *, is_open: bool | None = None) -> list[Correction]:
        """Give corrections, oldest first."""
        c = s.correction
        query = select(c).order_by(c.c.id)
        if is_open is not None:
            query = query.where(c.c.revision.is_(None) if is_open else c.c.revision.isnot(None))
        with self._engine.connect() as db:
            rows = db.execute(query).mappings()
            return [Correction(**{k: v for k, v in r.items() if k != "id"}) for r in rows]

    def note_audit(self, row: AuditRow) -> None:
        """Keep an audit row."""
        with self._engine.begin() as db:
            audit(db, row)

    def audit_rows(self) -> list[AuditRow]:
        """Give the audit log, newest first."""
        with self._engine.connect() as db:
            rows = db.execute(select(s.audit).order_by(s.audit.c.id.desc())).mappings()
            return [AuditRow(**{k: v for k, v in r.items() if k != "id"}) for r in rows]

    def known(self, name: str) -> str | None:
        """Give a kept text, for instance the site as it was last applied."""
        with self._engine.connect() as db:
            found = db.execute(select(s.known.c.content).where(s.known.c.name == name)).scalar()
        return None if found is None else str(found)

    def set_known(self, name: str, content: str) -> None:
        """Keep a text."""
        with self._engine.begin() as db:
            _set_known(db, name, content)

    def _touch(self, db: Connection, repair: NewRepair, cause: str) -> None:
        row = {"meter": repair.meter, "start_ms": repair.start_ms, "end_ms": repair.end_ms}
        db.execute(insert(s.touch).values(**row, cause=cause[:300]))


def _set_known(db: Connection, name: str, content: str) -> None:
    done = db.execute(update(s.known).where(s.known.c.name == name).values(content=content))
    if not done.rowcount:
        db.execute(insert(s.known).values(name=name, content=content))


def audit(db: Connection, row: AuditRow) -> None:
    """Keep an audit row within a transaction."""
    db.execute(insert(s.audit).values(**{**asdict(row), "reason": row.reason[:300]}))


def _repair(row: Mapping[Any, Any]) -> Repair:
    values = {str(k): v for k, v in row.items()}
    values["kind"] = RepairKind(values["kind"])
    values["content"] = json.loads(values["content"])
    return Repair(**values)
