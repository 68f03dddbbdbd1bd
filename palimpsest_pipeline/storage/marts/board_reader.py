"""Read the rows for the board, the traders' web pages: fixtures, listings and prices.

It reads the analysts' views and functions, which the read-only role may read. Instants are seconds since 1970, because
browsers read them so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql

MAX_INTERVAL_S: Final = 3600
"""Longest time, in seconds, over which the board shows changes of prices."""

_MARKETS_SQL: Final = """
select market_key, name, sport, outcome_keys, outcomes from palimpsest.markets order by market_key
"""
_LINES_SQL: Final = "select specifier, n_offers, n_compared from palimpsest.lines_now(%(market)s)"
_FIXTURES_SQL: Final = """
select sr_id, extract(epoch from kickoff)::bigint, home_team, away_team, tournament_key, tournament, country
from palimpsest.upcoming_fixtures
where %(fixtures)s::bigint[] is null or sr_id = any(%(fixtures)s::bigint[])
"""
_LISTINGS_SQL: Final = """
select sr_id, platform, external_id, extract(epoch from last_confirmed_at)::float8,
    extract(epoch from dropped_at)::float8, comparable, extract(epoch from as_of)::float8
from palimpsest.listings_now
where %(fixtures)s::bigint[] is null or sr_id = any(%(fixtures)s::bigint[])
"""
OFFERS_SQL: Final = """
select sr_id, platform, market_key, specifier, outcome_key, state, odds_milli, off_mask, margin,
    extract(epoch from changed_at)::float8, extract(epoch from state_since)::float8
from palimpsest.offers_now(%(market)s, %(specifier)s, %(fixtures)s)
"""
RANKS_SQL: Final = """
select sr_id, outcome_key, bool_or(home_is_best), max(rank_home),
    count(*) filter (where comparable), max(best_platform)
from palimpsest.compared_prices
where market_key = %(market)s and specifier = %(specifier)s
    and (%(fixtures)s::bigint[] is null or sr_id = any(%(fixtures)s::bigint[]))
group by sr_id, outcome_key
"""
_CHANGES_SQL: Final = """
select sr_id, platform, outcome_key, extract(epoch from observed_at)::float8, odds_milli
from palimpsest.changes_since(now() - make_interval(secs => %(interval_s)s), %(market)s, %(specifier)s, %(fixtures)s)
order by observed_at
"""
UNSEEN_PLATFORMS_SQL: Final = """
select platform from mart.match_rate_platform
where cycle_id = (select max(cycle_id) from mart.match_rate_platform) and not include_started
    and platform <> 'all' and completeness <> 'complete'
"""
FIXTURE_SQL: Final = """
select sr_id, extract(epoch from kickoff)::bigint, home_team, away_team, tournament_key, tournament, country,
    kickoff <= now()
from palimpsest.fixtures where sr_id = %(sr_id)s
"""
FIXTURE_RANKS_SQL: Final = """
select market_key, specifier, outcome_key, bool_or(home_is_best), max(rank_home),
    count(*) filter (where comparable), max(best_platform)
from palimpsest.compared_prices where sr_id = %(sr_id)s
group by market_key, specifier, outcome_key
"""
HISTORY_SQL: Final = """
select platform, outcome_key, outcome, extract(epoch from observed_at)::float8, odds::float8, is_active, state
from palimpsest.fixture_history(%(sr_id)s, %(market)s)
where specifier = %(specifier)s
order by platform, outcome_key, observed_at
"""
UNSEEN_SQL: Final = """
select platform, extract(epoch from valid_from)::float8, extract(epoch from valid_to)::float8
from palimpsest.availability
where sr_id = %(sr_id)s and market_key = %(market)s and specifier = %(specifier)s and state = 'not_observed'
order by platform, valid_from
"""
ANSWERS_SQL: Final = """
select platform, extract(epoch from last_confirmed_at)::float8 from palimpsest.listings_now where sr_id = %(sr_id)s
"""
PAST_LINES_SQL: Final = """
select distinct market_key, specifier from palimpsest.price_changes where sr_id = %(sr_id)s and is_primary
"""
PAST_ANSWERS_SQL: Final = """
with listings as materialized (
    select distinct platform, listing_id from palimpsest.price_changes
    where sr_id = %(sr_id)s and is_primary and market_key = %(market)s and specifier = %(specifier)s
)
select l.platform, extract(epoch from greatest(h.captured_at, c.captured_at))::float8
from listings l
cross join lateral (
    select max(captured_at) as captured_at from palimpsest.odds_snapshots where event_id = l.listing_id
) h
cross join lateral (
    select max(captured_at) as captured_at from palimpsest.competitor_odds_snapshots where event_id = l.listing_id
) c
"""
"""The last answers about a fixture that has begun, which ANSWERS_SQL does not have."""

TABLE_SQL: Final = """\
with unseen_platforms as ({unseen_platforms}),
cells as (
    select f.kickoff, f.country, f.tournament, f.home_team, f.away_team, f.sr_id, k.market_key, o.outcome,
        o.place, n.platform, p.odds, p.margin, l.last_confirmed_at,
        case
            when l.sr_id is null and n.platform in (select u.platform from unseen_platforms u) then 'unknown'
            when l.sr_id is null then 'not_listed'
            when l.dropped_at is not null then 'dropped'
            when p.sr_id is not null then p.state
            when bool_or(p.sr_id is not null) over (partition by f.sr_id, n.platform) then 'no_price'
            when l.last_confirmed_at is null then 'unknown'
            else 'no_market'
        end as state,
        l.sr_id is not null and l.dropped_at is null and (l.last_confirmed_at is null
            or l.as_of - l.last_confirmed_at > make_interval(secs => {max_skew_s})) as unseen
    from palimpsest.upcoming_fixtures f
    join palimpsest.markets k on k.market_key = {market}
    cross join lateral unnest(k.outcome_keys, k.outcomes) with ordinality as o (outcome_key, outcome, place)
    cross join unnest({platforms}::text[]) as n (platform)
    left join palimpsest.listings_now l on l.sr_id = f.sr_id and l.platform = n.platform
    left join palimpsest.prices_now({market}, {specifier}, {fixtures}::bigint[]) p
        on p.sr_id = f.sr_id and p.platform = n.platform and p.outcome_key = o.outcome_key
    where f.sr_id = any({fixtures}::bigint[])
)
select kickoff, country, tournament, home_team, away_team, sr_id, market_key as market, {specifier} as line,
    outcome,
    {columns},
    max(last_confirmed_at) as last_confirmed_at
from cells
group by kickoff, country, tournament, home_team, away_team, sr_id, market_key, outcome, place
order by array_position({fixtures}::bigint[], sr_id), place"""
FIXTURE_MARKETS_SQL: Final = """\
select p.market, k.name as market_name, p.line, p.outcome,
    {columns}
from palimpsest.prices_now(fixtures => {fixtures}::bigint[]) p
join palimpsest.markets k on k.market_key = p.market
where p.platform = any({platforms}::text[])
group by p.market, k.name, p.line, p.outcome_key, p.outcome, p.outcome_order
having count(p.odds) > 0
order by array_position({market_order}::text[], p.market), k.name, p.market,
    substring(p.line from '=(-?[0-9]+(?:[.][0-9]+)?)$')::numeric nulls first, p.line, p.outcome_order, p.outcome"""
HISTORY_FILE_SQL: Final = """\
select observed_at, minutes_to_kickoff, platform, market_key, market, specifier, outcome_key, outcome, odds,
    previous_odds, change_rel, state, is_active
from palimpsest.fixture_history({sr_id}, {market})
where specifier = {specifier}
order by observed_at, platform, outcome_key"""


@dataclass(frozen=True, slots=True)
class MarketRows:
    """The rows of one line of a market: offers, home's ranks, and the changes of the last hour.

    They have the columns of OFFERS_SQL, RANKS_SQL and _CHANGES_SQL.
    """

    offers: list[tuple[Any, ...]]
    ranks: list[tuple[Any, ...]]
    changes: list[tuple[Any, ...]]


def read_markets(conn: psycopg.Connection) -> list[tuple[Any, ...]]:
    """Return the vocabulary: rows with the columns of _MARKETS_SQL."""
    return conn.execute(_MARKETS_SQL).fetchall()


def read_lines(conn: psycopg.Connection, market: str) -> list[tuple[Any, ...]]:
    """Return the lines of a market that any platform has now: rows with the columns of _LINES_SQL."""
    return conn.execute(_LINES_SQL, {"market": market}).fetchall()


def read_fixtures(conn: psycopg.Connection, fixtures: Sequence[int] | None = None) -> list[tuple[Any, ...]]:
    """Return the fixtures that have not begun, all or the given ones, with the columns of _FIXTURES_SQL."""
    return conn.execute(_FIXTURES_SQL, {"fixtures": fixtures}, binary=True).fetchall()


def read_listings(conn: psycopg.Connection, fixtures: Sequence[int] | None = None) -> list[tuple[Any, ...]]:
    """Return the platforms' listings of these fixtures, with the columns of _LISTINGS_SQL."""
    return conn.execute(_LISTINGS_SQL, {"fixtures": fixtures}, binary=True).fetchall()


def read_unseen_platforms(conn: psycopg.Connection) -> set[str]:
    """Return the platforms of which the newest coverage does not know all listings."""
    return {platform for (platform,) in conn.execute(UNSEEN_PLATFORMS_SQL)}


def read_market_rows(
    conn: psycopg.Connection, market: str, specifier: str, fixtures: Sequence[int] | None = None
) -> MarketRows:
    """Return the rows of one line of a market, of all fixtures that have not begun or of the given ones."""
    values = {"market": market, "specifier": specifier, "fixtures": fixtures, "interval_s": MAX_INTERVAL_S}
    return MarketRows(
        *(conn.execute(query, values, binary=True).fetchall() for query in (OFFERS_SQL, RANKS_SQL, _CHANGES_SQL))
    )


def read_fixture_row(conn: psycopg.Connection, sr_id: int) -> tuple[Any, ...] | None:
    """Return a fixture with the columns of FIXTURE_SQL, begun or not; None when it is not known."""
    return conn.execute(FIXTURE_SQL, {"sr_id": sr_id}).fetchone()


def read_fixture_offers(conn: psycopg.Connection, sr_id: int) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Return all offers of a fixture and home's ranks: columns of OFFERS_SQL and FIXTURE_RANKS_SQL."""
    values = {"market": None, "specifier": None, "fixtures": [sr_id]}
    offers = conn.execute(OFFERS_SQL, values, binary=True).fetchall()
    return offers, conn.execute(FIXTURE_RANKS_SQL, {"sr_id": sr_id}, binary=True).fetchall()


def read_past_lines(conn: psycopg.Connection, sr_id: int) -> list[tuple[str, str]]:
    """Return each market and line in the history of a fixture."""
    return conn.execute(PAST_LINES_SQL, {"sr_id": sr_id}).fetchall()


def read_history(
    conn: psycopg.Connection, sr_id: int, market: str, specifier: str
) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]], dict[str, float | None]]:
    """Return the history of a line: changes, times in which a platform was not observed, and last answers.

    The first two have the columns of HISTORY_SQL and UNSEEN_SQL. The fixture may have begun.
    """
    values = {"sr_id": sr_id, "market": market, "specifier": specifier}
    changes, unseen, answers = (
        conn.execute(query, values).fetchall() for query in (HISTORY_SQL, UNSEEN_SQL, ANSWERS_SQL)
    )
    return changes, unseen, dict(answers or conn.execute(PAST_ANSWERS_SQL, values).fetchall())


def build_table_query(
    platforms: Sequence[str], market: str, specifier: str, fixtures: Sequence[int], max_skew_s: float
) -> sql.Composed:
    """Return the SQL of the board's table: one row per fixture and outcome, four columns per platform.

    The rows have the order of `fixtures`. A platform's column of states says why there is no price, so a fixture
    without any price has its rows too. `unseen` is true when the platform's last answer is older than another
    platform's by more than `max_skew_s`. The query contains all values, so a person can run it.
    """
    return sql.SQL(TABLE_SQL).format(
        columns=_build_platform_columns(
            platforms, {"odds": "max", "state": "max", "margin": "max", "unseen": "bool_or"}
        ),
        platforms=sql.Literal(list(platforms)),
        unseen_platforms=sql.SQL(UNSEEN_PLATFORMS_SQL.strip()),
        max_skew_s=sql.Literal(max_skew_s),
        market=sql.Literal(market),
        specifier=sql.Literal(specifier),
        fixtures=sql.Literal(list(fixtures)),
    )


def build_markets_query(platforms: Sequence[str], sr_id: int, market_order: Sequence[str]) -> sql.Composed:
    """Return the SQL of a fixture's markets: one row per market, line and outcome.

    Each platform has three columns. The rows have the order of `market_order`. The query contains all values, so a
    person can run it.
    """
    return sql.SQL(FIXTURE_MARKETS_SQL).format(
        columns=_build_platform_columns(platforms, {"odds": "max", "state": "max", "margin": "max"}),
        platforms=sql.Literal(list(platforms)),
        fixtures=sql.Literal([sr_id]),
        market_order=sql.Literal(list(market_order)),
    )


def build_history_query(sr_id: int, market: str, specifier: str) -> sql.Composed:
    """Return the SQL of the price history of a line: one row per change, in the order of observation."""
    return sql.SQL(HISTORY_FILE_SQL).format(
        sr_id=sql.Literal(sr_id), market=sql.Literal(market), specifier=sql.Literal(specifier)
    )


def _build_platform_columns(platforms: Sequence[str], aggregates: Mapping[str, str]) -> sql.Composed:
    """Return a column per platform and value.

    `aggregates` maps a value to the function that takes it from the rows of the platform.
    """
    return sql.SQL(",\n    ").join(
        sql.SQL("{aggregate}({value}) filter (where platform = {platform}) as {name}").format(
            aggregate=sql.SQL(aggregate),
            value=sql.Identifier(value),
            platform=sql.Literal(platform),
            name=sql.Identifier(f"{platform}_{value}"),
        )
        for platform in platforms
        for value, aggregate in aggregates.items()
    )
