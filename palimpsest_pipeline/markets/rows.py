"""From canonical prices to market rows: one row per market with the prices of its outcomes as an array, as the history keeps them."""

from typing import Final

import polars as pl

from ..domain.prices import MASK_BITS
from ..domain.words import MarketState
from .vocabulary import Vocabulary

ROWS: Final[dict[str, pl.DataType]] = {
    "capture": pl.UInt32(),
    "market_id": pl.Int16(),
    "specifier": pl.String(),
    "outcome": pl.String(),
    "state": pl.String(),
    "off_mask": pl.Int64(),
    "odds_milli": pl.List(pl.Int32()),
}

_ROW: Final = ("capture", "market_id", "specifier", "outcome")


def market_rows(prices: pl.DataFrame, vocabulary: Vocabulary) -> pl.DataFrame:
    """Rows of `ROWS`, one per (capture, market_id, specifier, outcome), in that order.

    `odds_milli` has one place per outcome of the vocabulary (one place where outcomes are open), null where there is no price. Bit i-1 of
    `off_mask`: outcome i is listed but cannot be backed. State: offered when an outcome can be backed at a price; else suspended when the
    platform holds some outcome off; else no_price.
    """
    sizes = vocabulary.outcomes.group_by("market_id").agg(n=pl.len().cast(pl.Int16))
    large = sizes.filter(pl.col("n") > MASK_BITS).select("market_id")
    names = vocabulary.outcomes.join(large, on="market_id", how="semi").select("market_id", "ordinal", "outcome_key")
    is_large = pl.col("outcome_key").is_not_null()
    given = prices.join(names, on=("market_id", "ordinal"), how="left").select(
        "capture",
        "market_id",
        "specifier",
        pl.when(is_large).then(pl.col("outcome_key")).otherwise(pl.col("outcome")).alias("outcome"),
        pl.when(is_large).then(pl.lit(1, dtype=pl.Int16)).otherwise(pl.col("ordinal")).alias("ordinal"),
        "odds_milli",
        off=pl.col("state") == MarketState.SUSPENDED,
    )
    rows = given.select(_ROW).unique().sort(_ROW).with_row_index("row")
    # A table, since a power would go through floats, which cannot hold the highest bits.
    bit = pl.col("ordinal").replace_strict(list(range(1, MASK_BITS + 1)), [1 << n for n in range(MASK_BITS)], return_dtype=pl.Int64)
    numbered = given.join(rows, on=_ROW).select("row", "ordinal", "odds_milli", "off", bit=bit)
    states = numbered.group_by("row").agg(
        state=pl.when((pl.col("odds_milli").is_not_null() & ~pl.col("off")).any())
        .then(pl.lit(MarketState.OFFERED.value))
        .when(pl.col("off").any())
        .then(pl.lit(MarketState.SUSPENDED.value))
        .otherwise(pl.lit(MarketState.NO_PRICE.value)),
        off_mask=pl.col("bit").filter("off").sum(),
    )
    n_places = pl.when(pl.col("outcome") == "").then(pl.col("n")).otherwise(1).cast(pl.Int64)
    arrays = (
        rows.join(sizes, on="market_id", how="left")
        .select("row", ordinal=pl.int_ranges(1, n_places + 1, dtype=pl.Int16))
        .explode("ordinal")
        .join(numbered.select("row", "ordinal", "odds_milli"), on=("row", "ordinal"), how="left")
        .sort("row", "ordinal")
        .group_by("row", maintain_order=True)
        .agg(pl.col("odds_milli"))
    )
    return rows.join(arrays, on="row").join(states, on="row").sort("row").select(*ROWS)
