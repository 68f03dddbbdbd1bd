"""Read the content of the coverage page: the coverage as of one cycle, and trends. Reads only."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import polars as pl
import psycopg

from palimpsest_pipeline.domain.errors import PalimpsestError
from palimpsest_pipeline.domain.schemas import INSTANT
from palimpsest_pipeline.tables.frame_types import Schema

from ..catalog.listings_as_of import CARRY_LIMIT
from ..db.copy_frames import read_frame
from ..ledger.cycle_reader import read_skew_quantiles_ms
from .cycle_marts import read_mart_rows

CYCLE_SQL: Final = "select as_of, scope, trigger, home_platform from core.cycles where cycle_id = %s"
PLATFORMS_SQL: Final = """
    with this as (select as_of from core.cycles where cycle_id = %(cycle_id)s)
    select b.platform, b.name, r.status, r.message,
        (
            select max(c.as_of)
            from core.cycles c
            join core.discovery_manifest m using (cycle_id)
            where c.scope = 'full' and c.as_of <= this.as_of and c.as_of > this.as_of - %(carry_limit)s
                and m.platform = b.platform and m.external_id = '*' and m.completeness = 'complete'
        ) as looked_at
    from this
    cross join ops.platforms b
    left join ops.scrape_runs r on r.platform = b.platform and r.cycle_id = %(cycle_id)s
    order by b.trust_rank, b.platform
"""
_LISTINGS_SQL: Final = """
    select e.fixture_sr_id as sr_id, e.platform, e.kickoff_at, e.n_markets_priced
    from mart.coverage_fixture f
    join core.event_listings e on e.fixture_sr_id = f.sr_id and e.is_primary and e.platform = any(f.platforms)
    where f.cycle_id = %s
"""
LEADS_SQL: Final = """
    select l.sr_id, l.platform, l.first_listed_at, l.listed_censored, l.lead_days_listed
    from mart.coverage_fixture f
    join mart.listing_lead_time l using (sr_id)
    where f.cycle_id = %s and f.fixture_class = 'competitor_only'
"""

_GAPS_SQL: Final = """
    select sr_id, case when platform = %(home)s then home_platform else platform end as platform,
        count(*) filter (where gap_type = 'home_missing' and home_platform = %(home)s)::int as n_home_missing,
        count(*) filter (where gap_type = 'platform_missing' and home_platform = %(home)s)::int as n_platform_missing,
        count(*) filter (where gap_type = 'unknown' or home_platform <> %(home)s)::int as n_unknown
    from palimpsest.compared_gaps
    where home_platform <> %(home)s or gap_type in ('home_missing', 'platform_missing', 'unknown')
    group by 1, 2
"""


COUNTRIES_SCHEMA: Final[Schema] = {
    "tournament_key": pl.String,
    "platform": pl.String,
    "country": pl.String,
    "country_iso": pl.String,
}
"""The country of a tournament on each platform, as the platform writes it.

`country_iso` is null when the text is not a country.
"""
COUNTRIES_SQL: Final = """
    select distinct l.tournament_key, t.platform, t.country_raw as country, t.country_iso
    from mart.coverage_tournament c
    join core.tournament_links l using (tournament_key)
    join core.tournament_listings t on t.platform = l.platform and t.external_id = l.external_id
    where c.cycle_id = %s and t.country_raw is not null
"""


class NoCoverageError(PalimpsestError, LookupError):
    """The error when the database has no coverage of the cycle. The message contains a remedy."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """The coverage as of one cycle.

    - `rates`, `tournaments`, `fixtures`: its rows of mart.match_rate_platform, coverage_tournament, coverage_fixture.
    - `platforms`: one row per platform, the most trusted first. `status` and `message` are the result of the platform's
      part of the cycle, null when it got no requests. `looked_at` is the instant of the last complete discovery of the
      whole platform; null when none is recent enough.
    - `listings`: the primary listing of each platform and fixture, with its current claims.
    - `leads`: when a platform first listed each fixture that only competitors list.
    - `gaps`: one row for each fixture and competitor with a gap, which is a current market that only one of home and
      competitor offers. `n_unknown` counts markets that were not compared, because the two platforms were not observed
      together, or because the cycle had another home platform.
    - `countries`: COUNTRIES_SCHEMA.
    """

    cycle_id: int
    as_of: datetime
    scope: str
    trigger: str
    home_platform: str
    platforms: pl.DataFrame
    rates: pl.DataFrame
    tournaments: pl.DataFrame
    fixtures: pl.DataFrame
    listings: pl.DataFrame
    leads: pl.DataFrame
    gaps: pl.DataFrame
    countries: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=COUNTRIES_SCHEMA))


def read_coverage(conn: psycopg.Connection[Any], cycle_id: int | None) -> Coverage:
    """Return the coverage as of a cycle.

    Raises NoCoverageError when `cycle_id` is None or the cycle has no coverage.
    """
    cycle = None if cycle_id is None else conn.execute(CYCLE_SQL, [cycle_id]).fetchone()
    if cycle_id is None or cycle is None:
        raise NoCoverageError("no coverage yet: run `palimpsest scrape`, or import payloads and backfill their hours")
    as_of, scope, trigger, home_platform = cycle
    return Coverage(
        cycle_id,
        as_of,
        scope,
        trigger,
        home_platform,
        platforms=read_frame(conn, PLATFORMS_SQL, {"cycle_id": cycle_id, "carry_limit": CARRY_LIMIT}),
        rates=read_mart_rows(conn, "mart.match_rate_platform", cycle_id),
        tournaments=read_mart_rows(conn, "mart.coverage_tournament", cycle_id),
        fixtures=read_mart_rows(conn, "mart.coverage_fixture", cycle_id),
        listings=read_frame(conn, _LISTINGS_SQL, [cycle_id]),
        leads=read_frame(conn, LEADS_SQL, [cycle_id]),
        gaps=read_frame(conn, _GAPS_SQL, {"home": home_platform}),
        countries=read_frame(conn, COUNTRIES_SQL, [cycle_id]),
    )


MAX_SKEW_CYCLES: Final = 60
"""Maximum number of cycles whose skew is computed.

The skew of a cycle reads some 10,000 ledger rows. If there are more cycles, only every n-th cycle is used.
"""
RATES_SQL: Final = """
    select cycle_id, as_of, platform, n_matched_fixtures, n_home_only, n_competitor_only, n_undetermined, n_union,
        overall_match_rate, fixture_match_rate, home_covered_rate, evidence
    from mart.match_rate_platform
    where as_of > %(since)s and as_of <= %(until)s and not include_started and home_platform = %(home)s
    order by as_of, cycle_id, platform
"""
CYCLES_SQL: Final = (
    "select cycle_id, as_of from core.cycles where scope = 'full' and as_of > %(since)s and as_of <= %(until)s "
    "order by as_of, cycle_id"
)
SKEWS_SCHEMA: Final[Schema] = {"as_of": INSTANT, "p50_ms": pl.Float64, "p95_ms": pl.Float64}
MARGINS_SQL: Final = """
    select kickoff_date, platform, market_key, ttk_bucket,
        sum(margin_tw_mean * n_observed_minutes) / sum(n_observed_minutes) as margin
    from mart.margin_ttk_bucket
    where bucket_scheme = 'reference4' and kickoff_date > %(since)s::date and n_observed_minutes > 0
        and home_platform = %(home)s
    group by kickoff_date, platform, market_key, ttk_bucket
    order by kickoff_date, platform, market_key, ttk_bucket
"""
_GAP_TRENDS_SQL: Final = """
    select kickoff_date, platform, hours_before, count(*) as n_fixtures, sum(n_home_missing) as n_home_missing,
        sum(n_platform_missing) as n_platform_missing, sum(n_home_suspended) as n_home_suspended,
        sum(n_platform_suspended) as n_platform_suspended, sum(n_unknown) as n_unknown
    from mart.gap_count
    where kickoff_date > %(since)s::date and home_platform = %(home)s
    group by kickoff_date, platform, hours_before
    order by kickoff_date, platform, hours_before
"""

MARKET_NAMES_SQL: Final = """
    select market_key, name from core.markets where market_key = any(%s) order by array_position(%s, market_key)
"""


@dataclass(frozen=True, slots=True)
class Trends:
    """Figures over time, oldest first.

    - `rates`: match rates of upcoming fixtures by cycle.
    - `skews` (SKEWS_SCHEMA): by full cycle; `skew_every` n means that only every n-th cycle has a skew.
    - `margins`, `gaps`: by kickoff date.
    """

    since: datetime
    rates: pl.DataFrame
    skews: pl.DataFrame
    skew_every: int
    margins: pl.DataFrame
    gaps: pl.DataFrame


def read_trends(conn: psycopg.Connection[Any], home: str, since: datetime, until: datetime) -> Trends:
    """Return figures of cycles between `since` and `until`, and of kickoff dates after `since`.

    Kickoff dates are UTC dates and may be in the future. Figures that were computed for another home platform than
    `home` are left out.
    """
    span = {"since": since, "until": until, "home": home}
    cycles = read_frame(conn, CYCLES_SQL, span)
    step = max(1, -(-cycles.height // MAX_SKEW_CYCLES))
    # the reversal makes sure that the newest cycle is included
    skew_cycles = cycles.reverse().gather_every(step).reverse()
    skews = skew_cycles.join(
        read_skew_quantiles_ms(conn, skew_cycles["cycle_id"].to_list()),
        on="cycle_id",
        how="left",
        maintain_order="left",
    )
    return Trends(
        since,
        rates=read_frame(conn, RATES_SQL, span),
        skews=skews.select(SKEWS_SCHEMA.keys()),
        skew_every=step,
        margins=read_frame(conn, MARGINS_SQL, span),
        gaps=read_frame(conn, _GAP_TRENDS_SQL, span),
    )


def read_market_names(conn: psycopg.Connection[Any], markets: Sequence[str]) -> dict[str, str]:
    """Return the names of markets by key, in the order of `markets`."""
    return dict(conn.execute(MARKET_NAMES_SQL, [list(markets), list(markets)]).fetchall())
