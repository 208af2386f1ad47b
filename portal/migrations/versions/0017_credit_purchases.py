"""Annual credits as they are bought: purchases, what is given back of them, and what buys by itself."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from portal.migrations import rows

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

TABLES = ("credit_purchase", "credit_refund", "credit_top_up")


def upgrade() -> None:
    create_purchase()
    create_refund()
    create_top_up()
    for table in TABLES:
        rows.isolate(table)


def owned(*columns: sa.Column[object] | sa.Constraint) -> list[sa.Column[object] | sa.Constraint]:
    owner = sa.Column(
        "workspace_id", sa.BigInteger(), server_default=sa.text("app_workspace_id()"), nullable=False
    )
    return [owner, *columns]


def moment(name: str, *, nullable: bool = True) -> sa.Column[object]:
    default = None if nullable else sa.text("now()")
    return sa.Column(name, sa.DateTime(timezone=True), server_default=default, nullable=nullable)


def number(name: str, *, nullable: bool = False, default: str | None = None) -> sa.Column[object]:
    return sa.Column(
        name, sa.BigInteger(), nullable=nullable, server_default=sa.text(default) if default else None
    )


def create_purchase() -> None:
    op.create_table(
        "credit_purchase",
        *owned(
            sa.Column("id", sa.String(), nullable=False),
            sa.Column("kind", sa.String(), nullable=False),
            sa.Column("state", sa.String(), nullable=False),
            number("units"),
            sa.Column("catalog", sa.String(), nullable=False),
            sa.Column("price_id", sa.String(), nullable=False),
            sa.Column("unit_amount", sa.Numeric(), nullable=False),
            sa.Column("percent_off", sa.Numeric(), nullable=False),
            number("amount"),
            sa.Column("currency", sa.String(), nullable=False),
            sa.Column("quote_id", sa.String(), nullable=True),
            sa.Column("stripe_invoice_id", sa.String(), nullable=True),
            sa.Column("renewal_of", sa.String(), nullable=True),
            sa.Column("renews", sa.Boolean(), server_default=sa.text("false"), nullable=False),
            moment("paid_at"),
            moment("granted_at"),
            moment("claimed_until"),
            moment("tried_at"),
            sa.Column("refusals", sa.Integer(), server_default=sa.text("0"), nullable=False),
            sa.Column("error", postgresql.JSONB(), nullable=True),
            number("created_by", nullable=True),
            moment("created_at", nullable=False),
            moment("updated_at", nullable=False),
            sa.CheckConstraint("units > 0 AND amount >= 0", name=op.f("ck_credit_purchase_not_negative")),
            sa.ForeignKeyConstraint(
                ["workspace_id", "quote_id"],
                ["quote.workspace_id", "quote.id"],
                name=op.f("fk_credit_purchase_workspace_id_quote_id"),
            ),
            sa.ForeignKeyConstraint(
                ["workspace_id"], ["workspace.id"], name=op.f("fk_credit_purchase_workspace_id")
            ),
            sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_credit_purchase")),
            sa.UniqueConstraint(
                "workspace_id",
                "stripe_invoice_id",
                name=op.f("uq_credit_purchase_workspace_id_stripe_invoice_id"),
            ),
            sa.UniqueConstraint(
                "workspace_id", "renewal_of", name=op.f("uq_credit_purchase_workspace_id_renewal_of")
            ),
        ),
    )
    op.create_index("ix_credit_purchase_sweep", "credit_purchase", ["state", "updated_at"], unique=False)


def create_refund() -> None:
    op.create_table(
        "credit_refund",
        *owned(
            sa.Column("id", sa.String(), nullable=False),
            sa.Column("purchase_id", sa.String(), nullable=False),
            sa.Column("kind", sa.String(), nullable=False),
            sa.Column("state", sa.String(), nullable=False),
            sa.Column("step", sa.String(), nullable=False),
            number("units"),
            number("kept_units", default="0"),
            sa.Column("reason", sa.String(), nullable=True),
            sa.Column("line_id", sa.String(), nullable=True),
            number("amount", nullable=True),
            number("total", nullable=True),
            number("refunded", nullable=True),
            number("balance", nullable=True),
            sa.Column("currency", sa.String(), nullable=False),
            sa.Column("credit_note_id", sa.String(), nullable=True),
            moment("claimed_until"),
            moment("tried_at"),
            sa.Column("error", postgresql.JSONB(), nullable=True),
            number("created_by", nullable=True),
            moment("created_at", nullable=False),
            moment("updated_at", nullable=False),
            sa.ForeignKeyConstraint(
                ["workspace_id", "purchase_id"],
                ["credit_purchase.workspace_id", "credit_purchase.id"],
                name=op.f("fk_credit_refund_workspace_id_purchase_id"),
            ),
            sa.ForeignKeyConstraint(
                ["workspace_id"], ["workspace.id"], name=op.f("fk_credit_refund_workspace_id")
            ),
            sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_credit_refund")),
            sa.UniqueConstraint(
                "workspace_id",
                "purchase_id",
                "kind",
                name=op.f("uq_credit_refund_workspace_id_purchase_id_kind"),
            ),
        ),
    )
    op.create_index(
        "uq_credit_refund_open",
        "credit_refund",
        ["workspace_id", "purchase_id"],
        unique=True,
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index("ix_credit_refund_sweep", "credit_refund", ["state", "updated_at"], unique=False)


def create_top_up() -> None:
    op.create_table(
        "credit_top_up",
        *owned(
            sa.Column("enabled", sa.Boolean(), server_default=sa.text("false"), nullable=False),
            number("below"),
            number("units"),
            sa.Column("most_times", sa.Integer(), nullable=False),
            number("most_amount"),
            sa.Column("pause_hours", sa.Integer(), nullable=False),
            moment("paused_until"),
            sa.Column("blocked", sa.String(), nullable=True),
            number("updated_by", nullable=True),
            moment("updated_at", nullable=False),
            sa.CheckConstraint("below >= 0 AND units > 0", name=op.f("ck_credit_top_up_not_negative")),
            sa.CheckConstraint(
                "most_times > 0 AND most_amount > 0 AND pause_hours > 0", name=op.f("ck_credit_top_up_limited")
            ),
            sa.ForeignKeyConstraint(
                ["workspace_id"], ["workspace.id"], name=op.f("fk_credit_top_up_workspace_id")
            ),
            sa.PrimaryKeyConstraint("workspace_id", name=op.f("pk_credit_top_up")),
        ),
    )
