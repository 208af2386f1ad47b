"""What of a credited unit went to the customer's balance; comparisons are written for all workspaces at once."""

import sqlalchemy as sa
from alembic import op

from portal.migrations import rows

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("usage_credit", sa.Column("balance", sa.BigInteger(), nullable=True))
    for table in ("usage_match", "usage_difference"):
        op.execute(
            f"CREATE POLICY {table}_compare ON {table} TO {rows.SYSTEM} USING (true) WITH CHECK (true)"
        )
        op.execute(f"GRANT INSERT, UPDATE, DELETE ON {table} TO {rows.SYSTEM}")
