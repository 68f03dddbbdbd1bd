"""The disk usage of Postgres, landing and archive, measured together. Imports no Dagster."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl
import psycopg

from palimpsest_pipeline.landing import UnreadableCycle, measure_cycles
from palimpsest_pipeline.storage.odds import storage_growth

from ..context import Pipeline


@dataclass(frozen=True, slots=True)
class DiskUsage:
    """One measurement of the sizes of tables, landing and archive.

    `sample` has one row per table and day (`storage_growth.SAMPLE_SCHEMA`); `figures` are its totals.
    """

    sample: pl.DataFrame
    figures: storage_growth.Sizes
    payloads: pl.DataFrame
    """One row per platform: number, bytes and bytes per answer of the landed answers."""
    unreadable: tuple[UnreadableCycle, ...] = ()
    """Landed cycles that cannot be read. Their sizes are in none of the figures."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self.figures) | {
            f"landing_bytes_per_answer_{p}": each
            for p, each in self.payloads.select("platform", "bytes_per_answer").rows()
        }


def measure_usage(pipeline: Pipeline, conn: psycopg.Connection) -> DiskUsage:
    """Return the current sizes of tables, landing and archive.

    A damaged cycle is left out and listed in `unreadable`. Raises LandingError or ArchiveError when the landing or the
    archive cannot be read.
    """
    now = datetime.now(UTC)  # sizes are those of now; the pipeline's clock may be shifted
    exported = [(e.day, e.n_rows, e.n_prices, e.bytes) for e in pipeline.archive.read_catalogue().values()]
    readable = pipeline.landing.list_readable_cycles()
    usage = measure_cycles(readable.manifests)
    landed = (
        usage.group_by(day=pl.col("hour").dt.date())
        .agg(pl.col("n_answers").sum(), n_prices=None, bytes=pl.col("bytes").sum())
        .rows()
    )
    sample = pl.concat(
        [
            storage_growth.measure_postgres(conn, now),
            storage_growth.build_file_sample(storage_growth.LANDING_NAME, landed, now),
            storage_growth.build_file_sample(storage_growth.EXPORT_NAME, exported, now),
        ]
    )
    return DiskUsage(
        sample,
        storage_growth.compute_storage_sizes(conn, sample, int(pipeline.settings.storage_limit_gb * 10**9)),
        summarise_answers(usage),
        tuple(readable.unreadable),
    )


def summarise_days(sample: pl.DataFrame) -> pl.DataFrame:
    """Return `DiskUsage.sample` by day: rows and prices in Postgres, bytes in Postgres, archive, landing.

    A value without data is null.
    """
    sized = sample.with_columns(bytes=pl.col("heap_bytes") + pl.col("index_bytes"))
    hot = sized.filter(pl.col("table_name").is_in(storage_growth.HISTORY_TABLES))

    def bytes_of(name: str) -> pl.DataFrame:
        return sized.filter(pl.col("table_name") == name).select("day", pl.col("bytes").alias(f"{name}_bytes"))

    postgres = hot.group_by("day").agg(
        pl.col("n_rows").sum(),
        pl.col("n_prices").sum(),
        postgres_bytes=pl.col("bytes").sum(),
        n_answers=pl.col("n_rows").filter(pl.col("table_name") == "core.captures").sum(),
    )
    days = postgres.filter(pl.col("n_rows") > 0).with_columns(pl.col("n_rows") - pl.col("n_answers"))
    for name in (storage_growth.EXPORT_NAME, storage_growth.LANDING_NAME):
        days = days.join(bytes_of(name), on="day", how="full", coalesce=True)
    per_price = pl.when(pl.col("n_prices") > 0).then(pl.col("postgres_bytes") / pl.col("n_prices"))
    columns = [
        "day",
        "n_answers",
        "n_rows",
        "n_prices",
        "postgres_bytes",
        "bytes_per_price",
        "export_bytes",
        "landing_bytes",
    ]
    return days.with_columns(bytes_per_price=per_price).select(columns).sort("day")


def summarise_answers(usage: pl.DataFrame, column: str = "platform") -> pl.DataFrame:
    """Return answers, bytes and bytes per answer of the landing (`USAGE_SCHEMA`) by `column`, in order."""
    summed = usage.group_by(column).agg(pl.col("n_answers", "bytes").sum())
    return summed.with_columns(bytes_per_answer=pl.col("bytes") // pl.col("n_answers")).sort(column)


def summarise_tables(sample: pl.DataFrame) -> pl.DataFrame:
    """Return `DiskUsage.sample` by table, landing and archive: rows, heap and index bytes over all days.

    The largest comes first.
    """
    summed = sample.group_by("table_name").agg(
        pl.col("n_rows", "heap_bytes", "index_bytes").sum(),
        total_bytes=pl.col("heap_bytes").sum() + pl.col("index_bytes").sum(),
    )
    return summed.sort("total_bytes", "table_name", descending=[True, False])
