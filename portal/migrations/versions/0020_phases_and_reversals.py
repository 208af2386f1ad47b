"""A plan keeps its schedule's phase, and a unit when its reversal is booked."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

PHASES = """
UPDATE planned_change p SET phase = q.terms -> 'phase'
FROM quote q
WHERE q.workspace_id = p.workspace_id AND q.id = p.quote_id AND NOT p.rates_only
  AND jsonb_typeof(q.terms -> 'phase') = 'array'
"""
# the last reversal of a unit that does not count; a source ends with its episode, and from the second time
# on with how often the unit had become billable
BOOKED = """
UPDATE resolution r SET taken_back_at = e.at
FROM (
  SELECT DISTINCT ON (workspace_id, conversation_id, episode) * FROM (
    SELECT workspace_id, substring(source from '^(.*)#[^#]*$') COLLATE "C" AS conversation_id,
      substring(source from '#([0-9]+)(?:~[0-9]+)?$')::integer AS episode, at, id
    FROM usage_entry WHERE key = 'resolution' AND kind = 'reversal'
  ) reversal
  ORDER BY workspace_id, conversation_id, episode, id DESC
) e
WHERE (r.workspace_id, r.conversation_id, r.episode) = (e.workspace_id, e.conversation_id, e.episode)
  AND NOT r.counts
"""


def upgrade() -> None:
    op.add_column("planned_change", sa.Column("phase", postgresql.JSONB(), nullable=True))
    op.add_column("resolution", sa.Column("taken_back_at", sa.DateTime(timezone=True), nullable=True))
    op.execute(PHASES)
    op.execute(BOOKED)
    op.create_index(
        "ix_resolution_taken_back",
        "resolution",
        ["workspace_id", "taken_back_at", "conversation_id", "episode"],
        unique=False,
        postgresql_where=sa.text("taken_back_at IS NOT NULL"),
    )
    # which listed what came back by when it came back
    op.drop_index("ix_resolution_reversed", "resolution")
