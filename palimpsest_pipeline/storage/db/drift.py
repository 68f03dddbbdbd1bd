"""Compare a database with the table definitions of `tables`. Read only.

Belongs here: the comparison and the text of its findings. Does not belong here: repairs.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

import psycopg
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from palimpsest_pipeline.tables import SCHEMAS, metadata

from . import revisions
from .connection import Database

POSTGRES_DIALECT: Final[Any] = sa.dialects.postgresql.dialect
COLUMNS_SQL: Final = """
    select n.nspname || '.' || c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull
    from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = any(%s) and c.relkind in ('r', 'p') and not c.relispartition and a.attnum > 0
        and not a.attisdropped
"""
DAY_PARTITION_PATTERN: Final = re.compile(r"^(captures|market_changes)_\d{8}$")
_QUOTED_PATTERN = re.compile(r"'([^']*)'")


def _is_ours(name: str | None, kind: str, _parents: Any) -> bool:
    """Return whether Alembic compares an object.

    It compares the objects of the product's schemas, except daily partitions (created at run time) and the table of
    the revision.
    """
    if kind == "schema":
        return name in SCHEMAS
    if kind == "table":
        return name is not None and name != revisions.VERSION_TABLE.name and not DAY_PARTITION_PATTERN.match(name)
    return True


ALEMBIC_OPTIONS: Final = {
    "target_metadata": metadata,
    "include_schemas": True,
    "include_name": _is_ours,
    "compare_type": True,
}


def find_drift(url: str) -> list[str]:
    """Return the differences between the database and `tables`, one sentence each.

    Daily partitions are ignored.
    """
    with Database(url).sqlalchemy_engine().connect() as connection:
        if problem := revisions.describe_other_state(revisions.read_revision(connection)):
            return [problem]
        context = MigrationContext.configure(connection, opts=ALEMBIC_OPTIONS)
        sentences = [
            _describe_difference(difference) for difference in _flatten_differences(compare_metadata(context, metadata))
        ]
        sentences += [
            *_compare_checks(connection),
            *_compare_enums(connection),
            *_compare_partitioning(connection),
            *_compare_views(connection),
        ]
    return sentences


def find_column_drift(conn: psycopg.Connection) -> dict[str, list[str]]:
    """Return the column errors of the declared tables: sentences by table name.

    A table without errors has an empty list. The check is one cheap query of the Postgres catalog. A column that is not
    declared is also an error, because every insert writes all declared columns.
    """
    columns: defaultdict[str, dict[str, tuple[str, bool]]] = defaultdict(dict)
    for table, column, kind, not_null in conn.execute(COLUMNS_SQL, [list(SCHEMAS)]).fetchall():
        columns[table][column] = (kind, not_null)
    return {table.fullname: _describe_columns(table, columns.get(table.fullname)) for table in metadata.tables.values()}


def _describe_columns(table: sa.Table, present: dict[str, tuple[str, bool]] | None) -> list[str]:
    if present is None:
        return [f"table {table.fullname}: missing in the database"]
    declared = {column.name: (_format_type(column.type), not column.nullable) for column in table.columns}
    sentences = []
    for name in sorted(declared.keys() | present.keys()):
        if name not in present:
            sentences.append(f"column {table.fullname}.{name}: missing in the database")
        elif name not in declared:
            sentences.append(f"column {table.fullname}.{name}: in the database, not declared")
        elif declared[name] != present[name]:
            types = [kind + (" not null" if not_null else "") for kind, not_null in (present[name], declared[name])]
            sentences.append(f"column {table.fullname}.{name}: {types[0]} in the database, declared {types[1]}")
    return sentences


def _format_type(kind: sa.types.TypeEngine[Any]) -> str:
    """Return a column type in the text form of Postgres's `format_type`."""
    name = kind.compile(dialect=POSTGRES_DIALECT()).lower().replace("varchar", "character varying").replace(", ", ",")
    return "double precision" if name == "float" else name


def _flatten_differences(differences: Iterable[Any]) -> Iterable[tuple[Any, ...]]:
    """Yield the differences as a flat sequence; Alembic nests the changes of one column in a list."""
    for difference in differences:
        if isinstance(difference, list):
            yield from _flatten_differences(difference)
        else:
            yield difference


def _describe_difference(difference: tuple[Any, ...]) -> str:
    kind, *details = difference
    if kind in {"add_table", "remove_table"}:
        return f"table {details[0].fullname}: {_describe_side(kind)}"
    if kind in {"add_column", "remove_column"}:
        return f"column {details[0]}.{details[1]}.{details[2].name}: {_describe_side(kind)}"
    if kind.startswith("modify_"):
        schema, table, column, _, actual, declared = details
        return (
            f"column {schema}.{table}.{column}: {kind.removeprefix('modify_')} is {actual!r} in the database, "
            f"{declared!r} in the models"
        )
    if kind in {"add_table_comment", "remove_table_comment"}:
        return (
            f"table {details[0].fullname}: comment is {details[-1]!r} in the database, "
            f"{details[0].comment!r} in the models"
        )
    item = details[0]
    owner = getattr(item, "table", None)
    return (
        f"{kind.partition('_')[2]} {getattr(item, 'name', item)} of {getattr(owner, 'fullname', '?')}: "
        f"{_describe_side(kind)}"
    )


def _describe_side(kind: str) -> str:
    return (
        "declared in the models, missing in the database"
        if kind.startswith("add")
        else "in the database, not declared in the models"
    )


def _compare_checks(connection: sa.Connection) -> list[str]:
    """Return the differences of check constraints, which Alembic does not compare.

    The names must be equal. A constraint that lists allowed words must list the same words.
    """
    query = """
        select n.nspname || '.' || t.relname, c.conname, pg_get_constraintdef(c.oid)
        from pg_constraint c join pg_class t on t.oid = c.conrelid join pg_namespace n on n.oid = t.relnamespace
        where c.contype = 'c' and not t.relispartition and n.nspname = any(:schemas)
    """
    rows = connection.execute(sa.text(query), {"schemas": list(SCHEMAS)})
    actual = {
        (table, name): definition
        for table, name, definition in rows
        if not DAY_PARTITION_PATTERN.match(table.partition(".")[2])
    }
    declared: dict[tuple[str, str], set[str] | None] = {}
    for table in metadata.tables.values():
        for constraint in table.constraints:
            # SQLAlchemy declares a check constraint for a native enum, but never creates it.
            if isinstance(constraint, sa.CheckConstraint) and constraint.name is not None:
                name = connection.dialect.identifier_preparer.format_constraint(constraint)
                declared[table.fullname, str(name)] = None
        for column in table.columns:
            if isinstance(column.type, sa.Enum) and not column.type.native_enum:
                declared[table.fullname, f"ck_{table.name}_{column.type.name}"] = set(column.type.enums)
    sentences = [
        f"check {name} of {table}: declared in the models, missing in the database"
        for table, name in declared.keys() - actual.keys()
    ]
    sentences += [
        f"check {name} of {table}: in the database, not declared in the models"
        for table, name in actual.keys() - declared.keys()
    ]
    for key, declared_words in declared.items():
        if (
            declared_words is not None
            and key in actual
            and (actual_words := set(_QUOTED_PATTERN.findall(actual[key]))) != declared_words
        ):
            sentences.append(
                f"check {key[1]} of {key[0]}: allows {sorted(actual_words)} in the database, "
                f"{sorted(declared_words)} in the models"
            )
    return sorted(sentences)


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
        f"type {name}: {actual[name]} in the database, {labels} in the models"
        for name, labels in declared.items()
        if actual[name] != labels
    ]


def _compare_partitioning(connection: sa.Connection) -> list[str]:
    query = "select pg_get_partkeydef(to_regclass(:name))"
    sentences = []
    for table in metadata.tables.values():
        declared = table.dialect_options["postgresql"].get("partition_by")
        actual = connection.execute(sa.text(query), {"name": table.fullname}).scalar()
        if actual != declared:
            sentences.append(
                f"table {table.fullname}: partitioned by {actual} in the database, {declared} in the models"
            )
    return sentences


def _compare_views(connection: sa.Connection) -> list[str]:
    present = {name for name, _ in connection.execute(sa.text(revisions.VIEWS_PRESENT_SQL))}
    missing = [name for name in map(revisions.parse_view_name, revisions.list_view_files()) if name not in present]
    return [
        f"view or function palimpsest.{name}: missing in the database: run palimpsest db upgrade" for name in missing
    ]
