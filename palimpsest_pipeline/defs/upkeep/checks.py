"""Checks of upkeep: there is a place for what comes, what was exported is there, what is old has gone, and it all
fits.
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
from palimpsest_pipeline.storage.odds import current_markets, partitions, retention, table_sizes

from ..partitions import ended_day_partitions, is_ended_day, parse_day_key

MIN_DAYS_AHEAD: Final = 7
MAX_DELAY: Final = timedelta(days=1)
"""How long a day may stay in Postgres, or an hour in the landing, after its time before somebody should look."""
MAX_TIME_TO_MEASUREMENT: Final = timedelta(days=2)
"""After the first cycle: by then a night's upkeep has come."""
MAX_NAMED_DAYS: Final = 10
WARN_SHARE: Final = 0.8
"""Share of the limit above which there is a warning."""


@dg.asset_check(asset=["core", "history_partitions"], blocking=True)
def partitions_are_ahead(pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """Today and each of the next 7 days have their place in the odds history."""
    today = pipeline.clock.now().date()
    with pipeline.connect() as conn:
        missing = partitions.find_missing_partitions(
            conn, [today + timedelta(days=n) for n in range(MIN_DAYS_AHEAD + 1)]
        )
    lacking = sorted({str(day) for _, day in missing})
    mend = "materialize core/history_partitions; while `palimpsest up` runs, the schedule nightly_upkeep does it every night"
    words = f"the odds history has no partition for {', '.join(lacking)}: {mend}" if lacking else None
    return dg.AssetCheckResult(passed=not lacking, description=words, metadata={"days_missing": len(lacking)})


@dg.asset_check(asset=["report", "odds_history_export"], partitions_def=ended_day_partitions, blocking=True)
def exported_days_are_whole(
    context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]
) -> dg.AssetCheckResult:
    """The catalogue has the day, its files are there with their sizes, and Postgres says the same where it has it."""
    found, day = None, parse_day_key(context.partition_key)
    with pipeline.connect() as conn:
        standing = retention.read_day_status(conn, pipeline.archive, day)
    if standing.needs_export:
        found = retention.explain_day_status(day, standing)
    elif pipeline.archive.read_entry(day) is not None:
        try:
            pipeline.archive.check_day(day)
        except ArchiveDamaged as damaged:
            found = str(damaged)
    return dg.AssetCheckResult(passed=found is None, description=found, metadata={"violations": int(found is not None)})


@dg.asset_check(asset=["upkeep", "history_retention"])
def old_days_have_left(pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """No day stays in Postgres for longer than a day after its time (PALIMPSEST_HISTORY_HOT_DAYS)."""
    last = _find_first_hot_day(pipeline) - MAX_DELAY
    with pipeline.connect() as conn:
        late = [day for day in retention.read_stored_days(conn) if day < last and is_ended_day(day)]
        why = [f"{day} is still in Postgres: {_explain_delay(pipeline, conn, day)}" for day in late]
    return dg.AssetCheckResult(
        passed=not why,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(why) or None,
        metadata={"days_late": len(why)},
    )


@dg.asset_check(asset=["upkeep", "history_retention"])
def days_to_export_have_partitions(pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """Every day in Postgres that is to be exported has a partition of report/odds_history_export: no answer is from
    before the first one. And of
    every day can be told whether it is to be exported: no manifest and no entry of the archive is damaged."""
    found = export_day.find_due_days(pipeline, is_ended_day)
    beyond, unreadable = found.days_without_partition, list(found.unreadable_days.values())
    with pipeline.connect() as conn:
        hours = [format_hour_key(hour) for hour in retention.read_hours_of_days(conn, beyond)]
    words = (
        f"{', '.join(map(str, beyond[:MAX_NAMED_DAYS]))} ({len(beyond)} days): {export_day.NO_PARTITION_REASON}"
        if beyond
        else ""
    )
    if hours:
        words += f": run `palimpsest backfill {hours[0]} {hours[-1]} --again`, which takes them as observed when they arrived"
    shown = "; ".join([*([words] if words else []), *unreadable[:MAX_NAMED_DAYS]])
    more = f"; and {len(unreadable) - MAX_NAMED_DAYS} days more" if len(unreadable) > MAX_NAMED_DAYS else ""
    violations = len(beyond) + len(unreadable)
    return dg.AssetCheckResult(
        passed=not violations,
        severity=dg.AssetCheckSeverity.WARN,
        description=shown + more or None,
        metadata={"days": violations},
    )


def _find_first_hot_day(pipeline: Pipeline) -> date:
    return pipeline.clock.now().date() - timedelta(days=pipeline.settings.history_hot_days)


def _explain_delay(pipeline: Pipeline, conn: psycopg.Connection, day: date) -> str:
    try:
        standing = retention.read_day_status(conn, pipeline.archive, day)
        if not standing.needs_export:
            return "materialize upkeep/history_retention while nobody reads or writes the history for long"
        export_day.require_closed(pipeline, conn, day)
    except (export_day.DayIsOpen, *export_day.UNREADABLE_ERRORS) as reason:
        return str(reason)
    return retention.explain_day_status(day, standing)


@dg.asset_check(asset=["upkeep", "history_retention"])
def present_state_is_that_of_the_history(pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """Every row of core.current_markets has a row of equal content in the history, and the reverse at the last instant,
    for all listings; of those without an answer since PALIMPSEST_HISTORY_HOT_DAYS it may have no row."""
    with pipeline.connect() as conn:
        violations = current_markets.count_violations(conn, known_since=get_day_start(_find_first_hot_day(pipeline)))
    words = (
        f"{violations} markets differ: the writer is wrong, please report it; `palimpsest backfill` of the last day's hours"
        if violations
        else None
    )
    return dg.AssetCheckResult(passed=not violations, description=words, metadata={"violations": violations})


@dg.asset_check(asset=["upkeep", "landing_retention"])
def landing_is_kept_no_longer_than_needed(pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """No hour stays in the landing for longer than a day after its time (PALIMPSEST_LANDING_RETENTION_DAYS)."""
    late = list_overdue_hours(pipeline, MAX_DELAY)
    shown = "; ".join(
        f"{format_hour_key(hour)} is still in the landing: {why}" for hour, why in list(late.items())[:MAX_NAMED_DAYS]
    )
    words = shown + (f"; and {len(late) - MAX_NAMED_DAYS} hours more" if len(late) > MAX_NAMED_DAYS else "")
    return dg.AssetCheckResult(
        passed=not late,
        severity=dg.AssetCheckSeverity.WARN,
        description=words or None,
        metadata={"hours_late": len(late)},
    )


@dg.asset_check(asset=["upkeep", "storage_report"])
def storage_is_within_its_limit(pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """Tables, landing and archive together are smaller than PALIMPSEST_STORAGE_LIMIT_GB; from 80 % of it on there is a
    warning. So there is when nothing was measured yet, two days after the first cycle."""
    with pipeline.connect() as conn:
        total, first_cycle_at = table_sizes.read_latest_total(conn), data_freshness.read_first_cycle_start(conn)
    limit = pipeline.settings.storage_limit_gb * 10**9
    if total is None:
        late = first_cycle_at is not None and pipeline.clock.now() - first_cycle_at > MAX_TIME_TO_MEASUREMENT
        words = "nothing was measured yet: the schedule nightly_upkeep does it, or materialize upkeep/storage_report"
        return dg.AssetCheckResult(passed=not late, severity=dg.AssetCheckSeverity.WARN, description=words)
    words = (
        f"{total / 10**9:.1f} of {limit / 10**9:g} GB: see `palimpsest storage`; keep fewer days (PALIMPSEST_LANDING_RETENTION_DAYS, \
PALIMPSEST_HISTORY_HOT_DAYS), or raise PALIMPSEST_STORAGE_LIMIT_GB"
    )
    severity = dg.AssetCheckSeverity.ERROR if total > limit else dg.AssetCheckSeverity.WARN
    fits = total <= WARN_SHARE * limit
    return dg.AssetCheckResult(
        passed=fits, severity=severity, description=None if fits else words, metadata={"total_bytes": total}
    )
