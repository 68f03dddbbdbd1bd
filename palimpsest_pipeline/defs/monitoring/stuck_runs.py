"""What stands still: runs and cycles that should go on and of which nothing is heard, never judged by how long they
have run; and schedules and sensors that are on and whose ticks fail."""

from datetime import UTC, datetime, timedelta
from typing import Final

import dagster as dg

from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.storage.ledger import cycle_ledger, run_heartbeats

from ..dagster_private import TickStatus
from ..run_heartbeat import RUNNING_STATUSES
from ..step_failures import find_innermost_error

MAX_SILENCES: Final = 4
"""A run that is silent for so many times PALIMPSEST_SILENT_AFTER_S has not been ended by the sensor that does so."""
MAX_RUNS: Final = 1_000

SCHEDULE_TYPE: Final = "SCHEDULE"
FINISHED_TICK_STATUSES: Final = [TickStatus.SUCCESS, TickStatus.SKIPPED, TickStatus.FAILURE]
WAITING_STATUSES: Final = (dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED)


def describe_stuck_runs(instance: dg.DagsterInstance, pipeline: Pipeline, now: datetime | None = None) -> list[str]:
    """A line for each run that stands still, and what to do. `now`: by this machine's clock, like Dagster's own
    instants.

    A run that executes is silent, or never gave a sign of life though it began long ago. Runs that wait are told of
    when they wait long and none
    is at work: while one is, waiting is what a queue is for.
    """
    latest = (now or datetime.now(UTC)) - timedelta(minutes=pipeline.settings.stuck_after_minutes)
    records = instance.get_run_records(dg.RunsFilter(statuses=[*WAITING_STATUSES, *RUNNING_STATUSES]), limit=MAX_RUNS)
    at_work = [r for r in records if r.dagster_run.status in RUNNING_STATUSES]
    ids = [r.dagster_run.run_id for r in at_work]
    with pipeline.connect() as conn:
        silent = (
            {
                s.run.run_id: s
                for s in run_heartbeats.read_silent_runs(conn, MAX_SILENCES * pipeline.settings.silent_after_s, ids)
            }
            if ids
            else {}
        )
        known = run_heartbeats.find_known_runs(conn, ids)
        server_started_at = run_heartbeats.server_started_at(conn)
    said = []
    for record in at_work:
        run = record.dagster_run
        begun_at = (
            record.create_timestamp if record.start_time is None else datetime.fromtimestamp(record.start_time, UTC)
        )
        if run.run_id in silent:
            dead = silent[run.run_id]
            said.append(
                f"run {run.run_id} of {run.job_name} is silent since {dead.last_sign_at:%Y-%m-%d %H:%M:%S} UTC "
                f"({dead.run.host}, process {dead.run.pid}): see that the sensor dead_runs is on, it ends such runs"
            )
        elif run.run_id not in known and max(begun_at, server_started_at) < latest:
            said.append(
                f"run {run.run_id} of {run.job_name} is {run.status.value.lower()} since {begun_at:%Y-%m-%d %H:%M:%S} UTC "
                "and never gave a sign of life: terminate it in the UI"
            )
    waiting = [r for r in records if r.dagster_run.status in WAITING_STATUSES and r.create_timestamp < latest]
    if waiting and not (known - silent.keys()):
        oldest = min(waiting, key=lambda record: record.create_timestamp)
        said.append(
            f"{len(waiting)} runs wait, the first, {oldest.dagster_run.run_id} of {oldest.dagster_run.job_name}, since "
            f"{oldest.create_timestamp:%Y-%m-%d %H:%M:%S} UTC, and none is at work: see that `palimpsest up` runs, and its log"
        )
    return said


def describe_silent_cycles(pipeline: Pipeline) -> list[str]:
    """A line for each cycle that should run and is silent."""
    with pipeline.connect() as conn:
        return [
            f"cycle {batch.cycle.cycle_id} is silent since {batch.heartbeat_at:%Y-%m-%d %H:%M:%S} UTC: `palimpsest doctor` closes it, or says why it"
            " cannot be closed"
            for batch in cycle_ledger.read_silent_cycles(conn, pipeline.settings.silent_after_s)
        ]


def describe_failing_ticks(instance: dg.DagsterInstance) -> list[str]:
    """Return a line for each schedule and sensor whose last finished tick failed, and why.

    Those that are switched off are left out. An instance that keeps no schedules has none. A tick under way says
    nothing yet: the one before counts.
    """
    if instance.schedule_storage is None:
        return []
    said = []
    for state in instance.all_instigator_state():
        last = next(
            iter(
                instance.get_ticks(
                    state.instigator_origin_id, state.selector_id, limit=1, statuses=FINISHED_TICK_STATUSES
                )
            ),
            None,
        )
        if last is None or last.status is not TickStatus.FAILURE or not state.is_running:
            continue
        kind = "schedule" if state.instigator_type.value == SCHEDULE_TYPE else "sensor"
        at = datetime.fromtimestamp(last.timestamp, UTC)
        why = "no reason is known" if last.error is None else " ".join(find_innermost_error(last.error)[1].split())
        said.append(
            f"the last tick of the {kind} {state.instigator_name}, at {at:%Y-%m-%d %H:%M:%S} UTC, failed: {why}"
        )
    return said
