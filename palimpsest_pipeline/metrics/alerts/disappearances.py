"""Markets that were offered and went, came back, and listings that were dropped, before kickoff. Frames in, frames out.

Only good looks say that something is gone: an answer that lacks the market, a complete discovery that lacks the
listing. What could not be looked at is not gone.

Belongs here: when these begin and end. Does not: prices (`price_moves`), rows of alerts (`odds_alerts`).
"""

from datetime import timedelta
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import MarketState

from .prices_over_time import PriceTimeline

SPAN_COLUMNS: Final = ("opened_at", "closed_at")


def find_disappearances(timeline: PriceTimeline, anchored_listings: pl.DataFrame) -> pl.DataFrame:
    """Markets that were offered and that an answer lacked: unit, opened_at, closed_at (the answer that offers it again;
    null: none does).

    One that was seen held off before it went was offered all the same, and one that comes back held off is not back
    yet. Those that went before `watch_from` of `anchored` are left out.
    """
    counted = {"listed": pl.lit(1), "offered": (pl.col("state") == MarketState.OFFERED.value).cast(pl.Int32)}
    begins = timeline.rows.select("unit", "at", **counted)
    ends = timeline.rows.filter(pl.col("until").is_not_null()).select(
        "unit", at="until", **{name: -count for name, count in counted.items()}
    )
    # Of most markets every row begins where another one ends: they never were gone.
    left = ends.join(begins, on=["unit", "at"], how="anti").select("unit").unique()
    steps = (
        pl.concat([begins.join(left, on="unit", how="semi"), ends.join(left, on="unit", how="semi")])
        .group_by("unit", "at")
        .agg(pl.col(*counted).sum())
        .sort("unit", "at")
        .with_columns(pl.col(*counted).cum_sum().over("unit"))
    )
    here = pl.when(pl.col("offered") > 0).then(pl.lit(value=True)).when(pl.col("listed") == 0).then(pl.lit(value=False))
    gone = _find_absences(steps.with_columns(here=here), "unit")
    listed = timeline.units.select("unit", "listing_id").join(
        anchored_listings.select("listing_id", "watch_from"), on="listing_id"
    )
    return (
        gone.join(listed, on="unit").filter(pl.col("opened_at") >= pl.col("watch_from")).select("unit", *SPAN_COLUMNS)
    )


def find_returns(timeline: PriceTimeline, disappearances: pl.DataFrame, window: timedelta) -> pl.DataFrame:
    """Markets that are offered again (`gone`: `find_disappearances`): unit, opened_at, closed_at: the first look at the
    listing a window later, or the answer with which it went again if that was before; null: neither has come."""
    back = disappearances.filter(pl.col("closed_at").is_not_null()).select("unit", opened_at="closed_at")
    again = disappearances.select("unit", again_at="opened_at").sort("again_at")
    moments = timeline.moments.select("listing_id", later_at="at").sort("later_at")
    return (
        back.join(timeline.units.select("unit", "listing_id"), on="unit")
        .with_columns(due_at=pl.col("opened_at") + window)
        .sort("due_at")
        .join_asof(
            moments, left_on="due_at", right_on="later_at", by="listing_id", strategy="forward", check_sortedness=False
        )
        .sort("opened_at")
        .join_asof(
            again, left_on="opened_at", right_on="again_at", by="unit", strategy="forward", check_sortedness=False
        )
        .select("unit", "opened_at", closed_at=pl.min_horizontal("later_at", "again_at"))
        .sort("unit", "opened_at")
    )


def find_drops(sightings: pl.DataFrame, anchored_listings: pl.DataFrame) -> pl.DataFrame:
    """Listings that a complete discovery lacks after they were seen: listing_id, opened_at, closed_at (the look that
    shows them again; null: none).

    `seen`: listing_id, at, here (null: the look does not tell). Those dropped before `watch_from` of `anchored` are
    left out.
    """
    listed = anchored_listings.select("listing_id", "watch_from")
    return (
        _find_absences(sightings, "listing_id")
        .join(listed, on="listing_id")
        .filter(pl.col("opened_at") >= pl.col("watch_from"))
        .select("listing_id", *SPAN_COLUMNS)
    )


def _find_absences(presence: pl.DataFrame, key: str) -> pl.DataFrame:
    """Stretches in which something that was here is not: key, opened_at, closed_at.

    `told`: key, at, here (null: it stays as it was).
    """
    known = presence.filter(pl.col("here").is_not_null()).sort(key, "at")
    turned = pl.col("here") != pl.col("here").shift().over(key)
    turns = known.filter(turned).select(key, "here", opened_at="at", closed_at=pl.col("at").shift(-1).over(key))
    return turns.filter(~pl.col("here")).drop("here")
