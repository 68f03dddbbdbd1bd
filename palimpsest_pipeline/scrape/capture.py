"""Capture: every target's whole book from all its platforms at once.

Says what is wanted and in which order; the engine does the asking.
"""

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

from .dialect_guard import describe_error
from .engine import RequestResult, ScrapeEngine
from .outcomes import build_capture_result, build_outcome, build_unasked_answer
from .scheduler import Rank
from .stage_tally import StageTally
from .targets import rank_target

log = logging.getLogger(__name__)

TargetSubmitter = Callable[[Sequence[Target]], None]
"""Asks for the listings of these targets that have not been asked for."""
TargetSource = Callable[[TargetSubmitter], Awaitable[None]]
"""Runs beside a capture and finds further targets."""
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
    """Fetch every listing of every target, most urgent targets first; listings of platforms without adapter or host are
    left out.

    All listings of a fixture start together where their hosts allow. What becomes urgent while it waits moves up; what
    kicks off while it waits is not asked, and counts as not found. A listing that `source` finds joins the others of
    its fixture while these wait, and is asked alone else; the capture lasts as long as the source. `tally` counts and
    keeps the outcomes as they come, so a cancelled capture can still be told of; `earlier`, called at the end, is what
    the same cycle's discovery came to: the runs returned are of both. Raises what ended the engine.
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
    """The targets that are still open, and where each of them stands."""

    def __init__(
        self, cycle: Cycle, adapters: Mapping[Platform, PlatformAdapter], engine: ScrapeEngine, clock: Clock
    ) -> None:
        self._home = cycle.home_platform
        self._adapters = adapters
        self._engine = engine
        self._clock = clock
        self._open_jobs: dict[asyncio.Future[list[RequestResult]], tuple[int, Target, Rank]] = {}
        self._future_by_listing: dict[tuple[Platform, str], asyncio.Future[list[RequestResult]] | None] = {}
        """Listings that were asked for, each with its job's future; None where there was nothing to ask."""

    async def run(self, targets: Sequence[Target], source: TargetSource | None, rerank_interval_s: float) -> None:
        self._submit_targets(targets)
        # After the targets: a host in trouble is given up when nothing else is left to do.
        finding = asyncio.create_task(_run_source(source, self._submit_targets))
        try:
            while self._open_jobs or not finding.done():
                waiting: list[asyncio.Future[Any]] = [*self._open_jobs, *([] if finding.done() else [finding])]
                over, _ = await asyncio.wait(waiting, timeout=rerank_interval_s, return_when=asyncio.FIRST_EXCEPTION)
                for done in over:
                    done.result()
                    self._open_jobs.pop(done, None)
                self._update_ranks()
        finally:
            finding.cancel()
            await asyncio.gather(finding, return_exceptions=True)

    def _submit_targets(self, targets: Sequence[Target]) -> None:
        now = self._clock.now()
        for target in targets:
            listings = {
                p: new
                for p, every in target.listings.items()
                if (new := tuple(i for i in every if (p, i) not in self._future_by_listing))
            }
            if not listings:
                continue
            requests = self._build_requests(replace(target, listings=listings))
            done = self._submit_target(target, replace(target, listings=listings), requests, now) if requests else None
            self._future_by_listing.update(
                ((platform, external_id), done) for platform, ids in listings.items() for external_id in ids
            )

    def _submit_target(
        self, whole_target: Target, new_part: Target, requests: Sequence[Request], now: datetime
    ) -> asyncio.Future[list[RequestResult]]:
        """Ask for the `rest` of a target, together with what of it waits."""
        place = rank_target(whole_target, self._home, now)
        for done in (
            self._future_by_listing.get((platform, external_id))
            for platform, ids in whole_target.listings.items()
            for external_id in ids
        ):
            if (
                done is not None
                and done in self._open_jobs
                and self._engine.extend_job(job := self._open_jobs[done][0], requests)
            ):
                self._engine.rerank_job(job, place)
                self._open_jobs[done] = job, whole_target, place
                return done
        place = rank_target(new_part, self._home, now)
        submitted = self._engine.submit(place, requests)
        self._open_jobs[submitted.results] = submitted.job_key, new_part, place
        return submitted.results

    def _update_ranks(self) -> None:
        now = self._clock.now()
        for done, (job, target, place) in self._open_jobs.items():
            if target.kickoff_at <= now:
                self._engine.withdraw_job(job, KICKED_OFF_REASON)
            elif (now_at := rank_target(target, self._home, now)) != place:
                self._engine.rerank_job(job, now_at)
                self._open_jobs[done] = job, target, now_at

    def _build_requests(self, target: Target) -> list[Request]:
        requests = []
        for platform, external_ids in target.listings.items():
            if platform in self._adapters and platform in self._engine.hosts:
                asked = (self._build_request(platform, external_id, target.sr_id) for external_id in external_ids)
                requests += [request for request in asked if request is not None]
        return requests

    def _build_request(self, platform: Platform, external_id: str, sr_id: int | None) -> Request | None:
        """None when the dialect cannot ask for this listing, which is then over."""
        try:
            return self._adapters[platform].build_detail_request(external_id, sr_id)
        except Exception as error:
            log.exception("%s: no request for listing %s", platform, external_id)
            wanted = Request(platform, PayloadKind.DETAIL, "", external_id=external_id, sr_id=sr_id)
            now = self._clock.now()
            answer = build_unasked_answer(wanted, FailureClass.PERMANENT, f"not asked: {describe_error(error)}", now)
            self._engine.observers.on_planned(platform, 1, wanted.kind)
            self._engine.observers.on_outcomes([build_outcome(answer, now)])
            return None


async def _run_source(source: TargetSource | None, ask_for: TargetSubmitter) -> None:
    if source is not None:
        await source(ask_for)
