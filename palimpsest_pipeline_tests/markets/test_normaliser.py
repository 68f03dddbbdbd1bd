"""The normaliser: conventions of each platform, and nothing that is seen ever disappears."""

from collections.abc import Sequence
from dataclasses import fields, replace
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from palimpsest_pipeline.markets import NormalisedBatch, normalise
from palimpsest_pipeline.markets.named_players import PLAYERS_SCHEMA
from palimpsest_pipeline.markets.normaliser import MERGED_SCHEMA, NORMALISED_PRICES_SCHEMA
from palimpsest_pipeline.markets.unmapped_markets import COVERAGE_SCHEMA, UNMAPPED_SCHEMA
from palimpsest_pipeline.pipeline.installed_vocabulary import load_installed_vocabulary
from palimpsest_pipeline_tests.fixtures.examples import count_examples
from palimpsest_pipeline_tests.fixtures.platforms import PLATFORMS

from .captures import CAPTURES, FOOTBALL, INDEX, MarketRow, books, captured_books, market_rows_of


def raw(
    *rows: tuple[str, str, str, str, str, int | None], sport: str = "football", off: bool = False
) -> list[MarketRow]:
    """(platform, market id, specifier, outcome id, outcome name, odds in thousandths) per outcome: a market row of
    capture 0 for each.
    """
    return [
        MarketRow(0, platform, sport, market, f"name of {market}", specifier, ((outcome, name, odds, off),))
        for platform, market, specifier, outcome, name, odds in rows
    ]


def normal(*rows: MarketRow) -> NormalisedBatch:
    return normalise(books(rows), load_installed_vocabulary())


def assert_same(left: NormalisedBatch, right: NormalisedBatch) -> None:
    for field in fields(NormalisedBatch):
        assert_frame_equal(getattr(left, field.name), getattr(right, field.name))


def named(result: NormalisedBatch) -> pl.DataFrame:
    """Prices with market and outcome keys instead of numbers."""
    package = load_installed_vocabulary()
    return result.prices.join(package.markets.select("market_id", "market_key"), on="market_id").join(
        package.outcomes.select("market_id", "ordinal", "outcome_key"), on=("market_id", "ordinal"), how="left"
    )


def facts(result: NormalisedBatch) -> set[tuple[Any, ...]]:
    outcome = pl.when(pl.col("outcome") == "").then("outcome_key").otherwise("outcome")
    return set(named(result).select("market_key", "specifier", outcome, "odds_milli").iter_rows())


@pytest.fixture(scope="module")
def captured(samples: Path) -> NormalisedBatch:
    return normalise(captured_books(samples), load_installed_vocabulary())


def price(captured: NormalisedBatch, capture: str, market_key: str, specifier: str) -> dict[str, int | None]:
    rows = named(captured).filter(
        (pl.col("capture") == INDEX[capture])
        & (pl.col("market_key") == market_key)
        & (pl.col("specifier") == specifier)
    )
    return dict(rows.select("outcome_key", "odds_milli").iter_rows())


# --- conventions of the platforms -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quarters", "line"),
    [
        ("10", "2.5"),
        ("2", "0.5"),
        ("-2", "-0.5"),
        ("-3", "-0.75"),
        ("0", "0"),
        ("-4", "-1"),
        ("630", "157.5"),
        ("-1", "-0.25"),
    ],
)
def test_betpawa_lines_are_quarter_units_of_the_home_side(quarters: str, line: str) -> None:
    result = normal(
        *raw(("betpawa", "3774", quarters, "3775", "1", 1900), ("betpawa", "3774", quarters, "3776", "2", 1950))
    )
    assert facts(result) == {
        ("asian_handicap", f"hcp={line}", "home", 1900),
        ("asian_handicap", f"hcp={line}", "away", 1950),
    }


@pytest.mark.parametrize(
    ("given_line", "line"),
    [("2.50", "2.5"), ("+1", "1"), ("2.0", "2"), ("-0.0", "0"), ("-0", "0"), ("0.75", "0.75"), ("10", "10")],
)
def test_decimal_lines_have_one_text_each(given_line: str, line: str) -> None:
    total = normal(*raw(("sportybet", "16", f"hcp={given_line}", "1714", "", 1900)))
    assert facts(total) == {("asian_handicap", f"hcp={line}", "home", 1900)}
    handicap = normal(*raw(("bet9ja", "S_AH", given_line, "2", "", 1900)))
    assert facts(handicap) == {("asian_handicap", f"hcp={line}", "away", 1900)}


@pytest.mark.parametrize(("score", "line"), [("0:1", "-1"), ("2:0", "2"), ("0:3", "-3"), ("0:0", "0")])
def test_sportybet_head_starts_are_home_minus_away(score: str, line: str) -> None:
    result = normal(*raw(("sportybet", "14", f"hcp={score}", "1712", "Draw", 4000)))
    assert facts(result) == {("european_handicap_3way", f"hcp={line}", "draw", 4000)}


def test_one_bet9ja_key_holds_home_and_away_totals() -> None:
    rows = [
        ("bet9ja", "S_HAOU", "1.5", suffix, suffix, odds)
        for suffix, odds in (("OH", 1100), ("UH", 1200), ("OA", 1300), ("UA", 1400))
    ]
    rows += [("bet9ja", "S_HA1HOU", "0.5", "HO", "HO", 1500), ("bet9ja", "S_HA1HOU", "0.5", "AU", "AU", 1600)]
    assert facts(normal(*raw(*rows))) == {
        ("home_total_goals", "total=1.5", "over", 1100),
        ("home_total_goals", "total=1.5", "under", 1200),
        ("away_total_goals", "total=1.5", "over", 1300),
        ("away_total_goals", "total=1.5", "under", 1400),
        ("home_total_goals_1h", "total=0.5", "over", 1500),
        ("away_total_goals_1h", "total=0.5", "under", 1600),
    }


def test_two_bet9ja_keys_hold_one_market() -> None:
    result = normal(*raw(("bet9ja", "S_OU", "2.5", "O", "O", 1500), ("bet9ja", "S_OUA", "2.25", "O", "O", 1400)))
    assert facts(result) == {("total_goals", "total=2.5", "over", 1500), ("total_goals", "total=2.25", "over", 1400)}


def test_bet9ja_minutes_goal_bands_and_pay_early_instants_are_in_the_key() -> None:
    rows = [
        ("bet9ja", "S_1X21ST15MIN", "", "1", "", 1100),
        ("bet9ja", "S_S10MIN", "", "YS10M", "", 1200),
        ("bet9ja", "S_OU25E3", "2.5", "O", "", 1300),
        ("bet9ja", "S_HOU25EH", "2.5", "O", "", 1400),
        ("bet9ja", "S_1X2MULTI1-2", "", "X", "", 1500),
        ("bet9ja", "S_1X2MULTI3-5", "", "X", "", 1600),
        ("bet9ja", "S_1STGOAL", "", "X", "", 1700),
    ]
    assert facts(normal(*raw(*rows))) == {
        ("match_result_first_n_minutes", "minute=15", "home", 1100),
        ("total_goals_first_n_minutes", "minute=10|total=0.5", "over", 1200),
        ("total_goals_early_payout", "minsnr=30|total=2.5", "over", 1300),
        ("home_total_goals_early_payout", "minsnr=45|total=2.5", "over", 1400),
        ("match_result_and_multigoals", "goals=1-2", "draw", 1500),
        ("match_result_and_multigoals", "goals=3-5", "draw", 1600),
        ("next_goal", "goalnr=1", "none", 1700),
    }


def test_a_ladder_is_the_over_side_of_the_line_below() -> None:
    rows = [
        ("sportybet", "800160", "", "800160:00000009", "Norway 9+", 1500),
        ("sportybet", "800160", "", "800160:00000111", "France 11+", 1600),
    ]
    assert facts(normal(*raw(*rows))) == {
        ("home_total_shots", "total=8.5", "over", 1500),
        ("away_total_shots", "total=10.5", "over", 1600),
    }


def test_the_same_id_is_another_market_in_another_sport() -> None:
    football = raw(("sportybet", "1", "", "1", "Home", 1500), ("betpawa", "4429", "", "4452", "2-0", 9000))
    basketball = raw(("sportybet", "1", "", "1", "Home", 1500), sport="basketball")
    tennis = raw(("betpawa", "4429", "", "4452", "2-0", 2000), sport="tennis")
    assert {market for market, *_ in facts(normal(*football))} == {"match_result", "correct_score"}
    assert {market for market, *_ in facts(normal(*basketball))} == {"basketball_match_result"}
    assert facts(normal(*tennis)) == {("tennis_correct_set_score", "", "2_0", 2000)}


def test_a_fixed_variant_must_be_that_variant() -> None:
    first = raw(("sportybet", "202", "setnr=1", "4", "Home", 1500), sport="tennis")
    third = raw(("sportybet", "202", "setnr=3", "4", "Home", 1500), sport="tennis")
    assert facts(normal(*first)) == {("tennis_set_winner_1", "", "home", 1500)}
    refused = normal(*third)
    assert refused.prices.is_empty()
    assert refused.unmapped["error_class"].to_list() == ["unknown_param"]


@pytest.mark.parametrize("specifier", ["total=2.5|of=corners", "total=many", "hcp=1", "", "total", "total=2.5|total"])
def test_a_specifier_that_says_more_or_else_is_not_taken_for_the_plain_market(specifier: str) -> None:
    result = normal(*raw(("sportybet", "18", specifier, "12", "Over", 1500)))
    assert result.prices.is_empty()
    assert result.unmapped.drop("specifier_schema").row(0)[3:] == (
        "18",
        "name of 18",
        specifier,
        "unknown_param",
        ["12=Over"],
    )


def test_players_are_open_outcomes_under_one_text_each() -> None:
    rows = [
        ("sportybet", "38", "goalnr=1|type=prematch", "sr:player:7", "Mateta, Jean-Philippe (France)", 5000),
        ("sportybet", "38", "goalnr=1|type=prematch", "1716", "No Goal", 9000),
        (
            "sportybet",
            "775",
            "variant=pre:playerprops:66457014:7",
            "pre:playerprops:66457014:7:2",
            "Mateta, Jean-Philippe (France) 2+",
            3000,
        ),
        ("sportybet", "800289", "", "pre:playerprops:66457014:7:2", "Jean-Philippe Mateta (France)", 2500),
        ("betpawa", "129110", "4", "30330150", "Erling Braut Haaland", 4000),
        ("betpawa", "129108", "", "30330150", "Haaland", 2000),
    ]
    result = normal(*raw(*rows))
    assert facts(result) == {
        ("nth_goalscorer", "goalnr=1", "sr:player:7", 5000),
        ("nth_goalscorer", "goalnr=1", "no_goal", 9000),
        ("player_goals_incl_et", "total=1.5", "sr:player:7", 3000),
        ("player_to_score_or_assist", "", "sr:player:7", 2500),
        ("nth_goalscorer", "goalnr=1", "30330150", 4000),
        ("anytime_goalscorer", "", "30330150", 2000),
    }
    assert set(result.prices["ordinal"]) == {1}
    assert result.players.rows() == [
        (0, "30330150", "Haaland", None),
        (0, "sr:player:7", "Mateta, Jean-Philippe", "France"),
    ]


@pytest.mark.parametrize(
    "outcome_id",
    [
        "pre:playerprops:66457014:7:0",
        "pre:playerprops:66457014:7",
        "pre:playerprops:1:7:x",
        "7",
        "",
        "pre:playerprops:1:7:2:1",
    ],
)
def test_an_id_that_does_not_fit_the_template_leads_nowhere(outcome_id: str) -> None:
    result = normal(*raw(("sportybet", "775", "variant=x", outcome_id, "Somebody 2+", 3000)))
    assert result.prices.is_empty()
    assert result.unmapped["error_class"].to_list() == ["no_matching_outcomes"]


def test_a_bet9ja_key_may_hold_many_markets() -> None:
    rows = [("bet9ja", "S_TOTAL1T2T", "", code, code, 2000) for code in ("2+AND2+Y", "1-AND1-N", "3+AND1+Y")]
    assert facts(normal(*raw(*rows))) == {
        ("both_halves_over", "total=1.5", "yes", 2000),
        ("both_halves_under", "total=1.5", "no", 2000),
        ("goals_per_half_pairs", "", "3_or_more__1_or_more__yes", 2000),
    }


@pytest.mark.parametrize(
    ("odds", "off", "stored", "state"),
    [
        *((odds, False, None, "no_price") for odds in (1000, 0, 1, -5, None)),
        (1001, False, 1001, "offered"),
        (100_000, True, 100_000, "suspended"),
        (None, True, None, "suspended"),
        (1000, True, None, "suspended"),
    ],
)
def test_odds_of_one_or_less_and_what_is_held_off_are_states_and_no_prices(
    odds: int | None, off: bool, stored: int | None, state: str
) -> None:
    result = normal(*raw(("betpawa", "3743", "", "3744", "1", odds), off=off))
    assert facts(result) == {("match_result", "", "home", stored)}
    assert result.prices["state"].to_list() == [state]


@pytest.mark.parametrize(
    ("row", "specifier", "line"),
    [
        (("betpawa", "5000", "10", "5001", "", 1500), "total=2.5", "2.5"),
        (("sportybet", "14", "hcp=0:1", "1712", "", 1500), "hcp=-1", "-1"),
        (("bet9ja", "S_OU25E3", "2.5", "O", "", 1500), "minsnr=30|total=2.5", "2.5"),
        (("bet9ja", "S_1X21ST15MIN", "", "1", "", 1500), "minute=15", "15"),
        (("bet9ja", "S_1X2MULTI1-2", "", "X", "", 1500), "goals=1-2", None),
        (("sportybet", "41", "score=0:0", "110", "", 1500), "score=0:0", None),
        (("betpawa", "4926", "", "1096818", "", 1500), "top=6", "6"),
        (("betpawa", "3743", "", "3744", "", 1500), "", None),
    ],
)
def test_the_line_is_the_number_of_the_specifier(
    row: tuple[str, str, str, str, str, int], specifier: str, line: str | None
) -> None:
    prices = normal(*raw(row)).prices
    assert prices["specifier"].to_list() == [specifier]
    assert prices["line"].to_list() == [line and Decimal(line)]


FEED = ("sportybet", "139", "total=3.5", "12", "Over 3.5")
OTHER_FEED = ("sportybet", "800063", "", "800063:00000004", "4+")
BOOKINGS = ("total_bookings", "total=3.5", "over")


@pytest.mark.parametrize(
    ("odds", "off", "state"),
    [(1900, False, "offered"), (1900, True, "suspended"), (None, True, "suspended"), (None, False, "no_price")],
)
def test_a_bet_of_two_feeds_is_as_the_first_feed_has_it_whether_it_can_be_backed_or_not(
    odds: int | None, off: bool, state: str
) -> None:
    first, second = raw((*FEED, odds), off=off), raw((*OTHER_FEED, 1800))
    for rows in (first + second, second + first):
        result = normal(*rows)
        assert facts(result) == {(*BOOKINGS, odds)}
        assert result.prices["state"].to_list() == [state]
        assert result.merged.rows() == [(0, 1)]
    assert facts(normal(*second)) == {(*BOOKINGS, 1800)}


def test_a_market_has_all_its_lines_from_the_first_feed_that_lists_it() -> None:
    """The lines of the other feed go on at other prices: together the two are no ladder."""
    further = raw(
        ("sportybet", "800063", "", "800063:00000005", "5+", 1950),
        ("sportybet", "800063", "", "800063:00000006", "6+", 2400),
    )
    result = normal(*raw((*FEED, None), off=True), *further)
    assert facts(result) == {(*BOOKINGS, None)}
    assert result.merged.rows() == [(0, 2)]
    # Another answer decides for itself.
    alone = [replace(row, capture=1) for row in further]
    both = normal(*raw((*FEED, None), off=True), *further, *alone)
    assert both.prices.filter(capture=1)["specifier"].to_list() == ["total=4.5", "total=5.5"]
    assert both.merged.rows() == [(0, 2)]


def test_a_ladder_of_two_teams_gives_way_for_the_team_that_another_feed_lists() -> None:
    ladder = raw(
        ("sportybet", "800160", "", "800160:00000009", "", 1500),
        ("sportybet", "800160", "", "800160:00000111", "", 1600),
    )
    home = raw(("sportybet", "900552", "total=7.5", "12", "Over 7.5", 1420), off=True)
    assert facts(normal(*ladder, *home)) == {
        ("home_total_shots", "total=7.5", "over", 1420),
        ("away_total_shots", "total=10.5", "over", 1600),
    }


def test_every_market_that_a_platform_has_as_a_ladder_and_otherwise_has_its_feeds_in_order() -> None:
    package = load_installed_vocabulary()
    ladders = package.keys.filter("ladder").select("platform", "market_id")
    otherwise = (
        package.keys.filter(~pl.col("ladder"))
        .join(ladders, on=("platform", "market_id"), how="semi")
        .select("platform", "market_id")
    )
    fed = package.keys.join(package.feeds, on="key_id")
    assert set(fed.select("platform", "market_id").iter_rows()) == set(otherwise.iter_rows())
    assert otherwise.height == 30
    assert fed.filter("ladder")["place"].to_list() == [1] * 30


def test_a_captured_suspended_price_does_not_give_way_to_another_feeds(captured: NormalisedBatch) -> None:
    """SportyBet holds off more than 29.5 shots at 3.60; its other feed offers 30 or more at 1.82."""
    shots = named(captured).filter(
        (pl.col("capture") == INDEX["sportybet_norway_france"]) & (pl.col("market_key") == "total_shots")
    )
    over = {
        line: (odds, state)
        for line, odds, state in shots.filter(outcome_key="over").select("line", "odds_milli", "state").iter_rows()
    }
    assert over[Decimal("29.5")] == (3600, "suspended")
    assert Decimal("30.5") not in over


def test_of_two_platform_markets_the_preferred_one_has_the_bet_whether_it_can_be_backed_or_not() -> None:
    first, second = ("bet9ja", "S_OU", "2.5", "O", "Over"), ("bet9ja", "S_OUA", "2.5", "O", "Over")
    line = ("total_goals", "total=2.5", "over")
    assert facts(normal(*raw((*first, 1900), (*second, 1800)))) == {(*line, 1900)}
    assert facts(normal(*raw((*second, 1800)), *raw((*first, 1900), off=True))) == {(*line, 1900)}
    assert facts(normal(*raw((*second, 1800), (*first, None)))) == {(*line, None)}


def test_within_one_platform_market_a_bet_named_twice_keeps_its_price_then_what_can_be_backed() -> None:
    bet = ("bet9ja", "S_OU", "2.5", "O", "Over")
    line = ("total_goals", "total=2.5", "over")
    assert facts(normal(*raw((*bet, None), (*bet, 1800)))) == {(*line, 1800)}
    assert facts(normal(*raw((*bet, 1900), off=True), *raw((*bet, 1800)))) == {(*line, 1800)}


def test_what_is_left_out_because_the_answer_names_the_bet_twice_is_counted() -> None:
    assert normal(*raw((*FEED, 1900), (*OTHER_FEED, 1800))).merged.rows() == [(0, 1)]
    assert normal(*raw((*FEED, 1900), (*OTHER_FEED, None))).merged.is_empty()
    assert normal(*raw((*FEED, 1900), (*FEED, 1900), (*FEED, 1950))).merged.rows() == [(0, 2)]


# --- lists that end with "n or more" ---------------------------------------------------------------------------------------------------

LISTS = {
    "sr:exact_goals:2+": dict(zip(range(85, 88), ["0", "1", "2_plus"], strict=True)),
    "sr:exact_goals:3+": dict(zip(range(88, 92), ["0", "1", "2", "3_plus"], strict=True)),
    "sr:exact_goals:5+": dict(zip(range(1336, 1342), ["0", "1", "2", "3", "4", "5_plus"], strict=True)),
    "sr:exact_goals:6+": dict(zip(range(68, 75), ["0", "1", "2", "3", "4", "5", "6_plus"], strict=True)),
    "sr:goal_range:7+": dict(zip(range(1342, 1346), ["0_1", "2_3", "4_6", "7_plus"], strict=True)),
    "sr:point_range:6+": dict(zip(range(1121, 1125), ["0_1", "2_3", "4_5", "6_plus"], strict=True)),
}
"""Of SportRadar's catalogue, whichever market they are used in: the number at an outcome's end to the outcome."""


@pytest.mark.parametrize(
    ("market", "market_key", "variants"),
    [
        ("21", "exact_goals", ["sr:exact_goals:5+", "sr:exact_goals:6+"]),
        ("71", "exact_goals_1h", ["sr:exact_goals:2+", "sr:exact_goals:3+"]),
        ("93", "exact_goals_2h", ["sr:exact_goals:2+", "sr:exact_goals:3+"]),
        ("23", "home_exact_goals", ["sr:exact_goals:2+", "sr:exact_goals:3+"]),
        ("24", "away_exact_goals", ["sr:exact_goals:2+", "sr:exact_goals:3+"]),
        ("25", "goal_range", ["sr:goal_range:7+", "sr:point_range:6+"]),
    ],
)
def test_each_list_of_one_answer_is_a_line_of_its_own_by_where_it_ends(
    market: str, market_key: str, variants: list[str]
) -> None:
    """The recorded answer of a platform that takes the same feed lists goals of the first half up to 2+ and up to
    3+, at different prices.
    """
    rows, expected = [], set()
    for n, variant in enumerate(variants):
        top = variant.rpartition(":")[2].removesuffix("+")
        for number, outcome in LISTS[variant].items():
            rows.append(("sportybet", market, f"variant={variant}", f"{variant}:{number}", outcome, 1500 + 100 * n))
            expected.add((market_key, f"top={top}", outcome, 1500 + 100 * n))
    result = normal(*raw(*rows))
    assert facts(result) == expected
    assert result.unmapped.is_empty()
    assert result.merged.is_empty()
    complete = load_installed_vocabulary().complete_sets.join(
        load_installed_vocabulary().markets.filter(market_key=market_key), on="market_id", how="semi"
    )
    sizes = complete.group_by("set").len()["len"].to_list()
    assert {len(LISTS[variant]) for variant in variants} <= set(sizes)


def test_a_list_that_ends_elsewhere_is_its_own_line_of_which_nothing_is_known() -> None:
    result = normal(
        *raw(("sportybet", "15", "variant=sr:winning_margin:9+", "sr:winning_margin:9+:1", "Home by 1", 3000))
    )
    assert result.prices.is_empty()
    assert result.unmapped["error_class"].to_list() == ["no_matching_outcomes"]


@pytest.mark.parametrize(
    "variant",
    [
        "sr:exact_goals:6",
        "sr:exact_goals:+",
        "sr:point_range:7+_2",
        "sr:exact_goals:6+:1",
        "6+",
        "sr:exact_goals:\u0666+",
    ],
)
def test_a_list_whose_end_cannot_be_read_is_an_unknown_parameter(variant: str) -> None:
    result = normal(*raw(("sportybet", "21", f"variant={variant}", "sr:exact_goals:6+:68", "0", 9900)))
    assert result.prices.is_empty()
    assert result.unmapped["error_class"].to_list() == ["unknown_param"]


# --- nothing disappears --------------------------------------------------------------------------------------------------------------


def test_the_unknown_is_kept_with_its_reason() -> None:
    result = normal(
        *raw(
            ("betpawa", "999999", "10", "1", "Maybe", 1500),
            ("betpawa", "3743", "7", "3744", "1", 1500),
            ("betpawa", "3743", "", "3744", "1", 1500),
            ("betpawa", "3743", "", "77", "Abandoned", 9000),
        )
    )
    told = result.unmapped.select(
        "external_market_id", "specifier", "specifier_schema", "error_class", "sample_outcomes"
    )
    assert told.rows() == [
        ("3743", "", "", "no_matching_outcomes", ["77=Abandoned"]),
        ("3743", "7", "line", "unknown_param", ["3744=1"]),
        ("999999", "10", "line", "unknown_market", ["1=Maybe"]),
    ]
    assert result.coverage.rows() == [
        (0, "", "unknown_market", 1),
        (0, "result", "no_matching_outcomes", 1),
        (0, "result", "unknown_param", 1),
    ]
    assert facts(result) == {("match_result", "", "home", 1500)}


def test_samples_are_the_first_outcomes_by_id_each_once() -> None:
    rows = [
        ("betpawa", "999999", "", outcome, name, 1500)
        for outcome, name in [*((str(n), f"N{n}") for n in range(9, 0, -1)), ("1", "A")]
    ]
    assert normal(*raw(*rows)).unmapped["sample_outcomes"].to_list() == [["1=A", "2=N2", "3=N3", "4=N4", "5=N5"]]


def test_the_names_of_a_specifiers_parts_are_its_schema() -> None:
    result = normal(*raw(("sportybet", "999999", "total=1|hcp=0:1|total=2|odd", "1", "", 1500)))
    assert result.unmapped["specifier_schema"].to_list() == ["hcp|odd|total"]


def test_a_market_row_without_outcomes_is_an_occurrence() -> None:
    known, unknown = (MarketRow(4, "betpawa", "football", market, "Name", "", ()) for market in ("3743", "999999"))
    result = normal(known, unknown)
    assert result.coverage.rows() == [(4, "", "unknown_market", 1), (4, "result", "", 1)]
    assert result.unmapped.select("capture", "external_market_id", "name", "sample_outcomes").rows() == [
        (4, "999999", "Name", [])
    ]
    assert result.prices.is_empty()


def test_an_empty_batch_gives_empty_frames_of_the_right_columns() -> None:
    result = normal()
    shapes = [NORMALISED_PRICES_SCHEMA, UNMAPPED_SCHEMA, COVERAGE_SCHEMA, MERGED_SCHEMA, PLAYERS_SCHEMA]
    assert [getattr(result, field.name).schema for field in fields(NormalisedBatch)] == [
        pl.Schema(shape) for shape in shapes
    ]
    assert result.prices.is_empty()


texts = st.sampled_from(
    [
        "",
        "1",
        "2",
        "3",
        "12",
        "13",
        "18",
        "total=2.5",
        "goalnr=1",
        "|",
        "=",
        "a=b=c",
        "S_OU",
        "O",
        "10",
        "-",
        "0:1",
        "hcp=0:1",
        "800063",
    ]
)
some_outcomes = st.tuples(
    texts
    | st.sampled_from(
        ["3744", "5001", "OH", "800063:00000004", "800063:00000000", "sr:player:7", "pre:playerprops:1:7:2"]
    ),
    texts | st.none() | st.sampled_from(["Mateta, J (France) 2+", "(", "X (Y)"]),
    st.none() | st.integers(-1, 100_000),
    st.none() | st.booleans(),
)
market_rows = st.builds(
    MarketRow,
    st.integers(0, 2),
    st.sampled_from(list(PLATFORMS)).map(str),
    st.sampled_from(["football", "tennis"]),
    texts | st.sampled_from(["3743", "5000", "38", "S_HAOU", "775"]),
    texts | st.none(),
    texts | st.none(),
    st.lists(some_outcomes, max_size=4).map(tuple),
)


def occurrence(row: MarketRow) -> tuple[Any, ...]:
    return row.capture, row.platform, row.sport, row.market_id, row.specifier or ""


@settings(max_examples=count_examples(80), deadline=None)
@given(st.lists(market_rows, max_size=12))
def test_whatever_comes_is_mapped_or_reported(rows: list[MarketRow]) -> None:
    result = normal(*rows)
    reported = set(
        result.unmapped.select("capture", "platform", "sport", "external_market_id", "specifier").iter_rows()
    )
    assert len(reported) == result.unmapped.height
    assert result.prices.select("capture", "market_id", "specifier", "outcome", "ordinal").is_duplicated().sum() == 0
    for capture in {row.capture for row in rows}:
        listed = {occurrence(row) for row in rows if row.capture == capture}
        covered = result.coverage.filter(pl.col("capture") == capture)
        assert covered["n_markets"].sum() == len(listed)
        assert covered.filter(pl.col("error_class") != "")["n_markets"].sum() == len(
            {o for o in reported if o[0] == capture}
        )
        # Of what is not reported, every price is there, or was left out as said twice.
        mapped = [
            odds
            for row in rows
            if occurrence(row) in listed - reported
            for _, _, odds, _ in row.outcomes
            if (odds or 0) > 1000
        ]
        alone = normal(*(row for row in rows if occurrence(row) in listed - reported))
        assert alone.unmapped.is_empty()
        assert alone.prices["odds_milli"].count() + alone.merged["n_prices"].sum() == len(mapped)


def shuffled(rows: Sequence[MarketRow], order: Random) -> list[MarketRow]:
    mixed = [replace(row, outcomes=tuple(order.sample(row.outcomes, len(row.outcomes)))) for row in rows]
    order.shuffle(mixed)
    return mixed


def taken_apart(rows: Sequence[MarketRow]) -> list[MarketRow]:
    """A market row for every outcome."""
    return [replace(row, outcomes=(outcome,)) for row in rows for outcome in row.outcomes] + [
        row for row in rows if not row.outcomes
    ]


@settings(max_examples=count_examples(40), deadline=None)
@given(st.lists(market_rows, max_size=10), st.randoms(use_true_random=False))
def test_order_and_grouping_change_nothing(rows: list[MarketRow], order: Random) -> None:
    assert_same(normal(*shuffled(taken_apart(rows), order)), normal(*rows))


@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_captured_markets_rows_and_outcomes_changes_nothing(
    samples: Path, captured: NormalisedBatch, seed: int
) -> None:
    rows = market_rows_of(captured_books(samples))
    assert_same(normal(*shuffled(rows if seed % 2 else taken_apart(rows), Random(seed))), captured)


def test_normalising_again_or_in_parts_gives_the_same(samples: Path, captured: NormalisedBatch) -> None:
    rows = market_rows_of(captured_books(samples))
    assert_same(normal(*rows), captured)
    parts = [normal(*(row for row in rows if (row.capture < 3) is early)) for early in (True, False)]
    for field in fields(NormalisedBatch):
        assert_frame_equal(pl.concat([getattr(part, field.name) for part in parts]), getattr(captured, field.name))


def test_numbers_of_captures_may_be_of_any_size(samples: Path, captured: NormalisedBatch) -> None:
    far = 2**32 - len(CAPTURES)
    moved = normal(*(replace(row, capture=row.capture + far) for row in market_rows_of(captured_books(samples))))
    assert_frame_equal(moved.prices.with_columns(pl.col("capture") - far), captured.prices)


@settings(max_examples=count_examples(20), deadline=None)
@given(st.permutations(range(6)))
def test_the_order_of_rows_that_name_one_outcome_changes_nothing(order: list[int]) -> None:
    rows = [("sportybet", "139", "total=3.5", "12", "Over", odds) for odds in (1900, 1950, None)]
    rows += [("sportybet", "800063", "", "800063:00000004", "4+", odds) for odds in (1800, 1850, None)]
    assert facts(normal(*raw(*(rows[index] for index in order)))) == {("total_bookings", "total=3.5", "over", 1900)}


# --- captured answers ----------------------------------------------------------------------------------------------------------------


def test_every_captured_occurrence_is_mapped_or_reported(captured: NormalisedBatch, samples: Path) -> None:
    occurrences = captured_books(samples).markets.select("capture", "market_id", "specifier").n_unique()
    assert captured.coverage["n_markets"].sum() == occurrences
    assert captured.coverage.filter(pl.col("error_class") != "")["n_markets"].sum() == captured.unmapped.height
    assert captured.coverage["capture"].n_unique() == len(CAPTURES)


def test_captured_football_is_mapped_to_the_measured_share(captured: NormalisedBatch) -> None:
    mapped = pl.col("n_markets").filter(pl.col("error_class") == "").sum()
    share = dict(captured.coverage.group_by("capture").agg(mapped / pl.col("n_markets").sum()).iter_rows())
    assert {name: share[INDEX[name]] for name in FOOTBALL if share[INDEX[name]] < 0.98} == {}


def test_prices_are_in_the_order_of_their_identity(captured: NormalisedBatch) -> None:
    assert captured.prices.height > 9000
    assert_frame_equal(captured.prices, captured.prices.sort("capture", "market_id", "specifier", "outcome", "ordinal"))


def test_every_captured_outcome_of_a_known_market_is_known(captured: NormalisedBatch) -> None:
    assert set(captured.unmapped["error_class"]) <= {"unknown_market"}


def test_bets_that_a_capture_sells_twice_are_there_once_and_counted(captured: NormalisedBatch, samples: Path) -> None:
    raw_books = captured_books(samples)
    owner = [row.capture for row in market_rows_of(raw_books) for _ in row.outcomes]
    priced = raw_books.outcomes.select(pl.Series("capture", owner), "odds_milli").filter(pl.col("odds_milli") > 1000)
    assert captured.unmapped.is_empty()
    assert captured.merged["capture"].to_list() == [INDEX["sportybet_norway_france"]]
    assert captured.merged["n_prices"].sum() >= 97
    assert captured.prices["odds_milli"].count() + captured.merged["n_prices"].sum() == priced.height


def test_the_players_of_the_captures_are_named(captured: NormalisedBatch) -> None:
    scorers = named(captured).filter((pl.col("market_key") == "anytime_goalscorer") & (pl.col("outcome") != ""))
    people = scorers.join(captured.players, on=("capture", "outcome"), how="left")
    sportybet, betpawa = (
        people.filter(pl.col("capture") == INDEX[f"{book}_norway_france"]) for book in ("sportybet", "betpawa")
    )
    assert (sportybet.height, betpawa.height) == (46, 46)
    assert set(sportybet["team"]) == {"Norway", "France"}
    assert set(betpawa["team"]) == {None}
    assert people["name"].str.contains(r"[()+]|^$").sum() == people["name"].null_count() == 0
    assert captured.players.select("capture", "outcome").is_duplicated().sum() == 0
    assert set(sportybet.filter(pl.col("outcome") == "sr:player:1027583")["name"]) == {"Metero, Jiot-Pnamumte"}


def test_captured_totals_and_handicaps_are_the_same_bet_on_all_three(captured: NormalisedBatch) -> None:
    three = ["betpawa_norway_france", "sportybet_norway_france", "bet9ja_norway_france"]
    assert [price(captured, book, "total_goals", "total=2.5") for book in three] == [
        {"over": 1530, "under": 2580},
        {"over": 1530, "under": 2600},
        {"over": 1500, "under": 2670},
    ]
    # The home side is the outsider: giving half a goal pays more than four, receiving it about two and a third.
    assert [price(captured, book, "asian_handicap", "hcp=-0.5")["home"] for book in three] == [4540, 4400, 4800]
    assert [price(captured, book, "asian_handicap", "hcp=0.5")["home"] for book in three] == [2330, 2300, 2290]
    assert [price(captured, book, "european_handicap_3way", "hcp=-1")["home"] for book in three] == [
        11240,
        11000,
        10750,
    ]
    # Position would exchange two of them on SportyBet.
    assert [price(captured, book, "double_chance", "")["home_or_draw"] for book in three] == [2210, 2200, 2290]
    assert [price(captured, book, "double_chance", "")["draw_or_away"] for book in three] == [1210, 1200, 1190]
    assert [price(captured, book, "next_goal", "goalnr=1")["away"] for book in three] == [1540, 1470, 1510]
    assert [price(captured, book, "match_result_first_n_minutes", "minute=10")["draw"] for book in three] == [
        1240,
        1220,
        1160,
    ]


def test_captured_prices_of_one_bet_agree_between_the_platforms(captured: NormalisedBatch) -> None:
    three = ["betpawa_norway_france", "sportybet_norway_france", "bet9ja_norway_france"]
    pairs = (
        named(captured)
        .filter(pl.col("capture").is_in([INDEX[book] for book in three]) & (pl.col("state") == "offered"))
        .group_by("market_key", "specifier", "outcome", "ordinal")
        .agg((1000 / pl.col("odds_milli")).alias("implied"))
        .filter(pl.col("implied").list.len() >= 2)
    )
    assert pairs.height > 900
    apart = pairs.filter(pl.col("implied").list.max() - pl.col("implied").list.min() > 0.12)
    # Bet9ja counts fouls, cards and shots on its own, prices multigoals apart, and BetPawa's book on this double chance
    # was off by half.
    judged_apart = r"fouls|total_bookings_2h|total_shots_on_target_2h|^multigoals$|^double_chance_and_total_goals$"
    assert apart.filter(~pl.col("market_key").str.contains(judged_apart)).is_empty()


def test_no_captured_price_is_one_or_less_and_no_line_is_a_fraction_of_a_quarter(captured: NormalisedBatch) -> None:
    assert captured.prices.filter(pl.col("odds_milli") <= 1000).is_empty()
    lines = captured.prices["specifier"].str.extract(r"(?:total|hcp)=([^|]+)").drop_nulls().unique()
    assert all(Decimal(line) % Decimal("0.25") == 0 for line in lines)
