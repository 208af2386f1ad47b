"""Limits: budgets and caps, the row that holds them, reservations, alerts, and what was allowed on top."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from portal.migrations import rows

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

OWNER = sa.text("app_workspace_id()")


def upgrade() -> None:
    create_usage_limit()
    create_allowance()
    create_reservation()
    create_usage_alert()
    create_cap_raise()
    for table in ("usage_limit", "allowance", "reservation", "usage_alert", "cap_raise"):
        rows.isolate(table)
    rows.only_grows("cap_raise")


def workspace_id() -> sa.Column[int]:
    return sa.Column("workspace_id", sa.BigInteger(), server_default=OWNER, nullable=False)


def of_workspace(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["workspace_id"], ["workspace.id"], name=op.f(f"fk_{table}_workspace_id")
    )


def create_usage_limit() -> None:
    op.create_table(
        "usage_limit",
        workspace_id(),
        sa.Column("budget", sa.BigInteger(), nullable=True),
        sa.Column("cap_units", sa.BigInteger(), nullable=True),
        sa.Column("cap_amount", sa.BigInteger(), nullable=True),
        sa.Column("cap_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("hard", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("at_cap", sa.String(), server_default=sa.text("'stop'"), nullable=False),
        sa.Column("approver_id", sa.BigInteger(), nullable=True),
        sa.Column("warn_50", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("warn_80", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("warn_100", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("warn_forecast", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("recipients", postgresql.JSONB(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "cap_units IS NULL OR cap_amount IS NULL", name=op.f("ck_usage_limit_one_cap")
        ),
        sa.CheckConstraint(
            "budget >= 0 AND cap_units >= 0 AND cap_amount >= 0", name=op.f("ck_usage_limit_not_negative")
        ),
        of_workspace("usage_limit"),
        sa.PrimaryKeyConstraint("workspace_id", name=op.f("pk_usage_limit")),
    )


def create_allowance() -> None:
    op.create_table(
        "allowance",
        workspace_id(),
        sa.Column("period_start", sa.DateTime(timezone=True), nullable=True),
        sa.Column("period_end", sa.DateTime(timezone=True), nullable=True),
        sa.Column("used", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("held", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("cap", sa.BigInteger(), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("looked_at", sa.DateTime(timezone=True), nullable=True),
        of_workspace("allowance"),
        sa.PrimaryKeyConstraint("workspace_id", name=op.f("pk_allowance")),
        # room on the page for the next version of the row, so that no index is touched by an update
        postgresql_with={"fillfactor": 50},
    )


def create_reservation() -> None:
    op.create_table(
        "reservation",
        workspace_id(),
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("conversation_id", sa.Text(collation="C"), nullable=False),
        sa.Column("state", sa.String(), server_default=sa.text("'held'"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_reservation")),
    )
    op.create_index(
        "uq_reservation_open",
        "reservation",
        ["workspace_id", "conversation_id"],
        unique=True,
        postgresql_where=sa.text("state IN ('held', 'answered')"),
    )
    op.create_index(
        "ix_reservation_lapse",
        "reservation",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("state = 'held'"),
    )
    op.create_index(
        "ix_reservation_prune",
        "reservation",
        ["settled_at"],
        unique=False,
        postgresql_where=sa.text("settled_at IS NOT NULL"),
    )


def create_usage_alert() -> None:
    op.create_table(
        "usage_alert",
        workspace_id(),
        sa.Column("period_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("reached", sa.BigInteger(), nullable=False),
        sa.Column("out_of", sa.BigInteger(), nullable=False),
        sa.Column("mailed", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        of_workspace("usage_alert"),
        sa.PrimaryKeyConstraint("workspace_id", "period_start", "name", name=op.f("pk_usage_alert")),
    )


def create_cap_raise() -> None:
    op.create_table(
        "cap_raise",
        workspace_id(),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("period_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("units", sa.BigInteger(), nullable=False),
        sa.Column("allowed_by", sa.BigInteger(), nullable=True),
        sa.Column("allowed_at", sa.DateTime(timezone=True), nullable=False),
        of_workspace("cap_raise"),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_cap_raise")),
    )
