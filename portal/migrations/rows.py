"""Row-level security, grants and immutability, as revisions spell them out.

Revisions that were released call these, so a rule here is changed by adding a function, not by editing one.
"""

from alembic import op

OWNER = "portal_owner"
APP = "portal_app"
SYSTEM = "portal_system"

ROLES = """\
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'portal_owner') THEN
    CREATE ROLE portal_owner LOGIN; END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'portal_app') THEN
    CREATE ROLE portal_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS; END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'portal_system') THEN
    CREATE ROLE portal_system NOLOGIN NOSUPERUSER NOBYPASSRLS; END IF;
END $$;
-- INHERIT FALSE: the application sees all workspaces only after SET ROLE, never by membership
GRANT portal_system TO portal_app WITH INHERIT FALSE, SET TRUE;
"""

FUNCTIONS = """
CREATE FUNCTION app_workspace_id() RETURNS bigint LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE v text := current_setting('app.workspace_id', true);
BEGIN
  IF v IS NULL OR v = '' THEN
    RAISE EXCEPTION 'app.workspace_id is not set' USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN v::bigint;
END $$;
CREATE FUNCTION app_workspace_id_or_null() RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE AS
  $$ SELECT nullif(current_setting('app.workspace_id', true), '')::bigint $$;
CREATE FUNCTION app_user_id_or_null() RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE AS
  $$ SELECT nullif(current_setting('app.user_id', true), '')::bigint $$;
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'rows of % are only added', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
"""

OWN_ROWS = "workspace_id = (SELECT app_workspace_id())"
# the memberships of a login are read before a workspace is chosen
OWN_MEMBERSHIPS = (
    "workspace_id = (SELECT app_workspace_id_or_null()) OR user_id = (SELECT app_user_id_or_null())"
)


def isolate(table: str, *, readable: str = OWN_ROWS) -> None:
    """Put ``table`` under row-level security: the entered workspace only, the system role reads all."""
    force(table)
    for statement in (
        f"CREATE POLICY {table}_read ON {table} FOR SELECT TO {APP} USING ({readable})",
        f"CREATE POLICY {table}_insert ON {table} FOR INSERT TO {APP} WITH CHECK ({OWN_ROWS})",
        f"CREATE POLICY {table}_update ON {table} FOR UPDATE TO {APP}"
        f" USING ({OWN_ROWS}) WITH CHECK ({OWN_ROWS})",
        f"CREATE POLICY {table}_delete ON {table} FOR DELETE TO {APP} USING ({OWN_ROWS})",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {APP}",
    ):
        op.execute(statement)


# a workspace is there for whoever has entered it, and its name for its members
OWN_WORKSPACE = "id = (SELECT app_workspace_id_or_null())"
OWN_WORKSPACES = (
    f"{OWN_WORKSPACE} OR EXISTS (SELECT FROM member m"
    " WHERE m.workspace_id = workspace.id AND m.user_id = (SELECT app_user_id_or_null()))"
)
OWN_OR_NOBODYS = "workspace_id IS NULL OR workspace_id = (SELECT app_workspace_id_or_null())"


def isolate_workspaces() -> None:
    """Put the workspaces themselves under row-level security; one is made by entering its id first."""
    force("workspace")
    for statement in (
        f"CREATE POLICY workspace_read ON workspace FOR SELECT TO {APP} USING ({OWN_WORKSPACES})",
        f"CREATE POLICY workspace_insert ON workspace FOR INSERT TO {APP} WITH CHECK ({OWN_WORKSPACE})",
        f"CREATE POLICY workspace_update ON workspace FOR UPDATE TO {APP}"
        f" USING ({OWN_WORKSPACE}) WITH CHECK ({OWN_WORKSPACE})",
        f"GRANT SELECT, INSERT, UPDATE ON workspace TO {APP}",
    ):
        op.execute(statement)


def isolate_outgoing(table: str, *, settled: str) -> None:
    """Put a table of what goes out under row-level security.

    The application adds rows of its workspace, or of none, and reads its workspace's; the system role, which
    delivers, reads all of them and writes the columns ``settled``, and nothing else.
    """
    force(table)
    for statement in (
        f"CREATE POLICY {table}_read ON {table} FOR SELECT TO {APP}"
        " USING (workspace_id = (SELECT app_workspace_id_or_null()))",
        f"CREATE POLICY {table}_insert ON {table} FOR INSERT TO {APP} WITH CHECK ({OWN_OR_NOBODYS})",
        f"CREATE POLICY {table}_settle ON {table} FOR UPDATE TO {SYSTEM} USING (true) WITH CHECK (true)",
        f"GRANT SELECT, INSERT ON {table} TO {APP}",
        f"GRANT UPDATE ({settled}) ON {table} TO {SYSTEM}",
    ):
        op.execute(statement)


def force(table: str) -> None:
    """Turn row-level security on, for the owner too; migrations and the system role read every row."""
    for statement in (
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
        f"CREATE POLICY {table}_system ON {table} FOR SELECT TO {SYSTEM} USING (true)",
        # FORCE would hide every row from data migrations
        f"CREATE POLICY {table}_owner ON {table} TO CURRENT_USER USING (true) WITH CHECK (true)",
        f"GRANT SELECT ON {table} TO {SYSTEM}",
    ):
        op.execute(statement)


def share(table: str) -> None:
    """A table of no workspace: the application and the sweepers read and write it."""
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {APP}, {SYSTEM}")


def only_grows(table: str) -> None:
    """Rows of ``table`` can be added and read; changing or removing one fails, for its owner too."""
    op.execute(f"REVOKE UPDATE, DELETE ON {table} FROM {APP}")
    op.execute(
        f"CREATE TRIGGER {table}_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
