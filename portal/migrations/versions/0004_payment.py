"""Payment methods and failed renewals."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from portal.migrations import rows

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

LIVE = "state IN ('open', 'awaiting', 'processing')"


def upgrade() -> None:
    op.create_table(
        "payment_method",
        sa.Column(
            "workspace_id", sa.BigInteger(), server_default=sa.text("app_workspace_id()"), nullable=False
        ),
        sa.Column("stripe_id", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("brand", sa.String(), nullable=True),
        sa.Column("last4", sa.String(), nullable=True),
        sa.Column("exp_month", sa.Integer(), nullable=True),
        sa.Column("exp_year", sa.Integer(), nullable=True),
        sa.Column("email", sa.String(), nullable=True),
        sa.Column("fingerprint", sa.String(), nullable=True),
        sa.Column("customer_default", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("synced_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name=op.f("fk_payment_method_workspace_id")
        ),
        sa.PrimaryKeyConstraint("workspace_id", "stripe_id", name=op.f("pk_payment_method")),
    )
    op.create_table(
        "payment_action",
        sa.Column(
            "workspace_id", sa.BigInteger(), server_default=sa.text("app_workspace_id()"), nullable=False
        ),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("make_default", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("stripe_method_id", sa.String(), nullable=True),
        sa.Column("stripe_invoice_id", sa.String(), nullable=True),
        sa.Column("stripe_intent_id", sa.String(), nullable=True),
        sa.Column("error", postgresql.JSONB(), nullable=True),
        sa.Column("created_by", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name=op.f("fk_payment_action_workspace_id")
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_payment_action")),
    )
    op.create_index(
        op.f("ix_payment_action_stripe_intent_id"), "payment_action", ["stripe_intent_id"], unique=False
    )
    op.create_index("ix_payment_action_sweep", "payment_action", ["state", "updated_at"], unique=False)
    op.create_index(
        "uq_payment_action_paying",
        "payment_action",
        ["workspace_id", "stripe_invoice_id"],
        unique=True,
        postgresql_where=sa.text(f"kind = 'pay' AND {LIVE}"),
    )
    op.create_index(
        "uq_payment_action_arranging",
        "payment_action",
        ["workspace_id"],
        unique=True,
        postgresql_where=sa.text(f"kind IN ('default', 'remove') AND {LIVE}"),
    )
    for table in ("payment_method", "payment_action"):
        rows.isolate(table)
