"""Rows of any table of ours: written by naming only the columns that a test is about, and read."""

from datetime import UTC, date, datetime
from typing import Any, Final

import polars as pl
import psycopg
import sqlalchemy as sa

from palimpsest_pipeline.storage.db.copy_frames import copy_rows, read_frame
from palimpsest_pipeline.tables import metadata
from palimpsest_pipeline.tables.current_prices import PLATFORM_LABEL
from palimpsest_pipeline.tables.declarative_base import PLATFORM
from palimpsest_pipeline.tables.frame_types import get_frame_schema
from palimpsest_pipeline_tests.fixtures.platforms import BETPAWA

AT: Final = datetime(2026, 5, 1, 12, tzinfo=UTC)
PLAIN: Final[tuple[tuple[type[Any], Any], ...]] = (
    (pl.Datetime, AT),
    (pl.Date, date(2026, 5, 1)),
    (pl.Boolean, False),
    (pl.List, []),
    (pl.String, ""),
    (pl.Float64, 0.0),
)
"""Values of columns that must have one, by their type in a frame; whole numbers are 0."""


def insert(conn: psycopg.Connection, table: str, *rows: dict[str, Any]) -> None:
    """Rows into `schema.table`.

    What is not given is null where it may be, else plain: the first word of its vocabulary, 0, '', an instant.
    """
    schema = get_frame_schema(table)
    given = [
        {
            column.name: row.get(column.name, _plain(column, schema[column.name]))
            for column in metadata.tables[table].columns
        }
        for row in rows
    ]
    strange = {name for row in rows for name in row} - schema.keys()
    assert not strange, f"{table} has no {strange}"
    copy_rows(conn, table, pl.DataFrame(given, schema=schema))


def rows(conn: psycopg.Connection, query: str, *params: object) -> list[tuple[Any, ...]]:
    return conn.execute(query.encode(), params or None).fetchall()


def read_table(conn: psycopg.Connection, table: str, day: date | None = None) -> pl.DataFrame:
    """Rows of `schema.table`, of all dates of kickoff or of one, in the order of its key."""
    where = "" if day is None else " where kickoff_date = %(day)s"
    key = ", ".join(column.name for column in metadata.tables[table].primary_key.columns)
    return read_frame(conn, f"select * from {table}{where} order by {key}", {"day": day})


def _plain(column: sa.Column[Any], kind: Any) -> Any:
    if column.nullable:
        return None
    if isinstance(column.type, sa.Enum):
        return column.type.enums[0]
    if column.type in (PLATFORM, PLATFORM_LABEL):
        return BETPAWA
    if isinstance(column.type, sa.dialects.postgresql.JSONB):
        return "{}"
    return next((value for plain, value in PLAIN if kind == plain or isinstance(kind, plain)), 0)
