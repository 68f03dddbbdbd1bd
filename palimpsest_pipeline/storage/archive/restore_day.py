"""Bringing a day back: from the files into partitions of its own, compared with what was exported, attached when they
are complete.

Partitions that are there and hold nothing, as after truncating core, are filled where they are.
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

COMPARED_TABLES: Final = (CAPTURES_TABLE, CHANGES_TABLE)
ALL_LISTING_IDS: Final = (-(2**31), 2**31 - 1)


def lock_day(conn: psycopg.Connection[Any], day: date) -> None:
    """Nobody else exports or restores the day, makes or drops partitions, or writes to those of the day, until the
    transaction ends.
    """
    conn.execute("select pg_advisory_xact_lock(%s, %s)", [AdvisoryLock.EXPORTED_DAY, day.toordinal()])
    partitions.hold_partitions(conn)
    partitions.lock_partition_creation(conn)
    lacking = partitions.find_missing_partitions(conn, [day])
    for table in (
        "market_changes",
        "captures",
    ):  # in the order in which the history is written: else this and a writer would wait for each other
        if (table, day) not in lacking:
            partitions.lock_day_against_writes(conn, table, day)


def restore_day(
    conn: psycopg.Connection[Any], entry: ExportedDay, captures: Iterator[pl.DataFrame], changes: Iterator[pl.DataFrame]
) -> int:
    """Fill the tables of the entry's day, new ones where it has none; returns the rows written.

    Under `lock_day`, when Postgres has no row of it.
    """
    day = entry.day
    lacking = [table for table, _ in partitions.find_missing_partitions(conn, [day])]
    for table in lacking:
        partitions.create_day_table(conn, table, day)
    written = sum(copy_rows(conn, _build_partition_name(CAPTURES_TABLE, day), frame) for frame in captures)
    no_mask = pl.when(pl.col("off_mask") != 0).then("off_mask").alias("off_mask")
    written += sum(
        copy_rows(conn, _build_partition_name(CHANGES_TABLE, day), frame.with_columns(no_mask)) for frame in changes
    )
    for table in lacking:
        partitions.attach_day_table(conn, table, day)
    for part in COMPARED_TABLES:
        conn.execute(f"analyze {_build_partition_name(part, day)}")
    answers, rows = (compute_postgres_checksums(conn, table, day, *ALL_LISTING_IDS) for table in COMPARED_TABLES)
    if compute_digest(rows, answers) != entry.digest:
        raise ArchiveDamaged(day, ", ".join(entry.files), "can be read, but what they hold is not what was exported")
    return written


def _build_partition_name(table: ComparedTable, day: date) -> str:
    return f"core.{partitions.build_partition_name(table.name, day)}"
