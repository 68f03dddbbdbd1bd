"""Prices: one model behind all markets, a margin per book, drift and suspensions by the clock, and equal values in
every platform's own writing.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.simulator.book import MARGIN_BY_PLATFORM, BookGenerator, quote_odds
from palimpsest_pipeline.simulator.pricing import Chance, ExpectedCounts, MatchModel
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline.simulator.timeline import Timeline
from palimpsest_pipeline.simulator.world import build_world
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA, PLATFORMS, SPORTYBET

from .reading import detail

EPOCH = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
Start = Callable[..., SimulatorProcess]
goals = st.floats(0.2, 3.5)


@given(goals, goals)
def test_markets_of_one_match_agree_with_each_other(home: float, away: float) -> None:
    model = MatchModel(ExpectedCounts(home, away, 5.0, 4.5, 2.0, 2.2))
    result = model.compute_chances("match_result", "", ("home", "draw", "away"))
    double = model.compute_chances("double_chance", "", ("home_or_draw", "draw_or_away", "home_or_away"))
    totals = model.compute_chances("total_goals", "2.5", ("over", "under"))
    combined = model.compute_chances(
        "match_result_and_total_goals",
        "2.5",
        tuple(f"{r}_{t}" for r in ("home", "draw", "away") for t in ("over", "under")),
    )
    no_bet = model.compute_chances("draw_no_bet", "", ("home", "away"))
    level = model.compute_chances("asian_handicap", "0", ("home", "away"))
    half = model.compute_chances("asian_handicap", "-0.5", ("home", "away"))
    assert sum(one.win for one in result.values()) == pytest.approx(1)
    assert double["home_or_draw"].win == pytest.approx(result["home"].win + result["draw"].win)
    assert combined["home_over"].win + combined["draw_over"].win + combined["away_over"].win == pytest.approx(
        totals["over"].win
    )
    assert (no_bet["home"].win, no_bet["home"].refund) == pytest.approx((level["home"].win, level["home"].refund))
    assert half["home"].win == pytest.approx(result["home"].win)


@given(goals, goals)
def test_an_early_payout_never_lowers_the_chance(home: float, away: float) -> None:
    model = MatchModel(ExpectedCounts(home, away, 5.0, 4.5, 2.0, 2.2))
    plain = model.compute_chances("match_result", "", ("home", "draw", "away"))
    one_up = model.compute_chances("match_result_1up", "", ("home", "draw", "away"))
    two_up = model.compute_chances("match_result_2up", "", ("home", "draw", "away"))
    for side in ("home", "away"):
        assert plain[side].win <= two_up[side].win <= one_up[side].win <= 1


@pytest.mark.parametrize("platform", list(PLATFORMS))
def test_a_book_takes_its_margin(platform: Platform) -> None:
    odds = [quote_odds(platform, Chance(chance)) for chance in (0.45, 0.27, 0.28)]
    assert sum(1 / one for one in odds if one) == pytest.approx(1 + MARGIN_BY_PLATFORM[platform], abs=0.02)


def test_mean_number_of_pairs_is_near_what_was_measured() -> None:
    listings = build_world(7, 1500, EPOCH).listings
    for platform, expected in ((BETPAWA, 47), (SPORTYBET, 180), (BET9JA, 160)):
        assert mean(one.n_pairs for one in listings[platform] if not one.is_duplicate) == pytest.approx(
            expected, rel=0.12
        )


def test_prices_drift_and_markets_are_suspended_and_come_back() -> None:
    timeline = Timeline(build_world(7, 40, EPOCH))
    books = BookGenerator(timeline)
    listing = max(timeline.world.listings[SPORTYBET], key=lambda one: one.fixture.kickoff_at)
    instants = [EPOCH + timedelta(minutes=10 * step) for step in range(12)]
    shown = [
        {
            (one.market.native_id, one.line): (one.is_suspended, [price.odds for price in one.prices])
            for one in books.list_lines(listing, at)
        }
        for at in instants
    ]
    assert len({str(one["1", ""][1]) for one in shown}) > 1
    states = {key: [one[key][0] if key in one else None for one in shown] for key in shown[0]}
    assert any(True in state and False in state[state.index(True) :] for state in states.values())
    assert any(None in state for state in states.values())
    assert sum(state[0] is False for state in states.values()) > 0.9 * len(states)


def test_every_platform_writes_the_price_that_its_book_holds(start_simulator: Start) -> None:
    simulator = start_simulator(40)
    everywhere = [fixture for fixture in simulator.fetch_truth()["fixtures"] if len(fixture["platforms"]) == 3][:6]
    compared = 0
    for fixture in everywhere:
        for platform in PLATFORMS:
            external_id = fixture["platforms"][platform][0]
            held = [
                line
                for line in simulator.fetch_book(platform, external_id)
                if line["key"] == "match_result" and not line["suspended"]
            ]
            written = detail(simulator, platform, external_id)
            if not held:
                continue
            home = held[0]["odds"]["home"]
            if platform == BETPAWA:
                prices = [
                    market["row"][0]["prices"][0]["odds"]
                    for market in written["markets"]
                    if market["marketType"]["id"] == "3743"
                ]
            elif platform == SPORTYBET:
                prices = [
                    float(market["outcomes"][0]["odds"]) for market in written["data"]["markets"] if market["id"] == "1"
                ]
            else:
                prices = [float(written["D"]["O"]["S_1X2_1"])]
            assert prices in ([], [pytest.approx(home, rel=0.06)])
            compared += len(prices)
    assert compared > 10


def test_betpawa_counts_its_distinct_lines_and_splits_them_into_rows(start_simulator: Start) -> None:
    simulator = start_simulator(40)
    ids = [
        fixture["platforms"]["betpawa"][0]
        for fixture in simulator.fetch_truth()["fixtures"]
        if "betpawa" in fixture["platforms"]
    ][:12]
    for external_id in ids:
        event = detail(simulator, BETPAWA, external_id)
        pairs = {
            (market["marketType"]["id"], row.get("handicap")) for market in event["markets"] for row in market["row"]
        }
        assert len(pairs) == int(event["totalMarketCount"])
