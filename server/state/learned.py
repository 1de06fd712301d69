"""What rules have learned of meters, by day; what a person pinned stands above it."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from sqlalchemy import Engine, delete, insert, select, update

from server.state.alert_tables import learned as t


@dataclass(frozen=True, slots=True)
class LearnedRow:
    """A learned value as of a day (ISO); value None: not enough was known.  Pinned: by whom."""

    rule: str
    meter: str
    name: str
    day: str
    value: float | None
    pinned_by: str | None = None
    pinned_at: int | None = None
    reason: str | None = None


class Learned:
    """The learned values of one state database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def save(self, rows: Iterable[LearnedRow]) -> None:
        """Keep what was learned, in place of what was learned for the same days; pins stay."""
        new = [asdict(r) for r in rows]
        if not new:
            return
        with self._engine.begin() as db:
            days = {r["day"] for r in new}
            query = select(t).where(t.c.day.in_(days))
            held = {
                (r["rule"], r["meter"], r["name"], r["day"]): r
                for r in db.execute(query).mappings()
            }
            fresh = []
            for row in new:
                old = held.get((row["rule"], row["meter"], row["name"], row["day"]))
                if old is None:
                    fresh.append(row)
                elif old["pinned_by"] is None and old["value"] != row["value"]:
                    db.execute(update(t).where(t.c.id == old["id"]).values(value=row["value"]))
            if fresh:
                db.execute(insert(t), fresh)

    def of_days(self, first: str, last: str) -> list[LearnedRow]:
        """Give what holds on the ISO days first..last, pinned rows too, by rule, meter, name, day.

        A pin holds from its day on, until it is taken out; the caller lets it win.
        """
        is_in = (t.c.day >= first) & (t.c.day <= last)
        is_pin = t.c.pinned_by.isnot(None) & (t.c.day <= last)
        query = select(t).where(is_in | is_pin).order_by(t.c.rule, t.c.meter, t.c.name, t.c.day)
        with self._engine.connect() as db:
            rows = [dict(r) for r in db.execute(query).mappings()]
        return [LearnedRow(**{k: v for k, v in r.items() if k != "id"}) for r in rows]

    def pin(self, row: LearnedRow) -> None:
        """Let a person's value hold from a day on, in place of an earlier pin."""
        same = (t.c.rule == row.rule) & (t.c.meter == row.meter) & (t.c.name == row.name)
        with self._engine.begin() as db:
            is_here = (t.c.day == row.day) | t.c.pinned_by.isnot(None)
            db.execute(delete(t).where(same & is_here))
            db.execute(insert(t).values(**asdict(row)))

    def has(self, rule: str, meter: str, name: str) -> bool:
        """Say whether a rule ever learned or holds this of a meter."""
        same = (t.c.rule == rule) & (t.c.meter == meter) & (t.c.name == name)
        with self._engine.connect() as db:
            return db.execute(select(t.c.id).where(same).limit(1)).first() is not None

    def unpin(self, rule: str, meter: str, name: str) -> bool:
        """Take a pin out; what is learned holds again.  False: there was none."""
        same = (t.c.rule == rule) & (t.c.meter == meter) & (t.c.name == name)
        with self._engine.begin() as db:
            return bool(db.execute(delete(t).where(same, t.c.pinned_by.isnot(None))).rowcount)

    def pinned(self) -> list[LearnedRow]:
        """Give every pin, by rule, meter, name."""
        query = select(t).where(t.c.pinned_by.isnot(None)).order_by(t.c.rule, t.c.meter, t.c.name)
        with self._engine.connect() as db:
            rows = [dict(r) for r in db.execute(query).mappings()]
        return [LearnedRow(**{k: v for k, v in r.items() if k != "id"}) for r in rows]

    def forget(self, before: str) -> int:
        """Drop what was learned before an ISO day, pins not; give how many values."""
        old = (t.c.day < before) & t.c.pinned_by.is_(None)
        with self._engine.begin() as db:
            return int(db.execute(delete(t).where(old)).rowcount)
