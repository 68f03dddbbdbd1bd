"""What there is, read from a migrated database: names, keys, columns, types and comments.

No wording of its own but units.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import psycopg

from ...db.introspection import Relation, read_relations
from ...db.view_sources import find_tables

SCHEMA_ORDER: Final = ("palimpsest", "mart", "core", "ops")
"""In the order in which people look."""
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
where n.nspname = any(%s) and c.relkind in ('r', 'p') and not c.relispartition and a.attnum > 0 and not a.attisdropped and not a.attnotnull
group by 1
"""
FUNCTIONS_SQL: Final = """
select n.nspname || '.' || p.proname, p.proretset, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid), obj_description(p.oid, 'pg_proc')
from pg_proc p join pg_namespace n on n.oid = p.pronamespace
where n.nspname = any(%s)
"""
VIEW_KEY_PATTERN: Final = re.compile(r"\s*Key: ([\w, ]+)\.$")
"""A view says at the end of its comment by which columns its rows differ."""
EXCLUDED_NAMES_PATTERN: Final = re.compile(r"\d{8}$|^alembic_version$")
"""Day partitions that stand alone, and Alembic's own table."""
MEANING_PATTERN: Final = re.compile(r"(?:^|[.;] )(\w+(?:(?:, | and )\w+)*): (.+?)(?=[.;](?: |$))")
"""In the comment of a function: what it takes, or tells, and what that means."""
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
    name: str
    type: str
    """As Postgres writes it, in its shorter form."""
    is_nullable: bool
    """May be null; of views always False, since Postgres does not know."""
    meaning: str
    """Its comment. Of a function's column what the function's own comment says of it, else what the column of its name
    says that the function reads, of a view if there is one. '' when nothing does."""

    @property
    def unit(self) -> str:
        return find_unit(self.name, self.type)


@dataclass(frozen=True, slots=True)
class Entry:
    """A table, view or function."""

    schema: str
    name: str
    kind: str
    comment: str
    key: tuple[str, ...]
    """Columns by which rows differ; empty of a function, and of a table without a primary key."""
    columns: tuple[Column, ...]
    arguments: str
    """Of a function: what it takes, with defaults."""
    sources: tuple[str, ...]
    """Tables, views and functions that a view or function reads itself."""

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}"


def find_unit(name: str, kind: str) -> str:
    """Unit of a column, from its type and the end of its name; '' when it has none."""
    if kind.startswith("timestamp"):
        return "UTC"
    if kind in ("date", "boolean", "text", "jsonb", "interval") and not re.search(r"odds_vector$", name):
        return "UTC date" if kind == "date" else ""
    return next((said for pattern, said in UNIT_PATTERNS if re.search(pattern, name)), "")


def read_entries(conn: psycopg.Connection[Any]) -> list[Entry]:
    """Everything of ours in the database, by schema (`SCHEMA_ORDER`) and name."""
    schemas = [list(SCHEMA_ORDER)]
    keys = _to_column_lists(conn.execute(KEYS_SQL, schemas).fetchall())
    optional = _to_column_lists(conn.execute(NULLABLE_COLUMNS_SQL, schemas).fetchall())
    functions = {name: told for name, *told in conn.execute(FUNCTIONS_SQL, schemas).fetchall()}
    found = {
        r.full_name: _build_entry(r, keys, optional, functions)
        for r in read_relations(conn, SCHEMA_ORDER)
        if not EXCLUDED_NAMES_PATTERN.search(r.name)
    }
    for name, (is_set, arguments, result, about) in functions.items():
        if not is_set:
            schema, _, bare = name.partition(".")
            found[name] = Entry(
                schema,
                bare,
                "function",
                about or "",
                (),
                (Column("", result, False, ""),),
                _format_arguments(arguments),
                find_tables(name),
            )
    told = [_add_meanings(entry, found) for entry in found.values()]
    return sorted(told, key=lambda entry: (SCHEMA_ORDER.index(entry.schema), entry.name))


def _build_entry(
    relation: Relation,
    keys: Mapping[str, list[str]],
    optional: Mapping[str, list[str]],
    functions: Mapping[str, list[Any]],
) -> Entry:
    about, key = relation.comment, keys.get(relation.full_name, [])
    if relation.kind == "view" and (told := VIEW_KEY_PATTERN.search(about)):
        about, key = about[: told.start()], told[1].split(", ")
    nulls = optional.get(relation.full_name, [])
    said = _parse_meanings(about, relation.arguments) if relation.kind == "function" else {}
    columns = tuple(
        Column(name, _shorten_type(kind), name in nulls, meaning or said.get(name, ""))
        for name, (kind, meaning) in relation.columns.items()
    )
    arguments = _format_arguments(functions[relation.full_name][1]) if relation.kind == "function" else ""
    reads = () if relation.kind == "table" else find_tables(relation.full_name)
    return Entry(relation.schema, relation.name, relation.kind, about, tuple(key), columns, arguments, reads)


def _parse_meanings(about: str, arguments: Collection[str]) -> Mapping[str, str]:
    """What a function's comment says of names that are no arguments of it, each as a sentence."""
    pairs = [
        (re.split(", | and ", names), f"{meaning[0].upper()}{meaning[1:]}.")
        for names, meaning in MEANING_PATTERN.findall(about)
    ]
    return {name: meaning for names, meaning in pairs for name in names if name not in arguments}


def _add_meanings(entry: Entry, known: Mapping[str, Entry]) -> Entry:
    if entry.kind != "function":
        return entry
    said = {column.name: column.meaning for name in entry.sources if name in known for column in known[name].columns}
    return replace(
        entry,
        columns=tuple(replace(column, meaning=column.meaning or said.get(column.name, "")) for column in entry.columns),
    )


def _format_arguments(arguments: str) -> str:
    """Arguments as one writes them: without what is only told, and without the types of defaults."""
    taken = [part.removeprefix("INOUT ") for part in arguments.split(", ") if not part.startswith("OUT ")]
    return re.sub(
        r"('[^']*'|NULL)::[a-z ]+", lambda found: found[1].replace("NULL", "null"), _shorten_type(", ".join(taken))
    ).replace(" DEFAULT ", " default ")


def _shorten_type(kind: str) -> str:
    return kind.replace("timestamp with time zone", "timestamptz").replace("character varying", "varchar")


def _to_column_lists(rows: Iterable[tuple[Any, ...]]) -> dict[str, list[str]]:
    return {name: list(columns) for name, columns in rows}
