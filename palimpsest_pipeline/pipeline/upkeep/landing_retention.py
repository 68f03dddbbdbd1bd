"""The retention of the landing: hours without further use are removed.

A lock lets only one process at a time change landed hours.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final

import psycopg

from palimpsest_pipeline.domain.instants import format_hour_key
from palimpsest_pipeline.landing import (
    ExpiryResult,
    LandingError,
    Manifest,
    expire_hours,
    list_expired_hours,
)
from palimpsest_pipeline.storage.archive import ArchiveError
from palimpsest_pipeline.storage.db.locks import AdvisoryLock, Busy, hold_lock
from palimpsest_pipeline.storage.derivation import landed_cycles
from palimpsest_pipeline.storage.derivation.due_products import NEW_CONTENT_REASONS
from palimpsest_pipeline.storage.ledger import cycle_ledger
from palimpsest_pipeline.storage.odds import partitions, retention
from palimpsest_pipeline.storage.odds.retention import DayStatus

from ..context import Pipeline
from ..installed_products import CycleWithoutPack, list_cycles_without_pack, list_due_products
from ..record_landed_cycles import forget_cycles, record_landed

INSTANT_SLACK: Final = timedelta(hours=1)
"""How far `observed_at` of an answer may lie outside the time span in its cycle's manifest.

An answer may come from a cache, or arrive after the recorded end of the cycle.
"""


class LandingInUse(LandingError):
    """Another process is removing hours from the landing."""


def explain_need(
    hour: datetime,
    *,
    running_ids: Sequence[int] = (),
    unclosed_ids: Sequence[int] = (),
    underived_ids: Sequence[int] = (),
    cycles_without_pack: Sequence[CycleWithoutPack] = (),
    day_states: Mapping[date, DayStatus] | None = None,
) -> str | None:
    """Return why the landing must keep an hour, with advice; None when all of it is derived and exported.

    The arguments describe the hour; without any of them it is not needed. `running_ids` are cycles that a process still
    scrapes, `unclosed_ids` cycles whose manifest was never written, and `underived_ids` cycles with products that are
    not derived yet. `day_states` has the export status of each UTC day of the answers.
    """
    key = format_hour_key(hour)
    if running_ids:
        return f"cycle {running_ids[0]} is running"
    if unclosed_ids:
        return f"cycle {unclosed_ids[0]} is not closed: run `palimpsest doctor`, then `palimpsest backfill {key} {key}`"
    if underived_ids:
        return (
            f"{len(underived_ids)} cycles are not fully derived, e.g. {underived_ids[0]}: run"
            f" `palimpsest backfill {key} {key}`"
        )
    if cycles_without_pack:
        return cycles_without_pack[0].sentence
    for day, status in sorted((day_states or {}).items()):
        if status.needs_export:
            return f"{day}, which has answers of it, is not in the archive: {retention.explain_day_status(day, status)}"
    return None


class HourJudge:
    """Decides whether an hour of the landing is needed, from ledger, derived products and archive.

    `conn` must be in autocommit mode. Running cycles are read once, when the object is made.
    """

    def __init__(self, pipeline: Pipeline, conn: psycopg.Connection) -> None:
        self._pipeline = pipeline
        self._conn = conn
        self._running = [batch.cycle for batch in cycle_ledger.read_running_cycles(conn)]
        self._days: dict[date, DayStatus] = {}

    def explain_need(self, hour: datetime) -> str | None:
        """Return why the hour is needed, with advice; None when it is not needed."""
        landing = self._pipeline.landing
        try:
            manifests = landing.list_cycles(hour=hour)
            return explain_need(
                hour,
                running_ids=[cycle.cycle_id for cycle in self._running if cycle.partition_hour == hour],
                unclosed_ids=landing.list_unclosed_cycles(hour),
                underived_ids=self._list_underived_cycles(manifests),
                cycles_without_pack=list_cycles_without_pack(
                    self._pipeline, self._conn, cycle_ids=[manifest.cycle_id for manifest in manifests]
                ),
                day_states=self._read_day_states(manifests),
            )
        except (LandingError, ArchiveError, partitions.MissingPartitionError) as error:
            return str(error)  # the hour is kept, because the reasons to keep it could not be read

    def _list_underived_cycles(self, manifests: Sequence[Manifest]) -> list[int]:
        """Return the cycles with a product that is missing or was derived from other landed content.

        A product that was derived with an older version is no reason to keep the hour.
        """
        for manifest in manifests:  # The rows are corrected before a removal, because old ones may be wrong.
            record_landed(self._pipeline, self._conn, manifest)
        due = list_due_products(self._pipeline, self._conn, cycle_ids=[manifest.cycle_id for manifest in manifests])
        return sorted({each.cycle_id for each in due if each.reason in NEW_CONTENT_REASONS})

    def _read_day_states(self, manifests: Sequence[Manifest]) -> dict[date, DayStatus]:
        days = {day for manifest in manifests for day in _list_days(manifest)}
        for day in days - self._days.keys():
            with self._conn.transaction():  # one transaction per day: others wait for a day that is read
                self._days[day] = retention.read_day_status(self._conn, self._pipeline.archive, day)
        return {day: self._days[day] for day in days}


def expire_landing(pipeline: Pipeline, days: int | None = None, *, dry_run: bool = False) -> ExpiryResult:
    """Remove the hours that ended more than `days` days ago and are not needed.

    The default is PALIMPSEST_LANDING_RETENTION_DAYS. An hour whose state cannot be read is kept. Raises LandingInUse,
    and LandingError when files cannot be removed.
    """
    with pipeline.database.connect(autocommit=True) as conn:

        def explain_and_mark(hour: datetime) -> str | None:
            reason = judge.explain_need(hour)
            if reason is None and not dry_run:
                # Recorded before the files are removed: if this process dies halfway, the whole hour counts as gone.
                forget_cycles(conn, landed_cycles.mark_hour_gone(conn, hour))
            return reason

        try:
            with hold_lock(conn, AdvisoryLock.LANDING_RETENTION, wait=False):
                judge = HourJudge(pipeline, conn)
                return expire_hours(
                    pipeline.landing, _compute_cutoff(pipeline, days), explain_and_mark, dry_run=dry_run
                )
        except Busy:
            raise LandingInUse("another process expires the landing: try again when it is done") from None


def list_overdue_hours(pipeline: Pipeline, max_delay: timedelta) -> dict[datetime, str]:
    """Return the hours whose removal is more than `max_delay` late, with the reasons they are kept."""
    hours = list_expired_hours(pipeline.landing, _compute_cutoff(pipeline, None) - max_delay)
    with pipeline.database.connect(autocommit=True) as conn:
        judge = HourJudge(pipeline, conn)
        return {
            hour: judge.explain_need(hour) or "no data depends on it: run `palimpsest landing expire`" for hour in hours
        }


def _compute_cutoff(pipeline: Pipeline, days: int | None) -> datetime:
    return pipeline.clock.now() - timedelta(days=pipeline.settings.landing_retention_days if days is None else days)


def _list_days(manifest: Manifest) -> list[date]:
    first, last = (
        (manifest.started_at - INSTANT_SLACK).astimezone(UTC).date(),
        (manifest.finished_at + INSTANT_SLACK).astimezone(UTC).date(),
    )
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]
