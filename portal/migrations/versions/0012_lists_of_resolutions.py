"""What pages list besides a period's units: those taken back, those never counted, those contested."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_resolution_reversed",
        "resolution",
        ["workspace_id", "reversed_at", "conversation_id", "episode"],
        unique=False,
        postgresql_where=sa.text("state = 'reversed'"),
    )
    op.create_index(
        "ix_resolution_not_billable",
        "resolution",
        ["workspace_id", "answered_at", "conversation_id", "episode"],
        unique=False,
        postgresql_where=sa.text("state = 'not_billable'"),
    )
    op.create_index(
        "ix_resolution_contested",
        "resolution",
        ["workspace_id", "period_start", "billable_at", "conversation_id", "episode"],
        unique=False,
        postgresql_where=sa.text("contest IS NOT NULL"),
    )
