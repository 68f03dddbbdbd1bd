"""How old the newest of each family of data is, and whether that is too old. Knows no Dagster.

A pipeline that never began a cycle owes nothing. From its first cycle on every family is owed: one of which there is
nothing yet is as old as that cycle. Whether the cadence is on makes no difference to the age: one that was switched off
and forgotten is just what should be noticed.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from palimpsest_pipeline.domain.enums import FreshnessFamily, Platform
from palimpsest_pipeline.domain.instants import get_day_start
from palimpsest_pipeline.storage.marts import data_freshness

from ..context import Pipeline

MAX_PROBED_DAYS: Final = 7
"""Days that are looked for one by one; an archive with older ones alone is read as a whole."""


@dataclass(frozen=True, slots=True)
class FamilyAge:
    """How things stand with one family, of one platform where it is told by platforms.

    `newest_at` None: there is nothing of it.
    """

    family: FreshnessFamily
    platform: Platform | None
    newest_at: datetime | None
    age: timedelta
    """Since `newest_at`, else since the first cycle."""

    @property
    def minutes(self) -> float:
        return self.age / timedelta(minutes=1)

    @property
    def subject(self) -> str:
        words = self.family.replace("_", " ")
        return words if self.platform is None else f"{words} of {self.platform}"


def measure_ages(pipeline: Pipeline) -> list[FamilyAge]:
    """Every family, by platform where it is told so; empty when there never was a cycle.

    Raises when something cannot be looked at.
    """
    now = pipeline.clock.now()
    with pipeline.connect() as conn:
        first = data_freshness.read_first_cycle_start(conn)
        if first is None:
            return []
        found: list[tuple[FreshnessFamily, Platform | None, datetime | None]] = [
            *(
                (FreshnessFamily.DISCOVERY, platform, data_freshness.read_last_discovery(conn, platform))
                for platform in pipeline.platforms
            ),
            *(
                (FreshnessFamily.ODDS, platform, data_freshness.read_last_odds(conn, platform))
                for platform in pipeline.platforms
            ),
            (FreshnessFamily.COVERAGE, None, data_freshness.read_last_coverage(conn)),
            (FreshnessFamily.FIXTURE_LIFE, None, data_freshness.read_last_lifecycle(conn, now.date())),
            (FreshnessFamily.EXPORT, None, _find_export_end(pipeline)),
        ]
    return [FamilyAge(family, platform, newest, now - (newest or first)) for family, platform, newest in found]


def _find_export_end(pipeline: Pipeline) -> datetime | None:
    """End of the newest day in the archive."""
    today = pipeline.clock.now().date()
    recent = (today - timedelta(days=n) for n in range(1, MAX_PROBED_DAYS + 1))
    newest = next((day for day in recent if pipeline.archive.read_entry(day) is not None), None) or max(
        pipeline.archive.read_catalogue(), default=None
    )
    return None if newest is None else get_day_start(newest + timedelta(days=1))
