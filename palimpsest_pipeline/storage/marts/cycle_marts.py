"""Replace and read rows of tables that have one set of rows per cycle. Callers commit.

Belongs here: tables in mart and core whose rows are keyed by cycle. Does not belong here: computing the rows.
"""

from datetime import UTC, datetime
from typing import Any, Final

import polars as pl
import psycopg
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.dialects import postgresql as pg

from palimpsest_pipeline.domain.schemas import INSTANT

from ..db.copy_frames import copy_rows, quote_identifier, read_frame
from ..tables import metadata


def replace_rows(
    conn: psycopg.Connection, table: str, cycle_id: int, frame: pl.DataFrame, platform: str | None = None
) -> int:
    """Replace the rows of the cycle in `table`, or only those of one platform, by `frame`.

    `table` has the form "mart.coverage_fixture". A missing column `computed_at` is filled with the current time.
    Returns the number of rows. Raises ValueError when the frame has rows of another cycle or platform, or when its
    columns differ from the table's.
    """
    declared = metadata.tables[table].columns
    if "computed_at" in declared and "computed_at" not in frame.columns:
        frame = frame.with_columns(computed_at=pl.lit(datetime.now(UTC), dtype=INSTANT))
    if "cycle_id" not in frame.columns:
        frame = frame.with_columns(cycle_id=pl.lit(cycle_id, dtype=pl.Int64))
    if differing := sorted(set(frame.columns) ^ {column.name for column in declared}):
        raise ValueError(f"{table}: the frame's columns and the table's differ in {', '.join(differing)}")
    if not frame.is_empty() and frame["cycle_id"].unique().to_list() != [cycle_id]:
        raise ValueError(f"{table}: the frame holds rows of other cycles than {cycle_id}")
    if platform is not None and not frame.is_empty() and frame["platform"].unique().to_list() != [platform]:
        raise ValueError(f"{table}: the frame holds rows of other platforms than {platform}")
    platform_condition = (
        sql.SQL("") if platform is None else sql.SQL(" and platform = {}").format(sql.Literal(str(platform)))
    )
    conn.execute(
        sql.SQL("delete from {} where cycle_id = %s").format(quote_identifier(table)) + platform_condition, [cycle_id]
    )
    return copy_rows(conn, table, frame)


def read_rows(conn: psycopg.Connection, table: str, cycle_id: int) -> pl.DataFrame:
    """Return the rows of the cycle in `table`, sorted by its key; ratios are Float64, JSON is text."""
    declared = metadata.tables[table]
    order = sql.SQL(", ").join(sql.Identifier(column.name) for column in declared.primary_key.columns)
    columns = sql.SQL(", ").join(sql.Identifier(column.name) for column in declared.columns)
    query = (
        sql.SQL("select {} from {} where cycle_id = %s order by {}")
        .format(columns, quote_identifier(table), order)
        .as_string(conn)
    )
    return read_frame(conn, query, [cycle_id], get_frame_schema(table))


def get_frame_schema(table: str) -> dict[str, Any]:
    """Return the Polars types of a table's columns."""
    return {column.name: _find_frame_type(column.type) for column in metadata.tables[table].columns}


def _find_frame_type(kind: sa.types.TypeEngine[Any]) -> Any:
    if isinstance(kind, pg.ARRAY):
        return pl.List(_find_frame_type(kind.item_type))
    for sql_kind, frame_kind in FRAME_TYPES:
        if isinstance(kind, sql_kind):
            return frame_kind
    raise TypeError(f"no frame type for {kind!r}")


FRAME_TYPES: Final[tuple[tuple[type[Any], Any], ...]] = (
    (sa.types.UserDefinedType, pl.String),
    (sa.BigInteger, pl.Int64),
    (sa.SmallInteger, pl.Int16),
    (sa.Integer, pl.Int32),
    (sa.Boolean, pl.Boolean),
    (sa.TIMESTAMP, INSTANT),
    (sa.Date, pl.Date),
    (sa.Numeric, pl.Float64),
    (sa.Double, pl.Float64),
    (pg.JSONB, pl.String),
    (sa.String, pl.String),
)
