"""Tables.  Times are epoch milliseconds UTC; money is a decimal string."""

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

metadata = MetaData()

alert = Table(
    "alert",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("rule", String(64), nullable=False),
    Column("rule_version", Integer, nullable=False),
    Column("meter", String(64), nullable=False),
    Column("building", String(64), nullable=False),
    Column("phase", String(16), nullable=False),
    Column("start_ms", BigInteger, nullable=False),
    Column("fired_ms", BigInteger, nullable=False),
    Column("end_ms", BigInteger),
    Column("excess", Float, nullable=False),
    Column("unit", String(8), nullable=False),
    Column("yuan", String(24)),
    Column("floor", Float, nullable=False),
    Column("known_share", Float, nullable=False),
    Column("day_state", String(16), nullable=False),
    UniqueConstraint("rule", "meter", "start_ms", name="one_alert_a_start"),
    Index("alert_by_time", "start_ms"),
)

transition = Table(
    "transition",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("alert_id", Integer, ForeignKey("alert.id"), nullable=False),
    Column("to_phase", String(16), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("recorded_ms", BigInteger, nullable=False),
    UniqueConstraint("alert_id", "to_phase", "at_ms", name="one_transition_a_moment"),
)

lease = Table(
    "lease",
    metadata,
    Column("job", String(64), primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("until_ms", BigInteger, nullable=False),
)

mark = Table(
    "mark",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", BigInteger, nullable=False),
)
