"""Spans of hours of one UTC day; each span is derived by one Dagster run."""

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
from palimpsest_pipeline.pipeline.installed_products import list_products, make_due_query
from palimpsest_pipeline.storage.derivation import landed_cycles
from palimpsest_pipeline.storage.derivation.derived_products import ProductSchema
from palimpsest_pipeline.storage.derivation.due_products import read_due_products, read_failures
from palimpsest_pipeline.storage.ledger import check_verdicts

from ..run_job import run_job


class Cancelled(KeyboardInterrupt):
    """A run was ended by Ctrl-C, a signal or Dagster's UI. This stops the whole backfill."""


@dataclass(frozen=True, slots=True)
class HourSpan:
    """Hours of one UTC day, in order, for which core or the marts (`stage`) are derived in one run."""

    stage: ProductSchema
    hours: tuple[datetime, ...]


HourOutcome = tuple[datetime, str | None]
"""An hour, and the error of its core or marts; None on success."""


def split_into_spans(
    stage: ProductSchema, hours: Sequence[datetime], max_hours: int = 24, excluded_hours: Sequence[datetime] = ()
) -> list[HourSpan]:
    """Split `hours`, which are in ascending order, into spans within one UTC day, of about equal size.

    `stage` (core or mart) is that of the spans. A span has at most `max_hours` hours. The run of a span covers all
    hours from its first to its last, so no span includes an hour of `excluded_hours`, which are in ascending order too.
    """
    spans = []
    for _, group in groupby(hours, key=lambda hour: (hour.date(), bisect(excluded_hours, hour))):
        group_hours = tuple(group)
        size = -(-len(group_hours) // -(-len(group_hours) // max_hours))
        spans += [HourSpan(stage, group_hours[begin : begin + size]) for begin in range(0, len(group_hours), size)]
    return spans


def run_span(instance: dg.DagsterInstance, pipeline: Pipeline, span: HourSpan) -> Iterator[HourOutcome]:
    """Derive core or the marts for the cycles of the span's hours in one run. Raises Cancelled.

    When the run fails, an hour counts as failed if a product of its cycles is still due or one of its cycles failed a
    blocking check; its outcome has the errors of these cycles. The other hours count as derived.
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
    yield from ((hour, errors.get(hour)) for hour in span.hours)


def _collect_errors(pipeline: Pipeline, span: HourSpan, run_error: str, checks: Sequence[str]) -> dict[datetime, str]:
    """Return the error of each failed hour of the span.

    An hour gets the errors of its cycles, or the run's error `run_error` if no cycle has one. `checks` are the blocking
    checks that stopped the run. When no product is due and no cycle is bad, every hour gets the error of the run.
    """
    first, end_at = span.hours[0], span.hours[-1] + HOUR
    messages_by_hour: dict[datetime, dict[str, None]] = {}
    with pipeline.connect() as conn:
        products = [product for product in list_products() if product.schema == span.stage]
        due_query = make_due_query(pipeline, conn, products)
        due = [
            product for product in read_due_products(conn, due_query, first=first, end=end_at) if not product.is_gone
        ]
        product_errors = read_failures(conn, sorted({product.cycle_id for product in due}))
        for product in due:
            error = product_errors.get((product.cycle_id, product.product))
            messages_by_hour.setdefault(product.partition_hour, {})[
                f"cycle {product.cycle_id}: {product.product}: {error}" if error else run_error
            ] = None
        hours = (
            {cycle.cycle_id: cycle.partition_hour for cycle in landed_cycles.read_cycles(conn, first, end_at)}
            if checks
            else {}
        )
        for check in checks:
            for verdict in check_verdicts.read_bad_verdicts(conn, check, first, end_at):
                messages_by_hour.setdefault(hours[verdict.cycle_id], {})[
                    f"cycle {verdict.cycle_id}: {check}: {verdict.description}"
                ] = None
    errors = {hour: "; ".join(messages_by_hour[hour]) for hour in span.hours if hour in messages_by_hour}
    return errors or dict.fromkeys(span.hours, run_error)


def _list_stopping_checks(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    """Return the names of the blocking checks whose errors stopped the run."""
    failures = (evaluation for evaluation, _ in list_blocking_failures(instance, run_id))
    return [
        name_check(evaluation.asset_check_key)
        for evaluation in failures
        if evaluation.severity is dg.AssetCheckSeverity.ERROR
    ]
