"""Kickoffs that are placeholders, from the answers to the marts: each costs its own listing's claim and nothing
else.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import pytest

from palimpsest_pipeline.domain.enums import Sport
from palimpsest_pipeline.domain.exchange import Answer
from palimpsest_pipeline.domain.observations import Detail, Discovery, Listing
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.ingest.write_core import ingest_cycle
from palimpsest_pipeline.pipeline.marts.derive_marts import derive_coverage
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.scrape import build_targets
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline.storage.catalog import upcoming_fixtures
from palimpsest_pipeline_tests.fixtures.content import drop_derived
from palimpsest_pipeline_tests.fixtures.landed import land_cycle
from palimpsest_pipeline_tests.fixtures.pipeline import pipelines, replace_adapters, rows
from palimpsest_pipeline_tests.fixtures.platforms import BETPAWA, PLATFORMS

ABSURD: Final = (
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(1970, 1, 1, tzinfo=UTC),
    datetime(2099, 12, 31, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
)
TABLES: Final = ("core.fixtures", "mart.coverage_fixture")

Rows = dict[int, tuple[Any, ...]]


@dataclass
class WithKickoffs:
    """An adapter by whose reading some listings have other kickoffs."""

    own: Any
    kickoffs: dict[str, datetime]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.own, name)

    def changed(self, listing: Listing) -> Listing:
        return replace(listing, kickoff_at=self.kickoffs.get(listing.external_id, listing.kickoff_at))

    def read_discovery(self, answers: Sequence[Answer], sport: Sport) -> Discovery:
        found = self.own.read_discovery(answers, sport)
        return replace(found, listings=[self.changed(listing) for listing in found.listings])

    def read_listing(self, answers: Sequence[Answer]) -> Listing:
        return self.changed(self.own.read_listing(answers))

    def read_detail(self, answers: Sequence[Answer]) -> Detail:
        found = self.own.read_detail(answers)
        return replace(found, listing=self.changed(found.listing))


def rows_by_fixture(pipeline: Pipeline, table: str) -> Rows:
    """Rows of a table with a row per fixture, as text without the clock."""
    found = rows(pipeline, f"select sr_id, to_jsonb(t) - 'computed_at' from {table} t")
    return {sr_id: (row,) for sr_id, row in found}


def derive(pipeline: Pipeline, cycle_id: int) -> None:
    """Everything in core, and coverage."""
    ingest_cycle(pipeline, cycle_id)
    with pipeline.connect() as conn:
        derive_coverage(pipeline, conn, pipeline.landing.read_manifest(cycle_id))


@dataclass(frozen=True)
class World:
    """A cycle derived twice: as it was answered (`before`), then with the absurd kickoffs of `absurd` (fixture by
    platform and listing id).
    """

    pipeline: Pipeline
    absurd: dict[tuple[str, str], int]
    alone: int
    """A fixture that only the one listing with an absurd kickoff has."""
    before: dict[str, Rows]


@pytest.fixture(scope="module")
def world(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with SimulatorProcess(24, 3) as simulator, pipelines(postgres, tmp_path_factory.mktemp("absurd")) as make:
        pipeline = make(simulator)
        cycle_id = land_cycle(pipeline)
        derive(pipeline, cycle_id)
        before = {table: rows_by_fixture(pipeline, table) for table in TABLES}
        once = "n_listings_by_platform->>platforms[1] = '1' order by sr_id"
        several = rows(pipeline, f"select sr_id, platforms from core.fixtures where n_platforms > 1 and {once}")
        alone, (only,) = rows(pipeline, f"select sr_id, platforms from core.fixtures where n_platforms = 1 and {once}")[
            0
        ]
        chosen = [(sr_id, platforms[n % 2]) for n, (sr_id, platforms) in enumerate(several[: len(ABSURD)])] + [
            (alone, only)
        ]
        primary = "select platform, external_id from core.event_listings where fixture_sr_id = %s and platform = %s and is_primary"
        absurd = {rows(pipeline, primary, *choice)[0]: choice[0] for choice in chosen}
        kickoffs = dict(zip((external_id for _, external_id in absurd), (*ABSURD, ABSURD[-1]), strict=True))
        corrupted = make(simulator)
        replace_adapters(
            corrupted, {platform: WithKickoffs(adapter, kickoffs) for platform, adapter in pipeline.adapters.items()}
        )
        drop_derived(corrupted)
        derive(corrupted, cycle_id)
        yield World(corrupted, absurd, alone, before)


def test_all_other_fixtures_have_the_rows_that_they_had(world: World) -> None:
    for table in TABLES:
        after = rows_by_fixture(world.pipeline, table)
        others = world.before[table].keys() - world.absurd.values()
        assert len(others) > 5
        assert {sr_id: after[sr_id] for sr_id in others} == {sr_id: world.before[table][sr_id] for sr_id in others}
        assert set(after) == set(world.before[table]) - {world.alone}, "nobody knows when it is played"


def test_the_listing_is_seen_and_its_fixture_keeps_its_class(world: World) -> None:
    seen = rows(
        world.pipeline,
        """select e.platform, e.external_id, e.kickoff_at, e.fixture_sr_id from core.event_listings e
        join core.listing_observations o on o.listing_id = e.listing_id where e.kickoff_at is null""",
    )
    assert {(platform, external_id): sr_id for platform, external_id, _, sr_id in seen} == {
        listing: None if sr_id == world.alone else sr_id for listing, sr_id in world.absurd.items()
    }
    after = rows_by_fixture(world.pipeline, "mart.coverage_fixture")
    for sr_id in set(world.absurd.values()) - {world.alone}:
        (was,), (row,) = world.before["mart.coverage_fixture"][sr_id], after[sr_id]
        for column in ("platforms", "fixture_class", "n_competitors", "effective_kickoff", "started", "evidence"):
            assert row[column] == was[column], column
    versions = "select count(*) from core.kickoff_versions v join core.event_listings e using (listing_id) where e.kickoff_at is null"
    assert rows(world.pipeline, versions) == [(0,)]


def test_the_refusal_is_told_with_its_reason_and_the_odds_are_kept(world: World) -> None:
    rejects = rows(
        world.pipeline, "select platform, external_id, kind, reason from core.rejects where reason like 'kickoff %%'"
    )
    told = {(platform, external_id) for platform, external_id, kind, _ in rejects if kind == "listing"}
    assert told == set(world.absurd)
    assert {kind for *_, kind, _ in rejects} == {"listing", "detail"}
    assert "kickoff 2099-12-31T00:00:00+00:00: not taken as a claim, since it is more than 3 years from the answer" in {
        r for *_, r in rejects
    }
    captured = rows(
        world.pipeline,
        """select count(distinct listing_id) from core.captures join ops.listing_ids using (listing_id)
        where (platform, external_id) in (select unnest(%s::text[]), unnest(%s::text[]))""",
        [platform for platform, _ in world.absurd],
        [external_id for _, external_id in world.absurd],
    )
    assert captured == [(len(world.absurd),)]


def test_a_fixture_is_asked_for_by_all_its_listings(world: World) -> None:
    now = world.pipeline.clock.now()
    with world.pipeline.connect() as conn:
        listings = upcoming_fixtures.read_upcoming_listings(conn, now)
    asked = {
        (str(p), external_id)
        for target in build_targets(listings, PLATFORMS, BETPAWA, now)
        for p, ids in target.listings.items()
        for external_id in ids
    }
    begun = {sr_id for sr_id, (row,) in world.before["mart.coverage_fixture"].items() if row["started"]}
    assert asked >= {listing for listing, sr_id in world.absurd.items() if sr_id != world.alone and sr_id not in begun}
