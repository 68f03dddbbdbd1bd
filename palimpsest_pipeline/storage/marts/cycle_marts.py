"""Replace and read rows of tables that have one set of rows per cycle. Callers commit."""

from datetime import UTC, datetime

import polars as pl
import psycopg
from psycopg import sql

from palimpsest_pipeline.domain.schemas import INSTANT
from palimpsest_pipeline.tables import metadata
from palimpsest_pipeline.tables.frame_types import require_table_columns

from ..db.copy_frames import copy_rows, quote_identifier, read_frame


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
    require_table_columns(table, frame)
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


def read_rows(conn: psycopg.Connection, table: str, *cycle_ids: int) -> pl.DataFrame:
    """Return the rows of these cycles in `table`, sorted by its key; ratios are Float64, JSON is text."""
    declared = metadata.tables[table]
    order = sql.SQL(", ").join(sql.Identifier(column.name) for column in declared.primary_key.columns)
    columns = sql.SQL(", ").join(sql.Identifier(column.name) for column in declared.columns)
    query = (
        sql.SQL("select {} from {} where cycle_id = any(%s) order by {}")
        .format(columns, quote_identifier(table), order)
        .as_string(conn)
    )
    return read_frame(conn, query, [list(cycle_ids)])
