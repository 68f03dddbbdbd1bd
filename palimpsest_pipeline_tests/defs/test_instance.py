"""Dagster's own storage: made by one of many at once, upgraded when it is behind, and rid of old runs without
a change of any state.
"""

import multiprocessing
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import psycopg
import pytest
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecordStatus,
)
from pydantic import SecretStr

from palimpsest_pipeline.defs.instance import open_instance
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.settings import Settings, SettingsError, load_settings
from palimpsest_pipeline_tests.fixtures.postgres import create_database, drop_database

BEFORE = datetime.now(UTC) - timedelta(days=30)
AGED = timedelta(days=60)


@pytest.fixture
def own(postgres: EmbeddedPostgres, tmp_path: Path) -> Iterator[Settings]:
    """Settings with an empty database of their own for Dagster."""
    name = f"dagster_{uuid4().hex[:12]}"
    create_database(postgres, name)
    url = postgres.build_url(name)
    with pytest.MonkeyPatch.context() as patched:
        for variable in (
            "DAGSTER_HOME",
            "PALIMPSEST_DATABASE_URL",
            "PALIMPSEST_DAGSTER_DATABASE_URL",
        ):  # opening an instance sets some
            patched.setenv(variable, url)
        yield load_settings(home_dir=tmp_path, database_url=postgres.build_url("ours"), dagster_database_url=url)
    drop_database(postgres, name)


def connect(settings: Settings) -> psycopg.Connection[Any]:
    assert settings.dagster_database_url is not None
    return psycopg.connect(settings.dagster_database_url.get_secret_value().replace("+psycopg", ""), autocommit=True)


def revision(settings: Settings) -> str:
    with connect(settings) as conn:
        row = conn.execute("select version_num from alembic_version").fetchone()
    assert row is not None
    return str(row[0])


def opened(settings: Settings, url: str) -> None:
    with open_instance(settings.model_copy(update={"dagster_database_url": SecretStr(url)})) as instance:
        assert instance.get_runs_count() == 0


@pytest.mark.slow
def test_processes_that_open_an_empty_storage_at_once_do_not_collide(own: Settings):
    assert own.dagster_database_url is not None
    spawn = multiprocessing.get_context("spawn")
    processes = [
        spawn.Process(target=opened, args=(own, own.dagster_database_url.get_secret_value())) for _ in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(300)
    assert [process.exitcode for process in processes] == [0, 0]


def test_a_storage_that_an_older_dagster_made_is_upgraded_and_one_that_a_newer_made_is_refused(own: Settings):
    with open_instance(own):
        newest = revision(own)
    with connect(own) as conn:
        conn.execute("drop index idx_runs_by_backfill_id")
        conn.execute("update alembic_version set version_num = '284a732df317'")  # adds that index next
    with open_instance(own):
        assert revision(own) == newest
    with connect(own) as conn:
        conn.execute("update alembic_version set version_num = 'ffffffffffff'")
    with pytest.raises(SettingsError, match=r"at revision ffffffffffff, .*a newer Dagster made them"):
        open_instance(own)


# --- old logs ----------------------------------------------------------------------------------------------------------------------------

PARTS = dg.StaticPartitionsDefinition(["x", "y", "z"])


class Fails(dg.Config):
    fails: bool = False


@dg.asset(partitions_def=PARTS)
def parted(context: dg.AssetExecutionContext, config: Fails) -> dg.MaterializeResult:
    context.log.info("so much to say")
    if config.fails:
        raise RuntimeError("as asked for")
    return dg.MaterializeResult(metadata={"n": 1})


@dg.asset_check(asset=parted, partitions_def=PARTS)
def is_fine(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=context.partition_key != "z")


@dg.op
def chat(context: dg.OpExecutionContext) -> None:
    context.log.info("and nothing made")


@dg.asset
def whole() -> None: ...


@dg.job
def no_asset() -> None:
    chat()


def run(instance: dg.DagsterInstance, partition: str, fails: bool = False) -> str:
    config = {"ops": {"parted": {"config": {"fails": fails}}}}
    return dg.materialize(
        [parted, is_fine], instance=instance, partition_key=partition, run_config=config, raise_on_error=False
    ).run_id


def age(settings: Settings, *run_ids: str) -> None:
    with connect(settings) as conn:
        conn.execute(
            "update runs set end_time = end_time - %s, create_timestamp = create_timestamp - %s where run_id = any(%s)",
            [AGED.total_seconds(), AGED, list(run_ids)],
        )


def state(instance: dg.DagsterInstance) -> dict[str, Any]:
    """All that the UI and automation read of the asset and its check."""
    log, key = instance.event_log_storage, parted.key
    check = is_fine.check_key
    last = {
        p: instance.fetch_materializations(dg.AssetRecordsFilter(key, asset_partitions=[p]), limit=1).records
        for p in "xyz"
    }
    records = log.get_asset_check_execution_history(check, limit=100)
    evaluated = [r for r in records if r.status is not AssetCheckExecutionRecordStatus.PLANNED]
    return {
        "materialized": log.get_materialized_partitions(key),
        "n_of_each": log.get_latest_storage_id_by_partition(key, dg.DagsterEventType.ASSET_MATERIALIZATION),
        "failed": log.get_latest_asset_partition_materialization_attempts_without_materializations(key),
        "last": {
            p: [(r.run_id, r.storage_id, r.asset_materialization.metadata) for r in found] for p, found in last.items()
        },
        "asset": log.get_asset_records([key])[0].asset_entry.last_materialization_storage_id,
        "checks": {
            p: next((r.run_id, r.status) for r in evaluated if r.partition == p)
            for p in {r.partition for r in evaluated}
        },
        "latest_check": log.get_latest_asset_check_execution_by_key([check])[check].run_id,
    }


def delete_old_runs(instance: dg.DagsterInstance) -> tuple[int, int]:
    """Imports the definitions only here: the processes that open a storage at once must not load them."""
    from palimpsest_pipeline.defs.upkeep import assets

    return assets.delete_old_runs(instance, BEFORE)


def rows(settings: Settings, run_id: str) -> list[str | None]:
    with connect(settings) as conn:
        return [
            row[0]
            for row in conn.execute("select dagster_event_type from event_logs where run_id = %s order by id", [run_id])
        ]


def test_old_runs_go_and_the_state_of_assets_and_checks_stays(own: Settings):
    with open_instance(own) as instance:
        replaced, again, failed, other = (
            run(instance, "x"),
            run(instance, "x"),
            run(instance, "y", fails=True),
            run(instance, "z"),
        )
        mended = run(instance, "z")
        talk = no_asset.execute_in_process(instance=instance).run_id
        young = run(instance, "x")
        unfinished = instance.create_run_for_job(no_asset, status=dg.DagsterRunStatus.STARTED).run_id
        age(own, replaced, again, failed, other, mended, talk, unfinished)
        before, rows_before = state(instance), [rows(own, run_id) for run_id in (young, mended, failed)]
        done = delete_old_runs(instance)
        assert state(instance) == before
        assert [rows(own, run_id) for run_id in (young, mended, failed)] == rows_before
        assert all(instance.get_run_by_id(run_id) for run_id in (young, mended, failed, unfinished))
        for run_id in (replaced, again, other, talk):
            assert (instance.get_run_by_id(run_id), rows(own, run_id)) == (None, [])
        assert done == (4, 3)
        assert delete_old_runs(instance) == (0, 0)


def test_the_newest_run_of_an_asset_without_partitions_stays(own: Settings):
    with open_instance(own) as instance:
        first, last = (dg.materialize([whole], instance=instance).run_id for _ in range(2))
        age(own, first, last)
        assert delete_old_runs(instance)[0] == 1
        event = instance.get_latest_materialization_event(whole.key)
        assert event is not None
        assert (event.run_id, instance.get_run_by_id(first)) == (last, None)


# --- connections -------------------------------------------------------------------------------------------------------------------------


def test_a_command_keeps_its_connections_to_the_storage(own: Settings):
    def opened_connections() -> int:
        with connect(own) as conn:
            row = conn.execute("select sessions from pg_stat_database where datname = current_database()").fetchone()
        assert row is not None
        return int(row[0])

    with open_instance(own) as instance:
        run(instance, "x")
        before = opened_connections()
        for partition in "xyz":
            run(instance, partition)
        assert opened_connections() - before <= 10, "some hundred statements"
