"""What is held without an answer is counted and let go of a workspace at a time, whatever others hold."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_reservation_lapse", "reservation")
    op.create_index(
        "ix_reservation_held",
        "reservation",
        ["workspace_id", "expires_at"],
        unique=False,
        postgresql_where=sa.text("state = 'held'"),
    )
