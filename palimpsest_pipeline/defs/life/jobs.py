"""The job that derives the life of fixtures by kickoff date, and the schedule that starts it.

A date is due when a cycle has changed something about its fixtures since its derivation.
"""

from collections.abc import Iterator
from datetime import date, datetime

import dagster as dg

from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.marts import derive_lifecycle
from palimpsest_pipeline.runtime import run_priorities

from ..asset_partitions import kickoff_date_partitions
from ..monitoring.jobs import PRESENT_STATE_CHECKS
from ..run_heartbeat import UNFINISHED_STATUSES

fixture_life_job = dg.define_asset_job(
    derive_lifecycle.LIFECYCLE_JOB,
    selection=dg.AssetSelection.assets(*(table.split(".") for table in derive_lifecycle.TABLES)) - PRESENT_STATE_CHECKS,
    tags=run_priorities.LIVE_DERIVATION_TAGS,
    description="Derive availability, open and close, lead times and margins of all fixtures that kick off on a date,"
    " from their whole history.",
)


@dg.schedule(
    name="fixture_life_schedule",
    job=fixture_life_job,
    cron_schedule="40 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Derives dirty kickoff dates every hour: dates up to tomorrow at once, later dates after they have"
    " waited for a day. On by default: it sends no requests to platforms.",
)
def fixture_life_schedule(
    context: dg.ScheduleEvaluationContext, pipeline: dg.ResourceParam[Pipeline]
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Request one run for each due kickoff date, or none while runs of an earlier tick are unfinished."""
    yield from request_due_runs(pipeline, context.instance, context.scheduled_execution_time)


def request_due_runs(
    pipeline: Pipeline, instance: dg.DagsterInstance, tick_at: datetime
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Yield the run requests of the schedule's tick at `tick_at`, or the reason why there are none."""
    unfinished = instance.get_runs(
        dg.RunsFilter(job_name=derive_lifecycle.LIFECYCLE_JOB, statuses=UNFINISHED_STATUSES), limit=1
    )
    if unfinished:
        yield dg.SkipReason(f"run {unfinished[0].run_id} is under way")
        return
    dates = list_due_dates(pipeline, include_far=False)
    if not dates:
        yield dg.SkipReason("no kickoff date is dirty")
    for day in dates:
        yield dg.RunRequest(run_key=f"{tick_at.isoformat()} {day}", partition_key=str(day))


def list_due_dates(pipeline: Pipeline, *, include_far: bool) -> list[date]:
    """Return the due kickoff dates for which Dagster has partitions, in order.

    With `include_far`, also return distant dates before their wait is over, and dates that were derived under other
    settings (`derive_lifecycle.dirty_dates`).
    """
    return [
        day
        for day in derive_lifecycle.dirty_dates(pipeline, at_once=include_far)
        if kickoff_date_partitions.has_partition_key(str(day))
    ]
