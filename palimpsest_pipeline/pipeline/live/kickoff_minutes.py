"""The run of one slot of the kickoff cadence. Each minute of the slot is one cycle.

The cycle of a minute is landed, ingested and its prices compared before the next minute. Imports no Dagster.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Final

from palimpsest_pipeline.domain.cycles import CycleResult, Target
from palimpsest_pipeline.domain.enums import Scope
from palimpsest_pipeline.domain.errors import PalimpsestError
from palimpsest_pipeline.domain.instants import Clock, get_day_start, make_cycle_id
from palimpsest_pipeline.scrape.kickoff_cadence import MINUTE
from palimpsest_pipeline.scrape.sinks import ScrapeObserver
from palimpsest_pipeline.storage.catalog import upcoming_fixtures
from palimpsest_pipeline.storage.ledger import cycle_reader

from ..context import Pipeline
from ..ingest.write_core import ingest_cycle
from ..marts.derive_prices import PriceDerivation, derive_prices
from . import live_cycle, recovery
from .live_cycle import ScrapeRequest

log = logging.getLogger(__name__)

WaitUntil = Callable[[Clock, datetime], None]
"""A function that returns when the clock has reached an instant."""


class BadSlot(PalimpsestError, ValueError):
    """A requested instant is not a slot of the cadence. The message names a valid slot or partition."""


class NothingAsked(Exception):
    """Fixtures were due in the slot, and this run requested none of them.

    The message gives the reason for each minute.
    """


@dataclass(slots=True)
class SlotRun:
    """The result of running one slot."""

    results: list[CycleResult] = field(default_factory=list)
    """Results of the slot's cycles, in order."""
    left_out_minutes: dict[datetime, str] = field(default_factory=dict)
    """Minutes with due fixtures that this run did not request, with the reasons."""
    has_lost_minute: bool = False
    """Whether at least one of these minutes was requested by no other run either."""

    def describe(self) -> str:
        """Return the result in words."""
        left_out = "".join(f"; {at:%H:%M} was left out: {why}" for at, why in self.left_out_minutes.items())
        return (
            f"{len(self.results)} minutes were requested{left_out}"
            if self.results or left_out
            else "no fixture was due that had not been requested"
        )


def parse_slot(pipeline: Pipeline, text: str, day: date) -> datetime:
    """Return the slot that starts at the instant `text` on the UTC day `day`. Raises BadSlot."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise BadSlot(f"slot_at {text!r} is not an instant: write it like 2026-06-26T19:05:00Z") from None
    if at.tzinfo is None:
        raise BadSlot(f"slot_at {text!r} has no time zone: write it like 2026-06-26T19:05:00Z")
    if (slot_at := pipeline.cadence.find_slot_start(at)) != at:
        raise BadSlot(f"slot_at {text} is not the begin of a slot: the one around it begins at {slot_at.isoformat()}")
    begins_at = get_day_start(day)
    if not begins_at <= at < begins_at + timedelta(days=1, minutes=pipeline.settings.grace_minutes):
        raise BadSlot(f"slot_at {text} does not belong to the partition {day}: choose {at.astimezone(UTC).date()}")
    return slot_at


RETRY_INTERVAL_S: Final = 1.0
"""Wait before a minute is tried again while another cycle requests some of its fixtures."""


def wait_until(clock: Clock, at: datetime) -> None:
    """Return when the clock has reached `at`. A signal to end the run interrupts the wait at once."""
    while (left_s := (at - clock.now()).total_seconds()) > 0:
        time.sleep(left_s)


def run_slot(
    pipeline: Pipeline,
    request: ScrapeRequest,
    slot_at: datetime,
    observer: ScrapeObserver,
    *,
    wait: WaitUntil = wait_until,
    prices: PriceDerivation | None = None,
) -> SlotRun:
    """Run one cycle at each due minute of the slot, and derive each before the next minute.

    The due fixtures are read again at each minute, so changed kickoffs are respected. A fixture is requested at most
    once per minute, even by different runs. A minute waits while another cycle requests the same fixtures, and is left
    out if it ends during that wait. A failed platform, cycle or ingest does not stop the next minute: the products of a
    cycle that was not ingested stay due. `prices` counts the prices that the minutes wrote, even if this function
    raises.

    Raises NotLive when the day is past, Skipped when other runs had requested all due fixtures, and NothingAsked when
    fixtures were due and no minute was requested. Raises at the end the first error that prevented a minute, or
    NoPlatformAnswered when no platform answered in any minute.
    """
    prices = PriceDerivation() if prices is None else prices
    slot_run, errors = SlotRun(), list[Exception]()
    recovery.recover_dead_cycles(pipeline, request.repeats)
    live_cycle.check_day_is_live(request.day, pipeline.clock.now(), pipeline.settings.grace_minutes)
    for at in pipeline.cadence.list_instants(slot_at):
        wait(pipeline.clock, at)
        try:
            while not _run_minute(pipeline, replace(request, slot_at=at), at, observer, slot_run, prices):
                wait(pipeline.clock, pipeline.clock.now() + timedelta(seconds=RETRY_INTERVAL_S))
        except Exception as error:
            log.exception("minute %s could not be asked", at)
            slot_run.left_out_minutes[at] = str(error)
            errors.append(error)
    if errors:
        raise errors[0]
    silent = list[live_cycle.NoPlatformAnswered]()
    for result in slot_run.results:
        try:
            live_cycle.require_answers(result)
        except live_cycle.NoPlatformAnswered as error:
            log.warning("%s", error)
            silent.append(error)
    if silent and len(silent) == len(slot_run.results):
        raise silent[0]
    if not slot_run.results:
        message = slot_run.describe()
        raise NothingAsked(message) if slot_run.has_lost_minute else live_cycle.Skipped(message)
    return slot_run


def _run_minute(
    pipeline: Pipeline,
    request: ScrapeRequest,
    at: datetime,
    observer: ScrapeObserver,
    slot_run: SlotRun,
    prices: PriceDerivation,
) -> bool:
    """Run the cycle of a minute and return True; return False if the caller must try again.

    It must try again while another cycle requests some of the minute's fixtures.
    """
    (sr_ids, ends_at), wait_reason = _find_due_fixtures(pipeline, at), slot_run.left_out_minutes.pop(at, None)
    if not sr_ids:
        return True
    now = pipeline.clock.now()
    if now >= min(ends_at, at + MINUTE):
        reason = f"it had ended before it could start, at {now:%H:%M:%S}: {len(sr_ids)} fixtures were not asked"
        slot_run.left_out_minutes[at] = reason if wait_reason is None else f"{reason}; {wait_reason}"
        slot_run.has_lost_minute |= wait_reason is None
        log.warning("minute %s is left out: %s", at, slot_run.left_out_minutes[at])
        return True
    try:
        targets = _find_targets(pipeline, sr_ids)
        cycle = live_cycle.open_cycle(pipeline, replace(request, sr_ids=sr_ids), Scope.KICKOFF)
    except live_cycle.Overlaps as error:
        slot_run.left_out_minutes[at] = str(error)
        return False
    except live_cycle.UnknownFixture as error:
        slot_run.left_out_minutes[at] = str(error)
        slot_run.has_lost_minute = True
        log.warning("minute %s is left out: %s", at, error)
        return True
    slot_run.results.append(live_cycle.run_target_capture(pipeline, cycle, targets, observer, ends_at=ends_at))
    try:
        ingest_cycle(pipeline, cycle.cycle_id)
        # Alerts to traders need days of history and take longer than a minute. A later step of the slot's run derives
        # them.
        prices.add(derive_prices(pipeline, sr_ids, wait=False))
    except Exception:
        log.exception(
            "cycle %d is landed, but could not be derived: later steps of this run try again; if they fail too, run"
            " `palimpsest backfill`",
            cycle.cycle_id,
        )
    return True


def _find_due_fixtures(pipeline: Pipeline, at: datetime) -> tuple[tuple[int, ...], datetime]:
    """Return the fixtures to request at a minute, soonest first, and by when their cycle ends."""
    cadence, settings = pipeline.cadence, pipeline.settings
    with pipeline.connect() as conn:
        kickoffs = upcoming_fixtures.read_kickoffs(
            conn, at, at + cadence.first_tier_length + MINUTE * max(cadence.tiers.values())
        )
        asked_fixtures = cycle_reader.read_fixtures_of_slot(conn, at)
    sr_ids = tuple(
        sr_id for sr_id, kickoff_at in kickoffs if cadence.is_due(kickoff_at, at) and sr_id not in asked_fixtures
    )
    next_at = cadence.find_next_due((kickoff_at for _, kickoff_at in kickoffs), at) or at + cadence.slot_length
    return sr_ids, next_at - timedelta(seconds=settings.kickoff_ingest_s)


def _find_targets(pipeline: Pipeline, sr_ids: Sequence[int]) -> list[Target]:
    """Return one target for each fixture, with the earliest of its platforms' last answering cycles.

    The field `answered_cycle_id` is 0 if one of the platforms has not answered recently.

    Raises UnknownFixture when no platform lists any of them.
    """
    targets = live_cycle.find_known_targets(pipeline, sr_ids)
    with pipeline.connect() as conn:
        newest = cycle_reader.find_last_answering_cycles(
            conn, sr_ids, make_cycle_id(pipeline.clock.now() - pipeline.cadence.first_tier_length)
        )
    return [
        replace(
            target,
            answered_cycle_id=min((newest.get((target.sr_id, platform), 0) for platform in target.listings), default=0),
        )
        for target in targets
        if target.sr_id is not None
    ]
