"""The derived tables by the functions of the pipeline."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import MarketState
from palimpsest_pipeline.metrics.lifecycle.margin_history import build_margin_stretches
from palimpsest_pipeline.metrics.prices.margins import compute_market_margins, expand_outcomes
from palimpsest_pipeline.metrics.prices.market_gaps import find_availability_gaps
from palimpsest_pipeline.metrics.prices.price_comparison import build_price_comparison
from palimpsest_pipeline.metrics.prices.price_leads import PriceLeadRules, find_price_leads
from palimpsest_pipeline.pipeline.marts.fixture_batches import ROWS_PER_BATCH, batch_listings

from ._marts_files import (
    AS_THEY_STAND,
    HISTORY_AS_OF,
    HOME_FIRST,
    INPUTS,
    MAIN_MARKETS,
    MAX_SKEW_S,
    SILENCE_LIMIT,
    read_partition,
    read_words,
)

__all__ = ["derive", "read_partition", "read_words"]

MARKET: Final = ("row", "market_id")
HISTORY_ROWS_AT_ONCE: Final = ROWS_PER_BATCH // 5
"""The pipeline's batches hold the rows of all markets, of which at most a fifth are of main ones; the partitions
here hold no others.
"""


LEAD_RULES: Final = PriceLeadRules(
    min_rise=0.03,
    window=timedelta(minutes=60),
    steam_window=timedelta(minutes=45),
    steam_platforms=3,
    silence_limit=SILENCE_LIMIT,
    watch_before_kickoff=timedelta(days=3),
    main_markets=MAIN_MARKETS,
)
"""The SQL has the same numbers. Here answers are half an hour apart, so steam has more time than by default."""


def comparison(
    markets: pl.DataFrame, listings: pl.DataFrame, outcomes: pl.DataFrame, sets: pl.DataFrame
) -> pl.DataFrame:
    names = outcomes.select("market_key", "ordinal", "outcome_key")
    return build_price_comparison(markets, listings, names, sets, platforms=HOME_FIRST, max_skew_s=MAX_SKEW_S)


def gaps(markets: pl.DataFrame, listings: pl.DataFrame, _outcomes: pl.DataFrame, _sets: pl.DataFrame) -> pl.DataFrame:
    return find_availability_gaps(
        markets, listings, platforms=HOME_FIRST, max_skew_s=MAX_SKEW_S, main_markets=MAIN_MARKETS
    )


def standing_margins(
    markets: pl.DataFrame, _listings: pl.DataFrame, _outcomes: pl.DataFrame, sets: pl.DataFrame
) -> pl.DataFrame:
    """Of every market as it stands."""
    ids = sets.select("market_key", "market_id").unique()
    listed = (
        markets.filter(pl.col("outcome") == "", pl.col("state") != MarketState.WITHDRAWN.value)
        .join(ids, on="market_key")
        .with_row_index("row")
    )
    found = compute_market_margins(expand_outcomes(listed, MARKET), MARKET, sets)
    names = listed.select("sr_id", "platform", "market_key", "specifier")[found["row"]]
    return pl.concat([names, found.drop(MARKET)], how="horizontal")


def market_margin(
    lives: pl.DataFrame,
    looks: pl.DataFrame,
    changes: pl.DataFrame,
    kickoffs: pl.DataFrame,
    outcomes: pl.DataFrame,
    sets: pl.DataFrame,
) -> pl.DataFrame:
    """Of the main markets over time."""
    return pl.concat(
        build_margin_stretches(
            *history, outcomes, sets, market_keys=MAIN_MARKETS, as_of=HISTORY_AS_OF, silence_limit=SILENCE_LIMIT
        )
        for history in batches(lives, looks, changes, kickoffs)
    )


def price_lead(
    lives: pl.DataFrame,
    looks: pl.DataFrame,
    changes: pl.DataFrame,
    kickoffs: pl.DataFrame,
    outcomes: pl.DataFrame,
    sets: pl.DataFrame,
) -> pl.DataFrame:
    """Of the main markets over time."""
    return pl.concat(
        find_price_leads(*history, outcomes, sets, LEAD_RULES, as_of=HISTORY_AS_OF)
        for history in batches(lives, looks, changes, kickoffs)
    )


def batches(
    lives: pl.DataFrame, looks: pl.DataFrame, changes: pl.DataFrame, kickoffs: pl.DataFrame
) -> Iterator[tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame, pl.DataFrame]]:
    """Listings, looks, changes and kickoffs of some fixtures, as the pipeline takes them together."""
    n_rows = changes.group_by("listing_id").agg(n_rows=pl.len())
    tournaments = kickoffs.select("sr_id", tournament_key=pl.lit("sr:17"))
    for some in batch_listings(lives, n_rows, tournaments, HISTORY_ROWS_AT_ONCE):
        yield (
            some,
            looks.join(some, on="listing_id", how="semi"),
            changes.join(some, on="listing_id", how="semi"),
            kickoffs,
        )


TABLES: Final[dict[str, Callable[..., pl.DataFrame]]] = {
    "price_comparison": comparison,
    "standing_margins": standing_margins,
    "availability_gap": gaps,
    "market_margin": market_margin,
    "price_lead": price_lead,
}


def derive(
    table: str, fixtures_at_once: int, frames: Sequence[pl.DataFrame], outcomes: pl.DataFrame, sets: pl.DataFrame
) -> pl.DataFrame:
    """A partition's rows of one of TABLES, batch by batch as the pipeline does: memory is that of a batch, the
    partition and its rows.
    """
    if INPUTS[table] != AS_THEY_STAND:
        return TABLES[table](*frames, outcomes, sets)
    markets, listings = frames
    sr_ids = listings["sr_id"].unique().sort()
    parts = []
    for begin in range(0, sr_ids.len(), fixtures_at_once):
        batch = sr_ids[begin : begin + fixtures_at_once]
        within = pl.col("sr_id").is_between(batch[0], batch[-1])
        parts.append(TABLES[table](markets.filter(within), listings.filter(within), outcomes, sets))
    return pl.concat(parts)
