"""Margins of the captured football books: what real prices leave to the book, and what in them cannot have a margin."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import polars as pl
import pytest

from palimpsest_pipeline.metrics import build_outcome_sets, compute_fair_probabilities, compute_market_margins
from palimpsest_pipeline.pipeline.installed_vocabulary import load_installed_vocabulary
from palimpsest_pipeline_tests.markets.captures import FOOTBALL, canonical

BY: Final = ("capture", "market_key", "specifier", "market_id")
COMMON: Final = ("betpawa_norway_france", "sportybet_norway_france", "bet9ja_norway_france")
MAIN: Final = (
    ("match_result", ""),
    ("double_chance", ""),
    ("draw_no_bet", ""),
    ("both_teams_to_score", ""),
    ("total_goals", "total=2.5"),
)
WRONG_PRICES: Final = {("betpawa_norway_france", "double_chance_and_total_goals", "total=3.5")}
"""All six prices are little more than half of what the other two books offer: the platform's own error."""


@pytest.fixture(scope="module")
def margins(samples: Path) -> pl.DataFrame:
    words = load_installed_vocabulary()
    priced = pl.col("odds_milli").is_not_null()
    outcomes = (
        canonical(samples)
        .filter(pl.col("capture").is_in(FOOTBALL))
        .join(words.markets.select("market_key", "market_id"), on="market_key")
        .join(
            words.outcomes.select("market_id", "ordinal", outcome="outcome_key"),
            on=("market_id", "outcome"),
            how="left",
        )
        .with_columns(
            outcome=pl.when(pl.col("ordinal").is_null()).then("outcome").otherwise(pl.lit("")),
            ordinal=pl.col("ordinal").fill_null(1),
            state=pl.when("backable")
            .then(pl.lit("offered"))
            .when(priced)
            .then(pl.lit("suspended"))
            .otherwise(pl.lit("no_price")),
        )
    )
    return compute_market_margins(outcomes, BY, build_outcome_sets(words.markets, words.outcomes, words.complete_sets))


def margin(margins: pl.DataFrame, capture: str, market_key: str, specifier: str = "") -> float:
    wanted = {"capture": capture, "market_key": market_key, "specifier": specifier}
    found = margins.filter(pl.col(name) == value for name, value in wanted.items())
    assert found["margin_status"].to_list() == ["ok"], wanted
    return float(found["margin"].item())


def keys(rows: pl.DataFrame) -> set[Sequence[str]]:
    return set(rows.select("capture", "market_key", "specifier").rows())


def test_every_complete_book_lies_in_range_but_for_one_known_error(margins: pl.DataFrame) -> None:
    assert keys(margins.filter(pl.col("margin_status") == "out_of_range")) == WRONG_PRICES
    assert keys(margins.filter(pl.col("margin_status") == "negative")) == set()
    standing = margins.filter(pl.col("margin_status") == "ok")
    assert standing.height >= 1400
    assert standing.group_by("capture").len()["len"].min() >= 80
    # The more outcomes, the more is kept on each of them.
    bounds = standing.group_by("n_outcomes").agg(low=pl.col("margin").min(), high=pl.col("margin").max())
    assert (bounds["low"] > 0.02).all()
    assert bounds.filter(pl.col("n_outcomes") == 2)["high"].max() < 0.2
    assert bounds.filter(pl.col("n_outcomes") == 3)["high"].max() < 0.25
    assert bounds.filter(pl.col("n_outcomes") > 3)["high"].max() < 0.81


@pytest.mark.parametrize("capture", COMMON)
@pytest.mark.parametrize(("market_key", "specifier"), MAIN)
def test_the_main_markets_of_the_common_fixture_are_sold_at_a_small_margin(
    margins: pl.DataFrame, capture: str, market_key: str, specifier: str
) -> None:
    assert 0 < margin(margins, capture, market_key, specifier) < 0.06


@pytest.mark.parametrize("capture", COMMON)
def test_double_chance_costs_about_what_1x2_costs(margins: pl.DataFrame, capture: str) -> None:
    """Within 3.5 points: 1X2 is the book's shop window."""
    assert 0 < margin(margins, capture, "double_chance") - margin(margins, capture, "match_result") < 0.035


@pytest.mark.parametrize("capture", [name for name in FOOTBALL if name != "betpawa_v4"])
def test_correct_score_is_complete_in_each_grid_that_is_sold(margins: pl.DataFrame, capture: str) -> None:
    assert 0.2 < margin(margins, capture, "correct_score") < 0.4


def test_a_market_of_which_a_book_sells_a_part_has_no_margin(margins: pl.DataFrame) -> None:
    bet9ja = margins.filter(pl.col("capture") == "bet9ja_norway_france")
    parts = (
        "exact_goals",
        "exact_goals_1h",
        "exact_goals_2h",
        "home_or_over",
        "away_or_btts",
        "total_goals_early_payout",
        "total_shots",
    )
    found = bet9ja.filter(pl.col("market_key").is_in(parts))
    assert set(found["market_key"]) == set(parts)
    assert set(found["margin_status"]) <= {"incomplete_outcomes", "no_price"}
    assert found["margin"].null_count() == found.height


def test_the_same_exact_goals_are_complete_where_all_are_sold(margins: pl.DataFrame) -> None:
    for capture, of_first_half in (("betpawa_norway_france", "top=2"), ("sportybet_norway_france", "top=3")):
        for market_key, specifier in (
            ("exact_goals", "top=6"),
            ("exact_goals_1h", of_first_half),
            ("exact_goals_2h", "top=2"),
        ):
            assert 0.05 < margin(margins, capture, market_key, specifier) < 0.25


def test_markets_of_overlapping_outcomes_have_no_margin(margins: pl.DataFrame) -> None:
    found = margins.filter(pl.col("market_key").is_in(["match_result_1up", "match_result_2up", "double_chance_1up"]))
    assert set(found["margin_status"]) == {"unknown_k"}


def test_books_agree_on_the_fair_chances_of_the_common_fixture(margins: pl.DataFrame) -> None:
    fair = compute_fair_probabilities(margins.filter(pl.col("capture").is_in(COMMON)), BY)
    main = pl.DataFrame(list(MAIN), schema=["market_key", "specifier"], orient="row")
    of_main = fair.join(main, on=("market_key", "specifier"))
    for method in ("fair_multiplicative", "fair_power", "fair_shin"):
        spread = of_main.group_by("market_key", "ordinal").agg(
            pl.col(method).count().alias("n"), (pl.col(method).max() - pl.col(method).min())
        )
        assert set(spread.filter(pl.col(method).is_not_null())["n"]) == {3}
        assert spread[method].max() < 0.04  # type: ignore[operator]
