"""A live cycle: open it, discover, capture, or take up one whose process died. Knows no Dagster."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from math import inf

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
from palimpsest_pipeline.storage.catalog.known_listings import read_upcoming_listings
from palimpsest_pipeline.storage.ledger import cycle_ledger

from ..context import Pipeline
from ..data_source import require_same_source
from ..ingest.cycle_frames import DISCOVERY_KINDS, read_answers, read_discoveries
from . import recovery, stage
from .stage import Stage

DISCOVERY_STAGE, CAPTURE_STAGE = "discovery", "capture"


class NotLive(PalimpsestError):
    """A past day cannot be scraped again. The message says what to do instead."""


class UnknownFixture(PalimpsestError):
    """A fixture was asked for that no platform is known to list. The message names it."""


class NoPlatformAnswered(PalimpsestError):
    """No platform gave an answer that can be used. The message says what each of them gave instead."""


class Skipped(Exception):
    """There is nothing for this run to do, and nothing is wrong. The message says why."""


class Overlaps(Skipped):
    """Another cycle asks for the same already. The message names it and says what to do."""


@dataclass(frozen=True, slots=True)
class ScrapeRequest:
    """What a run asks for: on which UTC day, why, for whom."""

    day: date
    trigger: Trigger
    run_id: str | None
    sr_ids: tuple[int, ...] = ()
    slot_at: datetime | None = None
    """Instant of the kickoff cadence that is asked for."""
    repeats: tuple[str, ...] = ()
    """Runs that this one is another try of. They are over."""


def check_day_is_live(day: date, now: datetime, grace_minutes: int) -> None:
    """Raises NotLive when `day` is neither today nor was until `grace_minutes` ago."""
    ends_at = get_day_start(day + timedelta(days=1))
    if now.date() == day or ends_at <= now <= ends_at + timedelta(minutes=grace_minutes):
        return
    raise NotLive(
        f"{day} cannot be scraped: only today ({now.date()}, UTC) is live. To derive a past day from what was landed, materialize the groups core "
        f"and mart only (`palimpsest backfill {day} {day}`); to add recorded payloads, use `palimpsest landing import DIR`."
    )


def open_cycle(pipeline: Pipeline, request: ScrapeRequest, scope: Scope) -> Cycle:
    """Close the cycles whose process died, then open a new cycle in the ledger.

    Raises NotLive for a past day, Overlaps.
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
            cycle_id, request.trigger, scope, home, hour, now, request.run_id, request.sr_ids, request.slot_at
        )
        _register_cycle(pipeline, conn, cycle)
    return cycle


def _register_cycle(pipeline: Pipeline, conn: psycopg.Connection, cycle: Cycle) -> None:
    """Have the ledger say that the cycle runs.

    Raises Overlaps, and SettingsError where simulated data would mix with real ones.
    """
    require_same_source(pipeline.settings, pipeline.landing, has_cycles=cycle_ledger.has_cycles(conn))
    other = cycle_ledger.open_unless_overlapping(conn, cycle, pipeline.settings.silent_after_s)
    if other is not None:
        who, run_id, settings = other.cycle, other.cycle.run_id, pipeline.settings
        advice = "wait until it is over, or end its run first"
        if other.silent_s > 2 * settings.heartbeat_s:
            closed_at = other.silent_since + timedelta(seconds=settings.silent_after_s)
            advice = (
                f"it is silent for {other.silent_s:.0f} s; if it stays so, the next command closes it from {closed_at:%H:%M:%S} UTC on. "
                "Try again then, or see whether its process still runs"
            )
        raise Overlaps(
            f"cycle {who.cycle_id} of scope {who.scope} asks for the same since {who.started_at:%Y-%m-%d %H:%M:%S} UTC"
            f"{f' (run {run_id})' if run_id else ''}: {advice}"
        )


def require_answers(result: CycleResult) -> CycleResult:
    """Return `result`. Raises NoPlatformAnswered when no platform gave a list, a book, or the answer that the only
    fixture it was asked for is gone.

    Of several fixtures none of which it has, a platform has answered nothing: so looks an interface that has moved.
    `storage.ledger.kickoff_slots` judges alike.
    """
    if result.status is not RunStatus.FAILED or any(line.status is RunStatus.COMPLETED for line in result.outcomes):
        return result
    fixtures: dict[Platform, set[int | str]] = defaultdict(set)
    for line in result.outcomes:
        fixtures[line.platform].add(line.sr_id or line.external_id)
    if any(line.failure is FailureClass.NOT_FOUND and len(fixtures[line.platform]) == 1 for line in result.outcomes):
        return result
    told = "; ".join(f"{run.platform}: {run.message or 'no answer'}" for run in result.runs)
    raise NoPlatformAnswered(
        f"no platform answered in cycle {result.cycle.cycle_id} ({told}). See that this machine reaches the platforms: `palimpsest doctor`"
    )


def run_discovery(
    pipeline: Pipeline, cycle: Cycle, observer: ScrapeObserver, *, has_capture_next: bool = False
) -> CycleResult:
    """Ask every platform at once what it lists; land every answer as it comes; tell the ledger.

    `goes_on`: the same run captures afterwards. Then a platform that is silent for PALIMPSEST_DISCOVERY_PATIENCE_S is
    late: its discovery is left to the capture, and the cycle's manifest in the landing names it. Else every platform is
    waited for.
    """

    async def work(engine: ScrapeEngine, at: Stage) -> CycleResult:
        settings = pipeline.settings
        patience_s = settings.discovery_patience_s if has_capture_next else inf
        found = await discover(pipeline.adapters, engine, sport=settings.sport, tally=at.tally, patience_s=patience_s)
        at.late_platforms = found.late_platforms
        return build_discovery_result(cycle, found.discoveries, at.tally, pipeline.clock.now(), found.late_platforms)

    return stage.run_stage(Stage(pipeline, cycle, DISCOVERY_STAGE, has_next_stage=has_capture_next), work, observer)


def run_capture(pipeline: Pipeline, request: ScrapeRequest, observer: ScrapeObserver) -> CycleResult:
    """Fetch every target from all its platforms at once; land every answer as it comes; tell the ledger.

    The targets are those of the discovery in the same run, and those that its late platforms list; without one, the
    fixtures asked for, or all upcoming ones that are known. A run that is another try of one whose process died goes on
    with its cycle, and asks for no listing that has landed a good answer or is not there. Raises NotLive when that
    cycle's day is past, UnknownFixture when nobody lists what is asked for, Overlaps.
    """
    found = _find_unfinished_capture(pipeline, request)
    if found is None:
        wanted = find_known_targets(pipeline, request.sr_ids)
        return run_capture_of_targets(pipeline, open_cycle(pipeline, request, Scope.EVENTS), wanted, observer)
    cycle, manifest = (
        replace(found[0], run_id=request.run_id),
        found[1],
    )  # the run that executes it now: the one that began it may be dead
    with pipeline.connect() as conn:
        _register_cycle(pipeline, conn, cycle)
    return _finish_capture(pipeline, cycle, manifest, observer)


def _find_unfinished_capture(pipeline: Pipeline, begun: ScrapeRequest) -> tuple[Cycle, Manifest] | None:
    """The cycle that this run, or one that it repeats, has begun and whose capture has not come to its end; and what
    it has landed.
    """
    if begun.repeats:
        recovery.recover_dead_cycles(pipeline, begun.repeats)
    with pipeline.connect() as conn:
        found = [
            batch.cycle
            for run_id in (begun.run_id, *begun.repeats)
            if run_id and (batch := cycle_ledger.read_cycle_of_run(conn, run_id)) is not None
        ]
    if not found:
        return None
    cycle = max(found, key=lambda cycle: cycle.cycle_id)
    manifest = pipeline.landing.read_manifest(cycle.cycle_id, cycle.partition_hour)
    if CAPTURE_STAGE in manifest.stages or (cycle.scope is Scope.FULL and DISCOVERY_STAGE not in manifest.stages):
        return None
    if cycle.run_id != begun.run_id:
        check_day_is_live(cycle.partition_hour.date(), pipeline.clock.now(), pipeline.settings.grace_minutes)
    return cycle, manifest


def run_capture_of_targets(
    pipeline: Pipeline,
    cycle: Cycle,
    wanted: Sequence[Target],
    observer: ScrapeObserver,
    *,
    ends_at: datetime | None = None,
) -> CycleResult:
    """The capture of these targets in a cycle that is open. What has no answer at `ends_at` has failed."""

    async def work(engine: ScrapeEngine, at: Stage) -> CycleResult:
        return await capture_targets(cycle, wanted, pipeline.adapters, engine, clock=pipeline.clock, tally=at.tally)

    return stage.run_stage(Stage(pipeline, cycle, CAPTURE_STAGE, ends_at=ends_at), work, observer)


def _finish_capture(pipeline: Pipeline, cycle: Cycle, manifest: Manifest, progress: ScrapeObserver) -> CycleResult:
    """The capture of what an open cycle has left, beside what is left of its discovery."""
    ends_at = cycle.started_at + timedelta(seconds=pipeline.settings.discovery_limit_s)
    late = (
        [platform for platform in manifest.late if platform in pipeline.platforms]
        if pipeline.clock.now() < ends_at
        else []
    )

    async def work(engine: ScrapeEngine, at: Stage) -> CycleResult:
        rest = _UnfinishedCapture(at, manifest)

        async def source(ask_for: TargetSubmitter) -> None:
            await rest.continue_discovery(engine, ends_at, ask_for)

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
    """What a cycle has not asked yet, from what it has landed. Brings its stage to where the cycle stands."""

    def __init__(self, at: Stage, manifest: Manifest) -> None:
        pipeline = at.pipeline
        self._at = at
        self._manifest = manifest
        self._discoveries = {
            platform: each for platform, (each, _) in read_discoveries(pipeline, manifest, pipeline.platforms).items()
        }
        self._discovery_tally, so_far = rebuild_tallies(pipeline.landing.read_landed_listings(manifest.cycle_id))
        at.resume_from(so_far)
        self._settled_listings = {(line.platform, line.external_id) for line in at.tally.outcomes}
        self._answers = {
            platform: read_answers(pipeline, manifest, DISCOVERY_KINDS, [platform]) for platform in at.late_platforms
        }
        self._note_discoveries()

    def list_targets(self) -> list[Target]:
        """Return the cycle's targets with the listings that had landed neither a good answer nor that they are not
        there.

        They are those of its discovery, or, where it has none, of what earlier cycles know.
        """
        pipeline, cycle = self._at.pipeline, self._at.cycle
        if cycle.scope is Scope.FULL:
            listings = [listing for discovery in self._discoveries.values() for listing in discovery.listings]
            wanted = build_targets(listings, cycle.home_platform, pipeline.clock.now())
        else:
            wanted = find_known_targets(pipeline, cycle.sr_ids)
        left = []
        for target in wanted:
            listings_left = {
                p: ids
                for p, every in target.listings.items()
                if (ids := tuple(i for i in every if (p, i) not in self._settled_listings))
            }
            if listings_left:
                left.append(replace(target, listings=listings_left))
        return left

    async def continue_discovery(self, engine: ScrapeEngine, ends_at: datetime, ask_for: TargetSubmitter) -> None:
        """Go on with the discovery of the late platforms until `ends_at`, and ask for what they list."""
        pipeline = self._at.pipeline

        def tell(discovery: Discovery) -> None:
            self._discoveries[discovery.platform] = discovery
            self._note_discoveries()
            ask_for(self.list_targets())

        with engine.observe(self._discovery_tally):
            try:
                await continue_discoveries(
                    {platform: pipeline.adapters[platform] for platform in self._at.late_platforms},
                    engine,
                    sport=pipeline.settings.sport,
                    landed_answers=self._answers,
                    duration_s=(ends_at - pipeline.clock.now()).total_seconds(),
                    on_discovery=tell,
                )
            finally:
                self._note_discoveries()

    def _note_discoveries(self) -> None:
        self._at.earlier_result = build_discovery_result(
            self._at.cycle, self._discoveries, self._discovery_tally, self._manifest.finished_at
        )


def find_known_targets(pipeline: Pipeline, sr_ids: Sequence[int]) -> list[Target]:
    """Targets from what earlier cycles know: those of the fixtures given that are upcoming, or every upcoming one.

    Raises UnknownFixture naming the ids when none of them is known.
    """
    now = pipeline.clock.now()
    with pipeline.connect() as conn:
        known = read_upcoming_listings(conn, now, sr_ids)
    if sr_ids and not known:
        raise UnknownFixture(
            f"no upcoming listing is known for SportRadar id {', '.join(map(str, sorted(sr_ids)))}: run a full cycle first, or check the id"
        )
    return build_targets(known, pipeline.settings.home_platform, now)
