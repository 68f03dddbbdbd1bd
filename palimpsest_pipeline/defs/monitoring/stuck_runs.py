"""Stuck runs and cycles, which write no heartbeats, and failing schedules and sensors.

A long duration alone does not make a run stuck.
"""

from datetime import UTC, datetime
from typing import Final

import dagster as dg

from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.installed_products import STUCK_AFTER
from palimpsest_pipeline.storage.ledger import cycle_ledger, run_heartbeats

from ..dagster_private import TickStatus
from ..run_heartbeat import RUNNING_STATUSES, UNFINISHED_STATUSES
from ..step_failures import find_innermost_error

MAX_SILENCES: Final = 4
"""Time without a heartbeat after which a run is reported, as a multiple of PALIMPSEST_SILENT_AFTER_S.

The sensor `dead_runs` should have ended the run earlier.
"""
_MAX_RUNS: Final = 1_000

SCHEDULE_TYPE: Final = "SCHEDULE"
FINISHED_TICK_STATUSES: Final = [TickStatus.SUCCESS, TickStatus.SKIPPED, TickStatus.FAILURE]
WAITING_STATUSES: Final = (dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED)


def describe_stuck_runs(instance: dg.DagsterInstance, pipeline: Pipeline, now: datetime | None = None) -> list[str]:
    """Return a sentence with advice for each stuck run.

    `now` is an instant of this machine's clock, which Dagster's timestamps use too. An executing run is stuck if it has
    written no heartbeat for `MAX_SILENCES` times PALIMPSEST_SILENT_AFTER_S, or if it started more than
    STUCK_AFTER ago and never wrote one. Queued runs are reported if one has waited that long and no
    run executes.
    """
    latest = (now or datetime.now(UTC)) - STUCK_AFTER
    records = instance.get_run_records(dg.RunsFilter(statuses=UNFINISHED_STATUSES), limit=_MAX_RUNS)
    executing = [r for r in records if r.dagster_run.status in RUNNING_STATUSES]
    ids = [r.dagster_run.run_id for r in executing]
    with pipeline.connect() as conn:
        silent = (
            {
                s.run.run_id: s
                for s in run_heartbeats.read_silent_runs(conn, MAX_SILENCES * pipeline.settings.silent_after_s, ids)
            }
            if ids
            else {}
        )
        known_runs = run_heartbeats.find_known_runs(conn, ids)
        server_started_at = run_heartbeats.server_started_at(conn)
    lines = []
    for record in executing:
        run = record.dagster_run
        begun_at = (
            record.create_timestamp if record.start_time is None else datetime.fromtimestamp(record.start_time, UTC)
        )
        if run.run_id in silent:
            dead = silent[run.run_id]
            lines.append(
                f"run {run.run_id} of {run.job_name} is silent since {dead.last_sign_at:%Y-%m-%d %H:%M:%S} UTC "
                f"({dead.run.host}, process {dead.run.pid}): check that the sensor dead_runs is on, it ends such runs"
            )
        elif run.run_id not in known_runs and max(begun_at, server_started_at) < latest:
            lines.append(
                f"run {run.run_id} of {run.job_name} is {run.status.value.lower()} since"
                f" {begun_at:%Y-%m-%d %H:%M:%S} UTC and never wrote a heartbeat: terminate it in the UI"
            )
    waiting_runs = [r for r in records if r.dagster_run.status in WAITING_STATUSES and r.create_timestamp < latest]
    if waiting_runs and not (known_runs - silent.keys()):
        oldest = min(waiting_runs, key=lambda record: record.create_timestamp)
        lines.append(
            f"{len(waiting_runs)} runs wait, the first, {oldest.dagster_run.run_id} of {oldest.dagster_run.job_name},"
            f" since {oldest.create_timestamp:%Y-%m-%d %H:%M:%S} UTC, and no run executes: check that `palimpsest up`"
            " runs, and read its log"
        )
    return lines


def describe_silent_cycles(pipeline: Pipeline) -> list[str]:
    """Return a sentence for each running cycle whose heartbeats have stopped."""
    with pipeline.connect() as conn:
        return [
            f"cycle {batch.cycle.cycle_id} is silent since {batch.heartbeat_at:%Y-%m-%d %H:%M:%S} UTC: `palimpsest"
            " doctor` closes it, or says why it cannot be closed"
            for batch in cycle_ledger.read_silent_cycles(conn, pipeline.settings.silent_after_s)
        ]


def describe_failing_ticks(instance: dg.DagsterInstance) -> list[str]:
    """Return a sentence with the reason for each schedule and sensor whose last finished tick failed.

    Schedules and sensors that are off are left out. The result is empty for an instance without schedule storage. A
    running tick is ignored.
    """
    if instance.schedule_storage is None:
        return []
    lines = []
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
        reason = "no reason is known" if last.error is None else " ".join(find_innermost_error(last.error)[1].split())
        lines.append(
            f"the last tick of the {kind} {state.instigator_name}, at {at:%Y-%m-%d %H:%M:%S} UTC, failed: {reason}"
        )
    return lines
