"""What Stripe's meters made of the ledger: errors, comparisons, credits of single units; the reporter's marks."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from portal.migrations import rows

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

# what the reporter, which works on all workspaces at once, writes on the outbox
REPORTED = "state, first_tried_at, sent_at, claimed_until, attempts, error, cancel_tried_at, cancelled_at"


def upgrade() -> None:
    mark_meter_event()
    create_meter_error()
    create_usage_match()
    create_usage_difference()
    create_usage_credit()
    for table in ("usage_match", "usage_difference", "usage_credit"):
        rows.isolate(table)
    rows.share("meter_error")


def mark_meter_event() -> None:
    op.add_column("meter_event", sa.Column("cancel_tried_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("meter_event", sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("meter_event", sa.Column("resent_as", sa.Text(collation="C"), nullable=True))
    op.create_index(
        "ix_meter_event_unsettled",
        "meter_event",
        ["at"],
        unique=False,
        postgresql_where=sa.text("state IN ('crediting', 'failed')"),
    )
    op.execute(
        f"CREATE POLICY meter_event_report ON meter_event FOR UPDATE TO {rows.SYSTEM}"
        " USING (true) WITH CHECK (true)"
    )
    op.execute(f"GRANT UPDATE ({REPORTED}) ON meter_event TO {rows.SYSTEM}")


def workspace_id() -> sa.Column[int]:
    return sa.Column(
        "workspace_id", sa.BigInteger(), server_default=sa.text("app_workspace_id()"), nullable=False
    )


def of_workspace(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["workspace_id"], ["workspace.id"], name=op.f(f"fk_{table}_workspace_id")
    )


def create_meter_error() -> None:
    op.create_table(
        "meter_error",
        sa.Column("stripe_event_id", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("event_name", sa.String(), nullable=True),
        sa.Column("errors", sa.BigInteger(), nullable=False),
        sa.Column("marked", sa.BigInteger(), nullable=False),
        sa.Column("samples", JSONB(), nullable=False),
        sa.Column("summary", sa.String(), nullable=False),
        sa.Column("window_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("window_end", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("examined_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("stripe_event_id", "code", name=op.f("pk_meter_error")),
    )


def create_usage_match() -> None:
    op.create_table(
        "usage_match",
        workspace_id(),
        sa.Column("period_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("stripe_invoice_id", sa.String(), nullable=False),
        sa.Column("ledger", sa.BigInteger(), nullable=False),
        sa.Column("invoiced", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("parts", JSONB(), nullable=False),
        sa.Column("compared_at", sa.DateTime(timezone=True), nullable=False),
        of_workspace("usage_match"),
        sa.PrimaryKeyConstraint("workspace_id", "period_start", "key", name=op.f("pk_usage_match")),
    )
    op.create_index(
        op.f("ix_usage_match_stripe_invoice_id"), "usage_match", ["stripe_invoice_id"], unique=False
    )
    op.create_index(
        "ix_usage_match_state",
        "usage_match",
        ["state"],
        unique=False,
        postgresql_where=sa.text("state <> 'matched'"),
    )


def create_usage_difference() -> None:
    op.create_table(
        "usage_difference",
        workspace_id(),
        sa.Column("period_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("ledger", sa.BigInteger(), nullable=False),
        sa.Column("sent", sa.BigInteger(), nullable=False),
        sa.Column("stripe", sa.BigInteger(), nullable=True),
        sa.Column("rollup", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("parts", JSONB(), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        of_workspace("usage_difference"),
        sa.PrimaryKeyConstraint("workspace_id", "period_start", "key", name=op.f("pk_usage_difference")),
    )


def create_usage_credit() -> None:
    op.create_table(
        "usage_credit",
        workspace_id(),
        sa.Column("identifier", sa.Text(collation="C"), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("source", sa.Text(collation="C"), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), server_default=sa.text("'open'"), nullable=False),
        sa.Column("stripe_invoice_id", sa.String(), nullable=True),
        sa.Column("line_id", sa.String(), nullable=True),
        sa.Column("currency", sa.String(), nullable=True),
        sa.Column("amount", sa.BigInteger(), nullable=True),
        sa.Column("total", sa.BigInteger(), nullable=True),
        sa.Column("refunded", sa.BigInteger(), nullable=True),
        sa.Column("credit_note_id", sa.String(), nullable=True),
        sa.Column("tried_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", JSONB(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        of_workspace("usage_credit"),
        sa.PrimaryKeyConstraint("workspace_id", "identifier", name=op.f("pk_usage_credit")),
    )
    op.create_index(
        "ix_usage_credit_open",
        "usage_credit",
        ["updated_at"],
        unique=False,
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index(
        op.f("ix_usage_credit_stripe_invoice_id"), "usage_credit", ["stripe_invoice_id"], unique=False
    )
