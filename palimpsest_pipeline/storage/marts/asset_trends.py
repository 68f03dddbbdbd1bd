"""Read figures of the last cycles for plots, oldest first. Reads only."""

from typing import Final

import psycopg

MAX_CYCLES: Final = 30
"""Maximum number of past cycles that are read."""
LAST_CYCLES_SQL: Final = f"""
    with last as (
        select cycle_id from core.cycles where cycle_id <= %s and scope in ('full', 'recorded')
        order by cycle_id desc limit {MAX_CYCLES}
    )
"""
MATCH_RATE_SQL: Final = f"""
    {LAST_CYCLES_SQL}
    select m.overall_match_rate::float8
    from last left join mart.match_rate_platform m on m.cycle_id = last.cycle_id and m.platform = 'all'
        and not m.include_started
    order by last.cycle_id
"""
MAPPED_RATE_SQL: Final = f"""
    {LAST_CYCLES_SQL}
    select sum(m.n_mapped)::float8 / nullif(sum(m.n_markets_seen), 0)
    from last left join mart.mapping_coverage m using (cycle_id)
    group by last.cycle_id order by last.cycle_id
"""
MARKETS_CHANGED_SQL: Final = f"""
    {LAST_CYCLES_SQL}
    select (select sum(c.n_changed) from core.captures c where c.cycle_id = last.cycle_id and not c.keyframe)
    from last order by last.cycle_id
"""
SCRAPE_FIGURES_SQL: Final = f"""
    with last as (
        select b.cycle_id from ops.scrape_batches b
        where b.cycle_id <= %s and b.scope = (select scope from ops.scrape_batches where cycle_id = %s)
        order by b.cycle_id desc limit {MAX_CYCLES}
    )
    select sum(r.fetched), max(r.capture_s), max(r.floor_s)
    from last left join ops.scrape_runs r using (cycle_id)
    group by last.cycle_id order by last.cycle_id
"""

TrendValues = list[float | None]
"""One value per cycle; None for a cycle without a value."""


def read_match_rates(conn: psycopg.Connection, cycle_id: int) -> TrendValues:
    """Return the match rate of all upcoming fixtures per full or recorded cycle, up to `cycle_id`.

    The match rate is the share of fixtures that both home and a competitor list.
    """
    return [value for (value,) in conn.execute(MATCH_RATE_SQL, [cycle_id])]


def read_mapped_rates(conn: psycopg.Connection, cycle_id: int) -> TrendValues:
    """Return the share of markets that the vocabulary knows, per full or recorded cycle.

    The cycles end with `cycle_id`. All markets in the answers of all platforms count.
    """
    return [value for (value,) in conn.execute(MAPPED_RATE_SQL, [cycle_id])]


def count_markets_changed(conn: psycopg.Connection, cycle_id: int) -> TrendValues:
    """Return the number of changed markets per full or recorded cycle, up to `cycle_id`.

    A market counts when it differs from the previous answer. Keyframes do not count.
    """
    return [value for (value,) in conn.execute(MARKETS_CHANGED_SQL, [cycle_id])]


def read_scrape_figures(conn: psycopg.Connection, cycle_id: int) -> tuple[TrendValues, TrendValues, TrendValues]:
    """Return three figures per cycle of the same scope, up to `cycle_id`, oldest first.

    The figures are: listings fetched, seconds of the capture stage, and the minimum number of seconds that the request
    budgets allow.
    """
    rows = conn.execute(SCRAPE_FIGURES_SQL, [cycle_id, cycle_id]).fetchall()
    return [row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]
