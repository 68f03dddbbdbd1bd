"""The checks of the daily maintenance.

They verify that the coming days have partitions, that exported days are complete, that old rows and files are removed,
and that the storage is within its limit.
"""

from datetime import date, timedelta
from typing import Final

import dagster as dg
import psycopg

from palimpsest_pipeline.domain.instants import format_hour_key, get_day_start
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.upkeep import export_day
from palimpsest_pipeline.pipeline.upkeep.landing_retention import list_overdue_hours
from palimpsest_pipeline.storage.archive import ArchiveDamaged
from palimpsest_pipeline.storage.marts import data_freshness
from palimpsest_pipeline.storage.odds import current_markets, partitions, retention, storage_growth

from ..asset_partitions import ended_day_partitions, is_ended_day
from ..check_results import build_result

MIN_DAYS_AHEAD: Final = 7
MAX_DELAY: Final = timedelta(days=1)
"""How long a day may stay in Postgres, or an hour in the landing, after the end of its retention."""
MAX_TIME_TO_MEASUREMENT: Final = timedelta(days=2)
"""Time after the first cycle within which the storage must have been measured."""
MAX_NAMED_DAYS: Final = 10
WARN_SHARE: Final = 0.8
"""Share of the storage limit above which the check warns."""


@dg.asset_check(asset=["core", "history_partitions"], blocking=True)
def partitions_are_ahead(pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """Today and each of the next 7 days have partitions in the odds history."""
    today = pipeline.clock.now().date()
    with pipeline.connect() as conn:
        missing = partitions.find_missing_partitions(
            conn, [today + timedelta(days=n) for n in range(MIN_DAYS_AHEAD + 1)]
        )
    missing_days = sorted({str(day) for _, day in missing})
    problem = missing_days and (
        f"the odds history has no partition for {', '.join(missing_days)}: materialize core/history_partitions; while"
        " `palimpsest up` runs, the schedule nightly_upkeep does it every night"
    )
    return build_result(problem or "", days_missing=len(missing_days))


@dg.asset_check(asset=["report", "odds_history_export"], partitions_def=ended_day_partitions, blocking=True)
def exported_days_are_whole(
    context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]
) -> dg.AssetCheckResult:
    """The archive's catalogue has the partition's day, its files exist, and they agree with Postgres.

    The files have the recorded sizes. The comparison with Postgres is made only if Postgres still has the day.
    """
    message, day = None, date.fromisoformat(context.partition_key)
    with pipeline.connect() as conn:
        status = retention.read_day_status(conn, pipeline.archive, day)
    if status.needs_export:
        message = retention.explain_day_status(day, status)
    elif pipeline.archive.read_entry(day) is not None:
        try:
            pipeline.archive.check_day(day)
        except ArchiveDamaged as error:
            message = str(error)
    return build_result(message, violations=int(message is not None))


@dg.asset_check(asset=["upkeep", "history_retention"])
def old_days_have_left(pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """No day stays in Postgres more than one day longer than its retention (PALIMPSEST_HISTORY_HOT_DAYS)."""
    last = _find_first_hot_day(pipeline) - MAX_DELAY
    with pipeline.connect() as conn:
        late_days = [day for day in retention.read_stored_days(conn) if day < last and is_ended_day(day)]
        reasons = [f"{day} is still in Postgres: {_explain_delay(pipeline, conn, day)}" for day in late_days]
    return build_result("; ".join(reasons), dg.AssetCheckSeverity.WARN, days_late=len(reasons))


@dg.asset_check(asset=["upkeep", "history_retention"])
def days_to_export_have_partitions(pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """Every day in Postgres that is due for export has a partition of report/odds_history_export.

    No answer is from before the first partition. No manifest and no entry of the archive is damaged, so that it is
    known for every day whether it is due for export.
    """
    due_days = export_day.find_due_days(pipeline, is_ended_day)
    outside, unreadable = due_days.days_without_partition, list(due_days.unreadable_days.values())
    with pipeline.connect() as conn:
        hours = [format_hour_key(hour) for hour in retention.read_hours_of_days(conn, outside)]
    message = (
        f"{', '.join(map(str, outside[:MAX_NAMED_DAYS]))} ({len(outside)} days): {export_day.NO_PARTITION_REASON}"
        if outside
        else ""
    )
    if hours:
        message += (
            f": run `palimpsest backfill {hours[0]} {hours[-1]} --again`, which sets their observation time to their"
            " arrival"
        )
    lines = "; ".join([*([message] if message else []), *unreadable[:MAX_NAMED_DAYS]])
    remainder = f"; and {len(unreadable) - MAX_NAMED_DAYS} days more" if len(unreadable) > MAX_NAMED_DAYS else ""
    return build_result(lines + remainder, dg.AssetCheckSeverity.WARN, days=len(outside) + len(unreadable))


def _find_first_hot_day(pipeline: Pipeline) -> date:
    return pipeline.clock.now().date() - timedelta(days=pipeline.settings.history_hot_days)


def _explain_delay(pipeline: Pipeline, conn: psycopg.Connection, day: date) -> str:
    try:
        status = retention.read_day_status(conn, pipeline.archive, day)
        if not status.needs_export:
            return "materialize upkeep/history_retention while no long transaction uses the history"
        export_day.require_closed(pipeline, conn, day)
    except (export_day.DayIsOpen, *export_day.UNREADABLE_ERRORS) as error:
        return str(error)
    return retention.explain_day_status(day, status)


@dg.asset_check(asset=["upkeep", "history_retention"])
def present_state_is_that_of_the_history(pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """For every listing, core.current_markets equals the history at its last instant.

    A listing without an answer since PALIMPSEST_HISTORY_HOT_DAYS may have no row in the history.
    """
    with pipeline.connect() as conn:
        violations = current_markets.count_violations(conn, known_since=get_day_start(_find_first_hot_day(pipeline)))
    advice = "the writer is wrong, please report it; run `palimpsest backfill` for the hours of the last day"
    return build_result(f"{violations} markets differ: {advice}" if violations else "", violations=violations)


@dg.asset_check(asset=["upkeep", "landing_retention"])
def landing_is_kept_no_longer_than_needed(pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """No hour stays in the landing more than one day longer than PALIMPSEST_LANDING_RETENTION_DAYS."""
    late_hours = list_overdue_hours(pipeline, MAX_DELAY)
    lines = "; ".join(
        f"{format_hour_key(hour)} is still in the landing: {reason}"
        for hour, reason in list(late_hours.items())[:MAX_NAMED_DAYS]
    )
    remainder = f"; and {len(late_hours) - MAX_NAMED_DAYS} hours more" if len(late_hours) > MAX_NAMED_DAYS else ""
    return build_result(lines + remainder, dg.AssetCheckSeverity.WARN, hours_late=len(late_hours))


@dg.asset_check(asset=["upkeep", "storage_report"])
def storage_is_within_its_limit(pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """Tables, landing and archive together are smaller than PALIMPSEST_STORAGE_LIMIT_GB.

    The check warns above 80 % of the limit, and when nothing was measured two days after the first cycle.
    """
    with pipeline.connect() as conn:
        total, first_cycle_at = storage_growth.read_latest_total(conn), data_freshness.read_first_cycle_start(conn)
    limit = pipeline.settings.storage_limit_gb * 10**9
    if total is None:
        is_late = first_cycle_at is not None and pipeline.clock.now() - first_cycle_at > MAX_TIME_TO_MEASUREMENT
        message = "nothing was measured yet: the schedule nightly_upkeep does it, or materialize upkeep/storage_report"
        return dg.AssetCheckResult(passed=not is_late, severity=dg.AssetCheckSeverity.WARN, description=message)
    message = (
        f"{total / 10**9:.1f} of {limit / 10**9:g} GB: see `palimpsest storage`; keep fewer days"
        " (PALIMPSEST_LANDING_RETENTION_DAYS, PALIMPSEST_HISTORY_HOT_DAYS), or raise PALIMPSEST_STORAGE_LIMIT_GB"
    )
    severity = dg.AssetCheckSeverity.ERROR if total > limit else dg.AssetCheckSeverity.WARN
    return build_result(message if total > WARN_SHARE * limit else "", severity, total_bytes=total)
