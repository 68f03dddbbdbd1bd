"""The catalogue: one entry per exported day, in a file of its own, so that exports of several days can run at once."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

import msgspec

FOLDER: Final = "catalogue"


@dataclass(frozen=True, slots=True)
class ExportedDay:
    """A UTC day of the odds history that stands in the archive, verified when it was written."""

    day: date
    version: str
    """What it rests on: `day_version` in the snapshot it was written from."""
    n_captures: int
    n_rows: int
    """Rows of market_changes."""
    n_prices: int
    """Prices in them, nulls not counted."""
    bytes: int
    """Of all its files."""
    digest: str
    """Over the checksums of all listings, captures and changes: equal digests are equal facts."""
    exported_at: datetime
    files: dict[str, int]
    """Path below the root to size in bytes."""


def odds_file(day: date) -> str:
    """Path of a day's prices below the root."""
    return f"odds/date={day.isoformat()}/odds.parquet"


def captures_file(day: date) -> str:
    """Path of a day's answers below the root."""
    return f"captures/date={day.isoformat()}/captures.parquet"


def encode(entry: ExportedDay) -> bytes:
    return msgspec.json.format(msgspec.json.encode(entry), indent=2) + b"\n"


def decode(content: bytes) -> ExportedDay:
    """Raises msgspec.DecodeError (ValidationError included) on what is no entry."""
    return msgspec.json.decode(content, type=ExportedDay)


def name_of(day: date) -> str:
    """Path of a day's entry below the root."""
    return f"{FOLDER}/{day.isoformat()}.json"
