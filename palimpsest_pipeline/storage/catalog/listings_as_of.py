"""Read the listings as of a cycle, and the tournaments whose listings are not completely known.

Coverage is computed from these two frames.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import polars as pl
import psycopg

from palimpsest_pipeline.domain.enums import Platform

from ..db.copy_frames import read_frame

CARRY_LIMIT: Final = timedelta(hours=24)
"""Maximum age of a complete discovery that is used for a tournament that later cycles did not observe."""


class UnknownCycleError(LookupError):
    """The error for a cycle that was not derived into core."""


def read_as_of(conn: psycopg.Connection, cycle_id: int) -> datetime:
    """Return `as_of` of a cycle: the instant that it describes. Raises UnknownCycleError."""
    row = conn.execute("select as_of from core.cycles where cycle_id = %s", [cycle_id]).fetchone()
    if row is None:
        raise UnknownCycleError(f"cycle {cycle_id} is not in core: it has not been derived from the landing yet")
    as_of: datetime = row[0]
    return as_of


def read_universe(
    conn: psycopg.Connection, cycle_id: int, platforms: Sequence[Platform]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return these platforms' listings as of the cycle, and the tournaments that prove absences.

    The first frame (`matching.LISTINGS_SCHEMA`, with evidence and stale_since instead of n_markets) has, for each
    platform and tournament, the listings of its last complete discovery at or before the cycle, and the listings that
    the cycle itself observed. Claims are the latest at or before the cycle. The column `evidence` has three values:
    - `complete`: a complete discovery of this cycle contains the listing.
    - `carried`: only an older complete discovery contains it. Its instant is `stale_since`, at most CARRY_LIMIT ago.
    - `partial`: this cycle observed the listing, but not in a complete discovery.

    A tournament that is missing in a later complete discovery of its platform has no listings.

    The second frame (platform, tournament_external_id, evidence, stale_since) has one row per platform and tournament
    known within CARRY_LIMIT, and one row per platform with the tournament '*'. If its evidence is `partial`, a listing
    that is missing in the first frame may still exist. Both frames are sorted by their keys. The sizes of the listings'
    books are read by `book_sizes`. Raises UnknownCycleError.
    """
    read_as_of(conn, cycle_id)
    params = {"cycle_id": cycle_id, "carry_limit": CARRY_LIMIT, "platforms": list(platforms)}
    conn.execute("drop table if exists pg_temp.looked")
    conn.execute(
        """
        create temporary table looked (platform text, tournament_external_id text, evidence text,
            stale_since timestamptz, listed_by bigint)
        on commit drop
        """
    )
    conn.execute(EVIDENCE_SQL, params)
    conn.execute("analyze looked")
    listings = read_frame(conn, _LISTINGS_SQL, params).sort("platform", "external_id")
    looked_tournaments = read_frame(conn, "select platform, tournament_external_id, evidence, stale_since from looked")
    return listings, looked_tournaments.sort("platform", "tournament_external_id")


EVIDENCE_SQL: Final = """
insert into looked
with this as (
    select * from core.cycles where cycle_id = %(cycle_id)s
),
recent as (
    select m.platform, m.external_id, m.completeness, k.cycle_id, k.as_of
    from this
    join core.cycles k
        on k.scope = 'full' and k.as_of > this.as_of - %(carry_limit)s
            and (k.as_of, k.cycle_id) <= (this.as_of, this.cycle_id)
    join core.discovery_manifest m on m.cycle_id = k.cycle_id
),
complete as (
    select distinct on (platform, external_id) platform, external_id, cycle_id, as_of
    from recent where completeness = 'complete'
    order by platform, external_id, as_of desc, cycle_id desc
),
tree as (
    -- only a discovery that is complete as a whole shows that a tournament is gone: a broken one may lack it in a part
    -- that could not be read
    select distinct on (platform) platform, cycle_id, as_of
    from recent where external_id = '*' and completeness = 'complete'
    order by platform, as_of desc, cycle_id desc
),
seen as (
    select c.platform, c.tournament_external_id as external_id
    from core.listing_observations o
    join core.listing_claims c using (listing_id, claim_hash)
    where o.cycle_id = %(cycle_id)s
    group by c.platform, c.tournament_external_id
),
gone as (
    select r.platform, r.external_id, tree.cycle_id, tree.as_of
    from recent r
    join tree using (platform)
    where r.external_id <> '*'
        and not exists (select from seen where seen.platform = r.platform and seen.external_id = r.external_id)
    group by r.platform, r.external_id, tree.cycle_id, tree.as_of
    having bool_and((r.as_of, r.cycle_id) < (tree.as_of, tree.cycle_id))
),
known as (
    select platform, external_id from recent
    union
    select platform, external_id from seen
    union
    select unnest(%(platforms)s::text[]), '*'
)
select
    known.platform,
    known.external_id as tournament_external_id,
    case
        when coalesce(gone.cycle_id, complete.cycle_id) is null then 'partial'
        when coalesce(gone.cycle_id, complete.cycle_id) = %(cycle_id)s then 'complete'
        else 'carried'
    end as evidence,
    case when coalesce(gone.cycle_id, complete.cycle_id) <> %(cycle_id)s then coalesce(gone.as_of,
        complete.as_of) end as stale_since,
    case when gone.cycle_id is null then complete.cycle_id end as listed_by
from known
left join complete using (platform, external_id)
left join gone using (platform, external_id)
where known.platform = any(%(platforms)s::text[])
"""

_LISTINGS_SQL: Final = """
with seen as (
    select o.listing_id, o.seen_in, c.platform, c.tournament_external_id
    from core.listing_observations o
    join core.listing_claims c using (listing_id, claim_hash)
    where o.cycle_id = %(cycle_id)s
),
listed as (
    select seen.listing_id,
        case when looked.evidence = 'complete'
            and seen.seen_in = 'listing' then 'complete' else 'partial' end as evidence,
        null::timestamptz as stale_since
    from seen
    left join looked using (platform, tournament_external_id)
    union all
    select o.listing_id, looked.evidence, looked.stale_since
    from looked
    join core.listing_observations o on o.cycle_id = looked.listed_by and o.seen_in = 'listing'
    join core.listing_claims c
        on (c.listing_id, c.claim_hash) = (o.listing_id, o.claim_hash)
        and c.platform = looked.platform and c.tournament_external_id = looked.tournament_external_id
    where looked.listed_by <> %(cycle_id)s and looked.tournament_external_id <> '*'
        and not exists (select from seen where seen.listing_id = o.listing_id)
),
members as (
    -- a listing that moved may be in two carried tournaments: the later one counts
    select distinct on (listing_id) * from listed order by listing_id, stale_since desc
)
select
    i.listing_id::bigint as listing_id, i.platform, i.external_id, c.sport, c.kind, c.tournament_external_id,
    c.tournament_name, c.country_raw, t.country_iso,
    c.sr_tournament_id, c.home_team, c.away_team, c.kickoff_at, c.sr_id, c.genius_id,
    false as is_deleted, m.evidence, m.stale_since
from members m
join ops.listing_ids i using (listing_id)
cross join lateral (
    select o.claim_hash
    from core.listing_observations o
    where o.listing_id = m.listing_id
        and (o.cycle_id = %(cycle_id)s or o.observed_at <= (select as_of from core.cycles
            where cycle_id = %(cycle_id)s))
    order by (o.cycle_id = %(cycle_id)s) desc, o.observed_at desc, o.cycle_id desc
    limit 1
) l
join core.listing_claims c on c.listing_id = m.listing_id and c.claim_hash = l.claim_hash
left join core.tournament_listings t on t.platform = c.platform and t.external_id = c.tournament_external_id
"""
