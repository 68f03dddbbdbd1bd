"""The derivation of a product for the cycles for which it is due.

Live runs, backfills and imports of recorded answers all use it. Imports no Dagster.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from threading import Event
from typing import Final

import psycopg

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.domain.secrets import redact
from palimpsest_pipeline.landing import LandingError, LandingIncomplete, LandingUnreadable, Manifest
from palimpsest_pipeline.storage.archive import ArchiveError
from palimpsest_pipeline.storage.derivation import derived_products
from palimpsest_pipeline.storage.derivation.due_products import (
    DueQuery,
    Product,
    delete_failure,
    read_due_products,
    record_failure,
)
from palimpsest_pipeline.storage.odds import partitions

from .context import Pipeline
from .record_landed_cycles import list_covered_platforms, record_gone, record_landed, record_unreadable

log = logging.getLogger(__name__)

OUTAGE_ERRORS: Final = (
    ArchiveError,
    CancelledError,
    MemoryError,
    OSError,
    partitions.InUse,
    partitions.MissingPartitionError,
    psycopg.InterfaceError,
    psycopg.OperationalError,
)
"""Errors of the machine, the database or the archive, which no single cycle has caused.

They would stop the derivation of every cycle, so they are not recorded as the failure of one.
"""
MAX_PARALLEL_PLATFORMS: Final = 3
"""Number of platforms that are derived at the same time.

While Postgres writes the rows of one platform, the answers of another one are read. On two cores this is 1.5 times as
fast as one platform after another.
"""

DeriveProduct = Callable[[Pipeline, psycopg.Connection, Manifest], int]
"""A function that writes one product of one cycle and returns the product's number of rows.

It runs inside the caller's transaction. It counts all rows of the product, including rows that an earlier derivation
wrote and that did not change.
"""


class CyclesFailed(Exception):
    """A product could not be derived from some cycles. The message names each of them and its error."""

    def __init__(self, product: str, errors: Mapping[int, Exception]) -> None:
        lines = "; ".join(f"cycle {cycle_id}: {type(error).__name__}: {error}" for cycle_id, error in errors.items())
        super().__init__(f"{product} could not be derived from {len(errors)} cycles: {lines}")


@dataclass(slots=True)
class DerivedCycles:
    """The result of deriving one product: ids of the derived cycles and of those that stay due."""

    cycles: list[int] = field(default_factory=list)
    waiting_cycles: list[int] = field(default_factory=list)
    n_rows: int = 0
    """Rows of the cycles that this call derived."""


def derive_platforms(
    pipeline: Pipeline,
    manifests: Sequence[Manifest],
    product: str,
    derive: Callable[[Platform], DeriveProduct],
    *,
    needs: Sequence[Product] = (),
) -> DerivedCycles:
    """Derive a core product platform by platform, for several platforms at the same time.

    `derive` makes the function that derives one platform, and `needs` is that of `derive_cycles`. Each platform has its
    own connection and is derived for the cycles that cover it. An error of one platform does not stop the others; it is
    raised at the end. When the caller is interrupted, the current cycles are finished and no other cycle begins.
    """
    interrupted = Event()

    def stop_if_interrupted(derive: DeriveProduct) -> DeriveProduct:
        def derive_cycle(pipeline: Pipeline, conn: psycopg.Connection, manifest: Manifest) -> int:
            if interrupted.is_set():
                raise CancelledError(f"cycle {manifest.cycle_id} was not begun: the run was interrupted")
            return derive(pipeline, conn, manifest)

        return derive_cycle

    with ThreadPoolExecutor(max_workers=MAX_PARALLEL_PLATFORMS) as pool:
        manifests_by_platform: dict[Platform, list[Manifest]] = {}
        for manifest in manifests:
            if pipeline.find_cycle_versions(list_covered_platforms(manifest)) is not None:
                for platform in pipeline.list_cycle_platforms(manifest):
                    manifests_by_platform.setdefault(platform, []).append(manifest)
        running = [
            pool.submit(
                derive_cycles,
                pipeline,
                covering,
                "core",
                derived_products.name_platform_product(product, platform),
                stop_if_interrupted(derive(platform)),
                needs=needs,
            )
            for platform, covering in manifests_by_platform.items()
        ]
        try:
            wait(running)
        except BaseException:
            interrupted.set()
            raise
    parts = [part.result() for part in running]
    cycles, waiting_cycles = (
        {cycle for part in parts for cycle in getattr(part, name)} for name in ("cycles", "waiting_cycles")
    )
    return DerivedCycles(sorted(cycles), sorted(waiting_cycles - cycles), sum(part.n_rows for part in parts))


def derive_cycles(
    pipeline: Pipeline,
    manifests: Sequence[Manifest],
    schema: derived_products.ProductSchema,
    product: str,
    derive: DeriveProduct,
    *,
    needs: Sequence[Product] = (),
) -> DerivedCycles:
    """Derive `product` for every cycle of `manifests` for which it is due, oldest first.

    `storage.derivation.due_products` defines when a product is due; it never is for a cycle that covers a platform
    whose pack is missing. Each cycle is one transaction, which writes the rows and records in `cycle_products` that the
    product is derived. A repeated call skips recorded cycles. If another process derives the same cycle, this one waits
    and accepts its result. A cycle for which a core product in `needs` is due is not derived: another run has just
    landed the cycle, and derives its products in order.

    When a cycle fails, its earlier rows stay, its error is recorded, and the next cycle is derived. At the end
    CyclesFailed names all failed cycles. An error that no cycle has caused (`OUTAGE_ERRORS`) is raised at once.
    """
    derived = DerivedCycles()
    failed: dict[int, Exception] = {}
    with pipeline.connect() as conn:
        # Cycles are checked one by one, because deriving a cycle may make the product due for a later one.
        for manifest in sorted(manifests, key=lambda manifest: manifest.cycle_id):
            try:
                _derive_cycle(pipeline, conn, manifest, schema, product, derive, needs, derived)
            except Exception as error:
                if conn.closed or _is_outage(error):
                    raise
                failed[manifest.cycle_id] = error
                _record_failure(pipeline, conn, manifest, product, error)
    if failed:
        raise CyclesFailed(product, failed) from next(iter(failed.values()))
    return derived


def _derive_cycle(
    pipeline: Pipeline,
    conn: psycopg.Connection,
    manifest: Manifest,
    schema: derived_products.ProductSchema,
    product: str,
    derive: DeriveProduct,
    needs: Sequence[Product],
    derived: DerivedCycles,
) -> None:
    """Derive the product of one cycle if it is due, and add the result to `derived`."""
    cycle_id = manifest.cycle_id
    versions = pipeline.find_cycle_versions(list_covered_platforms(manifest))
    if versions is None:
        return
    query = DueQuery((versions,), (Product(schema, product), *needs))

    def read_due_names() -> set[str]:
        return {each.product for each in read_due_products(conn, query, cycle_ids=[cycle_id])}

    with conn.transaction():
        record_landed(pipeline, conn, manifest)
    with conn.transaction():
        if product not in read_due_names():
            return
        derived_products.claim_product(conn, product, cycle_id)
        manifest = pipeline.landing.reread_manifest(manifest)
        record_landed(pipeline, conn, manifest)
        due_names = read_due_names()
        if product not in due_names:
            return
        if due_names != {product}:
            derived.waiting_cycles.append(cycle_id)
            return
        rows = derive(pipeline, conn, manifest)
        derived_products.mark_derived(
            conn,
            schema,
            product,
            cycle_id,
            landing_digest=manifest.digest,
            parser_version=versions.parser,
            mapping_version=versions.mapping,
            n_rows=rows,
        )
        delete_failure(conn, product, cycle_id)
    derived.cycles.append(cycle_id)
    derived.n_rows += rows


def _is_outage(error: Exception) -> bool:
    return isinstance(error, OUTAGE_ERRORS) or (
        isinstance(error, LandingError) and not isinstance(error, (LandingIncomplete, LandingUnreadable))
    )


def _record_failure(
    pipeline: Pipeline, conn: psycopg.Connection, manifest: Manifest, product: str, error: Exception
) -> None:
    """Record the error of a cycle with its landed digest, and update its row in `ops.landed_cycles`."""
    versions = pipeline.find_cycle_versions(list_covered_platforms(manifest))
    log.warning("cycle %d: %s could not be derived", manifest.cycle_id, product, exc_info=error)
    try:
        manifest = pipeline.landing.reread_manifest(manifest)
        digest = manifest.digest
        record_landed(pipeline, conn, manifest, list_segments=True)
    except LandingIncomplete:
        digest = None
        record_gone(conn, manifest.cycle_id)
    except LandingUnreadable as unreadable:
        digest = None
        record_unreadable(conn, manifest.cycle_id, unreadable)
    record_failure(
        conn,
        product,
        manifest.cycle_id,
        landing_digest=digest,
        parser_version=versions.parser if versions else "",
        mapping_version=versions.mapping if versions else "",
        error=redact(f"{type(error).__name__}: {error}", *pipeline.settings.list_secrets()),
    )
    conn.commit()
