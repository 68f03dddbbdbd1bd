"""How long before kickoff each platform listed and priced a fixture, and what ended the listing. Frames in, frames out;
shapes in `lifecycle_frames`."""

from datetime import datetime, timedelta
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import ListingEnd, LookResult
from palimpsest_pipeline.domain.schemas import INSTANT

from ..lifecycle_frames import FrameSchema
from .anchors import add_kickoff, select_looks_before_kickoff

LEAD_TIME_SCHEMA: Final[FrameSchema] = {
    "sr_id": pl.Int64,
    "platform": pl.String,
    "first_listed_at": INSTANT,
    "first_priced_at": INSTANT,
    "first_market_depth": pl.Int32,
    "listed_censored": pl.Boolean,
    "kickoff_at_first_listing": INSTANT,
    "effective_kickoff": INSTANT,
    "lead_days_listed": pl.Float64,
    "lead_days_priced": pl.Float64,
    "home_lead_diff_days": pl.Float64,
    "n_markets_at_72h": pl.Int32,
    "n_markets_at_24h": pl.Int32,
    "n_markets_at_1h": pl.Int32,
    "last_seen_at": INSTANT,
    "ended_by": pl.String,
}
DEPTH_HOURS: Final = (72, 24, 1)
"""How long before kickoff markets are counted, hours."""


def compute_lead_times(
    listings: pl.DataFrame,
    looks: pl.DataFrame,
    listed_kickoffs: pl.DataFrame,
    kickoffs: pl.DataFrame,
    *,
    as_of: datetime,
) -> pl.DataFrame:
    """One row per (sr_id, platform), columns `LEAD_TIME_SCHEMA`, sorted by these. Frames as in `lifecycle_frames`.

    Leads refer to the kickoff in force and are negative when it lies before them. A count of markets is that of the
    last answer until then: null when there was none, and when `as_of` has not come so far. A listing has ended when the
    last look at it before kickoff that says anything is a
    complete discovery that lacks it (dropped), or when its kickoff has come: by kickoff when the last look before
    showed it, else nobody knows.

    Raises like `add_kickoff`.
    """
    anchored = add_kickoff(listings, kickoffs, as_of)
    seen = looks.unique().join(anchored.select("listing_id", "kickoff_at", "first_listed_at"), on="listing_id")
    answers = seen.filter(pl.col("look") == LookResult.ANSWERED.value).sort("at", "n_markets_priced")
    absent = seen.filter(pl.col("look") == LookResult.ABSENT.value, pl.col("at") < pl.col("first_listed_at"))
    rows = (
        anchored.with_columns(listed_censored=~pl.col("listing_id").is_in(absent["listing_id"].implode()))
        .join(_select_claims(anchored, listed_kickoffs), on="listing_id", how="left")
        .join(_find_first_prices(answers), on="listing_id", how="left")
        .join(_find_last_looks(select_looks_before_kickoff(looks, anchored)), on="listing_id", how="left")
    )
    for hours in DEPTH_HOURS:
        rows = rows.join(_count_depths(answers, hours, as_of), on="listing_id", how="left")
    rows = rows.with_columns(
        lead_days_listed=_compute_days_to_kickoff("first_listed_at"),
        lead_days_priced=_compute_days_to_kickoff("first_priced_at"),
    )
    home = rows.filter("is_home").select("sr_id", home_lead_days="lead_days_listed")
    shown = pl.col("last_look").is_in([LookResult.ANSWERED.value, LookResult.LISTED.value])
    return (
        rows.join(home, on="sr_id", how="left")
        .with_columns(
            effective_kickoff="kickoff_at",
            home_lead_diff_days=pl.col("lead_days_listed") - pl.col("home_lead_days"),
            ended_by=pl.when(pl.col("last_word") == LookResult.ABSENT.value)
            .then(pl.lit(ListingEnd.DROPPED.value))
            .when("to_come")
            .then(pl.lit(None, pl.String))
            .when(shown)
            .then(pl.lit(ListingEnd.KICKOFF.value))
            .otherwise(pl.lit(ListingEnd.UNKNOWN.value)),
        )
        .select(pl.col(name).cast(dtype) for name, dtype in LEAD_TIME_SCHEMA.items())
        .sort("sr_id", "platform")
    )


def _compute_days_to_kickoff(column: str) -> pl.Expr:
    return (pl.col("kickoff_at") - pl.col(column)).dt.total_days(fractional=True)


def _select_claims(anchored: pl.DataFrame, listed_kickoffs: pl.DataFrame) -> pl.DataFrame:
    """The kickoff that each listing claimed when it was first listed: of the last version up to then, else of the first
    one. A listing whose kickoffs were all refused has no row."""
    versions = listed_kickoffs.join(anchored.select("listing_id", "first_listed_at"), on="listing_id").sort(
        "observed_from", "kickoff_at"
    )
    then = pl.col("kickoff_at").filter(pl.col("observed_from") <= pl.col("first_listed_at")).last()
    return versions.group_by("listing_id").agg(kickoff_at_first_listing=pl.coalesce(then, pl.col("kickoff_at").first()))


def _find_first_prices(answers: pl.DataFrame) -> pl.DataFrame:
    return (
        answers.filter(pl.col("n_markets_priced") > 0)
        .group_by("listing_id", maintain_order=True)
        .agg(first_priced_at=pl.col("at").first(), first_market_depth=pl.col("n_markets_priced").first())
    )


def _count_depths(answers: pl.DataFrame, hours_before: int, as_of: datetime) -> pl.DataFrame:
    """Markets priced in each listing's last answer up to so many hours before kickoff, where that instant has come."""
    until = pl.col("kickoff_at") - timedelta(hours=hours_before)
    reached = answers.filter(pl.col("at") <= until, until <= pl.lit(as_of, INSTANT))
    return reached.group_by("listing_id", maintain_order=True).agg(
        pl.col("n_markets_priced").last().alias(f"n_markets_at_{hours_before}h")
    )


def _find_last_looks(before: pl.DataFrame) -> pl.DataFrame:
    """The last look at each listing (`last_look`), and the last one that says anything of it (`last_word`)."""
    look = pl.col("look")
    silent = look.is_in([LookResult.FAILED.value, LookResult.UNKNOWN.value])
    return before.group_by("listing_id", maintain_order=True).agg(
        last_look=look.last(), last_word=look.filter(~silent).last()
    )
