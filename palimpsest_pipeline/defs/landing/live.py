"""A live cycle: open it, discover, capture, close it; the landing and the ledger are told as it goes. Knows no Dagster."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import psycopg

from ...domain.cycles import Cycle, CycleResult, Target
from ...domain.instants import cycle_id_at, hour_key, hour_of
from ...domain.words import RunStatus, Scope, Trigger
from ...landing import LandingError
from ...scrape import Engine, Tally, capture, discover, discovery_result, targets
from ...scrape.sinks import Watch
from ...storage import ledger, ledger_readers
from ...storage.database import DatabaseUnreachable
from ...storage.known import current_listings
from ..core.readings import discoveries
from ..pipeline import Pipeline

Work = Callable[[Engine], Awaitable[CycleResult]]


class NotLive(Exception):
    """A past hour cannot be scraped again. The message says what to do instead."""


class UnknownFixture(Exception):
    """A fixture was asked for that no platform is known to list. The message names it."""


@dataclass(frozen=True, slots=True)
class Begun:
    """What a run asks for: which hour, why, for whom."""

    hour: datetime
    trigger: Trigger
    run_id: str | None
    sr_ids: tuple[int, ...] = ()


def check_hour_is_live(hour: datetime, now: datetime, grace_minutes: int) -> None:
    """Raises NotLive when `hour` is neither the current hour nor within the grace after it."""
    if hour_of(now) == hour or (hour < now <= hour + timedelta(hours=1, minutes=grace_minutes)):
        return
    raise NotLive(
        f"{hour_key(hour)} cannot be scraped: only the current hour ({hour_key(now)}) is live. To rebuild a past hour from what was landed, "
        f"materialize the core and mart groups only (`palimpsest backfill {hour_key(hour)} {hour_key(hour)}`); to add recorded payloads, use "
        "`palimpsest landing import DIR`."
    )


def begin(pipeline: Pipeline, begun: Begun, scope: Scope) -> Cycle:
    """A new cycle, written to the ledger. Raises NotLive for a past hour."""
    now = pipeline.clock.now()
    check_hour_is_live(begun.hour, now, pipeline.settings.grace_minutes)
    with pipeline.connect() as conn:
        cycle_id = cycle_id_at(now)
        while ledger.batch(conn, cycle_id) is not None:
            cycle_id += 1
        cycle = Cycle(cycle_id, begun.trigger, scope, pipeline.settings.home_platform, begun.hour, now, begun.run_id, begun.sr_ids)
        ledger.open_batch(conn, cycle)
    return cycle


def run_discovery(pipeline: Pipeline, cycle: Cycle, progress: Watch) -> CycleResult:
    """Ask every platform at once what it lists; land every answer as it comes; tell the ledger."""

    async def work(engine: Engine) -> CycleResult:
        tally = Tally()
        found = await discover(pipeline.adapters, engine, sport=pipeline.settings.sport, tally=tally)
        return discovery_result(cycle, found, tally, pipeline.clock.now())

    return _stage(pipeline, cycle, "discovery", work, progress)


def run_capture(pipeline: Pipeline, begun: Begun, progress: Watch) -> CycleResult:
    """Fetch every target from all its platforms at once; land every answer as it comes; tell the ledger.

    The targets are those of the discovery in the same run; without one, the fixtures asked for, or all upcoming ones that are known.
    """
    with pipeline.connect() as conn:
        batch = ledger.batch_of_run(conn, begun.run_id) if begun.run_id else None
        earlier = ledger_readers.result_of(conn, batch) if batch is not None else None
        if batch is not None:
            ledger.open_batch(conn, batch.cycle)
    if batch is None:
        wanted = targets_of_known(pipeline, begun.sr_ids)
        cycle = begin(pipeline, begun, Scope.EVENTS)
    else:
        cycle = batch.cycle
        wanted = targets_of_discovery(pipeline, cycle)

    async def work(engine: Engine) -> CycleResult:
        return await capture(cycle, wanted, pipeline.adapters, engine, clock=pipeline.clock, earlier=earlier)

    return _stage(pipeline, cycle, "capture", work, progress, earlier)


def _stage(pipeline: Pipeline, cycle: Cycle, name: str, work: Work, progress: Watch, earlier: CycleResult | None = None) -> CycleResult:
    """One stage of a cycle with engine and landing opened for it. However it ends, what arrived is landed and the ledger says how it ended."""
    writer = pipeline.landing.writer(cycle)

    async def with_engine() -> CycleResult:
        async with pipeline.engine(writer, progress) as engine:
            return await work(engine)

    try:
        result = asyncio.run(with_engine())
        writer.close(result.status, result.finished_at, [name])
    except BaseException as error:  # noqa: BLE001 - being interrupted is an end like any other
        reason = _first(error)
        broken = _broken_off(cycle, name, reason, earlier, pipeline.clock.now())
        with suppress(LandingError):
            writer.close(RunStatus.PARTIAL, broken.finished_at)
        with suppress(DatabaseUnreachable, psycopg.Error):
            _tell(pipeline, broken)
        raise reason from reason.__cause__
    _tell(pipeline, result)
    return result


def _first(error: BaseException) -> BaseException:
    """What went wrong first, out of the groups that concurrent tasks wrap it in."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _broken_off(cycle: Cycle, stage: str, error: BaseException, earlier: CycleResult | None, now: datetime) -> CycleResult:
    """A cycle whose stage did not come to its end: failed, whatever its earlier stages came to."""
    words = f"{stage} broken off: {error}" if isinstance(error, Exception) else f"{stage} interrupted"
    runs = [replace(run, status=RunStatus.FAILED, message="; ".join(filter(None, (run.message, words)))) for run in (earlier.runs if earlier else ())]
    return CycleResult(cycle, RunStatus.FAILED, now, runs)


def _tell(pipeline: Pipeline, result: CycleResult) -> None:
    with pipeline.connect() as conn:
        ledger.close_batch(conn, result)


def targets_of_discovery(pipeline: Pipeline, cycle: Cycle) -> list[Target]:
    """Targets from what this cycle's discovery landed."""
    found = discoveries(pipeline, pipeline.landing.manifest(cycle.cycle_id), pipeline.platforms)
    return targets([listing for d, _ in found.values() for listing in d.listings], cycle.home_platform, pipeline.clock.now())


def targets_of_known(pipeline: Pipeline, sr_ids: Sequence[int]) -> list[Target]:
    """Targets from what earlier cycles know: the fixtures given, or every upcoming one. Raises UnknownFixture naming ids that nobody lists."""
    now = pipeline.clock.now()
    with pipeline.connect() as conn:
        known = current_listings(conn, now, sr_ids)
    if missing := set(sr_ids) - {listing.sr_id for listing in known}:
        raise UnknownFixture(
            f"no upcoming listing is known for SportRadar id {', '.join(map(str, sorted(missing)))}: run a full cycle first, or check the id"
        )
    return targets(known, pipeline.settings.home_platform, now)
