"""Read figures over time: match rates and skew by cycle, margins and gaps by kickoff date."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import polars as pl
import psycopg

from palimpsest_pipeline.domain.schemas import INSTANT
from palimpsest_pipeline.tables.frame_types import Schema

from ..db.copy_frames import read_frame
from ..ledger.cycle_reader import read_skew_quantiles_ms

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
_GAPS_SQL: Final = """
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
        gaps=read_frame(conn, _GAPS_SQL, span),
    )


def read_market_names(conn: psycopg.Connection[Any], markets: Sequence[str]) -> dict[str, str]:
    """Return the names of markets by key, in the order of `markets`."""
    return dict(conn.execute(MARKET_NAMES_SQL, [list(markets), list(markets)]).fetchall())
