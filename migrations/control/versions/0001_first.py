"""The control store begins."""

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Nothing yet: the version table itself marks the store as Andon's."""


def downgrade() -> None:
    pass
