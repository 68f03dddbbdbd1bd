"""The rights with which a role may write into the database.

The board checks its own role when it starts. So this module imports nothing that takes long to load.
"""

from typing import Final

import psycopg

WRITE_RIGHTS_SQL: Final = """
with role as (
    select oid, rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls as powerful
    from pg_roles where rolname = coalesce(%(role)s, current_user)
)
select 'it has rights over the server' from role where powerful
union all
select 'it may make objects in the schema ' || n.nspname from role a cross join pg_namespace n
where has_schema_privilege(a.oid, n.oid, 'create')
union all
select 'it may write to ' || n.nspname || '.' || c.relname
from role a cross join pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('ops', 'core', 'mart', 'palimpsest') and case
    when c.relkind in ('r', 'p', 'v') then has_table_privilege(a.oid, c.oid, 'insert, update, delete, truncate')
        or has_any_column_privilege(a.oid, c.oid, 'insert, update')
    when c.relkind = 'S' then has_sequence_privilege(a.oid, c.oid, 'usage, update')
end
"""
"""Selects the rights of a role to write into the database, one sentence each.

Null is the session's own role.
"""


def find_write_rights(conn: psycopg.Connection, role: str | None = None) -> list[str]:
    """Return the rights with which a role may write into the database, one sentence each.

    None is the role of the session. Temporary tables and large objects are not included, because on foreign servers
    everybody may make them.
    """
    return [sentence for (sentence,) in conn.execute(WRITE_RIGHTS_SQL, {"role": role})]
