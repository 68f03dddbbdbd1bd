"""Whole cycles through the real dialects against the simulated platforms, held against the simulator's own truth."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from palimpsest_pipeline.domain.enums import Completeness, FailureClass, ListingKind, Platform, RunStatus
from palimpsest_pipeline.domain.instants import Clock
from palimpsest_pipeline.scrape import ScrapeEngine, build_host_setups
from palimpsest_pipeline.scrape.host_budget import HostBudget
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline.wire import HostConfig
from palimpsest_pipeline.wire.client import PlatformClient
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA, PLATFORMS, SPORTYBET, build_adapters
from palimpsest_pipeline_tests.fixtures.whole_cycle import WholeCycle, run_whole_cycle

from .world import QUICK, Kept, cycle

BUDGET = replace(QUICK, max_in_flight=5)
Start = Callable[..., SimulatorProcess]


@pytest.fixture(scope="module")
def small_world() -> Iterator[SimulatorProcess]:
    """One simulator for the tests of faults; each switches its own fault off again."""
    with SimulatorProcess(size=12) as simulator:
        yield simulator


@asynccontextmanager
async def open_engine(
    simulator: SimulatorProcess, sink: Kept, budget: HostBudget = BUDGET
) -> AsyncIterator[ScrapeEngine]:
    async with AsyncExitStack() as stack:
        clients = {
            platform: await stack.enter_async_context(
                PlatformClient(HostConfig(platform, simulator.base_urls[platform], adapter.build_headers()), Clock())
            )
            for platform, adapter in build_adapters().items()
        }
        asked = build_host_setups(build_adapters(), clients, dict.fromkeys(PLATFORMS, budget))
        yield await stack.enter_async_context(ScrapeEngine(asked, sink, clock=Clock()))


async def scraped(simulator: SimulatorProcess, sink: Kept, budget: HostBudget = BUDGET) -> WholeCycle:
    async with open_engine(simulator, sink, budget) as engine:
        return await run_whole_cycle(cycle(), build_adapters(), engine, clock=Clock())


def matches(found: WholeCycle, platform: Platform) -> set[str]:
    listings = found.discoveries[platform].listings
    return {listing.external_id for listing in listings if listing.kind is ListingKind.MATCH and not listing.is_in_play}


def true_matches(truth: Mapping[str, Any], platform: Platform) -> set[str]:
    # By listing id: some listings carry no SportRadar id and are the fixture's by other evidence.
    known = {external_id for fixture in truth["fixtures"] for external_id in fixture["platforms"].get(platform, ())}
    return known | {entry["external_id"] for entry in truth["unidentified"] if entry["platform"] == platform}


def well_before_kickoff(truth: Mapping[str, Any], platform: Platform) -> set[str]:
    """Listings of fixtures that do not kick off while the test runs, whichever platform is believed about the
    kickoff.
    """
    soon = datetime.fromisoformat(truth["now"]) + timedelta(minutes=10)
    return {
        external_id
        for fixture in truth["fixtures"]
        if all(datetime.fromisoformat(kickoff_at) > soon for kickoff_at in fixture["kickoffs"].values())
        for external_id in fixture["platforms"].get(platform, ())
    }


async def test_a_cycle_finds_and_captures_exactly_what_the_platforms_list(start_simulator: Start) -> None:
    simulator, sink = start_simulator(size=40), Kept()
    before = simulator.fetch_truth()
    found = await scraped(simulator, sink)
    after = simulator.fetch_truth()
    for platform in PLATFORMS:
        assert found.discoveries[platform].completeness is Completeness.COMPLETE, found.discoveries[platform].reason
        stable = true_matches(before, platform) & true_matches(after, platform)
        assert stable <= matches(found, platform) <= true_matches(before, platform) | true_matches(after, platform)
        lasting = well_before_kickoff(before, platform) & well_before_kickoff(after, platform)
        asked = {outcome.external_id for outcome in found.result.outcomes if outcome.platform == platform}
        assert lasting <= asked <= matches(found, platform)
    fixtures = {(outcome.platform, outcome.external_id): outcome.sr_id for outcome in found.result.outcomes}
    for fixture in before["fixtures"]:
        for platform, external_ids in fixture["platforms"].items():
            asked = {key for external_id in external_ids if (key := (platform, external_id)) in fixtures}
            assert {fixtures[key] for key in asked} <= {fixture["sr_id"]}, (
                "also one that the platform knows by another provider's id"
            )
    assert found.result.status is RunStatus.COMPLETED
    failures = {outcome.failure for outcome in found.result.outcomes} - {None}
    assert failures <= {FailureClass.NOT_FOUND}, "only what kicked off or was withdrawn meanwhile may be gone"
    answered = Counter(o.sr_id for o in found.result.outcomes if o.sr_id is not None and o.failure is None)
    assert sum(n > 1 for n in answered.values()) >= before["counts"]["matched"] // 2
    for platform, adapter in build_adapters().items():
        details = [a for a in sink.of(platform) if a.request.external_id and a.ok]
        assert details
        assert all(
            adapter.read_detail([answer]).listing.external_id == answer.request.external_id for answer in details
        )
        assert sum(run.requests for run in found.result.runs if run.platform == platform) == len(sink.of(platform))


@pytest.mark.parametrize(
    ("mode", "failure"),
    [
        ("down", FailureClass.TRANSIENT),
        ("error", FailureClass.TRANSIENT),
        ("truncate", FailureClass.TRANSIENT),
        ("block", FailureClass.BLOCKED),
        ("html", FailureClass.BLOCKED),
        ("empty202", FailureClass.BLOCKED),
        ("ratelimit", FailureClass.RATE_LIMITED),
    ],
)
async def test_whatever_befalls_one_platform_the_others_are_complete(
    small_world: SimulatorProcess, mode: str, failure: FailureClass
) -> None:
    small_world.set_fault(SPORTYBET, mode, retry_after_s=0)
    try:
        found = await scraped(small_world, Kept())
    finally:
        small_world.set_fault(SPORTYBET, "none")
    runs = {run.platform: run for run in found.result.runs}
    assert found.discoveries[SPORTYBET].completeness is Completeness.FAILED
    assert not found.discoveries[SPORTYBET].listings
    assert runs[SPORTYBET].status is RunStatus.FAILED
    assert runs[SPORTYBET].errors_by_class.keys() == {str(failure)}
    assert runs[SPORTYBET].message != ""
    for platform in (BETPAWA, BET9JA):
        assert runs[platform].status is RunStatus.COMPLETED
        assert runs[platform].fetched > 0
    assert found.result.status is RunStatus.PARTIAL


async def test_a_platform_that_fails_now_and_then_is_still_captured_whole(small_world: SimulatorProcess) -> None:
    small_world.set_fault(BET9JA, "error", share=0.3)
    try:
        found = await scraped(small_world, Kept(), replace(BUDGET, max_attempts=20))
    finally:
        small_world.set_fault(BET9JA, "none")
    (run,) = [run for run in found.result.runs if run.platform == BET9JA]
    assert found.result.status is RunStatus.COMPLETED
    assert set(run.errors_by_class) <= {"transient", "not_found"}
    assert run.errors_by_class["transient"] > 0
