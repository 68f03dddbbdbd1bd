"""The database's record of exported days: rows of ops.exported_days.

The record stays correct when another folder or bucket is configured for the archive.

The archive also has a catalogue of its own, written with the files.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import psycopg

from .catalogue import ExportedDay


@dataclass(frozen=True, slots=True)
class RecordedDay:
    """A row of ops.exported_days: a UTC day that was exported."""

    day: date
    exported_at: datetime
    n_captures: int


def build_recorded_day(entry: ExportedDay) -> RecordedDay:
    """Convert a catalogue entry to the row of ops.exported_days."""
    return RecordedDay(entry.day, entry.exported_at, entry.n_captures)


def record_days(conn: psycopg.Connection[Any], days: Iterable[RecordedDay]) -> None:
    """Write the rows of exported days. Callers commit."""
    with conn.cursor() as cursor:
        cursor.executemany(
            "insert into ops.exported_days (day, exported_at, n_captures) values (%s, %s, %s)"
            " on conflict (day) do update set exported_at = excluded.exported_at, n_captures = excluded.n_captures",
            [(recorded.day, recorded.exported_at, recorded.n_captures) for recorded in days],
        )


def read_recorded_days(conn: psycopg.Connection[Any]) -> dict[date, RecordedDay]:
    """Return the exported days: rows by day, in order of days."""
    rows = conn.execute("select day, exported_at, n_captures from ops.exported_days order by day").fetchall()
    return {row[0]: RecordedDay(*row) for row in rows}


def delete_recorded_days(conn: psycopg.Connection[Any], days: Collection[date]) -> None:
    """Delete the rows of these days. Callers commit."""
    conn.execute("delete from ops.exported_days where day = any(%s)", [list(days)])
