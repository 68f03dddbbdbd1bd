"""How large things are: tables, days of the odds history, and what earlier measurements say of growth.

Belongs here: measuring Postgres, keeping samples in `ops.storage_samples`, and reading figures off them. Does not:
measuring the landing and the archive, which are given as rows of the same shape, and judging whether a size is too
large.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

import polars as pl
import psycopg
from psycopg import sql

from palimpsest_pipeline.domain.schemas import INSTANT

from ..db.copy_frames import copy_rows, read_frame
from ..tables import SCHEMAS
from . import partitions

SAMPLE_SCHEMA: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "sampled_at": INSTANT,
    "table_name": pl.String,
    "day": pl.Date,
    "n_rows": pl.Int64,
    "n_prices": pl.Int64,
    "heap_bytes": pl.Int64,
    "index_bytes": pl.Int64,
}
"""Columns of ops.storage_samples."""
LANDING_NAME: Final = "landing"
EXPORT_NAME: Final = "export"
"""What samples call the files of the landing and of the archive."""
HISTORY_TABLES: Final = tuple(f"core.{table}" for table in partitions.PARTITIONED_TABLES)

SAMPLE_RETENTION: Final = timedelta(days=90)
"""For how long samples are kept."""
GROWTH_WINDOW: Final = timedelta(days=7)
MIN_GROWTH_WINDOW: Final = timedelta(hours=12)
"""Growth is read off the oldest sample of the window, and not off one so young that a single cycle would count as a
trend.
"""

TABLES_SQL: Final = """
select n.nspname || '.' || c.relname as table_name, c.reltuples::bigint as n_rows, pg_table_size(c.oid) as heap_bytes,
    pg_indexes_size(c.oid) as index_bytes
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'm') and not c.relispartition and n.nspname = any(%(schemas)s)
order by 1
"""
TABLES_SCHEMA: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "table_name": pl.String,
    "n_rows": pl.Int64,
    "heap_bytes": pl.Int64,
    "index_bytes": pl.Int64,
}
TOTALS_SQL: Final = """
select sampled_at, sum(heap_bytes + index_bytes)::bigint as bytes from ops.storage_samples
where sampled_at >= %(since)s and sampled_at <= %(until)s group by sampled_at order by sampled_at limit 1
"""

LATEST_TOTAL_SQL: Final = """
select sum(heap_bytes + index_bytes)::bigint from ops.storage_samples where sampled_at = (select max(sampled_at) from ops.storage_samples)
"""


@dataclass(frozen=True, slots=True)
class Sizes:
    """What one measurement says.

    Bytes; None where there is nothing to divide by, or no earlier sample to compare with.
    """

    total_bytes: int
    """Of all that follows."""
    postgres_bytes: int
    """Our tables with their indexes; not Dagster's, not the server's own files."""
    landing_bytes: int
    export_bytes: int
    n_prices_in_postgres: int
    n_prices_exported: int
    bytes_per_price: float | None
    """Of the odds history in Postgres: captures, changes and indexes of its days, by the prices in them."""
    export_bytes_per_price: float | None
    growth_bytes_per_day: float | None
    """Negative while it shrinks."""
    limit_bytes: int
    days_until_limit: float | None
    """At that growth; 0 when past it; None while it does not grow."""


def read_database_bytes(conn: psycopg.Connection[Any]) -> int:
    """Return the room that the whole database takes, the catalog included."""
    ((n_bytes,),) = conn.execute("select pg_database_size(current_database())").fetchall()
    return int(n_bytes)


def measure_postgres(conn: psycopg.Connection[Any], sampled_at: datetime) -> pl.DataFrame:
    """Size of every table of ours, and of every day of the odds history with its rows and prices counted (SAMPLE). Days
    stay while it looks.

    Raises ValueError on a naive `sampled_at`.
    """
    if sampled_at.tzinfo is None:
        raise ValueError(f"naive datetime {sampled_at!r}: instants carry a time zone here")
    partitions.hold_partitions(conn)
    tables = read_frame(conn, TABLES_SQL, {"schemas": list(SCHEMAS)}, TABLES_SCHEMA)
    # The planner has no estimate of a table that was never analysed: such a one is small, or new.
    counted = {name: _count_rows(conn, name) for name in tables.filter(pl.col("n_rows") < 0).get_column("table_name")}
    whole = tables.with_columns(
        pl.col("table_name").replace_strict(counted, default=pl.col("n_rows"), return_dtype=pl.Int64).alias("n_rows"),
        day=pl.lit(sampled_at.date()),
        n_prices=pl.lit(None, pl.Int64),
    )
    days = pl.DataFrame(
        [_measure_day(conn, table, day) for table, day in partitions.read_partitions(conn).iter_rows()],
        schema=_get_unstamped_schema(),
        orient="row",
    )
    return stamp_sample(pl.concat([whole.select(list(_get_unstamped_schema())), days]), sampled_at)


def build_file_sample(
    name: str, rows: Sequence[tuple[date, int, int | None, int]], sampled_at: datetime
) -> pl.DataFrame:
    """What lies in files (LANDING, EXPORT) as SAMPLE: rows of day, rows, prices, bytes."""
    schema = {"day": pl.Date, "n_rows": pl.Int64, "n_prices": pl.Int64, "heap_bytes": pl.Int64}
    found = pl.DataFrame(rows, schema=schema, orient="row")
    return stamp_sample(found.with_columns(table_name=pl.lit(name), index_bytes=pl.lit(0, pl.Int64)), sampled_at)


def stamp_sample(frame: pl.DataFrame, sampled_at: datetime) -> pl.DataFrame:
    return frame.with_columns(sampled_at=pl.lit(sampled_at, INSTANT)).select(list(SAMPLE_SCHEMA))


def write_sample(conn: psycopg.Connection[Any], sample: pl.DataFrame) -> None:
    """Keep a sample (SAMPLE), and let go of those that are too old. Callers commit."""
    copy_rows(conn, "ops.storage_samples", sample)
    oldest_kept_at = max(sample.get_column("sampled_at").to_list()) - SAMPLE_RETENTION
    conn.execute("delete from ops.storage_samples where sampled_at < %s", [oldest_kept_at])


def compute_sizes(conn: psycopg.Connection[Any], sample: pl.DataFrame, limit_bytes: int) -> Sizes:
    """The figures of a sample (SAMPLE), its growth read off the samples kept of the days before."""
    sized = sample.with_columns(bytes=pl.col("heap_bytes") + pl.col("index_bytes"))
    total = int(sized.get_column("bytes").sum())
    landing, export = (sized.filter(pl.col("table_name") == name) for name in (LANDING_NAME, EXPORT_NAME))
    history = sized.filter(pl.col("table_name").is_in(HISTORY_TABLES))
    used = history.join(history.filter(pl.col("n_prices") > 0).select("day").unique(), on="day", how="semi")
    prices, exported = (int(frame.get_column("n_prices").sum()) for frame in (history, export))
    landing_bytes, export_bytes, history_bytes = (
        int(frame.get_column("bytes").sum()) for frame in (landing, export, used)
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
    """Bytes of the newest sample kept; None when there is none."""
    row = conn.execute(LATEST_TOTAL_SQL).fetchone()
    return None if row is None or row[0] is None else int(row[0])


def _compute_growth(conn: psycopg.Connection[Any], now: datetime, total: int) -> float | None:
    earlier = conn.execute(TOTALS_SQL, {"since": now - GROWTH_WINDOW, "until": now - MIN_GROWTH_WINDOW}).fetchone()
    if earlier is None:
        return None
    sampled_at, before = earlier
    return float((total - before) / ((now - sampled_at) / timedelta(days=1)))


def _get_unstamped_schema() -> dict[str, Any]:
    return {name: kind for name, kind in SAMPLE_SCHEMA.items() if name != "sampled_at"}


def _measure_day(conn: psycopg.Connection[Any], table: str, day: date) -> tuple[str, date, int, int | None, int, int]:
    """One row of a sample: a table's partition of a day."""
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
