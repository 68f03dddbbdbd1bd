"""Backfill over two days: hours in random order, then as a command by several processes, ended in several ways and
taken up again.

Nothing is done twice or left running, and it comes to what one process derives in order.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import dagster as dg
import psutil
import pytest
from pydantic import SecretStr

from palimpsest_pipeline.defs.instance import open_instance
from palimpsest_pipeline.defs.run_heartbeat import report_dead_runs
from palimpsest_pipeline.domain.instants import format_hour_key
from palimpsest_pipeline.operate.backfill.hour_spans import HourSpan, run_span
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.replay_plan import HOUR
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline_tests.fixtures.commands import PALIMPSEST, environment
from palimpsest_pipeline_tests.fixtures.content import content_hashes, drop_derived
from palimpsest_pipeline_tests.fixtures.landed import land_hours
from palimpsest_pipeline_tests.fixtures.pipeline import pipelines
from palimpsest_pipeline_tests.fixtures.postgres import create_database, drop_database

from .test_backfill import marks, run

pytestmark = [pytest.mark.nightly, pytest.mark.long]
HOURS = 27
"""Two days at least, whatever the hour of now."""
PATIENCE_S = 600.0


@dataclass(frozen=True)
class World:
    """Two days that were derived once, in order, by one process; and what that came to."""

    pipeline: Pipeline
    folder: Path
    first: datetime
    last: datetime
    content: dict[str, tuple[int, str]]

    def begin(self, *words: str) -> subprocess.Popen[str]:
        command = [*PALIMPSEST, "backfill", format_hour_key(self.first), format_hour_key(self.last), "--json", *words]
        settings = self.pipeline.settings.to_environment()
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=environment(self.folder, **settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def n_marks(self) -> int:
        with self.pipeline.connect() as conn:
            return conn.execute(
                "select (select count(*) from core.cycle_products) + (select count(*) from mart.cycle_products)"
            ).fetchone()[0]


def until(holds: Callable[[], Any], process: subprocess.Popen[str] | None = None) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def workers(process: subprocess.Popen[str]) -> list[psutil.Process]:
    found = []
    for child in psutil.Process(process.pid).children():
        with suppress(psutil.Error):  # short-lived helpers end while they are looked at
            if "spawn_main" in " ".join(child.cmdline()):
                found.append(child)
    return found


@pytest.fixture(scope="module")
def world(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    create_database(postgres, "backfill_dagster")
    folder = tmp_path_factory.mktemp("killed")
    epoch = datetime.now(UTC) - timedelta(hours=HOURS + 1)
    with pipelines(postgres, folder / "home") as make:
        with SimulatorProcess(3, 5, epoch=epoch) as simulator:
            landed = land_hours(make, simulator, HOURS)
        hours = sorted({m.partition_hour for m in landed.landing.list_cycles()})
        assert len(hours) == HOURS
        report = run(landed, hours[0], hours[-1])
        assert (len(report.done), report.is_complete) == (HOURS, True), report.describe_failures()
        settings = landed.settings.model_copy(
            update={
                "heartbeat_s": 1.0,
                "silent_after_s": 5.0,
                "dagster_database_url": SecretStr(postgres.build_url("backfill_dagster")),
            }
        )
        yield World(Pipeline(settings), folder, hours[0], hours[-1], content_hashes(landed))
    drop_database(postgres, "backfill_dagster")


def test_a_backfill_in_any_order_and_killed_in_several_ways_goes_on_where_it_was(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    everything = world.n_marks()
    drop_derived(world.pipeline)
    rng = Random(os.getpid())
    print("seed", os.getpid())
    with dg.DagsterInstance.ephemeral() as instance:
        for number in rng.sample(range(HOURS), HOURS // 6):
            ((_, error),) = run_span(instance, world.pipeline, HourSpan("core", (world.first + number * HOUR,)))
            assert error is None

    def begun_and_hit(number: int, *, worker: bool) -> int:
        """Hits a backfill that has got on a little with a signal, the command or one of its workers; returns the
        command's exit code.
        """
        before, stood = marks(world.pipeline), world.n_marks()
        process = world.begin("--jobs", "2")
        until(lambda: workers(process) and world.n_marks() > stood + rng.randrange(1, everything // 12), process)
        children = workers(process)
        os.kill(rng.choice(children).pid if worker else process.pid, number)
        process.communicate(timeout=PATIENCE_S)
        until(lambda: not any(child.is_running() for child in children))
        after = marks(world.pipeline)
        assert all(after[mark] == at for mark, at in before.items() if mark[0] == "core"), (
            "what stands is not derived again"
        )
        return process.returncode

    assert begun_and_hit(signal.SIGKILL, worker=False) == -signal.SIGKILL
    assert begun_and_hit(signal.SIGTERM, worker=False) == 130
    assert begun_and_hit(signal.SIGKILL, worker=True) == 3
    before = marks(world.pipeline)
    report = run(world.pipeline, world.first, world.last)
    assert (report.is_complete, bool(report.done)) == (True, True), "the hours of the worker that died were left"
    after = marks(world.pipeline)
    assert len(after) == everything
    assert all(after[mark] == at for mark, at in before.items() if mark[0] == "core")
    assert content_hashes(world.pipeline) == world.content
    for name in os.environ:
        if name.startswith(("PALIMPSEST_", "DAGSTER_")):
            monkeypatch.delenv(name)
    over = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}
    with open_instance(world.pipeline.settings) as instance:

        def none_runs_on() -> bool:
            report_dead_runs(instance, world.pipeline)  # as the next command does
            return {run.status for run in instance.get_runs()} <= over

        until(none_runs_on)
