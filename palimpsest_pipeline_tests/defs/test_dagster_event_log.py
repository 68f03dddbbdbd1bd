"""Events written together: whoever reads them finds what Dagster's own storage would have told, and nothing is held back from a reader."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.dagster_run import DagsterRunStatus
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, AssetKeyTable, SqlEventLogStorageTable
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value
from sqlalchemy import select

from palimpsest_pipeline.defs.launch import span
from palimpsest_pipeline.defs.partition_checks import partition_check
from palimpsest_pipeline.defs.pipeline import Pipeline
from palimpsest_pipeline.storage.embedded import EmbeddedPostgres

HOURS = dg.HourlyPartitionsDefinition(start_date=datetime(2026, 5, 1, tzinfo=UTC), timezone="UTC", end_offset=1)
KEYS = [f"2026-05-01-{hour:02}:00" for hour in range(6)]
BAD = KEYS[3]
POLICY = dg.BackfillPolicy.multi_run(24)
OURS = {"module": "palimpsest_pipeline.defs.dagster_storage", "class": "LastingPostgresStorage"}
STOCK = {"module": "dagster_postgres", "class": "DagsterPostgresStorage"}


@dg.asset(key=["core", "rows"], partitions_def=HOURS, backfill_policy=POLICY)
def rows() -> None:
    """What is judged."""


@dg.asset(key=["mart", "sums"], deps=[rows], partitions_def=HOURS, backfill_policy=POLICY)
def sums() -> None:
    """What rests on it."""


@partition_check(asset=["core", "rows"], partitions_def=HOURS)
def rows_are_usual(pipeline: Pipeline, key: str) -> dg.AssetCheckResult:
    """A failed one stops nothing."""
    return dg.AssetCheckResult(passed=key != BAD, severity=dg.AssetCheckSeverity.WARN, metadata={"key": key})


@partition_check(asset=["mart", "sums"], partitions_def=HOURS, blocking=True)
def sums_are_right(pipeline: Pipeline, key: str) -> dg.AssetCheckResult:
    """A failed one fails the run."""
    return dg.AssetCheckResult(passed=key != BAD, description=f"of {key}")


@dg.asset_check(asset=rows)
def rows_are_there() -> dg.AssetCheckResult:
    """Of no partition."""
    return dg.AssetCheckResult(passed=True)


CHECKS = [rows_are_usual, sums_are_right, rows_are_there]
CHECK_KEYS = [key for check in CHECKS for key in check.check_keys]
JOB = dg.Definitions(
    assets=[rows, sums],
    asset_checks=CHECKS,
    jobs=[dg.define_asset_job("derive", selection=dg.AssetSelection.all())],
    resources={"pipeline": object()},
    executor=dg.in_process_executor,
).resolve_job_def("derive")


@contextmanager
def instance_on(server: EmbeddedPostgres, storage: dict[str, str], folder: Path) -> Iterator[dg.DagsterInstance]:
    """A new instance whose storage is of this class."""
    folder.mkdir()
    server.create_database(name := f"log_{folder.name}")
    url = server.url(name, driver="psycopg2")
    with dg.DagsterInstance.from_config(write(folder, {"storage": {"custom": {**storage, "config": {"postgres_url": url}}}})) as instance:
        yield instance
        for part in ("run_storage", "event_log_storage", "schedule_storage"):
            getattr(instance, part)._engine.dispose()
    server.drop_database(name)


def write(folder: Path, config: dict[str, object]) -> str:
    (folder / "dagster.yaml").write_text(str({**config, "telemetry": {"enabled": False}}))  # a mapping of plain values is YAML as it stands
    return str(folder)


def told(instance: dg.DagsterInstance) -> dict[str, Any]:
    """All that Dagster answers of partitions, and the rows that it is read from, without ids and times of this instance."""
    log = instance.event_log_storage
    runs = {run.run_id: f"run {number}" for number, run in enumerate(reversed(instance.get_runs()))}
    with log.index_connection() as conn:  # type: ignore[attr-defined]
        events, checks = SqlEventLogStorageTable.c, AssetCheckExecutionsTable.c
        of_log = conn.execute(select(events.id, events.run_id, events.dagster_event_type, events.step_key, events.asset_key, events.partition)).all()
        of_checks = conn.execute(select(AssetCheckExecutionsTable)).mappings().all()
        of_assets = conn.execute(select(AssetKeyTable)).mappings().all()
    what = {row.id: tuple(row)[2:] for row in of_log}
    return {
        "events": sorted((runs[row.run_id], *map(str, tuple(row)[2:])) for row in of_log),
        "check rows": sorted(
            (
                *(str(row[name]) for name in ("asset_key", "check_name", "partition", "execution_status")),
                runs[row[checks.run_id.name]],
                what[row["evaluation_event_storage_id"]],
                str(what.get(row["materialization_event_storage_id"])),
            )
            for row in of_checks
        ),
        "assets": sorted((row["asset_key"], runs[row["last_run_id"]], row["last_materialization_timestamp"] is not None) for row in of_assets),
        "materialized": {str(key): sorted(log.get_materialized_partitions(key)) for key in (rows.key, sums.key)},
        "status": {str(key): status(instance, key) for key in (rows.key, sums.key)},
        "checks": {
            (str(key), str(info.partition_key)): (info.latest_execution_status.value, info.is_current, runs[info.latest_planned_run_id])
            for key in CHECK_KEYS
            for info in log.get_asset_check_partition_info([key])
        },
        "latest": {
            str(key): (record.status.value, str(record.event and record.event.dagster_event_type))
            for key, record in log.get_latest_asset_check_execution_by_key(CHECK_KEYS).items()
        },
        "history": {
            str(key): [(r.status.value, r.partition, runs[r.run_id]) for r in log.get_asset_check_execution_history(key, limit=50)]
            for key in CHECK_KEYS
        },
    }


def status(instance: dg.DagsterInstance, key: dg.AssetKey) -> dict[str, list[str]]:
    value = get_and_update_asset_status_cache_value(instance, key, HOURS)
    assert value is not None
    found = {
        "materialized": value.deserialize_materialized_partition_subsets(HOURS),
        "failed": value.deserialize_failed_partition_subsets(HOURS),
        "in progress": value.deserialize_in_progress_partition_subsets(HOURS),
    }
    return {name: sorted(subset.get_partition_keys()) for name, subset in found.items()}


def test_dagster_answers_of_partitions_as_with_its_own_storage(postgres: EmbeddedPostgres, tmp_path: Path):
    answers = []
    for name, storage in (("stock", STOCK), ("ours", OURS)):
        with instance_on(postgres, storage, tmp_path / name) as instance:
            assert not JOB.execute_in_process(instance=instance, tags=span(KEYS[0], KEYS[-1]), raise_on_error=False).success
            assert JOB.execute_in_process(instance=instance, partition_key=KEYS[1]).success
            JOB.execute_in_process(instance=instance, tags=span(KEYS[2], KEYS[4]), raise_on_error=False)
            planned = instance.create_run_for_job(JOB, tags=span(KEYS[1], KEYS[2]))
            assert planned.status is DagsterRunStatus.NOT_STARTED
            answers.append(told(instance))
    stock, ours = answers
    assert stock["checks"][str(CHECK_KEYS[0]), BAD][0] == "FAILED"
    for what in stock:
        assert ours[what] == stock[what], what


def test_what_is_held_back_is_told_before_anybody_reads(postgres: EmbeddedPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with instance_on(postgres, OURS, tmp_path / "held") as instance:
        run = instance.create_run_for_job(JOB, tags=span(KEYS[0], KEYS[-1]))
        log = instance.event_log_storage
        monkeypatch.setattr(log, "_connect", lambda: pytest.fail("it was written at once"))
        for key in KEYS:
            result = dg.AssetCheckEvaluation(asset_key=rows.key, check_name="rows_are_usual", passed=True, metadata={}, partition=key)
            event = dg.DagsterEvent("ASSET_CHECK_EVALUATION", "derive", event_specific_data=result, step_key="rows_are_usual")
            instance.report_dagster_event(event, run.run_id)
        monkeypatch.undo()
        found = log.get_asset_check_partition_info([CHECK_KEYS[0]])
        assert {info.partition_key: info.latest_execution_status.value for info in found} == dict.fromkeys(KEYS, "SUCCEEDED")


def test_a_result_that_no_run_planned_is_kept(postgres: EmbeddedPostgres, tmp_path: Path):
    with instance_on(postgres, OURS, tmp_path / "unplanned") as instance:
        run = instance.create_run_for_job(JOB, tags=span(KEYS[0], KEYS[1]))
        for key in KEYS[:3]:
            result = dg.AssetCheckEvaluation(asset_key=rows.key, check_name="rows_are_usual", passed=False, metadata={}, partition=key)
            event = dg.DagsterEvent("ASSET_CHECK_EVALUATION", "derive", event_specific_data=result, step_key="rows_are_usual")
            instance.report_dagster_event(event, run.run_id)
        found = instance.event_log_storage.get_asset_check_partition_info([CHECK_KEYS[0]])
        assert {info.partition_key: info.latest_execution_status.value for info in found} == dict.fromkeys(KEYS[:3], "FAILED")
