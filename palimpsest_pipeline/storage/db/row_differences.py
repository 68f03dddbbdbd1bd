"""Write only the rows that differ: from a frame into a table, or by an upsert. Callers commit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl
import psycopg
from psycopg import sql

from palimpsest_pipeline.tables import metadata
from palimpsest_pipeline.tables.frame_types import require_table_columns

from .copy_frames import copy_rows, quote_identifier, read_frame

# The temporary table is created once per session and never analyzed, because each new temporary table and its
# statistics would leave dead rows in the Postgres catalog.
CREATE_TEMP_TABLE_SQL: Final = "create temporary table if not exists {staged} (like {table}) on commit delete rows"
READ_SQL: Final = "select {columns} from {table} where sr_id = any(%(sr_ids)s)"
READ_GROUPED_SQL: Final = """
select {columns}, string_agg(line_id::text, ';') as line_id from {table} where sr_id = any(%(sr_ids)s)
group by {group}
"""
# The fixtures are named so that Postgres uses the index: it has no statistics about the temporary table.
_DELETE_SQL: Final = "delete from {table} t using pg_temp.{staged} n where t.sr_id = any(%(sr_ids)s) and {same_key}"
# The update changes no indexed column, so Postgres can store the new row version on the same page (a HOT update).
UPDATE_SQL: Final = (
    "update {table} t set {assignments} from pg_temp.{staged} n where t.sr_id = any(%(sr_ids)s) and {same_key}"
)


@dataclass(frozen=True, slots=True)
class WriteCounts:
    """The numbers of rows inserted, updated and deleted in a table."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0

    def __add__(self, other: "WriteCounts") -> "WriteCounts":
        return WriteCounts(self.inserted + other.inserted, self.updated + other.updated, self.deleted + other.deleted)


def write_differences(
    conn: psycopg.Connection[Any],
    table: str,
    frame: pl.DataFrame,
    sr_ids: Sequence[int],
    *,
    read_grouped: bool = False,
) -> WriteCounts:
    """Make the table's rows of these fixtures equal to `frame`, writing only the rows that differ.

    `sr_ids` are the fixtures. The table's primary key must begin with sr_id. `read_grouped` reads the stored rows
    faster if most of them differ from others only in line_id; the result is the same. The caller holds the lock of the
    fixtures, so that no other session writes their rows, and has an open snapshot (`locks.open_snapshot`), so that it
    changes the rows that it has read. Raises ValueError when the columns of frame and table differ, and RuntimeError
    when a row to be changed no longer exists.
    """
    require_table_columns(table, frame)
    key = [column.name for column in metadata.tables[table].primary_key.columns]
    # Most rows stay the same. Reading them costs less than sending all rows of the frame to Postgres.
    read = _read_grouped_rows if read_grouped else _read_rows
    stored = read(conn, table, sr_ids, frame.schema)
    changed = _select_changed(frame, stored, key)
    deleted, inserted = stored.join(frame, on=key, how="anti"), frame.join(stored, on=key, how="anti")
    _change_rows(conn, table, _DELETE_SQL, deleted, key, sr_ids)
    _change_rows(conn, table, UPDATE_SQL, changed, key, sr_ids)
    copy_rows(conn, table, inserted.sort(key))
    return WriteCounts(inserted.height, changed.height, deleted.height)


def _read_rows(conn: psycopg.Connection[Any], table: str, sr_ids: Sequence[int], schema: pl.Schema) -> pl.DataFrame:
    query = sql.SQL(READ_SQL).format(table=quote_identifier(table), columns=_select_columns(schema))
    return read_frame(conn, query, {"sr_ids": list(sr_ids)}).cast(schema)


def _read_grouped_rows(
    conn: psycopg.Connection[Any], table: str, sr_ids: Sequence[int], schema: pl.Schema
) -> pl.DataFrame:
    """Return the same rows as `_read_rows`. Rows that differ only in line_id are fetched as one row."""
    group_schema = pl.Schema({name: kind for name, kind in schema.items() if name != "line_id"})
    query = sql.SQL(READ_GROUPED_SQL).format(
        table=quote_identifier(table),
        columns=_select_columns(group_schema),
        group=_join_names("{}", list(group_schema)),
    )
    groups = read_frame(conn, query, {"sr_ids": list(sr_ids)})
    # The column of texts is split in place: `explode` would copy a column of texts that stays once for each line.
    rows = groups.with_columns(pl.col("line_id").str.split(";")).explode("line_id")
    return rows.select(list(schema)).cast(schema)


def _select_columns(schema: pl.Schema) -> sql.Composed:
    """Return the SELECT list of these columns. An array of an enum becomes text[]."""
    return sql.SQL(", ").join(
        sql.SQL("{0}::text[] as {0}" if kind == pl.List(pl.String) else "{}").format(sql.Identifier(name))
        for name, kind in schema.items()
    )


def _select_changed(frame: pl.DataFrame, stored: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    """Return the rows of `frame` whose key is stored with other values."""
    differs = [pl.col(name).ne_missing(pl.col(f"{name}_stored")) for name in frame.columns if name not in key]
    pairs = frame.join(stored, on=key, suffix="_stored")
    return pairs.filter(pl.any_horizontal(differs)).select(frame.columns)


def _change_rows(
    conn: psycopg.Connection[Any],
    table: str,
    statement: str,
    frame: pl.DataFrame,
    key: Sequence[str],
    sr_ids: Sequence[int],
) -> None:
    """Run an UPDATE or DELETE on the stored rows of these fixtures that have the keys of `frame`."""
    if frame.is_empty():
        return
    staged = f"new_{table.partition('.')[2]}"
    parts = {
        "table": quote_identifier(table),
        "staged": sql.Identifier(staged),
        "same_key": _join_names("t.{0} = n.{0}", key, " and "),
        "assignments": _join_names("{0} = n.{0}", [name for name in frame.columns if name not in key]),
    }
    for prepare in (CREATE_TEMP_TABLE_SQL, "delete from pg_temp.{staged}"):
        conn.execute(sql.SQL(prepare).format(**parts))
    copy_rows(conn, f"pg_temp.{staged}", frame)
    n_rows = conn.execute(sql.SQL(statement).format(**parts), {"sr_ids": list(sr_ids)}).rowcount
    if n_rows != frame.height:
        raise RuntimeError(
            f"{table}: {n_rows} of {frame.height} rows changed: the others are gone, or the frame has a key twice"
        )


def _join_names(form: str, names: Sequence[str], separator: str = ", ") -> sql.Composed:
    return sql.SQL(separator).join(sql.SQL(form).format(sql.Identifier(name)) for name in names)


def build_upsert(table: str, columns: Sequence[str], key: Sequence[str], source: sql.Composable) -> sql.Composed:
    """Return a statement that inserts or updates the `columns` of `source` in `table` by `key`.

    `source` is the text after FROM. Unchanged rows are not written.
    """
    values = [column for column in columns if column not in key]

    def join_names(template: str, names: Sequence[str]) -> sql.Composed:
        return sql.SQL(", ").join(sql.SQL(template).format(sql.Identifier(name)) for name in names)

    return sql.SQL(
        """
        insert into {table} as t ({columns}) select {columns} from {source} order by {key}
        on conflict ({key}) do update set {set} where ({old}) is distinct from ({new})
        """
    ).format(
        table=quote_identifier(table),
        columns=join_names("{0}", columns),
        source=source,
        key=join_names("{0}", key),
        set=join_names("{0} = excluded.{0}", values),
        old=join_names("t.{0}", values),
        new=join_names("excluded.{0}", values),
    )
