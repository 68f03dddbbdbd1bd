"""What Dagster's pages and a tick of the kickoff sensor cost after years of use: every partition is materialized, the
log has a million events.

The storage is Dagster's own on a Postgres of its own. One event of each kind is written by Dagster; SQL multiplies it
by days and runs. The pages' questions go over HTTP to Dagster's web server, with our definitions in a code server, as
under `palimpsest up`.
"""

import os
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Final

import dagster as dg
import psycopg
import typer
from rich.table import Table

from palimpsest_pipeline.definitions import defs
from palimpsest_pipeline.defs.cycle_jobs import kickoff_window_job
from palimpsest_pipeline.defs.cycle_triggers import kickoff_sensor
from palimpsest_pipeline.defs.instance import open_instance
from palimpsest_pipeline.defs.mart.late_marts_sensor import late_marts
from palimpsest_pipeline.defs.partitions import format_day_key
from palimpsest_pipeline.operate.databases import upgrade_schema
from palimpsest_pipeline.operate.serve.service_record import WEB_SERVER
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.settings import Settings, load_settings
from palimpsest_pipeline_tests.fixtures.commands import free_port
from palimpsest_pipeline_tests.fixtures.deployed import ask, has_definitions
from palimpsest_pipeline_tests.fixtures.kickoffs import put_kickoffs

from .backfill import run_children

RUNS_A_DAY: Final = 288
"""Runs of slots before kickoffs, one each 5 minutes."""
RUN_DAYS: Final = 30
"""Days that logs of runs are kept."""
COPIED: Final = "run_id, event, dagster_event_type, timestamp, step_key, asset_key, partition"

DAYS_SQL: Final = f"""
    insert into event_logs ({COPIED})
    select run_id, replace(event, %(day)s::text, to_char(d, 'YYYY-MM-DD')), dagster_event_type, d::timestamp, step_key, asset_key,
           to_char(d, 'YYYY-MM-DD')
    from event_logs cross join generate_series(%(first)s::date, %(day)s::date - 1, '1 day') as d where partition = %(day)s::text
"""
CHECKS_SQL: Final = """
    insert into asset_check_executions
        (asset_key, check_name, run_id, execution_status, evaluation_event, evaluation_event_timestamp, evaluation_event_storage_id,
         materialization_event_storage_id, create_timestamp, partition)
    select asset_key, check_name, run_id, execution_status, replace(evaluation_event, %(day)s::text, to_char(d, 'YYYY-MM-DD')), d::timestamp,
           evaluation_event_storage_id, materialization_event_storage_id, d::timestamp, to_char(d, 'YYYY-MM-DD')
    from asset_check_executions cross join generate_series(%(first)s::date, %(day)s::date - 1, '1 day') as d where partition = %(day)s::text
"""
RUNS_SQL: Final = """
    with copied as (
        insert into runs
            (run_id, snapshot_id, pipeline_name, mode, status, run_body, partition, create_timestamp, update_timestamp, start_time, end_time)
        select run_id || '-' || n, snapshot_id, pipeline_name, mode, status, replace(run_body, run_id, run_id || '-' || n), partition,
               create_timestamp - n * %(every)s, update_timestamp - n * %(every)s, extract(epoch from create_timestamp - n * %(every)s),
               extract(epoch from create_timestamp - n * %(every)s) + 240
        from runs cross join generate_series(1, %(runs)s) as n where run_id = %(run_id)s
        returning run_id
    )
    insert into run_tags (run_id, key, value) select copied.run_id, key, value from run_tags cross join copied where run_tags.run_id = %(run_id)s
"""
EVENTS_SQL: Final = f"""
    insert into event_logs ({COPIED})
    select r.run_id, replace(e.event, %(run_id)s, r.run_id), dagster_event_type, r.create_timestamp, step_key, asset_key, e.partition
    from event_logs e cross join runs r cross join generate_series(1, %(times)s) where e.run_id = %(run_id)s and r.run_id <> %(run_id)s
"""

PARTITIONS: Final = """query ($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
  partitionKeysByDimension { name type partitionKeys }
  partitionStats { numMaterialized numMaterializing numPartitions numFailed }
  assetPartitionStatuses { ... on TimePartitionStatuses { ranges { status startKey endKey startTime endTime } } } } } }"""
PARTITION: Final = """query ($key: AssetKeyInput!, $day: String!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
  latestRunForPartition(partition: $day) { id status }
  staleStatus(partition: $day) staleCauses(partition: $day) { reason }
  assetMaterializations(partitions: [$day], limit: 1) { runId timestamp metadataEntries { label } } } } }"""
CHECKS: Final = """query ($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
  assetChecksOrError { ... on AssetChecks { checks { name executionForLatestMaterialization { runId status evaluation { partition } } } } } } } }"""
OVERVIEW: Final = """query ($keys: [AssetKeyInput!]!) {
  assetsLatestInfo(assetKeys: $keys) { unstartedRunIds inProgressRunIds latestMaterialization { runId timestamp partition } latestRun { id } }
  assetNodes(assetKeys: $keys) { partitionStats { numMaterialized numMaterializing numPartitions numFailed } } }"""
RUNS: Final = (
    "{ runsOrError(limit: 26) { ... on Runs { results { id status jobName startTime endTime tags { key value } } } } }"
)


def measure(
    years: Annotated[float, typer.Option(min=0.01, help="Years since the first day.")] = 10.0,
    events: Annotated[int, typer.Option(min=1000, help="Rows of Dagster's log at least.")] = 1_000_000,
    fixtures: Annotated[int, typer.Option(min=1, help="Fixtures that kick off within two hours.")] = 1000,
    rounds: Annotated[
        int, typer.Option(min=2, help="Rounds: in each, every question is asked once of every partitioned asset.")
    ] = 5,
) -> dict[str, Any]:
    """Milliseconds of each page's question, the first time and then; and of ticks of two sensors."""
    today = datetime.now(UTC).date()
    first = today - timedelta(days=round(365 * years) - 1)
    with TemporaryDirectory(prefix="palimpsest-instance-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # as root the server's user must pass through
        server = EmbeddedPostgres(folder / "postgres", databases=("ours", "dagsters"), durable=False)
        server.start()
        try:
            urls = {"database_url": server.build_url("ours"), "dagster_database_url": server.build_url("dagsters")}
            settings = load_settings(home_dir=folder / "home", first_day=first, **urls)
            upgrade_schema(Pipeline(settings))
            keys = [key for key in defs.resolve_asset_graph().get_all_asset_keys() if is_partitioned(key)]
            with open_instance(settings) as instance:
                n_events = fill(
                    instance, server.build_url("dagsters"), keys, format_day_key(today), format_day_key(first), events
                )
                ticks = tick(settings, instance, fixtures, rounds)
            port = free_port()
            with run_children(settings, WEB_SERVER, lambda: has_definitions(port), port):
                pages = {
                    page: of_ms(took)
                    for page, took in time_questions(port, keys, format_day_key(today), rounds).items()
                }
        finally:
            server.remove()
    return {
        "days": (today - first).days + 1,
        "assets": len(keys),
        "events": n_events,
        "rounds": rounds,
        "pages": pages,
        "ticks": ticks,
    }


def is_partitioned(key: dg.AssetKey) -> bool:
    node = defs.resolve_asset_graph().get(key)
    return node.is_materializable and node.is_partitioned


def fill(instance: dg.DagsterInstance, url: str, keys: list[dg.AssetKey], day: str, first: str, events: int) -> int:
    """Write what years of use leave; return the number of rows in Dagster's log."""
    graph = defs.resolve_asset_graph()
    for key in keys:
        instance.report_runless_asset_event(
            dg.AssetMaterialization(key, partition=day, metadata={"rows_written": 1000, "cycles": 1})
        )
        for check in graph.get(key).check_keys:
            instance.report_runless_asset_event(
                dg.AssetCheckEvaluation(
                    asset_key=key, check_name=check.name, passed=True, partition=day, metadata={"violations": 0}
                )
            )
    job = defs.resolve_job_def(kickoff_window_job.name)
    run = instance.create_run_for_job(
        job, tags={"dagster/partition": day, **job.tags}, status=dg.DagsterRunStatus.SUCCESS
    )
    instance.report_engine_event("nothing to say", run, step_key="kickoff_cycles")
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as conn:
        conn.execute(DAYS_SQL.encode(), {"day": day, "first": first})
        conn.execute(CHECKS_SQL.encode(), {"day": day, "first": first})
        n_of_run, missing = n_rows(conn, run.run_id), max(events - n_rows(conn), 0)
        runs = min(RUNS_A_DAY * RUN_DAYS, missing // n_of_run + 1)
        conn.execute(RUNS_SQL.encode(), {"run_id": run.run_id, "runs": runs, "every": timedelta(days=1) / RUNS_A_DAY})
        conn.execute(EVENTS_SQL.encode(), {"run_id": run.run_id, "times": missing // (runs * n_of_run) + 1})
        conn.execute("vacuum analyze")
        return n_rows(conn)


def n_rows(conn: psycopg.Connection[Any], run_id: str | None = None) -> int:
    row = conn.execute(
        "select count(*) from event_logs where %(run_id)s::text is null or run_id = %(run_id)s", {"run_id": run_id}
    ).fetchone()
    assert row is not None
    return int(row[0])


def tick(settings: Settings, instance: dg.DagsterInstance, fixtures: int, rounds: int) -> dict[str, dict[str, float]]:
    """What a tick of a sensor takes that finds something to ask for."""
    pipeline, now = Pipeline(settings), datetime.now(UTC)
    with pipeline.connect() as conn:
        put_kickoffs(
            conn,
            now - timedelta(days=1),
            {n: now + timedelta(hours=2) * (n / fixtures) for n in range(1, fixtures + 1)},
        )
    took: dict[str, list[float]] = {}
    for _ in range(rounds):
        for sensor in (kickoff_sensor, late_marts):
            began = time.perf_counter()
            with dg.build_sensor_context(instance=instance, resources={"pipeline": pipeline}) as context:
                found = sensor(context)
                if isinstance(found, Iterator):
                    list(found)
            took.setdefault(sensor.name, []).append(1000 * (time.perf_counter() - began))
    return {name: of_ms(each) for name, each in took.items()}


def time_questions(port: int, keys: list[dg.AssetKey], day: str, rounds: int) -> Mapping[str, list[float]]:
    """Milliseconds of each question, in the order in which it was asked."""
    took: dict[str, list[float]] = {}

    def timed(page: str, query: str, **variables: Any) -> dict[str, Any]:
        began = time.perf_counter()
        data = ask(port, query, **variables)
        took.setdefault(page, []).append(1000 * (time.perf_counter() - began))
        return data

    paths = [{"path": list(key.path)} for key in keys]
    for n in range(rounds):
        again = "" if n else "_first_time"
        for path in paths:
            stats = timed(f"partitions{again}", PARTITIONS, key=path)["assetNodeOrError"]["partitionStats"]
            if stats["numMaterialized"] < 1:
                raise RuntimeError(f"nothing of {path} is materialized")
            timed(f"partition{again}", PARTITION, key=path, day=day)
            timed(f"checks{again}", CHECKS, key=path)
        timed(f"overview{again}", OVERVIEW, keys=paths)
        timed(f"runs{again}", RUNS)
    return took


def of_ms(took: list[float]) -> dict[str, float]:
    """Median, 95th percentile and maximum."""
    return {
        "n": len(took),
        "p50_ms": median(took),
        "p95_ms": quantiles(took, n=20, method="inclusive")[-1] if len(took) > 1 else took[0],
        "max_ms": max(took),
    }


def table(found: dict[str, Any]) -> Table:
    """A row per question and sensor."""
    title = f"{found['days']:,} days of {found['assets']} assets, {found['events']:,} events; {os.cpu_count()} cores"
    shown = Table(title=title, title_justify="left")
    shown.add_column("what")
    for heading in ("times", "p50 ms", "p95 ms", "max ms"):
        shown.add_column(heading, justify="right")
    for what, took in {**found["pages"], **found["ticks"]}.items():
        shown.add_row(
            what.replace("_", " "), str(took["n"]), *(f"{took[name]:,.0f}" for name in ("p50_ms", "p95_ms", "max_ms"))
        )
    return shown
