"""The read-only role of analysts: making it, what it may see, and what else the server lets it do.

Belongs here: running `sql/roles.sql` and `sql/grants.sql`, and looking at the result. Does not: what the role is (those
files), logging in.
"""

from collections.abc import Sequence
from typing import Final

import psycopg
from psycopg import sql

from palimpsest_pipeline.domain.errors import PalimpsestError

from .locks import AdvisoryLock
from .revisions import sql_dir

ANALYST: Final = "palimpsest_analyst"
ROLES_FILE: Final = "roles.sql"
MAY_CREATE_ROLES_SQL: Final = "select rolsuper or rolcreaterole from pg_roles where rolname = current_user"
OPEN_DATABASES_SQL: Final = """
    select datname::text from pg_database
    where datname = any(%(databases)s) and pg_has_role(datdba, 'usage') and has_database_privilege('public', oid, 'connect')
        and exists (select from pg_roles where rolname = %(analyst)s)
"""
"""Databases of the session's user that everybody may enter, on a server where the role is."""
WRITABLE_SQL: Final = """
    select datname::text, has_database_privilege('public', oid, 'temporary') and pg_has_role(datdba, 'usage'),
        (select has_schema_privilege('public', n.oid, 'create') and pg_has_role(n.nspowner, 'usage') from pg_namespace n where n.nspname = 'public'),
        (select rolsuper from pg_roles where rolname = current_user)
            and exists (select from unnest(%(large_objects)s::text[]) made_by where has_function_privilege('public', made_by, 'execute'))
    from pg_database where datname = current_database()
"""
LARGE_OBJECT_FUNCTIONS: Final = (
    "pg_catalog.lo_create(oid)",
    "pg_catalog.lo_creat(integer)",
    "pg_catalog.lo_from_bytea(oid, bytea)",
)
"""What makes large objects; who cannot make one has none to write to."""
ADVISORY_LOCK_FUNCTIONS_SQL: Final = """
    select oid::regprocedure::text from pg_proc
    where pronamespace = 'pg_catalog'::regnamespace and proname ~ '^pg_(try_)?advisory_' and has_function_privilege('public', oid, 'execute')
"""
MAY_LOCK_SQL: Final = """
    select exists (
        select from pg_proc
        where pronamespace = 'pg_catalog'::regnamespace and proname ~ '^pg_(try_)?advisory_(xact_)?lock'
            and has_function_privilege(%(analyst)s, oid, 'execute')
    )
"""
EXCESS_RIGHTS_SQL: Final = """
with analyst as (select oid, rolsuper or rolcreaterole or rolcreatedb or rolbypassrls as powerful from pg_roles where rolname = %(analyst)s)
select 'it has rights over the server' from analyst where powerful
union all
select 'it may make objects in the schema ' || n.nspname from analyst a cross join pg_namespace n where has_schema_privilege(a.oid, n.oid, 'create')
union all
select 'it may use the schema ' || n.nspname
from analyst a cross join pg_namespace n where n.nspname in ('core', 'ops') and has_schema_privilege(a.oid, n.oid, 'usage')
union all
select 'it may write to ' || n.nspname || '.' || c.relname
from analyst a cross join pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('ops', 'core', 'mart', 'palimpsest') and c.relkind in ('r', 'p', 'v')
    and has_table_privilege(a.oid, c.oid, 'insert, update, delete, truncate')
union all
select 'it may make temporary tables in the database ' || d.datname
from analyst a cross join pg_database d where d.datname = current_database() and has_database_privilege(a.oid, d.oid, 'temporary')
union all
select 'it may make large objects in the database ' || current_database()
from analyst a where exists (select from unnest(%(large_objects)s::text[]) made_by where has_function_privilege(a.oid, made_by, 'execute'))
union all
select 'it may enter the database ' || d.datname
from analyst a cross join pg_database d where d.datname = any(%(closed)s) and has_database_privilege(a.oid, d.oid, 'connect')
"""


class RoleMissing(PalimpsestError, RuntimeError):
    """There is no such role, and the session's user may not make it.

    The message says what an administrator has to run.
    """


def role_exists(conn: psycopg.Connection) -> bool:
    """The server has the role."""
    return conn.execute("select from pg_roles where rolname = %s", [ANALYST]).fetchone() is not None


def ensure_role(conn: psycopg.Connection) -> None:
    """The role as `sql/roles.sql` has it, and its grants on everything of ours in the database. Safe to repeat; the
    caller commits.

    Raises RoleMissing.
    """
    if not role_exists(conn):
        if conn.execute(MAY_CREATE_ROLES_SQL).fetchone() != (True,):
            raise RoleMissing(
                f"the role {ANALYST} is missing, and {conn.info.user} may not make roles: let an administrator of the server run "
                f"`psql -f {sql_dir() / ROLES_FILE}`, then run `palimpsest db roles` again"
            )
        conn.execute((sql_dir() / ROLES_FILE).read_bytes())
    grant_reading(conn)


def grant_reading(conn: psycopg.Connection) -> None:
    """The grants of the role, which is there, on everything of ours in the database.

    Safe to repeat; the caller commits.
    """
    conn.execute(
        "select pg_advisory_xact_lock(%s)", [AdvisoryLock.MIGRATION]
    )  # grants of two at once on one table are an error
    conn.execute((sql_dir() / "grants.sql").read_bytes())


def forbid_writing(conn: psycopg.Connection) -> None:
    """Nobody makes temporary tables in this database, tables in its schema `public`, nor large objects, unless he was
    granted it by name or owns it. What the session's user does not own stays as it is: large objects only a superuser
    can forbid. The caller commits."""
    for name, temporary, public, large_objects in conn.execute(
        WRITABLE_SQL, {"large_objects": list(LARGE_OBJECT_FUNCTIONS)}
    ).fetchall():
        if temporary:
            conn.execute(sql.SQL("revoke temporary on database {} from public").format(sql.Identifier(name)))
        if public:
            conn.execute("revoke create on schema public from public")
        if large_objects:
            conn.execute(f"revoke execute on function {', '.join(LARGE_OBJECT_FUNCTIONS)} from public".encode())


def forbid_locking(conn: psycopg.Connection) -> None:
    """Nobody but superusers takes advisory locks in this database, unless he was granted it by name: the pipeline's own
    are such, and whoever holds one halts it. For a superuser of a server where the pipeline is another; the caller
    commits."""
    for (function,) in conn.execute(ADVISORY_LOCK_FUNCTIONS_SQL).fetchall():
        conn.execute(f"revoke execute on function {function} from public".encode())


def forbid_entering(conn: psycopg.Connection, databases: Sequence[str]) -> None:
    """Nobody enters these databases of the server unless he was granted it by name or owns them. Those of others stay
    as they are, and all do on a server without the role. The caller commits."""
    for (name,) in conn.execute(OPEN_DATABASES_SQL, {"databases": list(databases), "analyst": ANALYST}).fetchall():
        conn.execute(sql.SQL("revoke connect on database {} from public").format(sql.Identifier(name)))


def find_excess_rights(conn: psycopg.Connection, closed_databases: Sequence[str] = ()) -> list[str]:
    """What the role may do besides reading marts and views, as sentences; `closed`: databases of the server that it has
    no business in.

    Not that it may lock (`may_lock`): elsewhere than on our own server everybody may.
    """
    return [
        said
        for (said,) in conn.execute(
            EXCESS_RIGHTS_SQL,
            {"analyst": ANALYST, "closed": list(closed_databases), "large_objects": list(LARGE_OBJECT_FUNCTIONS)},
        )
    ]


def may_lock(conn: psycopg.Connection) -> bool:
    """The role may take advisory locks in this database, and so hold up the pipeline while its session lasts.

    Nothing that must be forbidden: who revokes them from everybody revokes them from a pipeline whose user is no
    superuser, unless he grants them to it by name.
    """
    return conn.execute(MAY_LOCK_SQL, {"analyst": ANALYST}).fetchone() == (True,)
