"""Tables around alerts: the whitelist, what is learned, proofs of savings, messages and robots."""

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from server.state.schema import metadata

# use that is expected: what a rule says of a meter in these hours is not an alert
whitelist = Table(
    "whitelist",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("rule", String(64), nullable=False),
    Column("meter", String(64), nullable=False),
    Column("reason", String(32), nullable=False),
    Column("from_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger),
    Column("weekdays", String(7), nullable=False),
    Column("from_minute", Integer, nullable=False),
    Column("to_minute", Integer, nullable=False),
    Column("alert_id", Integer),
    Column("by", String(64), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Index("whitelist_by_meter", "meter", "rule"),
)

learned = Table(
    "learned",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("rule", String(64), nullable=False),
    Column("meter", String(64), nullable=False),
    Column("name", String(64), nullable=False),
    Column("day", String(10), nullable=False),
    Column("value", Float),
    Column("pinned_by", String(64)),
    Column("pinned_at", BigInteger),
    Column("reason", String(300)),
    UniqueConstraint("rule", "meter", "name", "day", name="one_learned_a_day"),
)

# what closing an alert saved, looked at again week by week; the newest row stands
proof = Table(
    "proof",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("alert_id", Integer, ForeignKey("alert.id"), nullable=False),
    Column("upto_ms", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("content", Text, nullable=False),
    UniqueConstraint("alert_id", "upto_ms", name="one_proof_a_week"),
)

outbound = Table(
    "outbound",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("channel", String(64), nullable=False),
    Column("dedupe", String(128), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("title", String(200), nullable=False),
    Column("body", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("due_ms", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("owner", String(64)),
    Column("claimed_until_ms", BigInteger),
    Column("attempts", Integer, nullable=False),
    Column("settled_ms", BigInteger),
    Column("error", String(300), nullable=False),
    UniqueConstraint("channel", "dedupe", name="one_message_once"),
    Index("outbound_due", "state", "due_ms"),
)

# which changes of state a message speaks of: none twice to one channel
outbound_part = Table(
    "outbound_part",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("outbound_id", Integer, ForeignKey("outbound.id"), nullable=False),
    Column("channel", String(64), nullable=False),
    Column("transition_id", Integer, ForeignKey("transition.id"), nullable=False),
    UniqueConstraint("channel", "transition_id", name="one_telling_a_channel"),
)

# how many messages a channel may take now, shared by all servers
bucket = Table(
    "bucket",
    metadata,
    Column("channel", String(64), primary_key=True),
    Column("tokens", Float, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("blocked_until_ms", BigInteger, nullable=False),
)
