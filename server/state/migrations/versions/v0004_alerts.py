"""The life of an alert: who did what, causes, whitelist, learned values, proofs, messages."""

import sqlalchemy as sa
from alembic import op

from server.state import alert_tables as t

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# as they stood at this revision; a later one alters them
TABLES = (t.whitelist, t.learned, t.proof, t.outbound, t.outbound_part, t.bucket)


def _alert_columns() -> tuple[sa.Column[object], ...]:
    return (
        sa.Column("severity", sa.String(16), nullable=False, server_default="notice"),
        sa.Column("work", sa.String(16), nullable=False, server_default="new"),
        sa.Column("cause_key", sa.String(128), nullable=False, server_default=""),
        sa.Column("parent_id", sa.Integer),
        sa.Column("assigned_to", sa.String(64)),
        sa.Column("muted_until_ms", sa.BigInteger),
        sa.Column("closed_ms", sa.BigInteger),
        sa.Column("kgco2", sa.Float),
        sa.Column("evidence", sa.Text, nullable=False, server_default="{}"),
    )  # fmt: skip


def _transition_columns() -> tuple[sa.Column[object], ...]:
    return (
        sa.Column("by", sa.String(64), nullable=False, server_default="system"),
        sa.Column("detail", sa.Text, nullable=False, server_default="{}"),
        sa.Column("planned_ms", sa.BigInteger),
    )


def upgrade() -> None:
    """Add the columns and tables; what happened before is not told again."""
    for column in _alert_columns():
        op.add_column("alert", column)
    for column in _transition_columns():
        op.add_column("transition", column)
    op.create_index("alert_by_phase", "alert", ["phase", "work"])
    op.create_index("transition_unplanned", "transition", ["planned_ms"])
    op.execute("UPDATE transition SET planned_ms = recorded_ms")
    for table in TABLES:
        table.create(op.get_bind())
    # the row that passes lock, so that they follow one another
    op.execute("INSERT INTO mark (name, value) VALUES ('alert_passes', 0)")


def downgrade() -> None:
    """Drop the tables and columns."""
    op.execute("DELETE FROM mark WHERE name = 'alert_passes'")
    for table in reversed(TABLES):
        table.drop(op.get_bind())
    op.drop_index("transition_unplanned", "transition")
    op.drop_index("alert_by_phase", "alert")
    for name, columns in (("transition", _transition_columns()), ("alert", _alert_columns())):
        for column in columns:
            op.drop_column(name, column.name)
