"""A slot of the kickoff cadence: each of its minutes a cycle of its own, landed, ingested and compared before the next.

Knows no Dagster.
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
from ..ingest.core_products import ingest_cycle
from ..marts.current_prices import PriceDerivation, derive_prices
from . import live_cycle, recovery
from .live_cycle import ScrapeRequest

log = logging.getLogger(__name__)

WaitUntil = Callable[[Clock, datetime], None]
"""Returns when it is that instant by the clock."""


class BadSlot(PalimpsestError, ValueError):
    """What was asked for is no slot of the cadence. The message says which would be."""


class NothingAsked(Exception):
    """Fixtures were due in the slot, and this run asked none of them, nor did another.

    The message says why, minute by minute.
    """


@dataclass(slots=True)
class SlotRun:
    """What a run of a slot came to."""

    results: list[CycleResult] = field(default_factory=list)
    """Of its cycles, in order."""
    left_out_minutes: dict[datetime, str] = field(default_factory=dict)
    """Minutes at which fixtures were due that this run did not ask, and why."""
    has_lost_minute: bool = False
    """At one of those nobody else asked for them either."""

    def describe(self) -> str:
        """What became of it, in words."""
        left_out = "".join(f"; {at:%H:%M} was left out: {why}" for at, why in self.left_out_minutes.items())
        return (
            f"{len(self.results)} minutes were asked{left_out}"
            if self.results or left_out
            else "no fixture was due that had not been asked"
        )


@dataclass(frozen=True, slots=True)
class _DueFixtures:
    """Fixtures to ask at a minute, soonest kickoff first, and when their cycle is over at the latest."""

    sr_ids: tuple[int, ...]
    ends_at: datetime


def parse_slot(pipeline: Pipeline, text: str, day: date) -> datetime:
    """Return the slot that begins at the instant `text`, of the UTC day `day`. Raises BadSlot."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise BadSlot(f"slot_at {text!r} is no instant: write it like 2026-06-26T19:05:00Z") from None
    if at.tzinfo is None:
        raise BadSlot(f"slot_at {text!r} says no time zone: write it like 2026-06-26T19:05:00Z")
    if (slot_at := pipeline.cadence.find_slot_start(at)) != at:
        raise BadSlot(f"slot_at {text} is not the begin of a slot: the one around it begins at {slot_at.isoformat()}")
    begins_at = get_day_start(day)
    if not begins_at <= at < begins_at + timedelta(days=1, minutes=pipeline.settings.grace_minutes):
        raise BadSlot(f"slot_at {text} does not belong to the partition {day}: choose {at.astimezone(UTC).date()}")
    return slot_at


RETRY_INTERVAL_S: Final = 1.0
"""Until a minute for some of whose fixtures another cycle is just asking is tried again."""


def wait_until(clock: Clock, at: datetime) -> None:
    """Whoever ends the run while it waits ends it at once."""
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
    """One cycle at each minute of the slot at which fixtures are due, all platforms at once, each in core before the
    next minute.

    Who is due is read at each minute, so a kickoff that moves takes its minutes with it. No fixture is asked twice for
    one minute, by whatever run. A minute waits for another cycle that asks for the same; one that is over when its turn
    comes is left out. Neither a platform that fails, nor a
    cycle, nor its ingest stops the next minute: what was not ingested stays due. Raises Skipped when nothing was due
    that others had not asked for, NothingAsked when something was and no minute was asked, NotLive when the day is
    past, at the end what kept a minute from being asked, or
    NoPlatformAnswered when that was so in every minute: else what the answered minutes brought is derived. What the
    minutes have written of prices is added to `prices`, also when this raises.
    """
    prices = PriceDerivation() if prices is None else prices
    came, errors = SlotRun(), list[Exception]()
    recovery.recover_dead_cycles(pipeline, request.repeats)
    live_cycle.check_day_is_live(request.day, pipeline.clock.now(), pipeline.settings.grace_minutes)
    for at in pipeline.cadence.list_instants(slot_at):
        wait(pipeline.clock, at)
        try:
            while not _run_minute(pipeline, replace(request, slot_at=at), at, observer, came, prices):
                wait(pipeline.clock, pipeline.clock.now() + timedelta(seconds=RETRY_INTERVAL_S))
        except Exception as error:
            log.exception("minute %s could not be asked", at)
            came.left_out_minutes[at] = str(error)
            errors.append(error)
    if errors:
        raise errors[0]
    silent = list[live_cycle.NoPlatformAnswered]()
    for result in came.results:
        try:
            live_cycle.require_answers(result)
        except live_cycle.NoPlatformAnswered as error:
            log.warning("%s", error)
            silent.append(error)
    if silent and len(silent) == len(came.results):
        raise silent[0]
    if not came.results:
        raise NothingAsked(came.describe()) if came.has_lost_minute else live_cycle.Skipped(came.describe())
    return came


def _run_minute(
    pipeline: Pipeline,
    begun: ScrapeRequest,
    at: datetime,
    watch: ScrapeObserver,
    came: SlotRun,
    prices: PriceDerivation,
) -> bool:
    """False while another cycle asks for some of the same: then it is to be tried again."""
    due, waited = _find_due_fixtures(pipeline, at), came.left_out_minutes.pop(at, None)
    if not due.sr_ids:
        return True
    now = pipeline.clock.now()
    if now >= min(due.ends_at, at + MINUTE):
        over = f"it was over when its turn came, at {now:%H:%M:%S}: {len(due.sr_ids)} fixtures were not asked"
        came.left_out_minutes[at] = over if waited is None else f"{over}; {waited}"
        came.has_lost_minute |= waited is None
        log.warning("minute %s is left out: %s", at, came.left_out_minutes[at])
        return True
    try:
        wanted = _find_targets(pipeline, due.sr_ids)
        cycle = live_cycle.open_cycle(pipeline, replace(begun, sr_ids=due.sr_ids), Scope.KICKOFF)
    except live_cycle.Overlaps as busy:
        came.left_out_minutes[at] = str(busy)
        return False
    except live_cycle.UnknownFixture as refused:
        came.left_out_minutes[at] = str(refused)
        came.has_lost_minute = True
        log.warning("minute %s is left out: %s", at, refused)
        return True
    came.results.append(live_cycle.run_capture_of_targets(pipeline, cycle, wanted, watch, ends_at=due.ends_at))
    try:
        ingest_cycle(pipeline, cycle.cycle_id)
        # Alerts rest on days of history, and take longer than there is: the slot's run derives them.
        prices.add(derive_prices(pipeline, due.sr_ids, wait=False))
    except Exception:
        log.exception(
            "cycle %d is landed, but could not be derived: later steps of this run try again, else `palimpsest backfill`",
            cycle.cycle_id,
        )
    return True


def _find_due_fixtures(pipeline: Pipeline, at: datetime) -> _DueFixtures:
    cadence, settings = pipeline.cadence, pipeline.settings
    with pipeline.connect() as conn:
        known = upcoming_fixtures.read_kickoffs(
            conn, at, at + cadence.first_tier_length + MINUTE * max(cadence.tiers.values())
        )
        asked = cycle_reader.read_fixtures_of_slot(conn, at)
    sr_ids = tuple(sr_id for sr_id, kickoff_at in known if cadence.is_due(kickoff_at, at) and sr_id not in asked)
    next_at = cadence.find_next_due((kickoff_at for _, kickoff_at in known), at) or at + cadence.slot_length
    return _DueFixtures(sr_ids, next_at - timedelta(seconds=settings.kickoff_ingest_s))


def _find_targets(pipeline: Pipeline, sr_ids: Sequence[int]) -> list[Target]:
    """With how long some platform of each has not answered. Raises UnknownFixture when nobody lists one of them."""
    wanted = live_cycle.find_known_targets(pipeline, sr_ids)
    with pipeline.connect() as conn:
        newest = cycle_reader.find_last_answering_cycles(
            conn, sr_ids, make_cycle_id(pipeline.clock.now() - pipeline.cadence.first_tier_length)
        )
    return [
        replace(
            target,
            answered_cycle_id=min((newest.get((target.sr_id, platform), 0) for platform in target.listings), default=0),
        )
        for target in wanted
        if target.sr_id is not None
    ]
