"""A capture that is finished with other settings: it requests the platforms that its cycle covers, and no others."""

from collections.abc import Callable

from palimpsest_pipeline.domain.enums import RunStatus, Scope, Trigger
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.live import live_cycle
from palimpsest_pipeline.scrape.sinks import ObserverGroup
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline, run_here
from palimpsest_pipeline_tests.fixtures.platforms import BETPAWA, SPORTYBET

Start = Callable[..., SimulatorProcess]


def begun(pipeline: Pipeline, run_id: str, *repeats: str) -> live_cycle.ScrapeRequest:
    return live_cycle.ScrapeRequest(pipeline.clock.now().date(), Trigger.MANUAL, run_id, repeats=repeats)


def platforms_of_details(simulator: SimulatorProcess) -> set[str]:
    return {asked.platform for asked in simulator.list_requests() if asked.endpoint == "detail"}


def test_a_platform_that_is_added_meanwhile_is_not_requested(start_simulator: Start, make_pipeline: MakePipeline):
    simulator = start_simulator(12, 3)
    simulator.set_clock(0, stopped=True)
    three = make_pipeline(simulator)
    assert run_here(three, "full_cycle").success
    two = make_pipeline(simulator, platforms="betpawa,sportybet")
    live_cycle.open_cycle(two, begun(two, "first"), Scope.EVENTS)
    simulator.clear_log()
    result = live_cycle.run_capture(three, begun(three, "second", "first"), ObserverGroup())
    assert result.status is RunStatus.COMPLETED
    assert {run.platform for run in result.runs} == platforms_of_details(simulator) == {BETPAWA, SPORTYBET}


def test_a_home_that_is_given_up_meanwhile_does_not_end_the_capture(
    start_simulator: Start, make_pipeline: MakePipeline
):
    simulator = start_simulator(12, 3)
    simulator.set_clock(0, stopped=True)
    before = make_pipeline(simulator)
    cycle = live_cycle.open_cycle(before, begun(before, "first"), Scope.FULL)
    live_cycle.run_discovery(before, cycle, ObserverGroup(), has_capture_next=True)
    after = make_pipeline(simulator, platforms="sportybet,bet9ja", home_platform="sportybet")
    result = live_cycle.run_capture(after, begun(after, "first"), ObserverGroup())
    assert result.cycle.cycle_id == cycle.cycle_id
    assert platforms_of_details(simulator) == set(after.platforms)
