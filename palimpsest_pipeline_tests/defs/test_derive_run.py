"""Deriving a product for the cycles of a run: which cycles are tried, in which order, and how often."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg

from palimpsest_pipeline.defs.derive_run import derive_run
from palimpsest_pipeline.defs.run_cycles import RunCycles
from palimpsest_pipeline.landing import Manifest
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.derive_hour import DerivedCycles, derive_cycles
from palimpsest_pipeline.pipeline.installed_products import list_due_products
from palimpsest_pipeline.pipeline.record_landed_cycles import record_closed
from palimpsest_pipeline.storage.derivation import derived_products
from palimpsest_pipeline.storage.derivation.due_products import Product
from palimpsest_pipeline_tests.fixtures.landed import find_versions, land_answer, make_cycle
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline

HOUR = datetime(2026, 5, 1, 12, tzinfo=UTC)
PRODUCT = Product("core", "tournaments")
RUN = dg.DagsterRun("replay", run_id="run")


def land(pipeline: Pipeline, hours: int) -> int:
    """Land a cycle with one answer, and record it; return its id."""
    manifest = land_answer(pipeline, make_cycle(HOUR + timedelta(hours=hours)))
    with pipeline.connect() as conn:
        record_closed(conn, manifest)
    return manifest.cycle_id


def test_a_cycle_that_an_earlier_one_makes_due_again_is_derived_again(make_pipeline: MakePipeline) -> None:
    pipeline = make_pipeline()
    first, second, third = cycle_ids = [land(pipeline, hours) for hours in range(3)]
    makes_due, derived = {first: second, second: third}, []

    def derive(manifests: Sequence[Manifest]) -> DerivedCycles:
        def one(pipeline: Pipeline, conn: object, manifest: Manifest) -> int:
            derived.append(manifest.cycle_id)
            if later := makes_due.pop(manifest.cycle_id, None):
                derived_products.mark_product_due(conn, "core", PRODUCT.name, [later])  # type: ignore[arg-type]
            return 5

        return derive_cycles(pipeline, manifests, PRODUCT.schema, PRODUCT.name, one)

    with pipeline.connect() as conn:
        versions = find_versions(pipeline)
        digest = pipeline.landing.read_manifest(second).digest
        derived_products.mark_derived(conn, "core", PRODUCT.name, second, landing_digest=digest, n_rows=1, **versions)
    done = derive_run(pipeline, RUN, RunCycles(cycle_ids, is_own=False), PRODUCT, derive)
    assert derived == [first, third, second, third]
    assert (done.derived_ids, done.waiting_ids, done.failed_ids, done.n_up_to_date) == (set(cycle_ids), set(), set(), 0)
    assert (done.n_rows_written, done.n_rows) == (15, 15)
    with pipeline.connect() as conn:
        assert PRODUCT.name not in {each.product for each in list_due_products(pipeline, conn, cycle_ids=cycle_ids)}


def test_a_cycle_that_fails_or_is_gone_or_cannot_be_read_is_tried_once_and_told_apart(
    make_pipeline: MakePipeline,
) -> None:
    pipeline = make_pipeline()
    bad, gone, unreadable, good = cycle_ids = [land(pipeline, hours) for hours in range(4)]

    def manifest_of(cycle_id: int):
        return next(pipeline.landing.root.glob(f"*/*/cycle={cycle_id}/manifest.json"))

    manifest_of(gone).unlink()
    manifest_of(unreadable).write_text("[]")
    tried: list[int] = []

    def derive(manifests: Sequence[Manifest]) -> DerivedCycles:
        def one(pipeline: Pipeline, conn: object, manifest: Manifest) -> int:
            tried.append(manifest.cycle_id)
            if manifest.cycle_id == bad:
                raise ValueError("no")
            return 5

        return derive_cycles(pipeline, manifests, PRODUCT.schema, PRODUCT.name, one)

    done = derive_run(pipeline, RUN, RunCycles(cycle_ids, is_own=False), PRODUCT, derive)
    assert tried == [bad, good]
    assert (done.derived_ids, done.failed_ids, done.gone_ids, done.waiting_ids) == (
        {good},
        {bad, unreadable},
        {gone},
        set(),
    )
    assert sorted(str(bad) in str(error) for error in done.errors) == [False, True]
    assert done.describe() == "1 cycles derived, 0 up to date, 0 waiting, 1 no longer in the landing, 5 rows"
    with pipeline.connect() as conn:
        assert {each.cycle_id for each in list_due_products(pipeline, conn, cycle_ids=cycle_ids) if each.is_gone} == {
            gone
        }
