"""List and read the tables, views and functions of the schemas `palimpsest` and `mart`.

The definitions come from the Postgres catalog.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Final

import msgspec
import psycopg
from psycopg import sql

from palimpsest_pipeline.domain.errors import PalimpsestError

from .copy_frames import read_frame

READABLE_SCHEMAS: Final = ("palimpsest", "mart")
"""The schemas that analysts read, in order of precedence.

If a view and a table have the same name, the view is read.
"""

RELATIONS_SQL: Final = """
select n.nspname as "schema", c.relname as name, case c.relkind when 'v' then 'view' else 'table' end as kind,
    coalesce(obj_description(c.oid, 'pg_class'), '') as about, '[]'::jsonb as arguments,
    (
        select jsonb_agg(
            jsonb_build_array(a.attname, format_type(a.atttypid, a.atttypmod), coalesce(col_description(c.oid,
                a.attnum), '')) order by a.attnum
        )
        from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    ) as columns
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = any(%(schemas)s) and c.relkind in ('r', 'p', 'v', 'm') and not c.relispartition
    and has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')
union all
select n.nspname, p.proname, 'function', coalesce(obj_description(p.oid, 'pg_proc'), ''),
    (
        select coalesce(jsonb_agg(a.name
            order by a.place) filter (where p.proargmodes is null or a.mode in ('i', 'b')), '[]')
        from unnest(p.proargnames, p.proargmodes) with ordinality a (name, mode, place)
    ),
    (
        select coalesce(jsonb_agg(jsonb_build_array(a.name, format_type(a.kind, null), '') order by a.place), '[]')
        from unnest(p.proargnames, p.proargmodes, p.proallargtypes) with ordinality a (name, mode, kind, place)
        where a.mode in ('o', 'b', 't')
    )
from pg_proc p
join pg_namespace n on n.oid = p.pronamespace
where n.nspname = any(%(schemas)s) and p.proretset and has_schema_privilege(n.oid, 'usage')
    and has_function_privilege(p.oid, 'execute')
"""


class UnknownName(PalimpsestError, LookupError):
    """The error for an unknown table, column or argument. The message lists the known ones."""


@dataclass(frozen=True, slots=True)
class Relation:
    """A table, view or function that the session may read."""

    schema: str
    name: str
    kind: str
    """One of `table`, `view` and `function`."""
    comment: str
    arguments: tuple[str, ...]
    """Argument names of a function."""
    columns: Mapping[str, tuple[str, str]]
    """Column name -> (Postgres type, comment). The comment is '' when the column has none."""

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}"


def read_relations(conn: psycopg.Connection[Any], schemas: Sequence[str] = READABLE_SCHEMAS) -> list[Relation]:
    """Return all relations of these schemas that the session may read.

    They are sorted by schema, in the order of `schemas`, and by name.
    """
    rows = read_frame(conn, RELATIONS_SQL, {"schemas": list(schemas)})
    relations = [
        Relation(
            row["schema"],
            row["name"],
            row["kind"],
            row["about"],
            tuple(msgspec.json.decode(row["arguments"])),
            {name: (kind, meaning) for name, kind, meaning in msgspec.json.decode(row["columns"])},
        )
        for row in rows.iter_rows(named=True)
    ]
    return sorted(relations, key=lambda relation: (schemas.index(relation.schema), relation.name))


def build_select(
    relation: Relation,
    filters: Mapping[str, Any],
    where: str | None = None,
    columns: Sequence[str] | None = None,
    limit: int | None = None,
) -> sql.Composed:
    """Return the SELECT that reads `relation`, or only `columns` of it.

    `filters` maps a function's argument to its value, or a column to the wanted value or values (a list, set or
    Series). None means null. `where` is an SQL condition. Raises UnknownName, and ValueError for an instant without a
    time zone.
    """
    if unknown := [
        name for name in (*filters, *(columns or ())) if name not in relation.columns and name not in relation.arguments
    ]:
        alternatives = f"its columns: {', '.join(relation.columns)}" + (
            f"; its arguments: {', '.join(relation.arguments)}" if relation.arguments else ""
        )
        raise UnknownName(f"{relation.full_name} has no {', '.join(unknown)}; {alternatives}")
    selected = sql.SQL(", ").join(map(sql.Identifier, columns)) if columns else sql.SQL("*")
    source: sql.Composable = sql.Identifier(relation.schema, relation.name)
    if relation.kind == "function":
        candidates = [
            sql.SQL("{} => {}").format(sql.Identifier(name), _build_literal(filters[name]))
            for name in relation.arguments
            if name in filters
        ]
        source = sql.SQL("{}({})").format(source, sql.SQL(", ").join(candidates))
    conditions = [_build_condition(name, value) for name, value in filters.items() if name not in relation.arguments]
    if where:
        conditions.append(sql.SQL("(") + sql.SQL(where) + sql.SQL("\n)"))
    text = sql.SQL("select {} from {}").format(selected, source)
    if conditions:
        text += sql.SQL(" where ") + sql.SQL(" and ").join(conditions)
    return text if limit is None else text + sql.SQL(" limit {}").format(sql.Literal(limit))


def _build_condition(name: str, value: Any) -> sql.Composed:
    column = sql.Identifier(name)
    if value is None:
        return sql.SQL("{} is null").format(column)
    if isinstance(value, Iterable) and not isinstance(value, str):
        return sql.SQL("{} = any({})").format(column, _build_literal(list(value)))
    return sql.SQL("{} = {}").format(column, _build_literal(value))


def _build_literal(value: Any) -> sql.Literal:
    if isinstance(value, list):
        return sql.Literal([_to_plain_value(item) for item in value])
    return sql.Literal(_to_plain_value(value))


def _to_plain_value(value: Any) -> Any:
    if isinstance(value, datetime) and value.tzinfo is None:
        raise ValueError(f"naive datetime {value!r}: give an instant with a time zone")
    return value.value if isinstance(value, Enum) else value
