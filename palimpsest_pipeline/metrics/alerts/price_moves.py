"""The change of prices over a window of time. No I/O.

A change is measured in implied probability (1 / odds). From 2.00 to 2.20 it falls by 0.045; from 100 to 235 it falls by
0.006, which is irrelevant for a trader.

The change of a price can differ only at three kinds of instants: the price changes, the price changed one window
earlier, or the price of one window earlier becomes known or unknown. It is therefore computed only at the first look at
or after each of these instants. Markets whose prices were never far apart are skipped.
"""

from datetime import timedelta
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.price_numbers import EVENS_MILLI

from .episodes import SIZE_DECIMALS
from .prices_over_time import PriceTimeline, find_price_at

THRESHOLD_TOLERANCE: Final = 1e-6
"""Tolerance of the rough filters, so that rounding does not drop a change exactly at the threshold."""


def compute_moves(
    timeline: PriceTimeline, anchored_listings: pl.DataFrame, window: timedelta, min_shift: float, max_odds: float
) -> pl.DataFrame:
    """Return the price changes over `window` of all outcomes of units that may have moved.

    A unit (a market of a listing) may have moved if one of its outcomes may have shifted by `min_shift`. There is one
    row per outcome and look at which the change may differ from the previous look, from `watch_from` of
    `anchored_listings` on. The columns are unit, place (see `PriceTimeline`), at, odds_milli (null: the outcome cannot
    be backed), baseline_milli (the price one window earlier; null: unknown, or none), change (relative change of the
    odds), and shift (change of 1 / odds, `compute_probability_shift`). change and shift are null when either price is
    null.

    A discovery without the listing is a look at which nothing can be backed.
    """
    places = _select_moving_places(timeline.prices, min_shift, max_odds).join(
        timeline.units.select("unit", "listing_id"), on="unit"
    )
    place_prices = timeline.prices.drop("unit").join(places.select("place", "listing_id"), on="place")
    watch_starts = anchored_listings.select("listing_id", "watch_from")
    span_ends = pl.concat(
        [timeline.known_spans.select("listing_id", "at"), timeline.known_spans.select("listing_id", at="until")]
    )
    listing_breaks = pl.concat(
        [
            watch_starts.select("listing_id", at="watch_from"),
            find_turns(timeline.moments),
            span_ends.with_columns(pl.col("at") + window),
        ]
    )
    price_breaks = [
        place_prices.select("place", "listing_id", at=end + delay)
        for end in (pl.col("at"), pl.col("until"))
        for delay in (timedelta(0), window)
    ]
    breaks = pl.concat([*price_breaks, places.select("place", "listing_id").join(listing_breaks, on="listing_id")])
    queries = (
        find_first_at_or_after(breaks, timeline.moments, ["listing_id"])
        .join(watch_starts, on="listing_id")
        .filter(pl.col("at") >= pl.col("watch_from"))
        .unique(["place", "at"])
        .select("place", "listing_id", "at", "answered", before=pl.col("at") - window)
    )
    current_prices = find_price_at(queries, place_prices, "at").with_columns(
        odds_milli=pl.when("answered").then("odds_milli")
    )
    baseline_prices = find_price_at(_select_while_known(queries, timeline.known_spans), place_prices, "before").select(
        "place", "at", baseline_milli="odds_milli"
    )
    change = (pl.col("odds_milli") / pl.col("baseline_milli") - 1).round(SIZE_DECIMALS)
    return (
        current_prices.join(baseline_prices, on=["place", "at"], how="left")
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
    """Return the change of the implied probability from `baseline_milli` to `odds_milli`.

    It is null when one of them is null, and 0 when both exceed `max_odds`.
    """
    now, then = pl.col("odds_milli"), pl.col("baseline_milli")
    shift = (EVENS_MILLI / now - EVENS_MILLI / then).round(SIZE_DECIMALS)
    is_judged = (now <= max_odds * EVENS_MILLI) | (then <= max_odds * EVENS_MILLI)
    return pl.when(now.is_null() | then.is_null()).then(None).when(is_judged).then(shift).otherwise(0.0)


def compute_move_sizes(moves: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of `compute_moves` as sizes for `find_episodes`.

    The size is 0 where the outcome cannot be backed. There is no row where the change is not known.
    """
    is_gone = pl.col("odds_milli").is_null()
    known_moves = moves.filter(is_gone | pl.col("change").is_not_null())
    return known_moves.select(
        "unit", "at", part="place", size=pl.when(is_gone).then(0.0).otherwise(pl.col("shift").abs())
    )


def find_turns(moments: pl.DataFrame) -> pl.DataFrame:
    """Return the looks of `moments` at which a listing disappeared or came back: listing_id, at."""
    has_turned = pl.col("answered") != pl.col("answered").shift().over("listing_id")
    return moments.sort("listing_id", "at").filter(has_turned).select("listing_id", "at")


def find_first_at_or_after(breaks: pl.DataFrame, moments: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    """Return `breaks` with `at` moved to the first moment at or after it.

    `breaks` are instants at which a figure may change, `moments` the looks at which it can be computed; each has `at`.
    `keys` are the columns on which both frames are joined. The other columns of the moment are added. Breaks with a
    null `at` and breaks after the last moment are left out.
    """
    return (
        breaks.filter(pl.col("at").is_not_null())
        .rename({"at": "broke_at"})
        .sort("broke_at")
        .join_asof(
            moments.sort("at"),
            left_on="broke_at",
            right_on="at",
            by=keys,
            strategy="forward",
            coalesce=False,
            check_sortedness=False,
        )
        .filter(pl.col("at").is_not_null())
        .drop("broke_at")
    )


def _select_moving_places(prices: pl.DataFrame, min_shift: float, max_odds: float) -> pl.DataFrame:
    """Return place and unit of all outcomes of units in which one outcome may have shifted by `min_shift`.

    That outcome must also have been at or below `max_odds` at some instant.
    """
    low, high = pl.col("odds_milli").min(), pl.col("odds_milli").max()
    has_moved = (EVENS_MILLI / low - EVENS_MILLI / high >= min_shift - THRESHOLD_TOLERANCE) & (
        low <= max_odds * EVENS_MILLI
    )
    places = prices.group_by("place", "unit").agg(far=has_moved)
    return places.filter(pl.col("far").any().over("unit")).drop("far")


def _select_while_known(queries: pl.DataFrame, known_spans: pl.DataFrame) -> pl.DataFrame:
    """Return the queries whose instant `before` is in a span in which the listing's last answer held."""
    spans = known_spans.select("listing_id", "until", known_at="at").sort("known_at")
    matches = queries.sort("before").join_asof(
        spans, left_on="before", right_on="known_at", by="listing_id", check_sortedness=False
    )
    return matches.filter(pl.col("before") < pl.col("until")).select(queries.columns)
