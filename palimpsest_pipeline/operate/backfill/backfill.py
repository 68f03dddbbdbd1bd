"""Backfill from the command line: core of the due hours, then marts, kickoff dates and fixtures.

Several processes may derive core of different hours at the same time, because its rows do not depend on the order.
Marts are derived in order, because coverage of a cycle uses discoveries of earlier cycles.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain

import dagster as dg
from rich.console import Console

from palimpsest_pipeline.defs.cycle_jobs import PRESENT_JOB
from palimpsest_pipeline.defs.life.jobs import list_due_dates
from palimpsest_pipeline.defs.run_cycles import format_hour_ranges
from palimpsest_pipeline.defs.run_heartbeat import report_dead_runs
from palimpsest_pipeline.domain.enums import FixtureProduct
from palimpsest_pipeline.domain.instants import HOUR, format_hour_key, parse_hour_key
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.installed_products import list_due_products
from palimpsest_pipeline.pipeline.marts import derive_lifecycle
from palimpsest_pipeline.pipeline.replay_plan import LostCycle, PlannedHour, plan_hours
from palimpsest_pipeline.storage.derivation import derived_products, dirty_fixtures

from ..run_job import run_job
from .backfill_meter import BackfillProgress
from .hour_spans import HourSpan, run_span, split_into_spans
from .worker_processes import run_spans

SPANS_PER_WORKER = 2
"""Minimum number of spans of hours per process, if there are enough hours.

With fewer, other processes would be idle while the last span is derived.
"""


@dataclass(slots=True)
class BackfillReport:
    """The result of a backfill.

    Hours are named by their key, such as `2026-06-26-10:00`. `refused` maps an hour to the reason why one of its cycles
    cannot be derived, `failed` to the error.
    """

    done: list[str] = field(default_factory=list)
    up_to_date: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    failed_dates: dict[str, str] = field(default_factory=dict)
    """Kickoff dates for which the life of fixtures could not be derived, with the reason."""
    failed_present: str | None = None
    """Error of the derivation of current prices; None if they were derived or no fixture was due."""
    due_later: list[str] = field(default_factory=list)
    """Due hours after the range, for example because their marts depend on the derived hours."""

    @property
    def is_complete(self) -> bool:
        """Whether everything that was requested could be derived."""
        return not (self.refused or self.failed or self.failed_dates or self.failed_present)

    @property
    def is_empty_handed(self) -> bool:
        """Whether nothing that was requested could be derived."""
        return not self.is_complete and not self.done and not self.up_to_date

    def describe_failures(self) -> str:
        """Return a sentence that names the failures."""
        kinds = (
            (self.refused, "hours cannot be derived"),
            (self.failed, "hours failed"),
            (self.failed_dates, "kickoff dates failed"),
        )
        failures = [
            f"{len(reasons)} {label}: " + ", ".join(f"{key} ({reason})" for key, reason in reasons.items())
            for reasons, label in kinds
            if reasons
        ]
        return "; ".join(
            [*failures, *([f"current prices failed: {self.failed_present}"] if self.failed_present else [])]
        )

    def describe_empty_hours(self) -> str:
        """Return a sentence that names the hours without landed cycles."""
        hours = format_hour_ranges([parse_hour_key(key) for key in self.empty])
        return f"nothing is landed of {', '.join(hours)}: they were never scraped, or the raw answers have expired"

    def describe(self) -> str:
        hours_by_outcome = (
            (self.done, "replayed"),
            (self.up_to_date, "up to date"),
            (self.empty, "with nothing landed"),
            (self.refused, "refused"),
            (self.failed, "failed"),
        )
        counts = [f"{len(hours)} {word}" for hours, word in hours_by_outcome if hours]
        later = (
            f"; {len(self.due_later)} hours after them are due: palimpsest backfill --stale" if self.due_later else ""
        )
        return f"hours: {', '.join(counts) or 'none'}{later}"


def mark_hours_due(pipeline: Pipeline, hours: Iterable[PlannedHour]) -> None:
    """Make all products of these hours' cycles due again.

    Cycles that are damaged in the landing, and cycles of a pack that cannot be used, are left out and keep their rows,
    because they cannot be derived again.
    """
    cycle_ids = [
        cycle.cycle_id
        for hour in hours
        for cycle in hour.landed_cycles
        if cycle.is_whole and not pipeline.list_unusable_platforms(cycle.platforms)
    ]
    with pipeline.connect() as conn:
        derived_products.mark_cycles_due(conn, cycle_ids)


def list_lost_cycles(hour: PlannedHour, *, stale_only: bool) -> list[LostCycle]:
    """Return the cycles of the hour that cannot be derived.

    With `stale_only` cycles whose rows are up to date are left out.
    """
    return [cycle for cycle in hour.lost_cycles if cycle.is_stale or not stale_only]


def run_backfill(
    pipeline: Pipeline,
    instance: dg.DagsterInstance,
    hours: list[PlannedHour],
    console: Console,
    *,
    jobs: int = 1,
    stale_only: bool = False,
) -> BackfillReport:
    """Derive the due products of `hours`, the result of `plan_hours`.

    `hours` must include every hour of the range, because deriving an hour may make marts of later hours due. With
    `jobs` above 1, that many processes derive core; each opens the Dagster instance of the settings itself. Finished
    work is kept after an error or interruption, and the next call continues from there. Raises Cancelled.
    """
    report = BackfillReport()
    for hour in hours:
        if cycles := list_lost_cycles(hour, stale_only=stale_only):
            report.refused[hour.key] = "; ".join(cycle.sentence for cycle in cycles)
        elif not hour.landed_cycles and not hour.damaged_cycles:
            report.empty.append(hour.key)
    to_do = [hour for hour in hours if hour.can_be_derived]
    core_hours = [hour.begins_at for hour in to_do if any(product.schema == "core" for product in hour.due)]
    # No span may include one of these hours, because its run would fail.
    refused_hours = [hour.begins_at for hour in hours if hour.due and not hour.can_be_derived]
    max_hours = min(24, -(-len(core_hours) // (jobs * SPANS_PER_WORKER))) if jobs > 1 else 24
    core_spans = split_into_spans("core", core_hours, max_hours, refused_hours)
    jobs = min(jobs, len(core_spans))
    landed_hours = [hour for hour in hours if hour.landed_cycles]
    report_dead_runs(instance, pipeline)
    with BackfillProgress(pipeline, to_do, console) as meter:
        for key, reason in report.refused.items():
            meter.say(f"{key}: {reason}")
        outcomes_of_core = (
            run_spans(pipeline.settings, core_spans, jobs)
            if jobs > 1
            else (outcome for span in core_spans for outcome in run_span(instance, pipeline, span))
        )
        outcomes_of_marts = (
            outcome
            for span in _iterate_mart_spans(pipeline, landed_hours, refused_hours)
            for outcome in run_span(instance, pipeline, span)
        )
        for at, error in chain(outcomes_of_core, outcomes_of_marts):
            key = format_hour_key(at)
            if error is None:
                report.done.append(key)
            elif key not in report.failed:
                report.failed[key] = error
                meter.say(f"{key}: {error}")
        report.failed_dates = rebuild_dirty_dates(pipeline, instance, meter.say)
        report.failed_present = derive_due_fixtures(pipeline, instance, meter.say)
    report.done = sorted(set(report.done) - report.failed.keys())
    reported = {*report.empty, *report.refused, *report.done, *report.failed}
    report.up_to_date = [hour.key for hour in hours if hour.key not in reported]
    if report.done:
        report.due_later = [
            hour.key
            for hour in plan_hours(pipeline, hours[-1].begins_at + HOUR, rescan_first=False)
            if hour.can_be_derived
        ]
    return report


def _iterate_mart_spans(pipeline: Pipeline, hours: list[PlannedHour], refused: list[datetime]) -> Iterator[HourSpan]:
    """Yield the spans of hours whose marts are due, in order.

    The due products are read again before each span, because deriving one day can make later days due: their coverage
    uses its discoveries. A cycle whose core is due is left out.
    """
    last_hour = None
    while hours := [hour for hour in hours if last_hour is None or hour.begins_at > last_hour]:
        with pipeline.connect() as conn:
            due = list_due_products(
                pipeline, conn, cycle_ids=[cycle.cycle_id for hour in hours for cycle in hour.landed_cycles]
            )
        waiting_cycles = {product.cycle_id for product in due if product.schema == "core"}
        mart_hours = {
            product.partition_hour
            for product in due
            if product.schema == "mart" and product.cycle_id not in waiting_cycles
        }
        spans = split_into_spans("mart", sorted(mart_hours), excluded_hours=refused)
        if not spans:
            return
        last_hour = spans[0].hours[-1]
        yield spans[0]


def rebuild_dirty_dates(pipeline: Pipeline, instance: dg.DagsterInstance, say: Callable[[str], None]) -> dict[str, str]:
    """Derive every due kickoff date, each in its own run.

    Return the dates that failed, with the reason.
    """
    failed = {}
    for day in list_due_dates(pipeline, include_far=True):
        outcome = run_job(instance, pipeline, derive_lifecycle.LIFECYCLE_JOB, day)
        if not outcome.success:
            failed[str(day)] = outcome.error or "failed"
        say(f"fixtures that kick off {day}: {failed.get(str(day), 'derived')}")
    return failed


def derive_due_fixtures(pipeline: Pipeline, instance: dg.DagsterInstance, say: Callable[[str], None]) -> str | None:
    """Derive all due fixtures in one run. Return the error, or None on success."""
    with pipeline.connect() as conn:
        dirty_fixtures.mark_fixtures_of_other_home(conn, pipeline.settings.home_platform, pipeline.clock.now())
        conn.commit()
        n_due = sum(dirty_fixtures.count_due_fixtures(conn, product)[0] for product in FixtureProduct)
    if not n_due:
        return None
    outcome = run_job(instance, pipeline, PRESENT_JOB)
    say("current prices and alerts to traders: " + ("derived" if outcome.success else outcome.error or "failed"))
    return None if outcome.success else outcome.error or "failed"
