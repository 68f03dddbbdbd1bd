"""Read the coverage as of one cycle, with its platforms, fixtures and listings. Reads only."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import polars as pl
import psycopg

from palimpsest_pipeline.domain.errors import PalimpsestError
from palimpsest_pipeline.tables.frame_types import Schema

from ..catalog.universe import CARRY_LIMIT
from ..db.copy_frames import read_frame
from .cycle_marts import read_rows

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
        rates=read_rows(conn, "mart.match_rate_platform", cycle_id),
        tournaments=read_rows(conn, "mart.coverage_tournament", cycle_id),
        fixtures=read_rows(conn, "mart.coverage_fixture", cycle_id),
        listings=read_frame(conn, _LISTINGS_SQL, [cycle_id]),
        leads=read_frame(conn, LEADS_SQL, [cycle_id]),
        gaps=read_frame(conn, _GAPS_SQL, {"home": home_platform}),
        countries=read_frame(conn, COUNTRIES_SQL, [cycle_id]),
    )
