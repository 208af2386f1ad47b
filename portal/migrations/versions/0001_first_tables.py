"""First tables: accounts, quotes and attempts, projections, inbox, mail, jobs."""

from alembic import op
from procrastinate.schema import SchemaManager

from portal.migrations import rows
from portal.models import Base, WorkspaceOwned

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    op.execute(rows.FUNCTIONS)
    Base.metadata.create_all(connection)
    owned = {mapper.local_table.name for mapper in Base.registry.mappers if issubclass(mapper.class_, WorkspaceOwned)}
    for table in Base.metadata.tables:
        if table in owned:
            rows.isolate(table, readable=rows.OWN_MEMBERSHIPS if table == "member" else rows.OWN_ROWS)
        else:
            rows.share(table)
    for table in ("audit_entry", "quote_match"):
        rows.only_grows(table)
    connection.exec_driver_sql(SchemaManager.get_schema(), execution_options={"no_parameters": True})
    # a NOTIFY inside a commit would make webhooks wait for one another; portal.gateways.jobs wakes the worker
    op.execute("DROP TRIGGER procrastinate_jobs_notify_queue_job_inserted_v1 ON procrastinate_jobs")
    op.execute(f"GRANT USAGE ON SCHEMA public TO {rows.APP}, {rows.SYSTEM}")
    op.execute(f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {rows.APP}, {rows.SYSTEM}")
    # so that the application can tell whether it fits
    op.execute(f"GRANT SELECT ON alembic_version TO {rows.APP}")
    for table in ("jobs", "periodic_defers", "events", "workers"):
        rows.share(f"procrastinate_{table}")
