"""Contests of resolutions."""

import sqlalchemy as sa
from alembic import op

from portal.migrations import rows

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "contest",
        sa.Column(
            "workspace_id", sa.BigInteger(), server_default=sa.text("app_workspace_id()"), nullable=False
        ),
        sa.Column("conversation_id", sa.Text(collation="C"), nullable=False),
        sa.Column("episode", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("comment", sa.String(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("by_rule", sa.Boolean(), nullable=False),
        sa.Column("created_by", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answer", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_contest_workspace_id")),
        sa.PrimaryKeyConstraint("workspace_id", "conversation_id", "episode", name=op.f("pk_contest")),
    )
    op.create_index(
        "ix_contest_open",
        "contest",
        ["created_at"],
        unique=False,
        postgresql_where=sa.text("state = 'open'"),
    )
    rows.isolate("contest")
