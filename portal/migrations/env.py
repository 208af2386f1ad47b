"""Alembic's entry: runs on the connection that ``runner`` hands over, never on one of its own."""

from alembic import context

from portal.migrations.runner import is_ours
from portal.models import Base

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    include_object=is_ours,
    compare_type=True,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
