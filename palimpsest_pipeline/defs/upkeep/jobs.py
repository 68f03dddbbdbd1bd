"""Jobs and schedules of upkeep. On unless switched off: they ask no platform."""

from collections.abc import Iterator

import dagster as dg

from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.upkeep import export_day as exporting
from palimpsest_pipeline.runtime import run_priorities

from ..monitoring.jobs import PRESENT_STATE_CHECKS
from ..partitions import is_ended_day

export_job = dg.define_asset_job(
    "export",
    selection=dg.AssetSelection.assets(["report", "odds_history_export"]) - PRESENT_STATE_CHECKS,
    tags=run_priorities.DERIVATION_TAGS,
    description="Write days of the odds history that are over as Parquet.",
)

upkeep_job = dg.define_asset_job(
    "upkeep",
    selection=dg.AssetSelection.groups("upkeep"),
    tags=run_priorities.DERIVATION_TAGS,
    description="Make days of history ahead, drop those that are exported and old, measure what everything takes.",
)


@dg.schedule(
    job=export_job,
    cron_schedule="10 1 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Exports the days in Postgres that are over and that the archive lacks or has otherwise.",
)
def nightly_export(
    context: dg.ScheduleEvaluationContext, pipeline: dg.ResourceParam[Pipeline]
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """A run for each such day. What failed is tried again the next night; what was exported is not due then."""
    days = exporting.find_due_days(pipeline, is_ended_day)
    for day, version in days.due_versions.items():
        yield dg.RunRequest(
            run_key=f"{day} {version} {context.scheduled_execution_time:%Y-%m-%d}", partition_key=str(day)
        )
    for reason in days.unreadable_days.values():
        context.log.warning(reason)
    if not days.due_versions:
        yield dg.SkipReason(
            "; ".join([*days.unreadable_days.values(), *days.open_days.values()])
            or "every day in Postgres that is over is exported"
        )


nightly_upkeep = dg.ScheduleDefinition(
    name="nightly_upkeep",
    job=upkeep_job,
    cron_schedule="10 3 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Makes days of history ahead, drops those that are exported and old, measures what everything takes.",
)
