"""Backfill in this process, on a few hours of a simulated world: what it derives, what it leaves alone, what it
refuses, and how it says so.
"""

import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import dagster as dg
import pytest
from rich.console import Console

from palimpsest_pipeline.definitions import defs
from palimpsest_pipeline.defs.cycle_jobs import CYCLE_ASSETS
from palimpsest_pipeline.defs.monitoring.checks import find_unfinished_work
from palimpsest_pipeline.domain.enums import FreshnessFamily, Scope
from palimpsest_pipeline.domain.instants import format_hour_key
from palimpsest_pipeline.operate.backfill.backfill import BackfillReport, list_lost_cycles, mark_hours_due, run_backfill
from palimpsest_pipeline.operate.backfill.hour_spans import split_into_spans
from palimpsest_pipeline.operate.run_job import run_job
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.replay_plan import PlannedHour, plan_hours
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline.storage.derivation.due_products import DueReason
from palimpsest_pipeline.storage.marts import data_freshness
from palimpsest_pipeline_tests.fixtures.content import content_hashes, drop_derived
from palimpsest_pipeline_tests.fixtures.landed import land_hours, list_marks
from palimpsest_pipeline_tests.fixtures.pipeline import pipelines
from palimpsest_pipeline_tests.fixtures.platforms import BETPAWA
from palimpsest_pipeline_tests.fixtures.vocabularies import without

HOURS = 3


@dataclass(frozen=True)
class World:
    """Landed hours that were all derived once, and what that came to."""

    pipeline: Pipeline
    first: datetime
    last: datetime
    content: dict[str, tuple[int, str]]

    @property
    def hours(self) -> list[datetime]:
        return [self.first + timedelta(hours=n) for n in range(HOURS)]

    @property
    def keys(self) -> list[str]:
        return [format_hour_key(hour) for hour in self.hours]

    def again(
        self,
        pipeline: Pipeline | None = None,
        first: datetime | None = None,
        last: datetime | None = None,
        **options: Any,
    ) -> BackfillReport:
        return run(pipeline or self.pipeline, first or self.first, last or self.last, **options)

    def with_newer_parser(self, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
        """The same pipeline, in which BetPawa's answers are read by a later version of its parser."""
        found = Pipeline(self.pipeline.settings)
        monkeypatch.setattr(found.get_adapter(BETPAWA), "parser_version", 99)
        return found

    def other(self, **replaced: Any) -> Pipeline:
        """The same pipeline with another vocabulary."""
        found = Pipeline(self.pipeline.settings)
        found.__dict__.update(replaced)
        return found

    @contextmanager
    def moved_away(self, path: Path) -> Iterator[None]:
        away = path.with_name(f"away.{path.name}")
        path.rename(away)
        try:
            yield
        finally:
            shutil.rmtree(path, ignore_errors=True)
            away.rename(path)

    def folder(self, hour: datetime) -> Path:
        return Path(self.pipeline.settings.landing_root) / f"date={hour:%Y-%m-%d}" / f"hour={hour:%H}"


def run(pipeline: Pipeline, first: datetime | None, last: datetime | None, **options: Any) -> BackfillReport:
    with dg.DagsterInstance.ephemeral() as instance:
        report = run_backfill(
            pipeline, instance, plan_hours(pipeline, first, last), Console(file=io.StringIO()), **options
        )
        runs = instance.get_runs()
    assert {run.status for run in runs} <= {dg.DagsterRunStatus.SUCCESS} or report.failed
    return report


def marks(pipeline: Pipeline) -> dict[tuple[Any, ...], Any]:
    """When each product was derived."""
    with pipeline.connect() as conn:
        rows = conn.execute(
            """
            select 'core', partition_hour, cycle_id, product, computed_at from core.cycle_products join core.cycles using (cycle_id)
            union all
            select 'mart', partition_hour, cycle_id, product, computed_at from mart.cycle_products join core.cycles using (cycle_id)
            """
        ).fetchall()
    return {row[:-1]: row[-1] for row in rows}


def due_keys(hours: list[PlannedHour]) -> dict[str, set[DueReason]]:
    return {hour.key: {product.reason for product in hour.due} for hour in hours if hour.due}


@pytest.fixture(scope="module")
def world(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Every test leaves it as it was: all hours derived."""
    epoch = datetime.now(UTC) - timedelta(hours=HOURS + 1)
    with (
        SimulatorProcess(3, 5, epoch=epoch) as simulator,
        pipelines(postgres, tmp_path_factory.mktemp("backfill")) as make,
    ):
        pipeline = land_hours(make, simulator, HOURS)
        hours = sorted({m.partition_hour for m in pipeline.landing.list_cycles()})
        assert len(hours) == HOURS
        report = run(pipeline, hours[0], hours[-1])
        assert (report.done, report.is_complete) == ([format_hour_key(hour) for hour in hours], True), report
        yield World(pipeline, hours[0], hours[-1], content_hashes(pipeline))


def test_what_is_marked_is_what_the_plan_expects(world: World):
    products = list_marks()
    assert len({m.scope for m in world.pipeline.landing.list_cycles()} | {Scope.FULL}) == 1
    expected = {
        (p.schema, m.partition_hour, m.cycle_id, p.name) for m in world.pipeline.landing.list_cycles() for p in products
    }
    assert marks(world.pipeline).keys() == expected


@pytest.mark.slow
def test_dropped_core_and_mart_come_back_equal(world: World):
    drop_derived(world.pipeline)
    report = world.again(first=world.first - timedelta(hours=2))
    assert (report.done, len(report.empty)) == (world.keys, 2)
    assert content_hashes(world.pipeline) == world.content


@pytest.mark.slow
def test_core_and_mart_of_a_day_in_one_run_are_those_of_single_runs_and_each_check_is_of_the_day(world: World):
    """What a day launched in the UI runs."""
    drop_derived(world.pipeline)
    days = sorted({hour.date() for hour in world.hours})
    with dg.DagsterInstance.ephemeral() as instance:
        for day in days:
            outcome = run_job(instance, world.pipeline, "replay", day)
            assert outcome.success, outcome.error
        told = {key: figures_by_day(instance, key) for key in CYCLE_ASSETS.resolve(defs.resolve_asset_graph())}
        checked = [checks_of_run(instance, run.run_id) for run in reversed(instance.get_runs())]
    assert world.again().done == [], "only what rests on all days was left"
    assert content_hashes(world.pipeline) == world.content
    keys = [str(day) for day in days]
    assert all(list(by_day) == keys for by_day in told.values()), told
    with world.pipeline.connect() as conn:
        query = "select partition_hour::date::text, count(f) from core.cycles left join mart.coverage_fixture f using (cycle_id) group by 1"
        fixtures = dict(conn.execute(query).fetchall())
    assert told[dg.AssetKey(["mart", "coverage_fixture"])] == fixtures
    assert all(checked)
    assert [{key for found in checks.values() for key in found} for checks in checked] == [{key} for key in keys]


def figures_by_day(instance: dg.DagsterInstance, key: dg.AssetKey) -> dict[str, Any]:
    """Return the row counts that an asset told of, by partition."""
    records = instance.fetch_materializations(key, limit=100).records
    return {
        str(r.partition_key): r.asset_materialization.metadata["dagster/row_count"].value
        for r in reversed(records)
        if r.asset_materialization
    }


def checks_of_run(instance: dg.DagsterInstance, run_id: str) -> dict[str, list[str | None]]:
    """Return the partitions that each check of a run has a result of."""
    found: dict[str, list[str | None]] = {}
    for record in instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION).records:
        evaluation = record.event_log_entry.get_dagster_event().asset_check_evaluation_data
        found.setdefault(evaluation.check_name, []).append(evaluation.partition)
    return found


def test_hours_that_stand_are_left_alone_without_a_run(world: World):
    before = marks(world.pipeline)
    with dg.DagsterInstance.ephemeral() as instance:
        report = run_backfill(
            world.pipeline, instance, plan_hours(world.pipeline, world.first, world.last), Console(file=io.StringIO())
        )
        assert instance.get_runs() == []
    assert (report.done, report.up_to_date, report.is_complete) == ([], world.keys, True)
    assert marks(world.pipeline) == before


def test_rows_that_somebody_changed_come_back_when_their_hour_is_asked_for_again(world: World):
    changed, others = world.hours[1], [hour for hour in world.hours if hour != world.hours[1]]
    before = marks(world.pipeline)
    with world.pipeline.connect() as conn:
        n = conn.execute(
            "update mart.run_quality q set fetched = fetched + 1 from core.cycles c where c.cycle_id = q.cycle_id and c.partition_hour = %s",
            [changed],
        ).rowcount
    assert n > 0
    assert world.again().done == [], "what is marked as up to date is not looked at"
    mark_hours_due(world.pipeline, plan_hours(world.pipeline, changed, changed))
    assert world.again(first=changed, last=changed).done == [format_hour_key(changed)]
    assert world.again().is_complete, "and later hours that rest on it"
    assert content_hashes(world.pipeline) == world.content
    after = marks(world.pipeline)
    assert all(after[mark] > at for mark, at in before.items() if mark[1] == changed), "all of the hour, core and mart"
    assert all(after[mark] == at for mark, at in before.items() if mark[0] == "core" and mark[1] in others)


@pytest.mark.slow
def test_odds_are_as_fresh_as_before_when_their_hour_was_derived_again_and_nothing_had_to_be_written(world: World):
    def standing() -> tuple[list[Any], list[datetime | None]]:
        with world.pipeline.connect() as conn:
            rows = conn.execute("select cycle_id, product, n_rows from core.cycle_products order by 1, 2").fetchall()
            newest = conn.execute(
                "select max(observed_at) from core.captures join ops.listing_ids using (listing_id) group by platform"
            ).fetchall()
            newest_data = data_freshness.read_newest_data(conn, world.pipeline.platforms, world.last.date())
            fresh = [at for family, _, at in newest_data if family is FreshnessFamily.ODDS]
        assert set(fresh) == {at for (at,) in newest}
        return rows, fresh

    before = standing()
    mark_hours_due(world.pipeline, plan_hours(world.pipeline, world.last, world.last))
    assert world.again(first=world.last, last=world.last).done == [format_hour_key(world.last)]
    assert standing() == before


def test_an_hour_that_cannot_be_derived_keeps_its_rows_when_asked_for_again(world: World):
    segment = next(world.folder(world.hours[1]).glob("**/platform=betpawa/*.parquet"))
    before = marks(world.pipeline)
    with world.moved_away(segment):
        mark_hours_due(world.pipeline, plan_hours(world.pipeline, world.hours[1], world.hours[1]))
    with world.moved_away(world.folder(world.hours[1])):
        mark_hours_due(world.pipeline, plan_hours(world.pipeline, world.hours[1], world.hours[1]))
    assert marks(world.pipeline) == before


@pytest.mark.slow
def test_hours_in_any_order_come_to_the_same(world: World):
    drop_derived(world.pipeline)
    hours = world.hours
    Random(3).shuffle(hours)
    for hour in hours:
        report = world.again(first=hour, last=hour)
        assert (report.done, report.failed) == ([format_hour_key(hour)], {})
    assert run(world.pipeline, None, None).is_complete, "marts that carry what an earlier hour discovered later"
    assert plan_is_empty(world)
    assert content_hashes(world.pipeline) == world.content


def plan_is_empty(world: World) -> bool:
    return not any(hour.due for hour in plan_hours(world.pipeline))


@pytest.mark.slow
def test_an_hour_whose_landing_is_gone_is_refused_and_named_and_its_rows_stay(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    newer = world.with_newer_parser(monkeypatch)
    lost_hour = world.hours[1]
    before = marks(world.pipeline)
    (manifest,) = world.pipeline.landing.list_cycles(hour=lost_hour)
    with world.moved_away(world.folder(lost_hour)):
        report = world.again(newer)
    assert report.refused == {
        format_hour_key(lost_hour): f"cycle {manifest.cycle_id} is no longer in the landing; its rows stay as they are"
    }
    assert report.done == [key for key in world.keys if key != format_hour_key(lost_hour)]
    assert not report.is_complete
    assert not report.is_empty_handed
    after = marks(world.pipeline)
    untouched = {mark for mark in before if before[mark] == after.get(mark)}
    assert {mark[1] for mark in untouched} == {lost_hour}
    assert {mark[-1] for mark in before if mark[1] == lost_hour and mark not in untouched} <= {"coverage"}, (
        "it rests on earlier hours too"
    )
    assert world.again().is_complete, "back to this parser"
    assert content_hashes(world.pipeline) == world.content


@pytest.mark.slow
def test_an_hour_that_only_the_ledger_knows_is_refused_too(world: World):
    drop_derived(world.pipeline)
    with world.moved_away(world.folder(world.hours[1])):
        report = world.again()
        assert list(report.refused) == [world.keys[1]]
        (hour,) = [hour for hour in plan_hours(world.pipeline) if hour.gone_cycles]
        assert [gone.is_stale for gone in hour.gone_cycles] == [True]
    assert world.again().is_complete
    assert content_hashes(world.pipeline) == world.content


def test_gone_cycles_whose_rows_stand_are_refused_but_not_stale(world: World):
    with world.moved_away(world.folder(world.hours[1])):
        (hour,) = [hour for hour in plan_hours(world.pipeline) if hour.lost_cycles]
        assert (len(list_lost_cycles(hour, stale_only=False)), list_lost_cycles(hour, stale_only=True)) == (1, [])
        assert world.again(stale_only=True).is_complete


@pytest.mark.slow
def test_an_hour_that_lacks_segments_is_refused_and_the_others_are_derived(world: World):
    drop_derived(world.pipeline)
    segment = next(world.folder(world.hours[1]).glob("**/platform=betpawa/*.parquet"))
    with world.moved_away(segment):
        report = world.again()
    assert list(report.refused) == [world.keys[1]]
    assert segment.name in report.refused[world.keys[1]]
    assert report.done == [key for key in world.keys if key != world.keys[1]]
    assert world.again().done == world.keys[1:], "and the marts after it, which carry what it discovered"
    assert content_hashes(world.pipeline) == world.content


def test_an_hour_whose_manifest_cannot_be_read_and_whose_rows_stand_is_refused_but_not_stale(world: World):
    path = next(world.folder(world.hours[1]).glob("cycle=*/manifest.json"))
    before = marks(world.pipeline)
    with world.moved_away(path):
        path.write_text("{")
        mark_hours_due(world.pipeline, plan_hours(world.pipeline, world.hours[1], world.hours[1]))
        stale, asked = world.again(stale_only=True), world.again()
        with dg.DagsterInstance.ephemeral() as instance:
            assert find_unfinished_work(instance, world.pipeline, []).refused_hours == {}
        path.unlink()
    assert (stale.is_complete, stale.empty, stale.up_to_date) == (True, [], world.keys)
    assert list(asked.refused) == [world.keys[1]]
    assert marks(world.pipeline) == before


@pytest.mark.slow
def test_a_failure_is_that_hours_alone_and_only_that_hour_is_tried_again(world: World):
    drop_derived(world.pipeline)
    segment = next(world.folder(world.hours[-2]).glob("**/platform=betpawa/*.parquet"))
    with world.moved_away(segment):
        segment.write_bytes(b"not as it was written")
        report = world.again()
    assert list(report.failed) == [world.keys[-2]]
    assert "is not as it was written" in report.failed[world.keys[-2]]
    assert report.done == [key for key in world.keys if key != world.keys[-2]]
    before = marks(world.pipeline)
    assert world.again().is_complete
    after = marks(world.pipeline)
    again = {mark[1] for mark in before if before[mark] != after[mark]}
    assert again <= {world.hours[-1]}, "its marts carry what the failed hour discovered"
    assert content_hashes(world.pipeline) == world.content


def test_nothing_that_could_be_done_is_said(world: World, monkeypatch: pytest.MonkeyPatch):
    with world.moved_away(world.folder(world.first)):
        report = world.again(world.with_newer_parser(monkeypatch), last=world.first)
    assert report.is_empty_handed
    assert world.keys[0] in report.describe_failures()


@pytest.mark.slow
def test_another_vocabulary_makes_exactly_what_rests_on_the_old_one_stale(world: World, tmp_path: Path):
    assert plan_is_empty(world)
    edited = world.other(vocabulary=without({"total_goals"}, tmp_path / "vocabulary"))
    assert due_keys(plan_hours(edited)) == {key: {DueReason.MAPPING} for key in world.keys}
    assert world.again(edited, first=world.hours[1], last=world.hours[1]).done == [world.keys[1]]
    found = {hour.key: {product.schema for product in hour.due} for hour in plan_hours(edited)}
    assert found[world.keys[1]] == set(), "what was derived with the edit stands"
    assert all(found[key] == {"core", "mart"} for key in world.keys if key != world.keys[1])
    assert world.again(edited, first=None, last=None, stale_only=True).is_complete
    assert not any(hour.due for hour in plan_hours(edited))
    assert run(world.pipeline, None, None, stale_only=True).is_complete
    assert content_hashes(world.pipeline) == world.content


def test_spans_are_of_one_day_and_of_equal_size_and_hold_every_hour_once():
    begin = datetime(2026, 5, 1, tzinfo=UTC)
    hours = [begin + timedelta(hours=n) for n in (*range(30), *range(40, 43))]
    cut = split_into_spans("core", hours, max_hours=12)
    assert [len(span.hours) for span in cut] == [12, 12, 9]
    assert [hour for span in cut for hour in span.hours] == hours
    assert [
        span.hours[0]
        for span in split_into_spans("core", hours[:6], excluded_hours=[hours[0] - timedelta(hours=1), hours[3]])
    ] == [
        hours[0],
        hours[3],
    ]
    assert split_into_spans("core", []) == []
