"""Real captured answers, imported and backfilled through the Dagster job: what Postgres then says of them."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline_tests.fixtures.landed import import_recorded
from palimpsest_pipeline_tests.fixtures.pipeline import pipelines, run_here
from palimpsest_pipeline_tests.fixtures.platforms import BETPAWA
from palimpsest_pipeline_tests.fixtures.recordings import DETAILS, REFUSED, write_recordings
from palimpsest_pipeline_tests.matching import norway_france

NORWAY_FRANCE = 66457014
SOLD_TWICE = {"betpawa": 0, "sportybet": 128, "bet9ja": 0}
"""Prices of bets that a platform sells under two market ids, from two feeds: SportyBet has its statistics as ladders
(800...) and as totals (900...). The lines of the first feed that lists a market are kept."""
HOUR = datetime(2026, 6, 26, 10, tzinfo=UTC)


@pytest.fixture(scope="module")
def recordings(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recordings(samples, tmp_path_factory.mktemp("recordings") / "folder")


@pytest.fixture(scope="module")
def imported(
    recordings: Path, postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pipeline]:
    """A pipeline into which all captured details were imported and their days derived. The tests only read it."""
    with pipelines(postgres, tmp_path_factory.mktemp("imported")) as make:
        pipeline = make()
        manifests = import_recorded(pipeline, recordings, BETPAWA)
        for day in sorted({m.partition_hour.date() for m in manifests}):
            outcome = run_here(pipeline, "replay", day)
            assert outcome.success, outcome.error
        yield pipeline


def rows(pipeline: Pipeline, query: str, *params: Any) -> list[tuple[Any, ...]]:
    with pipeline.connect() as conn:
        return conn.execute(query, params).fetchall()


def priced_outcomes(samples: Path, platform: str) -> list[tuple[str, str]]:
    """(market id, outcome) of every price above 1.00 in the raw capture of Norway-France, counted without any of the
    pipeline's code.
    """
    file = next(f for f, p, *_ in DETAILS if p == platform and ("norway_france" in f or "113_markets" in f))
    body = json.loads((samples / file).read_bytes())
    if platform == "betpawa":
        return [
            (market["marketType"]["id"], price["id"])
            for market in body["markets"]
            for row in market["row"]
            for price in row["prices"]
            if (price["price"] or 0) > 1
        ]
    if platform == "sportybet":
        return [
            (market["id"], f"{market.get('specifier')} {outcome['id']}")
            for market in body["data"]["markets"]
            for outcome in market["outcomes"]
            if float(outcome["odds"]) > 1
        ]
    return [
        ("_".join(key.split("_")[:2]).split("@")[0], key) for key, price in body["D"]["O"].items() if float(price) > 1
    ]


def test_one_fixture_is_matched_on_all_three_platforms(imported: Pipeline):
    ((sr_id, kickoff, platforms, ids),) = rows(
        imported, "select sr_id, kickoff, platforms, external_ids from palimpsest.matched_events"
    )
    assert sr_id == NORWAY_FRANCE
    assert kickoff == datetime(2026, 6, 26, 19, tzinfo=UTC)
    assert platforms == ["betpawa", "sportybet", "bet9ja"]
    assert ids == {"betpawa": "35429065", "sportybet": "sr:match:66457014", "bet9ja": "782203257"}


@pytest.mark.parametrize("platform", ["betpawa", "sportybet", "bet9ja"])
def test_every_price_is_stored_or_counted_as_unmapped(platform: str, imported: Pipeline, samples: Path):
    ((stored, merged),) = rows(
        imported,
        """select n_prices, n_prices_merged from core.captures c join core.event_listings e using (listing_id)
           where e.fixture_sr_id = %s and e.platform = %s""",
        NORWAY_FRANCE,
        platform,
    )
    unmapped = {
        market
        for (market,) in rows(
            imported,
            "select external_market_id from core.unmapped_markets join core.cycles using (cycle_id) where partition_hour = %s and platform = %s",
            HOUR,
            platform,
        )
    }
    mapped = {(market, outcome) for market, outcome in priced_outcomes(samples, platform) if market not in unmapped}
    assert stored + merged == len(mapped)
    assert merged == SOLD_TWICE[platform]
    assert stored > 500


def test_the_same_bet_is_found_on_all_three_books_in_the_same_words(imported: Pipeline):
    found = rows(
        imported,
        """select e.platform, k.odds_milli from core.current_markets k join ops.market_lines l using (line_id) join core.markets m using (market_id)
           join core.event_listings e using (listing_id)
           where e.fixture_sr_id = %s and m.market_key = 'total_goals' and l.specifier = 'total=2.5' order by 1""",
        NORWAY_FRANCE,
    )
    assert [p for p, _ in found] == ["bet9ja", "betpawa", "sportybet"]
    for _, (over, under) in found:
        assert 1 < 1000 / over + 1000 / under < 1.12


def test_the_players_of_the_fixture_are_linked_as_a_person_links_them_and_never_wrongly(imported: Pipeline):
    found = rows(
        imported,
        """select i.name, i.sr_player_id, i.evidence, i.status from palimpsest.player_identities i
           join core.player_links l using (platform, external_player_id) where l.fixture_sr_id = %s and platform = 'betpawa'""",
        NORWAY_FRANCE,
    )
    expected = [(name, sr_id, "same_name", "proposed") for name, sr_id in norway_france.SAME.items()]
    expected += [(name, sr_id, "name_contained", "proposed") for name, sr_id in norway_france.LONGER_OR_SHORTER.items()]
    expected += [(name, None, None, "none") for name in norway_france.NOT_BY_WORDS]
    assert sorted(found) == sorted(expected)
    assert len(found) == 52


def test_every_scorer_of_the_other_platform_is_found_under_the_proposed_player(imported: Pipeline):
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


def test_players_have_names_in_the_views_of_odds(imported: Pipeline):
    found = rows(
        imported,
        """select distinct o ->> 'name' from palimpsest.competitor_market_odds m, jsonb_array_elements(m.outcomes) o
           where m.snapshot_id in (select id from palimpsest.competitor_odds_snapshots) and m.betpawa_market_id = '129108'""",
    )
    names = {name for (name,) in found}
    assert {"Heevits, Entudr", "Mlivte, Kiguit"} <= names
    assert not [name for name in names if name.startswith("sr:player:")]


def test_counts_of_markets_count_markets_and_not_rows(imported: Pipeline):
    found = rows(
        imported,
        """select c.n_markets_listed, c.n_markets_mapped, c.n_markets_priced,
                  (select count(distinct (l.market_id, l.specifier)) from core.market_changes m join ops.market_lines l using (line_id)
                   where m.listing_id = c.listing_id and m.observed_at = c.observed_at and m.state = 'offered')
           from core.captures c""",
    )
    assert len(found) == len(DETAILS) - len(REFUSED)
    for listed, mapped, priced, offered in found:
        assert 0 < mapped <= listed
        assert priced == offered > 0


def test_the_other_captures_are_listings_of_their_own(imported: Pipeline):
    expected = len(DETAILS) - len(REFUSED)
    ((listings, captures),) = rows(
        imported, "select (select count(*) from core.event_listings), (select count(*) from core.captures)"
    )
    assert (listings, captures) == (expected, expected)


def test_captures_in_play_are_refused_and_kept_as_rejects(imported: Pipeline):
    refused = rows(imported, "select platform, reason from core.rejects where whole_answer order by 1, 2")
    assert len(refused) == len(REFUSED)
    assert all("in play" in reason for _, reason in refused), refused


def test_details_alone_conclude_no_absence(imported: Pipeline):
    classes = rows(imported, "select sr_id, fixture_class, evidence from mart.coverage_fixture")
    assert (NORWAY_FRANCE, "matched", "partial") in classes
    assert {c for sr_id, c, _ in classes if sr_id != NORWAY_FRANCE} == {"undetermined"}
    assert {e for _, _, e in classes} == {"partial"}
    rates = rows(imported, "select completeness, n_home_only, n_competitor_only from mart.match_rate_platform")
    assert {r[0] for r in rates} == {"partial"}
    assert sum(r[1] + r[2] for r in rates) == 0


def test_importing_twice_changes_nothing(imported: Pipeline, recordings: Path):
    before = {m.cycle_id: m.digest for m in imported.landing.list_cycles()}
    assert import_recorded(imported, recordings, BETPAWA) == []
    assert {m.cycle_id: m.digest for m in imported.landing.list_cycles()} == before
