"""What the landing keeps: hours that are over are compacted, and removed when their time has come and nobody needs them. Knows no Dagster.

Belongs here: who needs an hour, and seeing to it that one process at a time changes what was landed. Does not: how it is done (`landing_retention`).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

import psycopg

from palimpsest_pipeline.domain.instants import hour_key, hour_of
from palimpsest_pipeline.landing import (
    Compaction,
    Expired,
    LandingError,
    LandingIncomplete,
    LandingUnreadable,
    Manifest,
    compact_hour,
    compactable,
    expire,
    over,
)
from palimpsest_pipeline.storage.archive import ArchiveError
from palimpsest_pipeline.storage.db.locks import AdvisoryLock
from palimpsest_pipeline.storage.derivation import landed_cycles
from palimpsest_pipeline.storage.derivation.due_products import UNDERIVED
from palimpsest_pipeline.storage.ledger import cycle_ledger
from palimpsest_pipeline.storage.odds import partitions, retention
from palimpsest_pipeline.storage.odds.retention import Standing

from ..context import Pipeline
from ..due_products import due_now
from ..landed_cycles import forget_cycles, record_landed

SLACK: Final = timedelta(hours=1)
"""How far an answer's instant may lie outside what its cycle's manifest says: an answer may come from a cache, an end be noted before the last."""


class LandingInUse(LandingError):
    """Somebody else compacts or expires."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What speaks for keeping an hour: cycles, by id, and how each UTC day that may have answers of them stands."""

    running: Sequence[int] = ()
    unclosed: Sequence[int] = ()
    underived: Sequence[int] = ()
    days: Mapping[date, Standing] | None = None


def why_needed(hour: datetime, claims: Claims) -> str | None:
    """Why the landing must keep an hour, and what to do about it; None when all of it is derived and exported."""
    key = hour_key(hour)
    if claims.running:
        return f"cycle {claims.running[0]} is running"
    if claims.unclosed:
        return f"cycle {claims.unclosed[0]} is not closed: run `palimpsest doctor`, then `palimpsest backfill {key} {key}`"
    if claims.underived:
        return f"{len(claims.underived)} cycles are not fully derived, e.g. {claims.underived[0]}: run `palimpsest backfill {key} {key}`"
    for day, found in sorted((claims.days or {}).items()):
        if found.to_export:
            return f"{day}, which has answers of it, is not in the archive: {retention.mend(day, found)}"
    return None


class Judge:
    """Says of hours why they are needed, as the landing, the ledger, the marks of products and the archive have it now. `conn` commits by itself."""

    def __init__(self, pipeline: Pipeline, conn: psycopg.Connection) -> None:
        self._pipeline = pipeline
        self._conn = conn
        self._running = [batch.cycle for batch in cycle_ledger.running_batches(conn)]
        self._days: dict[date, Standing] = {}

    def running(self, hour: datetime) -> list[int]:
        """Cycles of the hour that have not ended."""
        return [cycle.cycle_id for cycle in self._running if cycle.partition_hour == hour]

    def why(self, hour: datetime) -> str | None:
        """As `why_needed`."""
        landing = self._pipeline.landing
        try:
            manifests = landing.cycles(hour=hour)
            claims = Claims(self.running(hour), landing.unclosed(hour), self._underived(manifests), self._standing(manifests))
        except (LandingError, ArchiveError, partitions.MissingPartitionError) as error:
            return str(error)  # who needs the hour cannot be said: it stays
        return why_needed(hour, claims)

    def _underived(self, manifests: Sequence[Manifest]) -> list[int]:
        """Cycles with a product that stands in no version, or was derived from other content; an older version is no claim."""
        for manifest in manifests:  # what is about to be removed is not left to what somebody else recorded
            record_landed(self._pipeline, self._conn, manifest)
        due = due_now(self._pipeline, self._conn, cycle_ids=[manifest.cycle_id for manifest in manifests])
        return sorted({each.cycle_id for each in due if each.why in UNDERIVED})

    def _standing(self, manifests: Sequence[Manifest]) -> dict[date, Standing]:
        days = {day for manifest in manifests for day in _days_of(manifest)}
        for day in days - self._days.keys():
            with self._conn.transaction():  # of its own: others wait for a day that is looked at
                self._days[day] = retention.standing(self._conn, self._pipeline.archive, day)
        return {day: self._days[day] for day in days}


def compact_landing(pipeline: Pipeline, *, dry_run: bool = False) -> list[Compaction]:
    """Compact the hours that are over by grace and in which no cycle runs. What stays as it is says why. Raises LandingInUse, LandingError."""
    done = []
    with _alone(pipeline) as conn:
        judge = Judge(pipeline, conn)
        for hour in compactable(pipeline.landing, hour_of(pipeline.clock.now() - timedelta(minutes=pipeline.settings.grace_minutes))):
            if running := judge.running(hour):
                done.append(Compaction(hour, 0, 0, f"cycle {running[0]} is running"))
                continue
            try:
                done.append(compact_hour(pipeline.landing, hour, dry_run=dry_run))
            except (LandingIncomplete, LandingUnreadable) as damaged:
                done.append(Compaction(hour, 0, 0, str(damaged)))
    return done


def expire_landing(pipeline: Pipeline, days: int | None = None, *, dry_run: bool = False) -> Expired:
    """Remove hours that were over so many days ago (default: PALIMPSEST_LANDING_RETENTION_DAYS) and are not needed.

    An hour of which something cannot be looked at stays. Raises LandingInUse, LandingError when the store refuses.
    """
    with _alone(pipeline) as conn:
        judge = Judge(pipeline, conn)

        def needed(hour: datetime) -> str | None:
            reason = judge.why(hour)
            if reason is None and not dry_run:
                # Before the files go: if this process dies halfway, readers take the whole hour as gone.
                forget_cycles(conn, landed_cycles.mark_gone(conn, hour))
            return reason

        return expire(pipeline.landing, _cutoff(pipeline, days), needed, dry_run=dry_run)


def overdue(pipeline: Pipeline, late: timedelta) -> dict[datetime, str]:
    """Hours that are still there so long after their time, and why."""
    hours = over(pipeline.landing, _cutoff(pipeline, None) - late)
    with pipeline.connect() as conn:
        conn.autocommit = True
        judge = Judge(pipeline, conn)
        return {hour: judge.why(hour) or "nobody needs it: run `palimpsest landing expire`" for hour in hours}


def _cutoff(pipeline: Pipeline, days: int | None) -> datetime:
    return pipeline.clock.now() - timedelta(days=pipeline.settings.landing_retention_days if days is None else days)


def _days_of(manifest: Manifest) -> list[date]:
    first, last = ((manifest.started_at - SLACK).astimezone(UTC).date(), (manifest.finished_at + SLACK).astimezone(UTC).date())
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


@contextmanager
def _alone(pipeline: Pipeline) -> Iterator[psycopg.Connection]:
    """A connection whose session is the only one that compacts or expires. Raises LandingInUse."""
    with pipeline.connect() as conn:
        conn.autocommit = True
        row = conn.execute("select pg_try_advisory_lock(%s)", [AdvisoryLock.LANDING_RETENTION]).fetchone()
        if row is None or not row[0]:
            raise LandingInUse("another process compacts or expires the landing: try again when it is done")
        try:
            yield conn
        finally:
            if not conn.closed:  # a session that is closed ends a moment later, and the lock with it: who comes next would find it taken
                conn.execute("select pg_advisory_unlock(%s)", [AdvisoryLock.LANDING_RETENTION])
