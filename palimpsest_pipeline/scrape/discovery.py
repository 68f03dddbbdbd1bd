"""The discovery stage: request the present listings of all platforms at the same time.

A crawl is the sequence of a platform's discovery requests.
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
"""The reason of a late platform's request that was not sent, or whose answer was not awaited."""


@dataclass(frozen=True, slots=True)
class DiscoveryRound:
    """The discoveries so far, and the late platforms, whose requests are not all answered."""

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
    """Run the crawl of every platform that has a client.

    A failure of one platform gives a discovery with the status FAILED for this platform only. A platform is waited for
    until `patience_s` seconds have passed since its last good answer, or since the start. If then another platform is
    done and has listings, the platform is late: the caller closes the engine, which cancels its requests, and continues
    with `continue_discoveries`. A pause that the crawl itself makes after a good answer does not count.

    `tally` counts the requests. An error that stops the engine stops the discovery of all platforms.
    """
    turn_numbers = itertools.count()
    crawls = {p: _Crawl(adapter, engine, sport, turn_numbers) for p, adapter in adapters.items() if p in engine.hosts}
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
    for platform, discovery in discoveries.items():
        lateness = "so far; it is late, and the others continue" if platform in late else ""
        log.info(
            "%s: %d listings, %s %s",
            platform,
            len(discovery.listings),
            discovery.completeness,
            lateness or discovery.reason,
        )
    return DiscoveryRound(discoveries, late)


async def _wait_for_crawls(
    crawls: Mapping[Platform, "_Crawl"], tasks: Mapping[Platform, asyncio.Task[None]], patience_s: float
) -> None:
    """Wait until each platform is done or late. Raises the error that stopped the engine."""
    loop = asyncio.get_running_loop()
    while open_platforms := [platform for platform, task in tasks.items() if not task.done()]:
        ends_at_s = max(crawls[platform].last_good_at_s for platform in open_platforms) + patience_s
        done_platforms = [platform for platform in tasks if platform not in open_platforms]
        if not any(crawls[platform].read_discovery().listings for platform in done_platforms):
            ends_at_s = inf  # Without any listing there is no target to capture, so the wait goes on.
        elif ends_at_s <= loop.time():
            return
        timeout_s = None if ends_at_s == inf else ends_at_s - loop.time()
        finished, _ = await asyncio.wait(
            [tasks[platform] for platform in open_platforms], timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
        )
        for task in finished:
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
    """Continue the discovery of late platforms for at most `duration_s` seconds.

    Requests without an answer by then are landed as failed. `landed_answers` are each platform's answers so far; a
    request with a good answer is not repeated. `on_discovery` is called with a platform's discovery after each group of
    answers, and at the end of its crawl.
    """
    ends_at_s = asyncio.get_running_loop().time() + duration_s
    turn_numbers = itertools.count()

    async def continue_crawl(crawl: _Crawl) -> None:
        await crawl.run(lambda: on_discovery(crawl.read_discovery()), ends_at_s)
        on_discovery(crawl.read_discovery())

    async with asyncio.TaskGroup() as group:
        for platform, adapter in adapters.items():
            if platform in engine.hosts:
                group.create_task(
                    continue_crawl(_Crawl(adapter, engine, sport, turn_numbers, landed_answers.get(platform, ()))),
                    name=f"continue discovery of {platform}",
                )


@dataclass(slots=True)
class _GoodAnswerObserver(ScrapeObserver):
    """Records when each crawl got its last good answer."""

    crawls: Mapping[Platform, "_Crawl"]

    def on_answer(self, answer: Answer) -> None:
        if answer.ok:
            self.crawls[answer.request.platform].note_good_answer()


@dataclass(slots=True, eq=False)
class _Crawl:
    """One platform's running crawl and its discovery so far."""

    adapter: PlatformAdapter
    engine: ScrapeEngine
    sport: Sport
    turns: Iterator[int]
    """Rank numbers for the requests, in order of submission. Discovery ranks before all fixtures."""
    landed_answers: Sequence[Answer] = ()
    """Answers that were landed before this crawl started."""
    last_good_at_s: float = 0.0
    """Start of the patience, in seconds of the event loop's clock.

    It is the start of the crawl, its last good answer, or the end of a pause that the crawl makes after a good answer.
    """
    _answers: list[Answer] = field(default_factory=list)
    _known_answers: defaultdict[str, deque[Answer]] = field(default_factory=lambda: defaultdict(deque))
    """Earlier good answers by request key, oldest first.

    A crawl may repeat a request, so each answer is used only once.
    """
    _submitted_requests: list[tuple[Request, SubmittedJob]] = field(default_factory=list)
    """The requests that were submitted last, with their jobs."""
    _failure: str = ""
    _discovery: Discovery | None = None
    """The discovery computed from the answers so far; None when new answers have arrived."""

    def __post_init__(self) -> None:
        self.note_good_answer()
        for answer in self.landed_answers:
            self._answers.append(answer)
            if answer.ok:
                self._known_answers[answer.request.key].append(answer)

    def note_good_answer(self) -> None:
        """Set the start of the platform's patience to now."""
        self.last_good_at_s = asyncio.get_running_loop().time()

    async def run(self, on_answers: Callable[[], None] = lambda: None, ends_at_s: float = inf) -> None:
        """Run the crawl until it ends or until `ends_at_s`. Call `on_answers` after each group of answers.

        Raises the error that stopped the engine.
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
            known_answers = [self._take_known_answer(request) for request in batch]
            requests = [request for request, answer in zip(batch, known_answers, strict=True) if answer is None]
            if requests and isinstance(batch, DelayedBatch):
                pause_s = min(batch.pause_s, ends_at_s - loop.time())
                if any(answer.ok for answer in answers or ()):
                    self.last_good_at_s = loop.time() + pause_s
                await asyncio.sleep(pause_s)
                if loop.time() >= ends_at_s:
                    return
            new_answers = await self._ask(requests, ends_at_s)
            self._answers += new_answers
            self._discovery = None
            unread_answers = iter(new_answers)
            answers = [answer or next(unread_answers) for answer in known_answers]
            on_answers()

    def _take_known_answer(self, request: Request) -> Answer | None:
        known_answers = self._known_answers[request.key]
        return known_answers.popleft() if known_answers else None

    async def _ask(self, requests: Sequence[Request], ends_at_s: float) -> list[Answer]:
        """Send requests and return an answer to each, in order; a failure for those open at `ends_at_s`."""
        self._submitted_requests = [
            (request, self.engine.submit((-1, next(self.turns)), [request], keeps_bodies=True)) for request in requests
        ]
        futures = [submitted.results for _, submitted in self._submitted_requests]
        if futures and ends_at_s < inf:
            await asyncio.wait(futures, timeout=ends_at_s - asyncio.get_running_loop().time())
            for _, submitted in self._submitted_requests:
                if not submitted.results.done():
                    self.engine.time_out_job(submitted.job_key, TIME_OVER_REASON)
        return [_require_answer(result) for [result] in await asyncio.gather(*futures)]

    def cancel_planned(self) -> None:
        """Tell the observers that the open requests will not be answered in this crawl."""
        for request, submitted in self._submitted_requests:
            # The future cannot be used here: it may be cancelled although the answer was counted.
            if not self.engine.is_over(submitted.job_key):
                self.engine.observers.on_planned(request.platform, -1, request.kind)

    def read_discovery(self) -> Discovery:
        """Compute the discovery from the answers so far."""
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


def _require_answer(result: RequestResult) -> Answer:
    assert result.last_answer is not None, "the job was submitted with keeps_bodies"
    return result.last_answer


def _build_failed_discovery(platform: Platform, reason: str) -> Discovery:
    return Discovery(platform, Completeness.FAILED, (), (), reason=reason)
