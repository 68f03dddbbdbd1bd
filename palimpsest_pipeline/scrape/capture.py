"""Capture: every target's whole book from all its platforms at once. Says what is wanted and in which order; the engine does the asking."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from palimpsest_pipeline.domain.cycles import Cycle, CycleResult, Target
from palimpsest_pipeline.domain.enums import FailureClass, PayloadKind, Platform
from palimpsest_pipeline.domain.exchange import Request
from palimpsest_pipeline.domain.instants import Clock
from palimpsest_pipeline.platforms.base import PlatformAdapter

from .dialect_guard import words
from .engine import Asked, Engine
from .outcomes import capture_result, not_asked, outcome_of
from .scheduler import Rank
from .stage_tally import Tally
from .targets import rank

log = logging.getLogger(__name__)

AskFor = Callable[[Sequence[Target]], None]
"""Asks for the listings of these targets that have not been asked for."""
Source = Callable[[AskFor], Awaitable[None]]
"""Runs beside a capture and finds further targets."""
RERANK_EVERY_S: Final = 15.0
KICKED_OFF: Final = "it has kicked off"


async def capture(
    cycle: Cycle,
    targets: Sequence[Target],
    adapters: Mapping[Platform, PlatformAdapter],
    engine: Engine,
    *,
    clock: Clock,
    tally: Tally | None = None,
    earlier: Callable[[], CycleResult | None] = lambda: None,
    source: Source | None = None,
    rerank_every_s: float = RERANK_EVERY_S,
) -> CycleResult:
    """Fetch every listing of every target, most urgent targets first; listings of platforms without adapter or host are left out.

    All listings of a fixture start together where their hosts allow. What becomes urgent while it waits moves up; what kicks off while it waits
    is not asked, and counts as not found. A listing that `source` finds joins the others of its fixture while these wait, and is asked alone else;
    the capture lasts as long as the source. `tally` counts and keeps the outcomes as they come, so a cancelled capture can still be told of;
    `earlier`, called at the end, is what the same cycle's discovery came to: the runs returned are of both. Raises what ended the engine.
    """
    tally = tally or Tally()
    with engine.watched_by(tally):
        await _Capture(cycle, adapters, engine, clock).run(targets, source, rerank_every_s)
    result = capture_result(cycle, tally, engine.budgets, clock.now(), earlier())
    for run in result.runs:
        log.info(
            "cycle %d %s: %s, %d of %d listings in %d requests %s",
            cycle.cycle_id,
            run.platform,
            run.status,
            run.fetched,
            run.targets,
            run.requests,
            run.message,
        )
    return result


class _Capture:
    """The targets that are still open, and where each of them stands."""

    def __init__(self, cycle: Cycle, adapters: Mapping[Platform, PlatformAdapter], engine: Engine, clock: Clock) -> None:
        self._home = cycle.home_platform
        self._adapters = adapters
        self._engine = engine
        self._clock = clock
        self._open: dict[asyncio.Future[list[Asked]], tuple[int, Target, Rank]] = {}
        self._asked: dict[tuple[Platform, str], asyncio.Future[list[Asked]] | None] = {}
        """Listings that were asked for, each with its job's future; None where there was nothing to ask."""

    async def run(self, targets: Sequence[Target], source: Source | None, rerank_every_s: float) -> None:
        self._ask_for(targets)
        # After the targets: a host in trouble is given up when nothing else is left to do.
        finding = asyncio.create_task(_find(source, self._ask_for))
        try:
            while self._open or not finding.done():
                waiting: list[asyncio.Future[Any]] = [*self._open, *([] if finding.done() else [finding])]
                over, _ = await asyncio.wait(waiting, timeout=rerank_every_s, return_when=asyncio.FIRST_EXCEPTION)
                for done in over:
                    done.result()
                    self._open.pop(done, None)
                self._look_at_the_clock()
        finally:
            finding.cancel()
            await asyncio.gather(finding, return_exceptions=True)

    def _ask_for(self, targets: Sequence[Target]) -> None:
        now = self._clock.now()
        for target in targets:
            listings = {p: new for p, every in target.listings.items() if (new := tuple(i for i in every if (p, i) not in self._asked))}
            if not listings:
                continue
            requests = self._requests(replace(target, listings=listings))
            done = self._submit(target, replace(target, listings=listings), requests, now) if requests else None
            self._asked.update(((platform, external_id), done) for platform, ids in listings.items() for external_id in ids)

    def _submit(self, whole: Target, rest: Target, requests: Sequence[Request], now: datetime) -> asyncio.Future[list[Asked]]:
        """Ask for the `rest` of a target, together with what of it waits."""
        place = rank(whole, self._home, now)
        for done in (self._asked.get((platform, external_id)) for platform, ids in whole.listings.items() for external_id in ids):
            if done is not None and done in self._open and self._engine.extend(job := self._open[done][0], requests):
                self._engine.rerank(job, place)
                self._open[done] = job, whole, place
                return done
        place = rank(rest, self._home, now)
        submitted = self._engine.submit(place, requests)
        self._open[submitted.done] = submitted.job, rest, place
        return submitted.done

    def _look_at_the_clock(self) -> None:
        now = self._clock.now()
        for done, (job, target, place) in self._open.items():
            if target.kickoff_at <= now:
                self._engine.withdraw(job, KICKED_OFF)
            elif (now_at := rank(target, self._home, now)) != place:
                self._engine.rerank(job, now_at)
                self._open[done] = job, target, now_at

    def _requests(self, target: Target) -> list[Request]:
        requests = []
        for platform, external_ids in target.listings.items():
            if platform in self._adapters and platform in self._engine.hosts:
                asked = (self._request(platform, external_id, target.sr_id) for external_id in external_ids)
                requests += [request for request in asked if request is not None]
        return requests

    def _request(self, platform: Platform, external_id: str, sr_id: int | None) -> Request | None:
        """None when the dialect cannot ask for this listing, which is then over."""
        try:
            return self._adapters[platform].detail_request(external_id, sr_id)
        except Exception as error:
            log.exception("%s: no request for listing %s", platform, external_id)
            wanted = Request(platform, PayloadKind.DETAIL, "", external_id=external_id, sr_id=sr_id)
            now = self._clock.now()
            answer = not_asked(wanted, FailureClass.PERMANENT, f"not asked: {words(error)}", now)
            self._engine.watches.planned(platform, 1, wanted.kind)
            self._engine.watches.settled([outcome_of(answer, now)])
            return None


async def _find(source: Source | None, ask_for: AskFor) -> None:
    if source is not None:
        await source(ask_for)
