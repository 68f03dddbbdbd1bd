"""The captured prices agree with each other in the vocabulary's words: between books on one fixture, and within each
book.
"""

from pathlib import Path

import polars as pl
import pytest

from palimpsest_pipeline.pipeline.installed_vocabulary import load_installed_vocabulary

from ..captures import FOOTBALL, canonical
from . import laws
from .checks import CHECKS, MOST_BETTER, MOST_OUTSIDE, Reading, known
from .facts import FACTS, misread


@pytest.fixture(scope="module")
def reading(samples: Path) -> Reading:
    return Reading(canonical(samples), load_installed_vocabulary(), samples)


@pytest.mark.parametrize("name", CHECKS)
def test_holds_of_all_captured_prices(name: str, reading: Reading) -> None:
    assert CHECKS[name](reading) == []


def test_few_pairs_of_prices_are_outside_tolerance(reading: Reading) -> None:
    assert 0 < reading.pairs["outside"].sum() <= MOST_OUTSIDE * reading.pairs.height


def test_few_exchanges_of_outcomes_fit_better(reading: Reading) -> None:
    verdicts = dict(reading.swaps["verdict"].value_counts().iter_rows())
    assert verdicts["better"] <= MOST_BETTER * reading.swaps.height
    assert verdicts["worse"] > 0.85 * reading.swaps.height


@pytest.mark.parametrize("name", ["outside", "swaps"])
def test_what_books_disagree_on_has_a_reason(name: str) -> None:
    listed = known(name)
    assert listed.filter(pl.col("reason").str.len_chars() < 20).is_empty()
    assert listed.drop("reason").is_unique().all()


@pytest.mark.parametrize(
    ("part", "whole"),
    [
        ("match_result", "double_chance"),
        ("match_result", "draw_no_bet"),
        ("match_result_and_total_goals", "match_result"),
        ("match_result_and_total_goals", "total_goals"),
        ("match_result_and_total_goals", "double_chance_and_total_goals"),
        ("match_result_and_btts", "match_result"),
        ("match_result_and_btts", "both_teams_to_score"),
        ("correct_score", "match_result"),
        ("correct_score", "total_goals"),
        ("correct_score", "home_total_goals"),
        ("correct_score_1h", "match_result_1h"),
        ("half_time_full_time", "match_result_1h"),
        ("half_time_full_time", "match_result"),
        ("half_time_full_time_and_total_goals", "half_time_full_time"),
        ("half_time_full_time_and_total_goals", "total_goals"),
        ("exact_goals", "total_goals"),
        ("winning_margin", "asian_handicap"),
        ("teams_to_score", "both_teams_to_score"),
    ],
)
def test_parts_are_compared_with_the_whole(part: str, whole: str, reading: Reading) -> None:
    """The captures have these markets complete; if they lose one, the sums above would be silent about it."""
    compared = reading.sums.filter((pl.col("part_market") == part) & (pl.col("market_key") == whole))
    assert compared["capture"].n_unique() >= 2


def test_every_football_capture_has_sums_inclusions_and_margins(reading: Reading) -> None:
    assert set(reading.sums["capture"]) == set(FOOTBALL)
    assert set(laws.margins(reading.prices, reading.words)["capture"]) >= set(FOOTBALL)
    assert set(laws.order(reading.prices)["capture"]) >= set(FOOTBALL)


@pytest.mark.parametrize("name", FACTS)
def test_labels_of_the_platform_stand_where_they_belong(name: str, reading: Reading) -> None:
    assert FACTS[name]
    assert misread(reading.prices, reading.samples, FACTS[name]) == []
