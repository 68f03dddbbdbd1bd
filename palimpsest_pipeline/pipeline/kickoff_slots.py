"""The slots of the kickoff cadence: which slots to request now, and a report on past ones.

The kickoff cadence is the timetable by which fixtures near their kickoff are requested minute by minute. A slot is one
of its periods of fixed length; one Dagster run requests all its minutes. Imports no Dagster.
`pipeline/live/kickoff_minutes.py` runs a slot.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import polars as pl
import psycopg

from palimpsest_pipeline.domain.instants import get_day_start
from palimpsest_pipeline.metrics.coverage import slot_results
from palimpsest_pipeline.scrape.kickoff_cadence import MINUTE, Cadence
from palimpsest_pipeline.storage.ledger import requested_slots

from .context import Pipeline

_DAY: Final = timedelta(days=1)
MAX_SLOT_AGE: Final = timedelta(hours=24)
"""Age up to which missed slots are reported.

A slot that was requested up to this long before a report's begin shows that the cadence was already in use.
"""
MAX_NAMED_OUTAGES: Final = 5
"""Maximum number of outages that a sentence describes one by one. Earlier ones are only counted."""
REQUEST_AHEAD: Final = timedelta(seconds=60)
"""How long before its start a slot can be requested.

A run takes seconds to start, and the first minute's requests must be sent within that minute.
"""


@dataclass(frozen=True, slots=True)
class CadenceMoment:
    """The state of the kickoff cadence at one instant, from which the slots to request follow."""

    cadence: Cadence
    now: datetime
    last_slot_at: datetime | None
    """Start of the last requested slot; None if unknown."""
    grace: timedelta
    """How long after midnight a cycle may still belong to the day that has ended."""

    @property
    def slots(self) -> list[datetime]:
        """Starts of the slots that can be requested now: the current one, and the next one shortly before it.

        A run belongs to the partition of the day on which it is requested, because the partition of the next day does
        not exist yet. So the next slot is left out when it ends later than the grace period after midnight.
        """
        following = self.cadence.find_slot_start(self.now + REQUEST_AHEAD)
        midnight = get_day_start(self.now.date() + _DAY)
        in_time = following + self.cadence.slot_length <= midnight + self.grace
        return sorted({self._current_slot, following}) if in_time else [self._current_slot]

    @property
    def unrequested_slots(self) -> list[datetime]:
        """Those of `slots` that have not been requested."""
        return [slot_at for slot_at in self.slots if self.last_slot_at not in self.slots or slot_at > self.last_slot_at]

    @property
    def kickoff_span(self) -> tuple[datetime, datetime]:
        """The first and last kickoff to read, so that missed slots and the slots to request can be judged."""
        return min(self._first_missed_slot, self.now), self.slots[
            -1
        ] + self.cadence.slot_length + self.cadence.first_tier_length

    def list_due_minutes(self, slot_at: datetime, kickoffs: Sequence[datetime]) -> list[datetime]:
        """Return the minutes of the slot that are not over and at which a fixture must be requested.

        `kickoffs` must be in ascending order.
        """
        return [
            at
            for at in self.cadence.list_instants(slot_at)
            if at + MINUTE > self.now and self._is_any_due(kickoffs, at)
        ]

    def list_missed_slots(self, kickoffs: Sequence[datetime]) -> list[datetime]:
        """Return the slots after the last requested one and before the current one at which a fixture was due.

        `kickoffs` are the known kickoffs in ascending order.
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
        """Start of the first slot that may have been missed."""
        if self.last_slot_at is None or self.last_slot_at >= self._current_slot:
            return self._current_slot
        return max(self.last_slot_at + self.cadence.slot_length, self.cadence.find_slot_start(self.now - MAX_SLOT_AGE))

    def _iterate_missed_slots(self) -> Iterator[datetime]:
        slot_at = self._first_missed_slot
        while slot_at < self._current_slot:
            yield slot_at
            slot_at += self.cadence.slot_length

    def _is_any_due(self, kickoffs: Sequence[datetime], at: datetime) -> bool:
        near_kickoffs = kickoffs[
            bisect_right(kickoffs, at) : bisect_right(kickoffs, at + self.cadence.first_tier_length)
        ]
        return any(self.cadence.is_due(kickoff_at, at) for kickoff_at in near_kickoffs)


@dataclass(frozen=True, slots=True)
class SlotReport:
    """A report on the slots in [begin, end): which were requested, answered or lost."""

    begin: datetime
    end: datetime
    is_in_use: bool
    """Whether the cadence was in use from `begin` on. If not, no earlier slot counts as due."""
    slots: pl.DataFrame
    """One row per fixture and slot (`metrics.coverage.slot_results.SLOTS_SCHEMA`)."""

    @property
    def lost_slots(self) -> pl.DataFrame:
        return slot_results.select_lost_slots(self.slots)

    @property
    def lost_stretches(self) -> pl.DataFrame:
        """The lost slots as rows, one per fixture and period of consecutive lost slots."""
        return slot_results.group_lost_stretches(self.slots)

    def describe_losses(self) -> str:
        """Return the lost slots and their causes in words; empty when no slot was lost."""
        lost = self.lost_slots
        if lost.is_empty():
            return ""
        outages = slot_results.group_outages(self.slots)
        outage_texts = [
            f"{n_slots} from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"
            for first, last, n_slots, _ in outages.head(MAX_NAMED_OUTAGES).iter_rows()
        ]
        if outages.height > MAX_NAMED_OUTAGES:
            outage_texts.append(f"the rest in {outages.height - MAX_NAMED_OUTAGES} earlier outages")
        unanswered = lost.filter("asked")
        causes = []
        if unanswered.height < lost.height:
            causes.append(
                "For those not requested, Dagster's daemon was down, the sensor kickoff was off, or its runs came too"
                " late"
            )
        if unanswered.height:
            platforms = unanswered["silent"].explode(empty_as_null=False).unique().sort().to_list()
            causes.append(
                f"{unanswered.height} were requested and no platform answered"
                f" ({', '.join(platforms) or 'the cycle was broken off'})"
            )
        return (
            f"{lost.height} slots of {lost['sr_id'].n_unique()} fixtures were not kept: {', '.join(outage_texts)}."
            f" {'. '.join(causes)}"
        )

    @property
    def silent_platforms(self) -> dict[str, int]:
        """Platforms to the number of slots at which they did not answer although another platform did."""
        return slot_results.count_silences(self.slots)

    def describe_silences(self) -> str:
        """Return a sentence that names the platforms in `silent_platforms`; empty if there are none."""
        return ", ".join(
            f"{platform} did not answer at {n_slots} of the kept slots"
            for platform, n_slots in self.silent_platforms.items()
        )


def report_slots(
    pipeline: Pipeline, conn: psycopg.Connection, begin: datetime, end: datetime, on_since: datetime | None = None
) -> SlotReport:
    """Return the report on the slots in [begin, end), with the cadence of the current settings.

    Minutes that are not over are left out. The cadence counts as in use from the first requested slot, at most
    `MAX_SLOT_AGE` before `begin`, or from `on_since`, when its sensor was switched on, if that is earlier. So an outage
    is reported even if nothing was requested since.
    """
    cadence = pipeline.cadence
    first_slot_at = requested_slots.read_first_slot(conn, begin - MAX_SLOT_AGE)
    in_use_since = min(filter(None, [first_slot_at, on_since]), default=None)
    begin = begin if in_use_since is None else max(begin, in_use_since)
    end = max(begin, min(end, pipeline.clock.now().replace(second=0, microsecond=0)))
    if in_use_since is None:
        return SlotReport(begin, end, is_in_use=False, slots=pl.DataFrame(schema=slot_results.SLOTS_SCHEMA))
    known_kickoffs = requested_slots.read_known_kickoffs(conn, begin, end, cadence.first_tier_length)
    asked_slots = requested_slots.read_asked_slots(conn, begin, end)
    slots = slot_results.list_due_slots(known_kickoffs, asked_slots, cadence.tiers, begin, end)
    return SlotReport(begin, end, is_in_use=True, slots=slots)
