"""Tables.  Times are epoch milliseconds UTC; money is a decimal string."""

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
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
    Column("severity", String(16), nullable=False, server_default="notice"),
    Column("work", String(16), nullable=False, server_default="new"),
    Column("cause_key", String(128), nullable=False, server_default=""),
    Column("parent_id", Integer),
    Column("assigned_to", String(64)),
    Column("muted_until_ms", BigInteger),
    Column("closed_ms", BigInteger),
    Column("kgco2", Float),
    Column("evidence", Text, nullable=False, server_default="{}"),
    UniqueConstraint("rule", "meter", "start_ms", name="one_alert_a_start"),
    Index("alert_by_time", "start_ms"),
    Index("alert_by_phase", "phase", "work"),
)

transition = Table(
    "transition",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("alert_id", Integer, ForeignKey("alert.id"), nullable=False),
    Column("to_phase", String(16), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("recorded_ms", BigInteger, nullable=False),
    Column("by", String(64), nullable=False, server_default="system"),
    Column("detail", Text, nullable=False, server_default="{}"),
    # set in the transaction that wrote its messages, or decided that there are none
    Column("planned_ms", BigInteger),
    UniqueConstraint("alert_id", "to_phase", "at_ms", name="one_transition_a_moment"),
    Index("transition_unplanned", "planned_ms"),
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

counter_event = Table(
    "counter_event",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("meter", String(64), nullable=False),
    Column("kind", String(24), nullable=False),
    Column("start_ms", BigInteger, nullable=False),
    Column("end_ms", BigInteger, nullable=False),
    Column("ticks", BigInteger, nullable=False),
    Index("counter_event_by_meter", "meter", "end_ms"),
)

touch = Table(
    "touch",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("meter", String(64), nullable=False),
    Column("start_ms", BigInteger, nullable=False),
    Column("end_ms", BigInteger, nullable=False),
    Column("cause", String(300), nullable=False),
)

repair = Table(
    "repair",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("meter", String(64), nullable=False),
    Column("start_ms", BigInteger, nullable=False),
    Column("end_ms", BigInteger, nullable=False),
    Column("content", Text, nullable=False),
    Column("reason", String(300), nullable=False),
    Column("author", String(64), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("undone_ms", BigInteger),
    Index("repair_by_meter", "meter"),
)

change_note = Table(
    "change_note",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("recorded_ms", BigInteger, nullable=False),
    Column("meter", String(64), nullable=False),
    Column("start_ms", BigInteger, nullable=False),
    Column("end_ms", BigInteger, nullable=False),
    Column("before", Float, nullable=False),
    Column("after", Float),
    Column("unit", String(8), nullable=False),
    Column("cause", String(300), nullable=False),
    Index("change_note_by_time", "start_ms"),
)

period = Table(
    "period",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("label", String(16), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("start_ms", BigInteger, nullable=False),
    Column("end_ms", BigInteger, nullable=False),
    Column("closed_ms", BigInteger, nullable=False),
    Column("closed_by", String(64), nullable=False),
    Column("reason", String(300), nullable=False),
    Column("content", Text, nullable=False),
    UniqueConstraint("label", "revision", name="one_revision_once"),
)

correction = Table(
    "correction",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("label", String(16), nullable=False),
    Column("opened_ms", BigInteger, nullable=False),
    Column("subject", String(128), nullable=False),
    Column("before", String(40), nullable=False),
    Column("after", String(40), nullable=False),
    Column("unit", String(16), nullable=False),
    Column("cause", String(300), nullable=False),
    Column("revision", Integer),
    Index("correction_by_label", "label"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("who", String(64), nullable=False),
    Column("action", String(40), nullable=False),
    Column("object", String(128), nullable=False),
    Column("reason", String(300), nullable=False),
    Column("detail", Text, nullable=False),
)

known = Table(
    "known",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("content", Text, nullable=False),
)

# an agent's receipts of a UTC day, joined: `runs` are rows of server.delivery.RUN as they lie
delivery_day = Table(
    "delivery_day",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("agent", String(64), nullable=False),
    Column("day_ms", BigInteger, nullable=False),
    Column("runs", LargeBinary, nullable=False),
    UniqueConstraint("agent", "day_ms", name="one_delivery_day"),
)

delivery_report = Table(
    "delivery_report",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("agent", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("outbox_id", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("amount", BigInteger, nullable=False),
    UniqueConstraint("agent", "kind", "at_ms", name="one_delivery_report"),
)

agent_config = Table(
    "agent_config",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("agent", String(64), nullable=False),
    Column("serial", BigInteger, nullable=False),
    Column("issued_ms", BigInteger, nullable=False),
    Column("config", Text, nullable=False),
    Column("signature", String(128), nullable=False),
    Column("author", String(64), nullable=False),
    Column("reason", String(300), nullable=False),
    Column("cancelled_ms", BigInteger),
    UniqueConstraint("agent", "serial", name="one_serial_once"),
)

agent_config_state = Table(
    "agent_config_state",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("agent", String(64), nullable=False),
    Column("serial", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("detail", String(2000), nullable=False),
    Column("config_hash", String(16), nullable=False),
    Index("agent_config_state_by_agent", "agent", "id"),
)
