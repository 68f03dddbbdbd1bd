"""Which slot of the kickoff cadence a run is to be asked for now, and which slots fixtures have had. Knows no Dagster.

Belongs here: judging an instant, the sensor's cursor, putting together what is expected and what was asked. Does not:
the run of a slot (`pipeline/live/kickoff_minutes.py`).
"""

import json
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.instants import get_day_start
from palimpsest_pipeline.metrics.coverage import kickoff_slots as judged
from palimpsest_pipeline.scrape.kickoff_cadence import MINUTE, Cadence
from palimpsest_pipeline.storage.ledger import kickoff_slots as stored

from .context import Pipeline

CURSOR_VERSION: Final = 1
DAY: Final = timedelta(days=1)
LOOK_BACK: Final = timedelta(hours=24)
"""How far back slots that nobody asked for are looked for; and how long before that a slot that was asked for shows
that the cadence was in use.
"""
MAX_NAMED_OUTAGES: Final = 5
"""Outages that a sentence names; of earlier ones the number."""
REQUEST_AHEAD: Final = timedelta(seconds=60)
"""How long before a slot begins it can be asked for: a run takes seconds to begin, and its first minute is one of
only sixty seconds.
"""


class CursorUnreadable(ValueError):
    """A cursor that this version has not written. The message says what is wrong with it."""


def write_cursor(slot_at: datetime) -> str:
    """What the sensor keeps: the last slot that it asked for."""
    return json.dumps({"version": CURSOR_VERSION, "slot_at": slot_at.isoformat()})


def read_cursor(cursor: str | None) -> datetime | None:
    """Inverse of `write_cursor`; None for no cursor. Raises CursorUnreadable."""
    if not cursor:
        return None
    try:
        held = json.loads(cursor)
        if held["version"] != CURSOR_VERSION:
            raise CursorUnreadable(f"it is of version {held['version']!r}, not {CURSOR_VERSION}")
        slot_at = datetime.fromisoformat(held["slot_at"])
    except CursorUnreadable:
        raise
    except (ValueError, TypeError, KeyError) as error:
        raise CursorUnreadable(f"it holds no slot: {cursor[:80]!r}") from error
    if slot_at.tzinfo is None:
        raise CursorUnreadable(f"its slot says no time zone: {held['slot_at']!r}")
    return slot_at


@dataclass(frozen=True, slots=True)
class CadenceMoment:
    """The cadence at one instant. `asked_at`: the last slot that was asked for, where one is known."""

    cadence: Cadence
    now: datetime
    last_slot_at: datetime | None
    grace: timedelta
    """How long after its day a cycle may still belong to it."""

    @property
    def slots(self) -> list[datetime]:
        """Slots that can be asked for now, in order: the one that holds now, and the next one shortly before it begins.

        A run belongs to the partition of the day on which it is requested: the partition of the next day does not exist
        yet. So the next slot is left out when it ends later than the grace period after midnight.
        """
        following = self.cadence.find_slot_start(self.now + REQUEST_AHEAD)
        midnight = get_day_start(self.now.date() + DAY)
        in_time = following + self.cadence.slot_length <= midnight + self.grace
        return sorted({self._current_slot, following}) if in_time else [self._current_slot]

    @property
    def unrequested_slots(self) -> list[datetime]:
        """Those of `list_due_slots` that have not been asked for."""
        return [slot_at for slot_at in self.slots if self.last_slot_at not in self.slots or slot_at > self.last_slot_at]

    @property
    def kickoff_span(self) -> tuple[datetime, datetime]:
        """After and until when kickoffs matter: for the slots since the last one asked for, and for those to ask
        for.
        """
        return min(self._first_missed_slot, self.now), self.slots[
            -1
        ] + self.cadence.slot_length + self.cadence.first_tier_length

    def list_due_minutes(self, slot_at: datetime, kickoffs: Sequence[datetime]) -> list[datetime]:
        """The minutes of the slot that are not over and at which some fixture is due; `kickoffs` in order."""
        return [
            at
            for at in self.cadence.list_instants(slot_at)
            if at + MINUTE > self.now and self._is_any_due(kickoffs, at)
        ]

    def list_missed_slots(self, kickoffs: Sequence[datetime]) -> list[datetime]:
        """Slots after the last one asked for and before this one at which some fixture was due, by what is known
        now.
        """
        return [
            slot_at
            for slot_at in self._iterate_missed_slots()
            if any(self._is_any_due(kickoffs, at) for at in self.cadence.list_instants(slot_at))
        ]

    @property
    def _current_slot(self) -> datetime:
        return self.cadence.find_slot_start(self.now)

    @property
    def _first_missed_slot(self) -> datetime:
        """Begin of the first slot that may have been passed over."""
        if self.last_slot_at is None or self.last_slot_at >= self._current_slot:
            return self._current_slot
        return max(self.last_slot_at + self.cadence.slot_length, self.cadence.find_slot_start(self.now - LOOK_BACK))

    def _iterate_missed_slots(self) -> Iterator[datetime]:
        slot_at = self._first_missed_slot
        while slot_at < self._current_slot:
            yield slot_at
            slot_at += self.cadence.slot_length

    def _is_any_due(self, kickoffs: Sequence[datetime], at: datetime) -> bool:
        within = kickoffs[bisect_right(kickoffs, at) : bisect_right(kickoffs, at + self.cadence.first_tier_length)]
        return any(self.cadence.is_due(kickoff_at, at) for kickoff_at in within)


@dataclass(frozen=True, slots=True)
class SlotReport:
    """How the slots from `begin` until before `end` were kept. `found`: each slot of each fixture
    (metrics.slots.SLOTS).

    `in_use`: the cadence was, from `begin` on; no slot is expected before.
    """

    begin: datetime
    end: datetime
    is_in_use: bool
    slots: pl.DataFrame

    @property
    def lost_slots(self) -> pl.DataFrame:
        return judged.select_lost_slots(self.slots)

    @property
    def lost_stretches(self) -> pl.DataFrame:
        """What was lost, by fixture and stretch (metrics.slots.STRETCHES)."""
        return judged.group_lost_stretches(self.slots)

    def describe_losses(self) -> str:
        """What was lost, in words; empty when nothing was."""
        lost = self.lost_slots
        if lost.is_empty():
            return ""
        outages = judged.group_outages(self.slots)
        told = [
            f"{n_slots} from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"
            for first, last, n_slots, _ in outages.head(MAX_NAMED_OUTAGES).iter_rows()
        ]
        if outages.height > MAX_NAMED_OUTAGES:
            told.append(f"the rest in {outages.height - MAX_NAMED_OUTAGES} outages before")
        unanswered = lost.filter("asked")
        causes = []
        if unanswered.height < lost.height:
            causes.append(
                "Of those not asked for, Dagster's daemon was down, the sensor kickoff was off, or its runs came too late"
            )
        if unanswered.height:
            platforms = unanswered["silent"].explode(empty_as_null=False).unique().sort().to_list()
            causes.append(
                f"{unanswered.height} were asked for and no platform answered ({', '.join(platforms) or 'the cycle was broken off'})"
            )
        return f"{lost.height} slots of {lost['sr_id'].n_unique()} fixtures were not kept: {', '.join(told)}. {'. '.join(causes)}"

    @property
    def silent_platforms(self) -> dict[str, int]:
        """Platforms that did not answer at slots that were kept, and at how many."""
        return judged.count_silences(self.slots)

    def describe_silences(self) -> str:
        """Return which platforms did not answer at slots that others answered; empty when all did."""
        return ", ".join(
            f"{platform} did not answer at {n_slots} of the kept slots"
            for platform, n_slots in self.silent_platforms.items()
        )


def report_slots(pipeline: Pipeline, begin: datetime, end: datetime, on_since: datetime | None = None) -> SlotReport:
    """How the slots from `begin` until before `end` were kept, by the cadence of today's settings. Minutes that are not
    over yet are left out.

    The cadence is in use from the first slot on that was asked for, up to LOOKED_BACK before `begin`; or since
    `on_since`, when its sensor was switched on, if that is earlier. So an outage is told also when nothing was asked
    for since.
    """
    cadence = pipeline.cadence
    with pipeline.connect() as conn:
        in_use_since = min(filter(None, [stored.read_first_slot(conn, begin - LOOK_BACK), on_since]), default=None)
        begin = begin if in_use_since is None else max(begin, in_use_since)
        end = max(begin, min(end, pipeline.clock.now().replace(second=0, microsecond=0)))
        if in_use_since is None:
            return SlotReport(begin, end, is_in_use=False, slots=pl.DataFrame(schema=judged.SLOTS_SCHEMA))
        known = stored.read_known_kickoffs(conn, begin, end, cadence.first_tier_length)
        asked = stored.read_asked_slots(conn, begin, end)
    return SlotReport(begin, end, is_in_use=True, slots=judged.list_due_slots(known, asked, cadence.tiers, begin, end))
