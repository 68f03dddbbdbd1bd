"""Create the roles of analysts and of the sender, grant their rights, and report excess rights.

The roles and rights are defined in `sql/roles.sql` and `sql/grants.sql`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import psycopg
from psycopg import sql

from palimpsest_pipeline.domain.errors import PalimpsestError

from .locks import AdvisoryLock
from .revisions import sql_dir
from .write_rights import find_write_rights

ANALYST: Final = "palimpsest_analyst"
SENDER_ROLE: Final = "palimpsest_sender"
"""The role of the process that sends messages to traders."""
ROLES_FILE: Final = "roles.sql"
MAY_CREATE_ROLES_SQL: Final = "select rolsuper or rolcreaterole from pg_roles where rolname = current_user"
OPEN_DATABASES_SQL: Final = """
    select datname::text from pg_database
    where datname = any(%(databases)s) and pg_has_role(datdba, 'usage')
        and has_database_privilege('public', oid, 'connect')
        and exists (select from pg_roles where rolname = any(%(roles)s))
"""
"""Selects the databases of the session's user to which everybody may connect.

It returns no rows on a server without the roles.
"""
WRITABLE_SQL: Final = """
    select datname::text, has_database_privilege('public', oid, 'temporary') and pg_has_role(datdba, 'usage'),
        (select has_schema_privilege('public', n.oid, 'create') and pg_has_role(n.nspowner, 'usage')
            from pg_namespace n where n.nspname = 'public'),
        (select rolsuper from pg_roles where rolname = current_user)
            and exists (select from unnest(%(large_objects)s::text[]) made_by
                where has_function_privilege('public', made_by, 'execute'))
    from pg_database where datname = current_database()
"""
LARGE_OBJECT_FUNCTIONS: Final = (
    "pg_catalog.lo_create(oid)",
    "pg_catalog.lo_creat(integer)",
    "pg_catalog.lo_from_bytea(oid, bytea)",
)
"""The Postgres functions that create large objects.

A role that may not call them has no large object to write to.
"""
ADVISORY_LOCK_FUNCTIONS_SQL: Final = """
    select oid::regprocedure::text from pg_proc
    where pronamespace = 'pg_catalog'::regnamespace and proname ~ '^pg_(try_)?advisory_'
        and has_function_privilege('public', oid, 'execute')
"""
MAY_LOCK_SQL: Final = """
    select exists (
        select from pg_proc
        where pronamespace = 'pg_catalog'::regnamespace and proname ~ '^pg_(try_)?advisory_(xact_)?lock'
            and has_function_privilege(%(role)s, oid, 'execute')
    )
"""


@dataclass(frozen=True, slots=True)
class RoleRights:
    """The rights that a role needs. All other ones are excess."""

    closed_schemas: tuple[str, ...]
    """Schemas of the product that the role may not use."""
    unreadable_schemas: tuple[str, ...] = ()
    """Schemas of which the role may read no table but `readable_tables`."""
    readable_tables: tuple[str, ...] = ()
    writable_columns: tuple[str, ...] = ()
    """Columns, as table and column, that the role may update."""


OUTBOX: Final = "ops.push_outbox"
RIGHTS: Final = {
    ANALYST: RoleRights(closed_schemas=("core", "ops")),
    SENDER_ROLE: RoleRights(
        closed_schemas=("core", "mart", "palimpsest"),
        unreadable_schemas=("core", "mart", "ops", "palimpsest"),
        readable_tables=("ops.push_rules", OUTBOX),
        writable_columns=tuple(
            f"{OUTBOX}.{column}"
            for column in ("state", "n_attempts", "next_attempt_at", "delivered_at", "last_status", "last_error")
        ),
    ),
}
"""The rights of each role that `sql/grants.sql` grants."""
EXCESS_RIGHTS_SQL: Final = """
with role as (select oid from pg_roles where rolname = %(role)s)
select 'it may use the schema ' || n.nspname
from role r cross join pg_namespace n where n.nspname = any(%(closed_schemas)s)
    and has_schema_privilege(r.oid, n.oid, 'usage')
union all
select 'it may read ' || n.nspname || '.' || c.relname
from role r cross join pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = any(%(unreadable_schemas)s) and c.relkind in ('r', 'p', 'v')
    and n.nspname || '.' || c.relname <> all(%(readable_tables)s)
    and has_any_column_privilege(r.oid, c.oid, 'select')
union all
select 'it may make temporary tables in the database ' || d.datname
from role r cross join pg_database d where d.datname = current_database()
    and has_database_privilege(r.oid, d.oid, 'temporary')
union all
select 'it may make large objects in the database ' || current_database()
from role r where exists (select from unnest(%(large_objects)s::text[]) made_by
    where has_function_privilege(r.oid, made_by, 'execute'))
union all
select 'it may enter the database ' || d.datname
from role r cross join pg_database d where d.datname = any(%(closed)s)
    and has_database_privilege(r.oid, d.oid, 'connect')
"""
"""Selects the excess rights of a role that do not write to tables, one sentence each.

On foreign servers some of them are everybody's.
"""


class RoleMissing(PalimpsestError, RuntimeError):
    """The error when a role does not exist and the session's user may not create it.

    The message contains the command for an administrator.
    """


def list_existing_roles(conn: psycopg.Connection) -> list[str]:
    """Return those of the two roles that the server has."""
    names = conn.execute("select rolname::text from pg_roles where rolname = any(%s)", [[ANALYST, SENDER_ROLE]])
    existing = {name for (name,) in names}
    return [role for role in (ANALYST, SENDER_ROLE) if role in existing]


def ensure_role(conn: psycopg.Connection) -> None:
    """Create the roles of `sql/roles.sql` if needed, and grant their rights.

    The call is safe to repeat; the caller commits. Raises RoleMissing.
    """
    existing = list_existing_roles(conn)
    missing = [role for role in (ANALYST, SENDER_ROLE) if role not in existing]
    if missing:
        if conn.execute(MAY_CREATE_ROLES_SQL).fetchone() != (True,):
            raise RoleMissing(
                f"the role {missing[0]} is missing, and {conn.info.user} may not make roles: let an administrator of "
                f"the server run `psql -f {sql_dir() / ROLES_FILE}`, then run `palimpsest db roles` again"
            )
        conn.execute((sql_dir() / ROLES_FILE).read_bytes())
    grant_reading(conn)


def grant_reading(conn: psycopg.Connection) -> None:
    """Grant each existing role its rights on the objects of the product in the database.

    The call is safe to repeat; the caller commits.
    """
    # Postgres raises an error when two sessions grant rights on one table at the same time.
    conn.execute("select pg_advisory_xact_lock(%s)", [AdvisoryLock.MIGRATION])
    conn.execute((sql_dir() / "grants.sql").read_bytes())


def forbid_writing(conn: psycopg.Connection) -> None:
    """Revoke from public the rights to create temporary tables, tables in `public` and large objects.

    Owners, and roles that have these rights by name, keep them. Objects of other owners stay unchanged. Only a
    superuser can revoke the creation of large objects. The caller commits.
    """
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
    """Revoke from public the right to take advisory locks in this database.

    The pipeline uses advisory locks, so a foreign session that holds one would block it. Superusers, and roles that
    have the right by name, keep it. Use it as a superuser, and only when the pipeline's user is a superuser or has the
    right by name. The caller commits.
    """
    for (function,) in conn.execute(ADVISORY_LOCK_FUNCTIONS_SQL).fetchall():
        conn.execute(f"revoke execute on function {function} from public".encode())


def forbid_entering(conn: psycopg.Connection, databases: Sequence[str]) -> None:
    """Revoke from public the right to connect to these databases of the server.

    Owners, and roles that have the right by name, keep it. Databases of other owners stay unchanged. On a server
    without any of the roles nothing changes. The caller commits.
    """
    params = {"databases": list(databases), "roles": [ANALYST, SENDER_ROLE]}
    for (name,) in conn.execute(OPEN_DATABASES_SQL, params).fetchall():
        conn.execute(sql.SQL("revoke connect on database {} from public").format(sql.Identifier(name)))


def find_excess_rights(conn: psycopg.Connection, role: str, closed_databases: Sequence[str] = ()) -> list[str]:
    """Return the rights of a role beyond RIGHTS, one sentence each; none for a role that does not exist.

    `closed_databases` are databases to which the role must not connect. Advisory locks are not included (see
    `may_lock`), because on foreign servers everybody may use them.
    """
    rights = RIGHTS[role]
    values = {
        "role": role,
        "closed": list(closed_databases),
        "large_objects": list(LARGE_OBJECT_FUNCTIONS),
        "closed_schemas": list(rights.closed_schemas),
        "unreadable_schemas": list(rights.unreadable_schemas),
        "readable_tables": list(rights.readable_tables),
    }
    return [
        *find_write_rights(conn, role, rights.writable_columns),
        *(sentence for (sentence,) in conn.execute(EXCESS_RIGHTS_SQL, values)),
    ]


def may_lock(conn: psycopg.Connection, role: str) -> bool:
    """Return whether a role may take advisory locks, and so block the pipeline.

    The right is not an error. Revoking it from public would also revoke it from a pipeline whose user is no superuser
    and has no grant by name.
    """
    return conn.execute(MAY_LOCK_SQL, {"role": role}).fetchone() == (True,)
