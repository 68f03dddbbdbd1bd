"""Checks of Dagster: storage, daemon, definitions, schedules and sensors, ticks, dead runs."""

import importlib
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import dagster as dg
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from palimpsest_pipeline.defs.instance import (
    STORAGE_CONNECT_TIMEOUT_S,
    STORAGE_URL_VARIABLE,
    build_storage_url,
    prepare_instance,
)
from palimpsest_pipeline.defs.monitoring.stuck_runs import describe_failing_ticks
from palimpsest_pipeline.pipeline.context import make_embedded_server
from palimpsest_pipeline.settings import Settings
from palimpsest_pipeline.storage.db.connection import explain_connection_error, redact_url
from palimpsest_pipeline.storage.ledger import run_heartbeats

from ..serve.readiness import query_readiness
from ..serve.restart_services import DEFINITIONS_MODULE
from ..serve.service_record import read_record
from .findings import Finding, Problem, doctor_check
from .stores import NOT_RUNNING_DETAIL, connect_if_running

HEARTBEAT_TOLERANCE_S: Final = 120.0
"""Maximum age in seconds of a live daemon's heartbeat; the daemon writes one every 30 s."""
STORAGE_FINDINGS: Final = ("daemons", "schedules", "ticks", "runs")
"""Names of the findings that need Dagster's storage, in addition to the finding on the storage itself."""


def load_definitions() -> None:
    """Import the definitions before the checks start.

    The import takes seconds of CPU time, which the time limit of the checks must not include. `check_definitions`
    reports an error.
    """
    with suppress(Exception):
        importlib.import_module(DEFINITIONS_MODULE)


@doctor_check("definitions")
def check_definitions(settings: Settings) -> str:
    """Check that the definitions load here, and in the code server if it runs."""
    serving = read_record(settings.home)
    answer = query_readiness(serving.url) if serving is not None else None
    if answer is not None and answer.error is not None:
        raise Problem(
            f"the code server cannot load them: {answer.error}; solve this, then run `palimpsest down` and "
            "`palimpsest up`"
        )
    try:
        repository = _load_repository()
    except Exception as error:  # the code of the definitions may raise anything
        raise Problem(f"cannot be loaded: {type(error).__name__}: {' '.join(str(error).split())}") from error
    n_assets, n_jobs = len(repository.asset_graph.materializable_asset_keys), len(repository.job_names) - 1
    where = ", by the code server too" if answer is not None and answer.is_loaded else ""
    return f"{n_assets} assets and {n_jobs} jobs can be loaded{where}"


def _load_repository() -> dg.RepositoryDefinition:
    definitions: dg.Definitions = importlib.import_module(DEFINITIONS_MODULE).defs
    return definitions.get_repository_def()


def check_dagster(settings: Settings) -> list[Finding]:
    """Check Dagster's storage, then the daemons, schedules, ticks and runs recorded in it."""
    if settings.is_embedded and not make_embedded_server(settings).status().running:
        return _leave_out(Finding("dagster", True, NOT_RUNNING_DETAIL), NOT_RUNNING_DETAIL)
    try:
        with open_existing_instance(settings) as instance:
            if instance is None:
                empty = (
                    "holds no tables of Dagster: `palimpsest db upgrade` makes them, as does every command that "
                    "starts a run"
                )
                return _leave_out(Finding("dagster", True, empty), "nothing yet: see dagster")
            revision, newest = instance.run_storage.alembic_version() or (None, None)
            state = f"Dagster {dg.__version__}, storage at revision {revision}"
            storage = (
                Finding("dagster", True, f"{state}, the newest (psycopg2)")
                if revision == newest
                else Finding("dagster", False, f"{state}, this Dagster needs {newest}: run `palimpsest db upgrade`")
            )
            return [
                storage,
                check_daemons(settings, instance),
                check_schedules(instance),
                check_ticks(instance),
                check_runs(settings, instance),
            ]
    except sa.exc.DBAPIError as error:
        url = make_url(build_storage_url(settings))
        unreachable = (
            f"cannot reach {redact_url(url)}: {explain_connection_error(error.orig or error, url)}. "
            f"Check {STORAGE_URL_VARIABLE} and that the database exists"
        )
        return _leave_out(Finding("dagster", False, unreachable), "not checked: see dagster")


def _leave_out(storage: Finding, reason: str) -> list[Finding]:
    return [storage, *(Finding(name, True, reason) for name in STORAGE_FINDINGS)]


@contextmanager
def open_existing_instance(settings: Settings) -> Iterator[dg.DagsterInstance | None]:
    """Open Dagster's instance without creating or upgrading tables; None when its tables do not exist.

    Raises sqlalchemy's OperationalError.
    """
    url = make_url(build_storage_url(settings))
    with sa.create_engine(
        url, poolclass=sa.NullPool, connect_args={"connect_timeout": STORAGE_CONNECT_TIMEOUT_S}
    ).connect() as connection:
        has_tables = sa.inspect(connection).has_table("runs") and sa.inspect(connection).has_table("event_logs")
    if not has_tables:
        yield None
        return
    with dg.DagsterInstance.from_config(str(prepare_instance(settings))) as instance:
        yield instance


@doctor_check("daemons")
def check_daemons(settings: Settings, instance: dg.DagsterInstance) -> str:
    """Check the heartbeats of the daemons, and report their last errors."""
    beats = {name: status.last_heartbeat for name, status in instance.get_daemon_statuses().items() if status.required}
    now = time.time()
    ages = {name: None if beat is None else now - beat.timestamp for name, beat in beats.items()}
    alive = [name for name, age in ages.items() if age is not None and age <= HEARTBEAT_TOLERANCE_S]
    serving = read_record(settings.home)
    if serving is None and not alive:
        return "not running: nothing is scheduled until `palimpsest up`"
    silent = sorted(set(beats) - set(alive))
    if silent:
        ages_text = ", ".join(
            f"{name} ({'never' if ages[name] is None else f'{ages[name]:.0f} s ago'})" for name in silent
        )
        raise Problem(
            f"no heartbeat of {ages_text}: see {settings.home / 'daemon.log'}, or run `palimpsest down` and "
            "`palimpsest up`"
        )
    failed = [
        f"{name}: {' '.join(beat.errors[0].message.split())}"
        for name, beat in beats.items()
        if beat is not None and beat.errors
    ]
    if failed:
        raise Problem(f"alive, and last failed: {'; '.join(failed)}; see {settings.home / 'daemon.log'}")
    oldest = max(age for age in ages.values() if age is not None)
    return f"{len(alive)} alive, last heartbeat {oldest:.0f} s ago or less"


@doctor_check("schedules")
def check_schedules(instance: dg.DagsterInstance) -> str:
    """Report the schedules and sensors that are on; fail if one that is on by default is off.

    Those that start scrapes are off until a user switches them on. All others are on by default.
    """
    repository = _load_repository()
    states = {state.instigator_name: state for state in instance.all_instigator_state()}
    names_on: list[str] = []
    names_off: list[str] = []
    names_wrongly_off: list[str] = []
    definitions: list[dg.ScheduleDefinition | dg.SensorDefinition] = [
        *repository.schedule_defs,
        *repository.sensor_defs,
    ]
    for definition in definitions:
        is_on_by_default = definition.default_status.value == "RUNNING"
        state = states.get(definition.name)
        is_on = is_on_by_default if state is None else state.is_running
        (names_on if is_on else names_wrongly_off if is_on_by_default else names_off).append(definition.name)
    text = f"on: {', '.join(names_on) or 'none'}; off: {', '.join(names_off) or 'none'}"
    if names_wrongly_off:
        raise Problem(
            f"switched off, and should be on: {', '.join(names_wrongly_off)} (in the UI under Automation). {text}"
        )
    return f"{text} (`palimpsest cadence on` switches on those that start scrapes)" if names_off else text


@doctor_check("ticks")
def check_ticks(instance: dg.DagsterInstance) -> str:
    """Check the last tick of each schedule and sensor that is on."""
    if failing := describe_failing_ticks(instance):
        raise Problem("; ".join(failing))
    return "no last tick failed"


@doctor_check("runs")
def check_runs(settings: Settings, instance: dg.DagsterInstance) -> str:
    """Report unfinished runs whose process writes no heartbeat, and the number of queued runs."""
    under_way = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
    ids = [run.run_id for run in instance.get_runs(dg.RunsFilter(statuses=under_way))]
    n_queued = instance.get_runs_count(dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED]))
    with connect_if_running(settings) as conn:
        silent = run_heartbeats.read_silent_runs(conn, settings.silent_after_s, ids) if ids else []
    if silent:
        runs_text = ", ".join(f"{s.run.run_id[:8]} ({s.run.job}, {s.run.host} pid {s.run.pid})" for s in silent)
        raise Problem(
            f"count as under way, but their process died: {runs_text}; the sensor dead_runs reports them while "
            "`palimpsest up` runs"
        )
    return f"{len(ids)} under way, {n_queued} queued, none dead"
