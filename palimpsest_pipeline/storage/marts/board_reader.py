"""Read the rows for the board: fixtures, listings, and the prices of a market or of a fixture.

Belongs here: SQL over the analysts' views and functions, which the read-only role may read. Does not belong here:
filters, the form of an answer (`board`). Instants are seconds since 1970, because browsers read them so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql

MAX_INTERVAL_S: Final = 3600
"""Longest time, in seconds, over which the board shows changes of prices."""

MARKETS_SQL: Final = """
select market_key, name, sport, line_kind, outcome_keys, outcomes from palimpsest.markets order by market_key
"""
LINES_SQL: Final = "select specifier, n_offers, n_compared from palimpsest.lines_now(%(market)s)"
FIXTURES_SQL: Final = """
select sr_id, extract(epoch from kickoff)::bigint, home_team, away_team, tournament_key, tournament, country
from palimpsest.upcoming_fixtures
where %(fixtures)s::bigint[] is null or sr_id = any(%(fixtures)s::bigint[])
"""
LISTINGS_SQL: Final = """
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
select sr_id, outcome_key, bool_or(home_is_best), bool_or(home_tied_best), max(rank_home),
    count(*) filter (where comparable), max(best_platform)
from palimpsest.compared_prices
where market_key = %(market)s and specifier = %(specifier)s
    and (%(fixtures)s::bigint[] is null or sr_id = any(%(fixtures)s::bigint[]))
group by sr_id, outcome_key
"""
CHANGES_SQL: Final = """
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
select market_key, specifier, outcome_key, bool_or(home_is_best), bool_or(home_tied_best), max(rank_home),
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


@dataclass(frozen=True, slots=True)
class MarketRows:
    """The rows of one line of a market: offers, home's ranks, and the changes of the last hour.

    They have the columns of OFFERS_SQL, RANKS_SQL and CHANGES_SQL.
    """

    offers: list[tuple[Any, ...]]
    ranks: list[tuple[Any, ...]]
    changes: list[tuple[Any, ...]]


def read_markets(conn: psycopg.Connection) -> list[tuple[Any, ...]]:
    """Return the vocabulary: rows with the columns of MARKETS_SQL."""
    return conn.execute(MARKETS_SQL).fetchall()


def read_lines(conn: psycopg.Connection, market: str) -> list[tuple[Any, ...]]:
    """Return the lines of a market that any platform has now: rows with the columns of LINES_SQL."""
    return conn.execute(LINES_SQL, {"market": market}).fetchall()


def read_fixtures(conn: psycopg.Connection, fixtures: Sequence[int] | None = None) -> list[tuple[Any, ...]]:
    """Return the fixtures that have not begun, all or the given ones, with the columns of FIXTURES_SQL."""
    return conn.execute(FIXTURES_SQL, {"fixtures": fixtures}, binary=True).fetchall()


def read_listings(conn: psycopg.Connection, fixtures: Sequence[int] | None = None) -> list[tuple[Any, ...]]:
    """Return the platforms' listings of these fixtures, with the columns of LISTINGS_SQL."""
    return conn.execute(LISTINGS_SQL, {"fixtures": fixtures}, binary=True).fetchall()


def read_unseen_platforms(conn: psycopg.Connection) -> set[str]:
    """Return the platforms of which the newest coverage does not know all listings."""
    return {platform for (platform,) in conn.execute(UNSEEN_PLATFORMS_SQL)}


def read_market_rows(
    conn: psycopg.Connection, market: str, specifier: str, fixtures: Sequence[int] | None = None
) -> MarketRows:
    """Return the rows of one line of a market, of all fixtures that have not begun or of the given ones."""
    values = {"market": market, "specifier": specifier, "fixtures": fixtures, "interval_s": MAX_INTERVAL_S}
    return MarketRows(
        *(conn.execute(query, values, binary=True).fetchall() for query in (OFFERS_SQL, RANKS_SQL, CHANGES_SQL))
    )


def read_fixture(conn: psycopg.Connection, sr_id: int) -> tuple[Any, ...] | None:
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


def build_table_query(platforms: Sequence[str], market: str, specifier: str, fixtures: Sequence[int]) -> sql.Composed:
    """Return the SQL of the board's table: one row per fixture and outcome, three columns per platform.

    The rows have the order of `fixtures`. The query contains all values, so a person can run it.
    """
    columns = sql.SQL(",\n    ").join(
        sql.SQL("max(p.{value}) filter (where p.platform = {platform}) as {name}").format(
            value=sql.Identifier(value), platform=sql.Literal(platform), name=sql.Identifier(f"{platform}_{value}")
        )
        for platform in platforms
        for value in ("odds", "state", "margin")
    )
    return sql.SQL(
        "select f.kickoff, f.country, f.tournament, f.home_team, f.away_team, f.sr_id, p.market, p.line, p.outcome,\n"
        "    {columns},\n    max(p.last_confirmed_at) as last_confirmed_at\n"
        "from palimpsest.prices_now({market}, {specifier}, {fixtures}::bigint[]) p\n"
        "join palimpsest.upcoming_fixtures f using (sr_id)\n"
        "group by f.kickoff, f.country, f.tournament, f.home_team, f.away_team, f.sr_id, p.market, p.line, p.outcome,\n"
        "    p.outcome_key, p.outcome_order\n"
        "order by array_position({fixtures}::bigint[], f.sr_id), p.outcome_order, p.outcome_key"
    ).format(
        columns=columns,
        market=sql.Literal(market),
        specifier=sql.Literal(specifier),
        fixtures=sql.Literal(list(fixtures)),
    )
