"""Replace and read rows of tables with one set of rows per cycle, and figures of the mart.

Callers commit.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import polars as pl
import psycopg
from psycopg import sql

from palimpsest_pipeline.domain.schemas import INSTANT
from palimpsest_pipeline.tables import metadata
from palimpsest_pipeline.tables.frame_types import require_table_columns

from ..db.copy_frames import copy_rows, quote_identifier, read_frame


def replace_cycle_rows(
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


def read_mart_rows(conn: psycopg.Connection, table: str, *cycle_ids: int) -> pl.DataFrame:
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


LATEST_CYCLE_SQL: Final = "select cycle_id from palimpsest.coverage_cycles where is_latest"
TOURNAMENTS_SQL: Final = """
    select display_name as tournament, country, n_home, n_platform as n_competitors, n_matched, n_home_only,
        n_platform_only as n_competitor_only,
           n_undetermined, home_covered_rate, earliest_missing_kickoff as next_missing_kickoff
    from mart.coverage_tournament
    where cycle_id = %s and platform = 'any' and not include_started
    order by n_home + n_platform - n_matched desc, country, display_name, tournament_key
    limit %s
"""
TOTALS_SQL: Final = """
    select (select count(*) from ops.scrape_batches where status <> 'running'), (select max(cycle_id)
        from ops.scrape_batches),
           (select coalesce(sum(n_prices), 0) from core.captures where cycle_id = (select max(cycle_id)
               from ops.scrape_batches))
"""


def read_latest_cycle(conn: psycopg.Connection) -> int | None:
    """Return the id of the cycle with the latest coverage, as the views choose it.

    It is the newest full cycle, or the newest cycle of recorded answers if there is no full one.
    """
    row = conn.execute(LATEST_CYCLE_SQL).fetchone()
    return row[0] if row else None


def read_latest_rates(conn: psycopg.Connection) -> pl.DataFrame:
    """Return mart.match_rate_platform of upcoming fixtures in the latest cycle.

    The row of platform 'all' comes last.
    """
    cycle_id = read_latest_cycle(conn)
    rows = read_mart_rows(conn, "mart.match_rate_platform", cycle_id or 0).filter(~pl.col("include_started"))
    return rows.sort(pl.col("platform") == "all", "platform")


def read_latest_tournaments(conn: psycopg.Connection, limit: int | None) -> pl.DataFrame:
    """Return upcoming fixtures per tournament over all competitors, largest first.

    `limit` None returns all tournaments.
    """
    return read_frame(conn, TOURNAMENTS_SQL, [read_latest_cycle(conn) or 0, limit])


def read_totals(conn: psycopg.Connection) -> dict[str, int]:
    """Return totals: `n_cycles` that ended, `last_cycle_id`, and `n_prices` of the last cycle."""
    row = conn.execute(TOTALS_SQL).fetchone()
    return dict(zip(("n_cycles", "last_cycle_id", "n_prices"), (int(v or 0) for v in row or (0, 0, 0)), strict=True))


def count_rows(conn: psycopg.Connection, table: str, cycle_ids: Sequence[int]) -> int:
    """Return the number of rows of `table` that belong to these cycles."""
    row = conn.execute(
        sql.SQL("select count(*) from {} where cycle_id = any(%s)").format(quote_identifier(table)), [list(cycle_ids)]
    ).fetchone()
    return row[0] if row else 0


def read_rows_before(conn: psycopg.Connection, table: str, cycle_id: int) -> pl.DataFrame:
    """Return the rows of `table` for the newest cycle before `cycle_id` that has rows."""
    query = sql.SQL("select coalesce(max(cycle_id), 0) from {} where cycle_id < %s").format(quote_identifier(table))
    row = conn.execute(query, [cycle_id]).fetchone()
    return read_mart_rows(conn, table, row[0] if row else 0)


def pick_headline(rates: pl.DataFrame) -> dict[str, Any]:
    """Return the main counts and rates of the newest cycle in `rates`, by column name.

    `rates` has rows of mart.match_rate_platform. The figures cover the upcoming fixtures of all competitors together;
    the result is empty without such a row.
    """
    union = rates.filter((pl.col("platform") == "all") & ~pl.col("include_started")).sort("cycle_id").tail(1)
    if union.is_empty():
        return {}
    row = union.row(0, named=True)
    names = (
        "n_union",
        "n_matched_fixtures",
        "n_home_only",
        "n_competitor_only",
        "n_undetermined",
        "overall_match_rate",
        "home_covered_rate",
    )
    return {name: row[name] for name in names}
