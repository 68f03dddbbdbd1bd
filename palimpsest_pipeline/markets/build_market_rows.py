"""The conversion of canonical prices to market rows, the form in which the odds history stores them.

A market row is one line of a market, with the prices of its outcomes as an array.
"""

from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import MarketState
from palimpsest_pipeline.domain.price_numbers import MASK_BITS

from .platform_books import repeat_places
from .vocabulary import Vocabulary

MARKET_ROWS_SCHEMA: Final[dict[str, pl.DataType]] = {
    "capture": pl.UInt32(),
    "market_id": pl.Int16(),
    "specifier": pl.String(),
    "outcome": pl.String(),
    "state": pl.String(),
    "off_mask": pl.Int64(),
    "odds_milli": pl.List(pl.Int32()),
}

_ROW_KEY: Final = ("capture", "market_id", "specifier", "outcome")
_BITS: Final = pl.Series([1 << n for n in range(MASK_BITS)], dtype=pl.Int64)
"""Powers of two, because computed powers would be floats, which cannot hold the highest bits."""
_STATES: Final = pl.Series(
    "state", [MarketState.NO_PRICE.value, MarketState.SUSPENDED.value, MarketState.OFFERED.value]
)
"""States in ascending precedence: a row has the last of these states that one of its outcomes has."""


def build_market_rows(prices: pl.DataFrame, vocabulary: Vocabulary) -> pl.DataFrame:
    """Return rows of `MARKET_ROWS_SCHEMA`, sorted by (capture, market_id, specifier, outcome).

    `odds_milli` has one element per outcome of the vocabulary: decimal odds x 1000, null without a price. For a market
    of open outcomes (players) each row is one outcome and the array has one element. Bit i-1 of `off_mask` is set when
    outcome i is listed but suspended. The state is offered when an outcome has a price and is open for bets; else
    suspended when an outcome is suspended; else no_price.
    """
    sizes = vocabulary.outcomes.group_by("market_id").agg(n=pl.len().cast(pl.Int16))
    outcome_rows = (
        _split_large(prices, sizes, vocabulary)
        .select(
            *_ROW_KEY,
            "odds_milli",
            place=pl.col("ordinal").cast(pl.Int64) - 1,
            off=pl.col("state") == MarketState.SUSPENDED,
        )
        .sort(*_ROW_KEY)
        .with_columns(begins=pl.any_horizontal(pl.col(name).ne_missing(pl.col(name).shift(1)) for name in _ROW_KEY))
        .with_columns(row=pl.col("begins").cum_sum() - 1)
    )
    offers = pl.col("odds_milli").is_not_null() & ~pl.col("off")
    rows = outcome_rows.filter("begins").select(_ROW_KEY)
    facts = (
        outcome_rows.select(
            "row",
            off_mask=pl.when("off").then(_BITS.gather(outcome_rows["place"])).otherwise(0),
            state=pl.when(offers).then(2).otherwise("off"),
        )
        .group_by("row")
        .agg(pl.col("off_mask").sum(), pl.col("state").max())
        .sort("row")
    )
    # One series with the elements of all rows: each row has as many as its market has outcomes.
    n_places = rows.join(sizes, on="market_id", how="left", maintain_order="left").select(
        n=pl.when(pl.col("outcome") == "").then("n").otherwise(1).cast(pl.UInt32)
    )["n"]
    starts = n_places.cum_sum() - n_places
    odds = pl.Series([None], dtype=pl.Int32).new_from_index(0, int(n_places.sum()))
    odds = odds.scatter(starts.gather(outcome_rows["row"]) + outcome_rows["place"], outcome_rows["odds_milli"])
    arrays = (
        pl.DataFrame({"row": repeat_places(n_places), "odds_milli": odds})
        .group_by("row", maintain_order=True)
        .agg("odds_milli")
    )
    return rows.hstack([_STATES.gather(facts["state"]), facts["off_mask"], arrays["odds_milli"]]).select(
        *MARKET_ROWS_SCHEMA
    )


def _split_large(prices: pl.DataFrame, sizes: pl.DataFrame, vocabulary: Vocabulary) -> pl.DataFrame:
    """Return the prices, with markets of too many outcomes for the mask changed to one row per outcome.

    The key of the outcome becomes its text, as for open outcomes.
    """
    large = sizes.filter(pl.col("n") > MASK_BITS)
    if large.is_empty():
        return prices
    names = vocabulary.outcomes.join(large, on="market_id", how="semi").select("market_id", "ordinal", "outcome_key")
    is_large = pl.col("outcome_key").is_not_null()
    return prices.join(names, on=("market_id", "ordinal"), how="left").with_columns(
        outcome=pl.when(is_large).then("outcome_key").otherwise("outcome"),
        ordinal=pl.when(is_large).then(1).otherwise("ordinal"),
    )
