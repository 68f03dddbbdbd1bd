"""Discovery: what does each platform list now? All platforms at once. The dialects say what to ask and read what came; here it is asked."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ..domain.cycles import Cycle
from ..domain.exchange import Answer, Request
from ..domain.instants import Clock
from ..domain.observations import Discovery
from ..domain.words import Completeness, Platform, Sport
from ..platforms.base import PlatformAdapter
from ..wire import PlatformClient
from .guard import guarded_judge, words
from .sinks import AnswerSink, Progress
from .tally import Counts, Tally

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """What discovery found, and what it took per platform."""

    discoveries: Mapping[Platform, Discovery]
    counts: Mapping[Platform, Counts]
    started_at: datetime
    finished_at: Mapping[Platform, datetime]


async def discover(
    cycle: Cycle,
    adapters: Mapping[Platform, PlatformAdapter],
    clients: Mapping[Platform, PlatformClient],
    sink: AnswerSink,
    *,
    sport: Sport,
    clock: Clock,
    progress: Progress | None = None,
) -> Found:
    """Ask every platform that has a client what it lists. One platform's failure, of whatever kind, is its own FAILED Discovery.

    What `sink` raises ends the discovery of all (in an ExceptionGroup).
    """
    tally = Tally(sink)
    started_at = clock.now()
    finished_at: dict[Platform, datetime] = {}

    async def one(platform: Platform) -> Discovery:
        discovery = await _discover_one(adapters[platform], clients[platform], tally, sport, progress)
        finished_at[platform] = clock.now()
        return discovery

    platforms = [platform for platform in adapters if platform in clients]
    async with asyncio.TaskGroup() as group:
        tasks = {platform: group.create_task(one(platform), name=f"discover {platform}") for platform in platforms}
    discoveries = {platform: task.result() for platform, task in tasks.items()}
    for platform, found in discoveries.items():
        log.info("cycle %d %s: %d listings, %s %s", cycle.cycle_id, platform, len(found.listings), found.completeness, found.reason)
    return Found(discoveries, {platform: tally.counts.get(platform, Counts()) for platform in platforms}, started_at, finished_at)


async def _discover_one(adapter: PlatformAdapter, client: PlatformClient, sink: AnswerSink, sport: Sport, progress: Progress | None) -> Discovery:
    answers: list[Answer] = []
    judge = guarded_judge(adapter)

    async def ask(request: Request) -> Answer:
        last = (await client.fetch(request, judge, sink.append))[-1]
        if progress is not None:
            progress.advance(adapter.platform, last.ok)
        return last

    crawl = adapter.discover(sport)
    batch_answers: list[Answer] | None = None
    while True:
        try:
            batch = next(crawl) if batch_answers is None else crawl.send(batch_answers)
        except StopIteration:
            break
        except Exception as error:
            log.exception("%s: the crawl broke off", adapter.platform)
            return _failed(adapter.platform, f"the crawl broke off: {words(error)}")
        if progress is not None:
            progress.start(adapter.platform, len(batch))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(ask(request)) for request in batch]
        batch_answers = [task.result() for task in tasks]
        answers.extend(batch_answers)
    try:
        return adapter.read_discovery(answers, sport)
    except Exception as error:
        log.exception("%s: discovery could not be read", adapter.platform)
        return _failed(adapter.platform, f"discovery could not be read: {words(error)}")


def _failed(platform: Platform, reason: str) -> Discovery:
    return Discovery(platform, Completeness.FAILED, (), (), reason=reason)
