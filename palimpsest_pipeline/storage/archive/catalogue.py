"""The catalogue of the archive, and the database's record of exported days.

The catalogue has one JSON file per exported day, so several exports can run at once. The record, ops.exported_days,
stays correct when another folder or bucket is configured for the archive.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import PurePosixPath
from typing import Any, Final

import msgspec
import psycopg

CATALOGUE_FOLDER: Final = "catalogue"
STAGING_ROOT: Final = "staged"
"""Folder of a day's new files while they replace the files with the fixed names.

Globs over the folders odds and captures do not include it.
"""


@dataclass(frozen=True, slots=True)
class ExportedDay:
    """The catalogue entry of a UTC day: figures and files, verified when the day was exported."""

    day: date
    version: str
    """The digest of the day's inputs (`compute_day_version`) at the time of the export."""
    n_captures: int
    n_rows: int
    """Number of rows of market_changes."""
    n_prices: int
    """Number of prices in these rows, without nulls."""
    bytes: int
    """Size of all files of the day in bytes."""
    digest: str
    """Digest over the checksums of all rows of captures and market_changes.

    Equal digests mean equal rows.
    """
    exported_at: datetime
    files: dict[str, int]
    """Size in bytes by path, relative to the root.

    The paths are the fixed names (`build_odds_path`, `build_captures_path`). While an export replaces these files, the
    paths point to copies below STAGING_ROOT.
    """

    @property
    def odds_path(self) -> str:
        """Path of the day's price file, relative to the root."""
        return self._find_path(build_odds_path(self.day))

    @property
    def captures_path(self) -> str:
        """Path of the day's file of captures, relative to the root."""
        return self._find_path(build_captures_path(self.day))

    @property
    def is_staged(self) -> bool:
        """Whether the entry points to copies below STAGING_ROOT, because an export runs or was interrupted."""
        return set(self.files) != {build_odds_path(self.day), build_captures_path(self.day)}

    def _find_path(self, fixed: str) -> str:
        return next((path for path in self.files if PurePosixPath(path).name == PurePosixPath(fixed).name), fixed)


def build_odds_path(day: date) -> str:
    """Return the path of a day's price file, relative to the root."""
    return f"odds/date={day.isoformat()}/odds.parquet"


def build_captures_path(day: date) -> str:
    """Return the path of a day's file of captures, relative to the root."""
    return f"captures/date={day.isoformat()}/captures.parquet"


def build_staging_path(day: date) -> str:
    """Return the path of the folder for a day's new files, relative to the root."""
    return f"{STAGING_ROOT}/date={day.isoformat()}"


def encode_entry(entry: ExportedDay) -> bytes:
    return msgspec.json.format(msgspec.json.encode(entry), indent=2) + b"\n"


def build_entry_path(day: date) -> str:
    """Return the path of a day's catalogue entry, relative to the root."""
    return f"{CATALOGUE_FOLDER}/{day.isoformat()}.json"


@dataclass(frozen=True, slots=True)
class RecordedDay:
    """A row of ops.exported_days: a UTC day that was exported."""

    day: date
    exported_at: datetime
    n_captures: int


def record_days(conn: psycopg.Connection[Any], days: Iterable[ExportedDay | RecordedDay]) -> None:
    """Write the rows of exported days, given as entries of the catalogue or as rows. Callers commit."""
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
