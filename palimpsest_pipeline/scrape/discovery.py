"""Discovery: what does each platform list now? All platforms at once. The dialects say what to ask and read what came; here it is asked."""

import asyncio
import itertools
import logging
from collections.abc import Iterator, Mapping

from ..domain.exchange import Answer
from ..domain.observations import Discovery
from ..domain.words import Completeness, Platform, Sport
from ..platforms.base import Later, PlatformAdapter
from .engine import Asked, Engine
from .guard import words
from .tally import Tally

log = logging.getLogger(__name__)


async def discover(
    adapters: Mapping[Platform, PlatformAdapter], engine: Engine, *, sport: Sport, tally: Tally | None = None
) -> dict[Platform, Discovery]:
    """Ask every platform that the engine has a host of what it lists. One platform's failure, of whatever kind, is its own FAILED Discovery.

    `tally` counts what it takes. What ends the engine ends the discovery of all (in an ExceptionGroup).
    """
    turns = itertools.count()
    with engine.watched_by(tally or Tally()):
        async with asyncio.TaskGroup() as group:
            tasks = {
                platform: group.create_task(_discover_one(adapter, engine, sport, turns), name=f"discover {platform}")
                for platform, adapter in adapters.items()
                if platform in engine.hosts
            }
    discoveries = {platform: task.result() for platform, task in tasks.items()}
    for platform, found in discoveries.items():
        log.info("%s: %d listings, %s %s", platform, len(found.listings), found.completeness, found.reason)
    return discoveries


async def _discover_one(adapter: PlatformAdapter, engine: Engine, sport: Sport, turns: Iterator[int]) -> Discovery:
    answers: list[Answer] = []
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
        if isinstance(batch, Later):
            await asyncio.sleep(batch.pause_s)
        # Before any fixture, and among themselves in the order in which the crawls came to them.
        submitted = [engine.submit((-1, next(turns)), [request], bodies=True) for request in batch]
        batch_answers = [_answer(asked) for [asked] in await asyncio.gather(*(s.done for s in submitted))]
        answers.extend(batch_answers)
    try:
        return adapter.read_discovery(answers, sport)
    except Exception as error:
        log.exception("%s: discovery could not be read", adapter.platform)
        return _failed(adapter.platform, f"discovery could not be read: {words(error)}")


def _answer(asked: Asked) -> Answer:
    assert asked.last is not None, "bodies were wanted"
    return asked.last


def _failed(platform: Platform, reason: str) -> Discovery:
    return Discovery(platform, Completeness.FAILED, (), (), reason=reason)
