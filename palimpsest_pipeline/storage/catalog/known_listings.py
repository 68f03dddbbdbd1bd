"""Read the listings that a cycle affects, and the upcoming listings."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import psycopg

from palimpsest_pipeline.domain.enums import ListingKind, Platform, Sport
from palimpsest_pipeline.domain.observations import Listing

UPCOMING_LISTINGS_SQL: Final = """
    select e.platform, e.external_id, e.kind, e.sport, e.tournament_external_id, e.tournament_name, e.country_raw,
        e.home_team, e.away_team,
           coalesce(e.kickoff_at, f.effective_kickoff), e.fixture_sr_id, e.genius_id, e.sr_tournament_id,
               e.n_markets_priced
    from core.event_listings e
    left join core.fixtures f on f.sr_id = e.fixture_sr_id
    where e.kind = 'match' and e.deleted_at is null and (%(all)s or e.fixture_sr_id = any(%(sr_ids)s))
        -- two conditions, so that Postgres uses the index on kickoff_at
        and (e.kickoff_at > %(now)s or e.kickoff_at is null and f.effective_kickoff > %(now)s)
    order by e.platform, e.external_id
"""
LISTINGS_OF_CYCLE_SQL: Final = """
    select listing_id from core.listing_observations where cycle_id = %(cycle_id)s
    union
    select e.listing_id
    from core.cycles c
    join core.event_listings e on e.last_seen_at < c.as_of
        and (e.kickoff_at > c.as_of or e.kickoff_at is null and e.deleted_at is null)
    where c.cycle_id = %(cycle_id)s and c.scope = 'full'
"""


def read_listings_of_cycle(conn: psycopg.Connection, cycle_id: int) -> list[int]:
    """Return the ids of the listings that a cycle affects.

    These are the listings that the cycle observed. For a full cycle, upcoming listings that were last seen before it
    are added.
    """
    return [listing_id for (listing_id,) in conn.execute(LISTINGS_OF_CYCLE_SQL, {"cycle_id": cycle_id})]


def read_upcoming_listings(conn: psycopg.Connection, now: datetime, sr_ids: Sequence[int] = ()) -> list[Listing]:
    """Return the listings that have not kicked off at `now`, of all fixtures or the given ones.

    `sr_id` is the fixture of each listing. If a listing's own kickoff was rejected, the fixture's kickoff is used.
    """
    rows = conn.execute(UPCOMING_LISTINGS_SQL, {"now": now, "all": not sr_ids, "sr_ids": list(sr_ids)}).fetchall()
    return [
        Listing(
            platform=Platform(platform),
            external_id=external_id,
            kind=ListingKind(kind),
            sport=Sport(sport),
            tournament_external_id=tournament_external_id,
            tournament_name=tournament_name,
            country_raw=country_raw,
            home_team=home_team,
            away_team=away_team,
            kickoff_at=kickoff_at,
            sr_id=sr_id,
            genius_id=genius_id,
            sr_tournament_id=sr_tournament_id,
            n_markets_declared=n_markets,
        )
        for platform, external_id, kind, sport, tournament_external_id, tournament_name, country_raw, home_team, away_team, kickoff_at, sr_id, genius_id, sr_tournament_id, n_markets in rows  # noqa: E501
    ]
