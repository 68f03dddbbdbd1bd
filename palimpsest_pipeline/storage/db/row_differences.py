"""Rows of a table made equal to a frame by writing only the differences. Callers commit.

Belongs here: comparing a frame with stored rows by the table's key, and writing the difference. Does not belong
here: the meaning of any table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl
import psycopg
from psycopg import sql

from ..tables import metadata
from .copy_frames import copy_rows, quote_identifier

# The table is created once per session and not analyzed: each new temporary table and its statistics would leave dead
# rows in the catalog.
CREATE_TEMP_TABLE_SQL: Final = "create temporary table if not exists {staged} (like {table}) on commit delete rows"
DELETE_SQL: Final = """
delete from {table} t where t.sr_id = any(%(sr_ids)s) and not exists (select from pg_temp.{staged} n where {same_key})
"""
# A key never changes and no other column has an index, so the new version of a row stays on its page where there is
# room.
UPDATE_SQL: Final = """
update {table} t set {assignments} from pg_temp.{staged} n
where t.sr_id = any(%(sr_ids)s) and {same_key} and ({stored}) is distinct from ({given})
"""
INSERT_SQL: Final = """
insert into {table} ({columns}) select {columns} from pg_temp.{staged} n
where not exists (select from {table} t where t.sr_id = any(%(sr_ids)s) and {same_key})
order by {key}
"""


@dataclass(frozen=True, slots=True)
class WriteCounts:
    """The numbers of rows written to a table."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0

    def __add__(self, other: "WriteCounts") -> "WriteCounts":
        return WriteCounts(self.inserted + other.inserted, self.updated + other.updated, self.deleted + other.deleted)


def write_differences(
    conn: psycopg.Connection[Any], table: str, frame: pl.DataFrame, sr_ids: Sequence[int]
) -> WriteCounts:
    """Make `frame` the rows of these fixtures in a table, and write only rows that differ.

    The table's key must begin with sr_id. Raises ValueError when the frame's columns differ from the table's.
    """
    declared = metadata.tables[table]
    if differing := sorted(set(frame.columns) ^ {column.name for column in declared.columns}):
        raise ValueError(f"{table}: the frame's columns and the table's differ in {', '.join(differing)}")
    temp_table = f"new_{declared.name}"
    key = [column.name for column in declared.primary_key.columns]
    value_columns = [column.name for column in declared.columns if column.name not in key]
    parts = {
        "table": quote_identifier(table),
        "staged": sql.Identifier(temp_table),
        "columns": _join_names("{}", (*key, *value_columns)),
        "key": _join_names("n.{}", key),
        "same_key": _join_names("t.{0} = n.{0}", key, " and "),
        "assignments": _join_names("{0} = n.{0}", value_columns),
        "stored": _join_names("t.{}", value_columns),
        "given": _join_names("n.{}", value_columns),
    }
    for statement in (CREATE_TEMP_TABLE_SQL, "delete from pg_temp.{staged}"):
        conn.execute(sql.SQL(statement).format(**parts))
    copy_rows(conn, f"pg_temp.{temp_table}", frame)
    params = {"sr_ids": list(sr_ids)}
    deleted, updated, inserted = (
        conn.execute(sql.SQL(text).format(**parts), params).rowcount for text in (DELETE_SQL, UPDATE_SQL, INSERT_SQL)
    )
    return WriteCounts(inserted, updated, deleted)


def _join_names(form: str, names: Sequence[str], separator: str = ", ") -> sql.Composed:
    return sql.SQL(separator).join(sql.SQL(form).format(sql.Identifier(name)) for name in names)
