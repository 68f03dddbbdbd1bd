"""A platform that hangs, fails or is slow in its discovery: the others do not wait, it is captured when it comes in
time, and nothing is absent.
"""

import signal
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

import dagster as dg
import pytest

from palimpsest_pipeline.domain.cycles import CycleResult, EventOutcome, PlatformRun
from palimpsest_pipeline.domain.enums import PayloadKind, Platform, RunStatus, Scope, Trigger
from palimpsest_pipeline.operate.run_job import run_job
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.live import live_cycle, recovery, stage
from palimpsest_pipeline.scrape.sinks import ObserverGroup, ScrapeObserver
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline.storage.ledger import cycle_ledger, cycle_reader, host_state
from palimpsest_pipeline_tests.fixtures.content import content_hashes, drop_derived
from palimpsest_pipeline_tests.fixtures.ledger import find_unfilled_columns, read_latest_cycles
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline, rows, run_here
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA, PLATFORMS, SPORTYBET
from palimpsest_pipeline_tests.fixtures.truth import check_against_truth

from .cycles import list_answered_listings, list_target_listings, read_statuses

Start = Callable[..., SimulatorProcess]
LATE: Final = BET9JA
"""Its crawl takes several rounds in a small world, too: the tree, then every competition."""
OTHERS: Final = (BETPAWA, SPORTYBET)
PRESENT_STATE: Final = {
    "mart.compared_listing",
    "mart.price_comparison",
    "mart.availability_gap",
    "mart.odds_alert",
    "mart.dirty_fixtures",
}
SLOW_MS: Final = 1500.0
"""Stands for 10 s a page: longer than the others are captured, so that it is late, and well within the limit."""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_cycle, "DISCOVERY_PATIENCE_S", 0.5)


def slow_world(start: Start) -> SimulatorProcess:
    """A world that stands still, in which one platform takes its time for its lists."""
    simulator = start(40, 3)
    simulator.set_clock(0, stopped=True)
    for endpoint in ("tree", "listing"):
        simulator.set_latency(f"{LATE}.{endpoint}", SLOW_MS, SLOW_MS)
    return simulator


def begun(pipeline: Pipeline, run_id: str = "run-1", *repeats: str) -> live_cycle.ScrapeRequest:
    return live_cycle.ScrapeRequest(pipeline.clock.now().date(), Trigger.MANUAL, run_id, repeats=repeats)


def discovered(pipeline: Pipeline) -> CycleResult:
    """The discovery of a cycle whose capture is to follow in the same run."""
    return live_cycle.run_discovery(
        pipeline, live_cycle.open_cycle(pipeline, begun(pipeline), Scope.FULL), ObserverGroup(), has_capture_next=True
    )


def run_of(result: CycleResult, platform: Platform) -> PlatformRun:
    (run,) = [run for run in result.runs if run.platform == platform]
    return run


def details_of(simulator: SimulatorProcess, platform: Platform) -> list[float]:
    """When the platform's details were asked for, Unix seconds."""
    return [
        asked.arrived_at
        for asked in simulator.list_requests()
        if asked.platform == platform and asked.endpoint == "detail"
    ]


def content_of_cycles(pipeline: Pipeline) -> dict[str, tuple[int, str]]:
    """(rows, hash) of every table that a replay of single cycles derives: the present state is derived once, after
    the last one.
    """
    return {table: content for table, content in content_hashes(pipeline).items() if table not in PRESENT_STATE}


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["hang", "error"])
def test_a_dead_platform_delays_nobody_and_nothing_of_it_is_absent(
    mode: str, start_simulator: Start, make_pipeline: MakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator = start_simulator(40, 3)
    simulator.set_clock(0, stopped=True)
    pipeline = make_pipeline(simulator)
    monkeypatch.setattr(live_cycle, "DISCOVERY_LIMIT", timedelta(seconds=4))
    assert run_here(pipeline, "full_cycle").success
    simulator.clear_log()
    simulator.set_fault(LATE, mode)

    result = discovered(pipeline)
    assert run_of(result, LATE).status is RunStatus.RUNNING
    assert "late" in run_of(result, LATE).message
    assert [run_of(result, platform).status for platform in OTHERS] == [RunStatus.COMPLETED] * 2
    assert pipeline.landing.read_manifest(result.cycle.cycle_id).late == (LATE,)
    result = live_cycle.run_capture(pipeline, begun(pipeline), ObserverGroup())
    assert (run_of(result, LATE).status, run_of(result, LATE).discovered) == (RunStatus.FAILED, 0)
    assert "tree" in run_of(result, LATE).message
    assert [run_of(result, platform).status for platform in OTHERS] == [RunStatus.COMPLETED] * 2
    assert all(details_of(simulator, platform) for platform in OTHERS)
    assert not details_of(simulator, LATE)
    assert sum(asked.platform == LATE for asked in simulator.list_requests()) > 1, (
        "it was asked beside the capture, too"
    )

    outcome = run_here(pipeline, "replay")
    assert outcome.success, outcome.error
    assert rows(pipeline, "select platform, external_id from core.event_listings where deleted_at is not null") == []
    assert rows(pipeline, "select distinct platform from core.tournament_listings where deleted_at is not null") == []
    last = f"cycle_id = {result.cycle.cycle_id}"
    assert rows(
        pipeline, f"select distinct completeness from core.discovery_manifest where platform = '{LATE}' and {last}"
    ) == [("failed",)]
    landed = pipeline.landing.read_landed_listings(result.cycle.cycle_id)
    good = landed.filter(landed["failure"].is_null(), landed["kind"] != PayloadKind.DETAIL)["received_at"].max()
    assert rows(pipeline, f"select as_of from core.cycles where {last}") == [(good,)], (
        "what came later says nothing of the lists"
    )


@pytest.mark.slow
def test_a_platform_that_comes_in_time_is_captured_whole_and_a_replay_gives_the_same(
    start_simulator: Start, make_pipeline: MakePipeline
) -> None:
    simulator = slow_world(start_simulator)
    pipeline = make_pipeline(simulator)
    with dg.DagsterInstance.ephemeral() as instance:
        outcome = run_job(instance, pipeline, "full_cycle", pipeline.clock.now().date())
        assert outcome.success, outcome.error
        event = instance.get_latest_materialization_event(dg.AssetKey(["landing", "discovery_payloads"]))
    assert event is not None
    assert event.asset_materialization is not None
    figures = {name: value.value for name, value in event.asset_materialization.metadata.items()}
    assert (figures["late"], figures[f"{LATE}_status"]) == (LATE, RunStatus.RUNNING)
    assert rows(pipeline, "select distinct status, message from ops.scrape_runs") == [("completed", "")]
    assert rows(pipeline, "select status from ops.scrape_batches") == [("completed",)]
    assert list_answered_listings(pipeline) == read_statuses(pipeline).keys() >= list_target_listings(pipeline)
    details = {platform: details_of(simulator, platform) for platform in PLATFORMS}
    assert all(min(details[LATE]) > min(details[platform]) for platform in OTHERS), "the others did not wait"
    with pipeline.connect() as conn:
        (batch,) = read_latest_cycles(conn)
        assert find_unfilled_columns(conn, batch.cycle.cycle_id) == []
        (run,) = [run for run in cycle_reader.read_result(conn, batch).runs if run.platform == LATE]
    n_landed = pipeline.landing.read_landed_listings(batch.cycle.cycle_id).filter(platform=LATE).height
    assert (run.requests, run.discovered, run.targets) == (n_landed, run.discovered, run.fetched)
    assert run.discovered > 0
    check_against_truth(pipeline, simulator.fetch_truth())

    content = content_of_cycles(pipeline)
    assert content["core.listing_observations"][0] > 0
    drop_derived(pipeline)
    outcome = run_here(pipeline, "replay")
    assert outcome.success, outcome.error
    assert content_of_cycles(pipeline) == content


@pytest.mark.parametrize(
    ("limit_s", "status"), [(120, RunStatus.COMPLETED), pytest.param(0, RunStatus.FAILED, marks=pytest.mark.slow)]
)
def test_a_run_that_dies_between_its_stages_is_taken_up_with_its_late_platform(
    limit_s: float,
    status: RunStatus,
    start_simulator: Start,
    make_pipeline: MakePipeline,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pipeline = make_pipeline(slow_world(start_simulator))
    monkeypatch.setattr(live_cycle, "DISCOVERY_LIMIT", timedelta(seconds=limit_s))
    cycle = discovered(pipeline).cycle
    assert recovery.recover_dead_cycles(pipeline, ["run-1"]) == [cycle]
    result = live_cycle.run_capture(pipeline, begun(pipeline, "run-2", "run-1"), ObserverGroup())
    assert result.cycle.cycle_id == cycle.cycle_id
    assert [run_of(result, platform).status for platform in OTHERS] == [RunStatus.COMPLETED] * 2
    assert run_of(result, LATE).status is status
    assert {Platform(platform) for platform, _ in list_answered_listings(pipeline)} == {
        *OTHERS,
        *([LATE] if limit_s else []),
    }
    assert list_answered_listings(pipeline) >= list_target_listings(pipeline)
    manifest = pipeline.landing.read_manifest(cycle.cycle_id)
    assert (manifest.stages, manifest.late) == (("discovery", "capture"), (LATE,))


def test_a_late_platform_is_waited_for_when_its_own_discovery_found_the_trouble_and_not_when_another_cycle_did(
    start_simulator: Start, make_pipeline: MakePipeline
) -> None:
    pipeline, own, other = make_pipeline(start_simulator(4, 3)), 2, 1
    host, now = pipeline.find_host_name(LATE), pipeline.clock.now()

    def is_blocked(cycle_id: int, for_s: float) -> bool:
        with pipeline.connect() as conn:
            host_state.block_host(conn, host, cycle_id, "no answer", now, for_s)
        return stage._read_host_holds(pipeline, own, [LATE])[LATE].is_blocked

    assert [is_blocked(own, 60), is_blocked(other, 30), is_blocked(other, 90)] == [False, False, True]


class InterruptsWhenListed(ScrapeObserver):
    """A Watch: presses Ctrl-C as soon as something of the late platform's discovery has been answered."""

    def on_outcomes(self, outcomes: Sequence[EventOutcome]) -> None:
        if any(outcome.platform == LATE and not outcome.external_id for outcome in outcomes):
            signal.raise_signal(signal.SIGINT)


@pytest.mark.slow
def test_a_capture_that_ends_while_a_platform_is_late_is_taken_up_without_asking_anything_twice(
    start_simulator: Start, make_pipeline: MakePipeline
) -> None:
    simulator = slow_world(start_simulator)
    pipeline = make_pipeline(simulator)
    cycle = discovered(pipeline).cycle
    with pytest.raises(KeyboardInterrupt):
        live_cycle.run_capture(pipeline, begun(pipeline), InterruptsWhenListed())
    with pipeline.connect() as conn:
        batch = cycle_ledger.read_cycle(conn, cycle.cycle_id)
    assert batch is not None
    assert batch.status is RunStatus.CANCELLED
    assert pipeline.landing.read_landed_listings(cycle.cycle_id).filter(platform=LATE)["kind"].to_list() == [
        PayloadKind.TREE
    ]
    good = list_answered_listings(pipeline)
    simulator.clear_log()
    result = live_cycle.run_capture(pipeline, begun(pipeline, "run-2", "run-1"), ObserverGroup())
    assert result.status is RunStatus.COMPLETED
    assert list_answered_listings(pipeline) >= list_target_listings(pipeline)
    assert set(read_statuses(pipeline).values()) == {"completed"}
    asked = simulator.list_requests()
    assert good.isdisjoint((request.platform, request.external_id) for request in asked)
    assert "tree" not in {request.endpoint for request in asked}


def test_a_discovery_that_no_capture_follows_waits_for_every_platform(
    start_simulator: Start, make_pipeline: MakePipeline
) -> None:
    pipeline = make_pipeline(slow_world(start_simulator))
    cycle = live_cycle.open_cycle(pipeline, begun(pipeline), Scope.FULL)
    result = live_cycle.run_discovery(pipeline, cycle, ObserverGroup())
    assert result.status is RunStatus.COMPLETED
    assert pipeline.landing.read_manifest(cycle.cycle_id).late == ()
