"""Read rows and figures of the mart: the latest coverage, the rows of given cycles, totals."""

from collections.abc import Sequence
from typing import Any, Final

import polars as pl
import psycopg
from psycopg import sql

from ..db.copy_frames import quote_identifier, read_frame
from .cycle_marts import read_rows

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
    rows = read_rows(conn, "mart.match_rate_platform", cycle_id or 0).filter(~pl.col("include_started"))
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
    return read_rows(conn, table, row[0] if row else 0)


def pick_headline(rates: pl.DataFrame) -> dict[str, Any]:
    """Return the main figures of the newest cycle in rows of match_rate_platform.

    They cover upcoming fixtures.
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
