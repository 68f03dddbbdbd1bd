"""Discovery: what does each platform list now? All platforms at once. The dialects say what to ask and read what came;
here it is asked.

Belongs here: asking, for how long a platform is waited for, going on with a discovery that was left. Does not: targets,
landing, ledger.
"""

import asyncio
import itertools
import logging
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Final

from palimpsest_pipeline.domain.enums import Completeness, Platform, Sport
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.domain.observations import Discovery
from palimpsest_pipeline.platforms.base import DelayedBatch, PlatformAdapter

from .dialect_guard import describe_error
from .engine import RequestResult, ScrapeEngine, SubmittedJob
from .sinks import ScrapeObserver
from .stage_tally import StageTally

log = logging.getLogger(__name__)

TIME_OVER_REASON: Final = "the time for the discovery was over"
"""Why a question of a late platform was not asked, or its answer not awaited."""


@dataclass(frozen=True, slots=True)
class DiscoveryRound:
    """What every platform lists, as far as is known, and the platforms that were left while they still had to be
    asked.
    """

    discoveries: Mapping[Platform, Discovery]
    late_platforms: Collection[Platform] = ()


async def discover(
    adapters: Mapping[Platform, PlatformAdapter],
    engine: ScrapeEngine,
    *,
    sport: Sport,
    tally: StageTally | None = None,
    patience_s: float = inf,
) -> DiscoveryRound:
    """Ask every platform that the engine has a host of what it lists. One platform's failure, of whatever kind, is its
    own FAILED Discovery.

    A platform is waited for until `patience_s` have passed since its last good answer, or since the begin. Then, if
    another platform is done and has
    listings, it is `late`: the caller closes the engine, which cancels its requests, and goes on with it by
    `continue_discoveries`. A pause that its own crawl makes after a good answer is no silence.

    `tally` counts what it takes. What ends the engine ends the discovery of all.
    """
    turns = itertools.count()
    crawls = {p: _Crawl(adapter, engine, sport, turns) for p, adapter in adapters.items() if p in engine.hosts}
    tasks = {
        platform: asyncio.create_task(crawl.run(), name=f"discover {platform}") for platform, crawl in crawls.items()
    }
    with engine.observe(tally or StageTally()), engine.observe(_GoodAnswerObserver(crawls)):
        try:
            await _wait_for_crawls(crawls, tasks, patience_s)
        finally:
            late = [platform for platform, task in tasks.items() if not task.done()]
            for platform in late:
                tasks[platform].cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)
    for platform in late:
        crawls[platform].cancel_planned()
    discoveries = {platform: crawl.read_discovery() for platform, crawl in crawls.items()}
    for platform, found in discoveries.items():
        lateness = "so far; it is late, and the others go on" if platform in late else ""
        log.info("%s: %d listings, %s %s", platform, len(found.listings), found.completeness, lateness or found.reason)
    return DiscoveryRound(discoveries, late)


async def _wait_for_crawls(
    crawls: Mapping[Platform, "_Crawl"], tasks: Mapping[Platform, asyncio.Task[None]], patience_s: float
) -> None:
    """Return when each platform is done or out of patience. Raises what ended the engine."""
    loop = asyncio.get_running_loop()
    while waiting := [platform for platform, task in tasks.items() if not task.done()]:
        ends_at_s = max(crawls[platform].last_good_at_s for platform in waiting) + patience_s
        done = [platform for platform in tasks if platform not in waiting]
        if not any(crawls[platform].read_discovery().listings for platform in done):
            ends_at_s = inf  # Nobody can go on.
        elif ends_at_s <= loop.time():
            return
        timeout_s = None if ends_at_s == inf else ends_at_s - loop.time()
        over, _ = await asyncio.wait(
            [tasks[platform] for platform in waiting], timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
        )
        for task in over:
            task.result()


async def continue_discoveries(
    adapters: Mapping[Platform, PlatformAdapter],
    engine: ScrapeEngine,
    *,
    sport: Sport,
    landed_answers: Mapping[Platform, Sequence[Answer]],
    duration_s: float,
    on_discovery: Callable[[Discovery], None],
) -> None:
    """Go on with the discovery of these platforms, for `for_s` seconds at most. What is not answered then has failed,
    and is in the landing as such.

    `landed` are the answers so far of each platform: no question that has a good one is asked again. `tell` is called
    with what a platform has come to whenever its crawl has got the answers to a batch of questions, and at its end.
    """
    ends_at_s = asyncio.get_running_loop().time() + duration_s
    turns = itertools.count()

    async def go_on(crawl: _Crawl) -> None:
        await crawl.run(lambda: on_discovery(crawl.read_discovery()), ends_at_s)
        on_discovery(crawl.read_discovery())

    async with asyncio.TaskGroup() as group:
        for platform, adapter in adapters.items():
            if platform in engine.hosts:
                group.create_task(
                    go_on(_Crawl(adapter, engine, sport, turns, landed_answers.get(platform, ()))),
                    name=f"continue discovery of {platform}",
                )


@dataclass(slots=True)
class _GoodAnswerObserver(ScrapeObserver):
    """A Watch that notes when each crawl got its last good answer."""

    crawls: Mapping[Platform, "_Crawl"]

    def on_answer(self, answer: Answer) -> None:
        if answer.ok:
            self.crawls[answer.request.platform].note_good_answer()


@dataclass(slots=True, eq=False)
class _Crawl:
    """One platform's crawl as it is asked, and what it has come to so far."""

    adapter: PlatformAdapter
    engine: ScrapeEngine
    sport: Sport
    turns: Iterator[int]
    """Before any fixture, and among themselves in the order in which the crawls came to them."""
    landed_answers: Sequence[Answer] = ()
    """Answers from before."""
    last_good_at_s: float = 0.0
    """The begin, the last good answer, or the end of a pause that the crawl makes after one, by the loop's clock."""
    _answers: list[Answer] = field(default_factory=list)
    _known_answers: defaultdict[str, deque[Answer]] = field(default_factory=lambda: defaultdict(deque))
    """Good answers from before by question, the oldest first.

    A crawl may ask a question again, so each is given once.
    """
    _submitted_requests: list[tuple[Request, SubmittedJob]] = field(default_factory=list)
    """The batch that is asked now."""
    _failure: str = ""
    _discovery: Discovery | None = None
    """As read from the answers so far."""

    def __post_init__(self) -> None:
        self.note_good_answer()
        for answer in self.landed_answers:
            self._answers.append(answer)
            if answer.ok:
                self._known_answers[answer.request.key].append(answer)

    def note_good_answer(self) -> None:
        """From now on it is waited for anew."""
        self.last_good_at_s = asyncio.get_running_loop().time()

    async def run(self, on_answers: Callable[[], None] = lambda: None, ends_at_s: float = inf) -> None:
        """Ask until the crawl has no more questions or the time is over; `tell` after each batch of answers.

        Raises what ended the engine.
        """
        loop = asyncio.get_running_loop()
        crawl = self.adapter.discover(self.sport)
        answers: list[Answer] | None = None
        while loop.time() < ends_at_s:
            try:
                batch = next(crawl) if answers is None else crawl.send(answers)
            except StopIteration:
                return
            except Exception as error:
                log.exception("%s: the crawl broke off", self.adapter.platform)
                self._failure = f"the crawl broke off: {describe_error(error)}"
                return
            known = [self._take_known_answer(request) for request in batch]
            requests = [request for request, answer in zip(batch, known, strict=True) if answer is None]
            if requests and isinstance(batch, DelayedBatch):
                pause_s = min(batch.pause_s, ends_at_s - loop.time())
                if any(answer.ok for answer in answers or ()):
                    self.last_good_at_s = loop.time() + pause_s
                await asyncio.sleep(pause_s)
                if loop.time() >= ends_at_s:
                    return
            new = await self._ask(requests, ends_at_s)
            self._answers += new
            self._discovery = None
            remaining = iter(new)
            answers = [answer or next(remaining) for answer in known]
            on_answers()

    def _take_known_answer(self, request: Request) -> Answer | None:
        known = self._known_answers[request.key]
        return known.popleft() if known else None

    async def _ask(self, requests: Sequence[Request], ends_at_s: float) -> list[Answer]:
        """Return an answer to each of the requests, in their order; a failure for what has none at the end."""
        self._submitted_requests = [
            (request, self.engine.submit((-1, next(self.turns)), [request], keeps_bodies=True)) for request in requests
        ]
        futures = [submitted.results for _, submitted in self._submitted_requests]
        if futures and ends_at_s < inf:
            await asyncio.wait(futures, timeout=ends_at_s - asyncio.get_running_loop().time())
            for _, submitted in self._submitted_requests:
                if not submitted.results.done():
                    self.engine.time_out_job(submitted.job_key, TIME_OVER_REASON)
        return [_require_answer(asked) for [asked] in await asyncio.gather(*futures)]

    def cancel_planned(self) -> None:
        """Tell those who look on that what is still asked for will not be answered here."""
        for request, submitted in self._submitted_requests:
            if not self.engine.is_over(
                submitted.job_key
            ):  # Its future may be cancelled, and its answer counted all the same.
                self.engine.observers.on_planned(request.platform, -1, request.kind)

    def read_discovery(self) -> Discovery:
        """Return what it has come to so far."""
        if self._failure:
            return _build_failed_discovery(self.adapter.platform, self._failure)
        if self._discovery is None:
            try:
                self._discovery = self.adapter.read_discovery(self._answers, self.sport)
            except Exception as error:
                log.exception("%s: discovery could not be read", self.adapter.platform)
                self._discovery = _build_failed_discovery(
                    self.adapter.platform, f"discovery could not be read: {describe_error(error)}"
                )
        return self._discovery


def _require_answer(asked: RequestResult) -> Answer:
    assert asked.last_answer is not None, "bodies were wanted"
    return asked.last_answer


def _build_failed_discovery(platform: Platform, reason: str) -> Discovery:
    return Discovery(platform, Completeness.FAILED, (), (), reason=reason)
