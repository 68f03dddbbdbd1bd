"""The columns of the frames that `storage.marts.page_*` read, for worlds without a database."""

from typing import Any, Final

import polars as pl

from palimpsest_pipeline.domain.schemas import INSTANT


def columns(**types: str) -> dict[str, Any]:
    """The schema with these columns by type: names of columns with spaces between them, each type's columns in order."""
    kinds = {"text": pl.String, "i16": pl.Int16, "i32": pl.Int32, "i64": pl.Int64, "f64": pl.Float64, "at": INSTANT}
    return {name: kinds[kind.rstrip("_")] for kind, names in types.items() for name in names.split()}


PLATFORMS_SCHEMA: Final = columns(text="platform name status message", at="looked_at")
LISTINGS_SCHEMA: Final = columns(i64="sr_id", text="platform", at="kickoff_at", i32="n_markets_priced")
LEADS_SCHEMA: Final = {
    **columns(i64="sr_id", text="platform", at="first_listed_at"),
    "listed_censored": pl.Boolean,
    "lead_days_listed": pl.Float64,
}
GAPS_NOW_SCHEMA: Final = columns(i64="sr_id", text="platform", i32="n_home_missing n_platform_missing n_unknown")
RATES_SCHEMA: Final = columns(
    i64="cycle_id",
    at="as_of",
    text="platform",
    i32="n_matched_fixtures n_home_only n_competitor_only n_undetermined n_union",
    f64="overall_match_rate fixture_match_rate home_covered_rate",
    text_="evidence",
)
MARGINS_SCHEMA: Final = {"kickoff_date": pl.Date, **columns(text="platform market_key ttk_bucket", f64="margin")}
GAPS_SCHEMA: Final = {
    "kickoff_date": pl.Date,
    **columns(
        text="platform",
        i16="hours_before",
        i64="n_fixtures n_home_missing n_platform_missing n_home_suspended n_platform_suspended n_unknown",
    ),
}
