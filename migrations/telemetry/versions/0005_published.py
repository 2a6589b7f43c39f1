"""When a folded minute was published: what it replaced is deleted when no reader can still read it."""

from migrations.telemetry import ddl

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the column; what was published before counts as published when its rows are next merged."""
    ddl.alter_table("folded_minutes", "ADD COLUMN published_at DateTime64(6, 'UTC') DEFAULT now64(6)")


def downgrade() -> None:
    """Drop the column."""
    ddl.alter_table("folded_minutes", "DROP COLUMN published_at")
