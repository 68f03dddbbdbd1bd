"""A whole cycle in one call: discovery, targets, capture. Composition only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..domain.cycles import Cycle, CycleResult, Target
from ..domain.instants import Clock
from ..domain.observations import Discovery
from ..domain.words import Platform, Sport
from ..platforms.base import PlatformAdapter
from ..wire import PlatformClient
from .capture import capture
from .discovery import discover
from .ledger import discovery_result
from .sinks import AnswerSink, Progress
from .targets import targets


@dataclass(frozen=True, slots=True)
class Scraped:
    """What a full cycle found and what it came to."""

    discoveries: Mapping[Platform, Discovery]
    targets: Sequence[Target]
    result: CycleResult


async def run_cycle(
    cycle: Cycle,
    adapters: Mapping[Platform, PlatformAdapter],
    clients: Mapping[Platform, PlatformClient],
    sink: AnswerSink,
    *,
    sport: Sport,
    clock: Clock,
    progress: Progress | None = None,
) -> Scraped:
    """Discover everything, then capture every fixture that has not kicked off. Platforms fail by themselves; what `sink` raises ends the cycle."""
    found = await discover(cycle, adapters, clients, sink, sport=sport, clock=clock, progress=progress)
    listings = [listing for discovery in found.discoveries.values() for listing in discovery.listings]
    wanted = targets(listings, cycle.home_platform, clock.now())
    earlier = discovery_result(cycle, found, clock.now())
    result = await capture(cycle, wanted, adapters, clients, sink, clock=clock, progress=progress, earlier=earlier)
    return Scraped(found.discoveries, wanted, result)
