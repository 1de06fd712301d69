"""Messages on their way: planned once, claimed by one deliverer, settled after the channel's word.

A message is stored before it is sent.  A deliverer that is killed after the channel took it and
before that was stored sends it again; one whose delivery is stored is never sent again.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import ColumnElement, Engine, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from server.state.alert_rows import AlertRow, TransitionRow, alert_row, transition_row
from server.state.alert_tables import bucket
from server.state.alert_tables import outbound as o
from server.state.alert_tables import outbound_part as part
from server.state.schema import alert, transition

WAITING, CLAIMED, DELIVERED, REFUSED = "waiting", "claimed", "delivered", "refused"
_BURST_SHARE = 0.25  # of a minute's messages at once; the rest comes evenly: see `take_token`


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message for one channel; dedupe: what it is about, once a channel."""

    channel: str
    dedupe: str
    kind: str
    title: str
    body: str
    due_ms: int
    transitions: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Message:
    """A stored message."""

    id: int
    channel: str
    dedupe: str
    kind: str
    title: str
    body: str
    created_ms: int
    due_ms: int
    state: str
    attempts: int
    settled_ms: int | None
    error: str


class Outbound:
    """The messages of one state database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def unplanned(self, limit: int = 5000) -> list[tuple[TransitionRow, AlertRow]]:
        """Give changes of state nobody has decided how to tell, oldest first, and their alerts."""
        t = transition
        query = select(t).where(t.c.planned_ms.is_(None)).order_by(t.c.id).limit(limit)
        with self._engine.connect() as db:
            rows = [transition_row(dict(r)) for r in db.execute(query).mappings()]
            ids = {r.alert_id for r in rows}
            found = db.execute(select(alert).where(alert.c.id.in_(ids))).mappings()
            alerts = {a.id: a for a in (alert_row(dict(r)) for r in found)}
        return [(r, alerts[r.alert_id]) for r in rows]

    def plan(self, settled: Sequence[int], messages: Sequence[NewMessage], now_ms: int) -> bool:
        """Store messages and mark the changes they settle, all or none; False: others were faster.

        settled: transitions that are told by these messages, or that nobody is to be told of.
        """
        t = transition
        try:
            with self._engine.begin() as db:
                free = t.c.id.in_(settled) & t.c.planned_ms.is_(None)
                done = db.execute(update(t).where(free).values(planned_ms=now_ms))
                if done.rowcount != len(settled):
                    raise _TakenError
                for m in messages:
                    row = asdict(m)
                    del row["transitions"]
                    values = {**row, "created_ms": now_ms, "state": WAITING, "attempts": 0}
                    added = db.execute(insert(o).values(**values, error=""))
                    number = int(added.inserted_primary_key[0])  # type: ignore[index] # it has one
                    for told in m.transitions:
                        about = {"outbound_id": number, "channel": m.channel}
                        db.execute(insert(part).values(**about, transition_id=told))
        except (_TakenError, IntegrityError):
            return False
        return True

    def told(self, alerts: Sequence[int]) -> set[int]:
        """Give those of the alerts that a message has spoken of."""
        t = transition
        query = select(t.c.alert_id).join(part, part.c.transition_id == t.c.id)
        with self._engine.connect() as db:
            return set(db.execute(query.where(t.c.alert_id.in_(alerts)).distinct()).scalars())

    def is_planned(self, channel: str, dedupe: str) -> bool:
        """Say whether a message was stored already."""
        query = select(o.c.id).where(o.c.channel == channel, o.c.dedupe == dedupe)
        with self._engine.connect() as db:
            return db.execute(query).first() is not None

    def has_due(self, channel: str, now_ms: int) -> bool:
        """Say whether a channel has something to send."""
        with self._engine.connect() as db:
            query = select(o.c.id).where(_is_due(channel, now_ms)).limit(1)
            return db.execute(query).first() is not None

    def claim(self, channel: str, owner: str, now_ms: int, until_ms: int) -> Message | None:
        """Claim the oldest due message of a channel; None: there is none, or others were faster."""
        due = _is_due(channel, now_ms)
        with self._engine.begin() as db:
            query = select(o.c.id).where(due).order_by(o.c.due_ms, o.c.id).limit(1)
            number = db.execute(query).scalar()
            if number is None:
                return None
            values = {
                "state": CLAIMED, "owner": owner, "claimed_until_ms": until_ms,
                "attempts": o.c.attempts + 1,
            }  # fmt: skip
            done = db.execute(update(o).where(o.c.id == number, due).values(**values))
            if not done.rowcount:
                return None
            return _message(dict(db.execute(select(o).where(o.c.id == number)).mappings().one()))

    def delivered(self, number: int, now_ms: int) -> None:
        """Store that the channel took a message; whoever sent it, it is not sent again."""
        self._settle(number, {"state": DELIVERED, "settled_ms": now_ms, "error": ""})

    def put_back(self, number: int, due_ms: int, error: str) -> None:
        """Let a message wait for another try."""
        self._settle(number, {"state": WAITING, "due_ms": due_ms, "error": error[:300]})

    def refused(self, number: int, now_ms: int, error: str) -> None:
        """Store that a channel will never take a message as it is."""
        self._settle(number, {"state": REFUSED, "settled_ms": now_ms, "error": error[:300]})

    def retry_refused(self, now_ms: int) -> int:
        """Let every refused message wait again, after somebody mended the channel."""
        values = {"state": WAITING, "due_ms": now_ms, "settled_ms": None}
        with self._engine.begin() as db:
            done = db.execute(update(o).where(o.c.state == REFUSED).values(**values))
            return int(done.rowcount)

    def messages(self, state: str | None = None, limit: int = 200) -> list[Message]:
        """Give messages, newest first."""
        query = select(o).order_by(o.c.id.desc()).limit(limit)
        query = query if state is None else query.where(o.c.state == state)
        with self._engine.connect() as db:
            return [_message(dict(r)) for r in db.execute(query).mappings()]

    def take_token(self, channel: str, per_minute: int, now_ms: int) -> bool:
        """Take leave to send one message; False: wait.

        A bucket of b tokens refilled at r a minute lets b + r through in one minute, so the two
        together are what the channel takes.  All servers draw from the one row.
        """
        burst = max(1.0, per_minute * _BURST_SHARE)
        rate = (per_minute - burst) / 60_000 if per_minute > 1 else 1 / 60_000
        b = bucket
        self._ensure_bucket(channel, burst, now_ms)
        with self._engine.begin() as db:
            query = select(b).where(b.c.channel == channel)
            row = db.execute(query).mappings().one()
            if now_ms < row["blocked_until_ms"]:
                return False
            passed = max(0, now_ms - row["at_ms"])
            tokens = min(burst, row["tokens"] + passed * rate)
            if tokens < 1:
                return False
            same = (b.c.channel == channel) & (b.c.at_ms == row["at_ms"])
            same &= b.c.tokens == row["tokens"]
            values = {"tokens": tokens - 1, "at_ms": max(now_ms, row["at_ms"])}
            return bool(db.execute(update(b).where(same).values(**values)).rowcount)

    def block(self, channel: str, until_ms: int) -> None:
        """Keep a channel silent, as it asked."""
        with self._engine.begin() as db:
            values = {"blocked_until_ms": until_ms, "tokens": 0.0}
            db.execute(update(bucket).where(bucket.c.channel == channel).values(**values))

    def blocked_until(self, channel: str) -> int:
        """Give the instant up to which a channel is kept silent; 0: it never was."""
        query = select(bucket.c.blocked_until_ms).where(bucket.c.channel == channel)
        with self._engine.connect() as db:
            return int(db.execute(query).scalar() or 0)

    def counts(self) -> dict[str, int]:
        """Give how many messages are in each state."""
        with self._engine.connect() as db:
            query = select(o.c.state, func.count()).group_by(o.c.state)
            return {str(state): int(n) for state, n in db.execute(query)}

    def _ensure_bucket(self, channel: str, burst: float, now_ms: int) -> None:
        with self._engine.connect() as db:
            if db.execute(select(bucket).where(bucket.c.channel == channel)).first() is not None:
                return
        row = {"channel": channel, "tokens": burst, "at_ms": now_ms, "blocked_until_ms": 0}
        try:
            with self._engine.begin() as db:
                db.execute(insert(bucket).values(**row))
        except IntegrityError:
            return

    def _settle(self, number: int, values: dict[str, object]) -> None:
        cleared = {"owner": None, "claimed_until_ms": None, **values}
        with self._engine.begin() as db:
            open_still = (o.c.id == number) & o.c.state.in_((WAITING, CLAIMED))
            db.execute(update(o).where(open_still).values(**cleared))


class _TakenError(Exception):
    """Another server planned first."""


def _is_due(channel: str, now_ms: int) -> ColumnElement[bool]:
    waits = (o.c.state == WAITING) & (o.c.due_ms <= now_ms)
    left = (o.c.state == CLAIMED) & (o.c.claimed_until_ms < now_ms)
    return (o.c.channel == channel) & (waits | left)


def _message(row: dict[str, object]) -> Message:
    return Message(**{f: row[f] for f in Message.__slots__})  # type: ignore[arg-type] # columns
