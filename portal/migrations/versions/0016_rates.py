"""What usage costs from its next month on is planned as well, beside a change or alone."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("planned_change", sa.Column("rates", postgresql.JSONB(), nullable=True))
    op.add_column("planned_change", sa.Column("rates_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "planned_change",
        sa.Column("rates_only", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )


def downgrade() -> None:
    for name in ("rates_only", "rates_at", "rates"):
        op.drop_column("planned_change", name)
