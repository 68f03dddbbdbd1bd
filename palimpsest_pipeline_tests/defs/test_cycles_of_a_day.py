"""A day of several cycles: a run derives its own, costs the same however many there are, and one bad cycle costs itself
and nothing else.

The run that has scraped a cycle is repeated without its scrape: it derives and judges what a live run does.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest
from psycopg import sql

from palimpsest_pipeline.definitions import defs
from palimpsest_pipeline.defs.run_cycles import SCRAPING_JOBS, RunCycles, find_run_cycles
from palimpsest_pipeline.domain.instants import format_hour_key, get_day_start
from palimpsest_pipeline.landing import Landing
from palimpsest_pipeline.operate.backfill.backfill import mark_hours_due
from palimpsest_pipeline.operate.backfill.hour_spans import HourSpan, run_span
from palimpsest_pipeline.operate.run_job import run_job
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.installed_products import list_due_products
from palimpsest_pipeline.pipeline.replay_plan import plan_hours
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.runtime.run_tags import FOLLOWS_TAG
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline.storage.ledger import cycle_ledger
from palimpsest_pipeline_tests.fixtures.landed import land_at
from palimpsest_pipeline_tests.fixtures.pipeline import copy_pipeline, pipelines
from palimpsest_pipeline_tests.operate.backfill.test_backfill import run as backfilled

DAY = datetime.now(UTC).date() - timedelta(days=1)
MIDNIGHT = get_day_start(DAY)
MINUTES = (5, 65, 125)
"""When the cycles of the day are, after midnight: one an hour."""
KEY = format_hour_key(MIDNIGHT)
"""The hour of the first cycle."""
CHECK = "classes_add_up_to_the_union"
MANY = 300


@dataclass(frozen=True)
class Day:
    """Landed cycles of one day, of which nothing is derived."""

    pipeline: Pipeline
    instance: dg.DagsterInstance
    cycle_ids: list[int]

    def run_of(self, cycle_id: int) -> dg.ExecuteInProcessResult:
        """Repeat the run that has scraped the cycle, without its scrape."""
        with self.pipeline.connect() as conn:
            batch = cycle_ledger.read_cycle(conn, cycle_id)
        assert batch is not None
        return defs.resolve_job_def("replay").execute_in_process(
            instance=self.instance,
            partition_key=str(DAY),
            tags={FOLLOWS_TAG: str(batch.cycle.run_id)},
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            resources={"pipeline": self.pipeline},
            raise_on_error=False,
        )

    def due(self, cycle_id: int) -> set[str]:
        with self.pipeline.connect() as conn:
            return {each.product for each in list_due_products(self.pipeline, conn, cycle_ids=[cycle_id])}

    def segment(self, cycle_id: int) -> Path:
        return next(Path(self.pipeline.settings.landing_root).glob(f"**/cycle={cycle_id}/platform=betpawa/*.parquet"))


@pytest.fixture(scope="module")
def landed(
    postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Pipeline, list[int]]]:
    """The day's cycles in a landing of which nothing is derived; nobody changes it."""
    with (
        pipelines(postgres, tmp_path_factory.mktemp("day")) as make,
        SimulatorProcess(3, 5, epoch=MIDNIGHT - timedelta(hours=1)) as simulator,
    ):
        cycle_ids = [
            land_at(make, simulator, (MIDNIGHT + timedelta(minutes=minute) - datetime.now(UTC)).total_seconds())
            for minute in MINUTES
        ]
        yield make(), cycle_ids


@pytest.fixture
def day(
    postgres: EmbeddedPostgres, landed: tuple[Pipeline, list[int]], instance: dg.DagsterInstance, tmp_path: Path
) -> Iterator[Day]:
    pipeline, cycle_ids = landed
    with copy_pipeline(postgres, pipeline, tmp_path / "home") as copy:
        yield Day(copy, instance, cycle_ids)


def verdict(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    return next(each for each in result.get_asset_check_evaluations() if each.check_name == CHECK)


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Count SQL statements and manifests that are read, inside the block."""
    found: Counter[str] = Counter()

    def counting(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            result = function(*args, **options)
            found[name] += len(result) if isinstance(result, list) else 1
            return result

        return call

    with pytest.MonkeyPatch.context() as patched:
        for name in ("execute", "executemany"):
            patched.setattr(psycopg.Cursor, name, counting("statements", getattr(psycopg.Cursor, name)))
        for name in ("read_manifest", "reread_manifest", "list_cycles"):
            patched.setattr(Landing, name, counting("manifests", getattr(Landing, name)))
        yield found


def copy_cycle(pipeline: Pipeline, cycle_id: int, n: int) -> None:
    """Write as many copies of a cycle that is derived and judged, each a second earlier than the one before."""
    tables = (
        "core.cycles",
        "core.cycle_products",
        "mart.cycle_products",
        "ops.landed_cycles",
        "ops.cycle_checks",
        "ops.scrape_batches",
    )
    rows = (
        "mart.match_rate_platform",
        "mart.run_quality",
        "mart.mapping_coverage",
        "mart.coverage_fixture",
        "mart.coverage_tournament",
    )
    with pipeline.connect() as conn:
        for table in (*tables, *rows):
            query = """
                insert into {table}
                select (jsonb_populate_record(t, jsonb_build_object('cycle_id', t.cycle_id - 1000 * n))).*
                from {table} t, generate_series(1, %s) n where t.cycle_id = %s
            """
            conn.execute(sql.SQL(query).format(table=sql.Identifier(*table.split("."))), [n, cycle_id])
        conn.execute("analyze")


@pytest.mark.slow
def test_a_run_derives_its_own_cycle_alone_and_costs_the_same_however_many_the_day_has(day: Day) -> None:
    first, second, third = day.cycle_ids
    assert day.run_of(second).success
    assert (day.due(second), len(day.due(first)) > 5, len(day.due(third)) > 5) == (set(), True, True)
    assert day.run_of(first).success
    with counted() as of_few:
        assert day.run_of(second).success, "again: its coverage rests on the first one"
    copy_cycle(day.pipeline, first, MANY)
    with counted() as of_many:
        assert day.run_of(second).success
    assert of_many["manifests"] <= of_few["manifests"]
    assert 0 < of_many["statements"] <= 1.1 * of_few["statements"], (of_few, of_many)
    with counted() as of_new:
        assert day.run_of(third).success
    assert day.due(third) == set()
    assert of_new["manifests"] <= 20 * 3, "a few for each product, none for another cycle"


@pytest.mark.slow
def test_a_cycle_that_fails_a_blocking_check_fails_its_own_run_and_is_a_warning_to_later_ones_until_it_is_mended(
    day: Day,
) -> None:
    bad, good, later = day.cycle_ids
    assert day.run_of(bad).success
    with day.pipeline.connect() as conn:
        conn.execute("update mart.match_rate_platform set n_home_only = n_home_only + 1 where cycle_id = %s", [bad])
    own = day.run_of(bad)
    assert (own.success, verdict(own).passed, verdict(own).severity) == (False, False, dg.AssetCheckSeverity.ERROR)
    result = day.run_of(good)
    assert result.success
    assert day.due(good) == set()
    assert (verdict(result).passed, verdict(result).severity) == (False, dg.AssetCheckSeverity.WARN)
    assert str(verdict(result).description).startswith(f"still bad from an earlier run: cycle {bad}: ")
    for _ in range(2):
        assert not run_job(day.instance, day.pipeline, "replay", DAY).success, (
            "a bad cycle is judged again by each replay of its day"
        )
    hours = plan_hours(day.pipeline, MIDNIGHT, MIDNIGHT)
    mark_hours_due(day.pipeline, hours)
    assert backfilled(day.pipeline, MIDNIGHT, MIDNIGHT).done == [KEY]
    mended = day.run_of(later)
    assert mended.success
    assert verdict(mended).passed


@pytest.mark.slow
def test_a_blocking_check_that_fails_in_a_backfill_fails_the_hours_of_its_bad_cycles_and_no_other(day: Day) -> None:
    bad, _, waiting = day.cycle_ids
    span = HourSpan("mart", tuple(MIDNIGHT + timedelta(hours=n) for n in range(3)))
    assert run_job(day.instance, day.pipeline, "replay", DAY).success

    def failed_hours() -> dict[int, str]:
        with day.pipeline.connect() as conn:
            conn.execute("delete from ops.cycle_checks")  # so that every cycle is judged again
        return {hour.hour: error for hour, error in run_span(day.instance, day.pipeline, span) if error is not None}

    with day.pipeline.connect() as conn:
        conn.execute("update mart.match_rate_platform set n_home_only = n_home_only + 1 where cycle_id = %s", [bad])
    alone = failed_hours()
    assert list(alone) == [0]
    assert f"cycle {bad}: mart/match_rate_platform:{CHECK}: " in alone[0]
    with day.pipeline.connect() as conn:
        conn.execute("delete from core.cycle_products where cycle_id = %s and product = 'matched_events'", [waiting])
        conn.execute("delete from mart.cycle_products where cycle_id = %s", [waiting])
    assert list(failed_hours()) == [0, 2]


def test_a_run_that_lost_its_cycle_derives_none_and_one_that_repeats_its_derivation_that_of_the_run(day: Day) -> None:
    with day.pipeline.connect() as conn:
        batch = cycle_ledger.read_cycle(conn, day.cycle_ids[0])
        assert batch is not None

        def cycles(run: dg.DagsterRun) -> RunCycles:
            return find_run_cycles(conn, run, DAY)

        run_id, steps = batch.cycle.run_id or "", {"core__tournaments", "core__home_events"}
        assert cycles(dg.DagsterRun("full_cycle", run_id)) == RunCycles(day.cycle_ids[:1], is_own=True)
        assert cycles(dg.DagsterRun("full_cycle", "lost")) == RunCycles([], is_own=True)
        by_hand = frozenset([dg.AssetKey(["landing", "odds_payloads"]), dg.AssetKey(["core", "tournaments"])])
        assert cycles(dg.DagsterRun("__ASSET_JOB", "lost", asset_selection=by_hand)) == RunCycles([], is_own=True)
        again = dg.DagsterRun("full_cycle", "again", tags={FOLLOWS_TAG: run_id}, step_keys_to_execute=sorted(steps))
        assert cycles(again) == RunCycles(day.cycle_ids[:1], is_own=True)
        assert cycles(dg.DagsterRun("replay", "derives")) == RunCycles(day.cycle_ids, is_own=False)


def test_jobs_that_scrape_are_those_with_assets_of_the_landing() -> None:
    jobs = [job for job in defs.resolve_all_job_defs() if job.name != "__ASSET_JOB"]
    assert {
        job.name for job in jobs if any(key.path[0] == "landing" for key in job.asset_layer.executable_asset_keys)
    } == set(SCRAPING_JOBS)
