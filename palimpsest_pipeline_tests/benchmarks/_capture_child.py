"""A capture of every listing, or the discovery before it, in a process of its own.

With the production's wire, judges and landing writer; without Dagster and without a database.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import msgspec

from palimpsest_pipeline.domain.cycles import Cycle, Target
from palimpsest_pipeline.domain.enums import Platform, RunStatus, Scope, Sport, Trigger
from palimpsest_pipeline.domain.instants import Clock, floor_to_hour, make_cycle_id
from palimpsest_pipeline.landing import CycleWriter, Landing
from palimpsest_pipeline.scrape import (
    HostSetup,
    ScrapeEngine,
    StageTally,
    build_host_setups,
    build_targets,
    capture_targets,
    discover,
)
from palimpsest_pipeline.scrape.host_budget import HostBudget
from palimpsest_pipeline.wire import HostConfig
from palimpsest_pipeline.wire.client import PlatformClient
from palimpsest_pipeline_tests.fixtures.platforms import BETPAWA, build_adapters

from ._child import Meter, Task, Usage, peak_rss_mb, tell, the_task

HOME: Final = BETPAWA
FAR: Final = timedelta(minutes=30)
"""Fixtures that kick off sooner are left out: every run asks for the same ones."""


class Landed(msgspec.Struct, array_like=True):
    """One good answer. Instants in Unix seconds."""

    platform: Platform
    external_id: str
    requested_at: float
    received_at: float


class Fetched(msgspec.Struct):
    """What a capture, or a discovery, did."""

    usage: Usage
    """From before the first request until everything is landed."""
    peak_rss_mb: float
    requests: int
    landed: list[Landed]
    targets: list[Target] = []
    """What discovery found, of a discovery."""
    mb: float = 0.0
    """Of bodies, unpacked; millions of bytes."""


@dataclass(frozen=True)
class World:
    """What a capture works with."""

    task: Task
    cycle: Cycle
    hosts: Mapping[Platform, HostSetup]
    writer: CycleWriter
    clock: Clock

    async def capture(self, wanted: Sequence[Target]) -> None:
        async with ScrapeEngine(self.hosts, self.writer, clock=self.clock) as engine:
            await capture_targets(self.cycle, wanted, build_adapters(self.task.base_urls), engine, clock=self.clock)

    async def discovery(self) -> list[Target]:
        async with ScrapeEngine(self.hosts, self.writer, clock=self.clock) as engine:
            adapters = build_adapters(self.task.base_urls)
            found = await discover(adapters, engine, sport=Sport.FOOTBALL, tally=StageTally())
        listings = [listing for discovery in found.discoveries.values() for listing in discovery.listings]
        return build_targets(listings, tuple(adapters), HOME, self.clock.now() + FAR)


async def run(task: Task) -> Fetched:
    """The capture of the task's targets, or the discovery of them."""
    spoken, clock, landing = build_adapters(task.base_urls), Clock(), Landing(task.folder)
    now = clock.now()
    cycle = Cycle(make_cycle_id(now), Trigger.MANUAL, Scope.FULL, HOME, floor_to_hour(now), now)
    writer = landing.open_writer(cycle)
    budgets = {platform: HostBudget(task.slots[platform], task.gaps_s[platform]) for platform in task.base_urls}
    found: list[Target] = []
    async with AsyncExitStack() as stack:
        configs = [
            HostConfig(platform, url, spoken[platform].build_headers()) for platform, url in task.base_urls.items()
        ]
        clients = {
            config.platform: await stack.enter_async_context(PlatformClient(config, clock)) for config in configs
        }
        world = World(task, cycle, build_host_setups(spoken, clients, budgets), writer, clock)
        meter = Meter()
        if task.do == "discovery":
            found = await world.discovery()
        else:
            await world.capture(task.targets)
        writer.close(RunStatus.COMPLETED, clock.now())
        usage = meter.read()
    peak = peak_rss_mb()
    frame = landing.read_landed_listings(cycle.cycle_id)
    good = frame.filter(frame["failure"].is_null(), frame["external_id"].is_not_null()).sort("requested_at")
    usage.began_at = frame["requested_at"].min().timestamp()  # type: ignore[union-attr]
    landed = [
        Landed(r["platform"], r["external_id"], r["requested_at"].timestamp(), r["received_at"].timestamp())
        for r in good.iter_rows(named=True)
    ]
    return Fetched(usage, peak, frame.height, landed, found, int(frame["n_bytes"].sum()) / 1e6)


if __name__ == "__main__":
    tell(asyncio.run(run(the_task(Task))))
