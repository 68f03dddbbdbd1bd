"""A live cycle: opening it, discovery, capture, and continuing a cycle whose process died.

Imports no Dagster.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from math import inf
from typing import Final

import psycopg

from palimpsest_pipeline.domain.cycles import Cycle, CycleResult, Target
from palimpsest_pipeline.domain.enums import FailureClass, Platform, RunStatus, Scope, Trigger
from palimpsest_pipeline.domain.errors import PalimpsestError
from palimpsest_pipeline.domain.instants import clamp_hour_to_day, get_day_start, make_cycle_id
from palimpsest_pipeline.domain.observations import Discovery
from palimpsest_pipeline.landing import Manifest
from palimpsest_pipeline.scrape import (
    ScrapeEngine,
    build_discovery_result,
    build_targets,
    capture_targets,
    continue_discoveries,
    discover,
    rebuild_tallies,
)
from palimpsest_pipeline.scrape.capture import TargetSubmitter
from palimpsest_pipeline.scrape.sinks import ScrapeObserver
from palimpsest_pipeline.storage.catalog.upcoming_fixtures import read_upcoming_listings
from palimpsest_pipeline.storage.ledger import cycle_ledger

from ..context import Pipeline
from ..home_notes import require_same_source
from ..ingest.cycle_frames import DISCOVERY_KINDS, read_answers, read_discoveries
from . import recovery, stage
from .stage import Stage

DISCOVERY_STAGE, CAPTURE_STAGE = "discovery", "capture"
DISCOVERY_PATIENCE_S: Final = 5.0
"""The capture starts without a platform whose discovery got no good answer for this long."""
DISCOVERY_LIMIT: Final = timedelta(minutes=2)
"""The discovery of such a platform ends, incomplete, this long after the start of the cycle."""


class NotLive(PalimpsestError):
    """A cycle was requested for a past day, which cannot be scraped. The message names the alternative."""


class UnknownFixture(PalimpsestError):
    """No platform is known to list a requested fixture. The message names the fixture."""


class NoPlatformAnswered(PalimpsestError):
    """No platform gave a usable answer. The message gives the reason for each platform."""


class Skipped(Exception):
    """This run has nothing to do, which is no error. The message gives the reason."""


class Overlaps(Skipped):
    """Another running cycle already requests the same listings. The message names it and gives advice."""


@dataclass(frozen=True, slots=True)
class ScrapeRequest:
    """A Dagster run's request for a cycle: its UTC day, trigger, run id and fixtures."""

    day: date
    trigger: Trigger
    run_id: str | None
    sr_ids: tuple[int, ...] = ()
    slot_at: datetime | None = None
    """Start of the slot of the kickoff cadence that the run requests; None for other runs."""
    repeats: tuple[str, ...] = ()
    """Ids of the earlier runs, already ended, that this run repeats."""


def check_day_is_live(day: date, now: datetime, grace_minutes: int) -> None:
    """Raise NotLive unless `day` is today or ended at most `grace_minutes` ago."""
    ends_at = get_day_start(day + timedelta(days=1))
    if now.date() == day or ends_at <= now <= ends_at + timedelta(minutes=grace_minutes):
        return
    raise NotLive(
        f"{day} cannot be scraped: only today ({now.date()}, UTC) is live. To derive a past day from its landed"
        f" answers, materialize only the groups core and mart"
        f" (`palimpsest backfill {day} {day}`); to add recorded payloads, use `palimpsest landing import DIR`."
    )


def open_cycle(pipeline: Pipeline, request: ScrapeRequest, scope: Scope) -> Cycle:
    """Close the cycles whose process died, then open a new cycle in the ledger.

    Raises NotLive for a past day, and Overlaps when another cycle requests the same.
    """
    recovery.recover_dead_cycles(pipeline, request.repeats)
    now = pipeline.clock.now()
    check_day_is_live(request.day, now, pipeline.settings.grace_minutes)
    with pipeline.connect() as conn:
        cycle_ledger.lock_opening(conn)
        cycle_id = make_cycle_id(now)
        while cycle_ledger.read_cycle(conn, cycle_id) is not None:
            cycle_id += 1
        home = pipeline.settings.home_platform
        hour = clamp_hour_to_day(request.day, now)
        cycle = Cycle(
            cycle_id,
            request.trigger,
            scope,
            home,
            hour,
            now,
            request.run_id,
            request.sr_ids,
            request.slot_at,
            platforms=pipeline.platforms,
        )
        _register_cycle(pipeline, conn, cycle)
    return cycle


def _register_cycle(pipeline: Pipeline, conn: psycopg.Connection, cycle: Cycle) -> None:
    """Record in the ledger that the cycle runs.

    Raises Overlaps, and SettingsError when simulated and real data would be mixed.
    """
    require_same_source(pipeline.settings, has_cycles=cycle_ledger.has_cycles(conn))
    pipeline.record_platforms(conn, cycle.platforms)
    other = cycle_ledger.open_unless_overlapping(conn, cycle, pipeline.settings.silent_after_s)
    if other is not None:
        cycle, run_id, settings = other.cycle, other.cycle.run_id, pipeline.settings
        advice = "wait until it is over, or end its run first"
        if other.silent_s > 2 * settings.heartbeat_s:
            closed_at = other.silent_since + timedelta(seconds=settings.silent_after_s)
            advice = (
                f"it is silent for {other.silent_s:.0f} s; if it stays so, the next command closes it from"
                f" {closed_at:%H:%M:%S} UTC on. Try again then, or see whether its process still runs"
            )
        raise Overlaps(
            f"cycle {cycle.cycle_id} of scope {cycle.scope} asks for the same since"
            f" {cycle.started_at:%Y-%m-%d %H:%M:%S} UTC{f' (run {run_id})' if run_id else ''}: {advice}"
        )


def require_answers(result: CycleResult) -> CycleResult:
    """Return `result`; raise NoPlatformAnswered when no platform gave a usable answer.

    Usable answers are a list of listings, a book, and "not found" if the platform was asked for one fixture only. "Not
    found" for several fixtures is not usable, because a platform whose interface has moved answers the same way.
    `storage.ledger.requested_slots` has the same rule.
    """
    if result.status is not RunStatus.FAILED or any(line.status is RunStatus.COMPLETED for line in result.outcomes):
        return result
    fixtures: dict[Platform, set[int | str]] = defaultdict(set)
    for line in result.outcomes:
        fixtures[line.platform].add(line.sr_id or line.external_id)
    if any(line.failure is FailureClass.NOT_FOUND and len(fixtures[line.platform]) == 1 for line in result.outcomes):
        return result
    reasons = "; ".join(f"{run.platform}: {run.message or 'no answer'}" for run in result.runs)
    raise NoPlatformAnswered(
        f"no platform answered in cycle {result.cycle.cycle_id} ({reasons}). Check that this machine reaches the"
        " platforms: `palimpsest doctor`"
    )


def run_discovery(
    pipeline: Pipeline, cycle: Cycle, observer: ScrapeObserver, *, has_capture_next: bool = False
) -> CycleResult:
    """Request the listings of all platforms at the same time; land every answer when it arrives.

    Updates the ledger. `has_capture_next` means that the same run captures afterwards. Then a platform that has not
    finished within DISCOVERY_PATIENCE_S counts as late: the cycle's manifest names it, and the capture
    continues its discovery. Without `has_capture_next` this function waits for every platform.
    """

    async def work(engine: ScrapeEngine, at: Stage) -> CycleResult:
        patience_s = DISCOVERY_PATIENCE_S if has_capture_next else inf
        outcome = await discover(
            pipeline.adapters, engine, sport=pipeline.settings.sport, tally=at.tally, patience_s=patience_s
        )
        late = at.late_platforms = outcome.late_platforms
        return build_discovery_result(cycle, outcome.discoveries, at.tally, pipeline.clock.now(), late)

    return stage.run_stage(Stage(pipeline, cycle, DISCOVERY_STAGE, has_next_stage=has_capture_next), work, observer)


def run_capture(pipeline: Pipeline, request: ScrapeRequest, observer: ScrapeObserver) -> CycleResult:
    """Request every target from all its platforms at the same time; land every answer when it arrives.

    Updates the ledger. The capture continues the cycle of the run's discovery; its targets are the listings found
    there, including those of late platforms. Without a discovery, they are the requested fixtures, or all known
    upcoming ones. A run that repeats a dead run continues its cycle, and skips listings that have a landed good answer
    or "not found". Raises NotLive when that cycle's day is past, UnknownFixture when no platform lists a requested
    fixture, and Overlaps when another cycle requests the same.
    """
    unfinished = _find_unfinished_capture(pipeline, request)
    if unfinished is None:
        targets = find_known_targets(pipeline, request.sr_ids)
        return run_target_capture(pipeline, open_cycle(pipeline, request, Scope.EVENTS), targets, observer)
    # The cycle gets the id of the run that executes it now, because the run that started it may be dead.
    cycle, manifest = replace(unfinished[0], run_id=request.run_id), unfinished[1]
    with pipeline.connect() as conn:
        _register_cycle(pipeline, conn, cycle)
    return _finish_capture(pipeline, cycle, manifest, observer)


def _find_unfinished_capture(pipeline: Pipeline, request: ScrapeRequest) -> tuple[Cycle, Manifest] | None:
    """Return cycle and manifest of the newest unfinished capture of this run, or of a run that it repeats.

    Return None if there is none.
    """
    if request.repeats:
        recovery.recover_dead_cycles(pipeline, request.repeats)
    with pipeline.connect() as conn:
        cycles = [
            batch.cycle
            for run_id in (request.run_id, *request.repeats)
            if run_id and (batch := cycle_ledger.read_cycle_of_run(conn, run_id)) is not None
        ]
    if not cycles:
        return None
    cycle = max(cycles, key=lambda cycle: cycle.cycle_id)
    manifest = pipeline.landing.read_manifest(cycle.cycle_id, cycle.partition_hour)
    if CAPTURE_STAGE in manifest.stages or (cycle.scope is Scope.FULL and DISCOVERY_STAGE not in manifest.stages):
        return None
    if cycle.run_id != request.run_id:
        check_day_is_live(cycle.partition_hour.date(), pipeline.clock.now(), pipeline.settings.grace_minutes)
    return cycle, manifest


def run_target_capture(
    pipeline: Pipeline,
    cycle: Cycle,
    targets: Sequence[Target],
    observer: ScrapeObserver,
    *,
    ends_at: datetime | None = None,
) -> CycleResult:
    """Capture the targets in an open cycle. A listing without an answer at `ends_at` counts as failed."""

    async def work(engine: ScrapeEngine, at: Stage) -> CycleResult:
        return await capture_targets(cycle, targets, pipeline.adapters, engine, clock=pipeline.clock, tally=at.tally)

    return stage.run_stage(Stage(pipeline, cycle, CAPTURE_STAGE, ends_at=ends_at), work, observer)


def _finish_capture(pipeline: Pipeline, cycle: Cycle, manifest: Manifest, progress: ScrapeObserver) -> CycleResult:
    """Finish the capture of an open cycle, and at the same time the discovery of its late platforms.

    Requests only platforms that the cycle covers and that are still active.
    """
    ends_at = cycle.started_at + DISCOVERY_LIMIT
    late = (
        [platform for platform in manifest.late if platform in pipeline.platforms]
        if pipeline.clock.now() < ends_at
        else []
    )

    async def work(engine: ScrapeEngine, at: Stage) -> CycleResult:
        rest = _UnfinishedCapture(at, manifest)

        async def source(submit: TargetSubmitter) -> None:
            await rest.continue_discovery(engine, ends_at, submit)

        return await capture_targets(
            cycle,
            rest.list_targets(),
            pipeline.adapters,
            engine,
            clock=pipeline.clock,
            tally=at.tally,
            read_earlier_result=lambda: at.earlier_result,
            source=source if late else None,
        )

    return stage.run_stage(Stage(pipeline, cycle, CAPTURE_STAGE, late_platforms=late), work, progress)


class _UnfinishedCapture:
    """The rest of a cycle's capture, computed from the answers that are already landed.

    It sets the stage's counters to the state that the cycle has reached.
    """

    def __init__(self, at: Stage, manifest: Manifest) -> None:
        pipeline = at.pipeline
        self._at = at
        self._manifest = manifest
        self._platforms = pipeline.list_cycle_platforms(manifest)
        active_platforms = [platform for platform in self._platforms if platform in pipeline.platforms]
        self._discoveries = {
            platform: each for platform, (each, _) in read_discoveries(pipeline, manifest, active_platforms).items()
        }
        self._discovery_tally, so_far = rebuild_tallies(pipeline.landing.read_landed_listings(manifest.cycle_id))
        at.resume_from(so_far)
        self._settled_listings = {(line.platform, line.external_id) for line in at.tally.outcomes}
        self._answers = {
            platform: read_answers(pipeline, manifest, DISCOVERY_KINDS, [platform]) for platform in at.late_platforms
        }
        self._note_discoveries()

    def list_targets(self) -> list[Target]:
        """Return the cycle's targets without the listings that have a landed good answer or "not found".

        The targets come from its discovery, or from earlier cycles if it has no discovery.
        """
        pipeline, cycle = self._at.pipeline, self._at.cycle
        if cycle.scope is Scope.FULL:
            listings = [listing for discovery in self._discoveries.values() for listing in discovery.listings]
            targets = build_targets(listings, self._platforms, cycle.home_platform, pipeline.clock.now())
        else:
            targets = find_known_targets(pipeline, cycle.sr_ids, self._manifest)
        open_targets = []
        for target in targets:
            open_listings = {
                p: ids
                for p, every in target.listings.items()
                if (ids := tuple(i for i in every if (p, i) not in self._settled_listings))
            }
            if open_listings:
                open_targets.append(replace(target, listings=open_listings))
        return open_targets

    async def continue_discovery(self, engine: ScrapeEngine, ends_at: datetime, submit: TargetSubmitter) -> None:
        """Continue the discovery of the late platforms until `ends_at`; pass their listings to `submit`."""
        pipeline = self._at.pipeline

        def submit_targets(discovery: Discovery) -> None:
            self._discoveries[discovery.platform] = discovery
            self._note_discoveries()
            submit(self.list_targets())

        with engine.observe(self._discovery_tally):
            try:
                await continue_discoveries(
                    {platform: pipeline.adapters[platform] for platform in self._at.late_platforms},
                    engine,
                    sport=pipeline.settings.sport,
                    landed_answers=self._answers,
                    duration_s=(ends_at - pipeline.clock.now()).total_seconds(),
                    on_discovery=submit_targets,
                )
            finally:
                self._note_discoveries()

    def _note_discoveries(self) -> None:
        self._at.earlier_result = build_discovery_result(
            self._at.cycle, self._discoveries, self._discovery_tally, self._manifest.finished_at
        )


def find_known_targets(pipeline: Pipeline, sr_ids: Sequence[int], manifest: Manifest | None = None) -> list[Target]:
    """Return the upcoming targets that earlier cycles discovered: those of the given fixtures, or all.

    They have listings on active platforms; for an open cycle with this manifest, only on those that it covers. Raises
    UnknownFixture with the ids when none of the given fixtures is known.
    """
    now, home, platforms = pipeline.clock.now(), pipeline.settings.home_platform, pipeline.platforms
    if manifest is not None:
        home, platforms = manifest.home_platform, pipeline.list_cycle_platforms(manifest)
    with pipeline.connect() as conn:
        upcoming = read_upcoming_listings(conn, now, sr_ids)
    requested_platforms = {*platforms} & {*pipeline.platforms}
    listings = [listing for listing in upcoming if listing.platform in requested_platforms]
    if sr_ids and not listings:
        raise UnknownFixture(
            f"no upcoming listing is known for SportRadar id {', '.join(map(str, sorted(sr_ids)))}: run a full cycle"
            " first, or check the id"
        )
    return build_targets(listings, platforms, home, now)
