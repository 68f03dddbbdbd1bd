"""The triggers of cycles: the schedule of full cycles, and the sensor of the minutes before kickoff.

Both are off by default.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import dagster as dg

from palimpsest_pipeline.domain.enums import Scope, Trigger
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.kickoff_slots import CadenceMoment
from palimpsest_pipeline.runtime.run_tags import ENDED_WITH_SERVER_TAG, FOLLOWS_TAG, TRIGGER_TAG
from palimpsest_pipeline.settings import load_settings
from palimpsest_pipeline.storage.catalog import upcoming_fixtures
from palimpsest_pipeline.storage.ledger import cycle_ledger

from .cycle_jobs import full_cycle_job, kickoff_window_job
from .monitoring.checks import KICKOFF_SENSOR
from .run_heartbeat import UNFINISHED_STATUSES

SLOT_TAG: Final = "palimpsest/slot"
"""Run tag with the start of the slot of the kickoff cadence for which the run was requested."""
KICKOFF_INTERVAL_S: Final = 30
MAX_UNFINISHED_RUNS: Final = 2
"""Maximum number of unfinished runs of slots.

Two may overlap: one derives its last minute while the next one sends the requests of its first minute.
"""
MAX_RECENT_RUNS: Final = 50
"""Number of newest slot runs that a tick examines. They cover several hours."""


FULL_CYCLE_MINUTES: Final = load_settings().full_cycle_minutes


@dg.schedule(
    job=full_cycle_job,
    cron_schedule="0 * * * *" if FULL_CYCLE_MINUTES == 60 else f"*/{FULL_CYCLE_MINUTES} * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Launches a full cycle every PALIMPSEST_FULL_CYCLE_MINUTES, unless one is under way. Off by default.",
)
def full_cycle_schedule(
    context: dg.ScheduleEvaluationContext, pipeline: dg.ResourceParam[Pipeline]
) -> dg.RunRequest | dg.SkipReason:
    """Request one run per tick, in the partition of the tick's day."""
    return request_full_cycle(pipeline, context.instance, context.scheduled_execution_time)


def request_full_cycle(
    pipeline: Pipeline, instance: dg.DagsterInstance, tick_at: datetime
) -> dg.RunRequest | dg.SkipReason:
    """Return the run request of the schedule's tick at `tick_at`, or the reason why there is none."""
    if unfinished_run := _describe_unfinished_run(instance, full_cycle_job.name):
        return dg.SkipReason(unfinished_run)
    with pipeline.connect() as conn:
        batch = cycle_ledger.find_overlapping_cycle(conn, Scope.FULL, (), pipeline.settings.silent_after_s)
    if batch is not None:
        return dg.SkipReason(
            f"cycle {batch.cycle.cycle_id} is under way since {batch.cycle.started_at:%Y-%m-%d %H:%M:%S} UTC"
        )
    return dg.RunRequest(
        run_key=tick_at.isoformat(),
        partition_key=str(tick_at.date()),
        tags={TRIGGER_TAG: Trigger.SCHEDULED.value},
    )


@dg.sensor(
    name=KICKOFF_SENSOR,
    job=kickoff_window_job,
    minimum_interval_seconds=KICKOFF_INTERVAL_S,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Launches a run for each slot in which fixtures are due by the cadence of PALIMPSEST_KICKOFF_TIERS. Off"
    " by default.",
)
def kickoff_sensor(
    context: dg.SensorEvaluationContext, pipeline: dg.ResourceParam[Pipeline]
) -> dg.SensorResult | dg.SkipReason:
    """Request at most one run: for the current slot or the next one.

    Each slot is requested once, and again if its run failed or was ended with its server while minutes of it are left.
    The cursor is the last requested slot. Without it no slot is requested twice either, because Dagster accepts each
    run key only once.
    """
    moment = CadenceMoment(
        pipeline.cadence,
        pipeline.clock.now(),
        datetime.fromisoformat(context.cursor) if context.cursor else None,
        timedelta(minutes=pipeline.settings.grace_minutes),
    )
    with pipeline.connect() as conn:
        fixtures, later = upcoming_fixtures.read_kickoffs_and_next(conn, *moment.kickoff_span)
    kickoffs = [kickoff_at for _, kickoff_at in fixtures]
    due = [slot_at for slot_at in moment.slots if moment.list_due_minutes(slot_at, kickoffs)]
    runs = (
        context.instance.get_run_records(dg.RunsFilter(job_name=kickoff_window_job.name), limit=MAX_RECENT_RUNS)
        if due
        else []
    )
    broken_off_runs = {
        slot_at: run_id
        for slot_at in due
        if slot_at not in moment.unrequested_slots and (run_id := _find_broken_off_run(runs, slot_at))
    }
    slot_at = next(
        (slot_at for slot_at in due if slot_at in moment.unrequested_slots or slot_at in broken_off_runs), None
    )
    if slot_at is None and not moment.unrequested_slots:
        return dg.SkipReason(f"the slot of {moment.slots[-1]:%H:%M} UTC is already requested")
    if slot_at is None:
        following = next((at for at in kickoffs if at > moment.now), later)
        outlook = (
            "no upcoming fixture is known"
            if following is None
            else f"the next fixture kicks off at {following:%Y-%m-%d %H:%M} UTC"
        )
        return dg.SkipReason(f"no fixture is due in the slot of {moment.unrequested_slots[-1]:%H:%M} UTC: {outlook}")
    unfinished_runs = [record for record in runs if record.dagster_run.status in UNFINISHED_STATUSES]
    if len(unfinished_runs) >= MAX_UNFINISHED_RUNS:
        run_text = _describe_run(unfinished_runs[MAX_UNFINISHED_RUNS - 1])
        return dg.SkipReason(
            f"{run_text}; the slot of {slot_at:%H:%M} UTC is requested when one of {MAX_UNFINISHED_RUNS} runs is over"
        )
    if missed_slots := moment.list_missed_slots(kickoffs):
        context.log.warning(
            f"{len(missed_slots)} slots in which fixtures were due were never requested, from"
            f" {missed_slots[0]:%Y-%m-%d %H:%M} to {missed_slots[-1]:%Y-%m-%d %H:%M} UTC: `palimpsest slots` lists the"
            " lost ones"
        )
    follows = broken_off_runs.get(slot_at)
    run_key = f"kickoff {slot_at.isoformat()} within {max(moment.cadence.tiers)} min"
    request = dg.RunRequest(
        # Dagster never accepts a run key twice, even if its run has failed.
        run_key=f"{run_key} after {follows}" if follows else run_key,
        partition_key=str(moment.now.date()),
        run_config={"ops": {"landing__odds_payloads": {"config": {"slot_at": slot_at.isoformat()}}}},
        tags={TRIGGER_TAG: Trigger.SENSOR.value, SLOT_TAG: slot_at.isoformat()}
        | ({FOLLOWS_TAG: follows} if follows else {}),
    )
    return dg.SensorResult(run_requests=[request], cursor=context.cursor if follows else slot_at.isoformat())


def _find_broken_off_run(runs: Sequence[dg.RunRecord], slot_at: datetime) -> str | None:
    """Return the id of the slot's newest run if it has failed or was ended with its server, else None.

    A run that a user has cancelled stays cancelled.
    """
    newest = next(
        (record.dagster_run for record in runs if record.dagster_run.tags.get(SLOT_TAG) == slot_at.isoformat()), None
    )
    if newest is None:
        return None
    was_stopped = newest.status is dg.DagsterRunStatus.CANCELED and ENDED_WITH_SERVER_TAG in newest.tags
    return newest.run_id if was_stopped or newest.status is dg.DagsterRunStatus.FAILURE else None


def _describe_unfinished_run(instance: dg.DagsterInstance, job: str) -> str | None:
    """Return a sentence about an unfinished run of the job; None if there is none."""
    records = instance.get_run_records(dg.RunsFilter(job_name=job, statuses=UNFINISHED_STATUSES), limit=1)
    return _describe_run(records[0]) if records else None


def _describe_run(record: dg.RunRecord) -> str:
    slot = record.dagster_run.tags.get(SLOT_TAG)
    slot_text = "" if slot is None else f" of the slot {slot}"
    return (
        f"run {record.dagster_run.run_id}{slot_text} is under way since {record.create_timestamp:%Y-%m-%d %H:%M:%S} UTC"
    )
