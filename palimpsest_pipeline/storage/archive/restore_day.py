"""Restore a day: copy its files into new tables, compare them with the export, and attach them.

Partitions that exist and are empty, for example after TRUNCATE, are filled in place.
"""

from collections.abc import Iterator
from datetime import date
from typing import Any, Final

import polars as pl
import psycopg

from ..db.copy_frames import copy_rows
from ..db.locks import AdvisoryLock
from ..odds import partitions
from .catalogue import ExportedDay
from .checksums import CAPTURES_TABLE, CHANGES_TABLE, ComparedTable, compute_digest, compute_postgres_checksums
from .errors import ArchiveDamaged

_COMPARED_TABLES: Final = (CAPTURES_TABLE, CHANGES_TABLE)
ALL_LISTING_IDS: Final = (-(2**31), 2**31 - 1)


def lock_day(conn: psycopg.Connection[Any], day: date) -> None:
    """Lock the day against other sessions until the transaction ends.

    Other sessions cannot export or restore the day, create or drop partitions, or write rows of the day.
    """
    conn.execute("select pg_advisory_xact_lock(%s, %s)", [AdvisoryLock.EXPORTED_DAY, day.toordinal()])
    partitions.hold_partitions(conn)
    partitions.lock_partition_creation(conn)
    missing = partitions.find_missing_partitions(conn, [day])
    # The order is that of the history writer. With another order the two sessions could deadlock.
    for table in ("market_changes", "captures"):
        if (table, day) not in missing:
            partitions.lock_day_against_writes(conn, table, day)


def restore_day(
    conn: psycopg.Connection[Any], entry: ExportedDay, captures: Iterator[pl.DataFrame], changes: Iterator[pl.DataFrame]
) -> int:
    """Write the entry's day into Postgres and return the number of rows written.

    Missing partitions are created. Call it under `lock_day`, when Postgres has no row of the day.
    """
    day = entry.day
    missing = [table for table, _ in partitions.find_missing_partitions(conn, [day])]
    for table in missing:
        partitions.create_day_table(conn, table, day)
    n_written = sum(copy_rows(conn, _build_partition_name(CAPTURES_TABLE, day), frame) for frame in captures)
    no_mask = pl.when(pl.col("off_mask") != 0).then("off_mask").alias("off_mask")
    n_written += sum(
        copy_rows(conn, _build_partition_name(CHANGES_TABLE, day), frame.with_columns(no_mask)) for frame in changes
    )
    for table in missing:
        partitions.attach_day_table(conn, table, day)
    for compared_table in _COMPARED_TABLES:
        conn.execute(f"analyze {_build_partition_name(compared_table, day)}")
    answers, rows = (compute_postgres_checksums(conn, table, day, *ALL_LISTING_IDS) for table in _COMPARED_TABLES)
    if compute_digest(rows, answers) != entry.digest:
        raise ArchiveDamaged(day, ", ".join(entry.files), "can be read, but what they hold is not what was exported")
    return n_written


def _build_partition_name(table: ComparedTable, day: date) -> str:
    return f"core.{partitions.build_partition_name(table.name, day)}"
