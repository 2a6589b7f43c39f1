"""Drift: baselines, judged windows, and where each monitor stands."""

import sqlalchemy as sa
from alembic import op

from store.control import UtcDateTime

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "drift_baselines",
        sa.Column("monitor", sa.String(200), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("captured_at", UtcDateTime(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("monitor", "version", name="drift_baselines_pk"),
    )
    op.create_table(
        "drift_windows",
        sa.Column("monitor", sa.String(200), nullable=False),
        sa.Column("baseline_version", sa.Integer(), nullable=False),
        sa.Column("window_start", UtcDateTime(), nullable=False),
        sa.Column("window_end", UtcDateTime(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("monitor", "baseline_version", "window_start", name="drift_windows_pk"),
    )
    op.create_table(
        "drift_monitors",
        sa.Column("monitor", sa.String(200), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("baseline_version", sa.Integer(), nullable=True),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("judged_until", UtcDateTime(), nullable=True),
        sa.Column("rows_until", UtcDateTime(), nullable=True),
        sa.Column("looked_at", UtcDateTime(), nullable=False),
        sa.Column("course", sa.JSON(), nullable=True),
        sa.Column("progress", sa.JSON(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("monitor", name="drift_monitors_pk"),
    )


def downgrade() -> None:
    """Drop the tables."""
    for name in ("drift_monitors", "drift_windows", "drift_baselines"):
        op.drop_table(name)
