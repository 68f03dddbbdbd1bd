"""The jobs and schedules of the daily maintenance.

The schedules are on by default, because they send no requests to platforms.
"""

from collections.abc import Iterator

import dagster as dg

from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.upkeep import export_day as exporting
from palimpsest_pipeline.runtime import run_priorities

from ..asset_partitions import is_ended_day
from ..monitoring.jobs import PRESENT_STATE_CHECKS

export_job = dg.define_asset_job(
    "export",
    selection=dg.AssetSelection.assets(["report", "odds_history_export"]) - PRESENT_STATE_CHECKS,
    tags=run_priorities.DERIVATION_TAGS,
    description="Write ended days of the odds history as Parquet.",
)

upkeep_job = dg.define_asset_job(
    "upkeep",
    selection=dg.AssetSelection.groups("upkeep"),
    tags=run_priorities.DERIVATION_TAGS,
    description="Create partitions of the history ahead, drop old exported days, measure the storage used.",
)


@dg.schedule(
    job=export_job,
    cron_schedule="10 1 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Exports the ended days in Postgres that the archive lacks or has with different content.",
)
def nightly_export(
    context: dg.ScheduleEvaluationContext, pipeline: dg.ResourceParam[Pipeline]
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Request a run for each day that is due for export.

    A day whose export failed is requested again the next night.
    """
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
            or "every ended day in Postgres is exported"
        )


nightly_upkeep = dg.ScheduleDefinition(
    name="nightly_upkeep",
    job=upkeep_job,
    cron_schedule="10 3 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Creates partitions of the history ahead, drops old exported days, measures the storage used.",
)
