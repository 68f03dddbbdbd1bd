"""What the doctor sees: each thing that users have wrong is found, and told with what to do."""

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import psycopg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteInstigatorOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, TickData, TickStatus
from dagster._daemon.types import DaemonHeartbeat
from dagster_shared.error import SerializableErrorInfo
from pydantic import SecretStr

from palimpsest_pipeline.defs.instance import open_instance
from palimpsest_pipeline.defs.monitoring.checks import last_ticks_succeeded
from palimpsest_pipeline.domain.enums import PayloadKind, Scope
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.operate.doctor import dagster_health, platform_hosts, stores
from palimpsest_pipeline.operate.doctor.findings import Finding, run_checks
from palimpsest_pipeline.operate.doctor.machine import check_market_settings, check_settings, explain_unwritable
from palimpsest_pipeline.operate.unknown_settings import SERVER_USER_VARIABLE
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.monitoring.alert_message import Message
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.runtime.embedded_postgres.privilege import USER_VARIABLE
from palimpsest_pipeline.settings import Settings, load_settings
from palimpsest_pipeline.storage.db.revisions import compute_revision
from palimpsest_pipeline.storage.derivation import landed_cycles
from palimpsest_pipeline.storage.derivation.due_products import record_failure
from palimpsest_pipeline.storage.derivation.landed_cycles import LandedCycleRecord
from palimpsest_pipeline.storage.ledger import run_heartbeats
from palimpsest_pipeline_tests.fixtures.loopback import Loopback
from palimpsest_pipeline_tests.fixtures.pipeline import pipelines
from palimpsest_pipeline_tests.fixtures.platforms import BETPAWA, PLATFORMS
from palimpsest_pipeline_tests.fixtures.postgres import create_database, drop_database
from palimpsest_pipeline_tests.storage.table_rows import insert

SETTINGS = load_settings()
NO_MARGIN = "match_result_1up"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("PALIMPSEST_FULL_CYCLE_MINUTE", ", but PALIMPSEST_FULL_CYCLE_MINUTES is"),
        ("palimpsest_betpawa_base_url", ", but PALIMPSEST_PLATFORM__BETPAWA__BASE_URL is"),
        ("PALIMPSEST_ZZZZ", ". `palimpsest settings` prints all settings"),
    ],
)
def test_a_name_that_is_no_setting_is_told_with_the_one_that_it_is_like(name: str, says: str, tmp_path: Path):
    found = check_settings(SETTINGS, {name: "x"}, tmp_path / ".env")
    assert not found.ok
    assert f"{name} (environment) is not a setting{says}" in found.detail


def test_the_forecast_of_the_landing_grows_with_the_platforms(tmp_path: Path):
    def forecast(*platforms: str) -> tuple[int, float]:
        detail = stores.check_landing(load_settings(home_dir=tmp_path, platforms=list(platforms))).detail
        found = re.search(r"(\d+) full-size platforms would fill about ([\d.]+) GiB", detail)
        assert found is not None, detail
        return int(found[1]), float(found[2])

    three, six = forecast(*PLATFORMS), forecast(*PLATFORMS, "msport", "betway", "sportybet-gh")
    assert (three[0], six[0]) == (3, 6)
    assert six[1] == pytest.approx(2 * three[1], abs=0.2)


@pytest.mark.parametrize(
    "name",
    ["PALIMPSEST_PLATFORM__BETPAWA__HEADERS__X", "palimpsest_home_dir", "PALIMPSEST_PG_USER", "HOME"],
)
def test_a_name_that_is_a_setting_is_fine_however_it_is_written(name: str, tmp_path: Path):
    assert check_settings(SETTINGS, {name: "x"}, tmp_path / ".env").ok


def test_what_kubernetes_sets_for_a_service_is_named_and_no_fault(tmp_path: Path):
    names_by_value = {
        "10.0.0.1": ("SERVICE_HOST", "PORT_80_TCP_ADDR", "WEB_SERVICE_HOST"),
        "80": ("SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT_80_TCP_PORT"),
        "tcp": ("PORT_80_TCP_PROTO",),
        "tcp://10.0.0.1:80": ("PORT", "PORT_80_TCP", "UI_PORT"),
    }
    set_by_it = {f"PALIMPSEST_{name}": value for value, names in names_by_value.items() for name in names}
    found = check_settings(SETTINGS, set_by_it, tmp_path / ".env")
    assert found.ok
    assert found.detail.startswith("warning: ")
    assert all(f"{name} (environment) is set by Kubernetes" in found.detail for name in set_by_it)
    assert not check_settings(SETTINGS, {"PALIMPSEST_PORT": "3000"}, tmp_path / ".env").ok, (
        "somebody meant PALIMPSEST_UI_PORT"
    )


@pytest.mark.parametrize(("max_concurrent_runs", "warned"), [(1, True), (3, True), (4, False)])
def test_so_few_runs_at_a_time_that_a_scrape_may_wait_are_told_and_no_fault(
    max_concurrent_runs: int, warned: bool, tmp_path: Path
):
    few = SETTINGS.model_copy(update={"max_concurrent_runs": max_concurrent_runs})
    found = check_settings(few, {}, tmp_path / ".env")
    assert found.ok
    assert ("PALIMPSEST_MAX_CONCURRENT_RUNS" in found.detail) is warned


def test_the_variable_of_the_servers_user_is_known():
    assert SERVER_USER_VARIABLE == USER_VARIABLE


def test_a_misspelt_name_in_the_file_is_told_with_the_file(tmp_path: Path):
    (tmp_path / ".env").write_text("PALIMPSEST_UI_PORT=4000\nPALIMPSEST_UIPORT=4001\n")
    found = check_settings(SETTINGS, {}, tmp_path / ".env")
    assert "PALIMPSEST_UIPORT (.env) is not a setting, but PALIMPSEST_UI_PORT is" in found.detail


@pytest.mark.parametrize(
    ("main_markets", "says"),
    [
        (["1x2"], "the vocabulary has no market 1x2; `palimpsest markets list"),
        ([NO_MARGIN], f"PALIMPSEST_MAIN_MARKETS: {NO_MARGIN} can have no margin"),
    ],
)
def test_a_main_market_that_every_run_would_fail_of_is_told_before(main_markets: list[str], says: str):
    found = check_market_settings(load_settings(main_markets=main_markets))
    assert not found.ok
    assert says in found.detail
    assert check_market_settings(SETTINGS).ok


class Pager:
    name = "pager"

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def send(self, message: Message) -> None:
        pass


class Mute:
    """It has no name, and cannot send."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings


def test_every_channel_that_cannot_be_had_is_told_with_what_to_do(world: tuple[Pipeline, dg.DagsterInstance]):
    def look(*channels: str) -> Finding:
        return stores.check_alerts(world[0].settings.model_copy(update={"alert_channels": list(channels)}))

    assert look().detail.startswith("sent to Dagster's logs only; set PALIMPSEST_ALERT_WEBHOOK_URL to post them; ")
    fine = look(f"{__name__}:Pager")
    assert fine.ok
    assert fine.detail.startswith("sent by pager; ")
    found = look(f"{__name__}:Pager", f"{__name__}:Pagr", "nowhere.pager:Pager", f"{__name__}:Mute")
    assert not found.ok
    assert f"{__name__}:Pagr cannot be made: AttributeError" in found.detail
    assert "nowhere.pager:Pager cannot be made: ModuleNotFoundError" in found.detail
    assert f"{__name__}:Mute cannot be made: AttributeError" in found.detail
    assert found.detail.endswith(
        "name a class that can be imported here, such as my_package.pager:Pager; its alerts wait until then"
    )


def test_a_folder_that_cannot_be_written_is_told_also_when_it_is_not_there_yet(tmp_path: Path):
    assert explain_unwritable(str(tmp_path)) is None
    assert explain_unwritable(str(tmp_path / "not" / "yet")) is None
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    assert f"{tmp_path / 'file'} cannot be written" in (explain_unwritable(str(tmp_path / "file" / "folder")) or "")
    assert "nosuchstore://x cannot be written" in (explain_unwritable("nosuchstore://x") or "")


def test_what_hangs_and_what_breaks_keeps_nothing_else_from_being_seen():
    release = threading.Event()

    def hangs(_: Settings) -> Finding:
        release.wait(60)
        return Finding("slow", True, "")

    def breaks(_: Settings) -> Finding:
        raise RuntimeError("of\nno use")

    looks = {
        "slow": hangs,
        "broken": breaks,
        "fine": lambda _: [Finding("fine", True, "1"), Finding("fine too", True, "2")],
    }
    found = run_checks(SETTINGS, looks, timeout_s=2)
    release.set()
    assert [(f.name, f.ok) for f in found] == [("slow", False), ("broken", False), ("fine", True), ("fine too", True)]
    assert found[0].detail.startswith("no answer within 2 s")
    assert found[1].detail == "could not be checked: RuntimeError: of no use"


# --- databases ---------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world(
    postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Pipeline, dg.DagsterInstance]]:
    """A pipeline with a schema, and an instance with tables of its own on the same server."""
    url = postgres.build_url("doctor_dagster")
    with pipelines(postgres, tmp_path_factory.mktemp("home")) as make, pytest.MonkeyPatch.context() as patched:
        patched.setenv("DAGSTER_HOME", "")
        patched.setenv("PALIMPSEST_DATABASE_URL", postgres.build_url("ours"))
        patched.setenv("PALIMPSEST_DAGSTER_DATABASE_URL", url)  # an instance is opened by its address there
        create_database(postgres, "doctor_dagster")
        pipeline = make()
        settings = pipeline.settings.model_copy(update={"dagster_database_url": SecretStr(url)})
        with open_instance(settings) as instance:
            yield replace(pipeline, settings=settings), instance
        drop_database(postgres, "doctor_dagster")


def check_all(settings: Settings) -> dict[str, Finding]:
    """What is found of both databases and of Dagster, by name."""
    ours = [stores.check_database(settings), stores.check_clock(settings), stores.check_dead_cycles(settings)]
    return {finding.name: finding for finding in (*ours, *dagster_health.check_dagster(settings))}


def test_databases_that_are_as_they_should_be_are_fine(world: tuple[Pipeline, dg.DagsterInstance]):
    found = check_all(world[0].settings)
    assert found.keys() > {"dagster", "daemons", "schedules", "ticks", "runs"}
    assert all(f.ok for f in found.values())
    assert found["database"].detail.startswith(f"Postgres 18, schema up to date at revision {compute_revision()}")
    assert "storage at revision" in found["dagster"].detail
    assert "`palimpsest up`" in found["daemons"].detail
    assert "full_cycle_schedule" in found["schedules"].detail.partition("off: ")[2], "off, and that is not bad"


def test_a_database_that_nobody_answers_for_is_told_for_both(tmp_path: Path):
    url = "postgresql://me:hunter2@127.0.0.1:1/x"
    found = check_all(load_settings(home_dir=tmp_path, database_url=url, dagster_database_url=f"{url}_dagster"))
    assert {name for name, f in found.items() if not f.ok} == {"database", "dagster"}
    assert "PALIMPSEST_DAGSTER_DATABASE_URL" in found["dagster"].detail
    assert all("hunter2" not in f.detail for f in found.values())


def test_an_embedded_server_that_does_not_run_is_not_started(tmp_path: Path):
    settings = load_settings(home_dir=tmp_path / "home", database_url=None, dagster_database_url=None)
    assert all(f.ok for f in check_all(settings).values())
    assert not (tmp_path / "home").exists()


def test_dagsters_tables_are_not_made_by_looking(postgres: EmbeddedPostgres, world: object, tmp_path: Path):
    create_database(postgres, "doctor_empty")
    urls = {"database_url": postgres.build_url("ours"), "dagster_database_url": postgres.build_url("doctor_empty")}
    found = check_all(load_settings(home_dir=tmp_path, **urls))
    assert "holds no tables of Dagster:" in found["dagster"].detail
    with psycopg.connect(postgres.build_libpq_url("doctor_empty")) as conn:
        assert conn.execute("select count(*) from pg_tables where schemaname = 'public'").fetchone() == (0,)
    drop_database(postgres, "doctor_empty")


def test_hours_of_which_something_is_due_are_told_with_a_cycle_that_failed(world: tuple[Pipeline, dg.DagsterInstance]):
    pipeline, _ = world
    assert stores.check_derived_products(pipeline.settings) == Finding("derived", True, "everything that was landed")
    hour = datetime(2026, 5, 1, 12, tzinfo=UTC)
    landed = LandedCycleRecord(7, hour, Scope.FULL, tuple(sorted(PLATFORMS)), "digest", is_whole=True)
    versions = {"landing_digest": "digest", "parser_version": "p", "mapping_version": "m"}
    with pipeline.connect() as conn:
        landed_cycles.write_landed_cycle(conn, landed)
        ended = {"started_at": hour, "finished_at": hour + timedelta(minutes=10), "status": "completed"}
        insert(conn, "ops.scrape_batches", {"cycle_id": 7, "scope": "full", "partition_hour": hour, **ended})
        insert(conn, "ops.scrape_runs", {"cycle_id": 7, "platform": "bet9ja", "bytes": 1, **ended})
        record_failure(conn, "tournaments", 7, **versions, error="ValueError: no such name")
        conn.commit()
        found = stores.check_derived_products(pipeline.settings)
        for table in ("ops.scrape_runs", "ops.scrape_batches", "ops.landed_cycles", "ops.cycle_failures"):
            conn.execute(f"delete from {table} where cycle_id = 7".encode())
    assert not found.ok
    assert found.detail == (
        "products of 1 hours are due, from 2026-05-01-12:00 to 2026-05-01-12:00; 1 cycles failed, e.g. 7, tournaments: ValueError: no such name. "
        "Run `palimpsest backfill 2026-05-01-12:00 2026-05-01-12:00`, which names the cycles that it cannot derive"
    )


def test_a_clock_that_is_off_is_told(world: tuple[Pipeline, dg.DagsterInstance], monkeypatch: pytest.MonkeyPatch):
    class Late(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return datetime.now(UTC) - timedelta(seconds=90)

    monkeypatch.setattr(stores, "datetime", Late)
    found = stores.check_clock(world[0].settings)
    assert not found.ok
    assert found.detail.startswith("the database's clock is +90.0 s from this machine's")


# --- Dagster -----------------------------------------------------------------------------------------------------------------------------

ORIGIN = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("palimpsest_pipeline"), "__repository__")


def fail_tick(instance: dg.DagsterInstance, sensor: str) -> tuple[InstigatorState, TickData]:
    """A sensor that is off, and whose last tick failed."""
    state = InstigatorState(RemoteInstigatorOrigin(ORIGIN, sensor), InstigatorType.SENSOR, InstigatorStatus.STOPPED)
    instance.add_instigator_state(state)
    error = SerializableErrorInfo("outer", [], "Outer", SerializableErrorInfo("no luck\nat all", [], "Inner"))
    of_sensor = state.instigator_origin_id, sensor, InstigatorType.SENSOR
    tick = TickData(*of_sensor, TickStatus.FAILURE, 1_700_000_000.0, error=error, selector_id=state.selector_id)
    instance.create_tick(tick)
    return state, tick


def test_a_sensor_that_should_be_on_and_is_off_is_told_and_so_is_a_tick_that_failed(
    world: tuple[Pipeline, dg.DagsterInstance],
):
    pipeline, instance = world
    made, tick = fail_tick(instance, "dead_runs")
    found = check_all(pipeline.settings)
    assert not found["schedules"].ok
    assert "switched off, and should be on: dead_runs" in found["schedules"].detail
    assert found["ticks"].ok  # who is off fails at nothing
    instance.update_instigator_state(made.with_status(InstigatorStatus.RUNNING))
    assert dagster_health.check_schedules(instance).ok
    failing = "the last tick of the sensor dead_runs, at 2023-11-14 22:13:20 UTC, failed: no luck"
    assert dagster_health.check_ticks(instance) == Finding("ticks", False, failing)
    under_way = tick._replace(status=TickStatus.STARTED, timestamp=tick.timestamp + 60, error=None)
    instance.create_tick(under_way)
    told = last_ticks_succeeded(dg.build_asset_check_context(instance=instance))
    assert isinstance(told, dg.AssetCheckResult)
    assert (told.passed, told.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert str(told.description).startswith(failing), "a tick under way does not hide the one that failed before it"
    instance.create_tick(under_way._replace(status=TickStatus.SKIPPED, timestamp=tick.timestamp + 120))
    assert last_ticks_succeeded(dg.build_asset_check_context(instance=instance)).passed


def test_daemons_that_are_silent_or_failed_are_told(world: tuple[Pipeline, dg.DagsterInstance]):
    pipeline, instance = world

    def beats(age_s: float, *errors: SerializableErrorInfo) -> Finding:
        now = datetime.now(UTC).timestamp()
        for name in instance.get_required_daemon_types():
            beat = (now - age_s, name, None, list(errors)) if name == "SENSOR" else (now, name, None, [])
            instance.add_daemon_heartbeat(DaemonHeartbeat(*beat))
        return dagster_health.check_daemons(pipeline.settings, instance)

    assert beats(10).ok
    silent, failed = beats(1000), beats(10, SerializableErrorInfo("it broke", [], None))
    assert (silent.ok, failed.ok) == (False, False)
    assert "no heartbeat of SENSOR (100" in silent.detail
    assert "alive, and last failed: SENSOR: it broke" in failed.detail


def test_a_run_whose_process_died_is_told(world: tuple[Pipeline, dg.DagsterInstance]):
    @dg.job
    def some_job() -> None:
        pass

    pipeline, instance = world
    run = instance.create_run_for_job(some_job, status=dg.DagsterRunStatus.STARTED)
    with pipeline.connect() as conn:
        run_heartbeats.write_heartbeat(conn, run_heartbeats.RunProcess(run.run_id, "some_job", "a-host", 42))
    assert dagster_health.check_runs(pipeline.settings, instance) == Finding(
        "runs", True, "1 under way, 0 queued, none dead"
    )
    with pipeline.connect() as conn:
        conn.execute("update ops.run_heartbeats set heartbeat_at = heartbeat_at - interval '1 hour'")
    asked = pipeline.settings.model_copy(update={"silent_after_s": 0})  # the server may have been started a moment ago
    found = dagster_health.check_runs(asked, instance)
    assert not found.ok
    assert f"{run.run_id[:8]} (some_job, a-host pid 42)" in found.detail


def test_definitions_can_be_loaded():
    found = dagster_health.check_definitions(SETTINGS)
    assert found.ok
    assert "can be loaded" in found.detail


# --- platforms ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "ok", "says"),
    [
        (200, True, "it can be reached; only a scrape shows whether its API answers"),
        (404, True, "status 404"),
        (403, False, "PALIMPSEST_PLATFORM__BETPAWA__PROXY"),
        (503, False, "try again later"),
        (None, False, "cannot be reached: no route"),
    ],
)
def test_an_answer_of_a_platform_says_no_more_than_it_proves(status: int | None, ok: bool, says: str):
    now, request = datetime.now(UTC), Request(BETPAWA, PayloadKind.TREE, "/")
    answer = Answer(request, 1, now, now, now, status, {}, None, failure_detail="no route")
    found = platform_hosts.judge_answer(BETPAWA, "https://x", answer)
    assert (found.name, found.ok) == ("platform betpawa", ok)
    assert says in found.detail


async def test_platforms_are_asked_once_each():
    async with Loopback() as host:
        settings = load_settings(platform={platform: {"base_url": host.base_url} for platform in PLATFORMS})
        found = await asyncio.to_thread(platform_hosts.check_platforms, settings)
        assert host.count_requests("/") == len(host.requests) == 3
    assert [f.name for f in found] == ["platform betpawa", "platform sportybet", "platform bet9ja"]
    assert json.dumps([asdict(f) for f in found])
