"""What rules find, brought into the tables: one transaction a pass, nothing lost, nothing twice.

A pass may see a span again.  What it finds unchanged changes nothing; what late data changed is
brought up to date with a `corrected` transition that says before and after.  No row is deleted.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, exists, func, insert, select, update

from server.state import life
from server.state.alert_rows import AlertRow, NewAlert, alert_columns, alert_row, as_json
from server.state.alert_tables import outbound_part, proof
from server.state.life import Condition, Work
from server.state.schema import alert, mark, transition

TOLERANCE = 0.01  # a smaller share of a finished alert's excess is not worth a correction
Grouping = Callable[[Sequence[AlertRow]], Mapping[int, int]]


@dataclass(frozen=True, slots=True)
class Judged:
    """What a rule found on a meter in [start_ms, end_ms); alerts oldest first, pending last."""

    rule: str
    meter: str
    start_ms: int
    end_ms: int
    found: tuple[NewAlert, ...] = ()


def alone(_: Sequence[AlertRow]) -> Mapping[int, int]:
    """Group nothing."""
    return {}


class AlertsFound:
    """The rules' side of the alerts of one state database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def record(self, judged: Sequence[Judged], now_ms: int, group: Grouping = alone) -> int:
        """Take a pass's findings in, all or none; give how many alerts fired that were not known.

        group: firing alerts → {child id: parent id}; children are kept and not told.
        """
        if not judged:
            return 0
        new = 0
        with self._engine.begin() as db:
            # one pass after another: without the lock two could find the same alert new
            passed = mark.c.value + 1
            db.execute(update(mark).where(mark.c.name == "alert_passes").values(value=passed))
            known = self._known(db, min(j.start_ms for j in judged))
            for j in judged:
                new += self._settle(db, j, known.get((j.rule, j.meter), []), now_ms)
            self._adopt(db, group)
        return new

    def transit(
        self, db: Connection, number: int, to: str, at_ms: int, now_ms: int,
        by: str = life.SYSTEM, detail: Mapping[str, Any] | None = None,
    ) -> int:  # fmt: skip
        """Add a transition; the system's is there once, a person's never falls on an older one."""
        t = transition.c
        if by != life.SYSTEM or to == life.CORRECTED:
            latest = select(func.max(t.at_ms)).where(t.alert_id == number, t.to_phase == to)
            last = db.execute(latest).scalar()
            at_ms = at_ms if last is None else max(at_ms, last + 1)
        same = select(t.id).where(t.alert_id == number, t.to_phase == to, t.at_ms == at_ms)
        if db.execute(same).first() is None:
            row = {
                "alert_id": number, "to_phase": str(to), "at_ms": at_ms, "recorded_ms": now_ms,
                "by": by, "detail": as_json(detail or {}),
            }  # fmt: skip
            db.execute(insert(transition).values(**row))
        return at_ms

    def escalate(self, after_ms: Mapping[str, int], now_ms: int) -> list[int]:
        """Escalate what fires and nobody took on for the hours of its severity; give their ids."""
        done = []
        with self._engine.begin() as db:
            for row in self._where(
                db, alert.c.phase == Condition.FIRING, alert.c.work == Work.NEW,
                alert.c.parent_id.is_(None),
            ):  # fmt: skip
                wait = after_ms.get(row.severity)
                if wait is None or now_ms - row.fired_ms < wait or is_muted(row, now_ms):
                    continue
                if not self._has(db, row.id, life.ESCALATED):
                    self.transit(db, row.id, life.ESCALATED, row.fired_ms + wait, now_ms)
                    done.append(row.id)
        return done

    def reopen_lasting(self, after_ms: int, now_ms: int) -> list[int]:
        """Reopen what was closed and still fires; give their ids."""
        done = []
        with self._engine.begin() as db:
            for row in self._where(
                db, alert.c.phase == Condition.FIRING, alert.c.work == Work.CLOSED,
                alert.c.closed_ms <= now_ms - after_ms,
            ):  # fmt: skip
                at_ms = (row.closed_ms or now_ms) + after_ms
                detail = {"reason": "关闭后仍在持续"}
                self.transit(db, row.id, life.Action.REOPEN, at_ms, now_ms, detail=detail)
                values = {"work": Work.NEW, "closed_ms": None}
                db.execute(update(alert).where(alert.c.id == row.id).values(**values))
                done.append(row.id)
        return done

    def keep_proof(self, number: int, upto_ms: int, state: str, content: Mapping[str, Any]) -> bool:
        """Keep what a saving comes to after one more week; False: it was known."""
        p = proof
        with self._engine.begin() as db:
            same = select(p.c.id).where(p.c.alert_id == number, p.c.upto_ms == upto_ms)
            if db.execute(same).first() is not None:
                return False
            row = {"alert_id": number, "upto_ms": upto_ms, "state": state}
            db.execute(insert(p).values(**row, content=as_json(content)))
        return True

    def closed_since(self, since_ms: int) -> list[AlertRow]:
        """Give the alerts that were closed as real since an instant."""
        with self._engine.connect() as db:
            return self._where(db, alert.c.work == Work.CLOSED, alert.c.closed_ms >= since_ms)

    def _settle(self, db: Connection, j: Judged, known: list[AlertRow], now_ms: int) -> int:
        left = [k for k in known if k.condition is not Condition.LAPSED and k.start_ms < j.end_ms]
        new = 0
        for found in j.found:
            match = _match(found, left)
            if match is None:
                new += self._insert(db, found, known, now_ms)
                continue
            left.remove(match)
            new += self._renew(db, match, found, j, now_ms)
        for row in left:
            if row.start_ms >= j.start_ms and row.condition is not Condition.WITHDRAWN:
                self._take_back(db, row, j, now_ms)
        return new

    def _insert(self, db: Connection, new: NewAlert, known: list[AlertRow], now_ms: int) -> int:
        same = [k for k in known if k.start_ms == new.start_ms]
        if same:  # it lapsed, and late data lets it hold after all
            return self._renew(db, same[0], new, None, now_ms)
        done = db.execute(insert(alert).values(**alert_columns(new)))
        number = int(done.inserted_primary_key[0])  # type: ignore[index] # it has one
        self._advance(db, number, new, now_ms)
        return int(new.has_fired)

    def _advance(self, db: Connection, number: int, new: NewAlert, now_ms: int) -> None:
        """Add the transitions that an alert has been through."""
        self.transit(db, number, life.PENDING, new.start_ms, now_ms)
        if new.has_fired:
            self.transit(db, number, life.FIRING, new.fired_ms, now_ms)
        if new.end_ms is not None:
            self.transit(db, number, life.RESOLVED, new.end_ms, now_ms)

    def _renew(
        self, db: Connection, old: AlertRow, new: NewAlert, j: Judged | None, now_ms: int
    ) -> int:
        """Bring a known alert up to date; say whether it fired just now."""
        if j is not None and old.start_ms < j.start_ms:
            if old.end_ms is None and new.end_ms is not None:  # seen in part: only its end is new
                self._set(db, old.id, {"phase": str(Condition.RESOLVED), "end_ms": new.end_ms})
                self.transit(db, old.id, life.RESOLVED, new.end_ms, now_ms)
            return 0
        moved = _moved(old, new)
        is_over = old.end_ms is not None or old.is_withdrawn
        if is_over and not moved:
            return 0
        columns = alert_columns(new)
        if new.start_ms != old.start_ms and self._is_taken(db, new):
            del columns["start_ms"]
        if moved:
            self.transit(db, old.id, life.CORRECTED, now_ms, now_ms, detail=moved)
        self._set(db, old.id, columns)
        is_back = old.condition in {Condition.RESOLVED, Condition.WITHDRAWN} and new.has_fired
        if not is_back:  # what comes back is told as a correction, not as a new alert
            self._advance_from(db, old, new, now_ms)
        elif new.end_ms is not None and old.end_ms is None:
            self.transit(db, old.id, life.RESOLVED, new.end_ms, now_ms)
        return int(new.has_fired and not old.has_fired)

    def _advance_from(self, db: Connection, old: AlertRow, new: NewAlert, now_ms: int) -> None:
        if new.has_fired and not old.has_fired:
            self.transit(db, old.id, life.FIRING, new.fired_ms, now_ms)
        if new.end_ms is not None and old.end_ms is None:
            self.transit(db, old.id, life.RESOLVED, new.end_ms, now_ms)

    def _take_back(self, db: Connection, row: AlertRow, j: Judged, now_ms: int) -> None:
        """A pending alert that is not there any more has lapsed, a fired one never was."""
        if row.condition is Condition.PENDING:
            end_ms = min(j.end_ms, now_ms)
            self._set(db, row.id, {"phase": str(Condition.LAPSED), "end_ms": end_ms})
            self.transit(db, row.id, life.RESOLVED, end_ms, now_ms, detail={"lapsed": True})
            return
        end_ms = min(j.end_ms, now_ms) if row.end_ms is None else row.end_ms
        detail = {
            "phase": [str(row.condition), str(Condition.WITHDRAWN)],
            "excess": [row.excess, 0.0], "end_ms": [row.end_ms, end_ms],
        }  # fmt: skip
        self.transit(db, row.id, life.CORRECTED, now_ms, now_ms, detail=detail)
        self._set(db, row.id, {"phase": str(Condition.WITHDRAWN), "end_ms": end_ms})

    def _adopt(self, db: Connection, group: Grouping) -> None:
        firing = self._where(db, alert.c.phase == Condition.FIRING)
        parents = group(firing)
        for row in firing:
            parent = parents.get(row.id)
            # what once stood behind a cause that is over stands for itself
            if parent == row.parent_id:
                continue
            self._set(db, row.id, {"parent_id": parent})
            if parent is None:
                self._tell_again(db, row.id)

    def _tell_again(self, db: Connection, number: int) -> None:
        """Let it be told that an alert fires, if no message has said so."""
        t = transition.c
        is_told = exists().where(outbound_part.c.transition_id == t.id)
        firing = (t.alert_id == number) & (t.to_phase == life.FIRING) & ~is_told
        db.execute(update(transition).where(firing).values(planned_ms=None))

    def _known(self, db: Connection, since_ms: int) -> dict[tuple[str, str], list[AlertRow]]:
        out: dict[tuple[str, str], list[AlertRow]] = {}
        lasting = alert.c.end_ms.is_(None) | (alert.c.end_ms > since_ms)
        for row in self._where(db, lasting):
            out.setdefault((row.rule, row.meter), []).append(row)
        return out

    def _where(self, db: Connection, *conditions: ColumnElement[bool]) -> list[AlertRow]:
        query = select(alert).where(*conditions).order_by(alert.c.start_ms, alert.c.id)
        return [alert_row(dict(r)) for r in db.execute(query).mappings()]

    def _has(self, db: Connection, number: int, to: str) -> bool:
        t = transition.c
        query = select(t.id).where(t.alert_id == number, t.to_phase == to)
        return db.execute(query).first() is not None

    def _is_taken(self, db: Connection, new: NewAlert) -> bool:
        a = alert.c
        same = (a.rule == new.rule) & (a.meter == new.meter) & (a.start_ms == new.start_ms)
        return db.execute(select(a.id).where(same)).first() is not None

    def _set(self, db: Connection, number: int, values: Mapping[str, Any]) -> None:
        db.execute(update(alert).where(alert.c.id == number).values(**values))


def is_muted(row: AlertRow, now_ms: int) -> bool:
    """Say whether somebody asked not to hear of an alert yet."""
    return row.muted_until_ms is not None and now_ms < row.muted_until_ms


def _match(new: NewAlert, known: Iterable[AlertRow]) -> AlertRow | None:
    """Give the known alert that a found one is: of the same start, else one it overlaps."""
    rows = list(known)
    for row in rows:
        if row.start_ms == new.start_ms:
            return row
    for row in rows:
        begins = new.end_ms is None or row.start_ms < new.end_ms
        if begins and (row.end_ms is None or row.end_ms > new.start_ms):
            return row
    return None


def _moved(old: AlertRow, new: NewAlert) -> dict[str, list[Any]]:
    """Give what late data changed of what was said: {key: [before, after]}; empty: nothing."""
    moved: dict[str, list[Any]] = {}
    if new.start_ms != old.start_ms:
        moved["start_ms"] = [old.start_ms, new.start_ms]
    if old.has_fired and not new.has_fired:
        moved["phase"] = [str(old.condition), str(new.phase)]
    if old.end_ms is None and not old.is_withdrawn:
        return moved if old.has_fired else {}
    if old.end_ms != new.end_ms:
        moved["end_ms"] = [old.end_ms, new.end_ms]
    if old.condition != new.phase:
        moved["phase"] = [str(old.condition), str(new.phase)]
    if abs(new.excess - old.excess) > TOLERANCE * max(abs(old.excess), 1.0):
        moved["excess"] = [old.excess, new.excess]
    return moved
