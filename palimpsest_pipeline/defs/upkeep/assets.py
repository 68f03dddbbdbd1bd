"""Assets of upkeep: days of history made ahead, exported and dropped; what was landed compacted and removed; old logs
of runs removed; how much room everything takes."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import dagster as dg

from palimpsest_pipeline.domain.instants import hour_key
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.upkeep import disk_usage, export_day
from palimpsest_pipeline.pipeline.upkeep.landing_retention import compact_landing, expire_landing
from palimpsest_pipeline.storage.catalog import upcoming_fixtures
from palimpsest_pipeline.storage.ledger import run_heartbeats
from palimpsest_pipeline.storage.odds import partitions, retention

from ..asset_metadata import figures, plain, table_metadata
from ..core.assets import odds_snapshots
from ..partitions import ended_days, parse_day_key
from . import dagster_logs


@dg.asset(key_prefix="core", group_name="upkeep", kinds={"postgres"}, metadata=table_metadata("core.captures", also=["core.market_changes"]))
def history_partitions(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.MaterializeResult:
    """Places for the odds history of the days ahead, which a cycle makes itself where they are missing; and yesterday's indexes packed."""
    now = pipeline.clock.now()
    yesterday = now.date() - timedelta(days=1)
    with pipeline.connect() as conn:
        made = partitions.ahead(conn, now, pipeline.settings.partitions_ahead_days)
        stored = retention.stored_days(conn)
        conn.commit()
        freed = 0 if partitions.missing(conn, [yesterday]) else partitions.pack(conn, yesterday)
    if freed is None:
        context.log.warning(f"{yesterday} is in use: its indexes stay as large as they are")
    return dg.MaterializeResult(
        metadata=plain({"partitions_made": len(made), "days": len(stored), "last_day": max(stored), "packed_bytes_freed": freed or 0})
    )


class ExportConfig(dg.Config):
    """How days are exported."""

    force: bool = False
    """Replace an exported day also when Postgres lacks cycles that it has."""


@dg.asset(
    key_prefix="report",
    group_name="report",
    kinds={"parquet", "postgres"},
    partitions_def=ended_days,
    deps=[odds_snapshots],
    metadata=table_metadata("core.market_changes", also=["core.captures"]),
)
def odds_history_export(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline], config: ExportConfig) -> dg.MaterializeResult:
    """Days of the odds history that are over, as Parquet that was read back and compared; the catalogue then names them."""
    done = export_day.export_day(pipeline, parse_day_key(context.partition_key), force=config.force)
    entry = done.entry
    told = {"found": done.found.value, "seconds": done.seconds, "bytes_per_price": done.bytes_per_price}
    if entry is not None:
        told |= {"prices": entry.n_prices, "captures": entry.n_captures, "bytes": entry.bytes, "path": ", ".join(entry.files)}
    context.log.info(f"{context.partition_key} {done.sentence}")
    return dg.MaterializeResult(metadata=figures(0 if entry is None else entry.n_rows, **plain(told)))


@dg.asset(key_prefix="upkeep", group_name="upkeep", kinds={"postgres"}, deps=[odds_history_export])
def history_retention(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.MaterializeResult:
    """What leaves Postgres: days of history beyond PALIMPSEST_HISTORY_HOT_DAYS that the archive has, and the life of fixtures of long ago."""
    now = pipeline.clock.now()
    today, life_kept = now.date(), timedelta(days=pipeline.settings.fixture_life_retention_days)
    with pipeline.connect() as conn:
        done = retention.retire(conn, pipeline.archive, today - timedelta(days=pipeline.settings.history_hot_days))
        life = retention.delete_life(conn, today - life_kept)
        n_kickoffs = upcoming_fixtures.forget(conn, now - life_kept)
    for day, why in done.kept.items():
        context.log.warning(f"{day} stays in Postgres: {why}")
    counts = {"days_dropped": len(done.dropped), "days_unused": len(done.unused), "days_kept": len(done.kept)}
    named = {"dropped": ", ".join(map(str, done.dropped)), "kept": ", ".join(map(str, done.kept))}
    rest = {"listings_forgotten": done.n_forgotten, "life_rows_deleted": life, "kickoffs_forgotten": n_kickoffs}
    return dg.MaterializeResult(metadata=plain({**counts, **named, **rest}))


@dg.asset(key_prefix="upkeep", group_name="upkeep", kinds={"parquet"}, deps=[odds_history_export])
def landing_retention(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.MaterializeResult:
    """The landing's hours: after PALIMPSEST_LANDING_RETENTION_DAYS gone, when they are derived and exported; before that one file per platform."""
    expired = expire_landing(pipeline)
    compacted = compact_landing(pipeline)
    left = expired.kept | {done.hour: done.left_alone for done in compacted if done.left_alone}
    for hour, why in left.items():
        context.log.warning(f"{hour_key(hour)} stays as it is: {why}")
    done = [one for one in compacted if one.left_alone is None]
    sizes = {"bytes_before": sum(one.bytes_before for one in done), "bytes_after": sum(one.bytes_after for one in done)}
    counts = {"hours_compacted": len(done), "hours_expired": len(expired.removed), "hours_kept": len(expired.kept)}
    kept = "; ".join(f"{hour_key(hour)}: {why}" for hour, why in expired.kept.items())
    return dg.MaterializeResult(metadata=plain(counts | sizes | {"bytes_expired": expired.bytes_removed, "kept": kept}))


@dg.asset(key_prefix="upkeep", group_name="upkeep", kinds={"postgres"})
def instance_retention(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.MaterializeResult:
    """The logs of runs: after PALIMPSEST_RUN_RETENTION_DAYS gone, with what is known of their processes. What the state of an asset or a check is
    read from stays."""
    age = timedelta(days=pipeline.settings.run_retention_days)
    deleted = dagster_logs.delete_old(context.instance, datetime.now(UTC) - age)
    with pipeline.connect() as conn:
        n_heartbeats = run_heartbeats.delete_older(conn, age)
    if deleted is None:
        context.log.warning("Dagster's storage is no Postgres: the logs of its runs are left alone")
    return dg.MaterializeResult(metadata=plain({**(asdict(deleted) if deleted else {}), "n_heartbeats": n_heartbeats}))


@dg.asset(
    key_prefix="upkeep",
    group_name="upkeep",
    kinds={"polars", "postgres"},
    deps=[history_retention, landing_retention],
    metadata=table_metadata("ops.storage_samples"),
)
def storage_report(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.MaterializeResult:
    """How much room tables, landing and archive take, by day; what a price costs, how it all grows, and when the limit is reached."""
    found = disk_usage.measured_and_kept(pipeline)
    for cycle in found.unreadable:
        context.log.warning(f"cycle {cycle.cycle_id} of the landing is not counted: {cycle.sentence}")
    return dg.MaterializeResult(metadata=figures(found.sample.height, n_unreadable_cycles=len(found.unreadable), **plain(found.as_dict())))
