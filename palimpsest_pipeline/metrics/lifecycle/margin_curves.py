"""Margins by time to kickoff, per tournament, date and platform. Takes and returns frames.

A stretch is a span in which the prices of a line do not change. A margin is weighted by the duration of its stretch, so
fixtures with frequent price changes have no larger weight. Stretches are cut at the ends of the buckets of time to
kickoff (`domain.buckets`) and at `as_of`. Weights are whole microseconds, so their sums are exact.

`margin_history` computes the stretches.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.buckets import BUCKETS_BY_SCHEME
from palimpsest_pipeline.domain.schemas import INSTANT
from palimpsest_pipeline.tables.frame_types import get_frame_schema

from ..lifecycle_frames import FrameSchema
from .anchors import add_kickoff
from .margin_history import MARKET_MARGIN_SCHEMA

MARGIN_INPUT_SCHEMA: Final[FrameSchema] = {
    name: MARKET_MARGIN_SCHEMA[name]
    for name in ("sr_id", "platform", "market_key", "specifier", "observed_from", "observed_to", "margin")
}
"""The columns of `MARKET_MARGIN_SCHEMA` that the figures need."""
MARGIN_TTK_BUCKET_SCHEMA: Final = get_frame_schema(
    "mart.margin_ttk_bucket", "home_platform", "kickoff_date", "as_of", "mapping_version", "computed_at"
)
BUCKET_KEY: Final = ("tournament_key", "platform", "market_key", "bucket_scheme", "ttk_bucket")
MIN_TREND_FIXTURES: Final = 4
"""Minimum number of fixtures from which a trend is computed."""

_FIXTURE_COLUMNS: Final = ("sr_id", *BUCKET_KEY)
_LINE_COLUMNS: Final = ("sr_id", "market_key", "specifier", "bucket_scheme", "ttk_bucket")
_MINUTE_US: Final = 60_000_000


def build_margin_curves(
    margins: pl.DataFrame, listings: pl.DataFrame, kickoffs: pl.DataFrame, tournaments: pl.DataFrame, *, as_of: datetime
) -> pl.DataFrame:
    """Return one row per tournament, platform, market and bucket with a margin, for both bucket schemes.

    The result has the columns `MARGIN_TTK_BUCKET_SCHEMA` and is sorted by `BUCKET_KEY`. `margins` has the columns
    `MARGIN_INPUT_SCHEMA` and contains whole tournaments; the stretches of a line do not overlap, and stretches without
    a margin are ignored. The other frames are as in `lifecycle_frames`. Figures combine all lines of a market;
    differences between home and a platform are computed line by line.

    Raises ValueError like `add_kickoff`, and when a margin is of a listing or fixture that is not given.
    """
    anchored = (
        add_kickoff(listings, kickoffs, as_of)
        .join(tournaments.unique(), on="sr_id", how="left")
        .select(
            "sr_id",
            "platform",
            "is_home",
            "tournament_key",
            kickoff=_convert_to_us("kickoff_at"),
            listed=_convert_to_us("first_listed_at").min().over("sr_id"),
        )
    )
    stretches = (
        margins.filter(pl.col("margin").is_not_null())
        .unique(["sr_id", "platform", "market_key", "specifier", "observed_from"])
        .sort("sr_id", "platform", "market_key", "specifier", "observed_from")
        .join(anchored, on=["sr_id", "platform"], how="left", maintain_order="left")
        .with_columns(
            begin=_convert_to_us("observed_from"),
            end=_convert_to_us(pl.min_horizontal("observed_to", pl.lit(as_of, INSTANT))),
        )
    )
    orphans = stretches.filter(pl.col("tournament_key").is_null())
    if orphans.height:
        listing = orphans.select("sr_id", "platform").row(0, named=True)
        raise ValueError(
            f"{orphans.height} margins are of a listing without kickoff or tournament, first {listing}: "
            "give those of every fixture"
        )
    pieces = pl.concat(_cut_at_buckets(stretches, as_of)).with_columns(weight=pl.col("end") - pl.col("begin"))
    return (
        _compute_figures(pieces)
        .join(_compute_shares_and_trends(pieces), on=BUCKET_KEY)
        .join(_compute_differences(pieces), on=BUCKET_KEY, how="left")
        .select(pl.col(name).cast(dtype) for name, dtype in MARGIN_TTK_BUCKET_SCHEMA.items())
        .sort(BUCKET_KEY)
    )


def _convert_to_us(instant: str | pl.Expr) -> pl.Expr:
    """Return an instant as microseconds since 1970."""
    return (pl.col(instant) if isinstance(instant, str) else instant).dt.epoch("us")


def _cut_at_buckets(stretches: pl.DataFrame, as_of: datetime) -> Iterator[pl.DataFrame]:
    """Yield the stretches cut at the ends of each bucket, one frame per bucket.

    `of_bucket` is the length of the bucket up to `as_of`, in microseconds.
    """
    as_of_us = pl.lit(as_of, INSTANT).dt.epoch("us")
    for scheme, buckets in BUCKETS_BY_SCHEME.items():
        for bucket in buckets:
            begins = (
                pl.col("listed")
                if bucket.below_minutes is None
                else pl.col("kickoff") - bucket.below_minutes * _MINUTE_US
            )
            ends = (
                as_of_us
                if bucket.min_minutes is None
                else pl.min_horizontal(pl.col("kickoff") - bucket.min_minutes * _MINUTE_US, as_of_us)
            )
            yield (
                stretches.with_columns(
                    begin=pl.max_horizontal("begin", begins),
                    end=pl.min_horizontal("end", ends),
                    of_bucket=ends - begins,
                    bucket_scheme=pl.lit(scheme.value),
                    ttk_bucket=pl.lit(bucket.name),
                )
                .filter(pl.col("end") > pl.col("begin"))
                .select(*BUCKET_KEY, "sr_id", "specifier", "is_home", "kickoff", "margin", "begin", "end", "of_bucket")
            )


def _compute_figures(pieces: pl.DataFrame) -> pl.DataFrame:
    """Return the figures that are computed from all minutes of a bucket together."""
    sorted_pieces = pieces.select(*BUCKET_KEY, "margin", "weight").sort(*BUCKET_KEY, "margin")
    is_upper_half = pl.col("weight").cum_sum().over(BUCKET_KEY) * 2 >= pl.col("weight").sum().over(BUCKET_KEY)
    return (
        pieces.group_by(BUCKET_KEY)
        .agg(
            n_fixtures=pl.col("sr_id").n_unique(),
            n_observed_minutes=pl.duration(microseconds=pl.col("weight").sum()).dt.total_minutes(fractional=True),
            margin_tw_mean=_compute_mean_margin(),
            margin_min=pl.col("margin").min(),
            margin_max=pl.col("margin").max(),
        )
        .join(
            sorted_pieces.filter(is_upper_half).group_by(BUCKET_KEY).agg(margin_p50=pl.col("margin").min()),
            on=BUCKET_KEY,
        )
    )


def _compute_shares_and_trends(pieces: pl.DataFrame) -> pl.DataFrame:
    """Return the figures that are computed from figures of single fixtures.

    `observed_share` is the fraction of the bucket's time in which any line had a margin. `trend_pp` is the mean margin
    of the fixtures with the later kickoffs minus that of the fixtures with the earlier ones, in percentage points.
    """
    covered_to = pl.col("end").cum_max().shift().over(_FIXTURE_COLUMNS)
    newly_covered = (pl.col("end") - pl.max_horizontal("begin", covered_to)).clip(0)
    fixtures = (
        pieces.sort(*_FIXTURE_COLUMNS, "begin", "end")
        .with_columns(new=newly_covered)
        .group_by(_FIXTURE_COLUMNS)
        .agg(pl.col("kickoff", "of_bucket").first(), mean=_compute_mean_margin(), covered=pl.col("new").sum())
        .sort(*BUCKET_KEY, "kickoff", "sr_id")
        .with_columns(later=pl.int_range(pl.len()).over(BUCKET_KEY) >= pl.len().over(BUCKET_KEY) // 2)
    )
    later, earlier = (pl.col("mean").filter(half).mean() for half in (pl.col("later"), ~pl.col("later")))
    return fixtures.group_by(BUCKET_KEY).agg(
        observed_share=pl.col("covered").sum() / pl.col("of_bucket").sum(),
        trend_pp=pl.when(pl.len() >= MIN_TREND_FIXTURES).then((later - earlier) * 100),
    )


def _compute_differences(pieces: pl.DataFrame) -> pl.DataFrame:
    """Return the time-weighted mean of home's margin minus the platform's, line by line.

    Only time in which both had a margin on the line is used. For home's line two running sums are known at every
    instant: the time with a margin, and margin x time. Their growth during a stretch of the platform gives the common
    time, and home's margin x time within it.
    """
    home = (
        pieces.filter("is_home")
        .sort(*_LINE_COLUMNS, "begin")
        .select(
            *_LINE_COLUMNS,
            "weight",
            "margin",
            since="begin",
            time_before=(pl.col("weight").cum_sum() - pl.col("weight")).over(_LINE_COLUMNS),
            sum_before=((pl.col("weight") * pl.col("margin")).cum_sum() - pl.col("weight") * pl.col("margin")).over(
                _LINE_COLUMNS
            ),
        )
        .sort("since")
    )
    platform_pieces = (
        pieces.filter(~pl.col("is_home"))
        .select(*BUCKET_KEY, "sr_id", "specifier", "margin", "begin", "end")
        .with_row_index("piece")
    )
    sums_at = {}
    for edge in ("begin", "end"):
        elapsed = pl.min_horizontal(pl.col(edge) - pl.col("since"), "weight")
        matches = platform_pieces.sort(edge).join_asof(
            home, left_on=edge, right_on="since", by=_LINE_COLUMNS, check_sortedness=False
        )
        sums_at[edge] = matches.select(
            "piece",
            pl.col("time_before").add(elapsed).fill_null(0).alias(f"time_{edge}"),
            pl.col("sum_before").add(elapsed * pl.col("margin_right")).fill_null(0).alias(f"sum_{edge}"),
        )
    common_time = pl.col("time_end") - pl.col("time_begin")
    return (
        platform_pieces.join(sums_at["begin"], on="piece")
        .join(sums_at["end"], on="piece")
        .sort("piece")
        .with_columns(
            both=common_time, difference=pl.col("sum_end") - pl.col("sum_begin") - pl.col("margin") * common_time
        )
        .filter(pl.col("both") > 0)
        .group_by(BUCKET_KEY)
        .agg(home_minus_platform_tw_mean=pl.col("difference").sum() / pl.col("both").sum())
    )


def _compute_mean_margin() -> pl.Expr:
    """Return the mean margin weighted by time."""
    return (pl.col("margin") * pl.col("weight")).sum() / pl.col("weight").sum()
