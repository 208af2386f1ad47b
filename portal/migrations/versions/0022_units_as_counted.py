"""A unit keeps as what it was counted, so that each number of a month's usage is the length of its list."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

# The last entry by which a unit stands in the month that its row names. A source ends with its episode, how
# often the unit had become billable, and the entry that was moved; what only takes a reversal out of a month
# is not where the unit was counted.
COUNTED = """
UPDATE resolution r SET counted_at = e.at, counted_as = e.basis, counted_on = e.channel
FROM (
  SELECT DISTINCT ON (workspace_id, conversation_id, episode, period_start) * FROM (
    SELECT workspace_id, substring(source from '^(.*)#[^#]*$') COLLATE "C" AS conversation_id,
      substring(source from '#([0-9]+)(?:~[^#]*)?$')::integer AS episode, period_start, at, basis, channel, id
    FROM usage_entry WHERE key = 'resolution' AND quantity > 0 AND source !~ '~~[0-9]+-(out|uncharged)$'
  ) entry
  ORDER BY workspace_id, conversation_id, episode, period_start, id DESC
) e
WHERE (r.workspace_id, r.conversation_id, r.episode) = (e.workspace_id, e.conversation_id, e.episode)
  AND r.period_start = e.period_start
"""
INDEXES = {"period": "period_start IS NOT NULL", "contested": "contest IS NOT NULL"}


def upgrade() -> None:
    op.add_column("resolution", sa.Column("counted_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("resolution", sa.Column("counted_as", sa.Text(collation="C"), nullable=True))
    op.add_column("resolution", sa.Column("counted_on", sa.Text(collation="C"), nullable=True))
    op.execute(COUNTED)
    for name, which in INDEXES.items():
        op.drop_index(f"ix_resolution_{name}", "resolution")
        op.create_index(
            f"ix_resolution_{name}",
            "resolution",
            ["workspace_id", "period_start", "counted_at", "conversation_id", "episode"],
            unique=False,
            postgresql_where=sa.text(which),
        )
