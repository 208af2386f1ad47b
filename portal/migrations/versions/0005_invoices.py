"""Invoices: adjustments, purchase orders, corrections."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from portal.migrations import rows

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

NOW = sa.text("now()")


def upgrade() -> None:
    op.add_column("billing_details", sa.Column("stripe_email", sa.String(), nullable=True))
    op.add_column("billing_details", sa.Column("purchase_order", sa.String(), nullable=True))
    create_adjustment()
    create_correction()
    create_details_request()
    for table in ("adjustment", "correction", "details_request"):
        rows.isolate(table)


def owner() -> sa.Column[int]:
    return sa.Column(
        "workspace_id", sa.BigInteger(), server_default=sa.text("app_workspace_id()"), nullable=False
    )


def of_workspace(table: str) -> tuple[sa.Constraint, sa.Constraint]:
    return (
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name=op.f(f"fk_{table}_workspace_id")
        ),
        sa.PrimaryKeyConstraint(
            "workspace_id", "stripe_id" if table == "adjustment" else "id", name=op.f(f"pk_{table}")
        ),
    )


def create_adjustment() -> None:
    op.create_table(
        "adjustment",
        owner(),
        sa.Column("stripe_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("stripe_invoice_id", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("details", postgresql.JSONB(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("synced_at", sa.DateTime(timezone=True), nullable=False),
        *of_workspace("adjustment"),
    )
    op.create_index(op.f("ix_adjustment_stripe_invoice_id"), "adjustment", ["stripe_invoice_id"])


def create_correction() -> None:
    op.create_table(
        "correction",
        owner(),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("stripe_invoice_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("wanted", postgresql.JSONB(), nullable=False),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("replacement_id", sa.String(), nullable=True),
        sa.Column("credit_note_id", sa.String(), nullable=True),
        sa.Column("error", postgresql.JSONB(), nullable=True),
        sa.Column("created_by", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        *of_workspace("correction"),
    )
    op.create_index(
        "uq_correction_live",
        "correction",
        ["workspace_id", "stripe_invoice_id"],
        unique=True,
        postgresql_where=sa.text("state IN ('open', 'done', 'stuck')"),
    )
    op.create_index("ix_correction_sweep", "correction", ["state", "updated_at"])


def create_details_request() -> None:
    op.create_table(
        "details_request",
        owner(),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("wanted", postgresql.JSONB(), nullable=False),
        sa.Column("before", postgresql.JSONB(), nullable=False),
        sa.Column("created_by", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        *of_workspace("details_request"),
    )
    op.create_index(
        "uq_details_request_open",
        "details_request",
        ["workspace_id"],
        unique=True,
        postgresql_where=sa.text("state = 'open'"),
    )
