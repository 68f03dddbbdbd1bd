"""The run of one stage of a live cycle, discovery or capture, with its engine, landing and ledger.

Imports no Dagster.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field, replace
from datetime import datetime

import psycopg

from palimpsest_pipeline.domain.cycles import Cycle, CycleResult, EventOutcome
from palimpsest_pipeline.domain.enums import FailureClass, Platform, RunStatus
from palimpsest_pipeline.landing import CycleWriter
from palimpsest_pipeline.runtime.signals import DeferredSignals
from palimpsest_pipeline.scrape import ScrapeEngine, StageTally, build_running_runs, build_unfinished_result
from palimpsest_pipeline.scrape.engine import HostHold
from palimpsest_pipeline.scrape.sinks import ObserverGroup, ScrapeObserver
from palimpsest_pipeline.storage.db.connection import DatabaseUnreachable
from palimpsest_pipeline.storage.ledger import cycle_ledger, host_state

from ..context import Pipeline
from ..record_landed_cycles import record_closed
from .ledger_writer import LedgerWriter

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Stage:
    """The state of a running stage. It is always consistent, because a signal can end the stage any time."""

    pipeline: Pipeline
    cycle: Cycle
    name: str
    """Name of the stage: discovery or capture.

    A stage that ends normally is added under this name to the manifest in the landing.
    """
    tally: StageTally = field(default_factory=StageTally)
    earlier_result: CycleResult | None = None
    """Result of the cycle's previous stage."""
    ends_at: datetime | None = None
    """Latest end of the stage. A request that has no answer by then fails."""
    has_next_stage: bool = False
    """Whether another stage of the cycle follows in this run, unless this one fails on every platform.

    Between the two stages the cycle counts as running, so that recovery finds it if the next stage never starts.
    """
    late_platforms: Collection[Platform] = ()
    """Platforms whose discovery continues during the capture.

    They are known only when the discovery stage has ended.
    """
    engine: ScrapeEngine | None = None
    earlier_outcomes: dict[tuple[Platform, str], EventOutcome] = field(default_factory=dict)
    """Outcomes of the listings that a dead process had requested and that this stage requests again."""

    def resume_from(self, so_far: StageTally) -> None:
        """Continue from the counters of a dead process, `so_far`.

        Listings with a good answer or "not found" are not requested again.
        """
        self.tally = so_far
        lines, self.tally.outcomes = so_far.outcomes, []
        for line in lines:
            if line.status is RunStatus.COMPLETED or line.failure is FailureClass.NOT_FOUND:
                self.tally.outcomes.append(line)
            else:
                self.earlier_outcomes[line.platform, line.external_id] = line

    def merge_earlier_outcomes(self, result: CycleResult) -> CycleResult:
        """Return `result` with the attempts that a process of this cycle made before it died.

        Each listing keeps its newest result. Its attempts and its duration include those of the dead process.
        """
        return replace(
            result,
            outcomes=[
                _merge_outcomes(self.earlier_outcomes.get((line.platform, line.external_id)), line)
                for line in result.outcomes
            ],
        )

    def build_broken_off_result(self, error: BaseException) -> CycleResult:
        """Return the cycle's result if this stage ends early: failed after an error, otherwise cancelled."""
        has_failed = isinstance(error, Exception)
        unfinished: list[EventOutcome] = self.engine.list_unfinished() if self.engine is not None else []
        return build_unfinished_result(
            self.cycle,
            RunStatus.FAILED if has_failed else RunStatus.CANCELLED,
            f"{self.name} broken off: {error}" if has_failed else f"{self.name} cancelled",
            self.pipeline.clock.now(),
            tally=self.tally,
            unfinished_outcomes=unfinished,
            budgets=self.pipeline.split_budgets(self.cycle.scope),
            earlier_result=self.earlier_result,
        )


StageWork = Callable[[ScrapeEngine, Stage], Awaitable[CycleResult]]
"""A function that makes the requests of a stage.

It counts in the stage's tally, and sets `earlier_result` of the stage before its first request.
"""


def run_stage(stage: Stage, work: StageWork, observer: ScrapeObserver) -> CycleResult:
    """Run the stage, from opening the landing to closing the ledger, and return the cycle's result.

    However the stage ends, the answers that arrived are landed and the ledger has its status. Ctrl-C, SIGTERM and a
    terminated run end it as `cancelled`; the exception is raised when everything is written, and a second signal has no
    effect. Raises the error by which the stage failed.
    """
    pipeline, cycle = stage.pipeline, stage.cycle
    error: BaseException | None = None
    with DeferredSignals() as signals:
        ledger_writer = LedgerWriter(
            pipeline.connect,
            cycle,
            pipeline.settings.heartbeat_s,
            lambda: build_running_runs(stage.tally, pipeline.clock.now(), stage.earlier_result),
            {p: pipeline.find_host_name(p) for p in pipeline.platforms},
            pipeline.clock,
        )
        with ledger_writer:
            writer = manifest = None
            try:
                writer = pipeline.landing.open_writer(cycle)
                result = asyncio.run(_run_work(stage, work, ObserverGroup([ledger_writer, observer]), writer, signals))
                writer.flush()
            except BaseException as raised:  # noqa: BLE001 - a signal to end is handled like an error
                error = _find_first_error(raised)
                result = stage.build_broken_off_result(error)
            try:
                if writer is not None:
                    stages, late = ([], ()) if error else ([stage.name], stage.late_platforms)
                    manifest = writer.close(result.status, result.finished_at, stages, late)
            except Exception as close_error:  # noqa: BLE001 - the ledger must be closed after any error of the store
                error = error or close_error
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
                            "cycle %d: another run has taken it over, and the ledger keeps that run's rows",
                            cycle.cycle_id,
                        )
        except (DatabaseUnreachable, psycopg.Error) as lost:
            log.warning("cycle %d: its end is not in the ledger: %s", cycle.cycle_id, lost)
            error = error or lost
    if isinstance(error, asyncio.CancelledError):
        raise KeyboardInterrupt  # the process must end by the signal that cancelled the stage
    if error is not None:
        raise error from error.__cause__
    return result


async def _run_work(
    stage: Stage, work: StageWork, observer: ScrapeObserver, writer: CycleWriter, signals: DeferredSignals
) -> CycleResult:
    with signals.cancel_on_signal(asyncio.current_task()):
        holds = _read_host_holds(stage.pipeline, stage.cycle.cycle_id, stage.late_platforms)
        async with stage.pipeline.open_engine(
            stage.cycle.scope, writer, observer, host_holds=holds, ends_at=stage.ends_at
        ) as stage.engine:
            return await work(stage.engine, stage)


def _read_host_holds(pipeline: Pipeline, cycle_id: int, late: Collection[Platform] = ()) -> dict[Platform, HostHold]:
    """Return the pauses of hosts that other scrapes have recorded; empty when they cannot be read.

    Every platform of a host gets its pause. A pause that this cycle's own discovery recorded for a host of one of the
    `late` platforms has `is_blocked` False there, because that discovery continues and waits for the host itself.
    """
    host_names = {platform: pipeline.find_host_name(platform) for platform in pipeline.platforms}
    try:
        with pipeline.connect() as conn:
            troubles = host_state.read_troubles(conn, sorted({*host_names.values()}), pipeline.clock.now())
            return {
                platform: HostHold(
                    trouble.reason, trouble.for_s, is_blocked=platform not in late or trouble.cycle_id != cycle_id
                )
                for platform, host in host_names.items()
                if (trouble := troubles.get(host)) is not None
            }
    except (DatabaseUnreachable, psycopg.Error) as lost:
        log.warning("the states of hosts that other scrapes recorded cannot be read: %s", lost)
        return {}


def _merge_outcomes(before: EventOutcome | None, line: EventOutcome) -> EventOutcome:
    if before is None:
        return line
    took_ms = (line.received_at - before.requested_at).total_seconds() * 1000
    return replace(
        line, attempts=before.attempts + line.attempts, requested_at=before.requested_at, duration_ms=took_ms
    )


def _find_first_error(error: BaseException) -> BaseException:
    """Return the first error inside the exception groups in which concurrent tasks wrap it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
