"""Read the price movements of a market: periods of one price and periods of one state. Reads only.

The periods come from the lifecycle of fixtures, which is derived once an hour; each row has the time until which it is
known. `read_current_prices` reads the prices of the last cycle.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import polars as pl
import psycopg

from ..db.copy_frames import read_frame

# Every platform is named, so that all first columns of the keys are given: a fixture has some hundred other markets.
STRETCHES_SQL: Final = """
    select m.sr_id, m.market_key, m.specifier, m.platform, o.key as outcome_key, m.observed_from as begins_at,
        m.observed_to as ends_at,
        round(o.value::numeric * 1000)::int as odds_milli
    from mart.market_margin m
    cross join lateral jsonb_each_text(m.odds_vector) o
    where m.sr_id = any(%(sr_ids)s) and m.market_key = %(market)s
            and m.platform = any(array(select platform from ops.platforms))
        and (m.observed_to is null or m.observed_to > %(since)s)
    union all
    (
        select distinct on (m.sr_id, m.specifier, m.platform, o.key)
            m.sr_id, m.market_key, m.specifier, m.platform, o.key, m.observed_from, m.observed_to,
                round(o.value::numeric * 1000)::int
        from mart.market_margin m
        cross join lateral jsonb_each_text(m.odds_vector) o
        where m.sr_id = any(%(sr_ids)s) and m.market_key = %(market)s
            and m.platform = any(array(select platform from ops.platforms))
            and m.observed_to <= %(since)s
        order by m.sr_id, m.specifier, m.platform, o.key, m.observed_from desc
    )
"""
STATES_SQL: Final = """
    select a.sr_id, a.market_key, a.specifier, a.platform, a.valid_from as begins_at, a.valid_to as ends_at,
        a.state, a.last_confirmed_at
    from mart.availability_interval a
    where a.sr_id = any(%(sr_ids)s) and a.market_key = %(market)s
        and a.platform = any(array(select platform from ops.platforms))
        and (a.valid_to is null or a.valid_to > %(since)s)
"""
# Each pair of a listing and a line is looked up by the primary key of core.current_markets. `materialized` and
# `offset 0` fix this order. Without them Postgres may read all markets of all listings.
CURRENT_PRICES_SQL: Final = """
    with listings as materialized (
        select e.listing_id, e.fixture_sr_id as sr_id, e.platform, e.deleted_at, a.observed_at
        from core.event_listings e
        cross join lateral (select max(observed_at) as observed_at from core.captures
            where listing_id = e.listing_id) a
        where e.fixture_sr_id = any(%(sr_ids)s) and e.is_primary and a.observed_at is not null
    ), lines as materialized (
        select line_id, market_id, market_key, specifier
        from ops.market_lines
        join core.markets using (market_id)
        where market_key = %(market)s and outcome = ''
    )
    select l.sr_id, n.market_key, n.specifier, l.platform, o.outcome_key,
        case
            when c.state = 'offered' and l.deleted_at is null
                and (coalesce(c.off_mask, 0) >> (o.ordinal - 1)::integer) & 1 = 0
                and c.odds_milli[o.ordinal] > 1000
            then c.odds_milli[o.ordinal]
        end as odds_milli,
        c.changed_at,
        case when l.deleted_at is null then c.state::text else 'event_dropped' end as state,
        coalesce(l.deleted_at, c.state_since) as state_since,
        greatest(l.observed_at, l.deleted_at) as last_confirmed_at
    from listings l
    cross join lines n
    cross join lateral (
        select m.*, n.market_id from core.current_markets m
        where (m.listing_id, m.line_id) = (l.listing_id, n.line_id)
        offset 0
    ) c
    join core.market_outcomes o on o.market_id = c.market_id
"""
MARKET_NAMES_SQL: Final = """
    select k.market_key, k.name as market_name, o.outcome_key, o.name as outcome_name
    from core.markets k
    join core.market_outcomes o using (market_id)
    where k.market_key = any(%s)
    order by array_position(%s, k.market_key), o.ordinal
"""


def read_stretches(conn: psycopg.Connection[Any], market: str, sr_ids: Sequence[int], since: datetime) -> pl.DataFrame:
    """Return the periods of these fixtures in which an outcome of a market could be backed at one price.

    The result has all periods that end after `since`, and the last earlier period of each outcome. `ends_at` is null
    when the period had not ended at the last look.
    """
    return read_frame(conn, STRETCHES_SQL, {"sr_ids": list(sr_ids), "market": market, "since": since})


def read_states(conn: psycopg.Connection[Any], market: str, sr_ids: Sequence[int], since: datetime) -> pl.DataFrame:
    """Return the periods of one state (AvailabilityState) of a market of these fixtures.

    The result has all periods that end after `since`. The periods of a market are contiguous. `ends_at` is null when
    the state had not ended at the last look, `last_confirmed_at`.
    """
    return read_frame(conn, STATES_SQL, {"sr_ids": list(sr_ids), "market": market, "since": since})


def read_current_prices(conn: psycopg.Connection[Any], market: str, sr_ids: Sequence[int]) -> pl.DataFrame:
    """Return the current prices of a market of these fixtures, one row per outcome.

    The prices come from the last answer of each platform's primary listing. `odds_milli` is decimal odds x 1000, null
    when no bets are accepted. `state` is the market's AvailabilityState. `changed_at` is the start of the present
    prices, `state_since` the start of the present state, and `last_confirmed_at` the last look.
    """
    return read_frame(conn, CURRENT_PRICES_SQL, {"sr_ids": list(sr_ids), "market": market})


def read_market_names(conn: psycopg.Connection[Any], markets: Sequence[str]) -> pl.DataFrame:
    """Return market_key, market_name, outcome_key and outcome_name of these markets' outcomes.

    Markets have the order of `markets`, outcomes that of the vocabulary.
    """
    return read_frame(conn, MARKET_NAMES_SQL, [list(markets), list(markets)])
