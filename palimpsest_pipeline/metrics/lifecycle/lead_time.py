"""The lead times of listings and first prices before kickoff, and how each listing ended.

Takes and returns frames. The columns of the frames are in `lifecycle_frames`.
"""

from datetime import datetime, timedelta
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import ListingEnd, LookResult
from palimpsest_pipeline.domain.schemas import INSTANT
from palimpsest_pipeline.tables.frame_types import get_frame_schema

from .anchors import add_kickoff, select_looks_before_kickoff

LEAD_TIME_SCHEMA: Final = get_frame_schema(
    "mart.listing_lead_time", "kickoff_date", "as_of", "mapping_version", "computed_at"
)
DEPTH_HOURS: Final = (72, 24, 1)
"""The hours before kickoff at which markets are counted."""


def compute_lead_times(
    listings: pl.DataFrame,
    looks: pl.DataFrame,
    listed_kickoffs: pl.DataFrame,
    kickoffs: pl.DataFrame,
    *,
    as_of: datetime,
) -> pl.DataFrame:
    """Return one row per (sr_id, platform), columns `LEAD_TIME_SCHEMA`, sorted by these.

    The frames have the columns of `lifecycle_frames`. Lead times refer to the newest known kickoff; they are negative
    when a listing appeared after that kickoff. A number of markets is that of the last answer up to its instant. It is
    null when there is no such answer, and when the instant is after `as_of`.

    `ended_by` is dropped when the last conclusive look before kickoff is a complete discovery without the listing.
    Otherwise the listing ends at its kickoff: `ended_by` is kickoff when the last look showed it, else unknown. Until
    then it is null.

    Raises ValueError like `add_kickoff`.
    """
    anchored = add_kickoff(listings, kickoffs, as_of)
    looks_with_kickoff = looks.unique().join(
        anchored.select("listing_id", "kickoff_at", "first_listed_at"), on="listing_id"
    )
    answers = looks_with_kickoff.filter(pl.col("look") == LookResult.ANSWERED.value).sort("at", "n_markets_priced")
    absences_before_listing = looks_with_kickoff.filter(
        pl.col("look") == LookResult.ABSENT.value, pl.col("at") < pl.col("first_listed_at")
    )
    rows = (
        anchored.with_columns(
            listed_censored=~pl.col("listing_id").is_in(absences_before_listing["listing_id"].implode())
        )
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
    was_listed = pl.col("last_look").is_in([LookResult.ANSWERED.value, LookResult.LISTED.value])
    return (
        rows.join(home, on="sr_id", how="left")
        .with_columns(
            effective_kickoff="kickoff_at",
            home_lead_diff_days=pl.col("lead_days_listed") - pl.col("home_lead_days"),
            ended_by=pl.when(pl.col("last_conclusive_look") == LookResult.ABSENT.value)
            .then(pl.lit(ListingEnd.DROPPED.value))
            .when("to_come")
            .then(pl.lit(None, pl.String))
            .when(was_listed)
            .then(pl.lit(ListingEnd.KICKOFF.value))
            .otherwise(pl.lit(ListingEnd.UNKNOWN.value)),
        )
        .select(pl.col(name).cast(dtype) for name, dtype in LEAD_TIME_SCHEMA.items())
        .sort("sr_id", "platform")
    )


def _compute_days_to_kickoff(column: str) -> pl.Expr:
    return (pl.col("kickoff_at") - pl.col(column)).dt.total_days(fractional=True)


def _select_claims(anchored: pl.DataFrame, listed_kickoffs: pl.DataFrame) -> pl.DataFrame:
    """Return the kickoff that each listing stated when it was first listed.

    It is the last version observed up to then, else the first version. A listing whose kickoffs were all refused has no
    row.
    """
    versions = listed_kickoffs.join(anchored.select("listing_id", "first_listed_at"), on="listing_id").sort(
        "observed_from", "kickoff_at"
    )
    stated_kickoff = pl.col("kickoff_at").filter(pl.col("observed_from") <= pl.col("first_listed_at")).last()
    return versions.group_by("listing_id").agg(
        kickoff_at_first_listing=pl.coalesce(stated_kickoff, pl.col("kickoff_at").first())
    )


def _find_first_prices(answers: pl.DataFrame) -> pl.DataFrame:
    return (
        answers.filter(pl.col("n_markets_priced") > 0)
        .group_by("listing_id", maintain_order=True)
        .agg(first_priced_at=pl.col("at").first(), first_market_depth=pl.col("n_markets_priced").first())
    )


def _count_depths(answers: pl.DataFrame, hours_before: int, as_of: datetime) -> pl.DataFrame:
    """Return the number of priced markets in each listing's last answer up to `hours_before` kickoff.

    Listings for which that instant is after `as_of` are left out.
    """
    instant = pl.col("kickoff_at") - timedelta(hours=hours_before)
    answers_until = answers.filter(pl.col("at") <= instant, instant <= pl.lit(as_of, INSTANT))
    return answers_until.group_by("listing_id", maintain_order=True).agg(
        pl.col("n_markets_priced").last().alias(f"n_markets_at_{hours_before}h")
    )


def _find_last_looks(looks: pl.DataFrame) -> pl.DataFrame:
    """Return the last look at each listing, and the last one that proves whether the listing exists."""
    look = pl.col("look")
    is_inconclusive = look.is_in([LookResult.FAILED.value, LookResult.UNKNOWN.value])
    return looks.group_by("listing_id", maintain_order=True).agg(
        last_look=look.last(), last_conclusive_look=look.filter(~is_inconclusive).last()
    )
