"""The asset graph as data: loads in a fresh interpreter, is fully described, and changes only where a snapshot says
so.
"""

import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.execution.asset_backfill import AssetBackfillData

from palimpsest_pipeline.definitions import defs
from palimpsest_pipeline.defs.asset_partitions import (
    FIRST_DAY,
    day_partitions,
    ended_day_partitions,
    kickoff_date_partitions,
)
from palimpsest_pipeline.storage.db.revisions import list_view_files, parse_view_name

SNAPSHOT = Path(__file__).parent / "asset_graph.json"


@pytest.fixture(scope="module")
def specs() -> list[dg.AssetSpec]:
    return list(defs.resolve_all_asset_specs())


def graph(specs: list[dg.AssetSpec]) -> dict[str, object]:
    assets = {
        spec.key.to_user_string(): {
            "deps": sorted(d.asset_key.to_user_string() for d in spec.deps),
            "group": spec.group_name,
            "kinds": sorted(spec.kinds),
            "owners": list(spec.owners),
            "partitioned": spec.partitions_def is not None,
        }
        for spec in specs
    }
    repository = defs.get_repository_def()
    checks = sorted(f"{k.asset_key.to_user_string()}: {k.name}" for k in repository.asset_graph.asset_check_keys)
    jobs = {
        name: sorted(k.to_user_string() for k in repository.get_job(name).asset_layer.executable_asset_keys)
        for name in repository.job_names
        if not name.startswith("__")
    }
    schedules = {
        s.name: {"cron": s.cron_schedule, "job": s.job_name, "default": s.default_status.value}
        for s in repository.schedule_defs
    }
    sensors = {
        s.name: {
            "every_s": s.minimum_interval_seconds,
            "jobs": sorted(each.job_name for each in s.targets),
            "default": s.default_status.value,
        }
        for s in repository.sensor_defs
    }
    return {"assets": assets, "checks": checks, "jobs": jobs, "schedules": schedules, "sensors": sensors}


@pytest.mark.slow
def test_the_code_location_loads_in_a_fresh_interpreter():
    code = "from palimpsest_pipeline.definitions import defs; print(len(list(defs.resolve_all_asset_specs())))"
    done = subprocess.run(
        [sys.executable, "-W", "error::SyntaxWarning", "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0


@pytest.mark.slow
def test_dagster_would_serve_it():
    """What a code server does before it serves: a name that a job and a group of assets share is refused there only."""
    dg.Definitions.validate_loadable(defs)


def test_the_graph_is_the_one_in_the_snapshot(specs, snapshot):
    snapshot(SNAPSHOT, json.dumps(graph(specs), indent=2, sort_keys=True) + "\n")


def test_every_asset_is_described_owned_grouped_and_tagged(specs):
    for spec in specs:
        assert spec.description, spec.key
        assert spec.owners, spec.key
        assert spec.group_name in {"landing", "core", "mart", "life", "report", "upkeep"}, spec.key
        assert spec.kinds, spec.key


def test_a_backfill_of_core_and_mart_of_a_day_is_of_that_day_alone(specs):
    """As the UI launches it from both groups: Dagster takes all partitions along of an asset that depends on every
    day.
    """
    key = str((datetime.now(UTC) - timedelta(days=2)).date())
    chosen = [spec.key for spec in specs if spec.group_name in {"core", "mart"}]
    with dg.DagsterInstance.ephemeral() as instance:
        launched = AssetBackfillData.from_asset_partitions(
            asset_graph=defs.resolve_asset_graph(),
            partition_names=[key],
            asset_selection=chosen,
            dynamic_partitions_store=instance,
            all_partitions=False,
            backfill_start_timestamp=time.time(),
        )
    asked = {
        asset: set(subset.get_partition_keys())
        for asset, subset in launched.target_subset.partitions_subsets_by_asset_key.items()
    }
    assert dg.AssetKey(["core", "odds_snapshots"]) in asked
    assert set(map(frozenset, asked.values())) == {frozenset([key])}


def test_every_table_asset_carries_its_column_schema(specs):
    for spec in specs:
        if spec.group_name in {"landing", "upkeep"} or "html" in spec.kinds:
            continue
        schema = spec.metadata["dagster/column_schema"]
        assert schema.columns, spec.key
        assert all(c.description for c in schema.columns), spec.key


def test_every_check_says_what_must_hold():
    graph_ = defs.get_repository_def().asset_graph
    for key in graph_.asset_check_keys:
        assert graph_.get_check_spec(key).description, key


def test_every_job_schedule_and_sensor_says_what_it_is_for():
    repository = defs.get_repository_def()
    jobs = [repository.get_job(name) for name in repository.job_names if not name.startswith("__")]
    for each in (*jobs, *repository.schedule_defs, *repository.sensor_defs):
        assert each.description, each.name
        assert each.description.endswith("."), each.name


def test_every_resource_says_what_it_is():
    for name, resource in defs.get_repository_def().get_top_level_resources().items():
        assert resource.description, name


def test_every_view_that_an_asset_points_to_is_there(specs):
    views = {f"palimpsest.{parse_view_name(file)}" for file in list_view_files()}
    pointed = {
        spec.key.to_user_string(): spec.metadata["sql_views"].split(", ")
        for spec in specs
        if "sql_views" in spec.metadata
    }
    assert all(set(names) <= views for names in pointed.values())
    assert "palimpsest.coverage_statistics" in pointed["mart/match_rate_platform"]
    assert {"core/odds_snapshots", "mart/open_close", "mart/unmapped_market"} <= pointed.keys()


def test_today_is_a_partition_of_cycles_and_none_of_export_and_kickoffs_are_known_ahead():
    with dg.partition_loading_context(effective_dt=datetime(2026, 6, 26, 19, 5, tzinfo=UTC)):
        assert [
            each.get_last_partition_key() for each in (day_partitions, ended_day_partitions, kickoff_date_partitions)
        ] == [
            "2026-06-26",
            "2026-06-25",
            "2026-09-25",
        ]
    assert {
        each.get_first_partition_key() for each in (day_partitions, ended_day_partitions, kickoff_date_partitions)
    } == {str(FIRST_DAY)}


def test_one_run_is_of_one_day(specs):
    """Without a backfill policy each run of a backfill is tagged with the key of its partition: only then check
    results carry it.
    """
    graph_ = defs.get_repository_def().asset_graph
    partitioned = [graph_.get(spec.key) for spec in specs if spec.partitions_def is not None]
    assert {node.backfill_policy for node in partitioned} == {None}
    assert defs.resolve_job_def("replay").backfill_policy.max_partitions_per_run == 1
