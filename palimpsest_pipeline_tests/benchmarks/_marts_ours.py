"""The derived tables by the functions of the pipeline."""

from collections.abc import Callable
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.words import MarketState
from palimpsest_pipeline.metrics.comparison import price_comparison
from palimpsest_pipeline.metrics.gaps import availability_gaps
from palimpsest_pipeline.metrics.margins import market_margins, outcomes_of

from ._marts_files import HOME_FIRST, MAIN_MARKETS, MAX_SKEW_S, read_partition, read_words

__all__ = ["derive", "read_partition", "read_words"]

MARKET: Final = ("row", "market_id")


def comparison(markets: pl.DataFrame, listings: pl.DataFrame, outcomes: pl.DataFrame, sets: pl.DataFrame) -> pl.DataFrame:
    names = outcomes.select("market_key", "ordinal", "outcome_key")
    return price_comparison(markets, listings, names, sets, platforms=HOME_FIRST, max_skew_s=MAX_SKEW_S)


def gaps(markets: pl.DataFrame, listings: pl.DataFrame, _outcomes: pl.DataFrame, _sets: pl.DataFrame) -> pl.DataFrame:
    return availability_gaps(markets, listings, platforms=HOME_FIRST, max_skew_s=MAX_SKEW_S, main_markets=MAIN_MARKETS)


def standing_margins(markets: pl.DataFrame, _listings: pl.DataFrame, _outcomes: pl.DataFrame, sets: pl.DataFrame) -> pl.DataFrame:
    """Of every market as it stands."""
    ids = sets.select("market_key", "market_id").unique()
    listed = markets.filter(pl.col("outcome") == "", pl.col("state") != MarketState.WITHDRAWN.value).join(ids, on="market_key").with_row_index("row")
    found = market_margins(outcomes_of(listed, MARKET), MARKET, sets)
    names = listed.select("sr_id", "platform", "market_key", "specifier")[found["row"]]
    return pl.concat([names, found.drop(MARKET)], how="horizontal")


TABLES: Final[dict[str, Callable[..., pl.DataFrame]]] = {
    "price_comparison": comparison,
    "standing_margins": standing_margins,
    "availability_gap": gaps,
}


def derive(
    table: str, fixtures_at_once: int, markets: pl.DataFrame, listings: pl.DataFrame, outcomes: pl.DataFrame, sets: pl.DataFrame
) -> pl.DataFrame:
    """A partition's rows of one of TABLES, batch by batch as the pipeline does: memory is that of a batch, the partition and its rows."""
    sr_ids = listings["sr_id"].unique().sort()
    parts = []
    for begin in range(0, sr_ids.len(), fixtures_at_once):
        batch = sr_ids[begin : begin + fixtures_at_once]
        within = pl.col("sr_id").is_between(batch[0], batch[-1])
        parts.append(TABLES[table](markets.filter(within), listings.filter(within), outcomes, sets))
    return pl.concat(parts)
