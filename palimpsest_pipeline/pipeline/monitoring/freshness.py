"""The age of the newest data of each family of data, such as answers or odds. Imports no Dagster.

Before the first cycle no data is expected. From the first cycle on every family is expected: a family without data is
as old as that cycle. The age does not depend on whether the schedule is on: data that is old because somebody switched
the schedule off must be noticed.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from palimpsest_pipeline.domain.enums import FreshnessFamily, Platform
from palimpsest_pipeline.domain.instants import get_day_start
from palimpsest_pipeline.storage.marts import data_freshness

from ..context import Pipeline

MAX_PROBED_DAYS: Final = 7
"""Number of recent days that are looked up one by one in the archive.

If the archive has none of them, its whole catalogue is read.
"""


@dataclass(frozen=True, slots=True)
class FamilyAge:
    """The age of one family of data, or of one platform's part of it."""

    family: FreshnessFamily
    platform: Platform | None
    """Platform that the age is about; None if the family is not measured by platform."""
    newest_at: datetime | None
    """Instant of the newest data; None without any data."""
    age: timedelta
    """Time since `newest_at`, or since the first cycle without any data."""

    @property
    def minutes(self) -> float:
        return self.age / timedelta(minutes=1)

    @property
    def subject(self) -> str:
        name = self.family.replace("_", " ")
        return name if self.platform is None else f"{name} of {self.platform}"


def measure_ages(pipeline: Pipeline) -> list[FamilyAge]:
    """Return the age of every family, of some families by platform; empty before the first cycle.

    Raises the error of a data store that cannot be read.
    """
    now = pipeline.clock.now()
    with pipeline.connect() as conn:
        first = data_freshness.read_first_cycle_start(conn)
        if first is None:
            return []
        newest_data = [
            *data_freshness.read_newest_data(conn, pipeline.platforms, now.date()),
            (FreshnessFamily.EXPORT, None, _find_export_end(pipeline)),
        ]
    return [FamilyAge(family, platform, newest, now - (newest or first)) for family, platform, newest in newest_data]


def _find_export_end(pipeline: Pipeline) -> datetime | None:
    """Return the end of the newest day in the archive; None if it is empty."""
    today = pipeline.clock.now().date()
    recent = (today - timedelta(days=n) for n in range(1, MAX_PROBED_DAYS + 1))
    newest = next((day for day in recent if pipeline.archive.read_entry(day) is not None), None) or max(
        pipeline.archive.read_catalogue(), default=None
    )
    return None if newest is None else get_day_start(newest + timedelta(days=1))
