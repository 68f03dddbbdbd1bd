"""Signs of life of runs: given by every run while it executes, and what becomes of one that gives none any more."""

import logging
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import dagster as dg
import psycopg
import pytest

from palimpsest_pipeline.definitions import defs
from palimpsest_pipeline.defs import run_heartbeat
from palimpsest_pipeline.defs.monitoring import dead_run_sensor
from palimpsest_pipeline.defs.monitoring.dead_run_sensor import dead_runs
from palimpsest_pipeline.defs.resources import PipelineResource
from palimpsest_pipeline.domain.cycles import Cycle, CycleResult
from palimpsest_pipeline.domain.enums import RunStatus, Scope, Trigger
from palimpsest_pipeline.domain.instants import floor_to_hour, make_cycle_id
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.live import live_cycle, recovery
from palimpsest_pipeline.pipeline.record_landed_cycles import rescan_landing
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.runtime.heartbeat import PeriodicWriter
from palimpsest_pipeline.runtime.processes import identify_machine
from palimpsest_pipeline.storage.db.connection import DatabaseUnreachable
from palimpsest_pipeline.storage.ledger import cycle_ledger, run_heartbeats
from palimpsest_pipeline_tests.fixtures.pipeline import pipelines, run_here
from palimpsest_pipeline_tests.fixtures.platforms import BETPAWA

ROWS = (
    "select job, pid > 0, heartbeat_at >= started_at, finished_at is not null from ops.run_heartbeats where run_id = %s"
)
MINUTE = timedelta(minutes=1)
Status = dg.DagsterRunStatus


@pytest.fixture(scope="module")
def pipeline(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with pipelines(postgres, tmp_path_factory.mktemp("home")) as make:
        yield make(heartbeat_s=0.05, silent_after_s=0.2)  # for less than that no server of a test is up


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def rows(pipeline: Pipeline, run_id: str) -> list[tuple[object, ...]]:
    with pipeline.connect() as conn:
        return conn.execute(ROWS, [run_id]).fetchall()


def heard(pipeline: Pipeline, run_id: str, ago: timedelta, *, finished: bool = False) -> None:
    """The run has given its last sign of life so long ago; a negative time keeps it alive while the test takes long."""
    with pipeline.connect() as conn:
        run_heartbeats.write_heartbeat(conn, run_heartbeats.RunProcess(run_id, "replay", "far", 77))
        if finished:
            run_heartbeats.finish_heartbeat(conn, run_id)
        conn.execute(
            "update ops.run_heartbeats set heartbeat_at = heartbeat_at - %(ago)s, finished_at = finished_at - %(ago)s where run_id = %(run_id)s",
            {"ago": ago, "run_id": run_id},
        )


def under_way(instance: dg.DagsterInstance, status: dg.DagsterRunStatus = Status.STARTED) -> str:
    return instance.create_run_for_job(defs.resolve_job_def("replay"), status=status).run_id


def status_of(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


def open_cycle(
    pipeline: Pipeline, run_id: str | None, scope: Scope = Scope.FULL, sr_ids: tuple[int, ...] = ()
) -> Cycle:
    trigger = Trigger.MANUAL if run_id is None else Trigger.SCHEDULED
    request = live_cycle.ScrapeRequest(pipeline.clock.now().date(), trigger, run_id, sr_ids)
    return live_cycle.open_cycle(pipeline, request, scope)


def age_cycles(pipeline: Pipeline, minutes: int) -> None:
    """The last sign of life of the cycles that run was so long ago; a negative time lies ahead."""
    aged = "update ops.scrape_batches set heartbeat_at = clock_timestamp() - make_interval(mins => %s) where status = 'running'"
    with pipeline.connect() as conn:
        conn.execute(aged, [minutes])


def look(pipeline: Pipeline, instance: dg.DagsterInstance) -> dict[str, str]:
    """A tick of the sensor; the cycles that it has derived, separated by spaces, by the day of each run."""
    with dg.build_sensor_context(instance=instance, resources={"pipeline": pipeline}) as context:
        requests = list(dead_runs(context))
    cycles = {str(request.partition_key): (request.run_key or "").partition(" until ")[0] for request in requests}
    assert len(cycles) == len(requests), "one run a day"
    return cycles


def test_a_run_that_the_daemon_launched_is_alive_while_it_executes_and_says_its_end(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
):
    for name, value in pipeline.settings.to_environment().items():
        monkeypatch.setenv(name, value)
    seen: list[tuple[object, ...]] = []

    @dg.op
    def looks(context: dg.OpExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> None:
        while not seen:
            seen.extend(rows(pipeline, context.run_id))

    @dg.job(resource_defs={"pipeline": PipelineResource()})
    def looking() -> None:
        looks()

    with dg.DagsterInstance.ephemeral() as instance:
        result = looking.execute_in_process(instance=instance)
    assert seen == [("looking", True, True, False)]
    assert rows(pipeline, result.run_id) == [("looking", True, True, True)]


def test_a_tick_of_a_sensor_is_no_run(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance
):
    for name, value in pipeline.settings.to_environment().items():
        monkeypatch.setenv(name, value)
    with pipeline.connect() as conn:
        conn.execute("delete from ops.run_heartbeats")
        conn.execute("truncate ops.scrape_batches cascade")
    with dg.build_sensor_context(instance=instance, resources={"pipeline": PipelineResource()}) as context:
        assert list(dead_runs(context)) == []
    with pipeline.connect() as conn:
        assert conn.execute("select * from ops.run_heartbeats").fetchall() == []


def test_a_run_from_the_command_line_says_its_end_too_and_is_not_begun_anew(
    pipeline: Pipeline, instance: dg.DagsterInstance
):
    outcome = run_here(pipeline, "replay")
    assert (outcome.error or "").startswith("nothing is landed of"), outcome.error
    assert rows(pipeline, outcome.run_id) == [("replay", True, True, True)]
    for job in ("full_cycle", "refresh", "kickoff_window"):
        assert defs.resolve_job_def(job).tags["dagster/max_retries"] == "0", "its moment has passed"


@pytest.mark.parametrize(
    ("status", "finished", "ago", "becomes"),
    [
        (Status.STARTED, False, MINUTE, Status.FAILURE),
        (Status.STARTED, True, MINUTE, Status.FAILURE),
        (Status.CANCELING, False, MINUTE, Status.CANCELED),
        (Status.NOT_STARTED, False, MINUTE, Status.FAILURE),
        (Status.NOT_STARTED, False, -MINUTE, Status.NOT_STARTED),
        (Status.STARTED, False, -MINUTE, Status.STARTED),
        (Status.STARTED, True, -MINUTE, Status.STARTED),
        (Status.SUCCESS, False, MINUTE, Status.SUCCESS),
    ],
)
def test_a_silent_run_that_counts_as_under_way_has_ended_and_no_other(
    status: Status, finished: bool, ago: timedelta, becomes: Status, pipeline: Pipeline, instance: dg.DagsterInstance
):
    run_id = under_way(instance, status)
    heard(pipeline, run_id, ago, finished=finished)
    reported = run_heartbeat.report_dead_runs(instance, pipeline)
    assert status_of(instance, run_id) is becomes
    assert [dead.run.run_id for dead in reported] == [run_id] * (becomes is not status)
    assert run_heartbeat.report_dead_runs(instance, pipeline) == [], "told once"


def test_a_dead_run_or_cycle_that_cannot_be_ended_keeps_no_other_from_it(
    pipeline: Pipeline, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    run_ids = [under_way(instance) for _ in range(2)]
    broken, other = (open_cycle(pipeline, None, Scope.EVENTS, (sr_id,)) for sr_id in (1, 2))
    age_cycles(pipeline, 1)
    for run_id in run_ids:
        heard(pipeline, run_id, MINUTE)
    report, close = instance.report_run_failed, pipeline.landing.close_interrupted

    def report_but_one(run: dg.DagsterRun, *args: object) -> object:
        if run.run_id == run_ids[0]:
            raise AttributeError("no such field")
        return report(run, *args)

    def close_but_one(cycle: Cycle, *args: object) -> object:
        if cycle.cycle_id == broken.cycle_id:
            raise ValueError("no such platform")
        return close(cycle, *args)

    with monkeypatch.context() as patched:
        patched.setattr(instance, "report_run_failed", report_but_one)
        patched.setattr(pipeline.landing, "close_interrupted", close_but_one)
        assert [dead.run.run_id for dead in run_heartbeat.report_dead_runs(instance, pipeline)] == run_ids[1:]
        assert [cycle.cycle_id for cycle in recovery.recover_dead_cycles(pipeline)] == [other.cycle_id]
    assert "no such field" in caplog.text
    assert f"cycle {broken.cycle_id}: its process died, and it cannot be closed: no such platform" in caplog.text
    assert [cycle.cycle_id for cycle in recovery.recover_dead_cycles(pipeline)] == [broken.cycle_id]
    with pipeline.connect() as conn:  # else another test's sensor would ask for them
        conn.execute("delete from ops.scrape_batches where cycle_id = any(%s)", [[broken.cycle_id, other.cycle_id]])


@pytest.mark.parametrize("machine", [identify_machine(), "another", None])
def test_a_run_whose_process_on_this_machine_is_gone_has_ended_at_once(
    machine: str | None, pipeline: Pipeline, instance: dg.DagsterInstance
):
    gone = subprocess.Popen(["true"])
    gone.wait()
    run_id = under_way(instance)
    process = run_heartbeats.RunProcess(run_id, "replay", "here or far", gone.pid, machine)
    alive = "update ops.run_heartbeats set heartbeat_at = clock_timestamp() + interval '1 minute' where run_id = %s"
    with pipeline.connect() as conn:
        run_heartbeats.write_heartbeat(conn, process)
        conn.execute(alive, [run_id])
    run_heartbeat.report_dead_runs(instance, pipeline)
    assert status_of(instance, run_id) is (Status.FAILURE if machine == identify_machine() else Status.STARTED)


def test_what_is_said_of_a_dead_run_names_its_process_and_its_last_sign_of_life(
    pipeline: Pipeline, instance: dg.DagsterInstance
):
    run_id = under_way(instance)
    heard(pipeline, run_id, MINUTE)
    run_heartbeat.report_dead_runs(instance, pipeline)
    (failure,) = [entry.dagster_event for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.RUN_FAILURE)]
    assert failure is not None
    assert str(failure.message).startswith("The process of this run died at its work: far, pid 77, last heartbeat 20")


def test_a_run_that_never_gave_a_sign_of_life_is_left_to_dagsters_own_monitoring(
    pipeline: Pipeline, instance: dg.DagsterInstance
):
    run_id = under_way(instance, Status.STARTING)
    assert run_heartbeat.report_dead_runs(instance, pipeline) == []
    assert status_of(instance, run_id) is Status.STARTING


def test_while_the_server_is_down_nobody_falls_silent(pipeline: Pipeline, instance: dg.DagsterInstance):
    heard(pipeline, "old", timedelta(days=30))
    with pipeline.connect() as conn:
        assert "old" in [silent.run.run_id for silent in run_heartbeats.read_silent_runs(conn, 0.0)]
        ((up_s,),) = conn.execute(
            "select extract(epoch from clock_timestamp() - pg_postmaster_start_time())::float8"
        ).fetchall()
        assert run_heartbeats.read_silent_runs(conn, up_s + 3600, ["old"]) == []


def test_the_sensor_ends_the_run_and_its_cycle_at_once_and_has_what_was_landed_derived(
    pipeline: Pipeline, instance: dg.DagsterInstance
):
    run_id = under_way(instance)
    cycle = open_cycle(pipeline, run_id)
    heard(pipeline, run_id, MINUTE)
    assert look(pipeline, instance) == {str(cycle.partition_hour.date()): str(cycle.cycle_id)}
    assert status_of(instance, run_id) is Status.FAILURE
    with pipeline.connect() as conn:
        batch = cycle_ledger.read_cycle(conn, cycle.cycle_id)
        assert batch is not None
        assert batch.status is RunStatus.INTERRUPTED


def test_a_cycle_that_dies_again_is_asked_for_again_and_one_death_once(
    pipeline: Pipeline, instance: dg.DagsterInstance
):
    at = pipeline.clock.now()
    cycle = open_cycle(pipeline, "twice")
    pipeline.landing.close_interrupted(cycle, at)
    rescan_landing(pipeline)

    def key_after_death(at: datetime) -> str | None:
        with pipeline.connect() as conn:
            cycle_ledger.write_running_cycle(conn, cycle)
            cycle_ledger.interrupt_cycle(conn, cycle.cycle_id, CycleResult(cycle, RunStatus.INTERRUPTED, at, ()))
            conn.execute("update ops.scrape_batches set finished_at = %s where cycle_id = %s", [at, cycle.cycle_id])
        with dg.build_sensor_context(instance=instance, resources={"pipeline": pipeline}) as context:
            return next(
                request.run_key for request in dead_runs(context) if str(cycle.cycle_id) in (request.run_key or "")
            )

    first = key_after_death(at + MINUTE)
    assert key_after_death(at + MINUTE) == first
    assert key_after_death(at + 2 * MINUTE) != first
    with pipeline.connect() as conn:
        conn.execute("delete from ops.scrape_batches where cycle_id = %s", [cycle.cycle_id])


def test_only_what_was_landed_is_derived_once_for_its_day_and_not_when_it_is_old(
    pipeline: Pipeline, instance: dg.DagsterInstance
):
    now = floor_to_hour(pipeline.clock.now())
    retention = timedelta(days=pipeline.settings.landing_retention_days)

    def ended_early(hour: datetime, minute: int, *, landed: bool) -> int:
        at = hour + minute * MINUTE
        cycle = Cycle(make_cycle_id(at), Trigger.SENSOR, Scope.KICKOFF, BETPAWA, hour, at, "run", (1,), at)
        with pipeline.connect() as conn:
            cycle_ledger.write_running_cycle(conn, cycle)
            cycle_ledger.close_cycle(conn, CycleResult(cycle, RunStatus.FAILED, at, ()))
        if landed:
            pipeline.landing.close_interrupted(cycle, at, RunStatus.FAILED)
            rescan_landing(pipeline, hour, hour + timedelta(hours=1))
        return cycle.cycle_id

    hours = [now - timedelta(days=n) for n in (2, 3, 4)]
    day_keys = [str(hour.date()) for hour in hours]
    for minute in range(60):
        ended_early(hours[0], minute, landed=False)  # the landing refused writes for an hour
    landed = [ended_early(hours[1], minute, landed=minute < 3) for minute in range(60)][:3]
    ended_early(now - retention - timedelta(hours=1), 0, landed=True)
    found = look(pipeline, instance)
    assert [found.get(key) for key in day_keys] == [None, " ".join(map(str, landed)), None]
    assert str((now - retention - timedelta(hours=1)).date()) not in found

    folder = f"date={hours[1]:%Y-%m-%d}/hour={hours[1]:%H}/cycle={landed[-1]}"
    unreadable = pipeline.landing.root / folder / "manifest.json"
    kept = unreadable.read_bytes()
    unreadable.write_bytes(b"torn")
    rescan_landing(pipeline)
    later = ended_early(hours[2], 5, landed=True)
    found = look(pipeline, instance)
    assert found[day_keys[1]] == " ".join(map(str, landed[:-1])), "a cycle that cannot be read keeps no other"
    assert found[day_keys[2]] == str(later)
    unreadable.write_bytes(kept)
    rescan_landing(pipeline)
    older = ended_early(hours[2], 4, landed=True)
    assert look(pipeline, instance)[day_keys[2]] == f"{older} {later}", (
        "one that dies after a newer one has been asked for"
    )


def test_a_complete_cycle_is_derived_by_a_replay_when_its_run_died_and_by_nobody_else_while_it_runs(
    pipeline: Pipeline, instance: dg.DagsterInstance
):
    run_id = under_way(instance)
    at = pipeline.clock.now()
    cycle = open_cycle(pipeline, run_id)
    pipeline.landing.close_interrupted(cycle, at, RunStatus.COMPLETED)
    with pipeline.connect() as conn:
        cycle_ledger.close_cycle(conn, CycleResult(cycle, RunStatus.COMPLETED, at, ()))
    rescan_landing(pipeline)

    heard(pipeline, run_id, -MINUTE)
    assert str(cycle.cycle_id) not in " ".join(look(pipeline, instance).values()), "its run derives it"
    heard(pipeline, run_id, MINUTE)
    assert str(cycle.cycle_id) in " ".join(look(pipeline, instance).values())
    assert status_of(instance, run_id) is Status.FAILURE


def test_who_gives_a_sign_again_after_the_machine_slept_is_not_taken_for_dead(
    pipeline: Pipeline, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
):
    run_id = under_way(instance)
    cycle = open_cycle(pipeline, run_id, Scope.EVENTS)
    heard(pipeline, run_id, MINUTE)
    age_cycles(pipeline, 1)

    def awake(_: float) -> None:
        heard(pipeline, run_id, -MINUTE)
        age_cycles(pipeline, -1)

    monkeypatch.setattr(dead_run_sensor.time, "sleep", awake)
    assert str(cycle.cycle_id) not in " ".join(look(pipeline, instance).values())
    assert status_of(instance, run_id) is Status.STARTED
    with pipeline.connect() as conn:
        batch = cycle_ledger.read_cycle(conn, cycle.cycle_id)
        assert batch is not None
        assert batch.status is RunStatus.RUNNING
        interrupted = CycleResult(cycle, RunStatus.INTERRUPTED, batch.heartbeat_at, ())
        cycle_ledger.interrupt_cycle(conn, cycle.cycle_id, interrupted)


def test_rows_of_runs_long_over_are_deleted_and_no_others(pipeline: Pipeline):
    heard(pipeline, "long over", timedelta(days=40), finished=True)
    heard(pipeline, "just over", timedelta(days=2), finished=True)
    with pipeline.connect() as conn:
        assert run_heartbeats.delete_old_heartbeats(conn, timedelta(days=30)) >= 1
    assert (rows(pipeline, "long over"), len(rows(pipeline, "just over"))) == ([], 1)


def test_what_cannot_be_written_is_a_warning_told_once_and_harms_nothing(
    pipeline: Pipeline, caplog: pytest.LogCaptureFixture
):
    tried = threading.Semaphore(0)

    def away() -> psycopg.Connection:
        tried.release()
        raise DatabaseUnreachable("nobody answers")

    with caplog.at_level(logging.WARNING), PeriodicWriter("run 7", away, 0.001, lambda _: None, write_at_start=True):
        for _ in range(4):
            assert tried.acquire(timeout=30)
    assert caplog.messages == ["run 7: cannot be written now: nobody answers"]


def test_an_error_of_our_own_does_not_stop_the_signs_of_life(pipeline: Pipeline, caplog: pytest.LogCaptureFixture):
    def refuses(then: Callable[[], object]) -> str:
        then()
        raise RuntimeError("a mistake")

    tried = threading.Semaphore(0)
    with (
        caplog.at_level(logging.ERROR),
        PeriodicWriter("run 7", pipeline.connect, 0.001, lambda _: refuses(tried.release)),
    ):
        for _ in range(3):
            assert tried.acquire(timeout=30)
    assert "run 7: could not be written" in caplog.messages
