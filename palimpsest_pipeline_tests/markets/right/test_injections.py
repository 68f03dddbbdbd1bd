"""A mistake in the vocabulary is seen by the prices: what is known to go wrong, and exchanges of outcomes at random."""

import random
from pathlib import Path

import polars as pl
import pytest

from palimpsest_pipeline.pipeline.installed_vocabulary import load_installed_vocabulary
from palimpsest_pipeline_tests.fixtures.vocabularies import copied, read_copy

from ..captures import FOOTBALL, canonical
from .checks import CHECKS, Reading
from .injections import INJECTIONS, Files

BY_PRICE = ("same_bet_same_price", "no_exchange_fits_better", "parts_sum_to_the_whole", "the_narrower_bet_is_dearer")
RANDOM_EXCHANGES = 40
LEAST_SEEN = 0.7
"""Books without a partner sell bets that no law ties to another, and outcomes that are alike may be exchanged
unseen.
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", INJECTIONS)
def test_a_mistake_in_the_vocabulary_is_noticed(name: str, samples: Path, tmp_path: Path) -> None:
    mistake, checks = INJECTIONS[name]
    files = Files(copied(tmp_path / "vocabulary"))
    mistake(files)
    words = read_copy(files.folder)
    reading = Reading(canonical(samples, words), words, samples)
    assert checks
    assert [check for check in checks if not CHECKS[check](reading)] == []


@pytest.mark.slow
def test_outcomes_exchanged_at_random_are_noticed_by_prices(samples: Path) -> None:
    words = load_installed_vocabulary()
    prices = canonical(samples)
    football = prices.filter(pl.col("capture").is_in(FOOTBALL) & pl.col("backable"))
    exclusive = words.markets.filter(pl.col("fair_sum") == "1").select("market_key")
    outcomes = (
        football.join(exclusive, on="market_key", how="semi")
        .group_by("capture", "market_key")
        .agg(pl.col("outcome").unique().sort())
    )
    markets = outcomes.filter(pl.col("outcome").list.len() > 1).sort("capture", "market_key").rows()
    chance = random.Random(7)
    unseen = []
    for capture, market_key, names in chance.sample(markets, RANDOM_EXCHANGES):
        first, second = chance.sample(names, 2)
        swapped = pl.col("outcome").replace({first: second, second: first})
        here = (pl.col("capture") == capture) & (pl.col("market_key") == market_key)
        wrong = prices.with_columns(outcome=pl.when(here).then(swapped).otherwise("outcome"))
        if not any(CHECKS[check](Reading(wrong, words, samples)) for check in BY_PRICE):
            unseen.append((capture, market_key, first, second))
    assert len(unseen) <= (1 - LEAST_SEEN) * RANDOM_EXCHANGES, unseen
