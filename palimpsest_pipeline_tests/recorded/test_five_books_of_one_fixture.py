"""World Cup, Norway against France, as five platforms answered on one day: one fixture, every price, few differences."""

import json
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import polars as pl
import pytest

from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline_tests.fixtures.five_books import FILES, PLATFORMS, SR_ID, write_five_books
from palimpsest_pipeline_tests.fixtures.landed import import_recorded
from palimpsest_pipeline_tests.fixtures.pipeline import pipelines, run_here

AFTER_ALL: Final = "2026-06-26T11:00:00Z"

PRICED: Final = {"betpawa": 853, "sportybet": 4861, "bet9ja": 1307, "msport": 4595, "betway": 1447}
"""Prices above 1.00 in the recorded answers, counted with jq:

betpawa    jq '[.markets[].row[].prices[] | select((.price // 0) > 1)] | length'
sportybet  jq '[.data.markets[].outcomes[] | select((.odds | tonumber) > 1)] | length'
bet9ja     jq '[.D.O[] | select(tonumber > 1)] | length'
msport     jq '[.data.markets[].outcomes[] | select((.odds | tonumber) > 1)] | length'
betway     jq '[.prices[] | select(.priceDecimal > 1)] | length'
"""
WITHOUT_MARKET: Final = {"betpawa": 0, "sportybet": 0, "bet9ja": 0, "msport": 305, "betway": 3}
"""Those that have no market of ours, counted with jq by the platform's own ids.

MSport: 302 of whole markets (1577 and 1628, whose rules are not known; 3000003 and 3000004, whose line is in each
outcome's name), and 3 of certain or impossible outcomes, which no other book lists.
msport     jq '[.data.markets[] | .id as $m | .outcomes[] | select((.odds | tonumber) > 1)
               | select(($m | IN(1577, 1628, 3000003, 3000004)) or ($m >= 1000000 and (.id
               | IN("0-5+", "0-3+", "300000608", "300000708", "300000808"))))] | length'
Betway: its payout at three goals ahead, which no other book has.
betway     jq '[.prices[] | select(.priceDecimal > 1 and (.outcomeId | contains("1601xup=3~")))] | length'
"""
SOLD_TWICE: Final = {"betpawa": 0, "sportybet": 128, "bet9ja": 0, "msport": 0, "betway": 0}
"""Those of bets that SportyBet sells under two market ids, from two feeds: the first feed's lines are kept."""

FEED_IS_WRONG: Final = "BetPawa's feed is wrong: all six prices of the line are about 0.56 of the other books'"
FEWER_FOULS: Final = "SportyBet's market of two sides expects fewer fouls than its own ladder of n+ and than Bet9ja"
LOADED_RANGES: Final = "SportyBet loads about 0.14 on the usual ranges of goals"
OTHER_FEED: Final = "SportyBet's one-sided ladder is of another feed, and books count cards by their own rules"
ONE_SIDE: Final = "one side only on either book: a margin of unknown size on it"
EXPLAINED: Final = {
    "double_chance_and_total_goals": ("betpawa", FEED_IS_WRONG),
    "total_fouls": ("sportybet", FEWER_FOULS),
    "home_total_fouls": ("sportybet", FEWER_FOULS),
    "away_total_fouls": ("sportybet", FEWER_FOULS),
    "total_fouls_1h": ("sportybet", FEWER_FOULS),
    "multigoals": ("sportybet", LOADED_RANGES),
    "total_bookings_2h": ("sportybet", OTHER_FEED),
    "total_shots_on_target_2h": ("sportybet", ONE_SIDE),
    "player_left_foot_shots_on_target": ("sportybet", ONE_SIDE),
    "player_right_foot_shots_on_target": ("sportybet", ONE_SIDE),
    "player_fouls_won": ("sportybet", ONE_SIDE),
}
"""The platform without which no pair of the market is far apart, and why."""
FAR: Final = 0.12


@pytest.fixture(scope="module")
def imported(samples: Path, postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A pipeline that imported the five books and derived their day. The tests only read it."""
    folder = write_five_books(samples, tmp_path_factory.mktemp("recordings") / "five")
    with pipelines(postgres, tmp_path_factory.mktemp("imported")) as make:
        pipeline = make(platforms=",".join(PLATFORMS))
        (manifest,) = import_recorded(pipeline, folder)
        outcome = run_here(pipeline, "replay", manifest.partition_hour.date())
        assert outcome.success, outcome.error
        yield pipeline


def rows(pipeline: Pipeline, query: str, *params: Any) -> list[tuple[Any, ...]]:
    with pipeline.connect() as conn:
        return conn.execute(query.encode(), params).fetchall()


def test_the_five_listings_are_one_matched_event(imported: Pipeline) -> None:
    (event,) = rows(imported, "select sr_id, platforms, n_platforms, external_ids from palimpsest.matched_events")
    assert event == (
        SR_ID,
        list(PLATFORMS),
        5,
        {
            "betpawa": "35429065",
            "sportybet": "sr:match:66457014",
            "bet9ja": "782203257",
            "msport": "sr:match:66457014",
            "betway": "66457014",
        },
    )
    assert rows(imported, "select platform from core.rejects where whole_answer") == []


@pytest.mark.parametrize("platform", PLATFORMS)
def test_prices_are_as_many_as_counted_by_other_means(platform: str, imported: Pipeline, samples: Path) -> None:
    body = json.loads((samples / FILES[platform]).read_bytes())
    assert count_prices(platform, body) == PRICED[platform]
    query = """
        select c.n_prices, c.n_prices_merged from core.captures c join core.event_listings e using (listing_id)
        where e.fixture_sr_id = %s and e.platform = %s
    """
    assert rows(imported, query, SR_ID, platform) == [
        (PRICED[platform] - WITHOUT_MARKET[platform] - SOLD_TWICE[platform], SOLD_TWICE[platform])
    ]


def count_prices(platform: str, body: Any) -> int:
    """Count the prices above 1.00 in a recorded answer, by plain JSON."""
    if platform == "betpawa":
        prices = [price["price"] or 0 for market in body["markets"] for row in market["row"] for price in row["prices"]]
    elif platform == "bet9ja":
        prices = list(body["D"]["O"].values())
    elif platform == "betway":
        prices = [price["priceDecimal"] for price in body["prices"]]
    else:
        prices = [outcome["odds"] for market in body["data"]["markets"] for outcome in market["outcomes"]]
    return sum(float(price) > 1 for price in prices)


def test_few_prices_of_two_books_are_far_apart_and_each_has_a_reason(imported: Pipeline) -> None:
    pairs = pair_prices(imported)
    far = pairs.filter(pl.col("apart") > FAR)
    assert pairs.height > 9000
    assert {frozenset(two) for two in pairs.select("platform", "platform_other").unique().iter_rows()} == {
        frozenset(two) for two in combinations(PLATFORMS, 2)
    }
    assert 0 < far.height <= 0.01 * pairs.height
    for market, platform, other in far.select("market_key", "platform", "platform_other").iter_rows():
        assert EXPLAINED[market][0] in (platform, other), (market, platform, other)


def pair_prices(pipeline: Pipeline) -> pl.DataFrame:
    """The prices of one bet on two platforms, and how far apart their implied probabilities are."""
    query = "select platform, market_key, specifier, outcome_key, odds from palimpsest.prices_as_of(%s::timestamptz, %s) where is_active"
    found = rows(pipeline, query, AFTER_ALL, SR_ID)
    prices = pl.DataFrame(
        [(*bet, float(odds)) for *bet, odds in found],
        schema=["platform", "market_key", "specifier", "outcome", "odds"],
        orient="row",
    )
    bet = ["market_key", "specifier", "outcome"]
    return pl.concat(
        prices.filter(platform=first).join(prices.filter(platform=second), on=bet, suffix="_other")
        for first, second in combinations(PLATFORMS, 2)
    ).with_columns(apart=(1 / pl.col("odds") - 1 / pl.col("odds_other")).abs())
