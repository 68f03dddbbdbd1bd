"""Backfill of a day that the archive has: it comes back whole before anything is written to it, and leaves again
once it is exported anew.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from palimpsest_pipeline.operate.run_job import run_job
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline.storage.odds import retention
from palimpsest_pipeline.storage.odds.history_reader import OddsHistoryReader
from palimpsest_pipeline.storage.odds.retention import DayStatus
from palimpsest_pipeline_tests.fixtures.content import content_hashes, drop_derived
from palimpsest_pipeline_tests.fixtures.landed import land_at
from palimpsest_pipeline_tests.fixtures.pipeline import pipelines
from palimpsest_pipeline_tests.fixtures.vocabularies import without

from .test_backfill import run

DAY = datetime.now(UTC).date() - timedelta(days=2)
HOURS = [datetime.combine(DAY, time(hour), UTC) for hour in (10, 11)]


@dataclass(frozen=True)
class World:
    """Two hours of a day that is over, that were derived, and what they came to."""

    pipeline: Pipeline
    content: dict[str, tuple[int, str]]

    def edited(self, folder: Path) -> Pipeline:
        """With a vocabulary that lacks a market."""
        found = Pipeline(self.pipeline.settings)
        found.__dict__["vocabulary"] = without({"total_goals"}, folder)
        return found

    def standing(self) -> DayStatus:
        with self.pipeline.connect() as conn:
            return retention.read_day_status(conn, self.pipeline.archive, DAY)

    def leave(self) -> None:
        """The day is exported, and dropped from Postgres."""
        with dg.DagsterInstance.ephemeral() as instance:
            exported = run_job(instance, self.pipeline, "export", DAY)
        assert exported.success, exported.error
        assert self.standing() is DayStatus.EXPORTED
        with self.pipeline.connect() as conn:
            assert retention.drop_exported_days(conn, self.pipeline.archive, DAY + timedelta(days=1)).dropped == [DAY]

    def changes(self) -> pl.DataFrame:
        """The day's history, wherever it lies."""
        with self.pipeline.connect() as conn:
            return OddsHistoryReader(conn, self.pipeline.archive).read_changes(None, DAY, DAY)


@pytest.fixture(scope="module")
def world(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Every test leaves it as it was: derived, and the day in Postgres."""
    with pipelines(postgres, tmp_path_factory.mktemp("archived")) as make:
        with SimulatorProcess(3, 5, epoch=HOURS[0] - timedelta(hours=2)) as simulator:
            for hour in HOURS:
                land_at(make, simulator, (hour + timedelta(minutes=20) - datetime.now(UTC)).total_seconds())
        pipeline = make()
        assert run(pipeline, HOURS[0], HOURS[-1]).is_complete
        yield World(pipeline, content_hashes(pipeline))


@pytest.mark.slow
def test_an_archived_day_comes_back_whole_is_derived_anew_exported_again_and_leaves_again(world: World, tmp_path: Path):
    before = world.changes()
    world.leave()
    assert world.standing() is DayStatus.ARCHIVED
    assert_frame_equal(world.changes(), before)
    first = world.pipeline.archive.read_entry(DAY)

    assert run(world.edited(tmp_path / "edited"), HOURS[0], HOURS[0]).is_complete
    assert world.standing() is DayStatus.CHANGED
    derived = world.changes()
    assert derived.height < before.height, "a market of the first hour's answers is no longer known"
    of_the_other = pl.col("observed_at") >= HOURS[1]
    assert derived.filter(of_the_other).height, "the other hour of the day is there too"

    world.leave()
    second = world.pipeline.archive.read_entry(DAY)
    assert first is not None
    assert second is not None
    assert first.version != second.version
    assert_frame_equal(world.changes(), derived)

    assert run(world.pipeline, HOURS[0], HOURS[-1]).is_complete, "with the vocabulary of before all is what it was"
    assert content_hashes(world.pipeline) == world.content
    assert_frame_equal(world.changes(), before)


@pytest.mark.slow
def test_an_empty_place_for_an_archived_day_says_nothing_of_it_and_is_filled_before_it_is_written_to(world: World):
    before = world.changes()
    with dg.DagsterInstance.ephemeral() as instance:
        assert run_job(instance, world.pipeline, "export", DAY).success
    drop_derived(world.pipeline)
    assert world.standing() is DayStatus.ARCHIVED
    assert_frame_equal(world.changes(), before)
    assert run(world.pipeline, HOURS[1], HOURS[1]).is_complete
    assert_frame_equal(world.changes(), before)
    assert run(world.pipeline, HOURS[0], HOURS[-1]).is_complete
    assert content_hashes(world.pipeline) == world.content
