"""A slot of the kickoff cadence: each of its minutes a cycle of its own, landed, ingested and compared before the next. Knows no Dagster."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Final

from palimpsest_pipeline.domain.cycles import CycleResult, Target
from palimpsest_pipeline.domain.enums import Scope
from palimpsest_pipeline.domain.errors import PalimpsestError
from palimpsest_pipeline.domain.instants import Clock, begin_of_day, cycle_id_at
from palimpsest_pipeline.scrape.kickoff_cadence import MINUTE
from palimpsest_pipeline.scrape.sinks import Watch
from palimpsest_pipeline.storage.catalog import upcoming_fixtures
from palimpsest_pipeline.storage.ledger import cycle_reader

from ..context import Pipeline
from ..ingest.core_products import ingest_cycle
from ..marts.current_prices import PricesDerived, derive_prices
from . import live_cycle, recovery
from .live_cycle import Begun

log = logging.getLogger(__name__)

Wait = Callable[[Clock, datetime], None]
"""Returns when it is that instant by the clock."""


class BadSlot(PalimpsestError, ValueError):
    """What was asked for is no slot of the cadence. The message says which would be."""


class NothingAsked(Exception):
    """Fixtures were due in the slot, and this run asked none of them, nor did another. The message says why, minute by minute."""


@dataclass(slots=True)
class SlotRun:
    """What a run of a slot came to."""

    results: list[CycleResult] = field(default_factory=list)
    """Of its cycles, in order."""
    left_out: dict[datetime, str] = field(default_factory=dict)
    """Minutes at which fixtures were due that this run did not ask, and why."""
    lost: bool = False
    """At one of those nobody else asked for them either."""

    def sentence(self) -> str:
        """What became of it, in words."""
        left_out = "".join(f"; {at:%H:%M} was left out: {why}" for at, why in self.left_out.items())
        return f"{len(self.results)} minutes were asked{left_out}" if self.results or left_out else "no fixture was due that had not been asked"


@dataclass(frozen=True, slots=True)
class _Due:
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
    if (slot_at := pipeline.cadence.slot_of(at)) != at:
        raise BadSlot(f"slot_at {text} is not the begin of a slot: the one around it begins at {slot_at.isoformat()}")
    begins_at = begin_of_day(day)
    if not begins_at <= at < begins_at + timedelta(days=1, minutes=pipeline.settings.grace_minutes):
        raise BadSlot(f"slot_at {text} does not belong to the partition {day}: choose {at.astimezone(UTC).date()}")
    return slot_at


AGAIN_S: Final = 1.0
"""Until a minute for some of whose fixtures another cycle is just asking is tried again."""


def wait_until(clock: Clock, at: datetime) -> None:
    """Whoever ends the run while it waits ends it at once."""
    while (left_s := (at - clock.now()).total_seconds()) > 0:
        time.sleep(left_s)


def run_slot(
    pipeline: Pipeline, begun: Begun, slot_at: datetime, watch: Watch, *, wait: Wait = wait_until, prices: PricesDerived | None = None
) -> SlotRun:
    """One cycle at each minute of the slot at which fixtures are due, all platforms at once, each in core before the next minute.

    Who is due is read at each minute, so a kickoff that moves takes its minutes with it. No fixture is asked twice for one minute, by whatever run.
    A minute waits for another cycle that asks for the same; one that is over when its turn comes is left out. Neither a platform that fails, nor a
    cycle, nor its ingest stops the next minute: what was not ingested stays due. Raises Skipped when nothing was due that others had not asked
    for, NothingAsked when something was and no minute was asked, NotLive when the day is past, at the end what kept a minute from being asked, or
    NoPlatformAnswered when that was so in every minute: else what the answered minutes brought is derived. What the minutes have written of prices is
    added to `prices`, also when this raises.
    """
    prices = PricesDerived() if prices is None else prices
    came, errors = SlotRun(), list[Exception]()
    recovery.close_dead(pipeline, begun.repeats)
    live_cycle.check_day_is_live(begun.day, pipeline.clock.now(), pipeline.settings.grace_minutes)
    for at in pipeline.cadence.instants(slot_at):
        wait(pipeline.clock, at)
        try:
            while not _run_minute(pipeline, replace(begun, slot_at=at), at, watch, came, prices):
                wait(pipeline.clock, pipeline.clock.now() + timedelta(seconds=AGAIN_S))
        except Exception as error:
            log.exception("minute %s could not be asked", at)
            came.left_out[at] = str(error)
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
        raise NothingAsked(came.sentence()) if came.lost else live_cycle.Skipped(came.sentence())
    return came


def _run_minute(pipeline: Pipeline, begun: Begun, at: datetime, watch: Watch, came: SlotRun, prices: PricesDerived) -> bool:
    """False while another cycle asks for some of the same: then it is to be tried again."""
    due, waited = _due(pipeline, at), came.left_out.pop(at, None)
    if not due.sr_ids:
        return True
    now = pipeline.clock.now()
    if now >= min(due.ends_at, at + MINUTE):
        over = f"it was over when its turn came, at {now:%H:%M:%S}: {len(due.sr_ids)} fixtures were not asked"
        came.left_out[at] = over if waited is None else f"{over}; {waited}"
        came.lost |= waited is None
        log.warning("minute %s is left out: %s", at, came.left_out[at])
        return True
    try:
        wanted = _targets(pipeline, due.sr_ids)
        cycle = live_cycle.begin(pipeline, replace(begun, sr_ids=due.sr_ids), Scope.KICKOFF)
    except live_cycle.Overlaps as busy:
        came.left_out[at] = str(busy)
        return False
    except live_cycle.UnknownFixture as refused:
        came.left_out[at] = str(refused)
        came.lost = True
        log.warning("minute %s is left out: %s", at, refused)
        return True
    came.results.append(live_cycle.run_targets(pipeline, cycle, wanted, watch, ends_at=due.ends_at))
    try:
        ingest_cycle(pipeline, cycle.cycle_id)
        # Alerts rest on days of history, and take longer than there is: the slot's run derives them.
        prices.add(derive_prices(pipeline, due.sr_ids, wait=False))
    except Exception:
        log.exception("cycle %d is landed, but could not be derived: later steps of this run try again, else `palimpsest backfill`", cycle.cycle_id)
    return True


def _due(pipeline: Pipeline, at: datetime) -> _Due:
    cadence, settings = pipeline.cadence, pipeline.settings
    with pipeline.connect() as conn:
        known = upcoming_fixtures.kickoffs(conn, at, at + cadence.reach + MINUTE * max(cadence.tiers.values()))
        asked = cycle_reader.asked_at(conn, at)
    sr_ids = tuple(sr_id for sr_id, kickoff_at in known if cadence.is_due(kickoff_at, at) and sr_id not in asked)
    next_at = cadence.next_due((kickoff_at for _, kickoff_at in known), at) or at + cadence.slot
    return _Due(sr_ids, next_at - timedelta(seconds=settings.kickoff_ingest_s))


def _targets(pipeline: Pipeline, sr_ids: Sequence[int]) -> list[Target]:
    """With how long some platform of each has not answered. Raises UnknownFixture when nobody lists one of them."""
    wanted = live_cycle.targets_of_known(pipeline, sr_ids)
    with pipeline.connect() as conn:
        newest = cycle_reader.answered_in(conn, sr_ids, cycle_id_at(pipeline.clock.now() - pipeline.cadence.reach))
    return [
        replace(target, answered_in=min((newest.get((target.sr_id, platform), 0) for platform in target.listings), default=0))
        for target in wanted
        if target.sr_id is not None
    ]
