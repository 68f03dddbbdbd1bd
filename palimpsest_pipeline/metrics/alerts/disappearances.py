"""Markets that disappear and return, and listings that are dropped, before kickoff. No I/O.

Only a successful look proves an absence: an answer without the market, or a complete discovery without the listing. A
failed look proves nothing.
"""

from datetime import timedelta
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import MarketState

from .prices_over_time import PriceTimeline

SPAN_COLUMNS: Final = ("opened_at", "closed_at")


def find_disappearances(timeline: PriceTimeline, anchored_listings: pl.DataFrame) -> pl.DataFrame:
    """Return the spans in which a market that had been offered was absent: unit, opened_at, closed_at.

    `opened_at` is the first answer without the market. `closed_at` is the answer that offers it again, or null if there
    is none. A market that was suspended just before it disappeared counts as offered. A market that returns suspended
    still counts as absent. Absences that begin before `watch_from` of `anchored_listings` are left out.
    """
    counters = {"listed": pl.lit(1), "offered": (pl.col("state") == MarketState.OFFERED.value).cast(pl.Int32)}
    begins = timeline.rows.select("unit", "at", **counters)
    ends = timeline.rows.filter(pl.col("until").is_not_null()).select(
        "unit", at="until", **{name: -count for name, count in counters.items()}
    )
    # Skipped for speed: most markets never disappear, so each of their rows begins when another one ends.
    interrupted_units = ends.join(begins, on=["unit", "at"], how="anti").select("unit").unique()
    steps = (
        pl.concat(
            [begins.join(interrupted_units, on="unit", how="semi"), ends.join(interrupted_units, on="unit", how="semi")]
        )
        .group_by("unit", "at")
        .agg(pl.col(*counters).sum())
        .sort("unit", "at")
        .with_columns(pl.col(*counters).cum_sum().over("unit"))
    )
    is_here = (
        pl.when(pl.col("offered") > 0).then(pl.lit(value=True)).when(pl.col("listed") == 0).then(pl.lit(value=False))
    )
    absences = _find_absences(steps.with_columns(here=is_here), "unit")
    listed = timeline.units.select("unit", "listing_id").join(
        anchored_listings.select("listing_id", "watch_from"), on="listing_id"
    )
    return (
        absences.join(listed, on="unit")
        .filter(pl.col("opened_at") >= pl.col("watch_from"))
        .select("unit", *SPAN_COLUMNS)
    )


def find_returns(timeline: PriceTimeline, disappearances: pl.DataFrame, window: timedelta) -> pl.DataFrame:
    """Return the returns of markets that had disappeared: unit, opened_at, closed_at.

    `disappearances` is the result of `find_disappearances`. `opened_at` is the return. `closed_at` is the first look at
    the listing at least `window` later, or the answer at which the market disappeared again if that is earlier; null
    when there is neither.
    """
    returns = disappearances.filter(pl.col("closed_at").is_not_null()).select("unit", opened_at="closed_at")
    later_absences = disappearances.select("unit", again_at="opened_at").sort("again_at")
    moments = timeline.moments.select("listing_id", later_at="at").sort("later_at")
    return (
        returns.join(timeline.units.select("unit", "listing_id"), on="unit")
        .with_columns(due_at=pl.col("opened_at") + window)
        .sort("due_at")
        .join_asof(
            moments, left_on="due_at", right_on="later_at", by="listing_id", strategy="forward", check_sortedness=False
        )
        .sort("opened_at")
        .join_asof(
            later_absences,
            left_on="opened_at",
            right_on="again_at",
            by="unit",
            strategy="forward",
            check_sortedness=False,
        )
        .select("unit", "opened_at", closed_at=pl.min_horizontal("later_at", "again_at"))
        .sort("unit", "opened_at")
    )


def find_drops(sightings: pl.DataFrame, anchored_listings: pl.DataFrame) -> pl.DataFrame:
    """Return the spans in which complete discoveries lack a listing that existed before.

    The columns are listing_id, opened_at, and closed_at (the look that shows the listing again, or null). `sightings`
    has listing_id, at and here: true or false, or null when the look proves neither. Spans that begin before
    `watch_from` of `anchored_listings` are left out.
    """
    listed = anchored_listings.select("listing_id", "watch_from")
    return (
        _find_absences(sightings, "listing_id")
        .join(listed, on="listing_id")
        .filter(pl.col("opened_at") >= pl.col("watch_from"))
        .select("listing_id", *SPAN_COLUMNS)
    )


def _find_absences(presence: pl.DataFrame, key: str) -> pl.DataFrame:
    """Return the spans in which something that existed is absent: key, opened_at, closed_at.

    `presence` has key, at and here (true: exists); null in `here` means no change.
    """
    known_presence = presence.filter(pl.col("here").is_not_null()).sort(key, "at")
    has_turned = pl.col("here") != pl.col("here").shift().over(key)
    turns = known_presence.filter(has_turned).select(
        key, "here", opened_at="at", closed_at=pl.col("at").shift(-1).over(key)
    )
    return turns.filter(~pl.col("here")).drop("here")
