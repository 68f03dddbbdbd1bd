"""Cycles against the simulator as production runs them, down to the landing and the tables that say what is gone."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from palimpsest_pipeline.domain.cycles import Cycle, EventOutcome, PlatformRun
from palimpsest_pipeline.domain.enums import Platform, Scope, Trigger
from palimpsest_pipeline.domain.instants import floor_to_hour, make_cycle_id
from palimpsest_pipeline.landing import Manifest
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.ingest.write_core import (
    derive_competitor_events,
    derive_home_events,
    derive_tournaments,
)
from palimpsest_pipeline.scrape import ScrapeEngine, build_host_setups
from palimpsest_pipeline.simulator.request_log import RequestLine
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline.wire import HostConfig
from palimpsest_pipeline.wire.client import PlatformClient
from palimpsest_pipeline_tests.fixtures.platforms import PLATFORMS
from palimpsest_pipeline_tests.fixtures.whole_cycle import WholeCycle, run_whole_cycle

from .expected import ELSEWHERE, FaultRun, Line, Listing


@dataclass(frozen=True)
class Seen:
    """What a cycle came to, what is landed of it, and what the simulator saw."""

    scraped: WholeCycle
    landed: pl.DataFrame
    log: list[RequestLine]
    manifest: Manifest

    @property
    def runs(self) -> dict[Platform, PlatformRun]:
        return {run.platform: run for run in self.scraped.result.runs}

    @property
    def outcomes(self) -> dict[Listing, EventOutcome]:
        return {(outcome.platform, outcome.external_id): outcome for outcome in self.scraped.result.outcomes}

    @property
    def lines(self) -> dict[Listing, Line]:
        return {listing: Line(one.attempts, one.status, one.failure) for listing, one in self.outcomes.items()}

    def log_of(self, platform: Platform) -> list[RequestLine]:
        return [line for line in self.log if line.platform == platform]


@dataclass(frozen=True)
class Stage:
    """A simulated world, and a pipeline with a landing and a database of its own."""

    simulator: SimulatorProcess
    pipeline: Pipeline
    listed: set[Listing]
    """What every cycle has to ask for."""

    async def scraped(self, run: FaultRun, elsewhere: str = "") -> Seen:
        """A full cycle with the run's failures on; they are off again afterwards."""
        self.simulator.clear_log()
        for platform in run.on:
            for mode, settings in run.faults:
                self.simulator.set_fault(
                    platform,
                    mode,
                    **{name: elsewhere if value == ELSEWHERE else value for name, value in settings.items()},
                )
        try:
            return await self._cycle(run)
        finally:
            for platform in run.on:
                self.simulator.set_fault(platform, "none")

    async def _cycle(self, run: FaultRun) -> Seen:
        pipeline, clock = self.pipeline, self.pipeline.clock
        now = clock.now()
        cycle = Cycle(
            make_cycle_id(now), Trigger.MANUAL, Scope.FULL, pipeline.settings.home_platform, floor_to_hour(now), now
        )
        writer = pipeline.landing.open_writer(cycle)
        limits = {"total_timeout_s": run.total_timeout_s, "max_body_bytes": run.max_body_bytes}
        async with AsyncExitStack() as stack:
            clients = {}
            for platform, adapter in pipeline.adapters.items():
                config = HostConfig(platform, self.simulator.base_urls[platform], adapter.build_headers(), **limits)  # type: ignore[arg-type]
                clients[platform] = await stack.enter_async_context(PlatformClient(config, clock))
            asked = build_host_setups(pipeline.adapters, clients, dict.fromkeys(PLATFORMS, run.budget))
            engine = await stack.enter_async_context(ScrapeEngine(asked, writer, clock=clock))
            found = await run_whole_cycle(cycle, pipeline.adapters, engine, clock=clock)
        manifest = writer.close(found.result.status, found.result.finished_at, ["discovery", "capture"])
        return Seen(
            found, pipeline.landing.read_landed_listings(cycle.cycle_id), self.simulator.list_requests(), manifest
        )

    def gone(self, seen: Seen) -> list[tuple[str, str]]:
        """Listings and tournaments that are marked absent once the cycle is in core."""
        with self.pipeline.connect() as conn:
            for derive in (derive_tournaments, derive_home_events, derive_competitor_events):
                derive(self.pipeline, conn, seen.manifest)
            tables = ("event_listings", "tournament_listings")
            return [
                row
                for table in tables
                for row in conn.execute(f"select platform, external_id from core.{table} where deleted_at is not null")
            ]


def lasting(truth: Mapping[str, Any], for_minutes: int = 30) -> set[Listing]:
    """Listings of fixtures that do not kick off so soon, by any platform's claim."""
    soon = datetime.fromisoformat(truth["now"]) + timedelta(minutes=for_minutes)
    return {
        (Platform(platform), external_id)
        for fixture in truth["fixtures"]
        if all(datetime.fromisoformat(kickoff_at) > soon for kickoff_at in fixture["kickoffs"].values())
        for platform, external_ids in fixture["platforms"].items()
        for external_id in external_ids
    }
