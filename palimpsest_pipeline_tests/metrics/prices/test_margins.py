"""Margins, worked out by hand, and what can be said of a market that has none."""

from random import Random

import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from palimpsest_pipeline.domain.enums import MarginStatus
from palimpsest_pipeline.metrics import build_outcome_sets, compute_market_margins, expand_outcomes
from palimpsest_pipeline.metrics.prices.margins import MARGINS_SCHEMA

from ..books import (
    BY,
    DOUBLE,
    EARLY,
    GOALS,
    OUTCOMES,
    RESULT,
    SCORER,
    SETS,
    SIZES,
    complete_odds,
    margin_of,
    prices,
    random_outcomes,
)


def test_the_margin_of_a_published_example() -> None:
    """2.70, 2.30, 4.40: margin 0.03242570633874986 in the documentation of penaltyblog."""
    row = margin_of(prices(RESULT, [2.70, 2.30, 4.40]))
    assert row["margin"] == pytest.approx(0.03242570633874986, abs=1e-15)
    assert row["sum_inverse"] == pytest.approx(1.03242570633874986, abs=1e-15)
    assert row["payout"] == pytest.approx(1 / 1.03242570633874986, abs=1e-15)
    assert (row["n_outcomes"], row["n_expected"], row["winners_k"], row["margin_status"]) == (3, 3, 1, "ok")
    assert row["margin_reference_pct"] == 3.24
    assert (row["ordinals"], row["odds_milli"]) == ([1, 2, 3], [2700, 2300, 4400])


def test_two_winners_halve_the_sum_of_double_chance() -> None:
    row = margin_of(prices(DOUBLE, [1.25, 1.30, 1.60]))
    assert row["margin"] == pytest.approx((1 / 1.25 + 1 / 1.30 + 1 / 1.60) / 2 - 1, abs=1e-15)
    assert row["margin"] < 0.1
    assert row["margin_reference_pct"] == 119.42


@given(complete_odds(k=1, n=3))
def test_double_chance_priced_from_1x2_has_the_margin_of_1x2(odds: list[int]) -> None:
    home, draw, away = (1000 / price for price in odds)
    assume(max(home + draw, home + away, draw + away) < 0.998)
    pairs = [1000 / pair for pair in (home + draw, home + away, draw + away)]
    exact = pl.concat([prices(RESULT, [price / 1000 for price in odds]), prices(DOUBLE, [1.5] * 3)]).with_columns(
        odds_milli=pl.Series([*odds, *pairs], dtype=pl.Float64)
    )
    one, two = compute_market_margins(exact, BY, SETS).with_columns(
        unbounded=pl.col("sum_inverse") / pl.col("winners_k") - 1
    )["unbounded"]
    assert two == pytest.approx(one, abs=1e-12)

    rounded = margin_of(prices(DOUBLE, [pair / 1000 for pair in pairs]))["sum_inverse"] / 2 - 1
    bound = sum(0.5 * 1000 / (pair * (pair - 0.5)) for pair in pairs) / 2
    assert abs(rounded - one) <= bound + 1e-12


EXAMPLES = {
    "complete and dear": (prices(RESULT, [2.7, 2.3, 4.4]), "ok"),
    "complete and fair": (prices(RESULT, [3.0, 3.0, 3.0]), "ok"),
    "complete and generous": (prices(RESULT, [3.1, 3.1, 3.1]), "negative"),
    "an outcome is not listed": (prices(RESULT, [2.7, 2.3]), "incomplete_outcomes"),
    "an outcome has no price": (prices(RESULT, [2.7, None, 4.4], "ono"), "incomplete_outcomes"),
    "an outcome has no price though a number is there": (prices(RESULT, [2.7, 2.3, 4.4], "oon"), "incomplete_outcomes"),
    "an outcome has odds of 1.00": (prices(RESULT, [2.7, 1.0, 4.4]), "incomplete_outcomes"),
    "outcomes are not enumerated": (
        prices(SCORER, [4.0]).with_columns(outcome=pl.lit("sr:player:1")),
        "incomplete_outcomes",
    ),
    "an outcome that is no part of the set": (prices(GOALS, [2.0, 4.0, 4.0, 9.0]), "incomplete_outcomes"),
    "an outcome is held off at a price": (prices(RESULT, [2.7, 2.3, 4.4], "oso"), "suspended_outcome"),
    "an outcome is held off without a price": (prices(RESULT, [2.7, None, 4.4], "oso"), "suspended_outcome"),
    "one is held off and one is missing": (prices(RESULT, [2.7, 2.3], "os"), "suspended_outcome"),
    "nothing has a price": (prices(RESULT, [None, None, None], "nnn"), "no_price"),
    "nothing has a price, and one is missing": (prices(RESULT, [None, 1.0], "no"), "no_price"),
    "two winners where one was meant": (prices(RESULT, [1.3, 1.3, 1.3]), "out_of_range"),
    "one winner where two were meant": (prices(DOUBLE, [2.7, 2.3, 4.4]), "out_of_range"),
    "winners vary by event": (prices(EARLY, [2.7, 2.3, 4.4]), "unknown_k"),
    "winners vary and one is held off": (prices(EARLY, [2.7, 2.3], "os"), "unknown_k"),
    "the market is not known": (prices(99, [2.7, 2.3, 4.4]), "unknown_k"),
}


@pytest.mark.parametrize("example", EXAMPLES)
def test_a_market_has_a_margin_or_a_reason_for_none(example: str) -> None:
    outcomes, status = EXAMPLES[example]
    row = margin_of(outcomes)
    assert row["margin_status"] == status
    assert (row["margin"] is not None, row["payout"] is not None) == (status in {"ok", "negative"},) * 2


def test_every_status_has_an_example() -> None:
    assert {status for _, status in EXAMPLES.values()} == {status.value for status in MarginStatus}


def test_a_negative_margin_is_shown() -> None:
    row = margin_of(prices(RESULT, [3.1, 3.1, 3.1]))
    assert row["margin"] == pytest.approx(3 / 3.1 - 1)
    assert row["payout"] == pytest.approx(3.1 / 3)


@pytest.mark.parametrize("sentinel", [None, 0, 1, 100, 1000, -1000])
@pytest.mark.parametrize("state", ["offered", "suspended", "no_price"])
def test_what_is_not_a_price_never_enters_a_sum(sentinel: int | None, state: str) -> None:
    third = pl.DataFrame([(1, RESULT, "", 3, sentinel, state)], schema=OUTCOMES, orient="row")
    row = margin_of(prices(RESULT, [2.0, 4.0]), third)
    assert (row["sum_inverse"], row["n_outcomes"], row["margin"], row["margin_reference_pct"]) == (0.75, 2, None, -25.0)
    assert row["odds_milli"] == [2000, 4000]


def test_a_price_held_off_counts_in_the_reconciliation_figure_only() -> None:
    row = margin_of(prices(RESULT, [2.0, 4.0, 4.0], "oos"))
    assert (row["sum_inverse"], row["n_outcomes"], row["margin_reference_pct"]) == (0.75, 2, 0.0)


def test_without_a_price_there_is_no_sum() -> None:
    row = margin_of(prices(RESULT, [None, None, None], "nnn"))
    assert (row["sum_inverse"], row["margin_reference_pct"], row["n_outcomes"], row["odds_milli"]) == (
        None,
        None,
        0,
        [],
    )


def test_each_grid_of_a_market_is_complete_in_itself() -> None:
    up_to_two = margin_of(prices(GOALS, [4.0, 2.0, 3.0]))
    up_to_three = margin_of(prices(GOALS, [4.0, 2.0, None, 5.0, 12.0], "oonoo"))
    assert (up_to_two["margin_status"], up_to_two["n_expected"]) == ("ok", 3)
    assert (up_to_three["margin_status"], up_to_three["n_expected"], up_to_three["ordinals"]) == ("ok", 4, [1, 2, 4, 5])
    assert margin_of(prices(GOALS, [4.0, 2.0, 3.0], "oos"))["n_expected"] == 3


def test_an_outcome_named_twice_is_refused() -> None:
    with pytest.raises(ValueError, match=r"1 markets name an outcome twice, first \{'book': 1, 'market_id': 1\}"):
        margin_of(prices(RESULT, [2.0, 4.0, 4.0]), prices(RESULT, [2.1]))


def test_open_outcomes_share_a_place_and_are_not_twice_the_same() -> None:
    scorers = [
        prices(SCORER, [odds]).with_columns(outcome=pl.lit(f"sr:player:{n}")) for n, odds in enumerate((4.0, 5.0))
    ]
    row = margin_of(*scorers, prices(SCORER, [9.0]))
    assert (row["n_outcomes"], row["margin_status"]) == (3, "incomplete_outcomes")


@given(random_outcomes(), st.randoms(use_true_random=False))
def test_the_order_of_outcomes_does_not_matter(outcomes: pl.DataFrame, random: Random) -> None:
    order = list(range(outcomes.height))
    random.shuffle(order)
    assert_frame_equal(
        compute_market_margins(outcomes[order], BY, SETS), compute_market_margins(outcomes, BY, SETS), check_exact=True
    )


@given(random_outcomes())
def test_a_margin_stands_only_on_a_complete_set_of_open_prices(outcomes: pl.DataFrame) -> None:
    rows = compute_market_margins(outcomes, BY, SETS)
    standing = rows.filter(pl.col("margin").is_not_null())
    assert (standing["n_outcomes"] == standing["n_expected"]).all()
    assert standing["margin_status"].is_in(["ok", "negative"]).all()
    assert rows.filter(pl.col("margin").is_null())["margin_status"].is_in(["ok", "negative"]).not_().all()
    assert rows.height == outcomes.select(BY).n_unique()
    for row in standing.iter_rows(named=True):
        assert row["margin"] == pytest.approx(
            sum(1000 / price for price in row["odds_milli"]) / row["winners_k"] - 1, abs=1e-12
        )


@given(random_outcomes())
def test_market_rows_of_the_history_give_the_same(outcomes: pl.DataFrame) -> None:
    rows = []
    for (book, market_id), market in outcomes.group_by(BY, maintain_order=True):
        given_ = {row["ordinal"]: row for row in market.iter_rows(named=True)}
        places = [given_.get(n) for n in range(1, SIZES[market_id] + 1)]
        odds = [place["odds_milli"] if place and place["state"] != "no_price" else None for place in places]
        mask = sum(1 << n for n, place in enumerate(places) if place and place["state"] == "suspended")
        rows.append((book, market_id, "", odds, mask))
    schema = {
        "book": pl.Int32,
        "market_id": pl.Int16,
        "outcome": pl.String,
        "odds_milli": pl.List(pl.Int32),
        "off_mask": pl.Int64,
    }
    arrays = pl.DataFrame(rows, schema=schema, orient="row")
    # The array keeps no price of an outcome that is not listed as one.
    listed = outcomes.with_columns(odds_milli=pl.when(pl.col("state") != "no_price").then("odds_milli"))
    assert_frame_equal(
        compute_market_margins(expand_outcomes(arrays, BY), BY, SETS),
        compute_market_margins(listed, BY, SETS),
        check_exact=True,
    )


def test_the_mask_has_a_bit_for_each_of_63_outcomes() -> None:
    rows = pl.DataFrame(
        [(1, 7, "", [2000] * 63, 1 << 62), (2, 7, "", [2000] * 63, (1 << 62) - 1), (3, 7, "", [None], 0)],
        schema={
            "book": pl.Int32,
            "market_id": pl.Int16,
            "outcome": pl.String,
            "odds_milli": pl.List(pl.Int32),
            "off_mask": pl.Int64,
        },
        orient="row",
    )
    states = expand_outcomes(rows, BY)
    assert states.filter(pl.col("state") == "suspended", pl.col("book") == 1)["ordinal"].to_list() == [63]
    assert states.filter(pl.col("state") == "offered", pl.col("book") == 2)["ordinal"].to_list() == [63]
    assert states.filter(pl.col("book") == 3)["state"].to_list() == ["no_price"]


def test_only_a_number_of_winners_is_a_divisor() -> None:
    markets = pl.DataFrame({"market_id": [1, 2, 3, 4], "fair_sum": ["1", "2", "overlap(2.14)", None]})
    outcomes = pl.DataFrame({"market_id": [1, 1, 2], "ordinal": [1, 2, 1]})
    none = pl.DataFrame(schema={"market_id": pl.Int64, "set": pl.String, "ordinal": pl.Int64})
    assert build_outcome_sets(markets, outcomes, none).rows() == [
        (1, 1, 2, 3),
        (2, 2, 1, 1),
        (3, None, None, None),
        (4, None, None, None),
    ]


def test_one_set_under_two_names_is_one_set() -> None:
    markets = pl.DataFrame({"market_id": [1], "fair_sum": ["1"]})
    outcomes = pl.DataFrame({"market_id": [1, 1, 1], "ordinal": [1, 2, 3]})
    grids = pl.DataFrame({"market_id": [1] * 4, "set": ["a", "a", "b", "b"], "ordinal": [1, 2, 2, 1]})
    assert build_outcome_sets(markets, outcomes, grids).rows() == [(1, 1, 2, 3)]


def test_no_outcomes_give_no_markets() -> None:
    empty = compute_market_margins(pl.DataFrame(schema=OUTCOMES), BY, SETS)
    assert (empty.height, empty.schema) == (0, pl.Schema({"book": pl.Int32, "market_id": pl.Int16, **MARGINS_SCHEMA}))
