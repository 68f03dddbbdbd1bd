"""The assets of the daily maintenance.

They create partitions of the history ahead, export days and drop exported ones, remove landed answers and old logs of
runs, and measure the storage used.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final

import dagster as dg
import sqlalchemy as sa

from palimpsest_pipeline.domain.instants import format_hour_key
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.upkeep import disk_usage, export_day
from palimpsest_pipeline.pipeline.upkeep.landing_retention import expire_landing
from palimpsest_pipeline.storage.catalog import upcoming_fixtures
from palimpsest_pipeline.storage.ledger import run_heartbeats
from palimpsest_pipeline.storage.odds import partitions, retention, storage_growth

from ..asset_metadata import build_metadata, build_table_metadata, stringify_values
from ..asset_partitions import ended_day_partitions
from ..core.assets import odds_snapshots
from ..dagster_private import AssetCheckExecutionsTable


@dg.asset(
    key_prefix="core",
    group_name="upkeep",
    kinds={"postgres"},
    metadata=build_table_metadata("core.captures", other_tables=["core.market_changes"]),
)
def history_partitions(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.MaterializeResult:
    """Partitions of the odds history for the days ahead.

    Yesterday's indexes are rebuilt to take less space. A cycle creates a missing partition itself.
    """
    now = pipeline.clock.now()
    yesterday = now.date() - timedelta(days=1)
    with pipeline.connect() as conn:
        new_partitions = partitions.ensure_days_ahead(conn, now)
        stored_days = retention.read_stored_days(conn)
        conn.commit()
        freed = 0 if partitions.find_missing_partitions(conn, [yesterday]) else partitions.reindex_day(conn, yesterday)
    if freed is None:
        context.log.warning(f"{yesterday} is in use: its indexes stay as large as they are")
    return dg.MaterializeResult(
        metadata=stringify_values(
            {
                "partitions_made": len(new_partitions),
                "days": len(stored_days),
                "last_day": max(stored_days),
                "packed_bytes_freed": freed or 0,
            }
        )
    )


class ExportConfig(dg.Config):
    """The options of an export."""

    force: bool = False
    """Whether to replace an exported day even when it has cycles that Postgres lacks."""


@dg.asset(
    key_prefix="report",
    group_name="report",
    kinds={"parquet", "postgres"},
    partitions_def=ended_day_partitions,
    deps=[odds_snapshots],
    metadata=build_table_metadata("core.market_changes", other_tables=["core.captures"]),
)
def odds_history_export(
    context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline], config: ExportConfig
) -> dg.MaterializeResult:
    """Ended days of the odds history as Parquet files.

    The files are read back and compared with Postgres before the catalogue of the archive names them.
    """
    export = export_day.export_day(pipeline, date.fromisoformat(context.partition_key), force=config.force)
    entry = export.entry
    metadata = {
        "found": export.export_state.value,
        "seconds": export.seconds,
        "bytes_per_price": export.bytes_per_price,
    }
    if entry is not None:
        metadata |= {
            "prices": entry.n_prices,
            "captures": entry.n_captures,
            "bytes": entry.bytes,
            "path": ", ".join(entry.files),
        }
    context.log.info(f"{context.partition_key} {export.sentence}")
    n_rows = 0 if entry is None else entry.n_rows
    return dg.MaterializeResult(metadata=build_metadata(n_rows, **stringify_values(metadata)))


@dg.asset(key_prefix="upkeep", group_name="upkeep", kinds={"postgres"}, deps=[odds_history_export])
def history_retention(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.MaterializeResult:
    """Removal of old rows from Postgres: archived days of history, and rows on the life of old fixtures.

    A day is dropped after PALIMPSEST_HISTORY_HOT_DAYS, if the archive has it.
    """
    now = pipeline.clock.now()
    today, life_retention = now.date(), timedelta(days=pipeline.settings.fixture_life_retention_days)
    with pipeline.connect() as conn:
        result = retention.drop_exported_days(
            conn, pipeline.archive, today - timedelta(days=pipeline.settings.history_hot_days)
        )
        life = retention.delete_lifecycle(conn, today - life_retention)
        n_kickoffs = upcoming_fixtures.delete_old_kickoffs(conn, now - life_retention)
    for day, why in result.kept_days.items():
        context.log.warning(f"{day} stays in Postgres: {why}")
    counts = {
        "days_dropped": len(result.dropped),
        "days_unused": len(result.unused),
        "days_kept": len(result.kept_days),
    }
    day_lists = {"dropped": ", ".join(map(str, result.dropped)), "kept": ", ".join(map(str, result.kept_days))}
    row_counts = {"listings_forgotten": result.n_forgotten, "life_rows_deleted": life, "kickoffs_forgotten": n_kickoffs}
    return dg.MaterializeResult(metadata=stringify_values({**counts, **day_lists, **row_counts}))


@dg.asset(key_prefix="upkeep", group_name="upkeep", kinds={"parquet"}, deps=[odds_history_export])
def landing_retention(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.MaterializeResult:
    """Removal of the landing's hours that are older than PALIMPSEST_LANDING_RETENTION_DAYS.

    Only hours that are derived, and whose days are exported, are removed.
    """
    expiry = expire_landing(pipeline)
    for hour, reason in expiry.kept_hours.items():
        context.log.warning(f"{format_hour_key(hour)} is kept: {reason}")
    kept_text = "; ".join(f"{format_hour_key(hour)}: {reason}" for hour, reason in expiry.kept_hours.items())
    return dg.MaterializeResult(
        metadata=stringify_values(
            {
                "hours_expired": len(expiry.removed),
                "hours_kept": len(expiry.kept_hours),
                "bytes_expired": expiry.bytes_removed,
                "kept": kept_text,
            }
        )
    )


@dg.asset(key_prefix="upkeep", group_name="upkeep", kinds={"postgres"})
def instance_retention(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.MaterializeResult:
    """Removal of runs with their logs, and of their heartbeats, after PALIMPSEST_RUN_RETENTION_DAYS.

    The runs from which Dagster reads the state of an asset or a check stay.
    """
    age = timedelta(days=pipeline.settings.run_retention_days)
    n_runs, n_evaluations = delete_old_runs(context.instance, datetime.now(UTC) - age)
    with pipeline.connect() as conn:
        n_heartbeats = run_heartbeats.delete_old_heartbeats(conn, age)
    return dg.MaterializeResult(
        metadata=stringify_values(
            {"n_runs": n_runs, "n_check_evaluations": n_evaluations, "n_heartbeats": n_heartbeats}
        )
    )


@dg.asset(
    key_prefix="upkeep",
    group_name="upkeep",
    kinds={"polars", "postgres"},
    deps=[history_retention, landing_retention],
    metadata=build_table_metadata("ops.storage_samples"),
)
def storage_report(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.MaterializeResult:
    """Size of the tables, the landing and the archive by day.

    The metadata shows the bytes per price, the growth, and when the limit is reached.
    """
    with pipeline.connect() as conn:
        usage = disk_usage.measure_usage(pipeline, conn)
        storage_growth.write_sample(conn, usage.sample)  # so that later measurements can show the growth
    for cycle in usage.unreadable:
        context.log.warning(f"cycle {cycle.cycle_id} of the landing is not counted: {cycle.sentence}")
    return dg.MaterializeResult(
        metadata=build_metadata(
            usage.sample.height, n_unreadable_cycles=len(usage.unreadable), **stringify_values(usage.as_dict())
        )
    )


_ENDED_STATUSES: Final = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)

check_table = AssetCheckExecutionsTable


def delete_old_runs(instance: dg.DagsterInstance, before: datetime) -> tuple[int, int]:
    """Delete the runs that ended before `before`, except those that hold the state of an asset or a check.

    Return the numbers of deleted runs, and of deleted evaluations of checks that a newer one has replaced.

    The runs that stay hold the newest materialization of an asset or of one of its partitions, the newest attempt
    (which makes a partition count as failed, until it is materialized later), or the newest evaluation of a check.
    """
    filters = dg.RunsFilter(statuses=_ENDED_STATUSES, created_before=before)
    old_ids = [
        record.dagster_run.run_id
        for record in instance.get_run_records(filters)
        if record.end_time is not None and record.end_time < before.timestamp()
    ]
    needed_ids = {
        record.run_id for key in instance.get_asset_keys() for record in _iterate_newest_records(instance, key)
    }
    with instance.event_log_storage.index_connection() as conn:  # type: ignore[attr-defined]
        n_evaluations = _delete_replaced_checks(conn, old_ids)
        has_evaluation = sa.select(check_table.c.run_id).where(check_table.c.run_id.in_(old_ids))
        needed_ids.update(conn.execute(has_evaluation).scalars())
    unneeded_ids = [run_id for run_id in old_ids if run_id not in needed_ids]
    for run_id in unneeded_ids:
        instance.delete_run(run_id)
    return len(unneeded_ids), n_evaluations


def _iterate_newest_records(instance: dg.DagsterInstance, key: dg.AssetKey) -> Iterator[dg.EventLogRecord]:
    """Yield the newest materialization and attempt of an asset, and those of each of its partitions."""
    for event_type, fetch in (
        (dg.DagsterEventType.ASSET_MATERIALIZATION, instance.fetch_materializations),
        (dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED, instance.fetch_planned_materializations),
    ):
        yield from fetch(key, limit=1).records
        ids = list(instance.get_latest_storage_id_by_partition(key, event_type).values())
        if ids:
            yield from fetch(dg.AssetRecordsFilter(key, storage_ids=ids), limit=len(ids)).records


def _delete_replaced_checks(conn: sa.Connection, run_ids: Sequence[str]) -> int:
    """Delete evaluations that are older than another of the same check and partition; return their number."""
    newer = check_table.alias()
    has_newer = sa.exists().where(
        newer.c.asset_key == check_table.c.asset_key,
        newer.c.check_name == check_table.c.check_name,
        newer.c.partition.is_not_distinct_from(check_table.c.partition),
        newer.c.execution_status.in_(("SUCCEEDED", "FAILED")),
        newer.c.id > check_table.c.id,
    )
    return conn.execute(sa.delete(check_table).where(check_table.c.run_id.in_(run_ids), has_newer)).rowcount
