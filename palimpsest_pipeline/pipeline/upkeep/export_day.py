"""The export of ended days of the odds history: finding the days to export, and exporting one.

Imports no Dagster.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import psycopg

from palimpsest_pipeline.domain.errors import PalimpsestError
from palimpsest_pipeline.domain.instants import format_hour_key, get_day_start
from palimpsest_pipeline.landing import LandingError
from palimpsest_pipeline.storage.archive import ArchiveError, EntryUnreadable, ExportedDay, compute_day_version
from palimpsest_pipeline.storage.derivation import derived_products, landed_cycles
from palimpsest_pipeline.storage.derivation.due_products import NEW_CONTENT_REASONS, Product, read_due_products
from palimpsest_pipeline.storage.ledger import cycle_ledger
from palimpsest_pipeline.storage.odds import retention
from palimpsest_pipeline.storage.odds.partitions import MissingPartitionError
from palimpsest_pipeline.storage.odds.retention import DayStatus

from ..context import Pipeline
from ..installed_products import list_cycles_without_pack, make_due_query

NO_PARTITION_REASON: Final = (
    "it cannot be exported: it lies before the first partition, because its answers came with a wrong instant"
)


UNREADABLE_ERRORS: Final = (LandingError, ArchiveError, MissingPartitionError)
"""Errors after which it is unknown whether a day has to be exported."""


class DayIsOpen(PalimpsestError):
    """A day may still change, so it is not exported. The message gives the reason and the remedy."""


@dataclass(frozen=True, slots=True)
class DayExport:
    """The result of exporting a day."""

    export_state: DayStatus
    """State of the day before this export."""
    entry: ExportedDay | None
    """The day's entry in the archive's catalogue; None if nothing was observed on the day."""
    seconds: float | None
    """Duration of the export; None if the day was not exported."""

    @property
    def sentence(self) -> str:
        return f"not exported: {self.export_state}" if self.seconds is None else f"exported: {self.export_state}"

    @property
    def bytes_per_price(self) -> float | None:
        return self.entry.bytes / self.entry.n_prices if self.entry and self.entry.n_prices else None


@dataclass(frozen=True, slots=True)
class DueDays:
    """The days in Postgres that the archive lacks or has with other content."""

    due_versions: dict[date, str]
    """Days to export, with the version of their content."""
    open_days: dict[date, str]
    """Days that may still change, with the reason; they cannot be exported yet."""
    days_without_partition: list[date]
    """Days before the first partition in Dagster; no run can export them."""
    unreadable_days: dict[date, str]
    """Days for which a file or table cannot be read, with the error and advice."""


def export_day(pipeline: Pipeline, day: date, *, force: bool = False) -> DayExport:
    """Export a UTC day unless the archive has the same content, or nothing was observed on the day.

    Raises DayIsOpen when the day may still change. Unless `force`, raises CyclesMissing when the exported day has
    cycles that Postgres lacks, and EntryUnreadable when its entry in the archive cannot be read.
    """
    with pipeline.connect() as conn:
        require_closed(pipeline, conn, day)
        state = read_export_state(pipeline, conn, day, force=force)
        conn.rollback()
        if not state.needs_export:
            return DayExport(state, pipeline.archive.read_entry(day), None)
        began = time.monotonic()
        entry = pipeline.archive.export(conn, day, exported_at=pipeline.clock.now(), force=force)
        return DayExport(state, entry, time.monotonic() - began)


def find_due_days(pipeline: Pipeline, has_partition: Callable[[date], bool]) -> DueDays:
    """Return the days before today in Postgres that are due for export.

    An unreadable day does not stop the others. `has_partition` tells whether Dagster has a partition for an ended day.
    """
    due: dict[date, str] = {}
    still_open: dict[date, str] = {}
    without_partition: list[date] = []
    unreadable: dict[date, str] = {}
    with pipeline.connect() as conn:
        for day in retention.read_stored_days(conn):
            try:
                if (
                    day >= pipeline.clock.now().date()
                    or not retention.read_day_status(conn, pipeline.archive, day).needs_export
                ):
                    continue
                if not has_partition(day):
                    without_partition.append(day)
                    continue
                require_closed(pipeline, conn, day)
                due[day] = compute_day_version(conn, day)
            except DayIsOpen as reason:
                still_open[day] = str(reason)
            except UNREADABLE_ERRORS as error:
                unreadable[day] = f"{day}: {error}"
    return DueDays(due, still_open, without_partition, unreadable)


def read_export_state(pipeline: Pipeline, conn: psycopg.Connection, day: date, *, force: bool) -> DayStatus:
    """Return whether and how the archive's copy of the day differs from Postgres.

    With `force`, a day whose entry in the archive cannot be read counts as damaged.
    """
    try:
        return retention.read_day_status(conn, pipeline.archive, day)
    except EntryUnreadable:
        if not force:
            raise
        return DayStatus.DAMAGED


def require_closed(pipeline: Pipeline, conn: psycopg.Connection, day: date) -> None:
    """Raise DayIsOpen if the day may still change.

    The day cannot change any more when the grace period after it is over, and every cycle that may have answers from it
    has ended and is derived. Raises LandingError when the manifest of such a cycle cannot be read.
    """
    begins_at = get_day_start(day)
    ends_at = begins_at + timedelta(days=1)
    closes_at = ends_at + timedelta(minutes=pipeline.settings.grace_minutes)
    if pipeline.clock.now() < closes_at:
        raise DayIsOpen(f"{day} is not over: it can be exported from {closes_at:%Y-%m-%d %H:%M} UTC on")
    first_hour = begins_at - timedelta(hours=1)  # a cycle of the previous day may continue past midnight
    running = [batch.cycle for batch in cycle_ledger.read_running_cycles(conn)]
    if here := [cycle for cycle in running if first_hour <= cycle.partition_hour < ends_at]:
        raise DayIsOpen(f"{day}: cycle {here[0].cycle_id} is running; export the day when it has ended")
    odds = make_due_query(pipeline, conn, [Product("core", derived_products.ODDS_PRODUCT, by_platform=True)])
    due = read_due_products(conn, odds, first=first_hour, end=ends_at)
    if underived := {
        each.cycle_id: each.partition_hour for each in due if each.reason in NEW_CONTENT_REASONS and not each.is_gone
    }:
        if problem := next(
            (
                each.problem
                for each in landed_cycles.read_cycles(conn, first_hour, ends_at)
                if each.cycle_id in underived and each.digest is None
            ),
            "",
        ):
            raise LandingError(problem)
        keys = [format_hour_key(hour) for hour in (min(underived.values()), max(underived.values()))]
        raise DayIsOpen(
            f"{day}: {len(underived)} cycles are landed and not derived, e.g. {min(underived)}: run `palimpsest"
            f" backfill {keys[0]} {keys[1]}`"
        )
    if cycles := list_cycles_without_pack(pipeline, conn, first=first_hour, end=ends_at):
        raise DayIsOpen(f"{day}: {len(cycles)} cycles are landed and not derived: {cycles[0].sentence}")
