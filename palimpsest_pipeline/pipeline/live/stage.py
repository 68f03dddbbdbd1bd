"""One stage of a live cycle, discovery or capture: engine, landing and ledger opened for it, and how it ends.

Knows no Dagster.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field, replace
from datetime import datetime

import psycopg

from palimpsest_pipeline.domain.cycles import Cycle, CycleResult, EventOutcome, PlatformRun
from palimpsest_pipeline.domain.enums import FailureClass, Platform, RunStatus
from palimpsest_pipeline.landing import CycleWriter
from palimpsest_pipeline.runtime.signals import DeferredSignals
from palimpsest_pipeline.scrape import ScrapeEngine, StageTally, build_running_runs, build_unfinished_result
from palimpsest_pipeline.scrape.engine import HostHold
from palimpsest_pipeline.scrape.sinks import ObserverGroup, ScrapeObserver
from palimpsest_pipeline.storage.db.connection import DatabaseUnreachable
from palimpsest_pipeline.storage.ledger import cycle_ledger, host_state

from ..context import Pipeline
from ..landed_cycles import record_closed
from .ledger_writer import LedgerWriter

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Stage:
    """What a stage has come to so far: good at any time, for it may be ended at any time."""

    pipeline: Pipeline
    cycle: Cycle
    name: str
    """discovery or capture: how the landing's manifest knows it once it has come to its end."""
    tally: StageTally = field(default_factory=StageTally)
    earlier_result: CycleResult | None = None
    """What the cycle's stage before came to."""
    ends_at: datetime | None = None
    """When it is over at the latest: what has no answer then has failed."""
    has_next_stage: bool = False
    """Another stage of the same cycle follows in this run, unless this one fails on every platform.

    Until then the cycle is running, so that it is found when that stage never comes.
    """
    late_platforms: Collection[Platform] = ()
    """Platforms whose discovery goes on beside the capture: known when the discovery has ended."""
    engine: ScrapeEngine | None = None
    earlier_outcomes: dict[tuple[Platform, str], EventOutcome] = field(default_factory=dict)
    """Lines of the listings that a process that died had asked for, and that are asked for once more."""

    def resume_from(self, so_far: StageTally) -> None:
        """Go on from what a process that died has counted.

        A good answer is not asked for again, nor what is not there.
        """
        self.tally = so_far
        lines, self.tally.outcomes = so_far.outcomes, []
        for line in lines:
            if line.status is RunStatus.COMPLETED or line.failure is FailureClass.NOT_FOUND:
                self.tally.outcomes.append(line)
            else:
                self.earlier_outcomes[line.platform, line.external_id] = line

    def merge_earlier_outcomes(self, result: CycleResult) -> CycleResult:
        """`result` with the lines of all processes that were at it."""
        return replace(
            result,
            outcomes=[
                _merge_outcomes(self.earlier_outcomes.get((line.platform, line.external_id)), line)
                for line in result.outcomes
            ],
        )

    def list_platform_runs(self) -> list[PlatformRun]:
        """The platforms' parts while they run."""
        return build_running_runs(self.tally, self.pipeline.clock.now(), self.earlier_result)

    def build_broken_off_result(self, error: BaseException) -> CycleResult:
        """The cycle when this stage has not come to its own end: failed by its own fault, cancelled when it was
        asked to end.
        """
        own = isinstance(error, Exception)
        unfinished: list[EventOutcome] = self.engine.list_unfinished() if self.engine is not None else []
        return build_unfinished_result(
            self.cycle,
            RunStatus.FAILED if own else RunStatus.CANCELLED,
            f"{self.name} broken off: {error}" if own else f"{self.name} cancelled",
            self.pipeline.clock.now(),
            tally=self.tally,
            unfinished_outcomes=unfinished,
            budgets=self.pipeline.split_budgets(self.cycle.scope),
            earlier_result=self.earlier_result,
        )


StageWork = Callable[[ScrapeEngine, Stage], Awaitable[CycleResult]]
"""Does the asking of a stage. It counts in the stage's tally, and sets `earlier` there before it begins."""


def run_stage(stage: Stage, work: StageWork, observer: ScrapeObserver) -> CycleResult:
    """The stage, from opening the landing to closing the ledger. However it ends, what arrived is landed and the ledger
    says how it ended.

    Ctrl-C, SIGTERM and a terminated run end it as `cancelled` and are raised when all is written; a second one changes
    nothing. Raises what the stage failed of.
    """
    pipeline, cycle = stage.pipeline, stage.cycle
    error: BaseException | None = None
    with DeferredSignals() as signals:
        keeper = LedgerWriter(
            pipeline.connect,
            cycle,
            pipeline.settings.heartbeat_s,
            stage.list_platform_runs,
            {p: pipeline.find_host_name(p) for p in pipeline.platforms},
            pipeline.clock,
        )
        with keeper:
            writer = manifest = None
            try:
                writer = pipeline.landing.open_writer(cycle)
                result = asyncio.run(_run_work(stage, work, ObserverGroup([keeper, observer]), writer, signals))
                writer.flush()
            except BaseException as raised:  # noqa: BLE001 - being asked to end is an end like any other
                error = _find_first_error(raised)
                result = stage.build_broken_off_result(error)
            try:
                if writer is not None:
                    stages, late = ([], ()) if error else ([stage.name], stage.late_platforms)
                    manifest = writer.close(result.status, result.finished_at, stages, late)
            except Exception as refused:  # noqa: BLE001 - whatever the store refuses with, the ledger must be closed
                error = error or refused
                result = stage.build_broken_off_result(error)
        result = stage.merge_earlier_outcomes(result)
        try:
            with pipeline.connect() as conn:
                if stage.has_next_stage and error is None and result.status is not RunStatus.FAILED:
                    cycle_ledger.record_progress(
                        conn, cycle, [replace(each, status=RunStatus.RUNNING) for each in result.runs], result.outcomes
                    )
                else:
                    if manifest is not None:
                        record_closed(conn, manifest)
                    if not cycle_ledger.close_cycle(conn, result):
                        log.warning(
                            "cycle %d: another run has taken it up, and the ledger keeps what that one writes",
                            cycle.cycle_id,
                        )
        except (DatabaseUnreachable, psycopg.Error) as lost:
            log.warning("cycle %d: its end is not in the ledger: %s", cycle.cycle_id, lost)
            error = error or lost
    if isinstance(error, asyncio.CancelledError):
        raise KeyboardInterrupt  # nobody wanted to raise the signal that cancelled it
    if error is not None:
        raise error from error.__cause__
    return result


async def _run_work(
    stage: Stage, work: StageWork, watch: ScrapeObserver, writer: CycleWriter, signals: DeferredSignals
) -> CycleResult:
    with signals.cancel_on_signal(asyncio.current_task()):
        holds = _read_host_holds(stage.pipeline, stage.cycle.cycle_id, stage.late_platforms)
        async with stage.pipeline.open_engine(
            stage.cycle.scope, writer, watch, host_holds=holds, ends_at=stage.ends_at
        ) as stage.engine:
            return await work(stage.engine, stage)


def _read_host_holds(pipeline: Pipeline, cycle_id: int, late: Collection[Platform] = ()) -> dict[Platform, HostHold]:
    """What scrapes have found of the hosts. Nothing when that cannot be read: then this one finds it out.

    What this cycle's own discovery found of a late platform is no end of it: the discovery goes on, and the host is
    waited for.
    """
    hosts = {pipeline.find_host_name(platform): platform for platform in pipeline.platforms}
    try:
        with pipeline.connect() as conn:
            found = host_state.read_troubles(conn, list(hosts), pipeline.clock.now())
            return {
                hosts[host]: HostHold(
                    trouble.reason, trouble.for_s, is_blocked=hosts[host] not in late or trouble.cycle_id != cycle_id
                )
                for host, trouble in found.items()
            }
    except (DatabaseUnreachable, psycopg.Error) as lost:
        log.warning("what other scrapes found of the hosts cannot be read: %s", lost)
        return {}


def _merge_outcomes(before: EventOutcome | None, line: EventOutcome) -> EventOutcome:
    if before is None:
        return line
    took_ms = (line.received_at - before.requested_at).total_seconds() * 1000
    return replace(
        line, attempts=before.attempts + line.attempts, requested_at=before.requested_at, duration_ms=took_ms
    )


def _find_first_error(error: BaseException) -> BaseException:
    """What went wrong first, out of the groups that concurrent tasks wrap it in."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
