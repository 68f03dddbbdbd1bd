"""Recorded books of all seven bookmakers in one instance: from the import over the backfill to the marts.

One fixture, Norway against France of the World Cup, was recorded on five platforms on one day.
"""

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import dagster as dg
import polars as pl
import pytest
from rich.console import Console

from palimpsest_pipeline.operate.backfill.backfill import run_backfill
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.replay_plan import plan_hours
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline_tests.fixtures.all_recordings import NORWAY_FRANCE, write_all_recordings
from palimpsest_pipeline_tests.fixtures.landed import import_recorded
from palimpsest_pipeline_tests.fixtures.pipeline import pipelines, rows
from palimpsest_pipeline_tests.fixtures.recordings import DETAILS
from palimpsest_pipeline_tests.matching import norway_france

pytestmark = pytest.mark.slow  # each of the eight hours is derived to its marts
PLATFORMS: Final = ("betpawa", "sportybet", "bet9ja", "msport", "betway")
"""Those on which Norway against France was recorded."""
FILES: Final = {
    **{platform: file for file, platform, *_ in DETAILS[:3]},
    "msport": "msport/wc_nf.json",
    "betway": "betway/wc_nf.json",
}
"""The recorded answer of the match on each of them, from the folder of the samples."""
BOOKS: Final = {
    "bet9ja": (3, 765, 765, 2421),
    "betika": (3, 71, 71, 244),
    "betpawa": (2, 260, 260, 1220),
    "betway": (3, 298, 295, 1618),
    "msport": (4, 1213, 1195, 6489),
    "sportpesa": (1, 59, 59, 196),
    "sportybet": (3, 1380, 1380, 6215),
}
"""Platform to its recorded books, their lines, the mapped ones and their prices: as `palimpsest platforms check` counts
them without a database.
"""
HOURS: Final = 8
"""UTC hours in which the answers were recorded: each is a cycle."""


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
def recordings(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the recorded books."""
    return write_all_recordings(samples, tmp_path_factory.mktemp("recordings") / "seven")


@pytest.fixture(scope="module")
def imported(
    recordings: Path, postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pipeline]:
    """A pipeline that imported the books and backfilled their hours. The tests only read it."""
    with pipelines(postgres, tmp_path_factory.mktemp("imported")) as make:
        pipeline = make(platforms=",".join(["betpawa", *sorted(BOOKS.keys() - {"betpawa"})]))
        assert len(import_recorded(pipeline, recordings)) == HOURS
        with dg.DagsterInstance.ephemeral() as instance:
            report = run_backfill(pipeline, instance, plan_hours(pipeline, None, None), Console(file=io.StringIO()))
        assert (len(report.done), report.is_complete) == (HOURS, True), report
        yield pipeline


def test_core_has_every_book_with_its_lines_and_prices(imported: Pipeline) -> None:
    query = """
        select i.platform, count(*), sum(n_markets_listed), sum(n_markets_mapped), sum(n_prices)
        from core.captures c join ops.listing_ids i using (listing_id) group by i.platform
    """
    assert {platform: tuple(map(int, counts)) for platform, *counts in rows(imported, query)} == BOOKS
    assert rows(imported, "select * from core.rejects") == []


def test_the_five_listings_are_one_matched_event(imported: Pipeline) -> None:
    query = "select sr_id, kickoff, platforms, external_ids from palimpsest.matched_events where n_platforms > 1"
    assert rows(imported, query) == [
        (
            NORWAY_FRANCE,
            datetime(2026, 6, 26, 19, tzinfo=UTC),
            list(PLATFORMS),
            {
                "betpawa": "35429065",
                "sportybet": "sr:match:66457014",
                "bet9ja": "782203257",
                "msport": "sr:match:66457014",
                "betway": "66457014",
            },
        )
    ]


def test_mapping_coverage_counts_the_lines_of_every_platform(imported: Pipeline) -> None:
    query = "select platform, sum(n_markets_seen), sum(n_mapped) from mart.mapping_coverage group by platform"
    found = {platform: (int(n_lines), int(n_mapped)) for platform, n_lines, n_mapped in rows(imported, query)}
    assert found == {platform: counts[1:3] for platform, counts in BOOKS.items()}


@pytest.mark.parametrize(
    "table", ["availability_interval", "listing_lead_time", "market_margin", "open_close", "run_quality"]
)
def test_every_mart_of_a_fixtures_life_has_all_platforms(imported: Pipeline, table: str) -> None:
    found = {platform for (platform,) in rows(imported, f"select distinct platform::text from mart.{table}")}
    assert found == BOOKS.keys()


def test_every_book_that_was_read_is_stored_however_many_answers_it_has(imported: Pipeline) -> None:
    query = "select distinct platform::text, completeness from mart.run_quality where stage = 'storage'"
    assert set(rows(imported, query)) == {(platform, "complete") for platform in BOOKS}


def test_coverage_has_every_platform(imported: Pipeline) -> None:
    query = "select distinct platform from mart.match_rate_platform"
    assert {platform for (platform,) in rows(imported, query)} == {"all", *BOOKS}
    query = "select cardinality(platforms) from mart.coverage_fixture where sr_id = %s"
    assert set(rows(imported, query, NORWAY_FRANCE)) == {(5,)}


def test_prices_of_the_match_are_read_on_each_of_its_platforms(imported: Pipeline) -> None:
    query = """
        select platform, count(*) from palimpsest.prices_as_of('2026-06-26 11:00Z', %s)
        where market_key = 'match_result' and is_active group by platform
    """
    assert dict(rows(imported, query, NORWAY_FRANCE)) == dict.fromkeys(
        ("betpawa", "sportybet", "bet9ja", "msport", "betway"), 3
    )


@pytest.mark.parametrize("platform", PLATFORMS)
def test_prices_are_as_many_as_counted_by_other_means(platform: str, imported: Pipeline, samples: Path) -> None:
    body = json.loads((samples / FILES[platform]).read_bytes())
    assert count_prices(platform, body) == PRICED[platform]
    query = """
        select c.n_prices, c.n_prices_merged from core.captures c join core.event_listings e using (listing_id)
        where e.fixture_sr_id = %s and e.platform = %s
    """
    assert rows(imported, query, NORWAY_FRANCE, platform) == [
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
    found = rows(pipeline, query, AFTER_ALL, NORWAY_FRANCE)
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


def test_the_same_bet_is_found_on_all_five_books_in_the_same_words(imported: Pipeline) -> None:
    found = rows(
        imported,
        """select e.platform, k.odds_milli from core.current_markets k join ops.market_lines l using (line_id) join core.markets m using (market_id)
           join core.event_listings e using (listing_id)
           where e.fixture_sr_id = %s and m.market_key = 'total_goals' and l.specifier = 'total=2.5' order by 1""",
        NORWAY_FRANCE,
    )
    assert [p for p, _ in found] == sorted(PLATFORMS)
    for _, (over, under) in found:
        assert 1 < 1000 / over + 1000 / under < 1.12


def test_the_players_of_the_fixture_are_linked_as_a_person_links_them_and_never_wrongly(imported: Pipeline) -> None:
    found = rows(
        imported,
        """select i.name, i.sr_player_id, i.evidence, i.status from palimpsest.player_identities i
           join core.player_links l using (platform, external_player_id) where l.fixture_sr_id = %s and platform = 'betpawa'""",
        NORWAY_FRANCE,
    )
    same = norway_france.SAME | norway_france.SAME_ON_MSPORT
    expected = [(name, sr_id, "same_name", "proposed") for name, sr_id in same.items()]
    longer = norway_france.LONGER_OR_SHORTER.items() - same.items()
    expected += [(name, sr_id, "name_contained", "proposed") for name, sr_id in longer]
    expected += [(name, None, None, "none") for name in norway_france.NOT_BY_WORDS]
    assert sorted(found) == sorted(expected)
    assert len(found) == 52


def test_every_scorer_of_the_other_platform_is_found_under_the_proposed_player(imported: Pipeline) -> None:
    """The market that both sell to the same players: prices of one man on two books lie near each other."""
    found = rows(
        imported,
        """with scorers as (
               select e.platform, i.sr_player_id, i.evidence, k.odds_milli[1] as odds from core.current_markets k
               join ops.market_lines l using (line_id) join core.markets m using (market_id) join core.event_listings e using (listing_id)
               join palimpsest.player_identities i on i.platform = e.platform and i.external_player_id = l.outcome
               where e.fixture_sr_id = %s and m.market_key = 'anytime_goalscorer'
           )
           select b.odds::float / s.odds, b.evidence from scorers b join scorers s using (sr_player_id)
           where b.platform = 'betpawa' and s.platform = 'sportybet'""",
        NORWAY_FRANCE,
    )
    assert len(found) == 45
    assert sum(evidence == "same_name" for _, evidence in found) == 31
    assert all(0.5 < ratio < 2 for ratio, _ in found), found


def test_players_have_names_in_the_views_of_odds(imported: Pipeline) -> None:
    found = rows(
        imported,
        """select distinct o ->> 'name' from palimpsest.competitor_market_odds m, jsonb_array_elements(m.outcomes) o
           where m.snapshot_id in (select id from palimpsest.competitor_odds_snapshots) and m.betpawa_market_id = '129108'""",
    )
    names = {name for (name,) in found}
    assert {"Heevits, Entudr", "Mlivte, Kiguit"} <= names
    assert not [name for name in names if name.startswith("sr:player:")]


def test_counts_of_markets_count_markets_and_not_rows(imported: Pipeline) -> None:
    found = rows(
        imported,
        """select c.n_markets_listed, c.n_markets_mapped, c.n_markets_priced,
                  (select count(distinct (l.market_id, l.specifier)) from core.market_changes m join ops.market_lines l using (line_id)
                   where m.listing_id = c.listing_id and m.observed_at = c.observed_at and m.state = 'offered')
           from core.captures c""",
    )
    assert len(found) == sum(n_books for n_books, *_ in BOOKS.values())
    for listed, mapped, priced, offered in found:
        assert 0 < mapped <= listed
        assert priced == offered > 0


def test_details_alone_conclude_no_absence(imported: Pipeline) -> None:
    classes = rows(imported, "select sr_id, fixture_class, evidence from mart.coverage_fixture")
    assert (NORWAY_FRANCE, "matched", "partial") in classes
    assert {c for sr_id, c, _ in classes if sr_id != NORWAY_FRANCE} == {"undetermined"}
    assert {e for _, _, e in classes} == {"partial"}
    rates = rows(imported, "select completeness, n_home_only, n_competitor_only from mart.match_rate_platform")
    assert {r[0] for r in rates} == {"partial"}
    assert sum(r[1] + r[2] for r in rates) == 0


def test_importing_twice_changes_nothing(imported: Pipeline, recordings: Path) -> None:
    before = {m.cycle_id: m.digest for m in imported.landing.list_cycles()}
    assert import_recorded(imported, recordings) == []
    assert {m.cycle_id: m.digest for m in imported.landing.list_cycles()} == before
