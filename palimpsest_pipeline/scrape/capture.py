"""The capture stage: request the full odds of every target from all its platforms.

A target is a fixture with its listings. This module decides which listings are requested and in which order; the engine
sends the requests.
"""

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from palimpsest_pipeline.domain.cycles import Cycle, CycleResult, Target
from palimpsest_pipeline.domain.enums import FailureClass, PayloadKind, Platform
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.domain.instants import Clock
from palimpsest_pipeline.platforms.base import PlatformAdapter

from .dialect_guard import describe_error
from .engine import RequestResult, ScrapeEngine
from .outcomes import build_capture_result, build_outcome, build_unasked_answer
from .scheduler import Rank
from .stage_tally import StageTally
from .targets import rank_target

log = logging.getLogger(__name__)

TargetSubmitter = Callable[[Sequence[Target]], None]
"""A function that submits the listings of targets that were not submitted before."""
TargetSource = Callable[[TargetSubmitter], Awaitable[None]]
"""A coroutine function that runs during a capture and submits more targets."""
RERANK_INTERVAL_S: Final = 15.0
KICKED_OFF_REASON: Final = "it has kicked off"


async def capture_targets(
    cycle: Cycle,
    targets: Sequence[Target],
    adapters: Mapping[Platform, PlatformAdapter],
    engine: ScrapeEngine,
    *,
    clock: Clock,
    tally: StageTally | None = None,
    read_earlier_result: Callable[[], CycleResult | None] = lambda: None,
    source: TargetSource | None = None,
    rerank_interval_s: float = RERANK_INTERVAL_S,
) -> CycleResult:
    """Request every listing of every target, the most urgent targets first.

    Listings of platforms without adapter or host are left out. All listings of a fixture start together if their hosts
    allow it. A waiting target moves up when it becomes urgent, which is judged every `rerank_interval_s` seconds; a
    target that kicks off while it waits is not requested, and counts as not found. Where a book needs several requests,
    the further ones follow at once; if one of them fails, the listing has failed. A listing that `source` finds joins
    the others of its fixture while these wait, and is requested alone otherwise; the capture lasts at least as long as
    the source.

    `tally` counts the outcomes as they arrive, so the caller can also summarise a cancelled capture.
    `read_earlier_result` is called at the end and returns the result of the cycle's discovery; the result covers both
    stages. Raises the error that stopped the engine.
    """
    tally = tally or StageTally()
    with engine.observe(tally):
        await _Capture(cycle, adapters, engine, clock).run(targets, source, rerank_interval_s)
    result = build_capture_result(cycle, tally, engine.budgets, clock.now(), read_earlier_result())
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
    """The targets of a running capture that are not finished, with the job and rank of each."""

    def __init__(
        self, cycle: Cycle, adapters: Mapping[Platform, PlatformAdapter], engine: ScrapeEngine, clock: Clock
    ) -> None:
        self._home = cycle.home_platform
        self._adapters = adapters
        self._engine = engine
        self._clock = clock
        self._open_jobs: dict[asyncio.Future[list[RequestResult]], tuple[int, Target, Rank]] = {}
        self._future_by_listing: dict[tuple[Platform, str], asyncio.Future[list[RequestResult]] | None] = {}
        """The submitted listings with the futures of their jobs; None if no request could be built."""

    async def run(self, targets: Sequence[Target], source: TargetSource | None, rerank_interval_s: float) -> None:
        self._submit_targets(targets)
        # Targets are submitted before the source starts, because the scheduler gives up a blocked host when it has no
        # other work.
        source_task = asyncio.create_task(_run_source(source, self._submit_targets))
        # The garbage collector would examine all modules and waiting requests again and again, which holds up the event
        # loop for a tenth of a second each time.
        gc.freeze()
        try:
            while self._open_jobs or not source_task.done():
                open_futures: list[asyncio.Future[Any]] = [
                    *self._open_jobs,
                    *([] if source_task.done() else [source_task]),
                ]
                finished, _ = await asyncio.wait(
                    open_futures, timeout=rerank_interval_s, return_when=asyncio.FIRST_EXCEPTION
                )
                for future in finished:
                    future.result()
                    self._open_jobs.pop(future, None)
                self._update_ranks()
        finally:
            gc.unfreeze()
            source_task.cancel()
            await asyncio.gather(source_task, return_exceptions=True)

    def _submit_targets(self, targets: Sequence[Target]) -> None:
        now = self._clock.now()
        for target in targets:
            listings = {
                platform: new_ids
                for platform, external_ids in target.listings.items()
                if (
                    new_ids := tuple(
                        external_id
                        for external_id in external_ids
                        if (platform, external_id) not in self._future_by_listing
                    )
                )
            }
            if not listings:
                continue
            requests = self._build_requests(replace(target, listings=listings))
            future = (
                self._submit_target(target, replace(target, listings=listings), requests, now) if requests else None
            )
            self._future_by_listing.update(
                ((platform, external_id), future) for platform, ids in listings.items() for external_id in ids
            )

    def _submit_target(
        self, whole_target: Target, new_part: Target, requests: Sequence[Request], now: datetime
    ) -> asyncio.Future[list[RequestResult]]:
        """Submit `new_part` of a target together with its listings that still wait."""
        rank = rank_target(whole_target, self._home, now)
        for future in (
            self._future_by_listing.get((platform, external_id))
            for platform, ids in whole_target.listings.items()
            for external_id in ids
        ):
            if (
                future is not None
                and future in self._open_jobs
                and self._engine.extend_job(job := self._open_jobs[future][0], requests)
            ):
                self._engine.rerank_job(job, rank)
                self._open_jobs[future] = job, whole_target, rank
                return future
        rank = rank_target(new_part, self._home, now)
        submitted = self._engine.submit(rank, requests, list_missing=self._list_missing_requests)
        self._open_jobs[submitted.results] = submitted.job_key, new_part, rank
        return submitted.results

    def _update_ranks(self) -> None:
        now = self._clock.now()
        for future, (job, target, rank) in self._open_jobs.items():
            if target.kickoff_at <= now:
                self._engine.withdraw_job(job, KICKED_OFF_REASON)
            elif (new_rank := rank_target(target, self._home, now)) != rank:
                self._engine.rerank_job(job, new_rank)
                self._open_jobs[future] = job, target, new_rank

    def _build_requests(self, target: Target) -> list[Request]:
        return [
            request
            for platform, external_ids in target.listings.items()
            if platform in self._adapters and platform in self._engine.hosts
            for external_id in external_ids
            for request in self._build_first_requests(platform, external_id, target.sr_id)
        ]

    def _build_first_requests(self, platform: Platform, external_id: str, sr_id: int | None) -> Sequence[Request]:
        """Return the first requests for a listing.

        Return none when the dialect cannot build one; the listing is then finished.
        """
        try:
            if requests := self._adapters[platform].list_detail_requests(external_id, sr_id, ()):
                return requests
            raise ValueError("the dialect has no request for it")
        except Exception as error:
            log.exception("%s: no request for listing %s", platform, external_id)
            request = Request(platform, PayloadKind.DETAIL, "", external_id=external_id, sr_id=sr_id)
            now = self._clock.now()
            answer = build_unasked_answer(request, FailureClass.PERMANENT, f"not asked: {describe_error(error)}", now)
            self._engine.observers.on_planned(platform, 1, request.kind)
            self._engine.observers.on_outcomes([build_outcome(answer, now)])
            return ()

    def _list_missing_requests(self, first: Request, answers: Sequence[Answer]) -> Sequence[Request]:
        return self._adapters[first.platform].list_detail_requests(first.external_id or "", first.sr_id, answers)


async def _run_source(source: TargetSource | None, submit_targets: TargetSubmitter) -> None:
    if source is not None:
        await source(submit_targets)
