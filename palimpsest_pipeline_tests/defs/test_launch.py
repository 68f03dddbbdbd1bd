"""A run's failure in the words that a user can act on; and a backfill's run over several hours, which tells each hour's own figures."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from palimpsest_pipeline.definitions import defs
from palimpsest_pipeline.defs.launch import first_error
from palimpsest_pipeline.defs.pipeline import Pipeline
from palimpsest_pipeline.domain.instants import hour_key
from palimpsest_pipeline.landing import import_payloads
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline, run_here
from palimpsest_pipeline_tests.fixtures.recordings import write_recordings

HOUR = datetime(2026, 6, 26, 10, tzinfo=UTC)


@pytest.fixture
def recorded(make_pipeline: MakePipeline, samples: Path, tmp_path: Path) -> Pipeline:
    """A pipeline with recorded payloads in its landing; of the hours round HOUR only HOUR has some."""
    pipeline = make_pipeline()
    import_payloads(pipeline.landing, write_recordings(samples, tmp_path / "recordings"), pipeline.settings.home_platform, pipeline.clock)
    return pipeline


def test_an_hour_that_is_no_partition_is_refused_with_the_reason(make_pipeline: MakePipeline):
    outcome = run_here(make_pipeline(), "replay", datetime(2024, 1, 1, tzinfo=UTC))
    assert not outcome.success
    assert outcome.error is not None
    assert outcome.error.startswith("2024-01-01-00:00 is no hour of this pipeline")


def test_a_failed_blocking_check_fails_the_run_and_is_named(recorded: Pipeline):
    assert run_here(recorded, "replay", HOUR).success
    with recorded.connect() as conn:
        conn.execute("update mart.match_rate_platform set n_home_only = n_home_only + 1")
    outcome = run_here(recorded, "replay", HOUR)
    assert not outcome.success
    assert outcome.error is not None
    assert outcome.error.startswith("check classes_add_up_to_the_union of mart/match_rate_platform failed: ")


def test_a_run_over_three_hours_gives_each_hour_its_own_figures_and_again_the_same(recorded: Pipeline):
    hours = [hour_key(HOUR + timedelta(hours=n)) for n in (-1, 0, 1)]
    span = {"dagster/asset_partition_range_start": hours[0], "dagster/asset_partition_range_end": hours[-1]}
    seen = []
    with dg.DagsterInstance.ephemeral() as instance:
        for _ in range(2):
            job = defs.resolve_job_def("replay")
            result = job.execute_in_process(instance=instance, tags=span, resources={"pipeline": recorded}, raise_on_error=False)
            assert result.success, first_error(result)
            told = [event.materialization for event in result.get_asset_materialization_events()]
            seen.append({(m.asset_key.to_user_string(), m.partition): m.metadata["dagster/row_count"].value for m in told})
    first, again = seen
    assert again == first
    for asset in ("core/home_events", "core/odds_snapshots", "mart/coverage_fixture", "mart/run_quality"):
        before, at, after = (first[asset, hour] for hour in hours)
        assert (before, after) == (0, 0), asset
        assert at > 0, asset
