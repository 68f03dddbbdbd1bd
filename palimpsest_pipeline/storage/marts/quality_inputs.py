"""Read the input of the quality checks: counts of a cycle and of earlier cycles. Reads only."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import polars as pl
import psycopg
from psycopg import sql

from palimpsest_pipeline.domain.enums import Scope

from ..db.copy_frames import quote_identifier, read_frame
from ..ledger.cycle_reader import UNENDED_CYCLES_SQL
from ..odds.book_sizes import add_largest_books

TRAILING_CYCLES: Final = 20
"""Number of earlier cycles over which a median is computed, per platform and stage."""

DISCOVERED_SQL: Final = """
    select c.platform, count(*) filter (where c.kind = 'match')::int as n_matches, count(*)::int as n_listings
    from core.listing_observations o join core.listing_claims c using (listing_id, claim_hash)
    where o.cycle_id = %s and o.seen_in = 'listing'
    group by c.platform
"""
_CAPTURES_SQL: Final = """
    select i.platform, c.keyframe, c.n_changed, c.n_markets_mapped from core.captures c
    join ops.listing_ids i using (listing_id)
    where c.cycle_id = %s
"""
MEDIANS_SQL: Final = """
    with earlier as (
        select q.platform, q.stage, q.fetched, row_number() over (partition by q.platform, q.stage
            order by q.cycle_id desc) as nth
        from core.cycles c
        join core.cycles e on e.scope = c.scope and e.cycle_id < c.cycle_id
        join ops.scrape_batches b on b.cycle_id = e.cycle_id and b.status in ('completed', 'partial')
        join mart.run_quality q on q.cycle_id = e.cycle_id and q.completeness = 'complete'
        where c.cycle_id = %s and c.scope in ('full', 'recorded')
    )
    select platform, stage, percentile_cont(0.5) within group (order by fetched) as fetched_median
    from earlier where nth <= %s group by platform, stage
"""

AFFECTED_CYCLES_SQL: Final = """
    select late.cycle_id
    from core.cycles this
    join core.cycles late on late.scope = this.scope and late.cycle_id > this.cycle_id
    join mart.cycle_products p on p.cycle_id = late.cycle_id and p.product = 'run_quality'
    where this.cycle_id = %(cycle_id)s and this.scope in ('full', 'recorded') and exists (
        select from unnest(%(platforms)s::text[], %(stages)s::text[]) as part (platform, stage)
        where %(trailing)s > (
            select count(*)
            from core.cycles e
            join ops.scrape_batches b on b.cycle_id = e.cycle_id and b.status in ('completed', 'partial')
            join mart.run_quality q on q.cycle_id = e.cycle_id and q.completeness = 'complete'
            where e.scope = this.scope and e.cycle_id > this.cycle_id and e.cycle_id < late.cycle_id
                and q.platform = part.platform and q.stage = part.stage
        )
    )
"""

ENDED_CYCLES_SQL: Final = f"""
    select c.cycle_id from core.cycles c
    where c.cycle_id = any(%s) and c.scope = any(%s) and c.cycle_id not in ({UNENDED_CYCLES_SQL}) order by c.cycle_id
"""
INCOMPLETE_DISCOVERY_SQL: Final = """
    select platform, external_id, completeness, missing from core.discovery_manifest
    where cycle_id = %s and completeness <> 'complete' order by platform, external_id
"""
KICKOFF_CLAIMS_SQL: Final = """
    select o.listing_id::bigint as listing_id, k.platform, i.external_id, k.sr_id as fixture_sr_id, k.kickoff_at,
        false as is_deleted, c.as_of, c.home_platform
    from core.cycles c
    join core.listing_observations o using (cycle_id)
    join core.listing_claims k using (listing_id, claim_hash)
    join ops.listing_ids i using (listing_id)
    where c.cycle_id = %s and k.sr_id is not null and k.kickoff_at is not null and k.kind = 'match'
"""
LAST_FULL_CYCLES_SQL: Final = f"""
    select c.cycle_id from core.cycles c
    where c.scope = 'full' and c.cycle_id <= %s and c.cycle_id not in ({UNENDED_CYCLES_SQL})
        and exists (select from {{}} x where x.cycle_id = c.cycle_id)
    order by c.cycle_id desc limit %s
"""
MATCH_RATES_SQL: Final = """
    select cycle_id, platform, completeness,
        case when platform = 'all' then overall_match_rate else fixture_match_rate end as match_rate
    from mart.match_rate_platform where not include_started and cycle_id = any(%s)
"""


def count_discovered_listings(conn: psycopg.Connection, cycle_id: int) -> pl.DataFrame:
    """Return the numbers of listings in the cycle's discovery, per platform.

    `n_matches` counts matches, `n_listings` counts listings of any kind.
    """
    return read_frame(conn, DISCOVERED_SQL, [cycle_id])


def read_capture_counts(conn: psycopg.Connection, cycle_id: int) -> pl.DataFrame:
    """Return one row per capture of the cycle: `platform`, `keyframe`, `n_changed`, `n_markets_mapped`."""
    return read_frame(conn, _CAPTURES_SQL, [cycle_id])


def read_fetched_medians(conn: psycopg.Connection, cycle_id: int) -> pl.DataFrame:
    """Return per platform and stage the median of `fetched` over earlier cycles of the same scope.

    Only cycles count that ended normally and were complete in the stage, so a bad hour does not change the median.
    Cycles of recorded answers do not count, because they are not in the ledger. A cycle of scope `events` has no
    median, because each such cycle requests other fixtures.
    """
    return read_frame(
        conn,
        MEDIANS_SQL,
        [cycle_id, TRAILING_CYCLES],
    )


def find_affected_cycles(conn: psycopg.Connection, cycle_id: int, parts: Sequence[tuple[str, str]]) -> list[int]:
    """Return the later cycles whose median uses the count of this cycle, or would use it.

    `parts` are pairs (platform, stage); a cycle is returned when at least one of these medians is affected. Only cycles
    with derived quality are returned.
    """
    params = {
        "cycle_id": cycle_id,
        "platforms": [p for p, _ in parts],
        "stages": [s for _, s in parts],
        "trailing": TRAILING_CYCLES,
    }
    return [affected_id for (affected_id,) in conn.execute(AFFECTED_CYCLES_SQL, params).fetchall()]


def filter_ended_cycles(
    conn: psycopg.Connection, cycle_ids: Sequence[int], scopes: Sequence[Scope] = (Scope.FULL,)
) -> list[int]:
    """Return the cycles of these scopes that are in core and ended normally, ascending.

    Running, cancelled and interrupted cycles are left out.
    """
    return [
        cycle_id
        for (cycle_id,) in conn.execute(
            ENDED_CYCLES_SQL, [list(cycle_ids), [str(scope) for scope in scopes]]
        ).fetchall()
    ]


def read_incomplete_discovery(conn: psycopg.Connection, cycle_id: int) -> pl.DataFrame:
    """Return the incomplete rows of core.discovery_manifest in the cycle.

    The `external_id` '*' stands for the whole platform.
    """
    return read_frame(conn, INCOMPLETE_DISCOVERY_SQL, [cycle_id])


def read_kickoff_claims(conn: psycopg.Connection, cycle_id: int) -> pl.DataFrame:
    """Return the kickoffs of listings in the cycle that stated a SportRadar id themselves.

    The rows are the claims of that time; later matching does not change them. `n_markets` is
    the largest book of the listing as of the cycle.
    """
    claims = read_frame(conn, KICKOFF_CLAIMS_SQL, [cycle_id])
    rivals = claims.filter(pl.struct("platform", "fixture_sr_id").is_duplicated())["listing_id"].to_list()
    as_of = claims["as_of"].first()
    assert as_of is None or isinstance(as_of, datetime)
    return add_largest_books(conn, claims, rivals, until=as_of, cycle_id=cycle_id)


def read_last_full_cycles(conn: psycopg.Connection, table: str, cycle_id: int, n_cycles: int) -> list[int]:
    """Return the last full cycles up to `cycle_id` that have rows in `table`, newest first.

    At most `n_cycles` are returned. Running, cancelled and interrupted cycles are left out.
    """
    query = sql.SQL(LAST_FULL_CYCLES_SQL).format(quote_identifier(table))
    return [found_id for (found_id,) in conn.execute(query, [cycle_id, n_cycles]).fetchall()]


def read_match_rates(conn: psycopg.Connection, cycle_id: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the match rates of upcoming fixtures in the cycle, and in earlier full cycles.

    The second frame has up to TRAILING_CYCLES earlier full cycles. Both have one row per cycle and platform and one for
    all platforms. `match_rate` is null when there was nothing to match.
    """
    cycle_ids = read_last_full_cycles(conn, "mart.match_rate_platform", cycle_id, TRAILING_CYCLES + 1)
    rates = read_frame(conn, MATCH_RATES_SQL, [cycle_ids])
    is_this_cycle = pl.col("cycle_id") == cycle_id
    return rates.filter(is_this_cycle), rates.filter(~is_this_cycle)
