"""Runs handed to Celery workers: a cycle, a backfill, a worker that dies in the middle of it, a run that is ended from
the web page.

Everything is real and on loopback: `palimpsest up`, `palimpsest worker`, a broker, Postgres, the simulated platforms.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from io import StringIO

import dagster as dg
import psycopg
import pytest
from pydantic import SecretStr
from rich.console import Console

from palimpsest_pipeline.definitions import defs
from palimpsest_pipeline.domain.enums import RunStatus
from palimpsest_pipeline.operate.backfill.backfill import derive_due_fixtures, rebuild_dirty_dates, run_backfill
from palimpsest_pipeline.operate.celery_workers import describe_broker_state
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.installed_products import list_due_products
from palimpsest_pipeline.pipeline.marts.late_marts import find_late_days
from palimpsest_pipeline.pipeline.replay_plan import plan_hours
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline.storage.ledger import cycle_ledger
from palimpsest_pipeline_tests.fixtures.content import content_hashes, drop_derived
from palimpsest_pipeline_tests.fixtures.deployed import Site, kill_tree, redis, site, until
from palimpsest_pipeline_tests.fixtures.landed import land_hours
from palimpsest_pipeline_tests.fixtures.pipeline import pipelines
from palimpsest_pipeline_tests.fixtures.postgres import create_database, drop_database

pytestmark = [pytest.mark.nightly, pytest.mark.long]
HOURS = 10
FOUND_DEAD_WITHIN_S = 240.0
MARKS = "select (select count(*) from core.cycle_products) + (select count(*) from mart.cycle_products)"
CHECKED_DAYS = "select partition from asset_check_executions where check_name = 'history_equals_current' and execution_status = 'SUCCEEDED'"


@dataclass
class World:
    """A site with a broker, some hours landed, and nothing derived yet."""

    site: Site
    pipeline: Pipeline

    @property
    def hours(self) -> list[datetime]:
        """Hours with an answer: an hour may begin while the tests run."""
        return sorted({m.partition_hour for m in self.pipeline.landing.list_cycles()})

    @property
    def days(self) -> list[date]:
        """Their days."""
        return sorted({hour.date() for hour in self.hours})

    def n_marks(self) -> int:
        with self.pipeline.connect() as conn:
            return int(conn.execute(MARKS).fetchone()[0])

    def due(self) -> set[tuple[int, str]]:
        """Cycle and product of what is not derived."""
        with self.pipeline.connect() as conn:
            return {(each.cycle_id, each.product) for each in list_due_products(self.pipeline, conn)}

    def expected(self) -> dict[str, tuple[int, str]]:
        """What one process derives from all that is landed, uninterrupted; afterwards nothing is derived."""
        with dg.DagsterInstance.ephemeral() as instance:
            report = run_backfill(
                self.pipeline,
                instance,
                plan_hours(self.pipeline, self.hours[0], self.hours[-1]),
                Console(file=StringIO()),
            )
        assert report.is_complete, report.describe_failures()
        found = content_hashes(self.pipeline)
        drop_derived(self.pipeline)
        return found


@pytest.fixture(scope="module")
def world(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("celery")
    with ExitStack() as stack:
        broker = stack.enter_context(redis(folder))
        create_database(postgres, "celery_dagster")
        stack.callback(drop_database, postgres, "celery_dagster")
        make = stack.enter_context(pipelines(postgres, folder / "home"))
        simulator = stack.enter_context(SimulatorProcess(30, 5, epoch=datetime.now(UTC) - timedelta(hours=HOURS)))
        landed = land_hours(make, simulator, HOURS)
        theirs = {
            "dagster_database_url": SecretStr(postgres.build_url("celery_dagster")),
            "celery_broker_url": SecretStr(broker),
        }
        settings = landed.settings.model_copy(update=theirs)
        # Slow enough to be ended while it asks.
        slow = settings.to_environment() | {
            "PALIMPSEST_PLATFORM__BETPAWA__MIN_GAP_S": "0.3",
            "PALIMPSEST_PLATFORM__BETPAWA__MAX_IN_FLIGHT": "1",
        }
        running = stack.enter_context(site(folder, slow))
        running.up()
        yield World(running, Pipeline(settings))


def today() -> str:
    return str(datetime.now(UTC).date())


def test_a_run_waits_for_a_worker_and_a_worker_that_dies_in_a_backfill_is_found_out_and_what_is_left_is_done_by_another(
    world: World,
):
    settings, running = world.pipeline.settings, world.site
    ok, told = describe_broker_state(settings)
    assert not ok
    assert "no worker answers" in told
    run_id = running.launch("full_cycle", today())
    until(lambda: running.run(run_id)["status"] == "STARTING", "the run to be with the broker")
    worker = running.worker()
    told = until(
        lambda: told if (told := describe_broker_state(settings)[1]) and f"palimpsest-{worker.pid}" in told else None,
        "the worker to answer",
    )
    assert "open-sesame" not in told + (settings.dagster_home / "dagster.yaml").read_text() + running.log("worker")
    cycle = running.ended(run_id)
    assert cycle["status"] == "SUCCESS", [event["message"] for event in running.events(run_id)]

    expected = world.expected()
    assets = sorted(key.path for key in defs.resolve_job_def("replay").asset_layer.executable_asset_keys)
    asked = running.backfill([list(path) for path in assets], [str(day) for day in world.days])
    until(lambda: world.n_marks() > HOURS // 2, "the backfill to get on")
    (first,) = until(
        lambda: [run for run in running.runs(backfill=asked) if run["status"] == "STARTED"],
        "one of its runs to be under way",
    )
    kill_tree(worker.pid)
    died_at = datetime.now(UTC)
    dead = running.ended(first["runId"], FOUND_DEAD_WITHIN_S)
    print(f"found dead after {(datetime.now(UTC) - died_at).total_seconds():.0f} s")
    assert dead["status"] == "FAILURE"
    assert any(
        "The process of this run died at its work" in str(event.get("message"))
        for event in running.events(first["runId"])
    )
    assert content_hashes(world.pipeline) != expected

    running.worker()
    (again,) = until(lambda: running.runs(parent_run_id=first["runId"]), "the daemon to begin what is left")
    assert running.ended(again["runId"])["status"] == "SUCCESS"
    others = [run for run in running.runs(backfill=asked) if run["runId"] != first["runId"]]
    assert {running.ended(run["runId"])["status"] for run in others} == {"SUCCESS"}
    assert settings.dagster_database_url is not None
    with psycopg.connect(settings.dagster_database_url.get_secret_value().replace("+psycopg", "")) as conn:
        judged = {day for (day,) in conn.execute(CHECKED_DAYS).fetchall()}
    assert judged == {str(day) for day in world.days}, "each result of a check is of one day"
    # Of two days derived at the same time, the earlier one makes marts of the later one due again. The sensor looks for
    # them every five minutes.
    late = find_late_days(world.pipeline, datetime.now(UTC))
    assert world.due() == {(each.cycle_id, each.product) for day in late for each in day.due_products}, (
        "the sensor derives whatever is left"
    )
    for day in late:
        assert running.ended(running.launch("cycle_marts", str(day.day)))["status"] == "SUCCESS"
    with dg.DagsterInstance.ephemeral() as instance:
        assert rebuild_dirty_dates(world.pipeline, instance, print) == {}, (
            "what goes by kickoff dates has a job of its own"
        )
        assert derive_due_fixtures(world.pipeline, instance, print) is None, "what goes by fixtures, too"
    assert world.due() == set()
    assert content_hashes(world.pipeline) == expected


def test_a_cycle_ended_from_the_web_page_keeps_what_had_arrived(world: World):
    running = world.site
    worker = running.worker()
    run_id = running.launch("full_cycle", today())

    def batch() -> cycle_ledger.CycleRecord | None:
        with world.pipeline.connect() as conn:
            return cycle_ledger.read_cycle_of_run(conn, run_id)

    def landed() -> int:
        found = batch()
        return 0 if found is None else world.pipeline.landing.read_landed_listings(found.cycle.cycle_id).height

    until(landed, "the cycle to land something")
    running.terminate(run_id)
    assert running.ended(run_id)["status"] == "CANCELED"

    def cancelled_batch() -> cycle_ledger.CycleRecord | None:
        found = batch()
        return found if found is not None and found.status is RunStatus.CANCELLED else None

    cancelled = until(cancelled_batch, "the cycle to write its end")  # on a busy machine Dagster writes its own first
    assert cancelled is not None
    assert cancelled.finished_at is not None
    key = f"{cancelled.cycle.cycle_id} until {cancelled.finished_at.isoformat()}"
    replayed = until(
        lambda: [run for run in running.runs(run_key=key) if run["status"] == "SUCCESS"], "replay of the cycle"
    )
    assert len(replayed) == 1
    assert worker.poll() is None, "the worker takes the next run"
