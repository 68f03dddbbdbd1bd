"""A whole cycle in one call: discovery, targets, capture. Composition only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from palimpsest_pipeline.domain.cycles import Cycle, CycleResult, Target
from palimpsest_pipeline.domain.enums import Platform, Sport
from palimpsest_pipeline.domain.instants import Clock
from palimpsest_pipeline.domain.observations import Discovery
from palimpsest_pipeline.platforms.base import PlatformAdapter

from .capture import capture
from .dialect_guard import guarded_judge
from .discovery import discover
from .engine import Engine, Host
from .host_budget import Budget
from .outcomes import discovery_result
from .stage_tally import Tally
from .targets import targets

if TYPE_CHECKING:
    from palimpsest_pipeline.wire.client import PlatformClient


@dataclass(frozen=True, slots=True)
class Scraped:
    """What a full cycle found and what it came to."""

    discoveries: Mapping[Platform, Discovery]
    targets: Sequence[Target]
    result: CycleResult


def hosts(
    adapters: Mapping[Platform, PlatformAdapter], clients: "Mapping[Platform, PlatformClient]", budgets: Mapping[Platform, Budget]
) -> dict[Platform, Host]:
    """What an engine needs of each platform that has a client."""
    return {platform: Host(client, guarded_judge(adapters[platform]), budgets[platform]) for platform, client in clients.items()}


async def run_cycle(cycle: Cycle, adapters: Mapping[Platform, PlatformAdapter], engine: Engine, *, sport: Sport, clock: Clock) -> Scraped:
    """Discover everything, then capture every fixture that has not kicked off. Platforms fail by themselves; what ends the engine ends the cycle.

    Every platform is waited for. Both through one engine: a host that was found blocking or slow in discovery is known as such to the capture.
    """
    tally = Tally()
    discoveries = (await discover(adapters, engine, sport=sport, tally=tally)).discoveries
    listings = [listing for discovery in discoveries.values() for listing in discovery.listings]
    wanted = targets(listings, cycle.home_platform, clock.now())
    earlier = discovery_result(cycle, discoveries, tally, clock.now())
    result = await capture(cycle, wanted, adapters, engine, clock=clock, earlier=lambda: earlier)
    return Scraped(discoveries, wanted, result)
