"""The catalogue: one file per exported day, so that several exports can run at once."""

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import PurePosixPath
from typing import Final

import msgspec

CATALOGUE_FOLDER: Final = "catalogue"
STAGING_ROOT: Final = "staged"
"""Folder of an exported day's new files until they also have the fixed names.

Globs over odds and captures do not include it.
"""


@dataclass(frozen=True, slots=True)
class ExportedDay:
    """A UTC day of the odds history in the archive, verified when it was written."""

    day: date
    version: str
    """The version of its inputs: `compute_day_version` in the snapshot of the export."""
    n_captures: int
    n_rows: int
    """Rows of market_changes."""
    n_prices: int
    """Prices in these rows, without nulls."""
    bytes: int
    """The size of all its files."""
    digest: str
    """Digest over the checksums of all listings, captures and changes.

    Equal digests mean equal facts.
    """
    exported_at: datetime
    files: dict[str, int]
    """Size in bytes by path below the root.

    The paths are the fixed names. While an export puts new files in place, they are the same files under STAGING_ROOT.
    """

    @property
    def odds_path(self) -> str:
        """Path of the day's prices below the root."""
        return self._find_path(build_odds_path(self.day))

    @property
    def captures_path(self) -> str:
        """Path of the day's answers below the root."""
        return self._find_path(build_captures_path(self.day))

    @property
    def is_staged(self) -> bool:
        """Whether the files do not have their fixed names yet, because an export runs or was interrupted."""
        return set(self.files) != {build_odds_path(self.day), build_captures_path(self.day)}

    def _find_path(self, fixed: str) -> str:
        return next((path for path in self.files if PurePosixPath(path).name == PurePosixPath(fixed).name), fixed)


def build_odds_path(day: date) -> str:
    """Return the path of a day's prices below the root."""
    return f"odds/date={day.isoformat()}/odds.parquet"


def build_captures_path(day: date) -> str:
    """Return the path of a day's answers below the root."""
    return f"captures/date={day.isoformat()}/captures.parquet"


def build_staging_path(day: date) -> str:
    """Return the path of the folder, below the root, in which the day's new files wait."""
    return f"{STAGING_ROOT}/date={day.isoformat()}"


def encode_entry(entry: ExportedDay) -> bytes:
    return msgspec.json.format(msgspec.json.encode(entry), indent=2) + b"\n"


def decode_entry(content: bytes) -> ExportedDay:
    """Return an entry. Raises msgspec.DecodeError (ValidationError included) on other content."""
    return msgspec.json.decode(content, type=ExportedDay)


def parse_entry_day(name: str) -> date:
    """Return the day of an entry's path."""
    return date.fromisoformat(PurePosixPath(name).stem)


def build_entry_path(day: date) -> str:
    """Return the path of a day's entry below the root."""
    return f"{CATALOGUE_FOLDER}/{day.isoformat()}.json"
