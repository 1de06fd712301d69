"""Books: counter events, touches, repairs, change notes, periods, corrections, audit."""

from alembic import op

from server.state import schema

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# as they stood at this revision; a later one alters them
TABLES = (
    schema.counter_event, schema.touch, schema.repair, schema.change_note, schema.period,
    schema.correction, schema.audit, schema.known,
)  # fmt: skip


def upgrade() -> None:
    """Create the tables."""
    for table in TABLES:
        table.create(op.get_bind())


def downgrade() -> None:
    """Drop the tables."""
    for table in reversed(TABLES):
        table.drop(op.get_bind())
