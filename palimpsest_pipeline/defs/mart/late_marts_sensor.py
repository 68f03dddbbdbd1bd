"""The sensor that starts runs for mart products that the run of their cycle has not derived.

`pipeline/marts/late_marts` finds these products.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import dagster as dg

from palimpsest_pipeline.defs.cycle_jobs import current_prices_job
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.marts.late_marts import build_due_fixtures_key, find_late_days
from palimpsest_pipeline.runtime import run_priorities
from palimpsest_pipeline.runtime.run_tags import LEAVES_FAILED_TAG

from ..asset_partitions import day_partitions
from ..cycle_jobs import cycle_marts_job, full_cycle_job, kickoff_window_job, refresh_job, replay_job
from ..run_heartbeat import UNFINISHED_STATUSES

_EVALUATION_INTERVAL_S: Final = 300
REPLAYING_JOBS: Final = (replay_job.name, cycle_marts_job.name, current_prices_job.name)
"""Jobs whose runs may derive any late mart.

While a run of these jobs is unfinished, the sensor requests nothing.
"""
LIVE_JOBS: Final = (full_cycle_job.name, refresh_job.name, kickoff_window_job.name)
"""Jobs whose runs derive the marts of their own cycles.

While such a run is unfinished, the sensor ignores its cycles.
"""


@dg.sensor(
    name="late_marts",
    jobs=[cycle_marts_job, current_prices_job],
    minimum_interval_seconds=_EVALUATION_INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Derives marts that are older than their core, and prices of due fixtures. On by default: it asks no"
    " platform.",
)
def late_marts(
    context: dg.SensorEvaluationContext, pipeline: dg.ResourceParam[Pipeline]
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Request one run for each day with late marts, and one for all due fixtures.

    The same set of products is requested only once. A failed run is not requested again: the health check names the
    products that are still due, and a backfill derives them.
    """
    yield from request_late_runs(pipeline, context.instance)


def request_late_runs(pipeline: Pipeline, instance: dg.DagsterInstance) -> Sequence[dg.RunRequest | dg.SkipReason]:
    """Return the run requests of a sensor tick, or the reason why there are none."""
    replaying, live = (
        [run for job in jobs for run in instance.get_runs(dg.RunsFilter(job_name=job, statuses=UNFINISHED_STATUSES))]
        for jobs in (REPLAYING_JOBS, LIVE_JOBS)
    )
    if replaying:
        return [
            dg.SkipReason(
                f"run {replaying[0].run_id} of {replaying[0].job_name} is under way and may derive what is late"
            )
        ]
    tags = {**run_priorities.LIVE_DERIVATION_TAGS, LEAVES_FAILED_TAG: "true"}
    requests: list[dg.RunRequest | dg.SkipReason] = [
        dg.RunRequest(
            run_key=f"{late.day} {late.key}",
            partition_key=str(late.day),
            tags=tags,
            job_name=cycle_marts_job.name,
        )
        for late in find_late_days(pipeline, pipeline.clock.now(), [run.run_id for run in live])
        if day_partitions.has_partition_key(str(late.day))
    ]
    if not live and (key := build_due_fixtures_key(pipeline)):  # a running live cycle derives the due fixtures itself
        requests.append(dg.RunRequest(run_key=f"fixtures {key}", tags=tags, job_name=current_prices_job.name))
    return requests or [dg.SkipReason("every mart of the last 48 hours is up to date")]
