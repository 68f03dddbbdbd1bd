"""Find the kickoff dates that were derived with other settings, by a query in Postgres. Reads only."""

from collections.abc import Sequence
from typing import Final

import polars as pl
import psycopg

from palimpsest_pipeline.domain.enums import Platform

from ..db.copy_frames import read_frame

OTHER_HOME_REASON, DROPPED_MARKET_REASON, MISSING_MARGIN_REASON = (
    "another home platform",
    "named no longer",
    "without margins yet",
)
"""Reasons why the rows of a kickoff date do not fit the current settings."""


def find_dates_of_other_settings(conn: psycopg.Connection, home: Platform, main_markets: Sequence[str]) -> pl.DataFrame:
    """Return the kickoff dates that were derived with other settings, in order.

    The columns are kickoff_date, why and named; `why` is the reason:
    - OTHER_HOME_REASON: the rows were derived for another home platform, whose name is in `named`.
    - DROPPED_MARKET_REASON: there are margins of a market that is not in `main_markets`.
    - MISSING_MARGIN_REASON: a market of `main_markets` was offered before kickoff and has no margin.
    """
    params = {
        "home": home,
        "markets": list(main_markets),
        "other_home": OTHER_HOME_REASON,
        "dropped": DROPPED_MARKET_REASON,
        "lacking": MISSING_MARGIN_REASON,
    }
    return read_frame(conn, DATES_OF_OTHER_SETTINGS_SQL, params).sort("kickoff_date", "why", "named")


# A missing margin is searched fixture by fixture through the tables' keys, and the search stops at the first fixture,
# because the tables are large and nearly every date has all margins.
DATES_OF_OTHER_SETTINGS_SQL: Final = """
select kickoff_date, %(other_home)s as why, home_platform as named from mart.gap_count where home_platform <> %(home)s
union
select kickoff_date, %(other_home)s, home_platform from mart.margin_ttk_bucket where home_platform <> %(home)s
union
select * from (
    -- a date far ahead may have no row in the tables that name their home platform: then the lead times show it,
    -- because home's own differences are 0
    select l.kickoff_date, %(other_home)s,
        coalesce(min(l.platform) filter (where l.home_lead_diff_days = 0), 'another platform')
    from mart.listing_lead_time l
    left join mart.listing_lead_time h on h.sr_id = l.sr_id and h.kickoff_date = l.kickoff_date
        and h.platform = %(home)s
    group by l.kickoff_date
    having bool_or(l.home_lead_diff_days is distinct from l.lead_days_listed - h.lead_days_listed)
) leads
where not exists (select from mart.gap_count g where g.kickoff_date = leads.kickoff_date
    and g.home_platform <> %(home)s)
    and not exists (select from mart.margin_ttk_bucket b where b.kickoff_date = leads.kickoff_date
        and b.home_platform <> %(home)s)
union all
select distinct kickoff_date, %(dropped)s, market_key from mart.margin_ttk_bucket
where market_key <> all(%(markets)s::text[])
union all
select d.kickoff_date, %(lacking)s, k.market_key
from (select distinct kickoff_date from mart.listing_lead_time) d
cross join unnest(%(markets)s::text[]) as k (market_key)
left join lateral (
    select true as there
    from mart.listing_lead_time l
    cross join lateral (
        select from mart.market_margin m where m.sr_id = l.sr_id and m.platform = l.platform
            and m.market_key = k.market_key limit 1
    ) m
    where l.kickoff_date = d.kickoff_date
    limit 1
) margin on true
cross join lateral (
    select from mart.listing_lead_time l
    cross join lateral (
        select from mart.availability_interval i
        where i.sr_id = l.sr_id and i.platform = l.platform and i.market_key = k.market_key and i.state = 'offered'
            and i.valid_from < l.effective_kickoff
        limit 1
    ) i
    where margin.there is null and l.kickoff_date = d.kickoff_date
    limit 1
) offered
"""
