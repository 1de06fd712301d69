"""The fleet: what is kept of agents' deliveries, and the configurations meant for agents."""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Engine, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from server.state import schema as s
from server.state.books import AuditRow, audit

LAST_SERIAL = 10**9  # serials count up by one: an agent that speaks of more is not believed
KEPT_STATES = 200  # of an agent; what it says beyond that pushes the oldest out


class ConfigState(StrEnum):
    """What an agent says of a configuration it was given."""

    STAGED = "staged"
    CONFIRMED = "confirmed"
    ROLLED_BACK = "rolled_back"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class AgentConfigRow:
    """A signed configuration for an agent; cancelled_ms None: it stands."""

    agent: str
    serial: int
    issued_ms: int
    config: str
    signature: str
    author: str
    reason: str
    cancelled_ms: int | None = None


@dataclass(frozen=True, slots=True)
class ConfigStateRow:
    """An agent's word on a configuration."""

    agent: str
    serial: int
    state: ConfigState
    at_ms: int
    detail: str
    config_hash: str


@dataclass(frozen=True, slots=True)
class ReportRow:
    """An agent's word on parcels first..last of a ledger; amount: readings or lines."""

    agent: str
    kind: str
    outbox_id: int
    at_ms: int
    first: int
    last: int
    amount: int


class Fleet:
    """The fleet's tables of one state database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def save_deliveries(self, day_ms: int, runs: dict[str, bytes]) -> None:
        """Keep the joined receipts of a UTC day, by agent, in place of what was kept of it."""
        d = s.delivery_day
        with self._engine.begin() as db:
            db.execute(delete(d).where(d.c.day_ms == day_ms))
            rows = [{"agent": a, "day_ms": day_ms, "runs": r} for a, r in runs.items()]
            if rows:
                db.execute(insert(d), rows)

    def deliveries(self) -> dict[str, bytes]:
        """Give all joined receipts that are kept, by agent."""
        d = s.delivery_day
        found: dict[str, list[bytes]] = {}
        with self._engine.connect() as db:
            for agent, runs in db.execute(select(d.c.agent, d.c.runs).order_by(d.c.day_ms)):
                found.setdefault(agent, []).append(runs)
        return {agent: b"".join(parts) for agent, parts in found.items()}

    def save_reports(self, rows: Iterable[ReportRow]) -> None:
        """Keep agents' reports; one that is kept already stays as it is."""
        r = s.delivery_report
        with self._engine.begin() as db:
            known = {tuple(k) for k in db.execute(select(r.c.agent, r.c.kind, r.c.at_ms))}
            new = [asdict(x) for x in rows if (x.agent, x.kind, x.at_ms) not in known]
            if new:
                db.execute(insert(r), new)

    def reports(self) -> list[ReportRow]:
        """Give the reports that are kept, oldest first."""
        r = s.delivery_report
        columns = (
            r.c.agent, r.c.kind, r.c.outbox_id, r.c.at_ms, r.c.first, r.c.last, r.c.amount,
        )  # fmt: skip
        with self._engine.connect() as db:
            return [ReportRow(*x) for x in db.execute(select(*columns).order_by(r.c.at_ms))]

    def next_serial(self, agent: str) -> int:
        """Give the serial after every one that this server gave or the agent said it took.

        What an agent refused may have been anybody's, so it does not count.
        """
        c, t, m = s.agent_config, s.agent_config_state, s.mark
        taken = (t.c.agent == agent) & (t.c.state != ConfigState.REFUSED.value)
        asked = (
            select(func.max(c.c.serial)).where(c.c.agent == agent),
            select(func.max(t.c.serial)).where(taken),
            select(m.c.value).where(m.c.name == _heard(agent)),
        )
        with self._engine.connect() as db:
            newest = [db.execute(query).scalar() for query in asked]
        return max((int(n) for n in newest if n is not None), default=0) + 1

    def note_heard(self, agent: str, serial: int) -> None:
        """Remember the serial an agent has, so that a server restored from a copy goes on above."""
        if not self.next_serial(agent) <= serial < LAST_SERIAL:
            return
        m = s.mark
        here = m.c.name == _heard(agent)
        with self._engine.begin() as db:
            if not db.execute(update(m).where(here).values(value=serial)).rowcount:
                db.execute(insert(m).values(name=_heard(agent), value=serial))

    def add_config(self, new: AgentConfigRow) -> bool:
        """Keep a signed configuration, audited; False: its serial is not above the others."""
        c = s.agent_config
        try:
            with self._engine.begin() as db:
                newest = db.execute(select(func.max(c.c.serial)).where(c.c.agent == new.agent))
                if (newest.scalar() or 0) >= new.serial:
                    return False
                db.execute(insert(c).values(**asdict(new)))
                audit(
                    db, AuditRow(new.issued_ms, new.author, "agent.config.push",
                    f"{new.agent}#{new.serial}", new.reason, ""),
                )  # fmt: skip
        except IntegrityError:  # another push took the serial at this moment
            return False
        return True

    def cancel_config(self, agent: str, author: str, reason: str, now_ms: int) -> int | None:
        """Withdraw the newest configuration, audited; its serial, None: none stands."""
        current = self.current_config(agent)
        if current is None:
            return None
        c = s.agent_config
        with self._engine.begin() as db:
            here = (c.c.agent == agent) & (c.c.serial == current.serial)
            db.execute(update(c).where(here).values(cancelled_ms=now_ms))
            audit(
                db, AuditRow(now_ms, author, "agent.config.cancel", f"{agent}#{current.serial}",
                reason, ""),
            )  # fmt: skip
        return current.serial

    def current_config(self, agent: str) -> AgentConfigRow | None:
        """Give the newest configuration of an agent; None: it has none, or it was cancelled.

        Older ones are never given: an agent must not go back to what was replaced.
        """
        rows = self.configs(agent)
        return rows[-1] if rows and rows[-1].cancelled_ms is None else None

    def configs(self, agent: str | None = None) -> list[AgentConfigRow]:
        """Give configurations, of one agent or of all, lowest serial first."""
        c = s.agent_config
        query = select(c).order_by(c.c.agent, c.c.serial)
        if agent is not None:
            query = query.where(c.c.agent == agent)
        with self._engine.connect() as db:
            return [AgentConfigRow(**_plain(r)) for r in db.execute(query).mappings()]

    def note_state(self, new: ConfigStateRow) -> bool:
        """Keep an agent's word; False: it said the same before and nothing since."""
        t = s.agent_config_state
        with self._engine.begin() as db:
            mine = select(t).where(t.c.agent == new.agent).order_by(t.c.id.desc())
            last = db.execute(mine).mappings().first()
            said = asdict(new)
            if last is not None and all(last[k] == v for k, v in said.items() if k != "at_ms"):
                return False
            db.execute(insert(t).values(**said))
            kept = select(t.c.id).where(t.c.agent == new.agent).order_by(t.c.id.desc())
            old = [i for (i,) in db.execute(kept.offset(KEPT_STATES).limit(KEPT_STATES))]
            if old:
                db.execute(delete(t).where(t.c.id.in_(old)))
        return True

    def config_states(self, agent: str | None = None) -> list[ConfigStateRow]:
        """Give agents' words on their configurations, oldest first."""
        t = s.agent_config_state
        query = select(t).order_by(t.c.id)
        if agent is not None:
            query = query.where(t.c.agent == agent)
        with self._engine.connect() as db:
            rows = [_plain(r) for r in db.execute(query).mappings()]
        return [ConfigStateRow(**{**r, "state": ConfigState(r["state"])}) for r in rows]


def _heard(agent: str) -> str:
    return f"serial:{hashlib.sha256(agent.encode()).hexdigest()[:32]}"


def _plain(row: Any) -> dict[str, Any]:
    return {str(k): v for k, v in row.items() if k != "id"}
