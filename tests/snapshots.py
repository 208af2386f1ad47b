"""The rows of a test's database, taken and put back within its transaction, past all that guards them."""

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, text

# The functions are a superuser's: they read and write past row-level security, and past triggers and foreign
# keys, which had their say when the rows were written first.
SCHEMA = """
CREATE SCHEMA snapshots;
GRANT USAGE ON SCHEMA snapshots TO PUBLIC;
CREATE FUNCTION snapshots.columns_of(name text) RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(quote_ident(attname), ',') FROM pg_attribute
  WHERE attrelid = name::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
$$;
CREATE FUNCTION snapshots.rows_of(name text) RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE found text;
BEGIN
  EXECUTE 'SELECT json_agg(r) FROM ' || name || ' r' INTO found;
  RETURN coalesce(found, '[]');
END $$;
CREATE FUNCTION snapshots.put(contents json) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET session_replication_role = replica AS $$
DECLARE name text; rows json; columns text;
BEGIN
  FOR name, rows IN SELECT * FROM json_each(contents) LOOP
    EXECUTE 'DELETE FROM ' || name;
    columns := snapshots.columns_of(name);
    EXECUTE 'INSERT INTO ' || name || '(' || columns || ') OVERRIDING SYSTEM VALUE SELECT ' || columns
      || ' FROM json_populate_recordset(NULL::' || name || ', $1)' USING rows;
  END LOOP;
END $$;
"""
WRITTEN = text(
    "SELECT oid::regclass::text, pg_stat_get_xact_tuples_inserted(oid) + pg_stat_get_xact_tuples_updated(oid)"
    " + pg_stat_get_xact_tuples_deleted(oid) FROM pg_class"
    " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
)
ROWS = text("SELECT name, snapshots.rows_of(name) FROM unnest(CAST(:names AS text[])) AS name")
PUT = text("SELECT snapshots.put(CAST(:contents AS json))")


def written(connection: Connection) -> dict[str, int]:
    """How many rows of each table the transaction has written so far, counting those that it undid."""
    return dict(connection.execute(WRITTEN).all())


def rows(connection: Connection, tables: Iterable[str]) -> dict[str, str]:
    """All rows of these tables, as JSON."""
    return dict(connection.execute(ROWS, {"names": list(tables)}).all())


def put(connection: Connection, contents: Mapping[str, str]) -> None:
    """Let each table have exactly these rows."""
    documents = ",".join(f'"{name}":{rows}' for name, rows in contents.items())
    connection.execute(PUT, {"contents": f"{{{documents}}}"})
