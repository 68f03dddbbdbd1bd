"""The derivation of a product for the cycles of a Dagster run.

`derive_hour` derives one cycle.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import dagster as dg
import psycopg

from palimpsest_pipeline.domain.instants import format_hour_key
from palimpsest_pipeline.domain.secrets import redact
from palimpsest_pipeline.landing import LandingIncomplete, LandingUnreadable, Manifest
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.derive_hour import CyclesFailed, DerivedCycles
from palimpsest_pipeline.pipeline.installed_products import list_products, make_due_query
from palimpsest_pipeline.pipeline.record_landed_cycles import record_gone, record_unreadable
from palimpsest_pipeline.runtime.run_tags import LEAVES_FAILED_TAG
from palimpsest_pipeline.storage.derivation import landed_cycles
from palimpsest_pipeline.storage.derivation.derived_products import count_product_rows
from palimpsest_pipeline.storage.derivation.due_products import (
    DueProduct,
    Product,
    read_due_products,
    read_failures,
    record_failure,
)

from .run_cycles import RunCycles, list_repeated_runs


class RunHasFailedCycles(Exception):
    """Products could not be derived from some cycles of the run.

    The message names each cycle, product and error.
    """


@dataclass(slots=True)
class RunDerivation:
    """The result of deriving a product in a Dagster run. All counts are of the run's cycles."""

    cycle_ids: list[int]
    """The run's cycles, at least one, in order."""
    derived_ids: set[int] = field(default_factory=set)
    waiting_ids: set[int] = field(default_factory=set)
    failed_ids: set[int] = field(default_factory=set)
    untried_ids: set[int] = field(default_factory=set)
    """Cycles that failed in an earlier run and were not derived again."""
    gone_ids: set[int] = field(default_factory=set)
    """Cycles that were removed from the landing after the database had recorded them."""
    errors: list[Exception] = field(default_factory=list)
    n_rows_written: int = 0
    """Rows of the cycles that this call derived."""
    n_rows: int = 0
    """Rows of the product for all cycles of the run, including rows of earlier derivations."""

    def build_figures(self) -> dict[str, int]:
        """Return the figures that every derived asset shows in Dagster."""
        return {
            "rows_written": self.n_rows_written,
            "cycles": len(self.derived_ids),
            "cycles_up_to_date": self.n_up_to_date,
            "cycles_left_failed": len(self.untried_ids),
        }

    @property
    def newest_cycle_id(self) -> int:
        return self.cycle_ids[-1]

    @property
    def n_up_to_date(self) -> int:
        return len(self.cycle_ids) - len(
            self.derived_ids | self.waiting_ids | self.failed_ids | self.untried_ids | self.gone_ids
        )

    def raise_errors(self) -> None:
        """Raise the first error if a cycle has failed."""
        if self.errors:
            raise self.errors[0]

    def describe(self) -> str:
        """Return the counts as a sentence."""
        failed_text = f", {len(self.untried_ids)} not tried again after an earlier failure" if self.untried_ids else ""
        gone_text = f", {len(self.gone_ids)} no longer in the landing" if self.gone_ids else ""
        return (
            f"{len(self.derived_ids)} cycles derived, {self.n_up_to_date} up to date,"
            f" {len(self.waiting_ids)} waiting{failed_text}{gone_text}, {self.n_rows_written} rows"
        )


def find_product(name: str) -> Product:
    """Return the product of this name."""
    return next(each for each in list_products() if each.name == name)


def derive_run(
    pipeline: Pipeline,
    run: dg.DagsterRun,
    cycles: RunCycles,
    product: Product,
    derive: Callable[[Sequence[Manifest]], DerivedCycles],
) -> RunDerivation:
    """Call `derive` for the run's cycles for which the product is due, oldest first.

    Deriving a cycle may make the product of later cycles due again; these cycles are derived again. If a cycle fails,
    its error is added to the result's `errors`, and the other cycles are derived. A replay that a sensor requested
    skips cycles that failed before.
    """
    derivation = RunDerivation(cycles.cycle_ids)
    tried: set[int] = set()
    still_due_ids: set[int] = set()
    hour_by_cycle: dict[int, datetime] = {}
    with pipeline.connect() as conn:

        def read_due(cycle_ids: Collection[int]) -> list[DueProduct]:
            due = read_due_products(conn, make_due_query(pipeline, conn, [product]), cycle_ids=cycle_ids)
            conn.commit()  # nothing is locked while `derive` works
            return [each for each in due if not each.is_gone]

        while True:
            due = read_due(cycles.cycle_ids)
            if LEAVES_FAILED_TAG in run.tags:
                derivation.untried_ids |= {each.cycle_id for each in due if each.has_failed} - tried
            # Cycles were derived oldest first, so no other cycle has made one due again that is still due now.
            still_due_ids |= hour_by_cycle.keys() & {each.cycle_id for each in due}
            hour_by_cycle = {
                each.cycle_id: each.partition_hour
                for each in due
                if each.cycle_id not in still_due_ids | derivation.untried_ids
            }
            if not hour_by_cycle:
                break
            tried |= hour_by_cycle.keys()
            manifests, errors = _read_manifests(pipeline, conn, due, hour_by_cycle)
            derivation.gone_ids |= hour_by_cycle.keys() - errors.keys() - {manifest.cycle_id for manifest in manifests}
            if errors:
                derivation.errors.append(CyclesFailed(product.name, errors))
            try:
                derive(manifests)
            except CyclesFailed as error:
                derivation.errors.append(error)
        still_due = read_due(tried)
        derivation.failed_ids = {each.cycle_id for each in still_due if each.has_failed}
        derivation.waiting_ids = {each.cycle_id for each in still_due} - derivation.failed_ids
        derivation.derived_ids = tried - derivation.failed_ids - derivation.waiting_ids - derivation.gone_ids
        derivation.n_rows_written = count_product_rows(
            conn, product.schema, product.name, sorted(derivation.derived_ids)
        )
        derivation.n_rows = count_product_rows(conn, product.schema, product.name, cycles.cycle_ids)
    return derivation


def raise_for_failed_cycles(pipeline: Pipeline, run: dg.DagsterRun, cycles: RunCycles) -> None:
    """Raise RunHasFailedCycles when a cycle of the run has failed in any step of the run.

    Failures in runs that this run repeats count too: a re-execution of failed steps also fails for cycles that failed
    in other steps of the original run.
    """
    with pipeline.connect() as conn:
        failures = read_failures(conn, cycles.cycle_ids, run_ids=[run.run_id, *list_repeated_runs(run)])
        hours = sorted(
            {
                cycle.partition_hour
                for cycle_id, _ in failures
                if (cycle := landed_cycles.read_landed_cycle(conn, cycle_id))
            }
        )
    if failures:
        lines = "; ".join(f"cycle {cycle_id}, {product}: {error}" for (cycle_id, product), error in failures.items())
        advice = (
            ". When the cause is fixed, run `palimpsest backfill"
            f" {format_hour_key(hours[0])} {format_hour_key(hours[-1])}`"
            if hours
            else ""
        )
        raise RunHasFailedCycles(lines + advice)


def _read_manifests(
    pipeline: Pipeline, conn: psycopg.Connection, due: Sequence[DueProduct], hours: Mapping[int, datetime]
) -> tuple[list[Manifest], dict[int, Exception]]:
    """Return the manifests of the cycles in `hours` (cycle id to hour), and the errors of unreadable ones.

    `due` are the due products. A cycle that is no longer in the landing is in neither. Missing and unreadable cycles
    are recorded. Raises LandingError if the landing cannot be reached.
    """
    manifests: list[Manifest] = []
    errors: dict[int, Exception] = {}
    for cycle_id, hour in sorted(hours.items()):
        try:
            manifests.append(pipeline.landing.read_manifest(cycle_id, hour))
        except LandingIncomplete:
            record_gone(conn, cycle_id)
        except LandingUnreadable as error:
            errors[cycle_id] = error
            record_unreadable(conn, cycle_id, error)
            message = redact(f"{type(error).__name__}: {error}", *pipeline.settings.list_secrets())
            row = landed_cycles.read_landed_cycle(conn, cycle_id)
            versions = pipeline.find_cycle_versions(row.platforms) if row else None
            for each in due:
                if each.cycle_id == cycle_id and versions:
                    record_failure(
                        conn,
                        each.product,
                        cycle_id,
                        landing_digest=None,
                        parser_version=versions.parser,
                        mapping_version=versions.mapping,
                        error=message,
                    )
    conn.commit()
    return manifests, errors
