"""Spans of hours of one UTC day, each derived by one run.

Belongs here: cutting hours into spans, and executing the run of a span. Does not belong here: which hours are due.
"""

from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

import dagster as dg

from palimpsest_pipeline.defs.check_results import list_blocking_failures, name_check
from palimpsest_pipeline.defs.cycle_jobs import replay_job
from palimpsest_pipeline.domain.instants import HOUR
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.due_products import list_products, make_due_query
from palimpsest_pipeline.storage.derivation import landed_cycles
from palimpsest_pipeline.storage.derivation.derived_products import ProductSchema
from palimpsest_pipeline.storage.derivation.due_products import read_due_products, read_failures
from palimpsest_pipeline.storage.ledger import check_verdicts

from ..run_job import run_job


class Cancelled(KeyboardInterrupt):
    """Somebody ended a run, here or in Dagster's UI: the backfill ends with it."""


@dataclass(frozen=True, slots=True)
class HourSpan:
    """Hours of one UTC day, of one stage, in order."""

    stage: ProductSchema
    hours: tuple[datetime, ...]


@dataclass(frozen=True, slots=True)
class HourOutcome:
    """How one hour of a stage went: `error` is None when all is well."""

    hour: datetime
    error: str | None


def split_into_spans(
    stage: ProductSchema, hours: Sequence[datetime], max_hours: int = 24, excluded_hours: Sequence[datetime] = ()
) -> list[HourSpan]:
    """Cut `hours`, given in order, into spans of one UTC day, of about equal size and at most `most` hours.

    The run of a span covers all hours from its first to its last one, so no span goes across an hour of `without` (in
    order).
    """
    cut = []
    for _, together in groupby(hours, key=lambda hour: (hour.date(), bisect(excluded_hours, hour))):
        part = tuple(together)
        size = -(-len(part) // -(-len(part) // max_hours))
        cut += [HourSpan(stage, part[begin : begin + size]) for begin in range(0, len(part), size)]
    return cut


def run_span(instance: dg.DagsterInstance, pipeline: Pipeline, span: HourSpan) -> Iterator[HourOutcome]:
    """Derive the stage for the cycles of the span's hours in one run. Raises Cancelled.

    When the run fails, the hours whose cycles are still due count as failed, and the hours of the cycles that a
    blocking check found bad, each with the errors of its cycles. The other hours count as derived.
    """
    first, last = span.hours[0], span.hours[-1]
    outcome = run_job(instance, pipeline, replay_job.name, first.date(), hours=(first, last), group=span.stage)
    if outcome.cancelled:
        raise Cancelled
    errors = (
        {}
        if outcome.success
        else _collect_errors(pipeline, span, outcome.error or "failed", _list_stopping_checks(instance, outcome.run_id))
    )
    yield from (HourOutcome(hour, errors.get(hour)) for hour in span.hours)


def _collect_errors(pipeline: Pipeline, span: HourSpan, of_run: str, checks: Sequence[str]) -> dict[datetime, str]:
    """Return the failed hours of the span with the errors of their cycles, or with the error of the run where no cycle
    has one.

    `checks`: the blocking checks that stopped the run. When no product is due and no cycle is bad, something else
    failed: then every hour gets the error of the run.
    """
    wanted = make_due_query(pipeline, [product for product in list_products(pipeline) if product.schema == span.stage])
    first, end = span.hours[0], span.hours[-1] + HOUR
    found: dict[datetime, dict[str, None]] = {}
    with pipeline.connect() as conn:
        due = [each for each in read_due_products(conn, wanted, first=first, end=end) if not each.is_gone]
        of_cycles = read_failures(conn, sorted({each.cycle_id for each in due}))
        for each in due:
            error = of_cycles.get((each.cycle_id, each.product))
            found.setdefault(each.partition_hour, {})[
                f"cycle {each.cycle_id}: {each.product}: {error}" if error else of_run
            ] = None
        hours = (
            {cycle.cycle_id: cycle.partition_hour for cycle in landed_cycles.read_cycles(conn, first, end)}
            if checks
            else {}
        )
        for check in checks:
            for verdict in check_verdicts.read_bad_verdicts(conn, check, first, end):
                found.setdefault(hours[verdict.cycle_id], {})[
                    f"cycle {verdict.cycle_id}: {check}: {verdict.description}"
                ] = None
    errors = {hour: "; ".join(found[hour]) for hour in span.hours if hour in found}
    return errors or dict.fromkeys(span.hours, of_run)


def _list_stopping_checks(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    """Return the names of the checks that stopped the run: blocking ones whose result was an error."""
    failures = (evaluation for evaluation, _ in list_blocking_failures(instance, run_id))
    return [
        name_check(evaluation.asset_check_key)
        for evaluation in failures
        if evaluation.severity is dg.AssetCheckSeverity.ERROR
    ]
