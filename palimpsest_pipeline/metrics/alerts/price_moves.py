"""How far prices are from what they were a window earlier. Frames in, frames out.

A change is judged by the implied probability (1 / odds): from 2.00 to 2.20 that falls by 0.045, from 100 to 235 by
0.006, and nobody acts on it.

That changes only when the price does, when it did a window ago, and when what was known a window ago begins or ends. So
it is worked out at the first look at or after each of those and at no other; and of markets in which no price was ever
far from another it is not worked out at all.

Belongs here: changes over the window. Does not: prices of other books (`book_comparisons`), thresholds in time
(`episodes`).
"""

from datetime import timedelta
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.price_numbers import EVENS_MILLI

from .episodes import SIZE_DECIMALS
from .prices_over_time import PriceTimeline, find_price_at

ROUNDING_TOLERANCE: Final = 1e-6
"""Tolerance of the rough filters, so that rounding drops no change that is exactly as large as asked."""


def compute_moves(
    timeline: PriceTimeline, anchored_listings: pl.DataFrame, window: timedelta, min_shift: float, max_odds: float
) -> pl.DataFrame:
    """Return how outcomes changed over `window`, for all outcomes of units in which one may have shifted by `least`.

    One row per outcome and look, from `watch_from` of `anchored` on, at which the change may differ from the one
    before: unit, place, at, odds_milli
    (null: cannot be backed), baseline_milli (null: not known, or none), change and shift (`compute_probability_shift`;
    null when either price is null).

    A discovery that lacks the listing is a look at which nothing can be backed.
    """
    places = _select_moving_places(timeline.prices, min_shift, max_odds).join(
        timeline.units.select("unit", "listing_id"), on="unit"
    )
    own = timeline.prices.drop("unit").join(places.select("place", "listing_id"), on="place")
    listed = anchored_listings.select("listing_id", "watch_from")
    held = pl.concat(
        [timeline.known_spans.select("listing_id", "at"), timeline.known_spans.select("listing_id", at="until")]
    )
    of_listing = pl.concat(
        [
            listed.select("listing_id", at="watch_from"),
            find_turns(timeline.moments),
            held.with_columns(pl.col("at") + window),
        ]
    )
    own_ends = [
        own.select("place", "listing_id", at=end + delay)
        for end in (pl.col("at"), pl.col("until"))
        for delay in (timedelta(0), window)
    ]
    breaks = pl.concat([*own_ends, places.select("place", "listing_id").join(of_listing, on="listing_id")])
    asked = (
        find_first_at_or_after(breaks, timeline.moments, ["listing_id"])
        .join(listed, on="listing_id")
        .filter(pl.col("at") >= pl.col("watch_from"))
        .unique(["place", "at"])
        .select("place", "listing_id", "at", "answered", before=pl.col("at") - window)
    )
    now = find_price_at(asked, own, "at").with_columns(odds_milli=pl.when("answered").then("odds_milli"))
    then = find_price_at(_select_while_known(asked, timeline.known_spans), own, "before").select(
        "place", "at", baseline_milli="odds_milli"
    )
    change = (pl.col("odds_milli") / pl.col("baseline_milli") - 1).round(SIZE_DECIMALS)
    return (
        now.join(then, on=["place", "at"], how="left")
        .join(places.select("place", "unit"), on="place")
        .select(
            "unit",
            "place",
            "at",
            "odds_milli",
            "baseline_milli",
            change=change,
            shift=compute_probability_shift(max_odds),
        )
    )


def compute_probability_shift(max_odds: float) -> pl.Expr:
    """Return the change of the implied probability from `baseline_milli` to `odds_milli`: null without one of them,
    0 if both exceed `max_odds`.
    """
    now, then = pl.col("odds_milli"), pl.col("baseline_milli")
    shift = (EVENS_MILLI / now - EVENS_MILLI / then).round(SIZE_DECIMALS)
    is_judged = (now <= max_odds * EVENS_MILLI) | (then <= max_odds * EVENS_MILLI)
    return pl.when(now.is_null() | then.is_null()).then(None).when(is_judged).then(shift).otherwise(0.0)


def compute_sizes(moves: pl.DataFrame) -> pl.DataFrame:
    """`compute_moves` as sizes for `episodes`: nought where nothing can be backed, none where the change is not
    known.
    """
    gone = pl.col("odds_milli").is_null()
    known = moves.filter(gone | pl.col("change").is_not_null())
    return known.select("unit", "at", part="place", size=pl.when(gone).then(0.0).otherwise(pl.col("shift").abs()))


def find_turns(moments: pl.DataFrame) -> pl.DataFrame:
    """Looks with which a listing went or came back: listing_id, at."""
    turned = pl.col("answered") != pl.col("answered").shift().over("listing_id")
    return moments.sort("listing_id", "at").filter(turned).select("listing_id", "at")


def find_first_at_or_after(breaks: pl.DataFrame, moments: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """`breaks` with `at` moved to the first moment from then on, and that moment's columns; without those after the
    last one, and those at null.
    """
    return (
        breaks.filter(pl.col("at").is_not_null())
        .rename({"at": "broke_at"})
        .sort("broke_at")
        .join_asof(
            moments.sort("at"),
            left_on="broke_at",
            right_on="at",
            by=by,
            strategy="forward",
            coalesce=False,
            check_sortedness=False,
        )
        .filter(pl.col("at").is_not_null())
        .drop("broke_at")
    )


def _select_moving_places(prices: pl.DataFrame, min_shift: float, max_odds: float) -> pl.DataFrame:
    """Return place and unit of all outcomes of units in which one may have shifted by `least`, and was not above
    `max_odds` at one instant.
    """
    low, high = pl.col("odds_milli").min(), pl.col("odds_milli").max()
    far = (EVENS_MILLI / low - EVENS_MILLI / high >= min_shift - ROUNDING_TOLERANCE) & (low <= max_odds * EVENS_MILLI)
    places = prices.group_by("place", "unit").agg(far=far)
    return places.filter(pl.col("far").any().over("unit")).drop("far")


def _select_while_known(queries: pl.DataFrame, known_spans: pl.DataFrame) -> pl.DataFrame:
    """Those whose instant `before` is one at which the listing's last answer held."""
    held = known_spans.select("listing_id", "until", known_at="at").sort("known_at")
    found = queries.sort("before").join_asof(
        held, left_on="before", right_on="known_at", by="listing_id", check_sortedness=False
    )
    return found.filter(pl.col("before") < pl.col("until")).select(queries.columns)
