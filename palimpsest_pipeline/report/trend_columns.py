"""Figures over time as columns for the page's charts. A value that could not be known is null: a hole in the line."""

from collections.abc import Sequence
from typing import Any, Final

import polars as pl

from palimpsest_pipeline.domain.enums import PresenceEvidence
from palimpsest_pipeline.domain.schemas import INSTANT
from palimpsest_pipeline.storage.marts.page_trends import Trends

from .page_data import list_columns, number_words, to_epoch_s_column
from .statements import ALL_PLATFORMS, PlatformOffer

BUCKET_LABELS: Final = ("7d+", "3-7d", "24-72h", "<24h")
"""Of the scheme reference4, farthest first."""
COUNT_COLUMNS: Final = ("n_union", "n_matched_fixtures", "n_home_only", "n_competitor_only", "n_undetermined")
GAP_COLUMNS: Final = ("n_home_missing", "n_platform_missing", "n_home_suspended", "n_platform_suspended", "n_unknown")


def build_cycle_columns(trends: Trends, offers: Sequence[PlatformOffer]) -> dict[str, Any]:
    """`at`: seconds since 1970, a cycle each; `carried`: whether an earlier discovery had to do for some platform;
    `overall`: matched of all fixtures; `rate`, `covered`: a list a competitor, matched of its fixtures and of home's;
    and COUNTS. What rests on a platform that could not be
    looked at is null: of the counts all but the undetermined."""
    resting = (
        "overall_match_rate",
        "fixture_match_rate",
        "home_covered_rate",
        *(name for name in COUNT_COLUMNS if name != "n_undetermined"),
    )
    known = trends.rates.with_columns(
        pl.when(pl.col("evidence") != PresenceEvidence.PARTIAL.value).then(name).alias(name) for name in resting
    )
    union = known.filter(platform=ALL_PLATFORMS)

    def by_competitor(name: str) -> list[list[float | None]]:
        own = (known.filter(platform=platform.key).select("cycle_id", own=name) for platform in offers[1:])
        return [
            union.select("cycle_id")
            .join(each, on="cycle_id", how="left", maintain_order="left")["own"]
            .round(6)
            .to_list()
            for each in own
        ]

    return {
        "at": union.select(to_epoch_s_column("as_of"))["as_of"].to_list(),
        "carried": (union["evidence"] == PresenceEvidence.CARRIED.value).cast(pl.Int8).to_list(),
        "overall": union["overall_match_rate"].round(6).to_list(),
        "rate": by_competitor("fixture_match_rate"),
        "covered": by_competitor("home_covered_rate"),
        **list_columns(union.select(COUNT_COLUMNS)),
    }


def build_skew_columns(trends: Trends) -> dict[str, Any]:
    """`at`, `p50_ms`, `p95_ms` a full cycle, one in `every`."""
    shown = trends.skews.select(to_epoch_s_column("as_of").alias("at"), pl.col("p50_ms", "p95_ms").round(1))
    return {"every": trends.skew_every, **list_columns(shown)}


def build_margin_columns(trends: Trends, offers: Sequence[PlatformOffer]) -> dict[str, Any]:
    """`date`: seconds since 1970 of each kickoff date; `of`: market to bucket to a list a platform of margins by
    date, null where none stood.
    """
    dates = trends.margins.select("kickoff_date").unique().sort("kickoff_date")
    of: dict[str, dict[str, list[Any]]] = {}
    for (market, bucket), rows in trends.margins.group_by("market_key", "ttk_bucket", maintain_order=True):
        each = [
            _align_to_dates(dates, rows.filter(platform=platform.key), "margin").round(6).to_list()
            for platform in offers
        ]
        of.setdefault(str(market), {})[str(bucket)] = each
    return {"date": _list_date_seconds(dates), "of": of}


def build_gap_columns(trends: Trends, offers: Sequence[PlatformOffer]) -> dict[str, Any]:
    """`date`: as in `build_margin_columns`; `of`: hours before kickoff to a list a competitor of `n_fixtures` and
    GAPS by date, null without a fixture.
    """
    place = number_words([platform.key for platform in offers[1:]])
    dates = trends.gaps.select("kickoff_date").unique().sort("kickoff_date")
    of: dict[int, list[dict[str, Any]]] = {}
    for (hours,), rows in trends.gaps.group_by("hours_before", maintain_order=True):
        each = [rows.filter(platform=platform) for platform in place]
        of[int(str(hours))] = [
            {name: _align_to_dates(dates, frame, name).to_list() for name in ("n_fixtures", *GAP_COLUMNS)}
            for frame in each
        ]
    return {"date": _list_date_seconds(dates), "of": of}


def _align_to_dates(dates: pl.DataFrame, rows: pl.DataFrame, name: str) -> pl.Series:
    """A value a date, null where the rows have none."""
    return dates.join(rows.select("kickoff_date", name), on="kickoff_date", how="left", maintain_order="left")[name]


def _list_date_seconds(dates: pl.DataFrame) -> list[int]:
    return dates.select(pl.col("kickoff_date").cast(INSTANT).dt.epoch("s"))["kickoff_date"].to_list()
