"""The database's own record of the exported days, which must be in the archive.

The record is independent of the folder or bucket that is configured.

Belongs here: the rows of ops.exported_days. Does not belong here: the archive's catalogue, which is written with the
files.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import psycopg

from .catalogue import ExportedDay


@dataclass(frozen=True, slots=True)
class RecordedDay:
    """A UTC day that was exported, in the record of the database."""

    day: date
    exported_at: datetime
    n_captures: int


def build_recorded_day(entry: ExportedDay) -> RecordedDay:
    """Return the database's record of an entry of the catalogue."""
    return RecordedDay(entry.day, entry.exported_at, entry.n_captures)


def record_days(conn: psycopg.Connection[Any], days: Iterable[RecordedDay]) -> None:
    """Record that these days are in the archive. Callers commit."""
    with conn.cursor() as cursor:
        cursor.executemany(
            "insert into ops.exported_days (day, exported_at, n_captures) values (%s, %s, %s)"
            " on conflict (day) do update set exported_at = excluded.exported_at, n_captures = excluded.n_captures",
            [(recorded.day, recorded.exported_at, recorded.n_captures) for recorded in days],
        )


def read_recorded_days(conn: psycopg.Connection[Any]) -> dict[date, RecordedDay]:
    """Return the days that were exported, by day in order."""
    rows = conn.execute("select day, exported_at, n_captures from ops.exported_days order by day").fetchall()
    return {row[0]: RecordedDay(*row) for row in rows}


def delete_recorded_days(conn: psycopg.Connection[Any], days: Collection[date]) -> None:
    """Delete the record that these days were exported. Callers commit."""
    conn.execute("delete from ops.exported_days where day = any(%s)", [list(days)])
