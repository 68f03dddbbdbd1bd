"""Comparisons of home's prices with competitors' at the same time: opposite moves and outlying prices.

Two books are compared at a look if the last answers of both are near each other in time. At other looks the result of
the last comparison is kept. When one of the platforms has dropped the match, there is no comparison. Markets of open
outcomes (players) are left out, because platforms name such outcomes differently.
"""

from datetime import timedelta
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.price_numbers import EVENS_MILLI

from ..history_rows import PLACES_PER_LINE
from .episodes import SIZE_DECIMALS
from .price_moves import THRESHOLD_TOLERANCE, compute_probability_shift, find_first_at_or_after
from .prices_over_time import PriceTimeline, find_price_at

MIN_COMPETITORS: Final = 2
"""Minimum number of competitors with a price, so that their median can be compared with home's price."""
FIGURE_COLUMNS: Final = ("odds_milli", "baseline_milli", "change", "shift")
ORDINAL_EXPR: Final = pl.col("place") % PLACES_PER_LINE


def find_disagreements(
    timeline: PriceTimeline, moves: pl.DataFrame, anchored_listings: pl.DataFrame, max_skew: timedelta
) -> pl.DataFrame:
    """Return the sizes of opposite moves of home and one competitor, per outcome and look.

    `moves` is the result of `price_moves.compute_moves`. A look has a row only if one of the two moves may differ from
    the previous look. The columns are unit (the number of the pair of markets), part (the outcome's ordinal), at, size,
    the `FIGURE_COLUMNS` of home, those of the competitor with the prefix `other_`, home_unit and other_unit.

    When the two shifts are opposite, the size is twice the smaller one, so it reaches a threshold when each shift
    reaches half of the threshold. Otherwise the size is 0, also when one side cannot be backed. There is no row when a
    change is not known.
    """
    pairs = _pair_units(timeline, anchored_listings).with_row_index("pair")
    looks = _list_pair_looks(timeline.moments, pairs, max_skew)
    values = moves.select("unit", "at", *FIGURE_COLUMNS, part=ORDINAL_EXPR)
    home_moves = values.join(pairs.select("pair", "unit"), on="unit").drop("unit").sort("at")
    competitor_moves = values.join(pairs.select("pair", unit="other_unit"), on="unit").drop("unit").sort("at")
    shared_parts = (
        home_moves.select("pair", "part")
        .unique()
        .join(competitor_moves.select("pair", "part").unique(), on=["pair", "part"])
        .join(pairs, on="pair")
    )
    breaks = pl.concat([home_moves, competitor_moves]).join(shared_parts, on=["pair", "part"])
    withdrawals = breaks.filter(pl.col("odds_milli").is_null()).drop(FIGURE_COLUMNS)
    comparisons = (
        pl.concat(
            [
                find_first_at_or_after(
                    breaks.drop(FIGURE_COLUMNS), looks.filter("comparable"), ["listing_id", "other_listing_id"]
                ),
                withdrawals,
            ],
            how="diagonal",
        )
        .unique(["pair", "part", "at"])
        .sort("at")
        .join_asof(home_moves, on="at", by=["pair", "part"], check_sortedness=False)
        .join_asof(
            competitor_moves.rename({name: f"other_{name}" for name in FIGURE_COLUMNS}),
            on="at",
            by=["pair", "part"],
            check_sortedness=False,
        )
    )
    is_one_sided = pl.col("odds_milli").is_null() | pl.col("other_odds_milli").is_null()
    known_comparisons = comparisons.filter(
        is_one_sided | (pl.col("shift").is_not_null() & pl.col("other_shift").is_not_null())
    )
    is_opposite = pl.col("shift") * pl.col("other_shift") < 0
    smaller_shift = pl.min_horizontal(pl.col("shift").abs(), pl.col("other_shift").abs())
    return known_comparisons.with_columns(
        size=pl.when(~is_one_sided & is_opposite).then(2 * smaller_shift).otherwise(0.0)
    ).select(
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
    """Return the distances of home's prices from the competitors' median, per outcome and look.

    Only markets in which an outcome may be `min_shift` away from the median are returned, from `watch_from` of
    `anchored_listings` on, at looks at which the distance may differ from the previous look. The columns are unit, part
    (the outcome's ordinal), at, size (the distance as a change of 1 / odds) and `FIGURE_COLUMNS`. The baseline is the
    median price of at least `MIN_COMPETITORS` comparable competitors. The size is 0 where home has no price, or where
    fewer competitors have one.
    """
    pairs = _pair_units(timeline, anchored_listings)
    looks = _list_pair_looks(timeline.moments, pairs, max_skew)
    conclusive_looks = _select_conclusive_looks(looks)
    prices = timeline.prices.with_columns(ORDINAL_EXPR.alias("part"))
    home_prices = prices.join(pairs.select("unit", "listing_id").unique(), on="unit")
    competitor_prices = prices.rename({"unit": "other_unit"}).join(pairs, on="other_unit")
    far_parts = _select_far_parts(home_prices, competitor_prices, min_shift, max_odds)
    far_home_prices, far_competitor_prices = (
        frame.join(far_parts, on=["unit", "part"], how="semi") for frame in (home_prices, competitor_prices)
    )
    key = ["unit", "listing_id", "part"]
    ends = [frame.select(*key, at=end) for frame in (far_home_prices, far_competitor_prices) for end in ("at", "until")]
    turns = conclusive_looks.filter(pl.col("who") != pl.col("who").shift().over("listing_id")).select(
        "listing_id", "at"
    )
    watch_starts = anchored_listings.select("listing_id", at="watch_from")
    parts = far_home_prices.select(key).unique()
    breaks = pl.concat([*ends, *(parts.join(frame, on="listing_id") for frame in (turns, watch_starts))])
    withdrawals = far_home_prices.filter(pl.col("until").is_not_null()).select(
        *key, at="until", gone=pl.lit(value=False)
    )
    queries = (
        pl.concat([find_first_at_or_after(breaks, conclusive_looks, ["listing_id"]).drop("who"), withdrawals])
        .join(anchored_listings.select("listing_id", "watch_from"), on="listing_id")
        .filter(pl.col("at") >= pl.col("watch_from"))
        .unique([*key, "at"])
        .drop("watch_from")
    )
    home_quotes = find_price_at(
        queries.join(far_home_prices.select("unit", "part", "place").unique(), on=["unit", "part"]),
        far_home_prices,
        "at",
    ).drop("place")
    look_key = ["listing_id", "at"]
    median = (
        find_price_at(
            queries.join(
                far_competitor_prices.select("unit", "part", "place", "other_listing_id").unique(), on=["unit", "part"]
            ),
            far_competitor_prices,
            "at",
        )
        .join(looks.filter("comparable"), on=[*look_key, "other_listing_id"], how="semi")
        .group_by("unit", "part", "at")
        .agg(
            baseline_milli=pl.when(pl.col("odds_milli").count() >= MIN_COMPETITORS).then(pl.col("odds_milli").median())
        )
    )
    distances = (
        home_quotes.join(median, on=["unit", "part", "at"], how="left")
        .join(conclusive_looks.select(*look_key, told=pl.lit(value=True)), on=look_key, how="left")
        .with_columns(pl.when(~pl.col("gone")).then("odds_milli").alias("odds_milli"))
        .with_columns(
            change=(pl.col("odds_milli") / pl.col("baseline_milli") - 1).round(SIZE_DECIMALS),
            shift=compute_probability_shift(max_odds),
        )
    )
    return distances.filter(pl.col("told").is_not_null() | pl.col("odds_milli").is_null()).select(
        "unit", "part", "at", *FIGURE_COLUMNS, size=pl.col("shift").abs().fill_null(0.0)
    )


def _pair_units(timeline: PriceTimeline, anchored: pl.DataFrame) -> pl.DataFrame:
    """Return pairs of the same market on home and on a competitor, without markets of open outcomes.

    The columns are unit, listing_id, other_unit and other_listing_id.
    """
    open_units = timeline.lines.filter(pl.col("outcome") != "").select("unit").unique()
    units = timeline.units.join(open_units, on="unit", how="anti").join(
        anchored.select("listing_id", "sr_id", "is_home"), on="listing_id"
    )
    market_key = ["sr_id", "market_key", "specifier"]
    home, other = (
        units.filter(is_side).select("unit", "listing_id", *market_key)
        for is_side in (pl.col("is_home"), ~pl.col("is_home"))
    )
    pairs = home.join(other.rename({"unit": "other_unit", "listing_id": "other_listing_id"}), on=market_key)
    return pairs.select("unit", "listing_id", "other_unit", "other_listing_id").sort("unit", "other_unit")


def _list_pair_looks(moments: pl.DataFrame, pairs: pl.DataFrame, max_skew: timedelta) -> pl.DataFrame:
    """Return each pair of listings at each look at any listing that is compared with its home listing.

    The columns are listing_id, other_listing_id, at, gone and other_gone (true if the last look found that listing
    dropped), and comparable (neither is gone, and their last answers are at most `max_skew` apart).
    """
    listing_pairs = pairs.select("listing_id", "other_listing_id").unique()
    compared_listings = pl.concat(
        [listing_pairs.select("listing_id", of="listing_id"), listing_pairs.select("listing_id", of="other_listing_id")]
    ).unique()
    instants = compared_listings.join(moments, left_on="of", right_on="listing_id").select("listing_id", "at").unique()
    last_looks = moments.select("listing_id", "at", seen_at="at", gone=~pl.col("answered")).sort("at")
    is_near = (pl.col("seen_at") - pl.col("other_seen_at")).abs() <= max_skew
    return (
        instants.join(listing_pairs, on="listing_id")
        .sort("at")
        .join_asof(last_looks, on="at", by="listing_id", check_sortedness=False)
        .join_asof(
            last_looks.rename({name: f"other_{name}" for name in last_looks.columns if name != "at"}),
            on="at",
            by="other_listing_id",
            check_sortedness=False,
        )
        .filter(pl.col("seen_at").is_not_null(), pl.col("other_seen_at").is_not_null())
        .with_columns(comparable=is_near & ~pl.col("gone") & ~pl.col("other_gone"))
        .select("listing_id", "other_listing_id", "at", "gone", "other_gone", "comparable")
    )


def _select_conclusive_looks(looks: pl.DataFrame) -> pl.DataFrame:
    """Return the looks at which it can be decided whether home is an outlier, by listing and instant.

    These are looks at which at least `MIN_COMPETITORS` competitors are comparable, or at which every competitor is
    either comparable or dropped. The columns are listing_id, at, gone (home dropped the match) and who (ids of the
    comparable listings, joined by commas).
    """
    in_doubt = ~pl.col("gone") & ~pl.col("other_gone") & ~pl.col("comparable")
    comparable_ids = pl.col("other_listing_id").filter("comparable").sort().cast(pl.String).str.join(",")
    counts = looks.group_by("listing_id", "at").agg(
        gone=pl.col("gone").any(), n=pl.col("comparable").sum(), n_unknown=in_doubt.sum(), who=comparable_ids
    )
    return (
        counts.filter((pl.col("n") >= MIN_COMPETITORS) | (pl.col("n_unknown") == 0))
        .drop("n", "n_unknown")
        .sort("listing_id", "at")
    )


def _select_far_parts(
    home_prices: pl.DataFrame, competitor_prices: pl.DataFrame, min_shift: float, max_odds: float
) -> pl.DataFrame:
    """Return unit and part of the outcomes of home's markets that may be outliers.

    An outlier is at least `min_shift` from the median. This filter is rough: it compares the extreme prices of the
    whole time.
    """
    ends = {"low": pl.col("odds_milli").min(), "high": pl.col("odds_milli").max()}
    ranges = (
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
    is_far = (
        (pl.col("n") >= MIN_COMPETITORS)
        & is_judged
        & (pl.max_horizontal(longer, shorter) >= min_shift - THRESHOLD_TOLERANCE)
    )
    return ranges.filter(is_far.any().over("unit")).select("unit", "part")
