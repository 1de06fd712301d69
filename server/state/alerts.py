"""Alerts as people work on them: the inbox, actions, the whitelist, false-alarm rates."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from contract.errors import ConfigError, Problem
from server.state import life
from server.state.alert_rows import AlertRow, TransitionRow, alert_row, as_json, transition_row
from server.state.alert_tables import proof, whitelist
from server.state.found import AlertsFound
from server.state.life import FALSE_ALARM_REASONS, WHITELIST_REASONS, Action, Condition, Work
from server.state.schema import alert, transition

_TOLD = (Condition.FIRING, Condition.RESOLVED)
_WORKED_ON = (Work.NEW, Work.ACKNOWLEDGED, Work.ASSIGNED)
ALL_DAYS = "1234567"


@dataclass(frozen=True, slots=True)
class WhitelistEntry:
    """Expected use: in these hours of these weekdays the rule is not heard on the meter.

    weekdays: ISO digits, 1 Monday; minutes of the site's day, [from, to), over midnight when to
    is not after from; until_ms None: for good.
    """

    rule: str
    meter: str
    reason: str
    from_ms: int
    by: str
    until_ms: int | None = None
    weekdays: str = ALL_DAYS
    from_minute: int = 0
    to_minute: int = 1440
    alert_id: int | None = None
    created_ms: int = 0
    id: int = 0


@dataclass(frozen=True, slots=True)
class Rate:
    """How often a rule was right: alerts that fired, false alarms, withdrawn by late data."""

    rule: str
    fired: int
    false_alarms: int
    withdrawn: int

    @property
    def share(self) -> float | None:
        """Give false alarms ÷ fired; None when nothing fired."""
        return self.false_alarms / self.fired if self.fired else None


class Alerts(AlertsFound):
    """The alerts of one state database."""

    def open(
        self,
        *,
        rule: str | None = None,
        building: str | None = None,
        severity: str | None = None,
        work: Sequence[Work] = _WORKED_ON,
        conditions: Sequence[Condition] = _TOLD,
        with_children: bool = False,
        by_cost: bool = False,
        limit: int = 500,
    ) -> list[AlertRow]:
        """Give the inbox: what people still work on, newest or dearest first; no lapsed rows."""
        query = select(alert).where(
            alert.c.work.in_([str(w) for w in work]),
            alert.c.phase.in_([str(c) for c in conditions]),
        )
        for column, value in ((alert.c.rule, rule), (alert.c.building, building)):
            query = query if value is None else query.where(column == value)
        if severity is not None:
            query = query.where(alert.c.severity == severity)
        if not with_children:
            query = query.where(alert.c.parent_id.is_(None))
        query = query.order_by(alert.c.start_ms.desc(), alert.c.id.desc())
        with self._engine.connect() as db:
            rows = [alert_row(dict(r)) for r in db.execute(query).mappings()]
        if by_cost:  # money is text: a Decimal is compared here, not by the database
            rows.sort(key=lambda a: (a.yuan is None, -(a.yuan or 0)))
        return rows[:limit]

    def get(self, number: int) -> AlertRow | None:
        """Give one alert."""
        with self._engine.connect() as db:
            return _get(db, number)

    def children(self, number: int) -> list[AlertRow]:
        """Give the alerts of the same cause that stand behind one."""
        query = select(alert).where(alert.c.parent_id == number).order_by(alert.c.id)
        with self._engine.connect() as db:
            return [alert_row(dict(r)) for r in db.execute(query).mappings()]

    def transitions(self, number: int) -> list[TransitionRow]:
        """Give an alert's timeline, in the order it was recorded."""
        query = select(transition).where(transition.c.alert_id == number).order_by(transition.c.id)
        with self._engine.connect() as db:
            return [transition_row(dict(r)) for r in db.execute(query).mappings()]

    def act(
        self, number: int, action: Action | str, by: str, now_ms: int, **detail: Any
    ) -> AlertRow:
        """Take one step of an alert's life; ConfigError where the life table does not allow it.

        detail: `to` for assigned, `text` for noted, `until_ms` for muted, `reason` for closed and
        reopened (a text) and for false_alarm (a key of FALSE_ALARM_REASONS).
        """
        if action not in set(Action):
            expected = ", ".join(Action)
            raise ConfigError([Problem(f"alert {number}", "action", expected, str(action), "")])
        action = Action(action)
        with self._engine.begin() as db:
            row = _get(db, number)
            if row is None:
                fix = "look the number up in the inbox"
                raise ConfigError([Problem("alerts", "id", "a known alert", str(number), fix)])
            if not by.strip() or by == life.SYSTEM or len(by) > 64:
                fix = "sign with the name of who acts"
                raise ConfigError([Problem(f"alert {number}", "by", "a name", repr(by), fix)])
            life.check(number, row.work, action, detail, now_ms)
            at_ms = self.transit(db, number, action, now_ms, now_ms, by, detail)
            changed = _changes(action, detail, at_ms)
            is_same = (alert.c.id == number) & (alert.c.work == str(row.work))
            if changed and not db.execute(update(alert).where(is_same).values(**changed)).rowcount:
                fix = "look at it again"
                got = "changed by somebody else"
                raise ConfigError([Problem(f"alert {number}", str(action), row.work, got, fix)])
            return _get(db, number) or row

    def allow(self, entry: WhitelistEntry, now_ms: int) -> int:
        """Put expected use on the whitelist; ConfigError for what is none."""
        problems = list(_faults(entry))
        if problems:
            raise ConfigError(problems)
        values = {**asdict(entry), "created_ms": now_ms}
        del values["id"]
        with self._engine.begin() as db:
            done = db.execute(insert(whitelist).values(**values))
            return int(done.inserted_primary_key[0])  # type: ignore[index] # it has one

    def disallow(self, number: int, now_ms: int) -> bool:
        """End a whitelist entry now; what it covered before stays covered."""
        w = whitelist
        is_on = (w.c.until_ms.is_(None)) | (w.c.until_ms > now_ms)
        with self._engine.begin() as db:
            done = db.execute(update(w).where(w.c.id == number, is_on).values(until_ms=now_ms))
            return bool(done.rowcount)

    def allowed(self, rule: str | None = None, meter: str | None = None) -> list[WhitelistEntry]:
        """Give whitelist entries, ended ones too, oldest first."""
        query = select(whitelist).order_by(whitelist.c.id)
        for column, value in ((whitelist.c.rule, rule), (whitelist.c.meter, meter)):
            query = query if value is None else query.where(column == value)
        with self._engine.connect() as db:
            return [WhitelistEntry(**dict(r)) for r in db.execute(query).mappings()]

    def false_alarm_rate(self, since_ms: int = 0) -> dict[str, Rate]:
        """Give how often each rule was right, of alerts that started since."""
        columns = (alert.c.rule, alert.c.phase, alert.c.work, func.count())
        query = select(*columns).where(alert.c.start_ms >= since_ms)
        counts: dict[str, list[int]] = {}
        with self._engine.connect() as db:
            grouped = query.group_by(alert.c.rule, alert.c.phase, alert.c.work)
            for rule, phase, work, n in db.execute(grouped):
                row = counts.setdefault(rule, [0, 0, 0])
                if phase in {*_TOLD, Condition.WITHDRAWN}:
                    row[0] += n
                    row[1] += n if work == Work.FALSE_ALARM else 0
                    row[2] += n if phase == Condition.WITHDRAWN else 0
        return {rule: Rate(rule, *row) for rule, row in sorted(counts.items())}

    def proofs(self, number: int) -> list[Mapping[str, Any]]:
        """Give what was said of an alert's saving, oldest first: {upto_ms, state, …}."""
        query = select(proof).where(proof.c.alert_id == number).order_by(proof.c.upto_ms)
        with self._engine.connect() as db:
            rows = db.execute(query).mappings()
            return [
                {"upto_ms": r["upto_ms"], "state": r["state"], **json.loads(r["content"])}
                for r in rows
            ]


def _get(db: Connection, number: int) -> AlertRow | None:
    found = db.execute(select(alert).where(alert.c.id == number)).mappings().first()
    return None if found is None else alert_row(dict(found))


def _changes(action: Action, detail: Mapping[str, Any], at_ms: int) -> dict[str, Any]:
    """Give the columns an action changes."""
    after = life.LIFE[action].after
    changed: dict[str, Any] = {} if after is None else {"work": str(after)}
    match action:
        case Action.ASSIGN:
            changed["assigned_to"] = detail["to"]
        case Action.MUTE:
            changed["muted_until_ms"] = detail["until_ms"]
        case Action.CLOSE | Action.FALSE_ALARM:
            changed["closed_ms"] = at_ms
        case Action.REOPEN:
            changed |= {"closed_ms": None, "muted_until_ms": None}
    return changed


def _faults(entry: WhitelistEntry) -> list[Problem]:
    found = []
    if entry.reason not in WHITELIST_REASONS:
        known = ", ".join(WHITELIST_REASONS)
        found.append(Problem("whitelist", "reason", f"one of {known}", entry.reason, "choose one"))
    if entry.until_ms is not None and entry.until_ms <= entry.from_ms:
        got = f"{entry.from_ms} to {entry.until_ms}"
        found.append(Problem("whitelist", "until_ms", "after from_ms", got, "correct them"))
    digits = set(entry.weekdays)
    if not digits or not digits <= set(ALL_DAYS) or len(digits) != len(entry.weekdays):
        expected = "digits 1 (Monday) to 7, each once"
        found.append(Problem("whitelist", "weekdays", expected, entry.weekdays, "correct them"))
    if not (0 <= entry.from_minute < 1440 and 0 < entry.to_minute <= 1440):
        got = f"{entry.from_minute} to {entry.to_minute}"
        found.append(Problem("whitelist", "hours", "minutes 0 to 1440", got, "correct them"))
    if not entry.by.strip():
        found.append(Problem("whitelist", "by", "a name", repr(entry.by), "sign it"))
    return found


__all__ = [
    "FALSE_ALARM_REASONS", "WHITELIST_REASONS", "Action", "AlertRow", "Alerts", "Condition",
    "Rate", "TransitionRow", "WhitelistEntry", "Work", "as_json",
]  # fmt: skip
