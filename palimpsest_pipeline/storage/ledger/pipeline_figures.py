"""Read figures about the state of the pipeline, for monitoring. Reads only.

Every query reads the rows of one or a few cycles, so that monitoring can ask often. A figure that is not known has no
row.

Belongs here: one query for each figure. Does not belong here: names of metrics, the current time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import psycopg

from palimpsest_pipeline.domain.enums import Platform, Scope

from ..derivation import derived_products
from .cycle_reader import read_skew_quantiles_ms

LAST_CYCLES_SQL: Final = """
    with parts as materialized (
        select b.scope, r.platform, r.cycle_id, r.fetched, r.finished_at, r.capture_s, r.floor_s
        from ops.scrape_batches b join ops.scrape_runs r using (cycle_id)
        where b.partition_hour >= %(since)s and b.status <> 'running' and b.scope <> 'recorded'
    ), answered as (
        select distinct on (scope, platform) scope, platform, finished_at
        from parts where fetched > 0 order by scope, platform, cycle_id desc
    ), captured as (
        select distinct on (scope, platform) scope, platform, capture_s, floor_s
        from parts where capture_s is not null order by scope, platform, cycle_id desc
    )
    select scope, platform, a.finished_at, c.capture_s, c.floor_s
    from answered a full join captured c using (scope, platform)
    order by scope, platform
"""
NEWEST_CYCLES_SQL: Final = """
    select distinct on (scope) scope, cycle_id from ops.scrape_batches
    where partition_hour >= %(since)s and status <> 'running' and scope <> 'recorded'
    order by scope, cycle_id desc
"""
# The sum over captures is an index look-up by cycle. A platform that answered nothing in the cycle has the sum 0.
PRICES_SQL: Final = """
    with newest as materialized (
        select distinct on (product) split_part(product, '/', 2) as platform, p.cycle_id
        from core.cycle_products p join core.cycles c using (cycle_id)
        where c.scope = 'full' and c.partition_hour >= %(since)s and p.product like %(product)s || '/%%'
        order by product, p.cycle_id desc
    ), stored as materialized (
        select k.cycle_id, i.platform, sum(k.n_prices) as n_prices, count(*) as n_listings
        from core.captures k join ops.listing_ids i using (listing_id)
        where k.cycle_id = any(array(select cycle_id from newest))
        group by k.cycle_id, i.platform
    )
    select n.platform, coalesce(s.n_prices, 0)::bigint, coalesce(s.n_listings, 0)
    from newest n left join stored s using (cycle_id, platform)
    order by n.platform
"""
MAPPED_RATES_SQL: Final = """
    select m.platform, m.sport, sum(m.n_mapped)::float8 / sum(m.n_markets_seen)
    from mart.mapping_coverage m
    where m.cycle_id = (
        select p.cycle_id from mart.cycle_products p join core.cycles c using (cycle_id)
        where p.product = 'mapping_coverage' and p.n_rows > 0 and c.scope = 'full'
        order by p.cycle_id desc limit 1
    )
    group by m.platform, m.sport having sum(m.n_markets_seen) > 0
    order by m.platform, m.sport
"""
OPEN_ALERTS_SQL: Final = """
    select severity, split_part(alert_key, '/', 1) as kind, count(*)
    from ops.alerts where closed_at is null group by severity, kind order by severity, kind
"""
OPEN_ODDS_ALERTS_SQL: Final = """
    select a.severity, a.alert_type, count(*)
    from mart.odds_alert a left join core.fixtures f using (sr_id)
    where a.closed_at is null and (f.effective_kickoff > %(now)s or f.effective_kickoff is null)
    group by a.severity, a.alert_type order by a.severity, a.alert_type
"""

# The sender and the derivation write instants by the clock of the database, so the age is measured by it.
WAITING_MESSAGES_SQL: Final = """
    select count(*), extract(epoch from clock_timestamp() - min(created_at))::float8
    from ops.push_outbox where state = 'pending'
"""


@dataclass(frozen=True, slots=True)
class LastCycle:
    """The newest part of a platform in the finished cycles of one scope."""

    scope: Scope
    platform: Platform
    answered_at: datetime | None
    """End of the newest part with a usable answer; None when no part has one."""
    capture_s: float | None
    """Duration of the newest capture in seconds; None when no part has one."""
    floor_s: float | None
    """Shortest duration of the same capture in seconds that the limits of the host allow; None if unknown."""


def read_last_cycles(conn: psycopg.Connection, since: datetime) -> list[LastCycle]:
    """Return the newest part by scope and platform, of cycles since the hour `since`.

    Imported cycles do not count.
    """
    rows = conn.execute(LAST_CYCLES_SQL, {"since": since}).fetchall()
    return [LastCycle(Scope(scope), Platform(platform), *values) for scope, platform, *values in rows]


def read_last_skews_s(conn: psycopg.Connection, since: datetime) -> list[tuple[Scope, float, float]]:
    """Return scope, median and 95th percentile of the skew in the newest finished cycle of each scope.

    Skews are in seconds. A cycle without a fixture on two platforms has no row. Cycles before the hour `since` do not
    count.
    """
    scopes = {cycle_id: Scope(scope) for scope, cycle_id in conn.execute(NEWEST_CYCLES_SQL, {"since": since})}
    quantiles = read_skew_quantiles_ms(conn, list(scopes))
    return sorted((scopes[cycle_id], p50_ms / 1000, p95_ms / 1000) for cycle_id, p50_ms, p95_ms in quantiles.rows())


def read_stored_prices(conn: psycopg.Connection, since: datetime) -> list[tuple[Platform, int, int]]:
    """Return platform, number of prices and number of listings of the newest full cycle by platform.

    Only cycles whose odds of the platform are derived count.
    """
    params = {"since": since, "product": derived_products.ODDS_PRODUCT}
    return [(Platform(name), *counts) for name, *counts in conn.execute(PRICES_SQL, params).fetchall()]


def read_mapped_rates(conn: psycopg.Connection) -> list[tuple[Platform, str, float]]:
    """Return platform, sport and share of the markets that the vocabulary knows, in the newest full cycle."""
    return [(Platform(name), sport, rate) for name, sport, rate in conn.execute(MAPPED_RATES_SQL).fetchall()]


def count_open_alerts(conn: psycopg.Connection) -> dict[tuple[str, str], int]:
    """Return the number of open alerts about the pipeline by severity and kind."""
    return {(severity, kind): n for severity, kind, n in conn.execute(OPEN_ALERTS_SQL).fetchall()}


def count_open_odds_alerts(conn: psycopg.Connection, now: datetime) -> dict[tuple[str, str], int]:
    """Return the number of alerts to traders that are open or acknowledged, by severity and type.

    Alerts of fixtures that have kicked off by `now` do not count.
    """
    rows: Sequence[tuple[str, str, int]] = conn.execute(OPEN_ODDS_ALERTS_SQL, {"now": now}).fetchall()
    return {(severity, alert_type): n for severity, alert_type, n in rows}


def read_waiting_messages(conn: psycopg.Connection) -> tuple[int, float | None]:
    """Return the number of waiting messages to traders, and the age of the oldest in seconds."""
    row = conn.execute(WAITING_MESSAGES_SQL).fetchone()
    assert row is not None
    return row[0], row[1]


def read_database_bytes(conn: psycopg.Connection) -> int:
    """Return the size on disk of the connection's database in bytes."""
    row = conn.execute("select pg_database_size(current_database())").fetchone()
    assert row is not None
    return int(row[0])
