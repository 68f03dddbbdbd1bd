"""A cycle whose process died: found, closed, derived, taken up again; nothing that was landed is lost or asked for
twice.
"""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

import palimpsest_pipeline_tests
from palimpsest_pipeline.defs import run_heartbeat
from palimpsest_pipeline.defs.asset_partitions import format_day_key
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
from palimpsest_pipeline_tests.fixtures.ledger import find_unfilled_columns, read_latest_cycles
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline, run_here
from palimpsest_pipeline_tests.fixtures.platforms import BETPAWA

from . import dying
from .cycles import answered, every_listing, lines_of

Start = Callable[..., SimulatorProcess]
IMPATIENT = {"heartbeat_s": 0.05, "silent_after_s": 0.2}
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


def details_asked(simulator: SimulatorProcess) -> Counter[tuple[str, str]]:
    return Counter(
        (asked.platform, asked.external_id) for asked in simulator.list_requests() if asked.endpoint == "detail"
    )


@pytest.mark.slow
def test_a_killed_cycle_is_closed_derived_and_taken_up_without_asking_anything_twice(
    start_simulator: Start, make_pipeline: MakePipeline
):
    simulator = start_simulator(40, 3)
    pipeline = make_pipeline(simulator, **IMPATIENT)
    killed_in_its_capture(pipeline, "first")
    with pipeline.connect() as conn:
        (dead,) = read_latest_cycles(conn)
    assert dead.status is RunStatus.RUNNING

    while not (asked_for := replays_asked_for(pipeline)):
        pass  # it has not been silent for long enough
    assert asked_for == [(str(dead.cycle.cycle_id), format_day_key(dead.cycle.partition_hour.date()))]
    with pipeline.connect() as conn:
        (closed,) = read_latest_cycles(conn)
        assert find_unfilled_columns(conn, dead.cycle.cycle_id) == []
    assert closed.status is RunStatus.INTERRUPTED
    (manifest,) = pipeline.landing.list_cycles()
    assert (manifest.status, manifest.stages) == (RunStatus.INTERRUPTED, ("discovery",))
    landed = answered(pipeline)
    lines = lines_of(pipeline)
    assert landed
    assert lines == {**dict.fromkeys(lines, "interrupted"), **dict.fromkeys(landed, "completed")}

    outcome = run_here(pipeline, "replay", dead.cycle.partition_hour.date())
    assert outcome.success, outcome.error
    with pipeline.connect() as conn:
        assert conn.execute("select count(*) from core.captures").fetchone() == (len(landed),)
    assert replays_asked_for(pipeline) == []

    before = details_asked(simulator)
    assert landed <= before.keys()
    result = live_cycle.run_capture(
        pipeline,
        live_cycle.ScrapeRequest(dead.cycle.partition_hour.date(), Trigger.MANUAL, "second", repeats=("first",)),
        ObserverGroup(),
    )
    assert (result.cycle, result.status) == (replace(dead.cycle, run_id="second"), RunStatus.COMPLETED)
    assert set((details_asked(simulator) - before).keys()).isdisjoint(landed)
    assert answered(pipeline) == set(lines_of(pipeline)) >= every_listing(pipeline) | landed
    assert set(lines_of(pipeline).values()) == {"completed"}
    assert pipeline.landing.list_cycles()[0].stages == ("discovery", "capture")
    with pipeline.connect() as conn:
        assert read_latest_cycles(conn)[0].status is RunStatus.COMPLETED
        assert find_unfilled_columns(conn, dead.cycle.cycle_id) == []
        ((fetched, attempts),) = conn.execute(
            "select (select sum(fetched) from ops.scrape_runs), (select sum(attempts) from ops.event_scrape_status)"
        ).fetchall()
    assert fetched == len(lines_of(pipeline))
    assert attempts <= details_asked(simulator).total()  # answers that died with the process are known to nobody


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
    asked_for = [(str(cycle.cycle_id), format_day_key(now.date()))]
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
