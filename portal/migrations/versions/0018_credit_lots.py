"""Annual credits as they are held: lots, and the ledger of what became of their units."""

import sqlalchemy as sa
from alembic import op

from portal.migrations import rows

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_lot()
    create_entry()
    for table in ("credit_lot", "credit_entry"):
        rows.isolate(table)
    rows.only_grows("credit_entry")


def create_lot() -> None:
    op.create_table(
        "credit_lot",
        sa.Column(
            "workspace_id", sa.BigInteger(), server_default=sa.text("app_workspace_id()"), nullable=False
        ),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("purchase_id", sa.String(), nullable=False),
        sa.Column("units", sa.BigInteger(), nullable=False),
        sa.Column("unit_amount", sa.Numeric(), nullable=False),
        sa.Column("price_id", sa.String(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stripe_credit_grant_id", sa.String(), nullable=True),
        sa.Column("grant_value", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_why", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "purchase_id"],
            ["credit_purchase.workspace_id", "credit_purchase.id"],
            name=op.f("fk_credit_lot_workspace_id_purchase_id"),
        ),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_credit_lot_workspace_id")),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_credit_lot")),
        sa.UniqueConstraint("workspace_id", "purchase_id", name=op.f("uq_credit_lot_workspace_id_purchase_id")),
        sa.UniqueConstraint(
            "workspace_id",
            "stripe_credit_grant_id",
            name=op.f("uq_credit_lot_workspace_id_stripe_credit_grant_id"),
        ),
    )
    op.create_index(
        op.f("ix_credit_lot_workspace_id_expires_at"),
        "credit_lot",
        ["workspace_id", "expires_at"],
        unique=False,
    )


def create_entry() -> None:
    op.create_table(
        "credit_entry",
        sa.Column(
            "workspace_id", sa.BigInteger(), server_default=sa.text("app_workspace_id()"), nullable=False
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("lot_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("period_start", sa.DateTime(timezone=True), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.Text(collation="C"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "lot_id"],
            ["credit_lot.workspace_id", "credit_lot.id"],
            name=op.f("fk_credit_entry_workspace_id_lot_id"),
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name=op.f("fk_credit_entry_workspace_id")
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_credit_entry")),
        sa.UniqueConstraint(
            "workspace_id", "lot_id", "kind", "source", name=op.f("uq_credit_entry_workspace_id_lot_id_kind_source")
        ),
    )
    op.create_index(
        op.f("ix_credit_entry_workspace_id_period_start_id"),
        "credit_entry",
        ["workspace_id", "period_start", "id"],
        unique=False,
    )
