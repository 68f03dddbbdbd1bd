"""Instants with the time zone UTC: the clock, and the hour to which a cycle belongs."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

HOUR: Final = timedelta(hours=1)
HOUR_FORMAT: Final = "%Y-%m-%d-%H:%M"
"""Dagster's format of an hourly partition key."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The only source of the current time.

    `offset_s` shifts the time, so that the pipeline has the same time as a simulated world.
    """

    offset_s: float = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.offset_s)


def floor_to_hour(instant: datetime) -> datetime:
    """Return the UTC hour that contains `instant`. Raises ValueError without a time zone."""
    if instant.tzinfo is None:
        raise ValueError(f"naive datetime {instant!r}: instants carry a time zone here")
    return instant.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def format_hour_key(instant: datetime) -> str:
    """Return the partition key of the hour that contains `instant`, e.g. `2026-06-26-19:00`."""
    return floor_to_hour(instant).strftime(HOUR_FORMAT)


def parse_hour_key(key: str) -> datetime:
    """Return the hour of a partition key. Raises ValueError for another format."""
    return datetime.strptime(key, HOUR_FORMAT).replace(tzinfo=UTC)


def list_hours(first: datetime, last: datetime) -> list[datetime]:
    """Return the hours from `first` to `last`, both included, in order."""
    return [first + n * HOUR for n in range((last - first) // HOUR + 1)]


def get_day_start(day: date) -> datetime:
    """Return the instant at which a UTC day starts."""
    return datetime.combine(day, time(), UTC)


def clamp_hour_to_day(day: date, instant: datetime) -> datetime:
    """Return the UTC hour of `instant`, but at most the last hour of `day`.

    A cycle for a day may start shortly after its midnight.
    """
    return min(floor_to_hour(instant), get_day_start(day) + 23 * HOUR)


def make_cycle_id(instant: datetime) -> int:
    """Return the id of a cycle that starts at `instant`: its UTC digits down to the millisecond.

    So ids sort by time and can be read as an instant.
    """
    utc = instant.astimezone(UTC)
    return int(utc.strftime("%Y%m%d%H%M%S")) * 1000 + utc.microsecond // 1000
