"""Measure the sizes of tables and of days of the odds history, and their growth.

A storage sample is one measurement: one row per table, or table and day. Samples are stored in `ops.storage_samples`;
the sizes of the landing and the archive are passed in as rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

import polars as pl
import psycopg
from psycopg import sql

from palimpsest_pipeline.domain.schemas import INSTANT
from palimpsest_pipeline.tables import SCHEMAS
from palimpsest_pipeline.tables.frame_types import get_frame_schema

from ..db.copy_frames import copy_rows, read_frame
from . import partitions

SAMPLE_SCHEMA: Final = get_frame_schema("ops.storage_samples")
"""Columns of ops.storage_samples."""
LANDING_NAME: Final = "landing"
EXPORT_NAME: Final = "export"
"""Values of `table_name` in samples for the files of the landing and of the archive."""
HISTORY_TABLES: Final = tuple(f"core.{table}" for table in partitions.PARTITIONED_TABLES)

SAMPLE_RETENTION: Final = timedelta(days=90)
"""The age at which samples are deleted."""
GROWTH_WINDOW: Final = timedelta(days=7)
MIN_GROWTH_WINDOW: Final = timedelta(hours=12)
"""Minimum age of the earlier sample with which growth is computed.

With a younger sample, the growth of a single cycle would look like a trend.
"""

TABLES_SQL: Final = """
select n.nspname || '.' || c.relname as table_name, c.reltuples::bigint as n_rows, pg_table_size(c.oid) as heap_bytes,
    pg_indexes_size(c.oid) as index_bytes
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'm') and not c.relispartition and n.nspname = any(%(schemas)s)
order by 1
"""
_TOTALS_SQL: Final = """
select sampled_at, sum(heap_bytes + index_bytes)::bigint as bytes from ops.storage_samples
where sampled_at >= %(since)s and sampled_at <= %(until)s group by sampled_at order by sampled_at limit 1
"""

LATEST_TOTAL_SQL: Final = """
select sum(heap_bytes + index_bytes)::bigint from ops.storage_samples
where sampled_at = (select max(sampled_at) from ops.storage_samples)
"""


@dataclass(frozen=True, slots=True)
class Sizes:
    """The figures of one measurement, in bytes.

    A figure is None when its divisor is zero, or when there is no earlier sample to compare with.
    """

    total_bytes: int
    """Sum of Postgres, landing and export."""
    postgres_bytes: int
    """The product's tables with their indexes. Dagster's tables and the server's own files are excluded."""
    landing_bytes: int
    export_bytes: int
    n_prices_in_postgres: int
    n_prices_exported: int
    bytes_per_price: float | None
    """Bytes per price of the odds history in Postgres, including captures and indexes."""
    export_bytes_per_price: float | None
    growth_bytes_per_day: float | None
    """Growth of `total_bytes` per day; negative when it shrinks."""
    limit_bytes: int
    days_until_limit: float | None
    """Days until `total_bytes` reaches the limit at the present growth; 0 when it is reached.

    None when the total does not grow.
    """


def read_database_bytes(conn: psycopg.Connection[Any]) -> int:
    """Return the size of the whole database in bytes, including the Postgres catalog."""
    ((n_bytes,),) = conn.execute("select pg_database_size(current_database())").fetchall()
    return int(n_bytes)


def measure_postgres(conn: psycopg.Connection[Any], sampled_at: datetime) -> pl.DataFrame:
    """Return the sizes of all tables of the product and of each day of the odds history (SAMPLE_SCHEMA).

    The rows and prices of each day are counted. No day is dropped during the measurement. Raises ValueError when
    `sampled_at` has no time zone.
    """
    if sampled_at.tzinfo is None:
        raise ValueError(f"naive datetime {sampled_at!r}: give an instant with a time zone")
    partitions.hold_partitions(conn)
    tables = read_frame(conn, TABLES_SQL, {"schemas": list(SCHEMAS)})
    # The planner has no row estimate of a table that was never analyzed. Such a table is small or new, so its rows are
    # counted.
    row_counts = {
        name: _count_rows(conn, name) for name in tables.filter(pl.col("n_rows") < 0).get_column("table_name")
    }
    table_rows = tables.with_columns(
        pl.col("table_name")
        .replace_strict(row_counts, default=pl.col("n_rows"), return_dtype=pl.Int64)
        .alias("n_rows"),
        day=pl.lit(sampled_at.date()),
        n_prices=pl.lit(None, pl.Int64),
    )
    days = pl.DataFrame(
        [_measure_day(conn, table, day) for table, day in partitions.read_partitions(conn).iter_rows()],
        schema=_get_unstamped_schema(),
        orient="row",
    )
    return stamp_sample(pl.concat([table_rows.select(list(_get_unstamped_schema())), days]), sampled_at)


def build_file_sample(
    name: str, rows: Sequence[tuple[date, int, int | None, int]], sampled_at: datetime
) -> pl.DataFrame:
    """Return a sample (SAMPLE_SCHEMA) of file sizes; `name` is LANDING_NAME or EXPORT_NAME.

    `rows` are tuples (day, rows, prices, bytes).
    """
    schema = {"day": pl.Date, "n_rows": pl.Int64, "n_prices": pl.Int64, "heap_bytes": pl.Int64}
    files = pl.DataFrame(rows, schema=schema, orient="row")
    return stamp_sample(files.with_columns(table_name=pl.lit(name), index_bytes=pl.lit(0, pl.Int64)), sampled_at)


def stamp_sample(frame: pl.DataFrame, sampled_at: datetime) -> pl.DataFrame:
    return frame.with_columns(sampled_at=pl.lit(sampled_at, INSTANT)).select(list(SAMPLE_SCHEMA))


def write_sample(conn: psycopg.Connection[Any], sample: pl.DataFrame) -> None:
    """Write a sample (SAMPLE_SCHEMA) and delete samples older than SAMPLE_RETENTION. Callers commit."""
    copy_rows(conn, "ops.storage_samples", sample)
    oldest_kept_at = max(sample.get_column("sampled_at").to_list()) - SAMPLE_RETENTION
    conn.execute("delete from ops.storage_samples where sampled_at < %s", [oldest_kept_at])


def compute_storage_sizes(conn: psycopg.Connection[Any], sample: pl.DataFrame, limit_bytes: int) -> Sizes:
    """Return the totals of one measurement, and the growth since earlier measurements.

    `sample` (SAMPLE_SCHEMA) has the sizes of all tables, of the landing and of the archive at one time. `limit_bytes`
    is the storage limit of the settings.
    """
    sized = sample.with_columns(bytes=pl.col("heap_bytes") + pl.col("index_bytes"))
    total = int(sized.get_column("bytes").sum())
    landing, export = (sized.filter(pl.col("table_name") == name) for name in (LANDING_NAME, EXPORT_NAME))
    history = sized.filter(pl.col("table_name").is_in(HISTORY_TABLES))
    days_with_prices = history.join(history.filter(pl.col("n_prices") > 0).select("day").unique(), on="day", how="semi")
    prices, exported = (int(frame.get_column("n_prices").sum()) for frame in (history, export))
    landing_bytes, export_bytes, history_bytes = (
        int(frame.get_column("bytes").sum()) for frame in (landing, export, days_with_prices)
    )
    growth = _compute_growth(conn, sample.get_column("sampled_at").max(), total)  # type: ignore[arg-type]
    return Sizes(
        total_bytes=total,
        postgres_bytes=total - landing_bytes - export_bytes,
        landing_bytes=landing_bytes,
        export_bytes=export_bytes,
        n_prices_in_postgres=prices,
        n_prices_exported=exported,
        bytes_per_price=history_bytes / prices if prices else None,
        export_bytes_per_price=export_bytes / exported if exported else None,
        growth_bytes_per_day=growth,
        limit_bytes=limit_bytes,
        days_until_limit=None if growth is None or growth <= 0 else max(0.0, (limit_bytes - total) / growth),
    )


def read_latest_total(conn: psycopg.Connection[Any]) -> int | None:
    """Return the total size in bytes of the newest sample; None when there is none."""
    row = conn.execute(LATEST_TOTAL_SQL).fetchone()
    return None if row is None or row[0] is None else int(row[0])


def _compute_growth(conn: psycopg.Connection[Any], now: datetime, total: int) -> float | None:
    earlier = conn.execute(_TOTALS_SQL, {"since": now - GROWTH_WINDOW, "until": now - MIN_GROWTH_WINDOW}).fetchone()
    if earlier is None:
        return None
    sampled_at, before = earlier
    return float((total - before) / ((now - sampled_at) / timedelta(days=1)))


def _get_unstamped_schema() -> dict[str, Any]:
    return {name: kind for name, kind in SAMPLE_SCHEMA.items() if name != "sampled_at"}


def _measure_day(conn: psycopg.Connection[Any], table: str, day: date) -> tuple[str, date, int, int | None, int, int]:
    """Return one row of a sample: the sizes of a table's partition of a UTC day."""
    partition = sql.Identifier("core", partitions.build_partition_name(table, day))
    prices = sql.SQL(
        "coalesce(sum(cardinality(array_remove(odds_milli, null))), 0)" if table == "market_changes" else "null::bigint"
    )
    statement = sql.SQL("select count(*), {}, pg_table_size({name}), pg_indexes_size({name}) from {}")
    row = conn.execute(statement.format(prices, partition, name=sql.Literal(partition.as_string(conn)))).fetchone()
    assert row is not None
    n_rows, n_prices, heap, index = row
    return f"core.{table}", day, n_rows, n_prices, heap, index


def _count_rows(conn: psycopg.Connection[Any], table: str) -> int:
    row = conn.execute(sql.SQL("select count(*) from {}").format(sql.Identifier(*table.split(".")))).fetchone()
    assert row is not None
    return int(row[0])
