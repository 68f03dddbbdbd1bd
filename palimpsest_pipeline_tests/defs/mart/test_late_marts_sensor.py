"""What the sensor `late_marts` asks for: marts that are behind their core, and fixtures that are due, once for the
same set, and nothing else.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from palimpsest_pipeline.definitions import defs
from palimpsest_pipeline.defs.cycle_jobs import current_prices_job, cycle_marts_job
from palimpsest_pipeline.defs.mart.late_marts_sensor import request_late_runs
from palimpsest_pipeline.domain.cycles import Cycle, CycleResult
from palimpsest_pipeline.domain.enums import RunStatus, Scope, Severity, Trigger
from palimpsest_pipeline.domain.instants import make_cycle_id
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.marts import derive_marts
from palimpsest_pipeline.pipeline.marts.late_marts import HISTORY_CHECK, MAX_HOUR_AGE, find_late_days
from palimpsest_pipeline.storage.derivation import derived_products, due_products, landed_cycles
from palimpsest_pipeline.storage.derivation.landed_cycles import LandedCycleRecord
from palimpsest_pipeline.storage.ledger import check_verdicts, cycle_ledger
from palimpsest_pipeline.storage.ledger.check_verdicts import CheckVerdict
from palimpsest_pipeline_tests.fixtures.landed import find_versions, list_marks
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline
from palimpsest_pipeline_tests.fixtures.platforms import BETPAWA, PLATFORMS

HOUR = datetime(2026, 5, 1, 12, tzinfo=UTC)
NOW = HOUR + timedelta(minutes=30)
MART_PRODUCTS = {
    derived_products.COVERAGE_PRODUCT,
    derive_marts.RUN_QUALITY_PRODUCT,
    derive_marts.MAPPING_COVERAGE_PRODUCT,
}
CORE_MARKS = {each.name for each in list_marks() if each.schema == "core"}
LANDED = tuple(sorted(PLATFORMS))
At = Callable[[datetime], Pipeline]


@pytest.fixture
def at(make_pipeline: MakePipeline) -> At:
    """The pipeline with a clock that shows this instant."""
    return lambda now: make_pipeline(clock_offset_s=(now - datetime.now(UTC)).total_seconds())


@pytest.fixture
def pipeline(at: At) -> Pipeline:
    return at(NOW)


def mark(
    pipeline: Pipeline, schema: derived_products.ProductSchema, names: set[str], cycle_id: int, digest: str = "a"
) -> None:
    known = pipeline.find_cycle_versions(LANDED)
    versions = {"parser_version": known.parser, "mapping_version": known.mapping}
    with pipeline.connect() as conn:
        for name in names:
            derived_products.mark_derived(conn, schema, name, cycle_id, landing_digest=digest, n_rows=1, **versions)


def core_stands(pipeline: Pipeline, minute: int = 0, scope: Scope = Scope.FULL, digest: str = "a") -> int:
    """Write core of a cycle, and no mart of it; return its id."""
    started_at = HOUR + timedelta(minutes=minute)
    cycle_id = make_cycle_id(started_at)
    with pipeline.connect() as conn:
        conn.execute(
            "insert into core.cycles values (%s, %s, 'manual', %s, 'betpawa', %s) on conflict do nothing",
            [cycle_id, HOUR, scope, started_at],
        )
        landed_cycles.write_landed_cycle(conn, LandedCycleRecord(cycle_id, HOUR, scope, LANDED, digest, is_whole=True))
    mark(pipeline, "core", CORE_MARKS, cycle_id, digest)
    return cycle_id


def requests(pipeline: Pipeline, instance: dg.DagsterInstance) -> list[dg.RunRequest]:
    """Return the runs that a tick asks for. A tick that asks for none says why."""
    found = request_late_runs(pipeline, instance)
    assert found
    assert all(each.skip_message for each in found if isinstance(each, dg.SkipReason))
    return [each for each in found if isinstance(each, dg.RunRequest)]


def run_keys(pipeline: Pipeline, instance: dg.DagsterInstance) -> list[str | None]:
    return [request.run_key for request in requests(pipeline, instance)]


def late(pipeline: Pipeline, *live_runs: str) -> set[tuple[int, str]]:
    return {
        (each.cycle_id, each.product)
        for day in find_late_days(pipeline, pipeline.clock.now(), live_runs)
        for each in day.due_products
    }


def test_marts_that_were_derived_in_the_run_of_their_cycle_are_not_asked_for(
    pipeline: Pipeline, instance: dg.DagsterInstance
) -> None:
    mark(pipeline, "mart", MART_PRODUCTS, core_stands(pipeline))
    assert requests(pipeline, instance) == []


def test_late_marts_of_a_day_are_asked_for_by_one_run_and_once(
    pipeline: Pipeline, instance: dg.DagsterInstance
) -> None:
    first, second = core_stands(pipeline), core_stands(pipeline, 20)
    (request,) = requests(pipeline, instance)
    assert (request.job_name, request.partition_key) == (cycle_marts_job.name, "2026-05-01")
    assert late(pipeline) == {(cycle_id, name) for cycle_id in (first, second) for name in MART_PRODUCTS}
    assert run_keys(pipeline, instance) == [request.run_key], (
        "Dagster runs a key once: the run that was asked for may have failed"
    )
    mark(pipeline, "mart", MART_PRODUCTS, first)
    rest = run_keys(pipeline, instance)
    assert rest not in ([], [request.run_key]), "what is left is another set"
    mark(pipeline, "mart", MART_PRODUCTS, second)
    assert run_keys(pipeline, instance) == []
    core_stands(pipeline, digest="other content")
    (key,) = run_keys(pipeline, instance)
    assert key not in (request.run_key, *rest)


def test_late_marts_of_two_days_are_asked_for_by_a_run_each(pipeline: Pipeline, instance: dg.DagsterInstance) -> None:
    core_stands(pipeline)
    with pipeline.connect() as conn:
        before = HOUR - timedelta(days=1)
        cycle_id = make_cycle_id(before)
        conn.execute(
            "insert into core.cycles values (%s, %s, 'manual', 'full', 'betpawa', %s)", [cycle_id, before, before]
        )
        landed_cycles.write_landed_cycle(
            conn, LandedCycleRecord(cycle_id, before, Scope.FULL, LANDED, "a", is_whole=True)
        )
    mark(pipeline, "core", CORE_MARKS, cycle_id)
    assert [request.partition_key for request in requests(pipeline, instance)] == ["2026-04-30", "2026-05-01"]


def test_coverage_is_not_asked_for_after_a_cycle_of_given_fixtures(pipeline: Pipeline) -> None:
    cycle_id = core_stands(pipeline, scope=Scope.KICKOFF)
    assert late(pipeline) == {(cycle_id, name) for name in MART_PRODUCTS - {derived_products.COVERAGE_PRODUCT}}


def test_coverage_alone_is_asked_for_when_an_earlier_cycle_makes_it_due(pipeline: Pipeline) -> None:
    cycle_id = core_stands(pipeline)
    mark(pipeline, "mart", MART_PRODUCTS, cycle_id)
    with pipeline.connect() as conn:
        derived_products.mark_product_due(conn, "mart", derived_products.COVERAGE_PRODUCT, [cycle_id])
    assert late(pipeline) == {(cycle_id, derived_products.COVERAGE_PRODUCT)}


def test_a_cycle_of_which_core_is_due_asks_for_nothing_and_keeps_no_other_from_it(pipeline: Pipeline) -> None:
    waiting, whole = core_stands(pipeline), core_stands(pipeline, 20)
    with pipeline.connect() as conn:
        derived_products.mark_product_due(conn, "core", "matched_events", [waiting])
    assert late(pipeline) == {(whole, name) for name in MART_PRODUCTS}


def test_a_cycle_that_is_being_scraped_asks_for_nothing(pipeline: Pipeline, instance: dg.DagsterInstance) -> None:
    cycle_id = core_stands(pipeline)
    with pipeline.connect() as conn:
        cycle_ledger.write_running_cycle(conn, Cycle(cycle_id, Trigger.MANUAL, Scope.FULL, BETPAWA, HOUR, HOUR, "run"))
    assert requests(pipeline, instance) == []


def test_a_cycle_that_is_backfilled_later_than_two_days_is_not_asked_for(at: At, instance: dg.DagsterInstance) -> None:
    core_stands(at(NOW))
    assert len(requests(at(HOUR + MAX_HOUR_AGE + timedelta(minutes=59)), instance)) == 1
    assert requests(at(HOUR + MAX_HOUR_AGE + timedelta(minutes=61)), instance) == []


def test_a_cycle_of_which_core_contradicts_itself_is_left_out_until_the_check_passes(pipeline: Pipeline) -> None:
    bad, good = core_stands(pipeline), core_stands(pipeline, 20)
    with pipeline.connect() as conn:
        check_verdicts.write_verdicts(
            conn,
            HISTORY_CHECK,
            [CheckVerdict(bad, Severity.ERROR, 2, "two prices differ"), CheckVerdict(good, Severity.ERROR)],
        )
    assert late(pipeline) == {(good, name) for name in MART_PRODUCTS}
    with pipeline.connect() as conn:
        check_verdicts.write_verdicts(conn, HISTORY_CHECK, [CheckVerdict(bad, Severity.ERROR)])
    assert late(pipeline) == {(cycle_id, name) for cycle_id in (bad, good) for name in MART_PRODUCTS}


def test_a_product_that_has_failed_is_left_out_until_its_content_or_the_code_changes(pipeline: Pipeline) -> None:
    cycle_id = core_stands(pipeline)
    versions = find_versions(pipeline)
    with pipeline.connect() as conn:
        due_products.record_failure(
            conn, derive_marts.RUN_QUALITY_PRODUCT, cycle_id, landing_digest="a", **versions, error="division by zero"
        )
    assert late(pipeline) == {(cycle_id, name) for name in MART_PRODUCTS - {derive_marts.RUN_QUALITY_PRODUCT}}
    pipeline.adapters[BETPAWA].parser_version += 1
    mark(pipeline, "core", CORE_MARKS, cycle_id)
    assert late(pipeline) == {(cycle_id, name) for name in MART_PRODUCTS}


def test_nothing_is_asked_for_while_a_run_may_derive_it(pipeline: Pipeline, instance: dg.DagsterInstance) -> None:
    core_stands(pipeline)
    run = instance.create_run_for_job(
        defs.resolve_job_def("replay"), tags={"dagster/partition": "2026-05-01"}, status=dg.DagsterRunStatus.STARTED
    )
    (skipped,) = request_late_runs(pipeline, instance)
    assert isinstance(skipped, dg.SkipReason)
    assert run.run_id in str(skipped.skip_message)
    instance.report_run_failed(run, "Its process died.")
    assert len(requests(pipeline, instance)) == 1


def test_a_live_run_leaves_the_late_marts_of_other_cycles_to_the_sensor(
    pipeline: Pipeline, instance: dg.DagsterInstance
) -> None:
    own, other = core_stands(pipeline), core_stands(pipeline, 20)
    tags = {"dagster/partition": "2026-05-01"}
    run = instance.create_run_for_job(
        defs.resolve_job_def("kickoff_window"), tags=tags, status=dg.DagsterRunStatus.STARTED
    )
    with pipeline.connect() as conn:
        batch = Cycle(own, Trigger.SENSOR, Scope.FULL, BETPAWA, HOUR, HOUR, run.run_id)
        cycle_ledger.write_running_cycle(conn, batch)
        cycle_ledger.close_cycle(conn, CycleResult(batch, RunStatus.COMPLETED, HOUR, ()))
    assert {cycle_id for cycle_id, _ in late(pipeline, run.run_id)} == {other}
    assert len(requests(pipeline, instance)) == 1
    mark(pipeline, "mart", MART_PRODUCTS, other)
    assert requests(pipeline, instance) == []
    instance.report_run_failed(run, "Its process died.")
    assert len(requests(pipeline, instance)) == 1


def test_prices_are_not_derived_while_the_newest_cycle_of_core_contradicts_itself(
    pipeline: Pipeline, instance: dg.DagsterInstance
) -> None:
    cycle_id = core_stands(pipeline)
    mark(pipeline, "mart", MART_PRODUCTS, cycle_id)
    with pipeline.connect() as conn:
        conn.execute("insert into mart.dirty_fixtures values ('prices', 1, clock_timestamp())")
        check_verdicts.write_verdicts(
            conn, HISTORY_CHECK, [CheckVerdict(cycle_id, Severity.ERROR, 2, "two prices differ")]
        )
    assert requests(pipeline, instance) == []
    with pipeline.connect() as conn:
        check_verdicts.write_verdicts(conn, HISTORY_CHECK, [CheckVerdict(cycle_id, Severity.ERROR)])
    assert [request.job_name for request in requests(pipeline, instance)] == [current_prices_job.name]


@pytest.mark.parametrize("product", ["prices", "odds_alerts"])
def test_fixtures_that_are_due_are_asked_for_once_each_time(
    product: str, pipeline: Pipeline, instance: dg.DagsterInstance
) -> None:
    def is_due(sr_id: int) -> None:
        with pipeline.connect() as conn:
            conn.execute("insert into mart.dirty_fixtures values (%s, %s, clock_timestamp())", [product, sr_id])

    with pipeline.connect() as conn:
        conn.execute("delete from mart.dirty_fixtures")
    assert requests(pipeline, instance) == []
    is_due(7)
    (request,) = requests(pipeline, instance)
    assert (request.job_name, request.partition_key) == (current_prices_job.name, None)
    assert run_keys(pipeline, instance) == [request.run_key], (
        "the run that was asked for may have failed: a check tells of it"
    )
    is_due(8)
    (key,) = run_keys(pipeline, instance)
    assert key != request.run_key
