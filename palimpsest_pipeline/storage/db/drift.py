"""Compare a database with the table definitions of `tables`, by Alembic. Read only.

Alembic does not compare check constraints, values of enum types, partitioning and functions.
"""

import re
from collections.abc import Iterable
from typing import Any, Final

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from palimpsest_pipeline.tables import SCHEMAS, metadata

from . import revisions
from .connection import Database

DAY_PARTITION_PATTERN: Final = re.compile(r"^(captures|market_changes)_\d{8}$")


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
    """Return the differences between the database and `tables`, one sentence each, and missing views.

    Daily partitions are ignored.
    """
    with Database(url).sqlalchemy_engine().connect() as connection:
        if problem := revisions.describe_other_state(revisions.read_revision(connection)):
            return [problem]
        context = MigrationContext.configure(connection, opts=ALEMBIC_OPTIONS)
        differences = _flatten_differences(compare_metadata(context, metadata))
        return [*map(_describe_difference, differences), *_find_missing_views(connection)]


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


def _find_missing_views(connection: sa.Connection) -> list[str]:
    present = {name for name, _ in connection.execute(sa.text(revisions.VIEWS_PRESENT_SQL))}
    missing = [name for name in map(revisions.parse_view_name, revisions.list_view_files()) if name not in present]
    return [
        f"view or function palimpsest.{name}: missing in the database: run palimpsest db upgrade" for name in missing
    ]
