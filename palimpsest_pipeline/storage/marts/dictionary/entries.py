"""Read the dictionary's entries from a migrated database: names, keys, columns, types, comments.

Units are derived here from names and types; everything else comes from the database.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import psycopg

from ...db.introspection import Relation, read_relations
from ...db.revisions import find_tables

SCHEMA_ORDER: Final = ("palimpsest", "mart", "core", "ops")
"""Schemas in the order of the dictionary: the ones that analysts read come first."""
KEYS_SQL: Final = """
select n.nspname || '.' || c.relname, array_agg(a.attname::text order by k.place)
from pg_constraint p
join pg_class c on c.oid = p.conrelid
join pg_namespace n on n.oid = c.relnamespace
cross join lateral unnest(p.conkey) with ordinality k (attnum, place)
join pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum
where p.contype = 'p' and n.nspname = any(%s) and not c.relispartition
group by 1
"""
NULLABLE_COLUMNS_SQL: Final = """
select n.nspname || '.' || c.relname, array_agg(a.attname::text)
from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
where n.nspname = any(%s) and c.relkind in ('r', 'p') and not c.relispartition and a.attnum > 0
    and not a.attisdropped and not a.attnotnull
group by 1
"""
FUNCTIONS_SQL: Final = """
select n.nspname || '.' || p.proname, p.proretset, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid),
    obj_description(p.oid, 'pg_proc')
from pg_proc p join pg_namespace n on n.oid = p.pronamespace
where n.nspname = any(%s)
"""
VIEW_KEY_PATTERN: Final = re.compile(r"\s*Key: ([\w, ]+)\.$")
"""Matches the end of a view's comment, which names the view's key columns."""
EXCLUDED_NAMES_PATTERN: Final = re.compile(r"\d{8}$|^alembic_version$")
"""Matches tables that the dictionary leaves out: detached days, and the table of the revision."""
MEANING_PATTERN: Final = re.compile(r"(?:^|[.;] )(\w+(?:(?:, | and )\w+)*): (.+?)(?=[.;](?: |$))")
"""Matches, in a function's comment, the name of an argument or result column and its meaning."""
UNIT_PATTERNS: Final = (
    (r"_milli$", "odds × 1000"),
    (r"(^|_)odds$|^odds_vector$", "decimal odds"),
    (r"_pct$", "%"),
    (r"_pp$", "percentage points"),
    (r"_ms$", "ms"),
    (r"_s$", "s"),
    (r"(^|_)minutes(_|$)", "min"),
    (r"^hours_|_hours$", "h"),
    (r"_days?(_|$)", "days"),
    (r"(^|_)bytes$", "bytes"),
    (r"_rate$|_share$|(?<!^dup)_ratio$|_rel$|_prob$|^profit$|^stakes$", "share of 1"),
    (
        r"margin(_tw_mean|_p50|_min|_max|_diff)?$|^payout$|^above_cheapest$|_minus_platform_tw_mean$|^confidence$",
        "share of 1",
    ),
    (r"^n_|^occurrences$", "count"),
)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table or view, or of the result of a function."""

    name: str
    type: str
    """The type in the shorter of Postgres's notations."""
    is_nullable: bool
    """Whether the column may be null. Always False for views, because Postgres does not know it."""
    meaning: str
    """The column's comment; '' when there is none.

    For a result column of a function, the meaning comes from the function's comment. If it is not there, the comment of
    a column with the same name is used, from a relation that the function reads, preferably a view.
    """

    @property
    def unit(self) -> str:
        return find_unit(self.name, self.type)


@dataclass(frozen=True, slots=True)
class Entry:
    """A table, view or function of the dictionary."""

    schema: str
    name: str
    kind: str
    comment: str
    key: tuple[str, ...]
    """Key columns; empty for a function, and for a table without a primary key."""
    columns: tuple[Column, ...]
    arguments: str
    """Arguments of a function with their defaults, as text."""
    sources: tuple[str, ...]
    """Tables, views and functions that a view or function reads directly."""

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}"


def find_unit(name: str, kind: str) -> str:
    """Return a column's unit, derived from its type and the end of its name; '' when it has none."""
    if kind.startswith("timestamp"):
        return "UTC"
    if kind in ("date", "boolean", "text", "jsonb", "interval") and not re.search(r"odds_vector$", name):
        return "UTC date" if kind == "date" else ""
    return next((unit for pattern, unit in UNIT_PATTERNS if re.search(pattern, name)), "")


def read_entries(conn: psycopg.Connection[Any]) -> list[Entry]:
    """Return all tables, views and functions of the product, by schema (`SCHEMA_ORDER`) and name."""
    schemas = [list(SCHEMA_ORDER)]
    keys = _to_column_lists(conn.execute(KEYS_SQL, schemas).fetchall())
    nullable_columns = _to_column_lists(conn.execute(NULLABLE_COLUMNS_SQL, schemas).fetchall())
    functions = {name: facts for name, *facts in conn.execute(FUNCTIONS_SQL, schemas).fetchall()}
    entries = {
        r.full_name: _build_entry(r, keys, nullable_columns, functions)
        for r in read_relations(conn, SCHEMA_ORDER)
        if not EXCLUDED_NAMES_PATTERN.search(r.name)
    }
    for name, (is_set, arguments, result, comment) in functions.items():
        if not is_set:
            schema, _, short_name = name.partition(".")
            entries[name] = Entry(
                schema,
                short_name,
                "function",
                comment or "",
                (),
                (Column("", result, False, ""),),
                _format_arguments(arguments),
                find_tables(name),
            )
    complete = [_add_meanings(entry, entries) for entry in entries.values()]
    return sorted(complete, key=lambda entry: (SCHEMA_ORDER.index(entry.schema), entry.name))


def _build_entry(
    relation: Relation,
    keys: Mapping[str, list[str]],
    nullable_columns: Mapping[str, list[str]],
    functions: Mapping[str, list[Any]],
) -> Entry:
    comment, key = relation.comment, keys.get(relation.full_name, [])
    if relation.kind == "view" and (match := VIEW_KEY_PATTERN.search(comment)):
        comment, key = comment[: match.start()], match[1].split(", ")
    nulls = nullable_columns.get(relation.full_name, [])
    meanings = _parse_meanings(comment, relation.arguments) if relation.kind == "function" else {}
    columns = tuple(
        Column(name, _shorten_type(kind), name in nulls, meaning or meanings.get(name, ""))
        for name, (kind, meaning) in relation.columns.items()
    )
    arguments = _format_arguments(functions[relation.full_name][1]) if relation.kind == "function" else ""
    sources = () if relation.kind == "table" else find_tables(relation.full_name)
    return Entry(relation.schema, relation.name, relation.kind, comment, tuple(key), columns, arguments, sources)


def _parse_meanings(comment: str, arguments: Collection[str]) -> Mapping[str, str]:
    """Return the meanings of result columns in a function's comment, by name, one sentence each."""
    pairs = [
        (re.split(", | and ", names), f"{meaning[0].upper()}{meaning[1:]}.")
        for names, meaning in MEANING_PATTERN.findall(comment)
    ]
    return {name: meaning for names, meaning in pairs for name in names if name not in arguments}


def _add_meanings(entry: Entry, entries: Mapping[str, Entry]) -> Entry:
    if entry.kind != "function":
        return entry
    meanings = {
        column.name: column.meaning for name in entry.sources if name in entries for column in entries[name].columns
    }
    return replace(
        entry,
        columns=tuple(
            replace(column, meaning=column.meaning or meanings.get(column.name, "")) for column in entry.columns
        ),
    )


def _format_arguments(arguments: str) -> str:
    """Return a function's arguments as in a call, without result columns and without types of defaults."""
    inputs = [part.removeprefix("INOUT ") for part in arguments.split(", ") if not part.startswith("OUT ")]
    return re.sub(
        r"('[^']*'|NULL)::[a-z ]+", lambda match: match[1].replace("NULL", "null"), _shorten_type(", ".join(inputs))
    ).replace(" DEFAULT ", " default ")


def _shorten_type(kind: str) -> str:
    return kind.replace("timestamp with time zone", "timestamptz").replace("character varying", "varchar")


def _to_column_lists(rows: Iterable[tuple[Any, ...]]) -> dict[str, list[str]]:
    return {name: list(columns) for name, columns in rows}
