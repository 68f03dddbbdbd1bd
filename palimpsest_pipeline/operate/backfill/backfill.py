"""Backfill from the command line: core of the hours that are due, several processes at once; then their marts, in
order; then what rests on both.

What core stores does not depend on the order of ingestion. A mart's cycle carries what earlier ones discovered, so
marts are derived in order.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import dagster as dg
from rich.console import Console

from palimpsest_pipeline.defs.run_cycles import format_hour_ranges
from palimpsest_pipeline.defs.run_heartbeat import report_dead_runs
from palimpsest_pipeline.domain.instants import HOUR, format_hour_key, parse_hour_key
from palimpsest_pipeline.operate.run_due import derive_due_fixtures, rebuild_dirty_dates
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.due_products import list_due_products
from palimpsest_pipeline.pipeline.replay_plan import LostCycle, PlannedHour, plan_hours
from palimpsest_pipeline.storage.derivation import derived_products

from .backfill_meter import BackfillProgress
from .hour_spans import HourOutcome, HourSpan, run_span, split_into_spans
from .worker_processes import run_spans

SPANS_PER_WORKER = 2
"""So many at least, where there are hours enough: else one process has the last span to itself."""


@dataclass(slots=True)
class BackfillReport:
    """What a backfill did.

    Hours by their key; `refused` maps to why nothing was derived from a cycle of it, `failed` to the reason.
    """

    done: list[str] = field(default_factory=list)
    up_to_date: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    failed_dates: dict[str, str] = field(default_factory=dict)
    """Kickoff dates whose fixtures' life could not be derived again, with the reason."""
    failed_present: str | None = None
    """Why prices as they stand could not be derived again; None: they were, or none were due."""
    due_later: list[str] = field(default_factory=list)
    """Hours after the range that are due, such as those whose marts rest on what was derived now."""

    def as_dict(self) -> dict[str, Any]:
        return {
            name: getattr(self, name)
            for name in (
                "done",
                "up_to_date",
                "empty",
                "refused",
                "failed",
                "failed_dates",
                "failed_present",
                "due_later",
            )
        }

    @property
    def is_complete(self) -> bool:
        """Everything asked for stands now."""
        return not (self.refused or self.failed or self.failed_dates or self.failed_present)

    @property
    def is_empty_handed(self) -> bool:
        """Of what was asked for nothing stands now."""
        return not self.is_complete and not self.done and not self.up_to_date

    def describe_failures(self) -> str:
        """What was not done, in words."""
        told = (
            (self.refused, "hours cannot be derived"),
            (self.failed, "hours failed"),
            (self.failed_dates, "kickoff dates failed"),
        )
        said = [
            f"{len(found)} {what}: " + ", ".join(f"{key} ({why})" for key, why in found.items())
            for found, what in told
            if found
        ]
        return "; ".join(
            [*said, *([f"prices as they stand failed: {self.failed_present}"] if self.failed_present else [])]
        )

    def describe_empty_hours(self) -> str:
        """Return which hours have nothing landed, in words."""
        hours = format_hour_ranges([parse_hour_key(key) for key in self.empty])
        return f"nothing is landed of {', '.join(hours)}: never scraped, or the raw answers have expired"

    def describe(self) -> str:
        counted = (
            (self.done, "replayed"),
            (self.up_to_date, "up to date"),
            (self.empty, "with nothing landed"),
            (self.refused, "refused"),
            (self.failed, "failed"),
        )
        told = [f"{len(hours)} {word}" for hours, word in counted if hours]
        later = (
            f"; {len(self.due_later)} hours after them are due: palimpsest backfill --stale" if self.due_later else ""
        )
        return f"hours: {', '.join(told) or 'none'}{later}"


def mark_due(pipeline: Pipeline, hours: Iterable[PlannedHour]) -> None:
    """Make everything of the cycles of these hours due again that can be derived again: what is not whole in the
    landing stays as it is.
    """
    cycle_ids = [cycle.cycle_id for hour in hours for cycle in hour.landed_cycles if cycle.is_whole]
    with pipeline.connect() as conn:
        derived_products.mark_cycles_due(conn, cycle_ids)


def list_lost_cycles(hour: PlannedHour, *, stale_only: bool) -> list[LostCycle]:
    """The cycles of the hour that cannot be derived. With `stale_only` not those whose rows stand."""
    return [gone for gone in hour.lost_cycles if gone.is_stale or not stale_only]


def run_backfill(
    pipeline: Pipeline,
    instance: dg.DagsterInstance,
    hours: list[PlannedHour],
    console: Console,
    *,
    jobs: int = 1,
    stale_only: bool = False,
) -> BackfillReport:
    """Derive what is due of `hours` (of `plan`), which are all that later ones in the range may have to be derived
    again with.

    With `jobs` above 1 core is derived by so many processes, which open the instance of the settings for themselves.
    Everything that is finished
    stays, however this ends: called again it goes on from there. Raises Cancelled.
    """
    report = BackfillReport()
    for hour in hours:
        if cycles := list_lost_cycles(hour, stale_only=stale_only):
            report.refused[hour.key] = "; ".join(gone.sentence for gone in cycles)
        elif not hour.landed_cycles and not hour.damaged_cycles:
            report.empty.append(hour.key)
    to_do = [hour for hour in hours if hour.can_be_derived]
    report_dead_runs(instance, pipeline)
    with BackfillProgress(pipeline, to_do, console) as meter:
        for key, reason in report.refused.items():
            meter.say(f"{key}: {reason}")
        for outcome in _derive_hours(pipeline, instance, hours, jobs):
            key = format_hour_key(outcome.hour)
            if outcome.error is None:
                report.done.append(key)
            elif key not in report.failed:
                report.failed[key] = outcome.error
                meter.say(f"{key}: {outcome.error}")
        report.failed_dates = rebuild_dirty_dates(pipeline, instance, meter.say)
        report.failed_present = derive_due_fixtures(pipeline, instance, meter.say)
    report.done = sorted(set(report.done) - report.failed.keys())
    said = {*report.empty, *report.refused, *report.done, *report.failed}
    report.up_to_date = [hour.key for hour in hours if hour.key not in said]
    if report.done:
        report.due_later = [
            hour.key
            for hour in plan_hours(pipeline, hours[-1].begins_at + HOUR, rescan_first=False)
            if hour.can_be_derived
        ]
    return report


def _derive_hours(
    pipeline: Pipeline, instance: dg.DagsterInstance, hours: list[PlannedHour], jobs: int
) -> Iterator[HourOutcome]:
    """Derive core of what is due, then the marts of the cycles whose core stands.

    Yield the outcome of each hour of each.
    """
    core = [
        hour.begins_at for hour in hours if hour.can_be_derived and any(product.stage == "core" for product in hour.due)
    ]
    refused = [
        hour.begins_at for hour in hours if hour.due and not hour.can_be_derived
    ]  # a run that covers one of them would fail
    cut = split_into_spans(
        "core", core, min(24, -(-len(core) // (jobs * SPANS_PER_WORKER))) if jobs > 1 else 24, refused
    )
    jobs = min(jobs, len(cut))
    yield from run_spans(pipeline.settings, cut, jobs) if jobs > 1 else _run_spans_in_order(pipeline, instance, cut)
    yield from _run_spans_in_order(
        pipeline, instance, _iterate_mart_spans(pipeline, [hour for hour in hours if hour.landed_cycles], refused)
    )


def _run_spans_in_order(
    pipeline: Pipeline, instance: dg.DagsterInstance, cut: Iterable[HourSpan]
) -> Iterator[HourOutcome]:
    for span in cut:
        yield from run_span(instance, pipeline, span)


def _iterate_mart_spans(pipeline: Pipeline, hours: list[PlannedHour], refused: list[datetime]) -> Iterator[HourSpan]:
    """Yield the spans whose marts are due, in order.

    The due products are read again before each span: deriving one day can make later days due, because their coverage
    carries what it discovered. A cycle whose core is due has to wait, and does not cause a run.
    """
    at = None
    while hours := [hour for hour in hours if at is None or hour.begins_at > at]:
        with pipeline.connect() as conn:
            due = list_due_products(
                pipeline, conn, cycle_ids=[cycle.cycle_id for hour in hours for cycle in hour.landed_cycles]
            )
        waiting = {each.cycle_id for each in due if each.schema == "core"}
        wanted = {each.partition_hour for each in due if each.schema == "mart" and each.cycle_id not in waiting}
        found = split_into_spans("mart", sorted(wanted), excluded_hours=refused)
        if not found:
            return
        at = found[0].hours[-1]
        yield found[0]
