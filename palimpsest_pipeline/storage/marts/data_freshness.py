"""Read the instant of the newest row of each kind of data, for freshness checks.

The module only reads, with a few index look-ups for each kind. None means that there is no row; a failed query raises
an error. A backfill of past hours does not change the instants, because its rows have past instants.
"""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Final

import psycopg

from palimpsest_pipeline.domain.enums import FreshnessFamily, Platform

from ..derivation import derived_products

FIRST_HOUR_SQL: Final = """
    select min(hour) from (
        select min(partition_hour) as hour from core.cycles union all select min(partition_hour) from ops.scrape_batches
    ) known
"""
FIRST_CYCLE_SQL: Final = "select started_at from ops.scrape_batches order by cycle_id limit 1"
DISCOVERY_SQL: Final = """
    select c.as_of
    from core.cycles c join core.discovery_manifest m on m.cycle_id = c.cycle_id
    where c.scope = 'full' and m.platform = %s and m.external_id = '*' and m.completeness <> 'failed'
    order by c.cycle_id desc limit 1
"""
# The query finds the newest cycles that stored rows of the platform, and looks up their captures through the index,
# only on the days of the cycle. It reads several cycles, because a long cycle may end after a short one that started
# later. Captures of dropped days are missing; the cycle's own instant is used instead.
ODDS_SQL: Final = """
    with newest as materialized (
        select p.cycle_id, c.as_of
        from core.cycle_products p join core.cycles c using (cycle_id)
        where p.product = %(product)s and p.n_rows > 0
        order by p.cycle_id desc limit 3
    )
    select max(coalesce(stored.observed_at, n.as_of))
    from newest n
    left join lateral (
        select max(k.observed_at) as observed_at
        from core.captures k join ops.listing_ids i using (listing_id)
        where k.cycle_id = n.cycle_id and i.platform = %(platform)s
            and k.observed_at >= n.as_of - interval '2 hours' and k.observed_at < n.as_of + interval '2 hours'
    ) stored on true
"""
_COVERAGE_SQL: Final = "select max(as_of) from mart.match_rate_platform"
LIFECYCLE_SQL: Final = """
    select coalesce(
        (select max(as_of) from mart.listing_lead_time where kickoff_date between %(today)s - 1 and %(today)s + 1),
        (select max(as_of) from mart.listing_lead_time)
    )
"""


def read_first_hour(conn: psycopg.Connection) -> datetime | None:
    """Return the earliest hour (UTC) of any cycle in core; None when there is none."""
    return _read_instant(conn, FIRST_HOUR_SQL)


def read_first_cycle_start(conn: psycopg.Connection) -> datetime | None:
    """Return the start of the first cycle in the ledger; None when there is none."""
    return _read_instant(conn, FIRST_CYCLE_SQL)


def read_newest_data(
    conn: psycopg.Connection, platforms: Iterable[Platform], today: date
) -> list[tuple[FreshnessFamily, Platform | None, datetime | None]]:
    """Return the newest instant of each family of data in the database, of some families by platform.

    The instant of a discovery is that of the last full cycle with one, complete or not. That of the odds is
    `observed_at` of the platform's newest answer in the history. That of the fixtures' life is the instant up to which
    fixtures that kick off near `today` are derived; of all fixtures, if no such fixture has rows.
    """
    newest: list[tuple[FreshnessFamily, Platform | None, datetime | None]] = []
    for platform in platforms:
        product = derived_products.name_platform_product(derived_products.ODDS_PRODUCT, platform)
        odds_params = {"product": product, "platform": platform}
        newest += [
            (FreshnessFamily.DISCOVERY, platform, _read_instant(conn, DISCOVERY_SQL, [platform])),
            (FreshnessFamily.ODDS, platform, _read_instant(conn, ODDS_SQL, odds_params)),
        ]
    return [
        *newest,
        (FreshnessFamily.COVERAGE, None, _read_instant(conn, _COVERAGE_SQL)),
        (FreshnessFamily.FIXTURE_LIFE, None, _read_instant(conn, LIFECYCLE_SQL, {"today": today})),
    ]


def _read_instant(conn: psycopg.Connection, query: str, params: object = None) -> datetime | None:
    row = conn.execute(query, params).fetchone()  # type: ignore[call-overload]
    return row[0] if row else None
