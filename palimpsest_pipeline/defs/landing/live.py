"""A live cycle: open it, discover, capture, close it; the landing and the ledger are told as it goes. Knows no Dagster."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ...domain.cycles import Cycle, CycleResult, Target
from ...domain.instants import cycle_id_at, hour_key, hour_of
from ...domain.observations import Discovery
from ...domain.words import PayloadKind, Platform, Scope, Trigger
from ...scrape import capture, discover, discovery_result, targets
from ...scrape.sinks import Progress
from ...storage import ledger, listings
from ..pipeline import Pipeline


class NotLive(Exception):
    """A past hour cannot be scraped again. The message says what to do instead."""


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
        taken = ledger.cycle_ids_since(conn, cycle_id_at(now))
        cycle_id = cycle_id_at(now)
        while cycle_id in taken:
            cycle_id += 1
        cycle = Cycle(cycle_id, begun.trigger, scope, pipeline.settings.home_platform, begun.hour, now, begun.run_id, begun.sr_ids)
        ledger.open_batch(conn, cycle)
        conn.commit()
    return cycle


def run_discovery(pipeline: Pipeline, cycle: Cycle, progress: Progress | None = None) -> tuple[Mapping[Platform, Discovery], CycleResult]:
    """Ask every platform at once what it lists; land every answer. The result counts requests per platform."""

    async def work() -> tuple[Mapping[Platform, Discovery], CycleResult]:
        writer = pipeline.landing.writer(cycle)
        async with pipeline.clients() as clients:
            found = await discover(cycle, pipeline.adapters, clients, writer, sport=pipeline.settings.sport, clock=pipeline.clock, progress=progress)
        result = discovery_result(cycle, found, pipeline.clock.now())
        writer.close(result.status, result.finished_at, ["discovery"])
        return found.discoveries, result

    discoveries, result = asyncio.run(work())
    close(pipeline, result)
    return discoveries, result


def run_capture(pipeline: Pipeline, cycle: Cycle, wanted: Sequence[Target], earlier: CycleResult | None, progress: Progress | None = None) -> CycleResult:
    """Fetch every target from all its platforms at once; land every answer as it comes; close the cycle."""

    async def work() -> CycleResult:
        writer = pipeline.landing.writer(cycle)
        async with pipeline.clients() as clients:
            result = await capture(cycle, wanted, pipeline.adapters, clients, writer, clock=pipeline.clock, progress=progress, earlier=earlier)
        writer.close(result.status, result.finished_at, ["capture"])
        return result

    result = asyncio.run(work())
    close(pipeline, result)
    return result


def close(pipeline: Pipeline, result: CycleResult) -> None:
    """Write what the cycle came to."""
    with pipeline.connect() as conn:
        ledger.close_batch(conn, result)
        conn.commit()


def targets_of_discovery(pipeline: Pipeline, cycle: Cycle) -> list[Target]:
    """Targets from what this cycle's discovery landed."""
    manifest = pipeline.landing.manifest(cycle.cycle_id)
    answers = list(pipeline.landing.answers(pipeline.landing.read(manifest, kinds=[PayloadKind.TREE, PayloadKind.LISTING])))
    found = [
        adapter.read_discovery([a for a in answers if a.request.platform == platform], pipeline.settings.sport)
        for platform, adapter in pipeline.adapters.items()
    ]
    return targets([listing for d in found for listing in d.listings], cycle.home_platform, pipeline.clock.now())


def targets_of_events(pipeline: Pipeline, sr_ids: Sequence[int]) -> list[Target]:
    """Targets for given fixtures from what earlier discoveries know."""
    with pipeline.connect() as conn:
        known = listings.current_listings(conn, sr_ids=list(sr_ids))
    return targets(known, pipeline.settings.home_platform, pipeline.clock.now())
