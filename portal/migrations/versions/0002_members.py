"""Members: invitations, last activity."""

import sqlalchemy as sa
from alembic import op

from portal.migrations import rows

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("member", sa.Column("last_active_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "invitation",
        sa.Column(
            "workspace_id", sa.BigInteger(), server_default=sa.text("app_workspace_id()"), nullable=False
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("seat", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("invited_by", sa.Integer(), nullable=True),
        sa.Column("accepted_by", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["invited_by"], ["user_account.id"], name=op.f("fk_invitation_invited_by")),
        sa.ForeignKeyConstraint(["accepted_by"], ["user_account.id"], name=op.f("fk_invitation_accepted_by")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_invitation_workspace_id")),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_invitation")),
    )
    op.create_index(
        "uq_invitation_open",
        "invitation",
        ["workspace_id", "email"],
        unique=True,
        postgresql_where=sa.text("state = 'open'"),
    )
    rows.isolate("invitation")
    op.execute(f"GRANT USAGE, SELECT ON SEQUENCE invitation_id_seq TO {rows.APP}, {rows.SYSTEM}")
