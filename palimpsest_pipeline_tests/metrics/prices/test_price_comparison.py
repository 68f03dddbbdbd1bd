"""Prices side by side, worked out by hand, and what must hold of any of them."""

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from palimpsest_pipeline.metrics.prices.price_comparison import (
    COMPARED_LINES_SCHEMA,
    COMPARED_LISTINGS_SCHEMA,
    COMPARISON_SCHEMA,
    build_price_comparison,
    compare_lines,
    compare_listings,
)
from palimpsest_pipeline.storage.marts import current_price_rows
from palimpsest_pipeline.tables.current_prices import ComparedListing, PriceComparison

from ..standing_worlds import (
    DOUBLE,
    EARLY,
    GOALS,
    HOME,
    NOON,
    OUTCOMES,
    PLATFORMS,
    RESULT,
    SETS,
    SKEW_S,
    TOTAL,
    Listing,
    Market,
    World,
    ago,
    disordered,
    frames,
    no_price,
    offered,
    suspended,
    withdrawn,
    worlds,
)

Row = dict[str, Any]
_, COMPARISON_KEY = current_price_rows.TABLE_VIEWS[current_price_rows.COMPARISON_TABLE]


def compare(world: World, platforms: tuple[str, ...] = PLATFORMS, max_skew_s: float = SKEW_S) -> pl.DataFrame:
    return build_price_comparison(*frames(world), OUTCOMES, SETS, platforms=platforms, max_skew_s=max_skew_s).sort(
        COMPARISON_KEY
    )


def row(found: pl.DataFrame, outcome: str, platform: str = "sportybet", market: str = "match_result") -> Row:
    return found.row(
        by_predicate=(pl.col("outcome_key") == outcome)
        & (pl.col("platform") == platform)
        & (pl.col("market_key") == market),
        named=True,
    )


@pytest.fixture(scope="module")
def golden() -> pl.DataFrame:
    """One fixture on three platforms, of which Bet9ja answered 100 s and SportyBet 30 s before BetPawa."""
    return compare(
        {
            (7, HOME): Listing(
                {RESULT: offered(2700, 2300, 4400), TOTAL: offered(1900, 1900), DOUBLE: offered(1300, 1250, 1700)}
            ),
            (7, "sportybet"): Listing(
                {RESULT: offered(2700, 2400, 4000), TOTAL: suspended(1950, 1850), DOUBLE: withdrawn(3)}, age_s=30
            ),
            (7, "bet9ja"): Listing({RESULT: offered(2800, None, 4400), TOTAL: offered(2200, 2000)}, age_s=100),
        }
    )


def test_every_outcome_of_what_both_list_has_a_row_and_no_other(golden: pl.DataFrame):
    assert golden.schema == pl.Schema(COMPARISON_SCHEMA)
    assert golden.select("market_key", "outcome_key", "platform").rows() == [
        ("match_result", "away", "bet9ja"),
        ("match_result", "away", "sportybet"),
        ("match_result", "draw", "bet9ja"),
        ("match_result", "draw", "sportybet"),
        ("match_result", "home", "bet9ja"),
        ("match_result", "home", "sportybet"),
        ("total_goals", "over", "bet9ja"),
        ("total_goals", "over", "sportybet"),
        ("total_goals", "under", "bet9ja"),
        ("total_goals", "under", "sportybet"),
    ]
    assert set(golden["as_of"]) == {NOON}


def test_prices_differences_and_margins_are_those_worked_out_by_hand(golden: pl.DataFrame):
    draw = row(golden, "draw")
    assert (draw["home_odds"], draw["platform_odds"], draw["comparable"], draw["skew_s"]) == (2.3, 2.4, True, 30.0)
    assert (draw["home_last_confirmed_at"], draw["platform_last_confirmed_at"]) == (NOON, ago(30))
    assert (draw["diff_abs"], draw["diff_rel"]) == (-0.1, pytest.approx(-0.0416667, abs=1e-7))
    assert draw["home_margin"] == pytest.approx(0.0324257, abs=1e-7)
    assert draw["platform_margin"] == pytest.approx(1 / 2.7 + 1 / 2.4 + 1 / 4 - 1)
    assert draw["margin_diff"] == pytest.approx(draw["home_margin"] - draw["platform_margin"])
    assert draw["fair_home_prob"] == pytest.approx(0.42112726, abs=5e-9)
    assert sum(row(golden, o)["fair_platform_prob"] for o in ("home", "draw", "away")) == pytest.approx(1)


def test_who_is_best_ties_apart_from_wins(golden: pl.DataFrame):
    told = ("best_platform", "best_odds", "home_is_best", "home_tied_best", "rank_home")
    assert [row(golden, "home")[name] for name in told] == ["bet9ja", 2.8, False, False, 2]
    assert [row(golden, "draw")[name] for name in told] == ["sportybet", 2.4, False, False, 2]
    assert [row(golden, "away")[name] for name in told] == [
        "betpawa",
        4.4,
        False,
        True,
        1,
    ]  # as good as Bet9ja, better than SportyBet
    assert [row(golden, "over", market="total_goals")[name] for name in told] == ["bet9ja", 2.2, False, False, 2]
    assert [row(golden, "under", market="total_goals")[name] for name in told] == ["bet9ja", 2.0, False, False, 2]


def test_what_cannot_be_backed_compares_with_nothing_and_has_no_margin(golden: pl.DataFrame):
    over = row(golden, "over", market="total_goals")
    assert (over["platform_odds"], over["platform_state"], over["comparable"], over["diff_abs"]) == (
        1.95,
        "suspended",
        False,
        None,
    )
    assert over["platform_margin"] is None
    assert over["fair_platform_prob"] is None
    draw = row(golden, "draw", "bet9ja")
    assert (draw["platform_odds"], draw["platform_state"], draw["comparable"]) == (None, "no_price", False)
    assert draw["platform_margin"] is None


def test_the_best_of_all_books_may_be_an_arbitrage(golden: pl.DataFrame):
    total = row(golden, "over", market="total_goals")
    assert total["cross_book_sum_inverse"] == pytest.approx(1 / 2.2 + 1 / 2.0)
    assert total["arb"] is True
    result = row(golden, "home")
    assert result["cross_book_sum_inverse"] == pytest.approx(1 / 2.8 + 1 / 2.4 + 1 / 4.4)
    assert result["arb"] is False


def test_where_the_listings_may_not_offer_the_same_bets_nothing_is_compared():
    """One book has the sides the other way round: a sure win in appearance."""
    world = {
        (7, HOME): Listing({RESULT: offered(1500, 4000, 6000)}),
        (7, "bet9ja"): Listing({RESULT: offered(6000, 4000, 1500)}),
    }
    seen = build_price_comparison(*frames(world), OUTCOMES, SETS, platforms=PLATFORMS, max_skew_s=SKEW_S)
    assert set(seen["arb"]) == {True}
    found = build_price_comparison(*frames(world), OUTCOMES, SETS, platforms=PLATFORMS, max_skew_s=SKEW_S, suspects=[7])
    assert found.height == seen.height
    assert set(found["comparable"]) == {False}
    assert set(found["arb"]) == {False}
    assert set(found["best_platform"]) == {HOME}
    assert found["home_is_best"].null_count() == found["diff_abs"].null_count() == found.height


def test_two_outcomes_that_win_make_an_arbitrage_below_two():
    found = compare(
        {
            (1, HOME): Listing({DOUBLE: offered(1500, 1500, 1500)}),
            (1, "bet9ja"): Listing({DOUBLE: offered(1600, 1400, 1510)}),
        }
    )
    assert found["cross_book_sum_inverse"][0] == pytest.approx(1 / 1.6 + 1 / 1.5 + 1 / 1.51)
    assert set(found["arb"]) == {True}
    level = compare(
        {
            (1, HOME): Listing({DOUBLE: offered(1500, 1500, 1500)}),
            (1, "bet9ja"): Listing({DOUBLE: offered(1500, 1500, 1500)}),
        }
    )
    assert set(level["arb"]) == {False}, "a sum of exactly two wins nothing"


def test_without_a_complete_set_or_a_number_of_winners_there_is_no_sum():
    sold = {
        (1, HOME): Listing(
            {
                GOALS: offered(9000, 4000, 1300, None, None),
                EARLY: offered(3000, 3000, 3000),
                RESULT: offered(2000, None, 3000),
            }
        ),
        (1, "bet9ja"): Listing(
            {
                GOALS: offered(9500, 4500, None, 3000, 4000),
                EARLY: offered(3000, 3000, 3000),
                RESULT: offered(2000, 3000, 3000),
            }
        ),
    }
    found = compare(sold)
    goals = found.filter(market_key="exact_goals")
    assert set(goals["outcome_key"]) == {"0", "1", "2+", "2", "3+"}
    assert goals["cross_book_sum_inverse"].unique().to_list() == [
        pytest.approx(1 / 9.5 + 1 / 4.5 + 1 / 1.3)
    ]  # home sells the grid up to 2+
    for market in ("match_result_early_payout", "match_result"):
        assert found.filter(market_key=market)["cross_book_sum_inverse"].null_count() == 3
        assert found.filter(market_key=market)["arb"].null_count() == 3


def test_answers_too_far_apart_compare_with_nothing_and_make_nobody_best():
    world = {
        (1, HOME): Listing({TOTAL: offered(1900, 1900)}),
        (1, "sportybet"): Listing({TOTAL: offered(2500, 1500)}, age_s=121),
    }
    over = row(compare(world), "over", market="total_goals")
    assert (over["skew_s"], over["comparable"], over["best_platform"], over["best_odds"]) == (121.0, False, HOME, 1.9)
    assert [over[name] for name in ("home_is_best", "home_tied_best", "rank_home", "diff_rel")] == [None] * 4
    assert row(compare(world, max_skew_s=121), "over", market="total_goals")["comparable"]


def apart(first_s: float, second_s: float, **second: Market) -> World:
    """SportyBet and Bet9ja so many seconds after BetPawa (before it, when negative), each the best on one outcome."""
    late = max(first_s, second_s, 0)
    ours = {TOTAL: offered(1600, 1600), RESULT: offered(2000, 3000, 4000)}
    theirs = {TOTAL: offered(2500, 1500)}
    others = {TOTAL: second.get("total", offered(1500, 2500)), RESULT: offered(2100, 3100, 3900)}
    return {
        (1, HOME): Listing(ours, age_s=late),
        (1, "sportybet"): Listing(theirs, age_s=late - first_s),
        (1, "bet9ja"): Listing(others, age_s=late - second_s),
    }


def test_no_arbitrage_of_answers_that_are_each_near_home_and_far_from_each_other():
    together = compare(apart(-60, 60)).filter(market_key="total_goals")
    assert set(together["arb"]) == {True}
    assert together["cross_book_sum_inverse"].unique().to_list() == [pytest.approx(2 / 2.5)]
    found = compare(apart(-61, 60)).filter(market_key="total_goals")
    assert set(found["comparable"]) == {True}, "each is near home"
    assert set(found["arb"]) == {False}
    assert found["cross_book_sum_inverse"].unique().to_list() == [pytest.approx(1 / 1.6 + 1 / 2.5)]
    assert dict(found.select("outcome_key", "best_platform").unique().iter_rows()) == {
        "over": HOME,
        "under": "bet9ja",
    }, "the nearer to home stays"
    over = row(found, "over", market="total_goals")
    assert (over["home_is_best"], over["rank_home"]) == (False, 2), "two answers near each other are compared"


def test_of_two_as_near_to_home_the_more_trusted_stays():
    found = compare(apart(-100, 100)).filter(market_key="total_goals")
    assert dict(found.select("outcome_key", "best_platform").unique().iter_rows()) == {
        "over": "sportybet",
        "under": HOME,
    }


def test_who_does_not_list_a_market_keeps_nobody_from_it():
    found = compare(apart(-50, 100)).filter(market_key="match_result", platform="bet9ja")
    assert dict(found.select("outcome_key", "best_platform").iter_rows()) == {
        "home": "bet9ja",
        "draw": "bet9ja",
        "away": HOME,
    }


@pytest.mark.parametrize("total", [suspended(1500, 2500), no_price(2)])
def test_who_has_no_price_to_back_on_a_line_keeps_nobody_from_it(total: Market):
    """Bet9ja is nearer to home, and all of its market is held off; SportyBet can be backed."""
    found = compare(apart(-100, 50, total=total)).filter(market_key="total_goals", platform="sportybet")
    assert set(found["comparable"]) == {True}
    assert dict(found.select("outcome_key", "best_platform").iter_rows()) == {"over": "sportybet", "under": HOME}
    assert found["cross_book_sum_inverse"].unique().to_list() == [pytest.approx(1 / 2.5 + 1 / 1.6)]


def test_evens_are_no_price():
    world = {(1, HOME): Listing({TOTAL: offered(1000, 1900)}), (1, "sportybet"): Listing({TOTAL: offered(1000, 1500)})}
    assert compare(world)["outcome_key"].to_list() == ["under"]
    assert compare(world)["home_margin"].to_list() == [None]


def test_a_market_that_was_withdrawn_or_a_listing_that_was_dropped_is_not_listed():
    book = {TOTAL: offered(1900, 1900)}
    assert compare({(1, HOME): Listing(book), (1, "sportybet"): Listing({TOTAL: withdrawn(2)})}).is_empty()
    assert compare({(1, HOME): Listing({TOTAL: withdrawn(2)}), (1, "sportybet"): Listing(book)}).is_empty()
    assert compare({(1, HOME): Listing(book), (1, "sportybet"): Listing(book, dropped_s=30)}).is_empty()
    assert compare({(1, HOME): Listing(book, dropped_s=30), (1, "sportybet"): Listing(book)}).is_empty()
    assert (
        compare({(1, HOME): Listing(book), (1, "sportybet"): Listing({TOTAL: no_price(2)})})["platform_state"].to_list()
        == ["no_price"] * 2
    )


def test_prices_that_a_withdrawn_market_still_carries_are_none():
    """The history writes none; who gives them by mistake finds them nowhere."""
    stale = withdrawn(3).__class__((2000, 2000, 2000), "withdrawn")
    scores = {
        ("correct_score", "", "0:0"): offered(9000),
        ("correct_score", "", "1:0"): stale.__class__((7000,), "withdrawn"),
    }
    found = compare(
        {
            (1, HOME): Listing({RESULT: stale, **scores}),
            (1, "bet9ja"): Listing({RESULT: offered(2000, 3000, 4000), **scores}),
        }
    )
    assert found["outcome_key"].to_list() == ["0:0"]


def test_outcomes_with_a_row_of_their_own_are_compared_when_the_vocabulary_names_them():
    home = {
        ("correct_score", "", "0:0"): offered(9000),
        ("correct_score", "", "1:0"): withdrawn(1),
        ("anytime_goalscorer", "", "7"): offered(3000),
    }
    theirs = {
        ("correct_score", "", "0:0"): offered(8000),
        ("correct_score", "", "1:0"): offered(7000),
        ("anytime_goalscorer", "", "7"): offered(3500),
    }
    found = compare({(1, HOME): Listing(home), (1, "bet9ja"): Listing(theirs)})
    assert found.select("outcome_key", "home_state", "comparable", "home_is_best").rows() == [
        ("0:0", "offered", True, True),
        ("1:0", "withdrawn", False, None),
    ]
    assert found["cross_book_sum_inverse"].null_count() == 2


def test_an_outcome_without_a_name_is_refused():
    world = {
        (1, HOME): Listing({TOTAL: offered(1900, 1900, 5000)}),
        (1, "bet9ja"): Listing({TOTAL: offered(1900, 1900)}),
    }
    with pytest.raises(ValueError, match="no name is given for outcome 3 of market total_goals"):
        compare(world)


def test_two_listings_that_speak_for_one_platform_are_refused():
    markets, listings = frames({(1, HOME): Listing()})
    twice = pl.concat([listings, listings.with_columns(answered_at=pl.lit(ago(5)))])
    with pytest.raises(ValueError, match="2 primary listings of one platform"):
        build_price_comparison(markets, twice, OUTCOMES, SETS, platforms=PLATFORMS, max_skew_s=SKEW_S)


def test_an_array_from_before_the_vocabulary_grew_ends_earlier():
    world = {
        (1, HOME): Listing({RESULT: offered(2000, 3000)}),
        (1, "bet9ja"): Listing({RESULT: offered(2000, 3000, 4000)}),
    }
    found = compare(world)
    assert row(found, "away", "bet9ja")["home_state"] == "no_price"
    assert row(found, "home", "bet9ja")["comparable"]


def test_the_columns_are_those_of_the_tables():
    named = {"market_key", "specifier", "outcome"}
    assert {column.name for column in PriceComparison.__table__.columns} == (set(COMPARED_LINES_SCHEMA) - named) | {
        "line_id"
    }
    assert {column.name for column in ComparedListing.__table__.columns} == {
        *COMPARED_LISTINGS_SCHEMA,
        "home_platform",
        "mapping_version",
        "computed_at",
    }


def place_in(values: list[Any] | None, place: int) -> Any:
    return values[place] if values is not None and place < len(values) else None


def is_set(mask: int | None, place: int) -> bool:
    return bool((mask or 0) >> place & 1)


def shown(world: World) -> list[Row]:
    """The rows of a comparison as they follow from what is stored, walked through in plain Python."""
    markets, listings = frames(world)
    limits = {"platforms": PLATFORMS, "max_skew_s": SKEW_S}
    seen = {
        (each["sr_id"], each["platform"]): each for each in compare_listings(listings, **limits).iter_rows(named=True)
    }
    names = {
        (key, ordinal): outcome
        for key, ordinal, outcome in OUTCOMES.select("market_key", "ordinal", "outcome_key").iter_rows()
    }
    found = []
    for line in compare_lines(markets, listings, OUTCOMES, SETS, **limits).iter_rows(named=True):
        theirs = seen[line["sr_id"], line["platform"]]
        n = max(len(line[f"{side}_odds_milli"] or ()) for side in ("home", "platform"))
        for place in range(
            max(n, *(each.bit_length() for each in (line["home_off_mask"] or 0, line["platform_off_mask"] or 0)))
        ):
            milli = {side: place_in(line[f"{side}_odds_milli"], place) for side in ("home", "platform")}
            off = {side: is_set(line[f"{side}_off_mask"], place) for side in ("home", "platform")}
            if not any(off.values()) and all(each is None for each in milli.values()):
                continue
            states = {
                f"{side}_state": "suspended"
                if off[side]
                else "offered"
                if milli[side]
                else "withdrawn"
                if gone == "withdrawn"
                else "no_price"
                for side, gone in (("home", line["home_state"]), ("platform", line["platform_state"]))
            }
            comparable = theirs["comparable"] and set(states.values()) == {"offered"}
            rank, is_tied = place_in(line["rank_home"], place), is_set(line["home_tied_best_mask"], place)
            best = place_in(line["best_odds_milli"], place)
            margins = [line["home_margin"], line["platform_margin"]]
            found.append(
                {
                    **{
                        name: line[name]
                        for name in (
                            "sr_id",
                            "market_key",
                            "specifier",
                            "platform",
                            "home_margin",
                            "platform_margin",
                            "arb",
                        )
                    },
                    "outcome_key": line["outcome"] or names[line["market_key"], place + 1],
                    "as_of": theirs["as_of"],
                    **{f"{side}_odds": each and each / 1000 for side, each in milli.items()},
                    "home_last_confirmed_at": theirs["home_answered_at"],
                    "platform_last_confirmed_at": theirs["answered_at"],
                    "skew_s": theirs["skew_s"],
                    **states,
                    "comparable": comparable,
                    "diff_abs": (milli["home"] - milli["platform"]) / 1000 if comparable else None,
                    "diff_rel": milli["home"] / milli["platform"] - 1 if comparable else None,
                    **{
                        f"fair_{side}_prob": 1000 / milli[side] * line[f"{side}_share"]
                        if milli[side] and line[f"{side}_share"]
                        else None
                        for side in ("home", "platform")
                    },
                    "best_platform": place_in(line["best_platform"], place),
                    "best_odds": best and best / 1000,
                    "home_is_best": None if rank is None else rank == 1 and not is_tied,
                    "home_tied_best": None if rank is None else is_tied,
                    "rank_home": rank,
                    "margin_diff": None if None in margins else margins[0] - margins[1],
                    "cross_book_sum_inverse": line["cross_book_sum_inverse"],
                }
            )
    return found


@given(world=worlds())
def test_what_is_stored_of_a_line_says_all_that_a_comparison_shows_of_its_outcomes(world: World):
    found = pl.DataFrame(shown(world), schema=COMPARISON_SCHEMA).sort(COMPARISON_KEY)
    assert_frame_equal(found, compare(world), check_exact=True)


@given(world=worlds())
def test_a_line_is_stored_when_it_shows_an_outcome_and_once(world: World):
    stored = compare_lines(*frames(world), OUTCOMES, SETS, platforms=PLATFORMS, max_skew_s=SKEW_S)
    assert stored.schema == pl.Schema(COMPARED_LINES_SCHEMA)
    assert not stored.select("sr_id", "market_key", "specifier", "outcome", "platform").is_duplicated().any()
    markets = ["sr_id", "market_key", "specifier", "platform"]
    assert_frame_equal(
        stored.select(markets).unique().sort(markets), compare(world).select(markets).unique().sort(markets)
    )


def test_listings_say_when_they_were_seen_and_whether_they_are_comparable():
    world = {
        (7, HOME): Listing({TOTAL: offered(1900, 1900)}, age_s=10),
        (7, "sportybet"): Listing(age_s=131),
        (7, "bet9ja"): Listing(age_s=130),
        (8, HOME): Listing(age_s=30),
        (8, "sportybet"): Listing(age_s=30, dropped_s=0),
        (9, HOME): Listing(age_s=None),
    }
    _, listings = frames(world)
    found = compare_listings(listings, platforms=PLATFORMS, max_skew_s=SKEW_S).sort("sr_id", "platform")
    assert found.schema == pl.Schema(COMPARED_LISTINGS_SCHEMA)
    assert found.select(
        "sr_id", "platform", "comparable", "answered_at", "home_answered_at", "skew_s", "dropped_at", "as_of"
    ).rows() == [
        (7, "bet9ja", True, ago(130), ago(10), 120, None, ago(10)),
        (7, HOME, False, ago(10), ago(10), None, None, ago(10)),
        (7, "sportybet", False, ago(131), ago(10), 121, None, ago(10)),
        (8, HOME, False, ago(30), ago(30), None, None, NOON),
        (8, "sportybet", False, ago(30), ago(30), None, ago(0), NOON),
    ]
    doubtful = compare_listings(listings, platforms=PLATFORMS, max_skew_s=SKEW_S, suspects=[7])
    assert not doubtful["comparable"].any()


@given(world=worlds(), seed=st.integers(0, 99))
def test_order_and_repetition_of_rows_change_nothing(world: World, seed: int):
    markets, listings = frames(world)
    found = build_price_comparison(
        disordered(markets, seed), disordered(listings, seed), OUTCOMES, SETS, platforms=PLATFORMS, max_skew_s=SKEW_S
    )
    assert_frame_equal(found.sort(COMPARISON_KEY), compare(world), check_exact=True)


@given(world=worlds())
def test_fixtures_and_competitors_that_are_left_out_change_no_row_of_the_others(world: World):
    found = compare(world)
    alone = {key: listing for key, listing in world.items() if key[0] == 1}
    assert_frame_equal(compare(alone), found.filter(sr_id=1), check_exact=True)
    of_pair = [
        "best_platform",
        "best_odds",
        "home_is_best",
        "home_tied_best",
        "rank_home",
        "cross_book_sum_inverse",
        "arb",
        "as_of",
    ]
    pair = compare(world, platforms=(HOME, "bet9ja"))
    assert_frame_equal(pair.drop(of_pair), found.filter(platform="bet9ja").drop(of_pair), check_exact=True)


@given(world=worlds())
def test_what_must_hold_of_any_rows(world: World):
    found = compare(world)
    assert not found.select(COMPARISON_KEY).is_duplicated().any()
    comparable = found.filter("comparable")
    assert (
        comparable.select("home_odds", "platform_odds", "diff_abs", "best_odds", "rank_home")
        .null_count()
        .sum_horizontal()
        .item()
        == 0
    )
    assert (comparable["best_odds"] >= comparable["home_odds"]).all()
    best = comparable.filter(pl.col("best_platform") == pl.col("platform"))
    assert (best["best_odds"] == best["platform_odds"]).all()
    assert not (found["home_is_best"].fill_null(value=False) & found["home_tied_best"].fill_null(value=False)).any()
    first = found.filter(pl.col("rank_home").is_not_null())
    assert ((first["rank_home"] == 1) == (first["home_is_best"] | first["home_tied_best"])).all()
    assert found.filter(~pl.col("comparable"))["diff_abs"].null_count() == found.filter(~pl.col("comparable")).height
    for side in ("home", "platform"):
        probabilities = found[f"fair_{side}_prob"].drop_nulls()
        assert probabilities.is_between(0, 1, closed="none").all()
        assert (
            found.filter(pl.col(f"{side}_state") == "suspended")[f"{side}_margin"].null_count()
            == (found[f"{side}_state"] == "suspended").sum()
        )


@given(first_s=st.integers(-150, 150), second_s=st.integers(-150, 150))
def test_all_legs_of_a_market_are_within_the_limit_of_each_other(first_s: int, second_s: int):
    world = apart(first_s, second_s)
    at = {platform: ago(listing.age_s) for (_, platform), listing in world.items()}
    for _, market in compare(world).group_by("market_key"):
        answered = [at[platform] for platform in market["best_platform"].unique()]
        assert (max(answered) - min(answered)).total_seconds() <= SKEW_S


def test_nothing_comes_of_nothing():
    markets, listings = frames({})
    found = build_price_comparison(markets, listings, OUTCOMES, SETS, platforms=PLATFORMS, max_skew_s=SKEW_S)
    assert found.schema == pl.Schema(COMPARISON_SCHEMA)
    assert found.is_empty()
    assert compare({(1, HOME): Listing({TOTAL: offered(1900, 1900)})}).is_empty()
    assert compare({(1, HOME): Listing({}, age_s=None), (1, "bet9ja"): Listing({}, age_s=None)}).is_empty()
