"""Margins of markets: the excess of the inverse odds of a complete set over fair odds.

Margins are ratios, never percentages. Takes and returns frames.

The inverses of fair odds add up to the number of outcomes that win, k: one in 1X2, two in double chance. A bet whose
stake can be returned (draw no bet, whole and quarter lines) is priced without the void part, so it has k = 1 too.

    margin = sum of inverse odds / k - 1        payout = k / sum of inverse odds

Margins are computed for complete sets only: every outcome of the market is listed, priced and open to bets. Odds of
1.00 or less, null odds, and suspended outcomes are not prices and never enter the sum.
"""

from collections.abc import Sequence
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import MarginStatus, MarketState
from palimpsest_pipeline.domain.price_numbers import EVENS_MILLI, MASK_BITS

MIN_MARGIN: Final = -0.25
"""The lowest plausible margin. A lower one means a wrong price or a wrong k.

If k is one too high, a sum of one is divided by two, which turns a usual margin into about -0.4.
"""
MAX_MARGIN: Final = 1.0
"""The highest plausible margin. A higher one means a wrong price or a wrong k.

If k is one too low, the quotient doubles. The most expensive complete sets on sale (46 outcomes) have a margin of 0.8.
"""
INVERSE_UNIT: Final = 1 << 52
"""The unit in which inverses are summed as integers.

A sum of floats would depend on the order of its terms.
"""
MARGIN_TOLERANCE: Final = 1e-12
"""The rounding error of a margin. A margin closer to 0 counts as 0, not as negative."""

OUTCOME_SETS_SCHEMA: Final[dict[str, pl.DataType]] = {
    "market_id": pl.Int16(),
    "winners_k": pl.Int16(),
    "n_expected": pl.Int16(),
    "outcome_mask": pl.Int64(),
}
MARGINS_SCHEMA: Final[dict[str, pl.DataType]] = {
    "n_outcomes": pl.Int16(),
    "n_expected": pl.Int16(),
    "winners_k": pl.Int16(),
    "sum_inverse": pl.Float64(),
    "margin": pl.Float64(),
    "payout": pl.Float64(),
    "margin_status": pl.String(),
    "margin_reference_pct": pl.Float64(),
    "ordinals": pl.List(pl.Int16()),
    "odds_milli": pl.List(pl.Int32()),
}


def build_outcome_sets(markets: pl.DataFrame, outcomes: pl.DataFrame, complete_sets: pl.DataFrame) -> pl.DataFrame:
    """Return the complete sets of each market: one row per market and set, columns `OUTCOME_SETS_SCHEMA`.

    Bit i-1 of outcome_mask is set when outcome i belongs to the set. `markets` has market_id and fair_sum, the number
    of winners: '1' or '2'; any other value, such as 'overlap(1.34)' or null, means that the number is not known.
    `outcomes` has market_id and ordinal. `complete_sets` has market_id, set and ordinal of markets that platforms offer
    with different numbers of outcomes (goals up to "3+" or "5+"), each complete in itself. Any other market has one
    complete set: all its outcomes. Mask and n_expected are null for markets of open outcomes (players).
    """
    default_sets = outcomes.join(complete_sets, on="market_id", how="anti").select(
        "market_id", "ordinal", set=pl.lit("")
    )
    sets = (
        pl.concat([default_sets, complete_sets.select("market_id", "ordinal", "set")])
        .group_by("market_id", "set")
        .agg(n_expected=pl.len(), outcome_mask=pl.when(pl.len() <= MASK_BITS).then(_ordinal_bit().sum()))
        .unique(["market_id", "outcome_mask"])  # Two names may stand for the same set.
    )
    winners = pl.when(pl.col("fair_sum").str.contains(r"^\d+$")).then(pl.col("fair_sum"))
    rows = (
        markets.with_columns(winners_k=winners.cast(pl.Int16))
        .join(sets, on="market_id", how="left")
        .sort("market_id", "outcome_mask")
    )
    return rows.select(pl.col(name).cast(dtype) for name, dtype in OUTCOME_SETS_SCHEMA.items())


def expand_outcomes(rows: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Return market rows of the history as outcomes: `keys`, outcome, ordinal, odds_milli, state.

    The result is the input of `compute_market_margins`. `rows` has `keys` (market_id among them), outcome, odds_milli
    (a list by ordinal) and off_mask (bit i-1: outcome i is suspended). An outcome without a price in the array has the
    state no_price, even if the platform does not list it.
    """
    return (
        rows.select(
            *keys,
            "outcome",
            "odds_milli",
            "off_mask",
            ordinal=pl.int_ranges(1, pl.col("odds_milli").list.len() + 1, dtype=pl.Int16),
        )
        .explode("odds_milli", "ordinal")
        .with_columns(
            state=pl.when((pl.col("off_mask") & _ordinal_bit()) != 0)
            .then(pl.lit(MarketState.SUSPENDED.value))
            .when(pl.col("odds_milli").is_null())
            .then(pl.lit(MarketState.NO_PRICE.value))
            .otherwise(pl.lit(MarketState.OFFERED.value))
        )
        .select(*keys, "outcome", "ordinal", "odds_milli", "state")
    )


def compute_market_margins(outcomes: pl.DataFrame, keys: Sequence[str], sets: pl.DataFrame) -> pl.DataFrame:
    """Return one row per market: `keys`, then the columns of `MARGINS_SCHEMA`, sorted by `keys`.

    `outcomes` may be in any order. It has `keys` (market_id among them), outcome ('' unless the market has open
    outcomes), ordinal, odds_milli (null: no price) and state (offered, suspended, no_price). `sets` has the columns
    `OUTCOME_SETS_SCHEMA`.

    - n_outcomes: the number of outcomes that can be backed. `ordinals` and `odds_milli` list these outcomes and prices,
      and sum_inverse is the sum of their inverses (null when there are none).
    - n_expected: the size of the complete set that is listed, else of the largest one.
    - margin, payout: null unless the status is ok or negative. The statuses and their precedence are those of
      `MarginStatus`.
    - margin_reference_pct: (sum of inverse odds - 1) x 100 over all prices, suspended or not, for any k. It is not a
      margin; it serves to reconcile with other systems that compute this number.

    Raises ValueError when an outcome of a market appears twice, because its price would count twice.
    """
    contributions = _add_contributions(outcomes, keys)
    offered = contributions.filter("backable").with_columns(pl.col("market").set_sorted())
    lists = offered.group_by("market", maintain_order=True).agg(ordinals="ordinal", odds_milli="price")
    sums = _sum_by_market(contributions, keys, sets).join(lists, on="market", how="left", maintain_order="left")
    filled_lists = [
        pl.col(name).fill_null(pl.lit([], dtype=MARGINS_SCHEMA[name])) for name in ("ordinals", "odds_milli")
    ]
    return sums.with_columns(filled_lists).select(
        *keys, *(pl.col(name).cast(dtype) for name, dtype in MARGINS_SCHEMA.items())
    )


def compute_margin_figures(outcomes: pl.DataFrame, keys: Sequence[str], sets: pl.DataFrame) -> pl.DataFrame:
    """Return the result of `compute_market_margins` with the shortest price instead of all prices.

    The column `shortest_milli` (decimal odds x 1000) replaces ordinals and odds_milli.
    """
    rows = _sum_by_market(_add_contributions(outcomes, keys), keys, sets)
    return rows.select(
        *keys,
        *(pl.col(name).cast(dtype) for name, dtype in MARGINS_SCHEMA.items() if not dtype.is_nested()),
        "shortest_milli",
    )


def _add_contributions(outcomes: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Return `outcomes` with the terms that each adds to sums over its market.

    They are sorted by market, ordinal and price. `market` numbers the markets in the order of `keys`.
    """
    price = pl.when(pl.col("odds_milli") > EVENS_MILLI, pl.col("state") != MarketState.NO_PRICE.value).then(
        "odds_milli"
    )
    backable = pl.col("price").is_not_null() & (pl.col("state") == MarketState.OFFERED.value)
    begins_market = pl.any_horizontal(pl.col(name).ne_missing(pl.col(name).shift()) for name in keys)
    # Grouping sorted rows is several times as fast as hashing, and the rows usually come almost sorted.
    return (
        outcomes.sort(*keys, "ordinal", "odds_milli")
        .with_columns(
            market=begins_market.cum_sum().set_sorted(),
            price=price,
            suspended=pl.col("state") == MarketState.SUSPENDED.value,
        )
        .with_columns(
            backable=backable,
            parts=(EVENS_MILLI / pl.col("price") * INVERSE_UNIT).round().cast(pl.Int64),
            listed_bit=pl.when(pl.col("suspended") | pl.col("price").is_not_null()).then(_ordinal_bit()),
            repeats=(
                (pl.col("ordinal") == pl.col("ordinal").shift()) & (pl.col("market") == pl.col("market").shift())
            ).fill_null(value=False),
        )
    )


def _sum_by_market(contributions: pl.DataFrame, keys: Sequence[str], sets: pl.DataFrame) -> pl.DataFrame:
    """Return one row per market: market, shortest_milli and `MARGINS_SCHEMA` without its lists.

    The rows are sorted by `keys`.
    """
    markets = (
        contributions.with_columns(
            is_open=pl.col("outcome") != "",
            backable_parts=pl.when("backable").then("parts"),
            backable_price=pl.when("backable").then("price"),
        )
        .group_by("market", maintain_order=True)
        .agg(
            pl.col(*keys).first(),
            n_outcomes=pl.col("backable").sum(),
            n_priced=pl.col("price").count(),
            n_suspended=pl.col("suspended").sum(),
            n_open=pl.col("is_open").sum(),
            n_repeats=pl.col("repeats").sum(),
            outcome_mask=pl.col("listed_bit").sum(),
            sum_inverse=pl.col("backable_parts").sum() / INVERSE_UNIT,
            sum_priced=pl.col("parts").sum() / INVERSE_UNIT,
            shortest_milli=pl.col("backable_price").min(),
        )
        .join(
            sets.group_by("market_id").agg(pl.col("winners_k").first(), pl.col("n_expected").max()),
            on="market_id",
            how="left",
            maintain_order="left",
        )
        .join(
            sets.select("market_id", "outcome_mask", n_in_set="n_expected"),
            on=("market_id", "outcome_mask"),
            how="left",
            maintain_order="left",
        )
        .with_columns(n_expected=pl.coalesce("n_in_set", "n_expected"))
    )
    _refuse_duplicates(markets, keys)
    return (
        markets.with_columns(
            sum_inverse=pl.when(pl.col("n_outcomes") > 0).then("sum_inverse"),
            margin_reference_pct=pl.when(pl.col("n_priced") > 0).then((pl.col("sum_priced") - 1) * 100).round(2),
            margin=pl.col("sum_inverse") / pl.col("winners_k") - 1,
        )
        .with_columns(margin_status=_choose_status())
        .with_columns(
            margin=pl.when(pl.col("margin_status").is_in([MarginStatus.OK.value, MarginStatus.NEGATIVE.value])).then(
                "margin"
            )
        )
        .with_columns(payout=1 / (1 + pl.col("margin")))
    )


def _choose_status() -> pl.Expr:
    """Return the first value of `MarginStatus` that applies."""
    applies = {
        MarginStatus.UNKNOWN_K: pl.col("winners_k").is_null(),
        MarginStatus.SUSPENDED_OUTCOME: pl.col("n_suspended") > 0,
        MarginStatus.NO_PRICE: pl.col("n_priced") == 0,
        MarginStatus.INCOMPLETE_OUTCOMES: pl.col("n_in_set").is_null() | (pl.col("n_open") > 0),
        MarginStatus.OUT_OF_RANGE: ~pl.col("margin").is_between(MIN_MARGIN, MAX_MARGIN),
        MarginStatus.NEGATIVE: pl.col("margin") < -MARGIN_TOLERANCE,
        MarginStatus.OK: pl.lit(value=True),
    }
    return pl.coalesce(pl.when(applies[status]).then(pl.lit(status.value)) for status in MarginStatus)


def _refuse_duplicates(markets: pl.DataFrame, keys: Sequence[str]) -> None:
    duplicates = markets.filter(pl.col("n_open") == 0, pl.col("n_repeats") > 0)
    if duplicates.height:
        first = dict(zip(keys, duplicates.select(*keys).row(0), strict=True))
        raise ValueError(f"{duplicates.height} markets name an outcome twice, first {first}")


def _ordinal_bit() -> pl.Expr:
    """Return 2 ** (ordinal - 1), or null beyond `MASK_BITS`.

    The values come from a table: a computed power would be a float, which cannot hold the highest bits.
    """
    bits = {ordinal: 1 << (ordinal - 1) for ordinal in range(1, MASK_BITS + 1)}
    return pl.col("ordinal").replace_strict(bits, default=None, return_dtype=pl.Int64)
