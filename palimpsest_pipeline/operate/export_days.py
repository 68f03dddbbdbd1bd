"""Export of days from the command line: one run of the export job for each day that needs it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final

from palimpsest_pipeline.defs.asset_partitions import is_ended_day
from palimpsest_pipeline.defs.instance import open_instance
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.upkeep.export_day import (
    NO_PARTITION_REASON,
    UNREADABLE_ERRORS,
    DayIsOpen,
    find_due_days,
    read_export_state,
    require_closed,
)

from .run_job import run_job

EXPORT_OP: Final = "report__odds_history_export"


@dataclass(slots=True)
class ExportReport:
    """The result of an export, by day: the figures of the written days, and the reasons for the others."""

    exported: dict[str, dict[str, Any]] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)
    """Days that were not exported because nothing had to be done, with the reason."""
    failed: dict[str, str] = field(default_factory=dict)


def export_days(
    pipeline: Pipeline, day_range: tuple[date, date] | None, say: Callable[[str], None], *, force: bool = False
) -> ExportReport:
    """Export the UTC days of `day_range`, both ends included.

    None exports the finished days in Postgres that are not exported, or that changed since. `force` also exports days
    for which Postgres lacks cycles of the exported day.
    """
    report = ExportReport()
    if day_range is None:
        due_days = find_due_days(pipeline, is_ended_day)
        report.left = {str(day): reason for day, reason in due_days.open_days.items()} | dict.fromkeys(
            map(str, due_days.days_without_partition), NO_PARTITION_REASON
        )
        report.failed = {str(day): reason for day, reason in due_days.unreadable_days.items()}
        days = list(due_days.due_versions)
    else:
        days = [day for day in _format_span(*day_range) if _needs_export(pipeline, day, report, force=force)]
    if not days:
        return report
    instance = open_instance(pipeline.settings)
    for day in days:
        began = time.monotonic()
        outcome = run_job(instance, pipeline, "export", day, op_config={EXPORT_OP: {"force": force}} if force else None)
        took_s = time.monotonic() - began
        entry = pipeline.archive.read_entry(day) if outcome.success else None
        if entry is None:
            report.failed[str(day)] = outcome.error or "failed"
        else:
            say(f"{day}: exported in {took_s:.1f} s")
            report.exported[str(day)] = {
                "rows": entry.n_rows,
                "prices": entry.n_prices,
                "bytes": entry.bytes,
                "bytes_per_price": entry.bytes / entry.n_prices if entry.n_prices else None,
                "seconds": took_s,
            }
    return report


def _needs_export(pipeline: Pipeline, day: date, report: ExportReport, *, force: bool) -> bool:
    """Return whether the day needs a run; otherwise add the reason to the report."""
    with pipeline.connect() as conn:
        try:
            require_closed(pipeline, conn, day)
            state = read_export_state(pipeline, conn, day, force=force)
        except (DayIsOpen, *UNREADABLE_ERRORS) as reason:
            report.failed[str(day)] = str(reason)
            return False
    if not state.needs_export:
        report.left[str(day)] = str(state)
    elif not is_ended_day(day):
        report.failed[str(day)] = NO_PARTITION_REASON
        return False
    return state.needs_export


def _format_span(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]
