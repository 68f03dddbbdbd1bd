"""Home's prices against those of competitors at the same time: moves in opposite directions, and prices far from what
all others ask.

Two books are compared at looks at which the last answers of both are near each other in time. When they are not,
nothing is known, and what was known before still holds; when one has dropped the match, there is nothing to compare.
Markets of open outcomes (players) are left out: what one book calls an outcome is not what the other does.

Belongs here: comparisons over time and their sizes. Does not: thresholds in time (`episodes`).
"""

from datetime import timedelta
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.price_numbers import EVENS_MILLI

from .episodes import SIZE_DECIMALS
from .price_moves import ROUNDING_TOLERANCE, compute_probability_shift, find_first_at_or_after
from .prices_over_time import PLACES_PER_LINE, PriceTimeline, find_price_at

MIN_COMPETITORS: Final = 2
"""So many prices have a median that says more than each of them."""
FIGURE_COLUMNS: Final = ("odds_milli", "baseline_milli", "change", "shift")
ORDINAL_EXPR: Final = pl.col("place") % PLACES_PER_LINE


def find_disagreements(
    timeline: PriceTimeline, moved: pl.DataFrame, anchored_listings: pl.DataFrame, max_skew: timedelta
) -> pl.DataFrame:
    """Outcomes of one market on home and a competitor whenever their moves may be others: unit (of the pair), part (the
    ordinal), at, size, FIGURES of home (`price_moves.compute_moves`), those of the competitor as `other_...`, and
    home_unit and other_unit.

    The size is twice the smaller of both shifts where they are opposite, else 0: it reaches a threshold when each of
    them reaches half of it.
    A side that cannot be backed does not disagree: nought. Where a change is not known there is no row.
    """
    pairs = _pair_units(timeline, anchored_listings).with_row_index("pair")
    looks = _list_pair_looks(timeline.moments, pairs, max_skew)
    values = moved.select("unit", "at", *FIGURE_COLUMNS, part=ORDINAL_EXPR)
    ours = values.join(pairs.select("pair", "unit"), on="unit").drop("unit").sort("at")
    theirs = values.join(pairs.select("pair", unit="other_unit"), on="unit").drop("unit").sort("at")
    both = (
        ours.select("pair", "part")
        .unique()
        .join(theirs.select("pair", "part").unique(), on=["pair", "part"])
        .join(pairs, on="pair")
    )
    breaks = pl.concat([ours, theirs]).join(both, on=["pair", "part"])
    gone = breaks.filter(pl.col("odds_milli").is_null()).drop(FIGURE_COLUMNS)
    seen = (
        pl.concat(
            [
                find_first_at_or_after(
                    breaks.drop(FIGURE_COLUMNS), looks.filter("comparable"), ["listing_id", "other_listing_id"]
                ),
                gone,
            ],
            how="diagonal",
        )
        .unique(["pair", "part", "at"])
        .sort("at")
        .join_asof(ours, on="at", by=["pair", "part"], check_sortedness=False)
        .join_asof(
            theirs.rename({name: f"other_{name}" for name in FIGURE_COLUMNS}),
            on="at",
            by=["pair", "part"],
            check_sortedness=False,
        )
    )
    over = pl.col("odds_milli").is_null() | pl.col("other_odds_milli").is_null()
    known = seen.filter(over | (pl.col("shift").is_not_null() & pl.col("other_shift").is_not_null()))
    opposite = pl.col("shift") * pl.col("other_shift") < 0
    smaller = pl.min_horizontal(pl.col("shift").abs(), pl.col("other_shift").abs())
    return known.with_columns(size=pl.when(~over & opposite).then(2 * smaller).otherwise(0.0)).select(
        "part",
        "at",
        "size",
        "other_unit",
        *FIGURE_COLUMNS,
        *(f"other_{name}" for name in FIGURE_COLUMNS),
        unit="pair",
        home_unit="unit",
    )


def find_outliers(
    timeline: PriceTimeline, anchored_listings: pl.DataFrame, max_skew: timedelta, min_shift: float, max_odds: float
) -> pl.DataFrame:
    """Outcomes of home's markets in which one may be `least` off, whenever its distance may be another: unit, part (the
    ordinal), at, size, and
    FIGURES: the baseline is the median of at least two comparable competitors' prices. Looks from `watch_from` of
    `anchored` on.

    Nought where home has no price, or fewer than two competitors that can be looked at have one.
    """
    pairs = _pair_units(timeline, anchored_listings)
    looks = _list_pair_looks(timeline.moments, pairs, max_skew)
    enough = _select_conclusive_looks(looks)
    prices = timeline.prices.with_columns(ORDINAL_EXPR.alias("part"))
    homes = prices.join(pairs.select("unit", "listing_id").unique(), on="unit")
    theirs = prices.rename({"unit": "other_unit"}).join(pairs, on="other_unit")
    asked_of = _select_far_parts(homes, theirs, min_shift, max_odds)
    ours, others = (frame.join(asked_of, on=["unit", "part"], how="semi") for frame in (homes, theirs))
    key = ["unit", "listing_id", "part"]
    ends = [frame.select(*key, at=end) for frame in (ours, others) for end in ("at", "until")]
    turned = enough.filter(pl.col("who") != pl.col("who").shift().over("listing_id")).select("listing_id", "at")
    begun = anchored_listings.select("listing_id", at="watch_from")
    parts = ours.select(key).unique()
    breaks = pl.concat([*ends, *(parts.join(frame, on="listing_id") for frame in (turned, begun))])
    gone = ours.filter(pl.col("until").is_not_null()).select(*key, at="until", gone=pl.lit(value=False))
    asked = (
        pl.concat([find_first_at_or_after(breaks, enough, ["listing_id"]).drop("who"), gone])
        .join(anchored_listings.select("listing_id", "watch_from"), on="listing_id")
        .filter(pl.col("at") >= pl.col("watch_from"))
        .unique([*key, "at"])
        .drop("watch_from")
    )
    home = find_price_at(
        asked.join(ours.select("unit", "part", "place").unique(), on=["unit", "part"]), ours, "at"
    ).drop("place")
    at = ["listing_id", "at"]
    median = (
        find_price_at(
            asked.join(others.select("unit", "part", "place", "other_listing_id").unique(), on=["unit", "part"]),
            others,
            "at",
        )
        .join(looks.filter("comparable"), on=[*at, "other_listing_id"], how="semi")
        .group_by("unit", "part", "at")
        .agg(
            baseline_milli=pl.when(pl.col("odds_milli").count() >= MIN_COMPETITORS).then(pl.col("odds_milli").median())
        )
    )
    found = (
        home.join(median, on=["unit", "part", "at"], how="left")
        .join(enough.select(*at, told=pl.lit(value=True)), on=at, how="left")
        .with_columns(pl.when(~pl.col("gone")).then("odds_milli").alias("odds_milli"))
        .with_columns(
            change=(pl.col("odds_milli") / pl.col("baseline_milli") - 1).round(SIZE_DECIMALS),
            shift=compute_probability_shift(max_odds),
        )
    )
    return found.filter(pl.col("told").is_not_null() | pl.col("odds_milli").is_null()).select(
        "unit", "part", "at", *FIGURE_COLUMNS, size=pl.col("shift").abs().fill_null(0.0)
    )


def _pair_units(timeline: PriceTimeline, anchored: pl.DataFrame) -> pl.DataFrame:
    """The same market on home and on a competitor: unit, listing_id, other_unit, other_listing_id.

    Not of open outcomes.
    """
    is_open = timeline.lines.filter(pl.col("outcome") != "").select("unit").unique()
    units = timeline.units.join(is_open, on="unit", how="anti").join(
        anchored.select("listing_id", "sr_id", "is_home"), on="listing_id"
    )
    on = ["sr_id", "market_key", "specifier"]
    home, other = (
        units.filter(which).select("unit", "listing_id", *on) for which in (pl.col("is_home"), ~pl.col("is_home"))
    )
    found = home.join(other.rename({"unit": "other_unit", "listing_id": "other_listing_id"}), on=on)
    return found.select("unit", "listing_id", "other_unit", "other_listing_id").sort("unit", "other_unit")


def _list_pair_looks(moments: pl.DataFrame, pairs: pl.DataFrame, max_skew: timedelta) -> pl.DataFrame:
    """Pairs of listings at every look at any of those that are compared with the same home listing: listing_id,
    other_listing_id, at, whether either
    was `gone` by its last look (`other_gone`), and whether they are `comparable`: neither is, and their answers are
    near each other."""
    listed = pairs.select("listing_id", "other_listing_id").unique()
    both = pl.concat(
        [listed.select("listing_id", of="listing_id"), listed.select("listing_id", of="other_listing_id")]
    ).unique()
    instants = both.join(moments, left_on="of", right_on="listing_id").select("listing_id", "at").unique()
    ours = moments.select("listing_id", "at", seen_at="at", gone=~pl.col("answered")).sort("at")
    near = (pl.col("seen_at") - pl.col("other_seen_at")).abs() <= max_skew
    return (
        instants.join(listed, on="listing_id")
        .sort("at")
        .join_asof(ours, on="at", by="listing_id", check_sortedness=False)
        .join_asof(
            ours.rename({name: f"other_{name}" for name in ours.columns if name != "at"}),
            on="at",
            by="other_listing_id",
            check_sortedness=False,
        )
        .filter(pl.col("seen_at").is_not_null(), pl.col("other_seen_at").is_not_null())
        .with_columns(comparable=near & ~pl.col("gone") & ~pl.col("other_gone"))
        .select("listing_id", "other_listing_id", "at", "gone", "other_gone", "comparable")
    )


def _select_conclusive_looks(looks: pl.DataFrame) -> pl.DataFrame:
    """Looks that tell whether home is far from the others: those with two comparable ones, and those by which there are
    no two any more.

    listing_id, at, gone (home is), who (is comparable, in one text); sorted."""
    unknown = ~pl.col("gone") & ~pl.col("other_gone") & ~pl.col("comparable")
    who = pl.col("other_listing_id").filter("comparable").sort().cast(pl.String).str.join(",")
    found = looks.group_by("listing_id", "at").agg(
        gone=pl.col("gone").any(), n=pl.col("comparable").sum(), n_unknown=unknown.sum(), who=who
    )
    return (
        found.filter((pl.col("n") >= MIN_COMPETITORS) | (pl.col("n_unknown") == 0))
        .drop("n", "n_unknown")
        .sort("listing_id", "at")
    )


def _select_far_parts(
    home_prices: pl.DataFrame, competitor_prices: pl.DataFrame, min_shift: float, max_odds: float
) -> pl.DataFrame:
    """unit and part of all outcomes of home's units of which one may be so far from a median of the others' prices,
    whatever stood when.
    """
    ends = {"low": pl.col("odds_milli").min(), "high": pl.col("odds_milli").max()}
    both = (
        home_prices.group_by("unit", "part")
        .agg(**ends)
        .join(
            competitor_prices.group_by("unit", "part").agg(
                other_low=ends["low"], other_high=ends["high"], n=pl.col("other_unit").n_unique()
            ),
            on=["unit", "part"],
        )
    )
    longer = EVENS_MILLI / pl.col("other_low") - EVENS_MILLI / pl.col("high")
    shorter = EVENS_MILLI / pl.col("low") - EVENS_MILLI / pl.col("other_high")
    is_judged = pl.min_horizontal("low", "other_low") <= max_odds * EVENS_MILLI
    far = (
        (pl.col("n") >= MIN_COMPETITORS)
        & is_judged
        & (pl.max_horizontal(longer, shorter) >= min_shift - ROUNDING_TOLERANCE)
    )
    return both.filter(far.any().over("unit")).select("unit", "part")
