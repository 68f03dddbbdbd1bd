"""What run quality is counted from, per cycle: sightings, captures, and how many answers earlier cycles fetched. Reads only."""

from collections.abc import Sequence
from typing import Final

import polars as pl
import psycopg

from .frames import read_frame

TRAILING_CYCLES: Final = 20
"""How many earlier cycles the trailing median is taken over, per platform and stage."""

DISCOVERED_SQL: Final = """
    select c.platform, count(*) filter (where c.kind = 'match') as n_matches, count(*) as n_listings
    from core.listing_observations o join core.listing_claims c using (listing_id, claim_hash)
    where o.cycle_id = %s and o.seen_in = 'listing'
    group by c.platform
"""
CAPTURES_SQL: Final = """
    select i.platform, c.keyframe, c.n_changed, c.n_markets_mapped from core.captures c join ops.listing_ids i using (listing_id)
    where c.cycle_id = %s
"""
MEDIANS_SQL: Final = """
    with earlier as (
        select q.platform, q.stage, q.fetched, row_number() over (partition by q.platform, q.stage order by q.cycle_id desc) as nth
        from core.cycles c
        join core.cycles e on e.scope = c.scope and e.cycle_id < c.cycle_id
        join ops.scrape_batches b on b.cycle_id = e.cycle_id and b.status in ('completed', 'partial')
        join mart.run_quality q on q.cycle_id = e.cycle_id and q.completeness = 'complete'
        where c.cycle_id = %s
    )
    select platform, stage, percentile_cont(0.5) within group (order by fetched) as fetched_median
    from earlier where nth <= %s group by platform, stage
"""

MEASURED_SQL: Final = """
    select late.cycle_id
    from core.cycles this
    join core.cycles late on late.scope = this.scope and late.cycle_id > this.cycle_id
    join mart.cycle_products p on p.cycle_id = late.cycle_id and p.product = 'run_quality'
    where this.cycle_id = %(cycle_id)s and exists (
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


def discovered(conn: psycopg.Connection, cycle_id: int) -> pl.DataFrame:
    """Per platform, what discovery showed in the cycle: `n_matches`, and `n_listings` of any kind."""
    return read_frame(conn, DISCOVERED_SQL, [cycle_id], {"platform": pl.String, "n_matches": pl.Int32, "n_listings": pl.Int32})


def captures(conn: psycopg.Connection, cycle_id: int) -> pl.DataFrame:
    """One row per capture of the cycle: `platform`, `keyframe`, `n_changed`, `n_markets_mapped`."""
    schema = {"platform": pl.String, "keyframe": pl.Boolean, "n_changed": pl.Int32, "n_markets_mapped": pl.Int32}
    return read_frame(conn, CAPTURES_SQL, [cycle_id], schema)


def fetched_medians(conn: psycopg.Connection, cycle_id: int) -> pl.DataFrame:
    """Per platform and stage, the median of `fetched` over earlier cycles of the same scope: of those that came to their own end and were complete
    in this stage, so that a bad hour does not become the measure. Imported cycles, which the ledger does not hold, are no measure."""
    return read_frame(conn, MEDIANS_SQL, [cycle_id, TRAILING_CYCLES], {"platform": pl.String, "stage": pl.String, "fetched_median": pl.Float64})


def measured_by(conn: psycopg.Connection, cycle_id: int, parts: Sequence[tuple[str, str]]) -> list[int]:
    """Later cycles whose quality is derived and whose median of one of the `parts` (platform, stage) takes this cycle's count in, or would."""
    params = {"cycle_id": cycle_id, "platforms": [p for p, _ in parts], "stages": [s for _, s in parts], "trailing": TRAILING_CYCLES}
    return [late for (late,) in conn.execute(MEASURED_SQL, params).fetchall()]
