"""Figures over time as columns for the page's charts.

An unknown value is null, which interrupts the line.
"""

from collections.abc import Sequence
from typing import Any, Final

import polars as pl

from palimpsest_pipeline.domain.enums import ALL_PLATFORMS, PresenceEvidence
from palimpsest_pipeline.domain.schemas import INSTANT
from palimpsest_pipeline.storage.marts.page_coverage import Trends

from .page_data import list_columns, number_keys, to_epoch_s_column
from .statements import PlatformOffer

BUCKET_LABELS: Final = ("7d+", "3-7d", "24-72h", "<24h")
"""The buckets of time to kickoff of the scheme reference4, the farthest from kickoff first."""
_COUNT_COLUMNS: Final = ("n_union", "n_matched_fixtures", "n_home_only", "n_competitor_only", "n_undetermined")
_GAP_COLUMNS: Final = ("n_home_missing", "n_platform_missing", "n_home_suspended", "n_platform_suspended", "n_unknown")


def build_cycle_columns(trends: Trends, offers: Sequence[PlatformOffer]) -> dict[str, Any]:
    """Return the counts and rates of each cycle as columns.

    `at` is the cycle's instant in seconds since 1970. `carried` is 1 when for some platform an earlier discovery is
    used. `overall` is the matched share of all fixtures. `rate` and `covered` have one list per competitor: the matched
    share of the competitor's fixtures and of home's. Further columns are `_COUNT_COLUMNS`. Values that depend on a
    platform that could not be observed are null, except the count of undetermined fixtures.
    """
    rate_columns = (
        "overall_match_rate",
        "fixture_match_rate",
        "home_covered_rate",
        *(name for name in _COUNT_COLUMNS if name != "n_undetermined"),
    )
    known_rates = trends.rates.with_columns(
        pl.when(pl.col("evidence") != PresenceEvidence.PARTIAL.value).then(name).alias(name) for name in rate_columns
    )
    union = known_rates.filter(platform=ALL_PLATFORMS)

    def by_competitor(name: str) -> list[list[float | None]]:
        competitor_rates = (
            known_rates.filter(platform=platform.key).select("cycle_id", own=name) for platform in offers[1:]
        )
        return [
            union.select("cycle_id")
            .join(each, on="cycle_id", how="left", maintain_order="left")["own"]
            .round(6)
            .to_list()
            for each in competitor_rates
        ]

    return {
        "at": union.select(to_epoch_s_column("as_of"))["as_of"].to_list(),
        "carried": (union["evidence"] == PresenceEvidence.CARRIED.value).cast(pl.Int8).to_list(),
        "overall": union["overall_match_rate"].round(6).to_list(),
        "rate": by_competitor("fixture_match_rate"),
        "covered": by_competitor("home_covered_rate"),
        **list_columns(union.select(_COUNT_COLUMNS)),
    }


def build_skew_columns(trends: Trends) -> dict[str, Any]:
    """Return `at`, `p50_ms` and `p95_ms` of the skew, for every n-th full cycle (`every` in the result)."""
    skews = trends.skews.select(to_epoch_s_column("as_of").alias("at"), pl.col("p50_ms", "p95_ms").round(1))
    return {"every": trends.skew_every, **list_columns(skews)}


def build_margin_columns(trends: Trends, offers: Sequence[PlatformOffer]) -> dict[str, Any]:
    """Return the margins by kickoff date.

    `date` lists the kickoff dates in seconds since 1970. `of` maps market, then bucket, to one list per platform: the
    margins by date, null where there was none.
    """
    dates = trends.margins.select("kickoff_date").unique().sort("kickoff_date")
    margins_by_market: dict[str, dict[str, list[Any]]] = {}
    for (market, bucket), rows in trends.margins.group_by("market_key", "ttk_bucket", maintain_order=True):
        lists = [
            _align_to_dates(dates, rows.filter(platform=platform.key), "margin").round(6).to_list()
            for platform in offers
        ]
        margins_by_market.setdefault(str(market), {})[str(bucket)] = lists
    return {"date": _list_date_seconds(dates), "of": margins_by_market}


def build_gap_columns(trends: Trends, offers: Sequence[PlatformOffer]) -> dict[str, Any]:
    """Return the gap counts by kickoff date.

    `date` is as in `build_margin_columns`. `of` maps hours before kickoff to one entry per competitor: `n_fixtures` and
    `_GAP_COLUMNS` by date, null without a fixture.
    """
    position_by_platform = number_keys([platform.key for platform in offers[1:]])
    dates = trends.gaps.select("kickoff_date").unique().sort("kickoff_date")
    gaps_by_hours: dict[int, list[dict[str, Any]]] = {}
    for (hours,), rows in trends.gaps.group_by("hours_before", maintain_order=True):
        competitor_rows = [rows.filter(platform=platform) for platform in position_by_platform]
        gaps_by_hours[int(str(hours))] = [
            {name: _align_to_dates(dates, frame, name).to_list() for name in ("n_fixtures", *_GAP_COLUMNS)}
            for frame in competitor_rows
        ]
    return {"date": _list_date_seconds(dates), "of": gaps_by_hours}


def _align_to_dates(dates: pl.DataFrame, rows: pl.DataFrame, name: str) -> pl.Series:
    """Return one value per date, null where the rows have none."""
    return dates.join(rows.select("kickoff_date", name), on="kickoff_date", how="left", maintain_order="left")[name]


def _list_date_seconds(dates: pl.DataFrame) -> list[int]:
    return dates.select(pl.col("kickoff_date").cast(INSTANT).dt.epoch("s"))["kickoff_date"].to_list()
