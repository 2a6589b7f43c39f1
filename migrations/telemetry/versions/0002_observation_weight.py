"""How many observed rows a stored one stands for; what was stored before stands for itself."""

from migrations.telemetry import ddl

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column; a default costs nothing for what is stored."""
    ddl.alter_table("observations", "ADD COLUMN weight Float64 DEFAULT 1 AFTER segment")


def downgrade() -> None:
    """Drop the column."""
    ddl.alter_table("observations", "DROP COLUMN weight")
