"""The sources of messages to traders: the description of each, and the two queries for its events.

To add a source, add an entry to SOURCES, and call `pipeline.push.enqueue.enqueue_events` with its name at the end of
the transaction that derives its rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

import polars as pl
import psycopg

from palimpsest_pipeline.domain.enums import FixtureClass, GapType, OddsAlertType, PriceLeadType, Scope
from palimpsest_pipeline.domain.instants import get_day_start
from palimpsest_pipeline.domain.push_rules import SourceTerms

from ..db.copy_frames import read_frame


@dataclass(frozen=True, slots=True)
class PushSource:
    """One source of events.

    Both queries return the columns of `metrics.push.select_events.EVENTS_SCHEMA`. `derived_query` returns the events
    that were just derived; its parameter `ids` has the ids of the derived fixtures, or of the cycle. `day_query`
    returns the events of a past day, between the parameters `day_start` and `day_end`, and has the parameter `home`.
    Both have the parameter `markets`: the keys of the only markets of interest, or null.
    """

    terms: SourceTerms
    derived_query: str
    day_query: str


def read_derived_events(
    conn: psycopg.Connection[Any],
    source: PushSource,
    ids: Sequence[int],
    market_keys: Sequence[str] | None,
) -> pl.DataFrame:
    """Return the events of the rows just derived. `ids` are the fixtures, or the cycle."""
    params = {"ids": list(ids), "markets": None if market_keys is None else list(market_keys)}
    return read_frame(conn, source.derived_query, params)


def read_day_events(
    conn: psycopg.Connection[Any],
    source: PushSource,
    day: date,
    home: str,
    market_keys: Sequence[str] | None,
) -> pl.DataFrame:
    """Return the events of a UTC day, as far as the marts have them."""
    start: datetime = get_day_start(day)
    params = {
        "day_start": start,
        "day_end": start + timedelta(days=1),
        "home": home,
        "markets": None if market_keys is None else list(market_keys),
    }
    return read_frame(conn, source.day_query, params)


FIXTURE_COLUMNS_SQL: Final = "f.home_team, f.away_team, f.tournament_key, f.tournament, f.country, f.kickoff"
STEAM: Final = "steam"
"""The type of an event of price_lead that is about a steam, not about one pair."""
_MARKETS_SQL: Final = "(%(markets)s::text[] is null or a.market_key = any(%(markets)s::text[]))"

ODDS_ALERTS_SQL: Final = f"""
select a.alert_id::text as event_key, a.alert_type as type, a.severity, a.sr_id, a.home_team, a.away_team,
    a.tournament_key, a.tournament, a.country, a.kickoff, array_remove(array[a.platform, a.competitor]::text[], null)
    as platforms, a.market_key, a.market, a.specifier, a.outcome, a.baseline_odds as odds_before,
    a.current_odds as odds_now, abs(a.peak_change_probability) as size, a.opened_at as began_at,
    coalesce(a.peak_at, a.opened_at) as reached_at, a.as_of as observed_at
from palimpsest.odds_alerts a
where {_MARKETS_SQL}
"""
_GAPS_SQL: Final = f"""
select concat_ws('|', a.sr_id, a.platform, a.market_key, a.specifier, a.gap_type, extract(epoch from a.gap_open_since))
    as event_key, a.gap_type as type, null::text as severity, a.sr_id, a.home_team, a.away_team, a.tournament_key,
    a.tournament, a.country, a.kickoff, array[a.platform] as platforms, a.market_key, a.market, a.specifier,
    null::text as outcome, null::numeric as odds_before, null::numeric as odds_now, null::double precision as size,
    a.gap_open_since as began_at, a.gap_open_since as reached_at, a.as_of as observed_at
from palimpsest.gaps a
where a.sr_id = any(%(ids)s::bigint[]) and {_MARKETS_SQL} and a.gap_open_since is not null
"""
GAPS_OF_DAY_SQL: Final = f"""
with spans as (
    select a.sr_id, a.platform, a.market_key, a.specifier, a.valid_from, coalesce(a.valid_to, a.last_confirmed_at)
        as valid_to, a.platform = %(home)s as is_home,
        case when a.state = 'offered' then 'offered' when a.state in ('suspended', 'no_price') then 'suspended'
            else 'missing' end as kind
    from mart.availability_interval a
    where a.valid_from < %(day_end)s and coalesce(a.valid_to, a.last_confirmed_at) > %(day_start)s
        and a.state in ('offered', 'suspended', 'no_price', 'withdrawn', 'event_dropped')
        and a.market_key <> '*' and {_MARKETS_SQL}
),
never_listed as (
    select o.sr_id, l.platform, o.market_key, o.specifier, l.valid_from, l.valid_to, l.platform = %(home)s as is_home,
        'missing' as kind
    from (select distinct sr_id, market_key, specifier, is_home from spans where kind <> 'missing') o
    join (
        select sr_id, platform, min(valid_from) as valid_from, max(coalesce(valid_to, last_confirmed_at)) as valid_to
        from mart.availability_interval where market_key = '*' and state = 'offered' group by sr_id, platform
    ) l on l.sr_id = o.sr_id and (l.platform = %(home)s) <> o.is_home
    where not exists (
        select from mart.availability_interval x
        where x.sr_id = o.sr_id and x.platform = l.platform and x.market_key = o.market_key
            and x.specifier = o.specifier
    )
),
sides as (select * from spans union all select * from never_listed),
pairs as (
    select h.sr_id, c.platform, h.market_key, h.specifier,
        case when h.kind <> 'offered' and c.kind <> 'offered' then 'both'
            when h.kind = 'missing' then 'home_missing' when c.kind = 'missing' then 'platform_missing'
            when h.kind = 'suspended' then 'home_suspended_only' else 'platform_suspended_only' end as type,
        greatest(h.valid_from, c.valid_from) as began_at, least(h.valid_to, c.valid_to) as observed_at
    from sides h
    join sides c using (sr_id, market_key, specifier)
    where h.is_home and not c.is_home and not (h.kind = 'offered' and c.kind = 'offered')
        and not (h.kind = 'missing' and c.kind = 'missing')
        and h.valid_from < c.valid_to and c.valid_from < h.valid_to
)
select concat_ws('|', a.sr_id, a.platform, a.market_key, a.specifier, a.type, extract(epoch from a.began_at))
    as event_key, a.type, null::text as severity, a.sr_id, {FIXTURE_COLUMNS_SQL}, array[a.platform::text] as platforms,
    a.market_key, k.name as market, a.specifier, null::text as outcome, null::numeric as odds_before,
    null::numeric as odds_now, null::double precision as size, a.began_at, a.began_at as reached_at, a.observed_at
from pairs a
left join palimpsest.fixtures f using (sr_id)
left join core.markets k using (market_key)
"""
# An episode ends when the absent side lists the fixture again, so it is named by the last time at which that side did.
# That time is read from the observations of the cycles before, not from event_listings, whose last_seen_at moves on:
# otherwise a replay would name the episode anew. An answer with odds in between two full cycles does not count, because
# coverage does not count it either; nor does a listing that had no id of the fixture yet.
_COVERAGE_SQL: Final = f"""
select concat_ws('|', a.sr_id, a.fixture_class, extract(epoch from l.last_listed_at)) as event_key,
    a.fixture_class as type, null::text as severity, a.sr_id, a.home_team, a.away_team, a.tournament_key,
    coalesce(t.display_name, a.tournament_name) as tournament, coalesce(t.country, a.country) as country,
    a.effective_kickoff as kickoff, a.platforms, null::text as market_key, null::text as market,
    null::text as specifier, null::text as outcome, null::numeric as odds_before, null::numeric as odds_now,
    null::double precision as size, l.began_at, l.began_at as reached_at, greatest(a.as_of, l.began_at) as observed_at
from mart.coverage_fixture a
left join core.tournaments t using (tournament_key)
cross join lateral (
    select min(e.first_seen_at) as first_listed_at from core.event_listings e
    where e.fixture_sr_id = a.sr_id and e.platform = any(a.platforms)
) present
cross join lateral (
    select max(o.observed_at) as last_listed_at
    from core.event_listings e
    join core.listing_observations o using (listing_id)
    join core.listing_claims c using (listing_id, claim_hash)
    join core.cycles k using (cycle_id)
    where e.fixture_sr_id = a.sr_id and e.platform <> all(a.platforms)
        and (e.platform = a.home_platform or a.fixture_class = '{FixtureClass.HOME_ONLY.value}')
        and (c.sr_id = a.sr_id or c.sr_id is null and c.genius_id is not null)
        and k.scope in ('{Scope.FULL.value}', '{Scope.RECORDED.value}') and k.as_of < a.as_of
) absent
cross join lateral (
    select greatest(present.first_listed_at, absent.last_listed_at) as began_at, absent.last_listed_at
) l
where a.fixture_class in ('{FixtureClass.COMPETITOR_ONLY.value}', '{FixtureClass.HOME_ONLY.value}') and not a.started
"""
PRICE_LEADS_SQL: Final = f"""
select concat_ws('|', a.sr_id, a.lead_type, a.market_key, a.specifier, a.leader, a.follower,
    extract(epoch from a.leader_at)) as event_key, a.lead_type as type, null::text as severity, a.sr_id, a.home_team,
    a.away_team, a.tournament_key, a.tournament, a.country, a.kickoff, array[a.leader, a.follower]::text[] as platforms,
    a.market_key, a.market, a.specifier, nullif(a.outcome, '') as outcome, null::numeric as odds_before,
    null::numeric as odds_now, least(a.leader_rise, a.follower_rise) as size, a.leader_at as began_at,
    greatest(a.leader_at, a.follower_at) as reached_at, greatest(a.leader_at, a.follower_at) as observed_at
from palimpsest.price_leads a
where {_MARKETS_SQL}
"""
STEAM_SQL: Final = f"""
select concat_ws('|', a.sr_id, '{STEAM}', a.market_key, a.specifier, a.outcome_key, extract(epoch from a.steam_at))
    as event_key, '{STEAM}' as type, null::text as severity, a.sr_id, a.home_team, a.away_team, a.tournament_key,
    a.tournament, a.country, a.kickoff, a.platforms, a.market_key, a.market, a.specifier, a.outcome,
    null::numeric as odds_before, null::numeric as odds_now, a.mean_rise as size, a.steam_at as began_at,
    a.last_at as reached_at, a.last_at as observed_at
from palimpsest.steam a
where {_MARKETS_SQL}
"""

ODDS_ALERTS: Final = PushSource(
    SourceTerms(
        "odds_alerts",
        tuple(kind.value for kind in OddsAlertType),
        has_severity=True,
        has_markets=True,
        is_state=False,
        size_unit="probability",
        types_without_size=(
            OddsAlertType.MARKET_DISAPPEARED.value,
            OddsAlertType.MARKET_RETURNED.value,
            OddsAlertType.EVENT_DROPPED.value,
        ),
        types_of_listings=(OddsAlertType.EVENT_DROPPED.value,),
    ),
    f"{ODDS_ALERTS_SQL} and a.sr_id = any(%(ids)s::bigint[])",
    f"{ODDS_ALERTS_SQL} and coalesce(a.peak_at, a.opened_at) >= %(day_start)s"
    " and coalesce(a.peak_at, a.opened_at) < %(day_end)s",
)
GAPS: Final = PushSource(
    SourceTerms(
        "gaps",
        tuple(kind.value for kind in GapType if kind is not GapType.UNKNOWN),
        has_severity=False,
        has_markets=True,
        is_state=True,
        size_unit="minutes",
    ),
    _GAPS_SQL,
    GAPS_OF_DAY_SQL,
)
COVERAGE: Final = PushSource(
    SourceTerms(
        "coverage",
        (FixtureClass.COMPETITOR_ONLY.value, FixtureClass.HOME_ONLY.value),
        has_severity=False,
        has_markets=False,
        is_state=True,
        size_unit="minutes",
    ),
    f"{_COVERAGE_SQL} and a.cycle_id = any(%(ids)s::bigint[])",
    f"{_COVERAGE_SQL} and a.as_of >= %(day_start)s and a.as_of < %(day_end)s",
)
PRICE_LEADS: Final = PushSource(
    SourceTerms(
        "price_lead",
        (*(kind.value for kind in PriceLeadType), STEAM),
        has_severity=False,
        has_markets=True,
        is_state=False,
        size_unit="probability",
        types_without_size=(PriceLeadType.SUSPENSION.value,),
    ),
    f"{PRICE_LEADS_SQL} and a.sr_id = any(%(ids)s::bigint[])"
    f" union all {STEAM_SQL} and a.sr_id = any(%(ids)s::bigint[])",
    f"{PRICE_LEADS_SQL} and greatest(a.leader_at, a.follower_at) >= %(day_start)s"
    " and greatest(a.leader_at, a.follower_at) < %(day_end)s"
    f" union all {STEAM_SQL} and a.last_at >= %(day_start)s and a.last_at < %(day_end)s",
)
SOURCES: Final = {source.terms.name: source for source in (ODDS_ALERTS, GAPS, COVERAGE, PRICE_LEADS)}
SOURCE_TERMS: Final = {name: source.terms for name, source in SOURCES.items()}
