"""Grants beside the first one of a lot: for units that came back, at another price, after a dispute was won."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from portal.migrations import rows

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_grant()
    rows.isolate("credit_grant")
    op.add_column("usage_credit", sa.Column("line_amount", sa.BigInteger(), nullable=True))
    op.add_column("usage_credit", sa.Column("lot_id", sa.String(), nullable=True))
    op.add_column("usage_credit", sa.Column("grant_id", sa.String(), nullable=True))


def create_grant() -> None:
    op.create_table(
        "credit_grant",
        sa.Column(
            "workspace_id", sa.BigInteger(), server_default=sa.text("app_workspace_id()"), nullable=False
        ),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("lot_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("source", sa.Text(collation="C"), nullable=False),
        sa.Column("state", sa.String(), server_default=sa.text("'open'"), nullable=False),
        sa.Column("units", sa.BigInteger(), nullable=False),
        sa.Column("price_id", sa.String(), nullable=False),
        sa.Column("unit_amount", sa.Numeric(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("value", sa.BigInteger(), nullable=True),
        sa.Column("stripe_credit_grant_id", sa.String(), nullable=True),
        sa.Column("tried_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refusals", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("error", postgresql.JSONB(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "lot_id"],
            ["credit_lot.workspace_id", "credit_lot.id"],
            name=op.f("fk_credit_grant_workspace_id_lot_id"),
        ),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_credit_grant_workspace_id")),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_credit_grant")),
        sa.UniqueConstraint(
            "workspace_id", "lot_id", "kind", "source", name=op.f("uq_credit_grant_workspace_id_lot_id_kind_source")
        ),
        sa.UniqueConstraint(
            "workspace_id",
            "stripe_credit_grant_id",
            name=op.f("uq_credit_grant_workspace_id_stripe_credit_grant_id"),
        ),
    )
    op.create_index(
        "ix_credit_grant_unfinished",
        "credit_grant",
        ["updated_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('open', 'made')"),
    )
