"""Ways to fetch every listing, in a process of their own: ours, platform by platform, and the reference's; and the
discovery before them.

Each with the production's wire, judges and landing writer; without Dagster and without a database.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

import msgspec

from palimpsest_pipeline.domain.cycles import Cycle, Target
from palimpsest_pipeline.domain.enums import Platform, RunStatus, Scope, Sport, Trigger
from palimpsest_pipeline.domain.exchange import Request
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
"""Fixtures that kick off sooner are left out: all schemes ask for the same ones, however long the others took."""

BATCH: Final = 50
"""The reference's fixtures between two barriers ..."""
TOGETHER: Final = 10
"""... and how many of them at a time."""


class Landed(msgspec.Struct, array_like=True):
    """One good answer. Instants in Unix seconds."""

    platform: Platform
    external_id: str
    requested_at: float
    received_at: float


class Fetched(msgspec.Struct):
    """What a scheme did."""

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
    """What the schemes work with."""

    task: Task
    cycle: Cycle
    hosts: Mapping[Platform, HostSetup]
    writer: CycleWriter
    clock: Clock

    def requests(self, target: Target) -> list[Request]:
        spoken = build_adapters(self.task.base_urls)
        return [
            spoken[platform].list_detail_requests(one, target.sr_id, ())[0]
            for platform, ids in target.listings.items()
            for one in ids
        ]

    async def ours(self, wanted: Sequence[Target]) -> None:
        async with ScrapeEngine(self.hosts, self.writer, clock=self.clock) as engine:
            await capture_targets(self.cycle, wanted, build_adapters(self.task.base_urls), engine, clock=self.clock)

    async def platform_by_platform(self, wanted: Sequence[Target]) -> None:
        for platform in self.task.base_urls:
            await self.ours(
                [
                    replace(one, listings={platform: one.listings[platform]})
                    for one in wanted
                    if platform in one.listings
                ]
            )

    async def reference(self, wanted: Sequence[Target]) -> None:
        """Batches with a barrier, some fixtures at a time, a semaphore per platform, the gap as a pause after each
        request that keeps its slot.
        """
        fixtures = asyncio.Semaphore(TOGETHER)
        slots = {platform: asyncio.Semaphore(n) for platform, n in self.task.slots.items()}

        async def fetch(request: Request) -> None:
            host = self.hosts[request.platform]
            async with slots[request.platform]:
                self.writer.append(await host.client.send(request, 1, host.judge))
                if gap_s := self.task.gaps_s[request.platform]:
                    await asyncio.sleep(gap_s)

        async def fixture(target: Target) -> None:
            async with fixtures:
                await asyncio.gather(*(fetch(request) for request in self.requests(target)))

        for begin in range(0, len(wanted), BATCH):
            await asyncio.gather(*(fixture(target) for target in wanted[begin : begin + BATCH]))

    async def discovery(self) -> list[Target]:
        async with ScrapeEngine(self.hosts, self.writer, clock=self.clock) as engine:
            adapters = build_adapters(self.task.base_urls)
            found = await discover(adapters, engine, sport=Sport.FOOTBALL, tally=StageTally())
        listings = [listing for discovery in found.discoveries.values() for listing in discovery.listings]
        return build_targets(listings, tuple(adapters), HOME, self.clock.now() + FAR)


SCHEMES: Final[Mapping[str, Callable[[World, Sequence[Target]], Awaitable[None]]]] = {
    "ours": World.ours,
    "platform_by_platform": World.platform_by_platform,
    "reference": World.reference,
}


async def run(task: Task) -> Fetched:
    """The scheme, or the discovery, that the task names."""
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
            await SCHEMES[task.do](world, task.targets)
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
