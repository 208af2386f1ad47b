"""Changes: planned changes, negotiated discounts, terms of quotes."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from portal.migrations import rows

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("quote", sa.Column("terms", postgresql.JSONB()))
    op.add_column("subscription", sa.Column("anchor", sa.DateTime(timezone=True)))
    create_planned_change()
    create_negotiated_discount()
    for table in ("planned_change", "negotiated_discount"):
        rows.isolate(table)


def workspace() -> sa.Column:
    return sa.Column(
        "workspace_id",
        sa.BigInteger(),
        server_default=sa.text("app_workspace_id()"),
        nullable=False,
    )


def moment(name: str, *, required: bool = False) -> sa.Column:
    default = sa.text("now()") if required else None
    return sa.Column(name, sa.DateTime(timezone=True), nullable=not required, server_default=default)


def create_planned_change() -> None:
    op.create_table(
        "planned_change",
        workspace(),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("quote_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("stripe_subscription_id", sa.String(), nullable=False),
        sa.Column("selection", postgresql.JSONB(), nullable=False),
        sa.Column("catalog", sa.String(), nullable=False),
        sa.Column("leavers", postgresql.JSONB(), nullable=False),
        sa.Column("effective_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stripe_schedule_id", sa.String()),
        sa.Column("mirrored", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_by", sa.BigInteger()),
        moment("created_at", required=True),
        moment("updated_at", required=True),
        moment("settled_at"),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name="fk_planned_change_workspace_id"
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name="pk_planned_change"),
    )
    op.create_index(
        "uq_planned_change_live",
        "planned_change",
        ["workspace_id"],
        unique=True,
        postgresql_where=sa.text("state = 'planned'"),
    )
    op.create_index("ix_planned_change_sweep", "planned_change", ["mirrored", "updated_at"])


def create_negotiated_discount() -> None:
    op.create_table(
        "negotiated_discount",
        workspace(),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("line", sa.String(), nullable=False),
        sa.Column("percent_off", sa.Numeric()),
        sa.Column("amount_off", sa.BigInteger()),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("months", sa.Integer()),
        moment("ends_at"),
        sa.Column("stripe_subscription_id", sa.String(), nullable=False),
        sa.Column("stripe_coupon_id", sa.String()),
        sa.Column("stripe_discount_id", sa.String()),
        moment("created_at", required=True),
        moment("ended_at"),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name="fk_negotiated_discount_workspace_id"
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name="pk_negotiated_discount"),
    )
