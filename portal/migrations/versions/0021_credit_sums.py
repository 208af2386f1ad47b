"""Sums of the ledger of credits, kept by the database with each entry: what is left is read, not added up."""

import sqlalchemy as sa
from alembic import op

from portal.migrations import rows

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

# an entry of no month stands under the epoch, which is no month
COLUMNS = """workspace_id, lot_id, kind, of_unit, period_start, quantity, entries"""
SUMMED = f"""
CREATE FUNCTION sum_credit_entry() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO credit_sum AS s ({COLUMNS})
  VALUES (NEW.workspace_id, NEW.lot_id, NEW.kind, starts_with(NEW.source, 'unit:'),
    coalesce(NEW.period_start, 'epoch'), NEW.quantity, 1)
  ON CONFLICT (workspace_id, lot_id, kind, of_unit, period_start)
  DO UPDATE SET quantity = s.quantity + excluded.quantity, entries = s.entries + 1;
  RETURN NULL;
END $$
"""
TOLD = """
CREATE TRIGGER credit_entry_summed AFTER INSERT ON credit_entry
FOR EACH ROW EXECUTE FUNCTION sum_credit_entry()
"""
SO_FAR = f"""
INSERT INTO credit_sum ({COLUMNS})
SELECT workspace_id, lot_id, kind, starts_with(source, 'unit:'), coalesce(period_start, 'epoch'),
  sum(quantity), count(*)
FROM credit_entry GROUP BY 1, 2, 3, 4, 5
"""  # noqa: S608 (all of it is ours)


def upgrade() -> None:
    op.create_table(
        "credit_sum",
        sa.Column(
            "workspace_id", sa.BigInteger(), server_default=sa.text("app_workspace_id()"), nullable=False
        ),
        sa.Column("lot_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("of_unit", sa.Boolean(), nullable=False),
        sa.Column("period_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("entries", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_credit_sum_workspace_id")),
        sa.PrimaryKeyConstraint(
            "workspace_id", "lot_id", "kind", "of_unit", "period_start", name=op.f("pk_credit_sum")
        ),
    )
    rows.isolate("credit_sum")
    op.execute(SUMMED)
    op.execute(TOLD)
    op.execute(SO_FAR)
