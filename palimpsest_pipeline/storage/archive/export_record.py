"""The database's own record of the exported days: what must be found in the archive, whatever folder or bucket is
looked at.

Belongs here: the rows of ops.exported_days. Does not: the archive's catalogue, which is written with the files.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import psycopg

from .catalogue import ExportedDay


@dataclass(frozen=True, slots=True)
class RecordedDay:
    """A UTC day that was exported, as the database remembers it."""

    day: date
    exported_at: datetime
    n_captures: int


def build_recorded_day(entry: ExportedDay) -> RecordedDay:
    """Return what the database keeps of an entry of the catalogue."""
    return RecordedDay(entry.day, entry.exported_at, entry.n_captures)


def record_days(conn: psycopg.Connection[Any], days: Iterable[RecordedDay]) -> None:
    """Remember that these days are in the archive. Callers commit."""
    with conn.cursor() as cursor:
        cursor.executemany(
            "insert into ops.exported_days (day, exported_at, n_captures) values (%s, %s, %s)"
            " on conflict (day) do update set exported_at = excluded.exported_at, n_captures = excluded.n_captures",
            [(each.day, each.exported_at, each.n_captures) for each in days],
        )


def read_recorded_days(conn: psycopg.Connection[Any]) -> dict[date, RecordedDay]:
    """Return the days that were exported, by day in order."""
    rows = conn.execute("select day, exported_at, n_captures from ops.exported_days order by day").fetchall()
    return {row[0]: RecordedDay(*row) for row in rows}


def delete_recorded_days(conn: psycopg.Connection[Any], days: Collection[date]) -> None:
    """Forget that these days were exported. Callers commit."""
    conn.execute("delete from ops.exported_days where day = any(%s)", [list(days)])
