"""Deriving a product for the cycles of an hour that lack it. One way for live runs, backfills and recorded payloads. Knows no Dagster."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event
from typing import Final

import psycopg

from ..domain.words import Platform, Scope
from ..landing import LandingIncomplete, Manifest
from ..storage import products
from .pipeline import Pipeline

PLATFORMS_AT_ONCE: Final = 3
"""Half again as fast as one after the other on two cores: while Postgres writes for one platform, another one's answers are read."""

Derive = Callable[[Pipeline, psycopg.Connection, Manifest], int]
"""Writes one product of one cycle inside the caller's transaction and returns the rows that stand for it then: as many when it is derived once more
and nothing has to be written."""


@dataclass(slots=True)
class Derived:
    """What deriving one product of one hour did."""

    cycles: list[int] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)
    up_to_date: int = 0
    rows: int = 0
    """Rows of the cycles that were derived now."""
    standing_rows: int = 0
    """Rows that the product has for the cycles now, whenever they were written."""


def derive_platforms(
    pipeline: Pipeline, manifests: Sequence[Manifest], product: str, derive: Callable[[Platform], Derive], *, needs: Sequence[str] = ()
) -> Derived:
    """`derive_cycles` of a core product that stands platform by platform, for all of them at the same time, each on a connection of its own.

    A cycle counts as up to date when it is so on all platforms. What stops one platform does not stop the others; it is raised when all are done.
    When the caller is interrupted, what is under way is finished and nothing else is begun.
    """
    interrupted = Event()

    def begun(derive: Derive) -> Derive:
        def go(pipeline: Pipeline, conn: psycopg.Connection, manifest: Manifest) -> int:
            if interrupted.is_set():
                raise CancelledError(f"cycle {manifest.cycle_id} was not begun: the run was interrupted")
            return derive(pipeline, conn, manifest)

        return go

    with ThreadPoolExecutor(max_workers=PLATFORMS_AT_ONCE) as pool:
        names = dict(zip(pipeline.platforms, products.of_platforms(product, pipeline.platforms), strict=True))
        running = [
            pool.submit(derive_cycles, pipeline, manifests, "core", name, begun(derive(platform)), needs=needs) for platform, name in names.items()
        ]
        try:
            wait(running)
        except BaseException:
            interrupted.set()
            raise
    parts = [part.result() for part in running]
    cycles, waiting = ({cycle for part in parts for cycle in getattr(part, name)} for name in ("cycles", "waiting"))
    n_cycles = max(len(part.cycles) + len(part.waiting) + part.up_to_date for part in parts)
    return Derived(
        cycles=sorted(cycles),
        waiting=sorted(waiting - cycles),
        up_to_date=n_cycles - len(cycles | waiting),
        rows=sum(part.rows for part in parts),
        standing_rows=sum(part.standing_rows for part in parts),
    )


def derive_hour(
    pipeline: Pipeline,
    hour: datetime,
    schema: products.Schema,
    product: str,
    derive: Derive,
    scopes: Iterable[Scope] = tuple(Scope),
    *,
    needs: Sequence[str] = (),
) -> Derived:
    """`derive_cycles` of the hour's cycles of these scopes."""
    wanted = set(scopes)
    manifests = [m for m in pipeline.landing.cycles(hour=hour) if m.scope in wanted]
    return derive_cycles(pipeline, manifests, schema, product, derive, needs=needs)


def derive_cycles(
    pipeline: Pipeline, landed: Sequence[Manifest], schema: products.Schema, product: str, derive: Derive, *, needs: Sequence[str] = ()
) -> Derived:
    """Derive `product` for every cycle of `landed` that has no mark, or one of other landed content or older versions; oldest first.

    Each cycle is one transaction that ends with its mark, so a repeated run skips what is done, and rows dropped with their marks come back.
    Another run at the same cycle is waited for, and what it has done counts. A cycle whose landed segments are not all there is refused with its
    rows untouched: LandingIncomplete names it after the others are done. A cycle for which a core product in `needs` does not stand is left waiting:
    another run has just landed it, and derives it in its own order.
    """
    manifests = {m.cycle_id: m for m in landed}
    versions = {"parser_version": pipeline.parser_version, "mapping_version": pipeline.vocabulary.version}
    done = Derived()
    refused = []
    with pipeline.connect() as conn:

        def due(manifest: Manifest) -> bool:
            return bool(products.pending(conn, schema, product, {manifest.cycle_id: manifest.digest}, **versions))

        for cycle_id in sorted(manifests):  # asked one by one: deriving a cycle may make a later one due
            try:
                with conn.transaction():
                    if not due(manifests[cycle_id]):
                        continue
                    products.claim(conn, product, cycle_id)
                    manifest = pipeline.landing.reread(manifests[cycle_id])
                    if not due(manifest):
                        continue
                    if any(products.pending(conn, "core", needed, {cycle_id: manifest.digest}, **versions) for needed in needs):
                        done.waiting.append(cycle_id)
                        continue
                    rows = derive(pipeline, conn, manifest)
                    products.mark(conn, schema, product, cycle_id, landing_digest=manifest.digest, n_rows=rows, **versions)
            except LandingIncomplete as incomplete:
                refused.append(str(incomplete))
                continue
            done.cycles.append(cycle_id)
            done.rows += rows
        done.standing_rows = sum(products.marks(conn, schema, cycle_id).get(product, 0) for cycle_id in manifests)
    if refused:
        raise LandingIncomplete("; ".join(refused))
    done.up_to_date = len(manifests) - len(done.cycles) - len(done.waiting)
    return done
