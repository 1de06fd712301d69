"""Fleet: receipts rolled up by day, agents' reports, configurations for agents and their states."""

from alembic import op

from server.state import schema

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# as they stood at this revision; a later one alters them
TABLES = (
    schema.delivery_day, schema.delivery_report, schema.agent_config, schema.agent_config_state,
)  # fmt: skip


def upgrade() -> None:
    """Create the tables."""
    for table in TABLES:
        table.create(op.get_bind())


def downgrade() -> None:
    """Drop the tables."""
    for table in reversed(TABLES):
        table.drop(op.get_bind())
