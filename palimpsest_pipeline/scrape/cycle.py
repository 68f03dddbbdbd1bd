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
    """What a full cycle found and what it came to."""

    discoveries: Mapping[Platform, Discovery]
    targets: Sequence[Target]
    result: CycleResult


def build_host_setups(
    adapters: Mapping[Platform, PlatformAdapter],
    clients: "Mapping[Platform, PlatformClient]",
    budgets: Mapping[Platform, HostBudget],
) -> dict[Platform, HostSetup]:
    """What an engine needs of each platform that has a client."""
    return {
        platform: HostSetup(client, guard_judge(adapters[platform]), budgets[platform])
        for platform, client in clients.items()
    }


async def run_cycle(
    cycle: Cycle, adapters: Mapping[Platform, PlatformAdapter], engine: ScrapeEngine, *, sport: Sport, clock: Clock
) -> Scraped:
    """Discover everything, then capture every fixture that has not kicked off. Platforms fail by themselves; what ends
    the engine ends the cycle.

    Every platform is waited for. Both through one engine: a host that was found blocking or slow in discovery is known
    as such to the capture.
    """
    tally = StageTally()
    discoveries = (await discover(adapters, engine, sport=sport, tally=tally)).discoveries
    listings = [listing for discovery in discoveries.values() for listing in discovery.listings]
    wanted = build_targets(listings, cycle.home_platform, clock.now())
    earlier = build_discovery_result(cycle, discoveries, tally, clock.now())
    result = await capture_targets(cycle, wanted, adapters, engine, clock=clock, read_earlier_result=lambda: earlier)
    return Scraped(discoveries, wanted, result)
