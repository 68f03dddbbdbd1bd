"""Create the schema of a database, update its views, or drop all of it, each in one transaction.

An advisory lock prevents two of these at the same time. Unchanged views are not created again: that takes a second,
blocks readers of the views and leaves thousands of dead rows in the Postgres catalog, and every command that writes
starts with an upgrade.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import md5
from typing import Final

import psycopg
import sqlalchemy as sa
from psycopg import sql

from palimpsest_pipeline.domain.errors import PalimpsestError
from palimpsest_pipeline.tables import SCHEMAS, metadata

from .connection import Database
from .locks import AdvisoryLock
from .reference_rows import ReferenceRows, write_reference_rows
from .revisions import (
    AFTER_TABLES_FILE,
    BEFORE_TABLES_FILE,
    VERSION_TABLE,
    VIEWS_PRESENT_SQL,
    SchemaOutOfDate,
    compute_revision,
    describe_other_state,
    list_view_files,
    parse_view_name,
    read_revision,
    sql_dir,
)

LOCK_TIMEOUT_S: Final = 60
"""Maximum seconds to wait for the migration lock and for table locks."""


class MigrationLockError(PalimpsestError, RuntimeError):
    """The error when another upgrade runs, or a query locks a table that this one changes."""


class DependentObjectsError(PalimpsestError, RuntimeError):
    """The error when objects of others depend on ours. The message names them."""


STAMPED_TABLE: Final = VERSION_TABLE.fullname
"""The table whose SQL comment stores the digest of the views (`_stamp_views`)."""
VIEW_DEFINITIONS_SQL: Final = """
with ours as (
    select c.oid, 'pg_class'::regclass as catalog, c.relname as name, pg_get_viewdef(c.oid) as definition
    from pg_class c
    where c.relnamespace = to_regnamespace('palimpsest') and c.relkind = 'v' and c.relname = any(%(names)s)
    union all
    select p.oid, 'pg_proc'::regclass, p.proname, pg_get_functiondef(p.oid) from pg_proc p
    where p.pronamespace = to_regnamespace('palimpsest') and p.proname = any(%(names)s)
)
select name, definition, (
    select jsonb_object_agg(d.objsubid, d.description) from pg_description d where d.objoid = ours.oid
        and d.classoid = ours.catalog
)::text
from ours order by name, definition
"""
PASSED_COMMENTS_SQL: Final = """
select a.attname::text, col_description(o.origin, o.origin_column)
from unnest(%(tables)s::oid[], %(columns)s::int[]) with ordinality as o (origin, origin_column, attnum)
join pg_attribute a on a.attrelid = to_regclass(%(view)s) and a.attnum = o.attnum
where col_description(a.attrelid, a.attnum) is null and col_description(o.origin, o.origin_column) is not null
"""
"""Selects a view's columns without a comment, each with the comment of the table column it shows."""
FOREIGN_OBJECTS_SQL: Final = """
with foreign_schemas as (
    select oid from pg_namespace
    where nspname <> all(%(schemas)s) and nspname !~ '^pg_' and nspname <> 'information_schema'
), objects as (
    select 'pg_class'::regclass as catalog, oid, 0 as part from pg_class
    where relnamespace in (select * from foreign_schemas)
    union all
    select 'pg_class'::regclass, a.attrelid, a.attnum from pg_attribute a join pg_class c on c.oid = a.attrelid
    where c.relnamespace in (select * from foreign_schemas) and a.attnum > 0 and not a.attisdropped
    union all
    select 'pg_constraint'::regclass, oid, 0 from pg_constraint
    where connamespace in (select * from foreign_schemas)
    union all
    select 'pg_proc'::regclass, oid, 0 from pg_proc where pronamespace in (select * from foreign_schemas)
)
select pg_describe_object(catalog, oid, part) from objects
"""


def upgrade(url: str, reference: ReferenceRows | None = None) -> None:
    """Create the schema if the database has none, create changed views, and write `reference` rows.

    All changes are made in one transaction, and a repeated call is safe. Raises SchemaOutOfDate when another version
    made the schema, MigrationLockError when another upgrade uses the database, and ReferenceConflictError when a
    reference row would change the meaning of an id.
    """
    with Database(url).sqlalchemy_engine().begin() as connection, hold_migration_lock(connection) as conn:
        revision = read_revision(connection)
        if revision is None:
            _create_tables(connection, conn)
        elif problem := describe_other_state(revision):
            raise SchemaOutOfDate(problem)
        if _read_view_stamp(conn) != _stamp_views(conn):
            grants = _read_view_grants(conn)
            _drop_views(conn)
            _create_views(conn)
            for grant in grants:
                conn.execute(grant)
        if reference is not None:
            write_reference_rows(conn, reference)


def downgrade_to_base(url: str) -> None:
    """Drop our schemas with everything in them, whichever version made them.

    Raises DependentObjectsError when objects in other schemas depend on ours, and MigrationLockError.
    """
    with Database(url).sqlalchemy_engine().begin() as connection, hold_migration_lock(connection) as conn:
        foreign_objects = _read_foreign_objects(conn)
        for schema in reversed(SCHEMAS):
            conn.execute(f"drop schema if exists {schema} cascade".encode())
        if dropped := foreign_objects - _read_foreign_objects(conn):
            raise DependentObjectsError(
                f"these objects depend on our schemas: {', '.join(sorted(dropped))}. Drop them first"
            )


@contextmanager
def hold_migration_lock(connection: sa.Connection) -> Iterator[psycopg.Connection]:
    """Hold the migration lock until the caller's transaction ends.

    Yields the psycopg connection of `connection`. Raises MigrationLockError when the lock or a table is not free
    within LOCK_TIMEOUT_S.
    """
    conn = connection.connection.driver_connection
    assert isinstance(conn, psycopg.Connection)
    try:
        conn.execute(f"set local lock_timeout = '{LOCK_TIMEOUT_S}s'")
        conn.execute("select pg_advisory_xact_lock(%s)", [AdvisoryLock.MIGRATION])
        yield conn
    except (psycopg.errors.LockNotAvailable, sa.exc.OperationalError) as error:
        if "lock timeout" not in str(error):
            raise
        raise MigrationLockError(
            f"no lock within {LOCK_TIMEOUT_S} s: another migration runs, or a long query holds a table; "
            "try again when it is done"
        ) from error


def _create_tables(connection: sa.Connection, conn: psycopg.Connection) -> None:
    """Create all schemas, types, tables and their functions, with comments, and record the revision.

    `conn` is the psycopg connection of `connection`.
    """
    for schema, comment in SCHEMAS.items():
        conn.execute(f"create schema if not exists {schema}".encode())
        conn.execute(sql.SQL("comment on schema {} is {}").format(sql.Identifier(schema), sql.Literal(comment)))
    conn.execute((sql_dir() / BEFORE_TABLES_FILE).read_bytes())
    metadata.create_all(connection, checkfirst=False)
    conn.execute((sql_dir() / AFTER_TABLES_FILE).read_bytes())
    VERSION_TABLE.create(connection)
    connection.execute(VERSION_TABLE.insert(), {"version_num": compute_revision()})


def _create_views(conn: psycopg.Connection) -> None:
    """Create all views and all functions of `sql/views` with their comments, and store their digest.

    None of them may exist yet.
    """
    for file in list_view_files():
        conn.execute(file.read_bytes())
        _comment_passed_columns(conn, parse_view_name(file))
    conn.execute(f"comment on table {STAMPED_TABLE} is '{_stamp_views(conn)}'".encode())


def _comment_passed_columns(conn: psycopg.Connection, view: str) -> None:
    """Give the columns of a view that have no comment the comments of the columns that they pass on.

    Postgres names the origin of each column of a query that is a column of a table or view as it is.
    """
    row = conn.execute("select pg_get_viewdef(to_regclass(%s))", [f"palimpsest.{view}"]).fetchone()
    if row is None or row[0] is None:  # a function
        return
    result = conn.execute(f"select * from ({row[0].rstrip(';')}) q limit 0".encode()).pgresult
    assert result is not None
    columns = range(result.nfields)
    arguments = {
        "view": f"palimpsest.{view}",
        "tables": [result.ftable(column) for column in columns],
        "columns": [result.ftablecol(column) for column in columns],
    }
    for name, comment in conn.execute(PASSED_COMMENTS_SQL, arguments).fetchall():
        conn.execute(
            sql.SQL("comment on column {} is {}").format(sql.Identifier("palimpsest", view, name), sql.Literal(comment))
        )


def _drop_views(conn: psycopg.Connection) -> None:
    """Drop all views and functions of `sql/views`.

    Raises DependentObjectsError when a foreign view depends on one of them.
    """
    present: dict[str, str] = dict(conn.execute(VIEWS_PRESENT_SQL).fetchall())
    for name in reversed([parse_view_name(file) for file in list_view_files()]):
        if name not in present:
            continue
        try:
            conn.execute(f"drop {present[name]} palimpsest.{name}".encode())
        except psycopg.errors.DependentObjectsStillExist as error:
            raise DependentObjectsError(
                f"views have changed and must be created again: {error.diag.message_primary}: "
                f"{error.diag.message_detail}. Drop that first, and create it again afterwards"
            ) from error


def _read_view_grants(conn: psycopg.Connection) -> list[bytes]:
    """Return GRANT and REVOKE statements that restore the rights on views and functions after a drop.

    Postgres lets everybody call a new function, so a function with grants is first revoked from public.
    """
    names = [parse_view_name(file) for file in list_view_files()]
    query = """
        select format('grant %%s on palimpsest.%%I to %%s', a.privilege_type, c.relname,
            coalesce(quote_ident(r.rolname), 'public'))
        from pg_class c
        cross join lateral aclexplode(c.relacl) a
        left join pg_roles r on r.oid = a.grantee
        where c.relnamespace = to_regnamespace('palimpsest') and c.relname = any(%(names)s) and a.grantee <> c.relowner
        union all
        select format('revoke all on function palimpsest.%%I from public', p.proname)
        from pg_proc p
        where p.pronamespace = to_regnamespace('palimpsest') and p.proname = any(%(names)s) and p.proacl is not null
        union all
        select format('grant %%s on function palimpsest.%%I to %%s', a.privilege_type, p.proname,
            coalesce(quote_ident(r.rolname), 'public'))
        from pg_proc p
        cross join lateral aclexplode(p.proacl) a
        left join pg_roles r on r.oid = a.grantee
        where p.pronamespace = to_regnamespace('palimpsest') and p.proname = any(%(names)s) and a.grantee <> p.proowner
    """
    return [statement.encode() for (statement,) in conn.execute(query, {"names": names})]


def _read_view_stamp(conn: psycopg.Connection) -> str | None:
    """Return the digest that the last upgrade stored."""
    row = conn.execute("select obj_description(to_regclass(%s), 'pg_class')", [STAMPED_TABLE]).fetchone()
    return None if row is None else row[0]


def _read_foreign_objects(conn: psycopg.Connection) -> set[str]:
    """Return descriptions of all relations, columns, constraints and functions outside of our schemas."""
    return {name for (name,) in conn.execute(FOREIGN_OBJECTS_SQL, {"schemas": list(SCHEMAS)})}


def _stamp_views(conn: psycopg.Connection) -> str:
    """Return a digest of the view files and of the view definitions in the database.

    The digest changes when a file or a definition changes.
    """
    digest = md5(usedforsecurity=False)
    for file in list_view_files():
        digest.update(file.read_bytes())
    for row in conn.execute(VIEW_DEFINITIONS_SQL, {"names": [parse_view_name(file) for file in list_view_files()]}):
        digest.update(repr(row).encode())
    return digest.hexdigest()
