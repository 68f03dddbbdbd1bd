"""Deriving the products of an hour: once per cycle whatever runs beside it, from what is landed now, and one bad
cycle does not hold up others.
"""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.landing import Manifest
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.derive_hour import (
    CyclesFailed,
    DerivedCycles,
    DeriveProduct,
    derive_cycles,
    derive_platforms,
)
from palimpsest_pipeline.pipeline.ingest.write_core import make_core_needs
from palimpsest_pipeline.pipeline.installed_products import list_due_products
from palimpsest_pipeline.storage.derivation import derived_products, due_products
from palimpsest_pipeline.storage.derivation.due_products import Product
from palimpsest_pipeline_tests.fixtures.landed import land_answer, make_cycle
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline
from palimpsest_pipeline_tests.fixtures.platforms import SPORTYBET

HOUR = datetime(2026, 5, 1, 12, tzinfo=UTC)


def land(pipeline: Pipeline, minute: int, stage: str = "discovery") -> int:
    """Land one stage of a cycle with one answer in it; return the cycle's id."""
    return land_answer(pipeline, make_cycle(HOUR + timedelta(minutes=minute)), stage).cycle_id


def derive_hour(
    pipeline: Pipeline,
    hour: datetime,
    schema: derived_products.ProductSchema,
    product: str,
    derive: DeriveProduct,
    needs: Sequence[Product] = (),
) -> DerivedCycles:
    return derive_cycles(pipeline, pipeline.landing.list_cycles(hour=hour), schema, product, derive, needs=needs)


def failures_of(pipeline: Pipeline, *cycle_ids: int) -> dict[tuple[int, str], str]:
    with pipeline.connect() as conn:
        return due_products.read_failures(conn, cycle_ids)


def test_a_cycle_that_fails_is_recorded_without_secrets_and_the_next_goes_on_until_it_is_derived(
    make_pipeline: MakePipeline,
) -> None:
    pipeline = make_pipeline()
    bad, good = land(pipeline, 0), land(pipeline, 30)

    def derive(pipeline: Pipeline, conn: psycopg.Connection, manifest: Manifest) -> int:
        if manifest.cycle_id == bad:
            raise ValueError("https://me:open-sesame@host said no")
        return 1

    with pytest.raises(CyclesFailed, match=f"cycle {bad}: ValueError"):
        derive_hour(pipeline, HOUR, "core", "tournaments", derive)
    assert failures_of(pipeline, bad, good) == {(bad, "tournaments"): "ValueError: https://***@host said no"}
    with pipeline.connect() as conn:
        assert list(derived_products.read_product_marks(conn, "core", good)) == ["tournaments"]
        found = list_due_products(pipeline, conn, cycle_ids=[bad])
        assert {each.product for each in found if each.has_failed} == {"tournaments"}
    assert derive_hour(pipeline, HOUR, "core", "tournaments", lambda *_: 1).cycles == [bad]
    assert failures_of(pipeline, bad, good) == {}


def test_an_outage_is_no_cycles_failure(make_pipeline: MakePipeline) -> None:
    pipeline = make_pipeline()
    cycles = [land(pipeline, 0), land(pipeline, 30)]
    tried = []

    def derive(pipeline: Pipeline, conn: psycopg.Connection, manifest: Manifest) -> int:
        tried.append(manifest.cycle_id)
        conn.execute("select pg_terminate_backend(pg_backend_pid())")
        return 1

    with pytest.raises(psycopg.OperationalError):
        derive_hour(pipeline, HOUR, "core", "tournaments", derive)
    assert tried == cycles[:1]
    assert failures_of(pipeline, *cycles) == {}


def test_two_runs_at_the_same_cycle_derive_it_once(make_pipeline: MakePipeline) -> None:
    pipeline = make_pipeline()
    cycle_id = land(pipeline, 0)
    both_began = threading.Barrier(2)
    derived: list[int] = []

    def derive(pipeline: Pipeline, conn: psycopg.Connection, manifest: Manifest) -> int:
        derived.append(manifest.cycle_id)
        # Long enough for the other run to have found the cycle due, and to wait.
        conn.execute("select pg_sleep(0.3)")
        return 1

    def run() -> list[int]:
        both_began.wait()
        return derive_hour(pipeline, HOUR, "core", "tournaments", derive).cycles

    with ThreadPoolExecutor(2) as pool:
        outcomes = [future.result() for future in [pool.submit(run), pool.submit(run)]]
    assert derived == [cycle_id]
    assert sorted(outcomes) == [[], [cycle_id]]


def test_a_cycle_that_grew_meanwhile_is_derived_as_it_is_now(make_pipeline: MakePipeline) -> None:
    pipeline = make_pipeline()
    first, second = land(pipeline, 0), land(pipeline, 30)
    rows: list[tuple[int, int]] = []

    def derive(pipeline: Pipeline, conn: psycopg.Connection, manifest: Manifest) -> int:
        if manifest.cycle_id == first:
            land(pipeline, 30, "capture")
        rows.append((manifest.cycle_id, manifest.rows))
        return 0

    assert derive_hour(pipeline, HOUR, "core", "tournaments", derive).cycles == [first, second]
    assert rows == [(first, 1), (second, 2)]
    assert derive_hour(pipeline, HOUR, "core", "tournaments", derive).cycles == []


def test_a_cycle_that_another_run_has_just_landed_is_left_to_that_run(make_pipeline: MakePipeline) -> None:
    pipeline = make_pipeline()
    mine = land(pipeline, 0)

    def derive(pipeline: Pipeline, conn: psycopg.Connection, manifest: Manifest) -> int:
        return 1

    assert derive_hour(pipeline, HOUR, "core", "tournaments", derive).cycles == [mine]
    other = land(pipeline, 30)
    done = derive_hour(pipeline, HOUR, "core", "home_events", derive, needs=make_core_needs(["tournaments"]))
    assert (done.cycles, done.waiting_cycles) == ([mine], [other])
    assert derive_hour(pipeline, HOUR, "core", "tournaments", derive).cycles == [other]
    assert derive_hour(
        pipeline, HOUR, "core", "home_events", derive, needs=make_core_needs(["tournaments"])
    ).cycles == [other]


def test_platforms_stand_one_by_one_and_what_stops_one_leaves_only_its_own_part_due(
    make_pipeline: MakePipeline,
) -> None:
    pipeline = make_pipeline()
    cycle_id = land(pipeline, 0)
    derived: list[Platform] = []

    def derive(platform: Platform, broken: Platform | None) -> DeriveProduct:
        def go(pipeline: Pipeline, conn: psycopg.Connection, manifest: Manifest) -> int:
            derived.append(platform)
            conn.execute(
                "insert into core.cycle_products values (%s, %s, '', '', '', 1, now())",
                [cycle_id, f"half of {platform}"],
            )
            if platform == broken:
                raise ConnectionError("gone in the middle")
            return 2

        return go

    def marks() -> list[str]:
        with pipeline.connect() as conn:
            return sorted(derived_products.read_product_marks(conn, "core", cycle_id))

    with pytest.raises(ConnectionError, match="gone in the middle"):
        derive_platforms(
            pipeline,
            pipeline.landing.list_cycles(hour=HOUR),
            "odds_snapshots",
            lambda platform: derive(platform, SPORTYBET),
        )
    assert sorted(derived) == ["bet9ja", "betpawa", "sportybet"]
    assert marks() == ["half of bet9ja", "half of betpawa", "odds_snapshots/bet9ja", "odds_snapshots/betpawa"]

    def downstream() -> DerivedCycles:
        needs = make_core_needs([derived_products.ODDS_PRODUCT])
        return derive_hour(pipeline, HOUR, "core", "matched_events", lambda *_: 1, needs=needs)

    assert downstream().waiting_cycles == [cycle_id]
    derived.clear()
    done = derive_platforms(
        pipeline, pipeline.landing.list_cycles(hour=HOUR), "odds_snapshots", lambda platform: derive(platform, None)
    )
    assert derived == ["sportybet"]
    assert (done.cycles, done.n_rows) == ([cycle_id], 2)
    assert downstream().cycles == [cycle_id]
    again = derive_platforms(
        pipeline, pipeline.landing.list_cycles(hour=HOUR), "odds_snapshots", lambda platform: derive(platform, None)
    )
    assert derived == ["sportybet"]
    assert (again.cycles, again.n_rows) == ([], 0)
