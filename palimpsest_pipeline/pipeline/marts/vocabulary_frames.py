"""The vocabulary as the frames that the functions of `metrics.prices` take. Imports no Dagster."""

from functools import cache

import polars as pl

from palimpsest_pipeline.markets import Vocabulary
from palimpsest_pipeline.metrics import build_outcome_sets


@cache
def build_vocabulary_frames(vocabulary: Vocabulary) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the names of outcomes and the complete sets of outcomes, by market key.

    Their schemas are `domain.schemas.OUTCOME_NAMES` and `metrics.lifecycle.open_close.KEYED_SETS_SCHEMA`.
    """
    keys = vocabulary.markets.select("market_id", "market_key")
    outcomes = vocabulary.outcomes.join(keys, on="market_id").select(
        "market_key", pl.col("ordinal").cast(pl.Int16), "outcome_key"
    )
    sets = build_outcome_sets(vocabulary.markets, vocabulary.outcomes, vocabulary.complete_sets).join(
        keys.cast({"market_id": pl.Int16}), on="market_id"
    )
    return outcomes, sets
