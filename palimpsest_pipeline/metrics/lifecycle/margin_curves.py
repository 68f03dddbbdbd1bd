"""Margins by time to kickoff: what a tournament's fixtures of a date cost on each platform, the nearer the kickoff.
Frames in, frames out.

A margin counts for as long as it stood: a fixture whose prices move often has many short stretches and no more weight
than one whose prices rest. Stretches are cut at the ends of the buckets (`domain.buckets`) and at `as_of`. Weights are
whole microseconds, so that their sums are exact.

Belongs here: figures over stretches. Does not: how long prices stood (`margin_history`).
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.buckets import BUCKETS_BY_SCHEME
from palimpsest_pipeline.domain.schemas import INSTANT

from ..lifecycle_frames import FrameSchema
from .anchors import add_kickoff
from .margin_history import MARKET_MARGIN_SCHEMA

MARGIN_INPUT_SCHEMA: Final[FrameSchema] = {
    name: MARKET_MARGIN_SCHEMA[name]
    for name in ("sr_id", "platform", "market_key", "specifier", "observed_from", "observed_to", "margin")
}
"""What the figures need of MARKET_MARGIN."""
MARGIN_TTK_BUCKET_SCHEMA: Final[FrameSchema] = {
    "tournament_key": pl.String,
    "platform": pl.String,
    "market_key": pl.String,
    "bucket_scheme": pl.String,
    "ttk_bucket": pl.String,
    "n_fixtures": pl.Int32,
    "n_observed_minutes": pl.Float64,
    "margin_tw_mean": pl.Float64,
    "margin_p50": pl.Float64,
    "margin_min": pl.Float64,
    "margin_max": pl.Float64,
    "home_minus_platform_tw_mean": pl.Float64,
    "observed_share": pl.Float64,
    "trend_pp": pl.Float64,
}
BUCKET_KEY: Final = ("tournament_key", "platform", "market_key", "bucket_scheme", "ttk_bucket")
MIN_TREND_FIXTURES: Final = 4
"""Fewer have no trend."""

_FIXTURE_COLUMNS: Final = ("sr_id", *BUCKET_KEY)
_LINE_COLUMNS: Final = ("sr_id", "market_key", "specifier", "bucket_scheme", "ttk_bucket")
_MINUTE_US: Final = 60_000_000


def build_margin_curves(
    margins: pl.DataFrame, listings: pl.DataFrame, kickoffs: pl.DataFrame, tournaments: pl.DataFrame, *, as_of: datetime
) -> pl.DataFrame:
    """One row per tournament, platform, market and bucket in which a margin stood, of both schemes: columns
    `MARGIN_TTK_BUCKET_SCHEMA`, sorted by `BUCKET_KEY`.

    `margins`: `MARGIN_INPUT_SCHEMA`, whole tournaments, stretches of a line apart from each other; those without a
    margin count for nothing. The other frames as in `lifecycle_frames`. All lines of a market count together; home and
    platform are compared line by line.

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
    stood = (
        margins.filter(pl.col("margin").is_not_null())
        .unique(["sr_id", "platform", "market_key", "specifier", "observed_from"])
        .sort("sr_id", "platform", "market_key", "specifier", "observed_from")
        .join(anchored, on=["sr_id", "platform"], how="left", maintain_order="left")
        .with_columns(
            begin=_convert_to_us("observed_from"),
            end=_convert_to_us(pl.min_horizontal("observed_to", pl.lit(as_of, INSTANT))),
        )
    )
    strangers = stood.filter(pl.col("tournament_key").is_null())
    if strangers.height:
        where = strangers.select("sr_id", "platform").row(0, named=True)
        raise ValueError(
            f"{strangers.height} margins are of a listing without kickoff or tournament, first {where}: give those of every fixture"
        )
    pieces = pl.concat(_cut_at_buckets(stood, as_of)).with_columns(weight=pl.col("end") - pl.col("begin"))
    return (
        _compute_figures(pieces)
        .join(_compute_shares_and_trends(pieces), on=BUCKET_KEY)
        .join(_compute_differences(pieces), on=BUCKET_KEY, how="left")
        .select(pl.col(name).cast(dtype) for name, dtype in MARGIN_TTK_BUCKET_SCHEMA.items())
        .sort(BUCKET_KEY)
    )


def _convert_to_us(instant: str | pl.Expr) -> pl.Expr:
    """Microseconds since 1970."""
    return (pl.col(instant) if isinstance(instant, str) else instant).dt.epoch("us")


def _cut_at_buckets(stretches: pl.DataFrame, as_of: datetime) -> Iterator[pl.DataFrame]:
    """The stretches cut at the ends of each bucket, with the microseconds that the bucket has up to `as_of`
    (`of_bucket`).
    """
    known = pl.lit(as_of, INSTANT).dt.epoch("us")
    for scheme, buckets in BUCKETS_BY_SCHEME.items():
        for bucket in buckets:
            begins = (
                pl.col("listed")
                if bucket.below_minutes is None
                else pl.col("kickoff") - bucket.below_minutes * _MINUTE_US
            )
            ends = (
                known
                if bucket.min_minutes is None
                else pl.min_horizontal(pl.col("kickoff") - bucket.min_minutes * _MINUTE_US, known)
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
    """What can be said of all minutes together."""
    in_order = pieces.select(*BUCKET_KEY, "margin", "weight").sort(*BUCKET_KEY, "margin")
    reached = pl.col("weight").cum_sum().over(BUCKET_KEY) * 2 >= pl.col("weight").sum().over(BUCKET_KEY)
    return (
        pieces.group_by(BUCKET_KEY)
        .agg(
            n_fixtures=pl.col("sr_id").n_unique(),
            n_observed_minutes=pl.duration(microseconds=pl.col("weight").sum()).dt.total_minutes(fractional=True),
            margin_tw_mean=_compute_mean_margin(),
            margin_min=pl.col("margin").min(),
            margin_max=pl.col("margin").max(),
        )
        .join(in_order.filter(reached).group_by(BUCKET_KEY).agg(margin_p50=pl.col("margin").min()), on=BUCKET_KEY)
    )


def _compute_shares_and_trends(pieces: pl.DataFrame) -> pl.DataFrame:
    """What is made of figures of single fixtures: the share of time in which any line had a margin, and where means
    go with later kickoffs.
    """
    covered_to = pl.col("end").cum_max().shift().over(_FIXTURE_COLUMNS)
    new = (pl.col("end") - pl.max_horizontal("begin", covered_to)).clip(0)
    fixtures = (
        pieces.sort(*_FIXTURE_COLUMNS, "begin", "end")
        .with_columns(new=new)
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
    """Home's margin less the platform's over the time in which both stood on a line.

    Of home's line two sums are known at every instant: for how long it has had a margin, and margin times time. What
    they grow by during a stretch of the platform is the time that both stood, and what home's margin came to in it.
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
    theirs = (
        pieces.filter(~pl.col("is_home"))
        .select(*BUCKET_KEY, "sr_id", "specifier", "margin", "begin", "end")
        .with_row_index("piece")
    )
    grown = {}
    for edge in ("begin", "end"):
        inside = pl.min_horizontal(pl.col(edge) - pl.col("since"), "weight")
        found = theirs.sort(edge).join_asof(
            home, left_on=edge, right_on="since", by=_LINE_COLUMNS, check_sortedness=False
        )
        grown[edge] = found.select(
            "piece",
            pl.col("time_before").add(inside).fill_null(0).alias(f"time_{edge}"),
            pl.col("sum_before").add(inside * pl.col("margin_right")).fill_null(0).alias(f"sum_{edge}"),
        )
    both = pl.col("time_end") - pl.col("time_begin")
    return (
        theirs.join(grown["begin"], on="piece")
        .join(grown["end"], on="piece")
        .sort("piece")
        .with_columns(both=both, difference=pl.col("sum_end") - pl.col("sum_begin") - pl.col("margin") * both)
        .filter(pl.col("both") > 0)
        .group_by(BUCKET_KEY)
        .agg(home_minus_platform_tw_mean=pl.col("difference").sum() / pl.col("both").sum())
    )


def _compute_mean_margin() -> pl.Expr:
    """Mean margin, weighted by time."""
    return (pl.col("margin") * pl.col("weight")).sum() / pl.col("weight").sum()
