"""The sensor that starts runs for mart products which the run of their cycle has not derived.

Belongs here: when the sensor looks, and the runs that it requests. Does not belong here: finding late products (`pipeline/marts/late_marts`).
"""

from collections.abc import Iterator, Sequence
from typing import Final

import dagster as dg

from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.marts.late_marts import due_fixtures_key, late_days
from palimpsest_pipeline.runtime import run_priorities
from palimpsest_pipeline.runtime.run_tags import LEAVES_FAILED_TAG

from ..cycle_jobs import cycle_marts, full_cycle, kickoff_window, refresh, replay
from ..life.jobs import UNFINISHED
from ..partitions import day_key, days
from .current_price_jobs import present_job

LOOK_EVERY_S: Final = 300
REPLAYING_JOBS: Final = (replay.name, cycle_marts.name, present_job.name)
"""A run of these may derive any late mart: while one is under way the sensor requests nothing."""
LIVE_JOBS: Final = (full_cycle.name, refresh.name, kickoff_window.name)
"""A run of these derives the marts of its own cycles: the sensor leaves these out while it is under way."""


@dg.sensor(
    name="late_marts",
    jobs=[cycle_marts, present_job],
    minimum_interval_seconds=LOOK_EVERY_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Derives marts that are behind their core, and prices of fixtures that are due. On unless switched off: it asks no platform.",
)
def late_marts(context: dg.SensorEvaluationContext, pipeline: dg.ResourceParam[Pipeline]) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Request one run for each day with late marts, and one for all due fixtures; never twice for the same set of products.

    A requested run that failed is not requested again: the health check names the products that are still due, and a backfill derives them.
    """
    yield from late_runs(pipeline, context.instance)


def late_runs(pipeline: Pipeline, instance: dg.DagsterInstance) -> Sequence[dg.RunRequest | dg.SkipReason]:
    """Return what a tick asks for now."""
    replaying, live = (_under_way(instance, jobs) for jobs in (REPLAYING_JOBS, LIVE_JOBS))
    if replaying:
        return [dg.SkipReason(f"run {replaying[0].run_id} of {replaying[0].job_name} is under way and may derive what is late")]
    tags = {**run_priorities.DERIVING, LEAVES_FAILED_TAG: "true"}
    asked: list[dg.RunRequest | dg.SkipReason] = [
        dg.RunRequest(run_key=f"{late.day} {late.key}", partition_key=day_key(late.day), tags=tags, job_name=cycle_marts.name)
        for late in late_days(pipeline, pipeline.clock.now(), [run.run_id for run in live])
        if days.has_partition_key(day_key(late.day))
    ]
    if not live and (key := due_fixtures_key(pipeline)):  # a live run derives fixtures that are due too
        asked.append(dg.RunRequest(run_key=f"fixtures {key}", tags=tags, job_name=present_job.name))
    return asked or [dg.SkipReason("every mart of the last 48 hours is up to date")]


def _under_way(instance: dg.DagsterInstance, jobs: Sequence[str]) -> list[dg.DagsterRun]:
    return [run for job in jobs for run in instance.get_runs(dg.RunsFilter(job_name=job, statuses=UNFINISHED))]
