"""A cycle whose process died: found, closed, derived, taken up again; nothing that was landed is lost or asked for
twice.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

import palimpsest_pipeline_tests
from palimpsest_pipeline.defs import run_heartbeat
from palimpsest_pipeline.defs.monitoring.dead_run_sensor import dead_runs
from palimpsest_pipeline.domain.cycles import Cycle
from palimpsest_pipeline.domain.enums import PayloadKind, RunStatus, Scope, Trigger
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.domain.instants import floor_to_hour, make_cycle_id
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.live import live_cycle, recovery
from palimpsest_pipeline.scrape.sinks import ObserverGroup
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline.storage.derivation import derived_products
from palimpsest_pipeline.storage.ledger import cycle_ledger, run_heartbeats
from palimpsest_pipeline_tests.fixtures.landed import find_versions, list_marks
from palimpsest_pipeline_tests.fixtures.ledger import read_latest_cycles
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline, run_here
from palimpsest_pipeline_tests.fixtures.platforms import BETPAWA

from . import dying

Start = Callable[..., SimulatorProcess]
ROOT = Path(palimpsest_pipeline_tests.__file__).parents[1]


def killed_in_its_capture(pipeline: Pipeline, run_id: str) -> None:
    environment = {**os.environ, **pipeline.settings.to_environment(), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", dying.__name__, run_id],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


def replays_asked_for(pipeline: Pipeline) -> list[tuple[str | None, str | None]]:
    with (
        dg.DagsterInstance.ephemeral() as instance,
        dg.build_sensor_context(instance=instance, resources={"pipeline": pipeline}) as context,
    ):
        return [
            ((request.run_key or "").partition(" until ")[0], request.partition_key) for request in dead_runs(context)
        ]


@pytest.mark.slow
def test_a_cycle_whose_process_on_this_machine_is_gone_is_closed_at_once(
    start_simulator: Start, make_pipeline: MakePipeline
):
    pipeline = make_pipeline(start_simulator(20, 3), silent_after_s=600)
    killed_in_its_capture(pipeline, "first")
    begun = live_cycle.ScrapeRequest(pipeline.clock.now().date(), Trigger.MANUAL, "second")
    cycle = live_cycle.open_cycle(pipeline, begun, Scope.FULL)
    with pipeline.connect() as conn:
        assert [(b.cycle.run_id, b.status) for b in read_latest_cycles(conn)] == [
            ("second", RunStatus.RUNNING),
            ("first", RunStatus.INTERRUPTED),
        ]
    with (
        run_heartbeat.start_run_heartbeat(pipeline, "second", "full_cycle"),
        pytest.raises(live_cycle.Overlaps, match=f"cycle {cycle.cycle_id} .*wait until it is over"),
    ):
        live_cycle.open_cycle(pipeline, replace(begun, run_id="third"), Scope.FULL)


@pytest.mark.parametrize("machine", ["another boot or pid namespace", None])
def test_of_a_silent_cycle_of_another_machine_a_refusal_says_when_it_will_be_closed(
    machine: str | None, make_pipeline: MakePipeline
):
    pipeline = make_pipeline(silent_after_s=600, heartbeat_s=0.01)
    begun = live_cycle.ScrapeRequest(pipeline.clock.now().date(), Trigger.MANUAL, "first")
    cycle = live_cycle.open_cycle(pipeline, begun, Scope.FULL)
    gone = subprocess.Popen(["true"])
    gone.wait()
    with pipeline.connect() as conn:
        run_heartbeats.write_heartbeat(
            conn, run_heartbeats.RunProcess("first", "full_cycle", "here or far", gone.pid, machine)
        )
        conn.execute("update ops.scrape_batches set heartbeat_at = heartbeat_at - interval '100 s'")
        batch = cycle_ledger.read_cycle(conn, cycle.cycle_id)
    assert batch is not None
    closed_at = batch.silent_since + timedelta(seconds=600)
    with pytest.raises(
        live_cycle.Overlaps, match=f"it is silent for \\d+ s; .*closes it from {closed_at:%H:%M:%S} UTC on"
    ):
        live_cycle.open_cycle(pipeline, replace(begun, run_id="second"), Scope.FULL)


@pytest.mark.parametrize("scope", [Scope.EVENTS, Scope.FULL])
def test_another_try_after_its_day_is_refused_and_the_dead_cycle_closed_and_derived(
    scope: Scope, make_pipeline: MakePipeline
):
    pipeline = make_pipeline()
    day = pipeline.clock.now().date()
    cycle = live_cycle.open_cycle(pipeline, live_cycle.ScrapeRequest(day, Trigger.MANUAL, "first"), scope)
    assert recovery.recover_dead_cycles(pipeline) == []  # it gave a sign of life just now
    later, again = (
        make_pipeline(clock_offset_s=25 * 3600),
        live_cycle.ScrapeRequest(day, Trigger.MANUAL, "second", repeats=("first",)),
    )
    with pytest.raises(live_cycle.NotLive, match=f"{day} cannot be scraped.*palimpsest backfill"):
        if scope is Scope.FULL:
            live_cycle.open_cycle(later, again, scope)
        else:
            live_cycle.run_capture(later, again, ObserverGroup())
    with pipeline.connect() as conn:
        (closed,) = read_latest_cycles(conn)
    assert (closed.cycle, closed.status) == (cycle, RunStatus.INTERRUPTED)
    assert closed.finished_at == closed.heartbeat_at
    outcome = run_here(pipeline, "replay", day)  # of nothing: it died before anything was landed
    assert outcome.success, outcome.error
    assert replays_asked_for(pipeline) == []


def dies(pipeline: Pipeline, cycle: Cycle) -> None:
    """A process takes the cycle up, lands one more answer, and dies before it has closed anything."""
    with pipeline.connect() as conn:
        cycle_ledger.write_running_cycle(conn, cycle)
    writer = pipeline.landing.open_writer(cycle)
    request = Request(BETPAWA, PayloadKind.TREE, "/tree")
    writer.append(Answer(request, 1, cycle.started_at, cycle.started_at, cycle.started_at, 200, {}, b"{}"))
    writer.flush()
    assert cycle.run_id is not None
    assert recovery.recover_dead_cycles(pipeline, [cycle.run_id]) == [cycle]


def test_a_second_death_after_a_replay_is_replayed_too(make_pipeline: MakePipeline):
    pipeline = make_pipeline()
    now = pipeline.clock.now()
    cycle = Cycle(make_cycle_id(now), Trigger.MANUAL, Scope.FULL, BETPAWA, floor_to_hour(now), now, "first")
    asked_for = [(str(cycle.cycle_id), str(now.date()))]
    dies(pipeline, cycle)
    assert replays_asked_for(pipeline) == asked_for
    manifest = pipeline.landing.read_manifest(cycle.cycle_id)
    versions = find_versions(pipeline)
    with pipeline.connect() as conn:
        for product in list_marks():
            derived_products.mark_derived(
                conn, product.schema, product.name, cycle.cycle_id, landing_digest=manifest.digest, n_rows=0, **versions
            )
    assert replays_asked_for(pipeline) == []
    dies(pipeline, replace(cycle, run_id="second"))
    assert replays_asked_for(pipeline) == asked_for
