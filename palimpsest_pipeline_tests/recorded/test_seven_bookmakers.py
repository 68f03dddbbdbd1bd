"""Recorded books of all seven bookmakers in one instance: from the import over the backfill to the marts."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import dagster as dg
import pytest
from rich.console import Console

from palimpsest_pipeline.operate.backfill.backfill import run_backfill
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.replay_plan import plan_hours
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline_tests.fixtures.all_recordings import NORWAY_FRANCE, write_all_recordings
from palimpsest_pipeline_tests.fixtures.landed import import_recorded
from palimpsest_pipeline_tests.fixtures.pipeline import pipelines

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


@pytest.fixture(scope="module")
def imported(samples: Path, postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A pipeline that imported the books and backfilled their hours. The tests only read it."""
    folder = write_all_recordings(samples, tmp_path_factory.mktemp("recordings") / "seven")
    with pipelines(postgres, tmp_path_factory.mktemp("imported")) as make:
        pipeline = make(platforms=",".join(["betpawa", *sorted(BOOKS.keys() - {"betpawa"})]))
        assert len(import_recorded(pipeline, folder)) == HOURS
        with dg.DagsterInstance.ephemeral() as instance:
            report = run_backfill(pipeline, instance, plan_hours(pipeline, None, None), Console(file=io.StringIO()))
        assert (len(report.done), report.is_complete) == (HOURS, True), report
        yield pipeline


def rows(pipeline: Pipeline, query: str, *params: Any) -> list[tuple[Any, ...]]:
    with pipeline.connect() as conn:
        return conn.execute(query.encode(), params).fetchall()


def test_core_has_every_book_with_its_lines_and_prices(imported: Pipeline) -> None:
    query = """
        select i.platform, count(*), sum(n_markets_listed), sum(n_markets_mapped), sum(n_prices)
        from core.captures c join ops.listing_ids i using (listing_id) group by i.platform
    """
    assert {platform: tuple(map(int, counts)) for platform, *counts in rows(imported, query)} == BOOKS
    assert rows(imported, "select * from core.rejects") == []


def test_the_match_of_five_platforms_is_one_event(imported: Pipeline) -> None:
    query = "select sr_id, platforms from palimpsest.matched_events where n_platforms > 1"
    assert rows(imported, query) == [(NORWAY_FRANCE, ["betpawa", "sportybet", "bet9ja", "msport", "betway"])]


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
