"""Dagster's storage on lasting connections: few of them, replaced when the server has closed them, and never shared with a forked process."""

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import dagster as dg
import psycopg
import pytest
from pydantic import SecretStr

from palimpsest_pipeline.defs.instance import open_instance
from palimpsest_pipeline.defs.launch import span
from palimpsest_pipeline.settings import load_settings
from palimpsest_pipeline.storage.embedded import EmbeddedPostgres

HOURS = 48


@dg.asset(partitions_def=dg.HourlyPartitionsDefinition(datetime(2026, 5, 1), timezone="UTC"), backfill_policy=dg.BackfillPolicy.single_run())  # noqa: DTZ001
def nothing(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    for key in context.partition_keys:
        context.add_asset_metadata({"hour": key}, partition_key=key)
    return dg.MaterializeResult()


@pytest.fixture(scope="module")
def server(postgres: EmbeddedPostgres) -> Iterator[EmbeddedPostgres]:
    postgres.create_database("lasting")
    yield postgres
    postgres.drop_database("lasting")


@pytest.fixture
def instance(server: EmbeddedPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    for name in [name for name in os.environ if name.startswith(("PALIMPSEST_", "DAGSTER_HOME"))]:
        monkeypatch.delenv(name)
    urls = {"database_url": SecretStr(server.url("ours")), "dagster_database_url": SecretStr(server.url("lasting"))}
    with open_instance(load_settings(home_dir=tmp_path, **urls)) as found:
        yield found


def backends(server: EmbeddedPostgres) -> set[int]:
    """Process ids of the server's sides of the connections to Dagster's storage."""
    with psycopg.connect(server.url("postgres").replace("+psycopg", "")) as conn:
        return {pid for (pid,) in conn.execute("select pid from pg_stat_activity where datname = 'lasting'").fetchall()}


def test_instances_of_one_process_share_their_connections(instance: dg.DagsterInstance, server: EmbeddedPostgres):
    instance.get_runs_count()
    before = backends(server)
    with dg.DagsterInstance.from_ref(instance.get_ref()) as again:
        assert again.get_runs_count() >= 0
    assert backends(server) == before


def test_a_run_over_many_hours_keeps_to_its_connections_and_tells_of_every_hour(instance: dg.DagsterInstance, server: EmbeddedPostgres):
    instance.get_runs_count()
    before = backends(server)
    result = dg.materialize([nothing], instance=instance, tags=span("2026-05-01-00:00", "2026-05-02-23:00"))
    assert result.success
    assert len(backends(server) - before) <= 1
    told = instance.fetch_materializations(nothing.key, limit=HOURS + 1).records
    hours = {record.partition_key: record.asset_materialization.metadata["hour"].value for record in told}
    assert len(hours) == HOURS
    assert all(key == value for key, value in hours.items())


def test_connections_that_the_server_has_ended_are_replaced_before_they_are_used(instance: dg.DagsterInstance, server: EmbeddedPostgres):
    instance.get_runs_count()
    assert (before := backends(server))
    with psycopg.connect(server.url("postgres").replace("+psycopg", ""), autocommit=True) as conn:
        conn.execute("select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = 'lasting'")
    assert instance.get_runs_count() >= 0
    assert not before & backends(server)


def test_a_forked_process_has_connections_of_its_own(instance: dg.DagsterInstance, server: EmbeddedPostgres):
    instance.get_runs_count()
    parents = backends(server)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            instance.get_runs_count()
            os.write(writing, str(len(backends(server) - parents)).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        assert told.read() == "1"
    os.waitpid(child, 0)
    assert instance.get_runs_count() >= 0
    assert parents <= backends(server)
