"""A whole cycle in one call: discovery, targets, capture. Composition only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from palimpsest_pipeline.domain.cycles import Cycle, CycleResult, Target
from palimpsest_pipeline.domain.enums import Platform, Sport
from palimpsest_pipeline.domain.instants import Clock
from palimpsest_pipeline.domain.observations import Discovery
from palimpsest_pipeline.platforms.base import PlatformAdapter

from .capture import capture_targets
from .dialect_guard import guard_judge
from .discovery import discover
from .engine import HostSetup, ScrapeEngine
from .host_budget import HostBudget
from .outcomes import build_discovery_result
from .stage_tally import StageTally
from .targets import build_targets

if TYPE_CHECKING:
    from palimpsest_pipeline.wire.client import PlatformClient


@dataclass(frozen=True, slots=True)
class Scraped:
    """The results of a full cycle."""

    discoveries: Mapping[Platform, Discovery]
    targets: Sequence[Target]
    result: CycleResult


def build_host_setups(
    adapters: Mapping[Platform, PlatformAdapter],
    clients: "Mapping[Platform, PlatformClient]",
    budgets: Mapping[Platform, HostBudget],
) -> dict[Platform, HostSetup]:
    """Return the setup of each platform that has a client, for an engine."""
    return {
        platform: HostSetup(client, guard_judge(adapters[platform]), budgets[platform])
        for platform, client in clients.items()
    }


async def run_cycle(
    cycle: Cycle, adapters: Mapping[Platform, PlatformAdapter], engine: ScrapeEngine, *, sport: Sport, clock: Clock
) -> Scraped:
    """Discover everything, then capture every fixture that has not kicked off.

    Every platform is waited for. Platforms fail independently; an error that ends the engine ends the cycle. Discovery
    and capture share one engine, so the capture knows about a host that blocked or stalled in the discovery.
    """
    tally = StageTally()
    discoveries = (await discover(adapters, engine, sport=sport, tally=tally)).discoveries
    listings = [listing for discovery in discoveries.values() for listing in discovery.listings]
    targets = build_targets(listings, tuple(adapters), cycle.home_platform, clock.now())
    discovery_result = build_discovery_result(cycle, discoveries, tally, clock.now())
    result = await capture_targets(
        cycle, targets, adapters, engine, clock=clock, read_earlier_result=lambda: discovery_result
    )
    return Scraped(discoveries, targets, result)
