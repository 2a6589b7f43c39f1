"""Many processes: leases of every task, and the heartbeats of the collectors."""

import sqlalchemy as sa
from alembic import op

from store.control import UtcDateTime

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """The lease of the alerts becomes one of several; whoever held it takes it again."""
    op.drop_table("alert_lease")
    op.create_table(
        "lease",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_lease"),
    )
    op.create_table(
        "collector",
        sa.Column("instance", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("started", UtcDateTime(), nullable=False),
        sa.Column("seen_at", UtcDateTime(), nullable=False),
        sa.Column("waiting_since", UtcDateTime(), nullable=True),
        sa.Column("stopped", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("instance", name="pk_collector"),
    )


def downgrade() -> None:
    op.drop_table("collector")
    op.drop_table("lease")
    op.create_table(
        "alert_lease",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_alert_lease"),
    )
