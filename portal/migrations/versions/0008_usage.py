"""Usage: conversation events and the units they make, the ledger and its rollup, periods, Stripe's outbox."""

import sqlalchemy as sa
from alembic import op

from portal.migrations import rows

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_conversation_event()
    create_resolution()
    create_usage_entry()
    create_usage_day()
    create_usage_period()
    create_meter_event()
    for table in (
        "conversation_event",
        "resolution",
        "usage_entry",
        "usage_day",
        "usage_period",
        "meter_event",
    ):
        rows.isolate(table)
    rows.only_grows("conversation_event")
    rows.only_grows("usage_entry")


def create_conversation_event() -> None:
    op.create_table(
        "conversation_event",
        sa.Column(
            "workspace_id", sa.BigInteger(), server_default=sa.text("app_workspace_id()"), nullable=False
        ),
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("conversation_id", sa.Text(collation="C"), nullable=False),
        sa.Column("type", sa.Text(collation="C"), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("channel", sa.Text(collation="C"), nullable=False),
        sa.Column("test", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_conversation_event")),
    )
    op.create_index(
        op.f("ix_conversation_event_workspace_id_conversation_id"),
        "conversation_event",
        ["workspace_id", "conversation_id"],
        unique=False,
    )


def create_resolution() -> None:
    op.create_table(
        "resolution",
        sa.Column(
            "workspace_id", sa.BigInteger(), server_default=sa.text("app_workspace_id()"), nullable=False
        ),
        sa.Column("conversation_id", sa.Text(collation="C"), nullable=False),
        sa.Column("episode", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.Text(collation="C"), nullable=False),
        sa.Column("kind", sa.Text(collation="C"), nullable=True),
        sa.Column("because", sa.Text(collation="C"), nullable=False),
        sa.Column("channel", sa.Text(collation="C"), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("matures_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("billable_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reversed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("period_start", sa.DateTime(timezone=True), nullable=True),
        sa.Column("charge", sa.Text(collation="C"), nullable=True),
        sa.Column("counts", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("times", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("contest", sa.Text(collation="C"), nullable=True),
        sa.PrimaryKeyConstraint("workspace_id", "conversation_id", "episode", name=op.f("pk_resolution")),
    )
    op.create_index(
        "ix_resolution_due",
        "resolution",
        ["matures_at"],
        unique=False,
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(
        "ix_resolution_pending",
        "resolution",
        ["workspace_id", "matures_at"],
        unique=False,
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(
        "ix_resolution_period",
        "resolution",
        ["workspace_id", "period_start", "billable_at", "conversation_id", "episode"],
        unique=False,
        postgresql_where=sa.text("period_start IS NOT NULL"),
    )


def create_usage_entry() -> None:
    op.create_table(
        "usage_entry",
        sa.Column(
            "workspace_id", sa.BigInteger(), server_default=sa.text("app_workspace_id()"), nullable=False
        ),
        sa.Column("period_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("source", sa.Text(collation="C"), nullable=False),
        sa.Column("kind", sa.Text(collation="C"), nullable=False),
        sa.Column("basis", sa.Text(collation="C"), nullable=True),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("channel", sa.Text(collation="C"), nullable=False),
        sa.Column("charge", sa.Text(collation="C"), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent_quantity", sa.BigInteger(), nullable=True),
        sa.Column("note", sa.Text(collation="C"), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "period_start", "id", name=op.f("pk_usage_entry")),
        sa.UniqueConstraint(
            "workspace_id", "key", "source", "kind", name=op.f("uq_usage_entry_workspace_id_key_source_kind")
        ),
    )


def create_usage_day() -> None:
    op.create_table(
        "usage_day",
        sa.Column(
            "workspace_id", sa.BigInteger(), server_default=sa.text("app_workspace_id()"), nullable=False
        ),
        sa.Column("period_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("channel", sa.Text(collation="C"), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("charged", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("confirmed", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("assumed", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("reversed", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint(
            "workspace_id", "period_start", "key", "channel", "day", name=op.f("pk_usage_day")
        ),
        postgresql_with={"fillfactor": 70},
    )


def create_usage_period() -> None:
    op.create_table(
        "usage_period",
        sa.Column(
            "workspace_id", sa.BigInteger(), server_default=sa.text("app_workspace_id()"), nullable=False
        ),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stripe_subscription_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), server_default=sa.text("'open'"), nullable=False),
        sa.Column("trial", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("stripe_invoice_id", sa.String(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("used", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name=op.f("fk_usage_period_workspace_id")
        ),
        sa.PrimaryKeyConstraint("workspace_id", "starts_at", name=op.f("pk_usage_period")),
        postgresql_with={"fillfactor": 70},
    )
    op.create_index(
        "ix_usage_period_ending",
        "usage_period",
        ["ends_at"],
        unique=False,
        postgresql_where=sa.text("state = 'open'"),
    )


def create_meter_event() -> None:
    op.create_table(
        "meter_event",
        sa.Column(
            "workspace_id", sa.BigInteger(), server_default=sa.text("app_workspace_id()"), nullable=False
        ),
        sa.Column("identifier", sa.Text(collation="C"), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("event_name", sa.Text(collation="C"), nullable=False),
        sa.Column("stripe_customer_id", sa.Text(collation="C"), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("period_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("entry_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(collation="C"), server_default=sa.text("'waiting'"), nullable=False),
        sa.Column("first_tried_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("error", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("workspace_id", "identifier", name=op.f("pk_meter_event")),
    )
    op.create_index(
        "ix_meter_event_due",
        "meter_event",
        ["at"],
        unique=False,
        postgresql_where=sa.text("state IN ('waiting', 'sending', 'cancelling')"),
    )
