"""Read upcoming listings and kickoffs, and record the changes of kickoffs. Callers commit."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import psycopg

from palimpsest_pipeline.domain.enums import ListingKind, Platform, Sport
from palimpsest_pipeline.domain.observations import Listing

LISTED_FIXTURES_SQL: Final = """
    select f.sr_id, f.effective_kickoff
    from core.fixtures f
    where exists (select from core.event_listings l where l.fixture_sr_id = f.sr_id and l.kind = 'match'
        and l.deleted_at is null)
"""
KICKOFFS_SQL: Final = f"""
    {LISTED_FIXTURES_SQL} and f.effective_kickoff > %(after)s and f.effective_kickoff <= %(until)s
    order by f.effective_kickoff, f.sr_id
"""
KICKOFFS_AND_NEXT_SQL: Final = f"""
    ({KICKOFFS_SQL}) union all ({LISTED_FIXTURES_SQL} and f.effective_kickoff > %(until)s
        order by f.effective_kickoff limit 1)
"""
RECORD_KICKOFFS_SQL: Final = f"""
    with listed as materialized ({LISTED_FIXTURES_SQL} and f.effective_kickoff > %(now)s),
    stood as materialized (
        select distinct on (k.sr_id) k.sr_id, k.kickoff_at
        from ops.known_kickoffs k
        where k.sr_id in (select sr_id from listed union select sr_id from ops.known_kickoffs
            where kickoff_at > %(now)s)
        order by k.sr_id, k.known_from desc
    )
    insert into ops.known_kickoffs (sr_id, known_from, kickoff_at)
    select sr_id, %(now)s, listed.effective_kickoff
    from listed full join stood using (sr_id)
    where listed.effective_kickoff is distinct from stood.kickoff_at
        and (listed.sr_id is not null or stood.kickoff_at > %(now)s)
    on conflict (sr_id, known_from) do update set kickoff_at = excluded.kickoff_at
"""


def read_kickoffs(conn: psycopg.Connection, after: datetime, until: datetime) -> list[tuple[int, datetime]]:
    """Return (SportRadar id, kickoff) of the listed fixtures that kick off in a period, soonest first.

    The period excludes `after` and includes `until`. A fixture is listed when at least one platform has a listing of
    it.
    """
    return conn.execute(KICKOFFS_SQL, {"after": after, "until": until}).fetchall()


def read_kickoffs_and_next(
    conn: psycopg.Connection, after: datetime, until: datetime
) -> tuple[list[tuple[int, datetime]], datetime | None]:
    """Return `read_kickoffs`, and the first kickoff after `until` (None when unknown), in one query."""
    kickoffs = conn.execute(KICKOFFS_AND_NEXT_SQL, {"after": after, "until": until}).fetchall()
    next_kickoff = kickoffs.pop()[1] if kickoffs and kickoffs[-1][1] > until else None
    return kickoffs, next_kickoff


def record_kickoffs(conn: psycopg.Connection, now: datetime) -> int:
    """Record the changed kickoffs after `now`; return how many fixtures have one.

    Call it at the end of every transaction that changes fixtures or listings. The lock of that transaction keeps the
    recorded instants in order.
    """
    return conn.execute(RECORD_KICKOFFS_SQL, {"now": now}).rowcount


def delete_old_kickoffs(conn: psycopg.Connection, before: datetime) -> int:
    """Delete the recorded kickoffs of fixtures that ended before `before`; return the number of rows.

    A fixture has ended when its last recorded kickoff was before the instant, or when no platform has listed it since
    then.
    """
    return conn.execute(
        """
        delete from ops.known_kickoffs k
        where k.known_from < %(before)s
            and not exists (
                select from ops.known_kickoffs later
                where later.sr_id = k.sr_id and (later.kickoff_at >= %(before)s or later.known_from >= %(before)s)
            )
        """,
        {"before": before},
    ).rowcount


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
