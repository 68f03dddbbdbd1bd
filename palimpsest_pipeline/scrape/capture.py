"""Capture: every target's whole book from all its platforms at once. Decides the start of each fixture; budgets within a host are the client's."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime

from ..domain.cycles import Cycle, CycleResult, EventOutcome, PlatformRun, Target
from ..domain.exchange import Answer
from ..domain.instants import Clock
from ..domain.words import FailureClass, Platform, RunStatus
from ..platforms.base import PlatformAdapter
from ..wire import PlatformClient
from .guard import guarded_judge, words
from .ledger import capture_runs, cycle_status, merged, outcome_of, skew_ms
from .sinks import AnswerSink, Progress
from .slots import Slots
from .tally import Counts, Tally

log = logging.getLogger(__name__)


async def capture(
    cycle: Cycle,
    targets: Sequence[Target],
    adapters: Mapping[Platform, PlatformAdapter],
    clients: Mapping[Platform, PlatformClient],
    sink: AnswerSink,
    *,
    clock: Clock,
    progress: Progress | None = None,
    earlier: CycleResult | None = None,
) -> CycleResult:
    """Fetch every listing of every target, first targets first; listings of platforms without adapter or client are left out.

    A fixture waits until each of its platforms has a free slot, then all its platforms are asked at once; several listings of one platform
    follow one another in its slot. Every answer of every attempt goes to `sink` as it comes, so a cancelled capture has kept what arrived.
    `earlier` is what the same cycle came to before (its discovery): the runs returned are of both. What `sink` raises ends the capture
    (in an ExceptionGroup).
    """
    return await _Capture(cycle, adapters, clients, sink, clock=clock, progress=progress).run(targets, earlier)


class _Capture:
    """The state of one capture."""

    def __init__(
        self,
        cycle: Cycle,
        adapters: Mapping[Platform, PlatformAdapter],
        clients: Mapping[Platform, PlatformClient],
        sink: AnswerSink,
        *,
        clock: Clock,
        progress: Progress | None,
    ) -> None:
        self._cycle = cycle
        self._adapters = {platform: adapter for platform, adapter in adapters.items() if platform in clients}
        self._judges = {platform: guarded_judge(adapter) for platform, adapter in self._adapters.items()}
        self._clients = clients
        self._tally = Tally(sink)
        self._clock = clock
        self._progress = progress
        self._slots = Slots({platform: clients[platform].config.limits.max_in_flight for platform in self._adapters})
        self._outcomes: list[EventOutcome] = []
        self._skews: list[float] = []
        self._finished_at: dict[Platform, datetime] = {}

    async def run(self, targets: Sequence[Target], earlier: CycleResult | None) -> CycleResult:
        started_at = self._clock.now()
        wanted = [{p: ids for p, ids in target.listings.items() if p in self._adapters and ids} for target in targets]
        if self._progress is not None:
            for platform in self._adapters:
                self._progress.start(platform, sum(len(listings.get(platform, ())) for listings in wanted))
        async with asyncio.TaskGroup() as group:
            for priority, (target, listings) in enumerate(zip(targets, wanted, strict=True)):
                if listings:
                    group.create_task(self._fixture(target, listings, priority))
        counts = {platform: self._tally.counts.get(platform, Counts()) for platform in self._adapters}
        runs = merged(earlier.runs if earlier else (), capture_runs(self._outcomes, counts, started_at, self._finished_at))
        self._log(runs)
        return CycleResult(
            cycle=self._cycle,
            status=cycle_status(run.status for run in runs),
            finished_at=self._clock.now(),
            runs=runs,
            outcomes=tuple(self._outcomes),
            skew_ms=tuple(self._skews),
        )

    async def _fixture(self, target: Target, listings: Mapping[Platform, Sequence[str]], priority: int) -> None:
        await self._slots.acquire(listings.keys(), priority)
        async with asyncio.TaskGroup() as group:
            tasks = {platform: group.create_task(self._on_platform(platform, ids, target.sr_id)) for platform, ids in listings.items()}
        observed_at = {platform: seen for platform, task in tasks.items() if (seen := task.result()) is not None}
        skew = skew_ms(observed_at)
        if skew is not None:
            self._skews.append(skew)

    async def _on_platform(self, platform: Platform, external_ids: Sequence[str], sr_id: int | None) -> datetime | None:
        """When the fixture was first seen on this platform; None when none of its listings could be had."""
        seen: list[datetime] = []
        try:
            for external_id in external_ids:
                outcome, last = await self._listing(platform, external_id, sr_id)
                self._outcomes.append(outcome)
                if last is not None and last.ok:
                    seen.append(last.observed_at)
                if self._progress is not None:
                    self._progress.advance(platform, outcome.status is RunStatus.COMPLETED)
        finally:
            self._slots.release([platform])
        self._finished_at[platform] = self._clock.now()
        return min(seen, default=None)

    async def _listing(self, platform: Platform, external_id: str, sr_id: int | None) -> tuple[EventOutcome, Answer | None]:
        try:
            request = self._adapters[platform].detail_request(external_id, sr_id)
        except Exception as error:
            log.exception("%s: no request for listing %s", platform, external_id)
            return self._not_asked(platform, external_id, sr_id, words(error)), None
        answers = await self._clients[platform].fetch(request, self._judges[platform], self._tally.append)
        return outcome_of(answers), answers[-1]

    def _not_asked(self, platform: Platform, external_id: str, sr_id: int | None, reason: str) -> EventOutcome:
        now = self._clock.now()
        return EventOutcome(
            platform=platform,
            external_id=external_id,
            sr_id=sr_id,
            status=RunStatus.FAILED,
            attempts=0,
            failure=FailureClass.PERMANENT,
            failure_detail=f"not asked: {reason}",
            http_status=None,
            requested_at=now,
            received_at=now,
            bytes=0,
            duration_ms=0.0,
        )

    def _log(self, runs: Sequence[PlatformRun]) -> None:
        for run in runs:
            log.info(
                "cycle %d %s: %s, %d of %d listings in %d requests %s",
                self._cycle.cycle_id,
                run.platform,
                run.status,
                run.fetched,
                run.targets,
                run.requests,
                run.message,
            )
