"""Upgrade a database to the current table definitions, or downgrade it, in one transaction.

An advisory lock prevents two migrations at the same time. Migrations run first, then the views are created. Unchanged
views are not created again: that takes a second, blocks readers of the views and leaves thousands of dead rows in the
Postgres catalog, and every command that writes starts with an upgrade.

Belongs here: the steps around Alembic. Does not belong here: the definition of tables (`tables`, `sql/migrations`),
views and functions (`sql/views`), the comparison (`drift`), reference rows (`reference_rows`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import md5
from typing import Final

import psycopg
import sqlalchemy as sa
from alembic import command

from palimpsest_pipeline.domain.errors import PalimpsestError

from ..tables import SCHEMAS
from .connection import Database
from .drift import find_drift
from .locks import AdvisoryLock
from .reference_rows import ReferenceRows, write_reference_rows
from .revisions import (
    VERSION_SCHEMA,
    VIEWS_PRESENT_SQL,
    alembic_options,
    build_alembic_config,
    list_view_files,
    parse_view_name,
    read_current_revision,
    read_head_revision,
    sql_dir,
)

__all__ = [
    "MigrationLockError",
    "alembic_options",
    "downgrade",
    "find_drift",
    "guarded",
    "list_view_files",
    "read_current_revision",
    "read_head_revision",
    "sql_dir",
    "upgrade",
]

LOCK_TIMEOUT_S: Final = 60
"""Maximum seconds to wait for the migration lock and for table locks."""


class MigrationLockError(PalimpsestError, RuntimeError):
    """The error when another migration runs, or a query locks a table that the migration changes."""


STAMPED_TABLE: Final = f"{VERSION_SCHEMA}.alembic_version"
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


def upgrade(url: str, revision: str = "head", reference: ReferenceRows | None = None) -> None:
    """Upgrade the database to `revision`, create changed views, and write `reference` rows.

    All changes are made in one transaction, and a repeated call is safe. Raises MigrationLockError when another
    migration uses the database, and ReferenceConflictError when a reference row would change the meaning of an id.
    """
    with Database(url).sqlalchemy_engine().begin() as connection, hold_migration_lock(connection):
        if revision != "head" or not is_newest(connection):
            with guarded(connection):
                command.upgrade(build_alembic_config(connection), revision)
        if reference is not None:
            write_reference_rows(_get_psycopg_connection(connection), reference)


def downgrade(url: str, revision: str = "base") -> None:
    """Downgrade the database to `revision`; `base` removes every object of the product.

    Raises an error when foreign objects depend on the product's objects.
    """
    with Database(url).sqlalchemy_engine().begin() as connection, guarded(connection):
        command.downgrade(build_alembic_config(connection), revision)


def is_newest(connection: sa.Connection) -> bool:
    """Return whether the database has the newest Alembic revision and every view equals its SQL file."""
    if read_current_revision(connection) != read_head_revision():
        return False
    conn = _get_psycopg_connection(connection)
    stamp = conn.execute("select obj_description(to_regclass(%s), 'pg_class')", [STAMPED_TABLE]).fetchone()
    return stamp == (_stamp_views(conn),)


@contextmanager
def hold_migration_lock(connection: sa.Connection) -> Iterator[None]:
    """Hold the migration lock until the caller's transaction ends.

    Raises MigrationLockError when the lock or a table is not free within LOCK_TIMEOUT_S.
    """
    raw = _get_psycopg_connection(connection)
    try:
        raw.execute(f"set local lock_timeout = '{LOCK_TIMEOUT_S}s'")
        raw.execute("select pg_advisory_xact_lock(%s)", [AdvisoryLock.MIGRATION])
        yield
    except (psycopg.errors.LockNotAvailable, sa.exc.OperationalError) as error:
        if "lock timeout" not in str(error):
            raise
        raise MigrationLockError(
            f"no lock within {LOCK_TIMEOUT_S} s: another migration runs, or a long query holds a table; "
            "try again when it is done"
        ) from error


@contextmanager
def guarded(connection: sa.Connection) -> Iterator[None]:
    """Take the migration lock, drop the views, run the block, and create the views again.

    The views are created only if the block reaches the newest revision. `connection` must be in a transaction, which
    the caller commits.
    """
    raw = _get_psycopg_connection(connection)
    with hold_migration_lock(connection):
        raw.execute(f"create schema if not exists {VERSION_SCHEMA}")
        grants = _read_view_grants(raw)
        drop_views(raw)
        yield
        revision = read_current_revision(connection)
        if revision == read_head_revision():
            create_views(raw)
            for grant in grants:
                raw.execute(grant)
        elif revision is None:
            _drop_remains(raw)


def create_views(conn: psycopg.Connection) -> None:
    """Create all views and all functions of `sql/views` with their comments, and store their digest.

    None of them may exist yet.
    """
    for file in list_view_files():
        conn.execute(file.read_bytes())
    conn.execute(f"comment on table {STAMPED_TABLE} is '{_stamp_views(conn)}'".encode())


def drop_views(conn: psycopg.Connection) -> None:
    """Drop all views and functions of `sql/views`.

    Raises Postgres's error when a foreign view depends on one of them.
    """
    present: dict[str, str] = dict(conn.execute(VIEWS_PRESENT_SQL).fetchall())
    for name in reversed([parse_view_name(file) for file in list_view_files()]):
        if name in present:
            conn.execute(f"drop {present[name]} palimpsest.{name}".encode())


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


def _get_psycopg_connection(connection: sa.Connection) -> psycopg.Connection:
    """Return the psycopg connection that SQLAlchemy uses, in the same transaction."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    return driver


def _drop_remains(conn: psycopg.Connection) -> None:
    """Drop Alembic's version table and the empty schemas after a downgrade to `base`."""
    conn.execute(f"drop table if exists {VERSION_SCHEMA}.alembic_version".encode())
    for schema in reversed(SCHEMAS):
        conn.execute(f"drop schema if exists {schema}".encode())
