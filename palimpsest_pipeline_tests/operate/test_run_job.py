"""A run's failure in the words that a user can act on; and a run over hours of a day, which derives those hours and
names the empty ones.
"""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
import typer

from palimpsest_pipeline.cli.console import EXIT_PARTIAL, parse_hours
from palimpsest_pipeline.definitions import defs
from palimpsest_pipeline.defs import run_cycles
from palimpsest_pipeline.defs.cycle_jobs import CYCLE_ASSETS
from palimpsest_pipeline.defs.landing.assets import SKIPPED_TAG
from palimpsest_pipeline.domain.instants import format_hour_key
from palimpsest_pipeline.operate.run_job import run_job
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.record_landed_cycles import rescan_landing
from palimpsest_pipeline_tests.fixtures.in_process import CommandHere
from palimpsest_pipeline_tests.fixtures.landed import import_recorded
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline, run_here
from palimpsest_pipeline_tests.fixtures.recordings import write_recordings

HOUR = datetime(2026, 6, 26, 10, tzinfo=UTC)


@pytest.fixture
def recorded(make_pipeline: MakePipeline, samples: Path, tmp_path: Path) -> Pipeline:
    """A pipeline with recorded payloads in its landing; of the hours round HOUR only HOUR has some."""
    pipeline = make_pipeline()
    import_recorded(pipeline, write_recordings(samples, tmp_path / "recordings"))
    return pipeline


def test_a_day_that_is_no_partition_is_refused_with_the_reason(make_pipeline: MakePipeline):
    outcome = run_here(make_pipeline(), "replay", date(2024, 1, 1))
    assert not outcome.success
    assert outcome.error is not None
    assert outcome.error.startswith(
        "2024-01-01 has no partition in Dagster: the partitions of the job replay go from 2025-01-01 to 2"
    )


def test_the_error_of_a_run_shows_no_secret_that_it_repeats(make_pipeline: MakePipeline):
    pipeline = make_pipeline(alert_webhook_url="http://127.0.0.1:1/manifest.json")
    manifest = Path(pipeline.settings.landing_root) / f"date={HOUR:%Y-%m-%d}/hour={HOUR:%H}/cycle=7/manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text("broken")
    rescan_landing(pipeline)
    error = run_here(pipeline, "replay", HOUR.date()).error
    assert error is not None
    assert f"{manifest.parent}*** is not a manifest" in error


def test_a_failed_blocking_check_fails_the_run_and_is_named(recorded: Pipeline):
    assert run_here(recorded, "replay", HOUR.date()).success
    with recorded.connect() as conn:
        conn.execute("update mart.match_rate_platform set n_home_only = n_home_only + 1")
        conn.execute("delete from ops.cycle_checks")  # a cycle is judged once, and again when it has been derived again
    outcome = run_here(recorded, "replay", HOUR.date())
    assert not outcome.success
    assert outcome.error is not None
    assert outcome.error.startswith("check classes_add_up_to_the_union of mart/match_rate_platform failed: ")


def test_a_run_over_three_hours_derives_what_is_landed_names_the_empty_ones_and_says_the_same_again(
    recorded: Pipeline, instance: dg.DagsterInstance
):
    around = (HOUR - timedelta(hours=1), HOUR + timedelta(hours=1))
    told = []
    for _ in range(2):
        outcome = run_job(instance, recorded, "replay", HOUR.date(), hours=around)
        assert outcome.success, outcome.error
        rows = {}
        for key in CYCLE_ASSETS.resolve(defs.resolve_asset_graph()):
            event = instance.get_latest_materialization_event(key)
            assert event is not None
            assert event.asset_materialization is not None
            assert event.asset_materialization.partition == "2026-06-26"
            rows[key.to_user_string()] = event.asset_materialization.metadata["dagster/row_count"].value
        told.append(rows)
        said = [entry.user_message for entry in instance.all_logs(outcome.run_id) if "skipped" in entry.user_message]
        assert "nothing is landed of 2026-06-26-09:00, 2026-06-26-11:00: never scraped" in said[0]
    assert told[0] == told[1]
    assert all(
        told[0][asset] > 0
        for asset in ("core/home_events", "core/odds_snapshots", "mart/coverage_fixture", "mart/run_quality")
    )


def test_a_run_from_the_command_line_is_found_by_its_repository_while_it_executes_and_after(
    recorded: Pipeline, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
):
    label = {".dagster/repository": "__repository__@palimpsest_pipeline"}
    seen: list[tuple[str, str, dg.DagsterRunStatus]] = []

    def look() -> None:
        """As the UI does: the runs of a job by the label of its repository, and where each comes from."""
        for run in instance.get_runs(dg.RunsFilter(job_name="replay", tags=label)):
            assert run.remote_job_origin is not None
            origin = run.remote_job_origin.repository_origin
            assert origin.code_location_origin.location_name == run.remote_job_origin.location_name
            seen.append((origin.repository_name, run.remote_job_origin.location_name, run.status))

    stretches = run_cycles.format_hour_ranges
    monkeypatch.setattr(run_cycles, "format_hour_ranges", lambda hours: (look(), stretches(hours))[1])
    hour = HOUR + timedelta(hours=1)
    skipped = run_job(instance, recorded, "replay", hour.date(), hours=(hour, hour), group="core")
    look()
    ours = ("__repository__", "palimpsest_pipeline")
    assert seen == [(*ours, dg.DagsterRunStatus.STARTED), (*ours, dg.DagsterRunStatus.SUCCESS)]
    run = instance.get_run_by_id(skipped.run_id)
    assert run is not None
    assert run.tags[SKIPPED_TAG] == skipped.error, "tags that the run got later stay"


@pytest.mark.parametrize("n_hours", [None, pytest.param(1, marks=pytest.mark.slow), 3])
def test_where_nothing_is_landed_nothing_is_materialized_and_the_run_says_so(
    n_hours: int | None, recorded: Pipeline, instance: dg.DagsterInstance
):
    first = HOUR + timedelta(hours=1)
    if n_hours is None:
        day, outcome = "2026-06-27", run_job(instance, recorded, "replay", date(2026, 6, 27))
    else:
        last = HOUR + timedelta(hours=n_hours)
        day = format_hour_key(first) if n_hours == 1 else f"{format_hour_key(first)} to {format_hour_key(last)}"
        outcome = run_job(instance, recorded, "replay", HOUR.date(), hours=(first, last))
    assert not outcome.success
    assert str(outcome.error).startswith(
        f"nothing is landed of {day}: never scraped, or its raw answers have expired. "
    )
    every = CYCLE_ASSETS.resolve(defs.resolve_asset_graph())
    assert instance.get_latest_materialization_events(list(every)) == {}
    (run,) = instance.get_runs()
    assert run.status is dg.DagsterRunStatus.SUCCESS


def test_a_backfill_of_hours_of_which_nothing_is_landed_is_done_in_part(recorded: Pipeline, command_here: CommandHere):
    never = command_here(recorded, "backfill", "2026-06-26-12:00", "2026-06-26-13:00")
    assert never.exit_code == EXIT_PARTIAL
    assert "nothing is landed of 2026-06-26-12:00 to 2026-06-26-13:00: they were never scraped" in " ".join(
        never.stderr.split()
    )
    whole_day = command_here(recorded, "backfill", "2026-06-26", "2026-06-26", "--json")
    report = json.loads(whole_day.stdout)
    assert whole_day.exit_code == EXIT_PARTIAL
    assert (report["done"], len(report["empty"])) == ([format_hour_key(HOUR)], 23)
    assert command_here(recorded, "backfill", "2026-06-26-10:00", "2026-06-26-10:00").exit_code == 0
    assert command_here(recorded, "backfill", "2026-06-26", "2026-06-26", "--stale").exit_code == 0, (
        "of what is stale nothing is missing"
    )


def test_a_backfill_of_hours_to_come_is_wrong_usage(recorded: Pipeline, command_here: CommandHere):
    ahead = recorded.clock.now() + timedelta(hours=2)
    for last in (f"{ahead:%Y-%m-%d-%H:00}", f"{ahead + timedelta(days=1):%Y-%m-%d}"):
        refused = command_here(recorded, "backfill", "2026-06-26-10:00", last)
        assert refused.exit_code == 2
        assert "has not begun" in refused.stderr


def test_a_day_as_the_end_of_a_range_means_all_of_its_hours_that_have_begun():
    now = datetime(2026, 11, 22, 14, 40, tzinfo=UTC)

    def hours(first: str, last: str) -> list[str]:
        return [format_hour_key(hour) for hour in parse_hours(first, last, now)]

    assert hours("2026-11-21", "2026-11-21") == ["2026-11-21-00:00", "2026-11-21-23:00"]
    assert hours("2026-11-22", "2026-11-22") == ["2026-11-22-00:00", "2026-11-22-14:00"]
    assert hours("2026-11-20-07:00", "2026-11-22-00:00") == ["2026-11-20-07:00", "2026-11-22-00:00"]
    for first, last in (("2026-11-22", "2026-11-22-15:00"), ("2026-11-23", "2026-11-23"), ("2026-11-22", "2026-11-21")):
        with pytest.raises(typer.BadParameter):
            hours(first, last)
