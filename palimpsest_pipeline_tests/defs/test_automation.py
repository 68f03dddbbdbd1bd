"""What automation asks for, tick by tick: marts that are behind their core, once, and nothing else."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import dagster as dg
import pytest

from palimpsest_pipeline.definitions import defs
from palimpsest_pipeline.defs.core.derive import PRODUCTS, marks_of
from palimpsest_pipeline.defs.mart import derive
from palimpsest_pipeline.defs.pipeline import Pipeline
from palimpsest_pipeline.defs.replay.plan import MART_OF_EVERY_CYCLE
from palimpsest_pipeline.domain.instants import cycle_id_at, hour_key
from palimpsest_pipeline.domain.words import Scope
from palimpsest_pipeline.storage import products
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline

HOUR = datetime(2026, 5, 1, 12, tzinfo=UTC)
KEY = hour_key(HOUR)
COVERAGE = {"coverage_fixture", "coverage_tournament", "match_rate_platform"}
MARTS = COVERAGE | {"run_quality", "mapping_coverage", "unmapped_market"}
MART_PRODUCTS = (derive.COVERAGE, *MART_OF_EVERY_CYCLE)
CHECK = dg.AssetCheckKey(dg.AssetKey(["core", "odds_snapshots"]), "history_equals_current")


@pytest.fixture
def pipeline(make_pipeline: MakePipeline, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """One that the conditions find too, by the environment."""
    made = make_pipeline()
    for name, value in made.settings.environment().items():
        if value:
            monkeypatch.setenv(name, value)
    return made


def mark(pipeline: Pipeline, schema: products.Schema, names: tuple[str, ...], cycle_id: int, digest: str = "a") -> None:
    versions = {"parser_version": pipeline.parser_version, "mapping_version": pipeline.vocabulary.version}
    with pipeline.connect() as conn:
        for name in names:
            products.mark(conn, schema, name, cycle_id, landing_digest=digest, n_rows=1, **versions)


def core_stands(pipeline: Pipeline, at: datetime = HOUR, scope: Scope = Scope.FULL, digest: str = "a") -> int:
    """Core of a cycle, and no mart of it; returns its id."""
    cycle_id = cycle_id_at(at)
    with pipeline.connect() as conn:
        conn.execute("insert into core.cycles values (%s, %s, 'manual', %s, 'betpawa', %s) on conflict do nothing", [cycle_id, HOUR, scope, at])
    mark(pipeline, "core", marks_of(PRODUCTS, pipeline.platforms), cycle_id, digest)
    return cycle_id


class Ticks:
    """Evaluations of the conditions on one instance, each with what the one before left behind."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.cursor = None

    def at(self, hour: int, minute: int) -> dict[str, set[str]]:
        """Partitions asked for by asset, at a time of the day."""
        found = dg.evaluate_automation_conditions(
            defs, self.instance, evaluation_time=HOUR.replace(hour=0) + timedelta(hours=hour, minutes=minute), cursor=self.cursor
        )
        self.cursor = found.cursor
        asked = {name: {str(key) for key in found.get_requested_partitions(dg.AssetKey(["mart", name]))} for name in MARTS}
        assert found.total_requested == sum(map(len, asked.values()))  # nothing but marts
        return {name: keys for name, keys in asked.items() if keys}


@pytest.fixture
def ticks() -> Callable[[], Ticks]:
    return lambda: Ticks(dg.DagsterInstance.ephemeral())


ALL_OF_IT = {name: {KEY} for name in MARTS}


def test_marts_that_were_derived_in_the_run_of_their_cycle_are_not_asked_for(pipeline: Pipeline, ticks: Callable[[], Ticks]) -> None:
    mark(pipeline, "mart", MART_PRODUCTS, core_stands(pipeline))
    tick = ticks()
    assert [tick.at(12, minute) for minute in (30, 38, 53)] == [{}, {}, {}]


def test_late_marts_are_asked_for_once_at_the_tick(pipeline: Pipeline, ticks: Callable[[], Ticks]) -> None:
    tick = ticks()
    assert tick.at(12, 24) == {}
    cycle_id = core_stands(pipeline)
    assert tick.at(12, 26) == {}
    assert tick.at(12, 38) == ALL_OF_IT
    assert tick.at(12, 53) == {}, "the run that was asked for may have failed: a check tells of it"
    mark(pipeline, "mart", MART_PRODUCTS, cycle_id)
    assert tick.at(13, 8) == {}
    core_stands(pipeline, digest="other content")
    assert tick.at(13, 23) == ALL_OF_IT


def test_what_is_late_when_the_sensor_is_first_switched_on_is_asked_for_at_the_next_tick(pipeline: Pipeline, ticks: Callable[[], Ticks]) -> None:
    core_stands(pipeline)
    tick = ticks()
    assert tick.at(12, 30) == {}
    assert tick.at(12, 38) == ALL_OF_IT


def test_marts_that_were_derived_before_the_tick_are_not_asked_for(pipeline: Pipeline, ticks: Callable[[], Ticks]) -> None:
    tick = ticks()
    cycle_id = core_stands(pipeline)
    tick.at(12, 26)
    mark(pipeline, "mart", MART_PRODUCTS, cycle_id)
    assert tick.at(12, 38) == {}


def test_coverage_is_not_asked_for_after_a_cycle_of_given_fixtures(pipeline: Pipeline, ticks: Callable[[], Ticks]) -> None:
    tick = ticks()
    tick.at(12, 24)
    core_stands(pipeline, scope=Scope.KICKOFF)
    assert tick.at(12, 38) == {name: {KEY} for name in MARTS - COVERAGE}


def test_coverage_alone_is_asked_for_when_an_earlier_cycle_makes_it_due(pipeline: Pipeline, ticks: Callable[[], Ticks]) -> None:
    cycle_id = core_stands(pipeline)
    mark(pipeline, "mart", MART_PRODUCTS, cycle_id)
    tick = ticks()
    tick.at(12, 24)
    with pipeline.connect() as conn:
        products.unmark(conn, "mart", derive.COVERAGE, [cycle_id])
    assert tick.at(12, 38) == {name: {KEY} for name in COVERAGE}


def test_core_that_is_not_whole_yet_asks_for_nothing(pipeline: Pipeline, ticks: Callable[[], Ticks]) -> None:
    tick = ticks()
    cycle_id = core_stands(pipeline)
    with pipeline.connect() as conn:
        products.unmark(conn, "core", "matched_events", [cycle_id])
    assert [tick.at(12, 30), tick.at(12, 38)] == [{}, {}]


def test_an_hour_that_is_backfilled_later_than_two_days_is_not_asked_for(pipeline: Pipeline, ticks: Callable[[], Ticks]) -> None:
    tick = ticks()
    tick.at(61, 20)
    core_stands(pipeline)
    assert tick.at(61, 23) == {}
    earlier = ticks()
    earlier.at(59, 20)
    assert earlier.at(59, 23) == ALL_OF_IT


def test_a_failed_blocking_check_of_core_holds_the_marts_back_until_it_passes(pipeline: Pipeline, ticks: Callable[[], Ticks]) -> None:
    tick = ticks()
    tick.at(12, 24)
    core_stands(pipeline)
    evaluated(tick.instance, passed=False)
    assert tick.at(12, 38) == {}
    tick.instance.report_runless_asset_event(dg.AssetMaterialization(CHECK.asset_key, partition=KEY))  # by a cycle of given fixtures, without checks
    assert tick.at(12, 53) == {}
    evaluated(tick.instance, passed=True)
    assert tick.at(12, 58) == {}
    assert tick.at(13, 8) == ALL_OF_IT


def test_what_a_run_is_at_is_not_asked_for(pipeline: Pipeline, ticks: Callable[[], Ticks]) -> None:
    tick = ticks()
    tick.at(12, 24)
    core_stands(pipeline)
    run = tick.instance.create_run_for_job(defs.resolve_job_def("replay"), tags={"dagster/partition": KEY}, status=dg.DagsterRunStatus.STARTED)
    assert tick.at(12, 38) == {}
    tick.instance.report_run_failed(run, "Its process died.")
    assert tick.at(12, 53) == ALL_OF_IT


def evaluated(instance: dg.DagsterInstance, *, passed: bool) -> None:
    """A run of its own evaluated the check for the hour."""
    said = dg.AssetCheckEvaluation(CHECK.asset_key, CHECK.name, passed, severity=dg.AssetCheckSeverity.ERROR, blocking=True, partition=KEY)
    event = dg.DagsterEvent(dg.DagsterEventType.ASSET_CHECK_EVALUATION.value, "replay", event_specific_data=said)
    instance.report_dagster_event(event, run_id=str(uuid4()))


def test_prices_as_they_stand_are_asked_for_once_each_time_fixtures_are_due(pipeline: Pipeline, ticks: Callable[[], Ticks]) -> None:
    assets = [dg.AssetKey(["mart", name]) for name in ("price_comparison", "availability_gap")]

    def due(statement: str) -> None:
        with pipeline.connect() as conn:
            conn.execute(statement)

    def asked(minute: int) -> list[bool]:
        found = dg.evaluate_automation_conditions(
            defs,
            tick.instance,
            evaluation_time=HOUR + timedelta(minutes=minute),
            cursor=tick.cursor,
            asset_selection=dg.AssetSelection.assets(*assets),
        )
        tick.cursor = found.cursor
        return [found.get_num_requested(asset) == 1 for asset in assets]

    tick = ticks()
    assert asked(24) == [False, False]
    due("insert into mart.dirty_fixtures values ('odds_alerts', 7, now())")
    assert asked(38) == [False, False], "it is another product that is due"
    due("insert into mart.dirty_fixtures values ('prices', 7, now())")
    assert asked(40) == [False, False], "it is no tick"
    assert asked(53) == [True, True]
    assert asked(68) == [False, False], "the run that was asked for may have failed: a check tells of it"
    due("delete from mart.dirty_fixtures")
    assert asked(83) == [False, False]
    due("insert into mart.dirty_fixtures values ('prices', 7, now())")
    evaluated(tick.instance, passed=False)
    assert asked(98) == [False, False], "core contradicts itself"
    evaluated(tick.instance, passed=True)
    assert asked(113) == [True, True]
