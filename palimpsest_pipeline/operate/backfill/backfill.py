"""Backfill from the command line: core of the hours that are due, several processes at once; then their marts, in order; then what rests on both.

What core stores does not depend on the order of ingestion. A mart's cycle carries what earlier ones discovered, so marts are derived in order.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import dagster as dg
from rich.console import Console

from palimpsest_pipeline.defs.run_cycles import stretches
from palimpsest_pipeline.defs.run_heartbeat import report_dead
from palimpsest_pipeline.domain.instants import HOUR, hour_key, parse_hour_key
from palimpsest_pipeline.operate.run_due import rebuild_dirty, refresh_due
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.due_products import due_now
from palimpsest_pipeline.pipeline.replay_plan import Gone, Hour, plan
from palimpsest_pipeline.storage.derivation import derived_products

from .backfill_meter import Meter
from .hour_spans import Outcome, Span, run_span, spans
from .worker_processes import run_spans

SPANS_PER_WORKER = 2
"""So many at least, where there are hours enough: else one process has the last span to itself."""


@dataclass(slots=True)
class Report:
    """What a backfill did. Hours by their key; `refused` maps to why nothing was derived from a cycle of it, `failed` to the reason."""

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
            name: getattr(self, name) for name in ("done", "up_to_date", "empty", "refused", "failed", "failed_dates", "failed_present", "due_later")
        }

    @property
    def whole(self) -> bool:
        """Everything asked for stands now."""
        return not (self.refused or self.failed or self.failed_dates or self.failed_present)

    @property
    def nothing(self) -> bool:
        """Of what was asked for nothing stands now."""
        return not self.whole and not self.done and not self.up_to_date

    def trouble(self) -> str:
        """What was not done, in words."""
        told = ((self.refused, "hours cannot be derived"), (self.failed, "hours failed"), (self.failed_dates, "kickoff dates failed"))
        said = [f"{len(found)} {what}: " + ", ".join(f"{key} ({why})" for key, why in found.items()) for found, what in told if found]
        return "; ".join([*said, *([f"prices as they stand failed: {self.failed_present}"] if self.failed_present else [])])

    def emptiness(self) -> str:
        """Return which hours have nothing landed, in words."""
        hours = stretches([parse_hour_key(key) for key in self.empty])
        return f"nothing is landed of {', '.join(hours)}: never scraped, or the raw answers have expired"

    def sentence(self) -> str:
        counted = (
            (self.done, "replayed"),
            (self.up_to_date, "up to date"),
            (self.empty, "with nothing landed"),
            (self.refused, "refused"),
            (self.failed, "failed"),
        )
        told = [f"{len(hours)} {word}" for hours, word in counted if hours]
        later = f"; {len(self.due_later)} hours after them are due: palimpsest backfill --stale" if self.due_later else ""
        return f"hours: {', '.join(told) or 'none'}{later}"


def make_due(pipeline: Pipeline, hours: Iterable[Hour]) -> None:
    """Make everything of the cycles of these hours due again that can be derived again: what is not whole in the landing stays as it is."""
    cycle_ids = [cycle.cycle_id for hour in hours for cycle in hour.landed if cycle.is_whole]
    with pipeline.connect() as conn:
        derived_products.unmark_cycles(conn, cycle_ids)


def lost(hour: Hour, *, stale_only: bool) -> list[Gone]:
    """The cycles of the hour that cannot be derived. With `stale_only` not those whose rows stand."""
    return [gone for gone in hour.lost if gone.stale or not stale_only]


def backfill(
    pipeline: Pipeline, instance: dg.DagsterInstance, hours: list[Hour], console: Console, *, jobs: int = 1, stale_only: bool = False
) -> Report:
    """Derive what is due of `hours` (of `plan`), which are all that later ones in the range may have to be derived again with.

    With `jobs` above 1 core is derived by so many processes, which open the instance of the settings for themselves. Everything that is finished
    stays, however this ends: called again it goes on from there. Raises Cancelled.
    """
    report = Report()
    for hour in hours:
        if cycles := lost(hour, stale_only=stale_only):
            report.refused[hour.key] = "; ".join(gone.sentence for gone in cycles)
        elif not hour.landed and not hour.torn:
            report.empty.append(hour.key)
    to_do = [hour for hour in hours if hour.can_be_derived]
    report_dead(instance, pipeline)
    with Meter(pipeline, to_do, console) as meter:
        for key, reason in report.refused.items():
            meter.say(f"{key}: {reason}")
        for outcome in _derived(pipeline, instance, hours, jobs):
            key = hour_key(outcome.hour)
            if outcome.error is None:
                report.done.append(key)
            elif key not in report.failed:
                report.failed[key] = outcome.error
                meter.say(f"{key}: {outcome.error}")
        report.failed_dates = rebuild_dirty(pipeline, instance, meter.say)
        report.failed_present = refresh_due(pipeline, instance, meter.say)
    report.done = sorted(set(report.done) - report.failed.keys())
    said = {*report.empty, *report.refused, *report.done, *report.failed}
    report.up_to_date = [hour.key for hour in hours if hour.key not in said]
    if report.done:
        report.due_later = [hour.key for hour in plan(pipeline, hours[-1].at + HOUR, look=False) if hour.can_be_derived]
    return report


def _derived(pipeline: Pipeline, instance: dg.DagsterInstance, hours: list[Hour], jobs: int) -> Iterator[Outcome]:
    """Derive core of what is due, then the marts of the cycles whose core stands. Yield the outcome of each hour of each."""
    core = [hour.at for hour in hours if hour.can_be_derived and any(product.stage == "core" for product in hour.due)]
    refused = [hour.at for hour in hours if hour.due and not hour.can_be_derived]  # a run that covers one of them would fail
    cut = spans("core", core, min(24, -(-len(core) // (jobs * SPANS_PER_WORKER))) if jobs > 1 else 24, refused)
    jobs = min(jobs, len(cut))
    yield from run_spans(pipeline.settings, cut, jobs) if jobs > 1 else _one_by_one(pipeline, instance, cut)
    yield from _one_by_one(pipeline, instance, _marts(pipeline, [hour for hour in hours if hour.landed], refused))


def _one_by_one(pipeline: Pipeline, instance: dg.DagsterInstance, cut: Iterable[Span]) -> Iterator[Outcome]:
    for span in cut:
        yield from run_span(instance, pipeline, span)


def _marts(pipeline: Pipeline, hours: list[Hour], refused: list[datetime]) -> Iterator[Span]:
    """Yield the spans whose marts are due, in order.

    The due products are read again before each span: deriving one day can make later days due, because their coverage carries what it discovered. A
    cycle whose core is due has to wait, and does not cause a run.
    """
    at = None
    while hours := [hour for hour in hours if at is None or hour.at > at]:
        with pipeline.connect() as conn:
            due = due_now(pipeline, conn, cycle_ids=[cycle.cycle_id for hour in hours for cycle in hour.landed])
        waiting = {each.cycle_id for each in due if each.schema == "core"}
        wanted = {each.partition_hour for each in due if each.schema == "mart" and each.cycle_id not in waiting}
        found = spans("mart", sorted(wanted), without=refused)
        if not found:
            return
        at = found[0].hours[-1]
        yield found[0]
