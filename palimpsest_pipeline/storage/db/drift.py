"""Does a database look as the models say? Read only.

Belongs here: the comparison and its wording. Does not: repairing anything.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

import psycopg
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from ..tables import SCHEMAS, metadata
from . import revisions
from .connection import Database

POSTGRES_DIALECT: Final[Any] = sa.dialects.postgresql.dialect
COLUMNS_SQL: Final = """
    select n.nspname || '.' || c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull
    from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = any(%s) and c.relkind in ('r', 'p') and not c.relispartition and a.attnum > 0 and not a.attisdropped
"""
_QUOTED_PATTERN = re.compile(r"'([^']*)'")


def find_drift(url: str) -> list[str]:
    """Differences between the database and the models, as sentences; empty when there are none.

    Day partitions do not count.
    """
    with Database(url).sqlalchemy_engine().connect() as connection:
        revision = revisions.read_current_revision(connection)
        if revision is None:
            return ["the database holds no tables of ours: run palimpsest db upgrade"]
        found = (
            []
            if revision == revisions.read_head_revision()
            else [
                f"the database is at revision {revision}, the package at {revisions.read_head_revision()}: run palimpsest db upgrade"
            ]
        )
        context = MigrationContext.configure(connection, opts=revisions.alembic_options())
        found += [
            _describe_difference(difference) for difference in _flatten_differences(compare_metadata(context, metadata))
        ]
        found += [
            *_compare_checks(connection),
            *_compare_enums(connection),
            *_compare_partitioning(connection),
            *_compare_views(connection),
        ]
    return found


def find_column_drift(conn: psycopg.Connection) -> dict[str, list[str]]:
    """Per declared table, what is wrong with its columns, as sentences; empty where they are as declared. One look at
    the catalogue, and cheap.

    A column of somebody else's is wrong too: a table is written by all its columns.
    """
    found: defaultdict[str, dict[str, tuple[str, bool]]] = defaultdict(dict)
    for table, column, kind, not_null in conn.execute(COLUMNS_SQL, [list(SCHEMAS)]).fetchall():
        found[table][column] = (kind, not_null)
    return {table.fullname: _describe_columns(table, found.get(table.fullname)) for table in metadata.tables.values()}


def _describe_columns(table: sa.Table, present: dict[str, tuple[str, bool]] | None) -> list[str]:
    if present is None:
        return [f"table {table.fullname}: missing in the database"]
    declared = {column.name: (_format_type(column.type), not column.nullable) for column in table.columns}
    said = []
    for name in sorted(declared.keys() | present.keys()):
        if name not in present:
            said.append(f"column {table.fullname}.{name}: missing in the database")
        elif name not in declared:
            said.append(f"column {table.fullname}.{name}: in the database, not declared")
        elif declared[name] != present[name]:
            told = [kind + (" not null" if not_null else "") for kind, not_null in (present[name], declared[name])]
            said.append(f"column {table.fullname}.{name}: {told[0]} in the database, declared {told[1]}")
    return said


def _format_type(kind: sa.types.TypeEngine[Any]) -> str:
    """A type as Postgres's own format_type writes it."""
    name = kind.compile(dialect=POSTGRES_DIALECT()).lower().replace("varchar", "character varying").replace(", ", ",")
    return "double precision" if name == "float" else name


def _flatten_differences(differences: Iterable[Any]) -> Iterable[tuple[Any, ...]]:
    """Alembic nests changes of one column in a list."""
    for difference in differences:
        if isinstance(difference, list):
            yield from _flatten_differences(difference)
        else:
            yield difference


def _describe_difference(difference: tuple[Any, ...]) -> str:
    kind, *rest = difference
    if kind in {"add_table", "remove_table"}:
        return f"table {rest[0].fullname}: {_describe_side(kind)}"
    if kind in {"add_column", "remove_column"}:
        return f"column {rest[0]}.{rest[1]}.{rest[2].name}: {_describe_side(kind)}"
    if kind.startswith("modify_"):
        schema, table, column, _, actual, declared = rest
        return f"column {schema}.{table}.{column}: {kind.removeprefix('modify_')} is {actual!r} in the database, {declared!r} in the models"
    if kind in {"add_table_comment", "remove_table_comment"}:
        return f"table {rest[0].fullname}: comment is {rest[-1]!r} in the database, {rest[0].comment!r} in the models"
    item = rest[0]
    owner = getattr(item, "table", None)
    return f"{kind.partition('_')[2]} {getattr(item, 'name', item)} of {getattr(owner, 'fullname', '?')}: {_describe_side(kind)}"


def _describe_side(kind: str) -> str:
    return (
        "declared in the models, missing in the database"
        if kind.startswith("add")
        else "in the database, not declared in the models"
    )


def _compare_checks(connection: sa.Connection) -> list[str]:
    """Check constraints: Alembic does not compare them. Names must agree, and vocabularies must hold the same words."""
    query = """
        select n.nspname || '.' || t.relname, c.conname, pg_get_constraintdef(c.oid)
        from pg_constraint c join pg_class t on t.oid = c.conrelid join pg_namespace n on n.oid = t.relnamespace
        where c.contype = 'c' and not t.relispartition and n.nspname = any(:schemas)
    """
    rows = connection.execute(sa.text(query), {"schemas": list(SCHEMAS)})
    actual = {
        (table, name): definition
        for table, name, definition in rows
        if not revisions.DAY_PARTITION_PATTERN.match(table.partition(".")[2])
    }
    declared: dict[tuple[str, str], set[str] | None] = {}
    for table in metadata.tables.values():
        for constraint in table.constraints:
            # A native enum declares a constraint that Postgres does not need and does not get.
            if isinstance(constraint, sa.CheckConstraint) and constraint.name is not None:
                name = connection.dialect.identifier_preparer.format_constraint(constraint)
                declared[table.fullname, str(name)] = None
        for column in table.columns:
            if isinstance(column.type, sa.Enum) and not column.type.native_enum:
                declared[table.fullname, f"ck_{table.name}_{column.type.name}"] = set(column.type.enums)
    found = [
        f"check {name} of {table}: declared in the models, missing in the database"
        for table, name in declared.keys() - actual.keys()
    ]
    found += [
        f"check {name} of {table}: in the database, not declared in the models"
        for table, name in actual.keys() - declared.keys()
    ]
    for key, words in declared.items():
        if words is not None and key in actual and (present := set(_QUOTED_PATTERN.findall(actual[key]))) != words:
            found.append(
                f"check {key[1]} of {key[0]}: allows {sorted(present)} in the database, {sorted(words)} in the models"
            )
    return sorted(found)


def _compare_enums(connection: sa.Connection) -> list[str]:
    query = "select enumlabel from pg_enum where enumtypid = to_regtype(:name) order by enumsortorder"
    kinds = [
        getattr(column.type, "item_type", column.type) for table in metadata.tables.values() for column in table.columns
    ]
    declared = {
        f"{kind.schema}.{kind.name}": kind.enums for kind in kinds if isinstance(kind, sa.Enum) and kind.native_enum
    }
    actual = {name: [label for (label,) in connection.execute(sa.text(query), {"name": name})] for name in declared}
    return [
        f"type {name}: {actual[name]} in the database, {words} in the models"
        for name, words in declared.items()
        if actual[name] != words
    ]


def _compare_partitioning(connection: sa.Connection) -> list[str]:
    query = "select pg_get_partkeydef(to_regclass(:name))"
    found = []
    for table in metadata.tables.values():
        declared = table.dialect_options["postgresql"].get("partition_by")
        actual = connection.execute(sa.text(query), {"name": table.fullname}).scalar()
        if actual != declared:
            found.append(f"table {table.fullname}: partitioned by {actual} in the database, {declared} in the models")
    return found


def _compare_views(connection: sa.Connection) -> list[str]:
    present = {name for name, _ in connection.execute(sa.text(revisions.VIEWS_PRESENT_SQL))}
    missing = [name for name in map(revisions.parse_view_name, revisions.list_view_files()) if name not in present]
    return [
        f"view or function palimpsest.{name}: missing in the database: run palimpsest db upgrade" for name in missing
    ]
