"""Prices side by side and gaps, row for row against the SQL files beside this one.

For the small world of a test and for large ones.
"""

from pathlib import Path
from typing import Final

import polars as pl
import psycopg
from polars.testing import assert_frame_equal

from palimpsest_pipeline.metrics.prices.market_gaps import GAPS_SCHEMA
from palimpsest_pipeline.metrics.prices.price_comparison import COMPARISON_SCHEMA
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.storage.db.copy_frames import copy_to_temp_table, read_frame
from palimpsest_pipeline.storage.marts import current_price_rows

TABLES: Final = current_price_rows.COMPARED_TABLES
COLUMNS: Final = {current_price_rows.COMPARISON_TABLE: COMPARISON_SCHEMA, current_price_rows.GAP_TABLE: GAPS_SCHEMA}
STAMPS: Final = ("home_platform", "mapping_version", "computed_at")
FOLDER: Final = Path(__file__).parent


def read_compared_rows(conn: psycopg.Connection, table: str) -> pl.DataFrame:
    """Return the rows of one of `TABLES` as its view shows them, by its key."""
    view, key = current_price_rows.TABLE_VIEWS[table]
    return read_frame(conn, f"select {', '.join((*COLUMNS[table], *STAMPS))} from {view}").sort(key)


def assert_as_by_sql(pipeline: Pipeline, table: str) -> int:
    """The rows of one of `TABLES` are those that the SQL computes, for fixtures that have not begun; returns how
    many.
    """
    settings = pipeline.settings
    params = {
        "now": pipeline.clock.now(),
        "home": settings.home_platform,
        "max_skew_s": settings.max_skew_s,
        "platforms": list(pipeline.compared_platforms),
        "main_markets": settings.main_markets,
    }
    query = (FOLDER / f"{table.partition('.')[2]}.sql").read_text()
    _, key = current_price_rows.TABLE_VIEWS[table]
    with pipeline.connect() as conn, conn.transaction():
        stored = read_compared_rows(conn, table).drop(*STAMPS)
        conn.execute("set local enable_nestloop = off")  # of what it has just computed Postgres knows no sizes
        conn.execute("set local work_mem = '256MB'")
        copy_to_temp_table(conn, "complete_sets", "(market_id smallint, ordinals smallint[])", complete_sets(pipeline))
        expected = read_frame(conn, query, params).cast(dict(stored.schema))
    assert_frame_equal(stored.sort(key), expected.sort(key), check_exact=False, rel_tol=1e-9, abs_tol=1e-9)
    return stored.height


def complete_sets(pipeline: Pipeline) -> pl.DataFrame:
    """Ordinals of each complete set: those that the vocabulary lists; of other markets all their outcomes, if a mask
    has room for them.
    """
    words = pipeline.vocabulary
    whole = words.outcomes.join(words.complete_sets, on="market_id", how="anti").with_columns(set=pl.lit(""))
    parts = pl.concat(
        [whole.select("market_id", "set", "ordinal"), words.complete_sets.select("market_id", "set", "ordinal")]
    )
    sets = parts.group_by("market_id", "set").agg(ordinals=pl.col("ordinal").sort())
    return (
        sets.filter(pl.col("ordinals").list.len() <= 63)
        .select(pl.col("market_id").cast(pl.Int16), pl.col("ordinals").cast(pl.List(pl.Int16)))
        .unique()
    )
