"""The checklist: latest results, changes of state, and the checks' memory."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the tables."""
    time = sa.DateTime(timezone=True)
    op.create_table(
        "checklist_results",
        sa.Column("name", sa.String, nullable=False),
        sa.Column("title", sa.String, nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("summary", sa.String, nullable=False),
        sa.Column("evidence", sa.JSON, nullable=False),
        sa.Column("remedy", sa.String, nullable=False),
        sa.Column("observed_at", time, nullable=False),
        sa.Column("since", time, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_checklist_results"),
    )
    op.create_table(
        "checklist_changes",
        sa.Column("id", sa.Integer, autoincrement=True, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("previous", sa.String, nullable=True),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("summary", sa.String, nullable=False),
        sa.Column("changed_at", time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_checklist_changes"),
    )
    op.create_index("ix_checklist_changes_name_changed_at", "checklist_changes", ["name", "changed_at"])
    op.create_table(
        "checklist_memory",
        sa.Column("check_name", sa.String, nullable=False),
        sa.Column("key", sa.String, nullable=False),
        sa.Column("value", sa.JSON, nullable=False),
        sa.Column("updated_at", time, nullable=False),
        sa.PrimaryKeyConstraint("check_name", "key", name="pk_checklist_memory"),
    )


def downgrade() -> None:
    """Drop the tables."""
    for name in ("checklist_memory", "checklist_changes", "checklist_results"):
        op.drop_table(name)
