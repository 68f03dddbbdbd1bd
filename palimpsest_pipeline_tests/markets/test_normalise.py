"""The normaliser: conventions of each platform, and nothing that is seen ever disappears."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from palimpsest_pipeline.markets import Normalised, normalise, vocabulary
from palimpsest_pipeline.markets.normalise import COUNTS, PRICES, RAW, UNMAPPED

from .captures import CAPTURES, FOOTBALL, INDEX, raw_frame


def raw(*rows: tuple[str, str, str, str, str, int | None], sport: str = "football", off: bool = False) -> pl.DataFrame:
    """(platform, market id, specifier, outcome id, outcome name, odds in thousandths) per row, all of capture 0."""
    full = [(0, platform, sport, market, f"name of {market}", *rest, off) for platform, market, *rest in rows]
    return pl.DataFrame(full, schema=RAW, orient="row")


def named(result: Normalised) -> pl.DataFrame:
    """Prices with market and outcome keys instead of numbers."""
    package = vocabulary()
    return result.prices.join(package.markets.select("market_id", "market_key"), on="market_id").join(
        package.outcomes.select("market_id", "ordinal", "outcome_key"), on=("market_id", "ordinal"), how="left"
    )


def facts(result: Normalised) -> set[tuple[Any, ...]]:
    return set(named(result).select("market_key", "specifier", pl.coalesce("outcome_key", "outcome"), "odds_milli").iter_rows())


@pytest.fixture(scope="module")
def captured(samples: Path) -> Normalised:
    return normalise(raw_frame(samples), vocabulary())


def price(captured: Normalised, capture: str, market_key: str, specifier: str) -> dict[str, int | None]:
    rows = named(captured).filter((pl.col("capture") == INDEX[capture]) & (pl.col("market_key") == market_key) & (pl.col("specifier") == specifier))
    return dict(rows.select("outcome_key", "odds_milli").iter_rows())


# --- conventions of the platforms -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quarters", "line"), [("10", "2.5"), ("2", "0.5"), ("-2", "-0.5"), ("-3", "-0.75"), ("0", "0"), ("-4", "-1"), ("630", "157.5"), ("-1", "-0.25")]
)
def test_betpawa_lines_are_quarter_units_of_the_home_side(quarters: str, line: str) -> None:
    result = normalise(raw(("betpawa", "3774", quarters, "3775", "1", 1900), ("betpawa", "3774", quarters, "3776", "2", 1950)), vocabulary())
    assert facts(result) == {("asian_handicap", f"hcp={line}", "home", 1900), ("asian_handicap", f"hcp={line}", "away", 1950)}


@pytest.mark.parametrize(
    ("given_line", "line"), [("2.50", "2.5"), ("+1", "1"), ("2.0", "2"), ("-0.0", "0"), ("-0", "0"), ("0.75", "0.75"), ("10", "10")]
)
def test_decimal_lines_have_one_text_each(given_line: str, line: str) -> None:
    total = normalise(raw(("sportybet", "16", f"hcp={given_line}", "1714", "", 1900)), vocabulary())
    assert facts(total) == {("asian_handicap", f"hcp={line}", "home", 1900)}
    handicap = normalise(raw(("bet9ja", "S_AH", given_line, "2", "", 1900)), vocabulary())
    assert facts(handicap) == {("asian_handicap", f"hcp={line}", "away", 1900)}


@pytest.mark.parametrize(("score", "line"), [("0:1", "-1"), ("2:0", "2"), ("0:3", "-3"), ("0:0", "0")])
def test_sportybet_head_starts_are_home_minus_away(score: str, line: str) -> None:
    result = normalise(raw(("sportybet", "14", f"hcp={score}", "1712", "Draw", 4000)), vocabulary())
    assert facts(result) == {("european_handicap_3way", f"hcp={line}", "draw", 4000)}


def test_one_bet9ja_key_holds_home_and_away_totals() -> None:
    rows = [("bet9ja", "S_HAOU", "1.5", suffix, suffix, odds) for suffix, odds in (("OH", 1100), ("UH", 1200), ("OA", 1300), ("UA", 1400))]
    rows += [("bet9ja", "S_HA1HOU", "0.5", "HO", "HO", 1500), ("bet9ja", "S_HA1HOU", "0.5", "AU", "AU", 1600)]
    assert facts(normalise(raw(*rows), vocabulary())) == {
        ("home_total_goals", "total=1.5", "over", 1100),
        ("home_total_goals", "total=1.5", "under", 1200),
        ("away_total_goals", "total=1.5", "over", 1300),
        ("away_total_goals", "total=1.5", "under", 1400),
        ("home_total_goals_1h", "total=0.5", "over", 1500),
        ("away_total_goals_1h", "total=0.5", "under", 1600),
    }


def test_two_bet9ja_keys_hold_one_market() -> None:
    result = normalise(raw(("bet9ja", "S_OU", "2.5", "O", "O", 1500), ("bet9ja", "S_OUA", "2.25", "O", "O", 1400)), vocabulary())
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
    assert facts(normalise(raw(*rows), vocabulary())) == {
        ("match_result_first_n_minutes", "minute=15", "home", 1100),
        ("total_goals_first_n_minutes", "minute=10|total=0.5", "over", 1200),
        ("total_goals_early_payout", "minsnr=30|total=2.5", "over", 1300),
        ("home_total_goals_early_payout", "minsnr=45|total=2.5", "over", 1400),
        ("match_result_and_multigoals", "goals=1-2", "draw", 1500),
        ("match_result_and_multigoals", "goals=3-5", "draw", 1600),
        ("next_goal", "goalnr=1", "none", 1700),
    }


def test_a_ladder_is_the_over_side_of_the_line_below() -> None:
    rows = [("sportybet", "800160", "", "800160:00000009", "Norway 9+", 1500), ("sportybet", "800160", "", "800160:00000111", "France 11+", 1600)]
    assert facts(normalise(raw(*rows), vocabulary())) == {
        ("home_total_shots", "total=8.5", "over", 1500),
        ("away_total_shots", "total=10.5", "over", 1600),
    }


def test_the_same_id_is_another_market_in_another_sport() -> None:
    football = raw(("sportybet", "1", "", "1", "Home", 1500), ("betpawa", "4429", "", "4452", "2-0", 9000))
    basketball = raw(("sportybet", "1", "", "1", "Home", 1500), sport="basketball")
    tennis = raw(("betpawa", "4429", "", "4452", "2-0", 2000), sport="tennis")
    assert {market for market, *_ in facts(normalise(football, vocabulary()))} == {"match_result", "correct_score"}
    assert {market for market, *_ in facts(normalise(basketball, vocabulary()))} == {"basketball_match_result"}
    assert facts(normalise(tennis, vocabulary())) == {("tennis_correct_set_score", "", "2_0", 2000)}


def test_a_fixed_variant_must_be_that_variant() -> None:
    first = raw(("sportybet", "202", "setnr=1", "4", "Home", 1500), sport="tennis")
    third = raw(("sportybet", "202", "setnr=3", "4", "Home", 1500), sport="tennis")
    assert facts(normalise(first, vocabulary())) == {("tennis_set_winner_1", "", "home", 1500)}
    refused = normalise(third, vocabulary())
    assert refused.prices.is_empty()
    assert refused.unmapped["error_class"].to_list() == ["unknown_param"]


@pytest.mark.parametrize("specifier", ["total=2.5|of=corners", "total=many", "hcp=1", "", "total", "total=2.5|total"])
def test_a_specifier_that_says_more_or_else_is_not_taken_for_the_plain_market(specifier: str) -> None:
    result = normalise(raw(("sportybet", "18", specifier, "12", "Over", 1500)), vocabulary())
    assert result.prices.is_empty()
    assert result.unmapped.row(0)[3:] == ("18", "name of 18", specifier, "unknown_param", ["12=Over"])


def test_players_are_open_outcomes() -> None:
    rows = [
        ("sportybet", "38", "goalnr=1|type=prematch", "sr:player:1", "Mateta, Jean-Philippe (France)", 5000),
        ("betpawa", "129110", "4", "30330150", "Erling Braut Haaland", 4000),
        ("betpawa", "129108", "", "30330150", "", 2000),
    ]
    result = normalise(raw(*rows), vocabulary())
    assert facts(result) == {
        ("nth_goalscorer", "goalnr=1", "Mateta, Jean-Philippe (France)", 5000),
        ("nth_goalscorer", "goalnr=1", "Erling Braut Haaland", 4000),
        ("anytime_goalscorer", "", "30330150", 2000),
    }
    assert result.prices["ordinal"].to_list() == [1, 1, 1]


def test_what_a_shared_key_does_not_list_goes_to_its_open_market() -> None:
    rows = [("bet9ja", "S_TOTAL1T2T", "", code, code, 2000) for code in ("2+AND2+Y", "1-AND1-N", "3+AND1+Y")]
    assert facts(normalise(raw(*rows), vocabulary())) == {
        ("both_halves_over", "total=1.5", "yes", 2000),
        ("both_halves_under", "total=1.5", "no", 2000),
        ("goals_per_half_pairs", "", "3+AND1+Y", 2000),
    }


@pytest.mark.parametrize("odds", [1000, 0, 1, -5, None])
def test_odds_of_one_or_less_are_no_price(odds: int | None) -> None:
    result = normalise(raw(("betpawa", "3743", "", "3744", "1", odds)), vocabulary())
    assert facts(result) == {("match_result", "", "home", None)}


def test_an_outcome_named_twice_keeps_its_price_then_what_can_be_backed_then_the_preferred_key() -> None:
    main, ladder = ("sportybet", "139", "total=3.5", "12", "Over 3.5"), ("sportybet", "800063", "", "800063:00000004", "4+")
    line = ("total_bookings", "total=3.5", "over")
    assert facts(normalise(raw((*main, 1900), (*ladder, 1800)), vocabulary())) == {(*line, 1900)}
    assert facts(normalise(raw((*main, None), (*ladder, 1800)), vocabulary())) == {(*line, 1800)}
    suspended = pl.concat([raw((*main, 1900), off=True), raw((*ladder, 1800))])
    assert facts(normalise(suspended, vocabulary())) == {(*line, 1800)}


# --- nothing disappears --------------------------------------------------------------------------------------------------------------


def test_the_unknown_is_kept_with_its_reason() -> None:
    result = normalise(
        raw(
            ("betpawa", "999999", "10", "1", "Maybe", 1500),
            ("betpawa", "3743", "7", "3744", "1", 1500),
            ("betpawa", "3743", "", "3744", "1", 1500),
            ("betpawa", "3743", "", "77", "Abandoned", 9000),
        ),
        vocabulary(),
    )
    assert [(row["external_market_id"], row["specifier"], row["error_class"], row["sample_outcomes"]) for row in result.unmapped.to_dicts()] == [
        ("3743", "", "no_matching_outcomes", ["77=Abandoned"]),
        ("3743", "7", "unknown_param", ["3744=1"]),
        ("999999", "10", "unknown_market", ["1=Maybe"]),
    ]
    assert result.counts.rows() == [(0, 3, 0)]
    assert facts(result) == {("match_result", "", "home", 1500)}


def test_an_empty_frame_gives_empty_frames_of_the_right_columns() -> None:
    result = normalise(pl.DataFrame(schema=RAW), vocabulary())
    assert (result.prices.schema, result.unmapped.schema, result.counts.schema) == (pl.Schema(PRICES), pl.Schema(UNMAPPED), pl.Schema(COUNTS))
    assert result.prices.is_empty()


texts = st.sampled_from(
    ["", "1", "2", "3", "12", "13", "18", "total=2.5", "goalnr=1", "|", "=", "a=b=c", "S_OU", "O", "10", "-", "0:1", "hcp=0:1", "800063"]
)
raw_rows = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(["betpawa", "sportybet", "bet9ja", "another"]),
        st.sampled_from(["football", "tennis", "curling"]),
        texts | st.sampled_from(["3743", "5000", "38", "S_HAOU"]),
        texts | st.none(),
        texts | st.none(),
        texts | st.sampled_from(["3744", "5001", "OH", "800063:00000004"]),
        texts | st.none(),
        st.none() | st.integers(-1, 100_000),
        st.none() | st.booleans(),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(raw_rows)
def test_whatever_comes_is_either_mapped_or_reported(rows: list[tuple[Any, ...]]) -> None:
    frame = pl.DataFrame(rows, schema=RAW, orient="row")
    result = normalise(frame, vocabulary())
    occurrences = frame.with_columns(pl.col("specifier").fill_null("")).select("capture", "platform", "sport", "market_id", "specifier").unique()
    listed = occurrences.group_by("capture").agg(pl.len().cast(pl.Int32).alias("n_markets_listed")).sort("capture")
    reported = result.unmapped.group_by("capture").agg(pl.len().cast(pl.Int32).alias("n"))
    both = result.counts.join(reported, on="capture", how="left").with_columns(pl.col("n").fill_null(0))
    assert_frame_equal(result.counts.select("capture", "n_markets_listed"), listed)
    assert (both["n_markets_mapped"] + both["n"] == both["n_markets_listed"]).all()
    assert result.unmapped.select("capture", "platform", "sport", "external_market_id", "specifier").is_duplicated().sum() == 0
    assert result.prices.select("capture", "market_id", "specifier", "outcome", "ordinal").is_duplicated().sum() == 0


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_order_of_the_rows_changes_nothing(samples: Path, seed: int) -> None:
    frame = raw_frame(samples)
    expected, shuffled = normalise(frame, vocabulary()), normalise(frame.sample(fraction=1.0, shuffle=True, seed=seed), vocabulary())
    assert_frame_equal(shuffled.prices, expected.prices)
    assert_frame_equal(shuffled.unmapped, expected.unmapped)
    assert_frame_equal(shuffled.counts, expected.counts)


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(6)))
def test_the_order_of_rows_that_name_one_outcome_changes_nothing(order: list[int]) -> None:
    rows = [("sportybet", "139", "total=3.5", "12", "Over", odds) for odds in (1900, 1950, None)]
    rows += [("sportybet", "800063", "", "800063:00000004", "4+", odds) for odds in (1800, 1850, None)]
    assert facts(normalise(raw(*(rows[index] for index in order)), vocabulary())) == {("total_bookings", "total=3.5", "over", 1900)}


# --- captured answers ----------------------------------------------------------------------------------------------------------------


def test_every_captured_occurrence_is_mapped_or_reported(captured: Normalised, samples: Path) -> None:
    occurrences = raw_frame(samples).select("capture", "market_id", "specifier").n_unique()
    assert captured.counts["n_markets_listed"].sum() == occurrences
    assert captured.counts["n_markets_mapped"].sum() + captured.unmapped.height == occurrences
    assert captured.counts.height == len(CAPTURES)


def test_captured_football_is_mapped_to_the_measured_share(captured: Normalised) -> None:
    floor = {
        "betpawa_norway_france": 1.0,
        "betpawa_v4": 1.0,
        "sportybet_360": 1.0,
        # 263 of the 341 others are one player each in the statistics of the player feed.
        "sportybet_norway_france": 0.64,
        "bet9ja_norway_france": 0.95,
        "bet9ja_qatar_sudan": 1.0,
    }
    share = {
        capture: mapped / listed for capture, listed, mapped in captured.counts.select("capture", "n_markets_listed", "n_markets_mapped").iter_rows()
    }
    assert set(floor) == set(FOOTBALL)
    assert {name: least for name, least in floor.items() if share[INDEX[name]] < least} == {}


def test_every_captured_outcome_of_a_known_market_is_known(captured: Normalised) -> None:
    assert set(captured.unmapped["error_class"]) == {"unknown_market"}


def test_captured_totals_and_handicaps_are_the_same_bet_on_all_three(captured: Normalised) -> None:
    books = ["betpawa_norway_france", "sportybet_norway_france", "bet9ja_norway_france"]
    assert [price(captured, book, "total_goals", "total=2.5") for book in books] == [
        {"over": 1530, "under": 2580},
        {"over": 1530, "under": 2600},
        {"over": 1500, "under": 2670},
    ]
    # The home side is the outsider: giving half a goal pays more than four, receiving it about two and a third.
    assert [price(captured, book, "asian_handicap", "hcp=-0.5")["home"] for book in books] == [4540, 4400, 4800]
    assert [price(captured, book, "asian_handicap", "hcp=0.5")["home"] for book in books] == [2330, 2300, 2290]
    assert [price(captured, book, "european_handicap_3way", "hcp=-1")["home"] for book in books] == [11240, 11000, 10750]
    # Position would exchange two of them on SportyBet.
    assert [price(captured, book, "double_chance", "")["home_or_draw"] for book in books] == [2210, 2200, 2290]
    assert [price(captured, book, "double_chance", "")["draw_or_away"] for book in books] == [1210, 1200, 1190]
    assert [price(captured, book, "next_goal", "goalnr=1")["away"] for book in books] == [1540, 1470, 1510]
    assert [price(captured, book, "match_result_first_n_minutes", "minute=10")["draw"] for book in books] == [1240, 1220, 1160]


def test_captured_prices_of_one_bet_agree_between_the_platforms(captured: Normalised) -> None:
    books = ["betpawa_norway_france", "sportybet_norway_france", "bet9ja_norway_france"]
    pairs = (
        named(captured)
        .filter(pl.col("capture").is_in([INDEX[book] for book in books]) & pl.col("odds_milli").is_not_null() & ~pl.col("off"))
        .group_by("market_key", "specifier", "outcome", "ordinal")
        .agg((1000 / pl.col("odds_milli")).alias("implied"))
        .filter(pl.col("implied").list.len() >= 2)
    )
    assert pairs.height > 900
    apart = pairs.filter(pl.col("implied").list.max() - pl.col("implied").list.min() > 0.12)
    # Bet9ja counts fouls, cards and shots on its own, prices multigoals apart, and BetPawa's book on this double chance was off by half.
    judged_apart = r"fouls|total_bookings_2h|total_shots_on_target_2h|^multigoals$|^double_chance_and_total_goals$"
    assert apart.filter(~pl.col("market_key").str.contains(judged_apart)).is_empty()


def test_no_captured_price_is_one_or_less_and_no_line_is_a_fraction_of_a_quarter(captured: Normalised) -> None:
    assert captured.prices.filter(pl.col("odds_milli") <= 1000).is_empty()
    lines = captured.prices["specifier"].str.extract(r"(?:total|hcp)=([^|]+)").drop_nulls().unique()
    assert all(Decimal(line) % Decimal("0.25") == 0 for line in lines)
