"""The catalogue of the archive: one JSON file per exported day, so several exports can run at once."""

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import PurePosixPath
from typing import Final

import msgspec

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


def decode_entry(content: bytes) -> ExportedDay:
    """Decode a catalogue entry. Raises msgspec.DecodeError (or its subclass ValidationError)."""
    return msgspec.json.decode(content, type=ExportedDay)


def parse_entry_day(name: str) -> date:
    """Return the day that the path of a catalogue entry names."""
    return date.fromisoformat(PurePosixPath(name).stem)


def build_entry_path(day: date) -> str:
    """Return the path of a day's catalogue entry, relative to the root."""
    return f"{CATALOGUE_FOLDER}/{day.isoformat()}.json"
