"""Closing-line values: a table made by hand, why a price has none, and what must hold of all of them."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palimpsest_pipeline.domain.schemas import INSTANT
from palimpsest_pipeline.metrics.prices.closing_line_value import (
    CLOSING_LINE_VALUES_SCHEMA,
    PRICE_LIST_SCHEMA,
    compute_closing_line_values,
    summarise_closing_line_values,
)

KICKOFF: Final = datetime(2026, 5, 1, 18, tzinfo=UTC)
NOW: Final = KICKOFF + timedelta(hours=3)
HOUR: Final = timedelta(hours=1)

CLOSING_PRICES = {
    "sr_id": pl.Int64,
    "platform": pl.String,
    "is_home": pl.Boolean,
    **dict.fromkeys(("market_key", "specifier", "outcome_key"), pl.String),
    "kickoff": INSTANT,
    **dict.fromkeys(("close_odds", "close_lag_s", "fair_multiplicative", "fair_power", "fair_shin"), pl.Float64),
}


def list_prices(*rows: dict[str, Any]) -> pl.DataFrame:
    price = {
        "sr_id": 7,
        "market_key": "match_result",
        "specifier": "",
        "outcome_key": "home",
        "odds": 2.0,
        "taken_at": None,
    }
    return pl.DataFrame([{"line": n, **price, **row} for n, row in enumerate(rows, 2)], schema=PRICE_LIST_SCHEMA)


def list_fixtures(*rows: dict[str, Any]) -> pl.DataFrame:
    fixture = {"sr_id": 7, "kickoff": KICKOFF, "suspect_code": None}
    return pl.DataFrame(
        [{**fixture, **row} for row in rows or ({},)],
        schema={"sr_id": pl.Int64, "kickoff": INSTANT, "suspect_code": pl.String},
    )


def list_closes(*rows: dict[str, Any]) -> pl.DataFrame:
    close = {
        "sr_id": 7,
        "platform": "betpawa",
        "is_home": True,
        "market_key": "match_result",
        "specifier": "",
        "outcome_key": "home",
        "kickoff": KICKOFF,
        "close_odds": 2.0,
        "close_lag_s": 60.0,
        "fair_multiplicative": None,
        "fair_power": None,
        "fair_shin": None,
    }
    return pl.DataFrame([{**close, **row} for row in rows], schema=CLOSING_PRICES)


def test_a_table_made_by_hand() -> None:
    """Home closes at 2.00 (fair 0.48, 0.49, 0.50), a competitor at 1.90 without a margin."""
    home = {"close_odds": 2.0, "fair_multiplicative": 0.48, "fair_power": 0.49, "fair_shin": 0.5}
    closes = list_closes(home, {"platform": "bet9ja", "is_home": False, "close_odds": 1.9})
    values = compute_closing_line_values(list_prices({"odds": 2.1}, {"odds": 1.9}), list_fixtures(), closes, NOW)
    assert values.schema == pl.Schema(CLOSING_LINE_VALUES_SCHEMA)
    columns = ("line", "close_platform", "clv", "clv_multiplicative", "clv_power", "clv_shin")
    by_hand = [
        (2, "bet9ja", 0.105263, None, None, None),
        (2, "betpawa", 0.05, 0.008, 0.029, 0.05),
        (3, "bet9ja", 0.0, None, None, None),
        (3, "betpawa", -0.05, -0.088, -0.069, -0.05),
    ]
    for row, expected in zip(values.select(columns).iter_rows(), by_hand, strict=True):
        assert row[:2] == expected[:2]
        assert row[2:] == pytest.approx(expected[2:], abs=1e-6)
    assert summarise_closing_line_values(values).rows() == [
        ("bet9ja", 2, 0.5, pytest.approx(0.052632, abs=1e-6), None, None, None),
        ("betpawa", 2, 0.5, *(pytest.approx(mean, abs=1e-9) for mean in (0.0, -0.04, -0.02, 0.0))),
    ]


@pytest.mark.parametrize(
    ("price", "fixture", "status"),
    [
        ({}, {}, "valued"),
        ({"taken_at": KICKOFF - timedelta(microseconds=1)}, {}, "valued"),
        ({"taken_at": KICKOFF}, {}, "in_play"),
        ({"taken_at": KICKOFF + HOUR}, {"suspect_code": "kickoff_mismatch"}, "in_play"),
        ({"sr_id": 8}, {}, "unknown_fixture"),
        ({}, {"kickoff": NOW + HOUR}, "not_begun"),
        ({}, {"kickoff": None}, "valued"),
        ({}, {"suspect_code": "home_away_swapped"}, "suspect"),
        ({}, {"suspect_code": "duplicate_sr_id"}, "valued"),
        ({"outcome_key": "draw"}, {}, "no_exact_close"),
        ({"specifier": "total=2.5"}, {}, "no_exact_close"),
    ],
)
def test_why_a_price_has_no_value(price: dict[str, Any], fixture: dict[str, Any], status: str) -> None:
    values = compute_closing_line_values(list_prices(price), list_fixtures(fixture), list_closes({}), NOW)
    assert values["status"].to_list() == [status]
    assert (values["clv"].null_count() == 0) == (status == "valued")


def test_a_price_from_after_the_kickoff_of_the_close_is_not_judged_by_it() -> None:
    """The kickoff moved to later, and the close is still that of the earlier one."""
    closes = list_closes({"kickoff": KICKOFF - 2 * HOUR})
    values = compute_closing_line_values(list_prices({"taken_at": KICKOFF - HOUR}), list_fixtures(), closes, NOW)
    assert values["status"].to_list() == ["no_exact_close"]


def test_no_prices_have_no_values() -> None:
    values = compute_closing_line_values(list_prices(), list_fixtures(), list_closes({}), NOW)
    assert (values.height, values.schema) == (0, pl.Schema(CLOSING_LINE_VALUES_SCHEMA))
    assert summarise_closing_line_values(values).is_empty()


ODDS = st.integers(1001, 500_000).map(lambda milli: milli / 1000)


@given(st.lists(st.tuples(ODDS, st.sampled_from([7, 8]), st.booleans()), max_size=20), st.lists(ODDS, max_size=3))
def test_every_price_is_answered_and_higher_odds_have_a_higher_value(
    bets: list[tuple[float, int, bool]], closes: list[float]
) -> None:
    prices = list_prices(
        *({"odds": odds, "sr_id": sr_id, "taken_at": KICKOFF if late else None} for odds, sr_id, late in bets)
    )
    rows = [{"platform": f"p{n}", "close_odds": odds, "fair_power": 0.9 / odds} for n, odds in enumerate(closes)]
    values = compute_closing_line_values(prices, list_fixtures(), list_closes(*rows), NOW)
    assert set(values["line"]) == set(prices["line"])
    n_rows = dict(values.group_by("line").len().iter_rows())
    for price in prices.iter_rows(named=True):
        can_be_valued = price["sr_id"] == 7 and price["taken_at"] is None
        assert n_rows[price["line"]] == (max(1, len(closes)) if can_be_valued else 1)
    valued = values.filter(pl.col("status") == "valued")
    for _, of_platform in valued.group_by("close_platform"):
        ordered = of_platform.sort("odds")
        assert ordered["clv"].is_sorted()
        assert ordered["clv_power"].is_sorted()
    for row in valued.iter_rows(named=True):
        assert (row["clv"] > 0) == (row["odds"] > row["close_odds"])
        assert row["clv_power"] == pytest.approx(0.9 * (row["clv"] + 1) - 1, abs=1e-9)


@given(st.randoms())
def test_the_order_of_the_frames_does_not_matter(random: Any) -> None:
    prices = list_prices(
        *({"odds": 1.5 + n / 10, "outcome_key": key} for n, key in enumerate(("home", "draw", "home")))
    )
    closes = list_closes({}, {"platform": "bet9ja", "close_odds": 1.8}, {"outcome_key": "draw"})
    order = list(range(3))
    random.shuffle(order)
    one, other = (
        compute_closing_line_values(prices[rows], list_fixtures(), closes[rows], NOW) for rows in (range(3), order)
    )
    assert one.equals(other)
