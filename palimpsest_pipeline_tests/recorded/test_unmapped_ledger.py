"""Captured answers, replayed without two of their markets in the vocabulary and then with all: nothing is lost."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.installed_vocabulary import load_installed_vocabulary
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline_tests.fixtures.content import content_hashes, drop_derived
from palimpsest_pipeline_tests.fixtures.landed import import_recorded
from palimpsest_pipeline_tests.fixtures.pipeline import pipelines, run_here
from palimpsest_pipeline_tests.fixtures.platforms import BETPAWA, PLATFORMS
from palimpsest_pipeline_tests.fixtures.recordings import write_recordings
from palimpsest_pipeline_tests.fixtures.vocabularies import without

REMOVED_MARKETS: Final = {"double_chance": "", "total_corners": "line"}
"""Markets removed from the vocabulary; the second has lines."""
HOURS: Final = (datetime(2026, 6, 26, 10, tzinfo=UTC), datetime(2026, 8, 21, 6, tzinfo=UTC))
"""The hours of a fixture on three platforms, and of another fixture of BetPawa."""
ORDER_FREE_TABLES: Final = (
    "core.captures",
    "core.current_markets",
    "core.mapping_counts",
    "core.market_changes",
    "core.unmapped_markets",
    "mart.mapping_coverage",
    "mart.unmapped_market",
)
"""Tables whose rows do not depend on the order of the cycles."""
PRICED: Final = """
    select e.platform, m.market_key, count(*) from core.current_markets k join ops.market_lines using (line_id)
    join core.markets m using (market_id) join core.event_listings e using (listing_id) where m.market_key = any(%s) group by 1, 2 order by 1, 2
"""
LEDGER: Final = """
    select platform, external_market_id, impact_rank, status, error_classes, name, n_fixtures, occurrences, n_cycles, first_seen, last_seen,
           sample_specifier, sample_outcomes, proposed_market_key, proposal_evidence, mapping_version
    from palimpsest.unmapped_market where external_market_id = any(%s) order by 1, 2
"""
COVERAGE: Final = """
    select partition_hour, platform, family, n_markets_seen, n_mapped, n_unknown_market, n_fixtures_affected, m.mapping_version
    from mart.mapping_coverage m join core.cycles using (cycle_id) order by 1, 2, 3
"""


@dataclass
class StageRows:
    """The rows in Postgres after one stage."""

    ledger: list[dict[str, Any]]
    coverage: list[dict[str, Any]]
    priced: list[tuple[Any, ...]]


@dataclass
class Story:
    """lacking: both hours by the lesser vocabulary. half: the first hour by the whole one. whole: both hours."""

    pipeline: Pipeline
    ids: list[tuple[str, str]]
    lacking_version: str
    lacking: StageRows
    half: StageRows
    whole: StageRows


def read_stage(pipeline: Pipeline, ids: list[tuple[str, str]]) -> StageRows:
    with pipeline.connect() as conn:

        def rows(query: str, *params: Any) -> list[dict[str, Any]]:
            cursor = conn.execute(query, params)
            return [dict(zip([c.name for c in cursor.description], row, strict=True)) for row in cursor.fetchall()]

        ledger = rows(LEDGER, [market for _, market in ids])
        return StageRows(ledger, rows(COVERAGE), conn.execute(PRICED, [list(REMOVED_MARKETS)]).fetchall())


def replay(pipeline: Pipeline, *hours: datetime) -> None:
    for hour in hours:
        outcome = run_here(pipeline, "replay", hour.date(), hours=(hour, hour))
        assert outcome.success, outcome.error


@pytest.fixture(scope="module")
def story(samples: Path, postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    recordings = write_recordings(samples, tmp_path_factory.mktemp("recordings") / "folder")
    vocabulary = load_installed_vocabulary()
    known = vocabulary.keys.join(
        vocabulary.markets.filter(vocabulary.markets["market_key"].is_in(list(REMOVED_MARKETS))).select("market_id"),
        on="market_id",
    )
    ids = sorted(
        {
            (p, market)
            for p, sport, market in known.select("platform", "sport", "external_market_id").iter_rows()
            if sport == "football"
        }
    )
    with pipelines(postgres, tmp_path_factory.mktemp("ledger")) as make:
        whole, lacking = make(), make()
        lacking.__dict__["vocabulary"] = without(REMOVED_MARKETS, tmp_path_factory.mktemp("lacking") / "vocabulary")
        import_recorded(whole, recordings, BETPAWA)
        stages: list[Callable[[], None]] = [
            lambda: replay(lacking, *HOURS),
            lambda: replay(whole, HOURS[0]),
            lambda: replay(whole, HOURS[1]),
        ]
        rows_by_stage = []
        for stage in stages:
            stage()
            rows_by_stage.append(read_stage(whole, ids))
        yield Story(whole, ids, lacking.vocabulary.version, *rows_by_stage)


def coverage(stage: StageRows, hour: datetime = HOURS[0]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["platform"], row["family"]): row for row in stage.coverage if row["partition_hour"] == hour}


def test_removed_markets_are_in_the_ledger_with_the_facts_needed_to_map_them(story: Story):
    rows = {(row["platform"], row["external_market_id"]): row for row in story.lacking.ledger}
    assert {platform for platform, _ in rows} == set(PLATFORMS)
    assert set(rows) <= set(story.ids)
    assert not story.lacking.priced
    for (platform, market), row in rows.items():
        assert row["status"] == "new", market
        assert row["error_classes"] == ["unknown_market"]
        assert row["mapping_version"] == story.lacking_version
        assert row["name"]
        assert row["occurrences"] >= row["n_fixtures"] == row["n_cycles"] >= 1
        assert HOURS[0] <= row["first_seen"] <= row["last_seen"]
        assert len(row["sample_outcomes"]) >= 2
        assert row["proposed_market_key"] in {None, *REMOVED_MARKETS}, (platform, market)
    assert sum(row["proposed_market_key"] is not None for row in rows.values()) >= 4
    with_lines = [row for row in rows.values() if row["sample_specifier"]]
    assert {row["platform"] for row in with_lines} == set(PLATFORMS)


def test_a_market_of_two_cycles_has_one_row_that_spans_both(story: Story):
    both = [row for row in story.lacking.ledger if row["n_cycles"] == 2]
    assert {row["platform"] for row in both} == {"betpawa"}
    for row in both:
        assert row["first_seen"].replace(minute=0) == HOURS[0]
        assert row["last_seen"].replace(minute=0, second=0) == HOURS[1]
        assert row["impact_rank"] <= len(both)


def test_coverage_counts_removed_markets_as_unknown(story: Story):
    by_family, whole = coverage(story.lacking), coverage(story.whole)
    for platform in PLATFORMS:
        unknown = by_family[platform, "unknown"]
        lacking = sum(row["occurrences"] for row in story.lacking.ledger if row["platform"] == platform)
        assert unknown["n_mapped"] == 0
        assert unknown["n_fixtures_affected"] == 1
        assert unknown["n_unknown_market"] >= (lacking if platform != "betpawa" else 1)
        for family in ("result", "corners"):
            assert by_family[platform, family]["n_markets_seen"] < whole[platform, family]["n_markets_seen"], platform
        seen = [
            sum(row["n_markets_seen"] for (p, _), row in rows.items() if p == platform) for rows in (by_family, whole)
        ]
        assert seen[0] == seen[1]


def test_after_a_replay_of_one_hour_the_remaining_rows_have_the_status_mapped(story: Story):
    ledger = story.half.ledger
    assert ledger
    assert {row["platform"] for row in ledger} == {"betpawa"}
    assert {(row["status"], row["n_cycles"]) for row in ledger} == {("mapped", 1)}
    assert {row["proposed_market_key"] for row in ledger} <= set(REMOVED_MARKETS)
    assert {platform for platform, _, _ in story.half.priced} == set(PLATFORMS)


def test_after_a_replay_of_all_hours_the_prices_exist_and_the_ledger_is_empty(story: Story):
    assert story.whole.ledger == []
    assert {(platform, key) for platform, key, _ in story.whole.priced} == {
        (p, key) for p in PLATFORMS for key in REMOVED_MARKETS
    }
    now = load_installed_vocabulary().version
    assert now != story.lacking_version
    assert {row["mapping_version"] for row in story.whole.coverage} == {now}
    assert {row["mapping_version"] for row in story.lacking.coverage} == {story.lacking_version}
    by_family = coverage(story.whole)
    for platform in PLATFORMS:
        for family in ("result", "corners"):
            row = by_family[platform, family]
            assert row["n_mapped"] == row["n_markets_seen"] > 0


@pytest.mark.slow
def test_replaying_again_or_in_another_order_gives_the_same_rows(story: Story):
    def kept() -> dict[str, tuple[int, str]]:
        content = content_hashes(story.pipeline)
        return {table: content[table] for table in ORDER_FREE_TABLES}

    before = kept()
    assert before["mart.mapping_coverage"][0] > 0
    replay(story.pipeline, *HOURS)
    assert kept() == before
    drop_derived(story.pipeline)
    replay(story.pipeline, *reversed(HOURS))
    assert kept() == before
