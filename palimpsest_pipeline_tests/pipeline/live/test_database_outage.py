"""Postgres is away during a capture: the cycle lives on, is not taken for dead, and ends as it would have."""

import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psycopg
import pytest

from palimpsest_pipeline.domain.cycles import EventOutcome
from palimpsest_pipeline.domain.enums import RunStatus, Scope, Trigger
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.live import live_cycle
from palimpsest_pipeline.pipeline.live.ledger_writer import LedgerWriter
from palimpsest_pipeline.pipeline.live.recovery import recover_dead_cycles
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.scrape.sinks import ObserverGroup, ScrapeObserver
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline.storage.db.connection import DatabaseUnreachable
from palimpsest_pipeline.storage.ledger import cycle_ledger
from palimpsest_pipeline_tests.fixtures.ledger import read_latest_cycles
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline, pipelines
from palimpsest_pipeline_tests.fixtures.postgres import run_server

from .cycles import list_answered_listings, read_statuses

PATIENCE_S = 60
OUTAGE_S = 2.5


@pytest.fixture
def own_server() -> Iterator[EmbeddedPostgres]:
    """A server that this test may stop: others share the session's."""
    with tempfile.TemporaryDirectory(prefix="palimpsest-outage-") as folder, run_server(Path(folder)) as server:
        yield server


@pytest.fixture
def own_pipeline(own_server: EmbeddedPostgres, tmp_path: Path) -> Iterator[MakePipeline]:
    with pipelines(own_server, tmp_path) as make:
        yield make


class Outage(ScrapeObserver):
    """A Watch: at the first answer Postgres stops and starts again; then other processes look for the dead."""

    def __init__(self, pipeline: Pipeline, server: EmbeddedPostgres) -> None:
        self.pipeline, self.server = pipeline, server
        self.closed_after_restart: list[int] | None = None
        self.status_after_reopening: RunStatus | None = None

    def on_outcomes(self, outcomes: Sequence[EventOutcome]) -> None:
        if self.closed_after_restart is not None:
            return
        self.server.stop()
        time.sleep(OUTAGE_S)
        self.server.start()
        self.closed_after_restart = [cycle.cycle_id for cycle in recover_dead_cycles(self.pipeline)]
        recover_dead_cycles(self.pipeline, ["run"])  # somebody who is wrong about the run
        deadline = time.monotonic() + PATIENCE_S
        while self.status_after_reopening is not RunStatus.RUNNING and time.monotonic() < deadline:
            with self.pipeline.connect() as conn:
                batch = cycle_ledger.read_cycle_of_run(conn, "run")
                self.status_after_reopening = None if batch is None else batch.status


def test_a_capture_outlives_a_database_that_is_stopped_for_longer_than_the_silence_limit(
    start_simulator: Callable[..., SimulatorProcess],
    own_pipeline: MakePipeline,
    own_server: EmbeddedPostgres,
) -> None:
    pipeline = own_pipeline(start_simulator(20, 3), heartbeat_s=1.0, silent_after_s=2.0)
    begun = live_cycle.ScrapeRequest(pipeline.clock.now().date(), Trigger.MANUAL, "run")
    cycle = live_cycle.open_cycle(pipeline, begun, Scope.FULL)
    live_cycle.run_discovery(pipeline, cycle, ObserverGroup(), has_capture_next=True)
    outage = Outage(pipeline, own_server)
    result = live_cycle.run_capture(pipeline, begun, outage)
    assert outage.closed_after_restart == [], "nobody could give a sign of life while the server was down"
    assert outage.status_after_reopening is RunStatus.RUNNING, "a sign of life of the same run reopens its batch"
    assert result.status is RunStatus.COMPLETED
    with pipeline.connect() as conn:
        (batch,) = read_latest_cycles(conn)
        runs = conn.execute("select distinct status from ops.scrape_runs").fetchall()
    assert (batch.status, runs) == (RunStatus.COMPLETED, [("completed",)])
    assert read_statuses(pipeline) == dict.fromkeys(list_answered_listings(pipeline), "completed")


def test_a_live_cycle_outlives_the_crash_of_a_backend_that_kept_everybody_out_for_long(
    own_pipeline: MakePipeline, own_server: EmbeddedPostgres
) -> None:
    pipeline = own_pipeline(heartbeat_s=1.0, silent_after_s=2.0)
    cycle = live_cycle.open_cycle(
        pipeline, live_cycle.ScrapeRequest(pipeline.clock.now().date(), Trigger.MANUAL, "run"), Scope.FULL
    )
    with pipeline.connect() as conn:
        before = conn.execute("select pg_postmaster_start_time()").fetchone()
        conn.commit()
        conn.execute("checkpoint")  # this server commits asynchronously
        conn.commit()
        os.kill(conn.info.backend_pid, signal.SIGKILL)
        with pytest.raises(psycopg.OperationalError):
            conn.execute("select 1")
        conn.close()
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            with pipeline.connect() as conn:
                assert conn.execute("select pg_postmaster_start_time()").fetchone() == before, (
                    "the recovery does not show there"
                )
                # The recovery took long: neither the cycle nor the start of the server is younger than the silence
                # limit.
                conn.execute(
                    "select pg_sleep(greatest(0, 3 - extract(epoch from clock_timestamp() - pg_postmaster_start_time())))"
                )
                conn.execute("update ops.scrape_batches set heartbeat_at = clock_timestamp() - interval '1 minute'")
            break
        except (DatabaseUnreachable, psycopg.OperationalError):
            assert time.monotonic() < deadline
    with LedgerWriter(pipeline.connect, cycle, heartbeat_interval_s=1.0):
        assert recover_dead_cycles(pipeline) == []
    assert recover_dead_cycles(pipeline) == []
    with pipeline.connect() as conn:
        conn.execute("update ops.scrape_batches set heartbeat_at = clock_timestamp() - interval '1 minute'")
    assert recover_dead_cycles(pipeline) == [cycle], "one that gives no sign is dead"
