"""The frequency of requests for a fixture as its kickoff approaches. Pure: instants in and out.

Belongs here: the instants that are due for a kickoff. Does not belong here: finding fixtures, sending requests.

An instant of the cadence is a whole minute. A fixture is due at it when the minute of the UTC day is a multiple of the
tier's step, so all fixtures of a tier are due together and one cycle requests them all. A run covers the instants of
one slot; slots follow each other without a gap.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

MINUTE: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Cadence:
    """The tiers of the cadence and the length of a slot.

    `tiers` maps minutes before kickoff to the step in minutes from then on. `slot_minutes` is the time that one run
    covers.
    """

    tiers: Mapping[int, int]
    slot_minutes: int

    @property
    def first_tier_length(self) -> timedelta:
        """Return the time before kickoff at which the first tier begins."""
        return MINUTE * max(self.tiers)

    @property
    def slot_length(self) -> timedelta:
        return MINUTE * self.slot_minutes

    def find_slot_start(self, at: datetime) -> datetime:
        """Return the start of the slot that holds `at`."""
        minute = _count_minutes_of_day(at)
        return _floor_to_day(at) + MINUTE * (minute - minute % self.slot_minutes)

    def list_instants(self, slot_at: datetime) -> list[datetime]:
        """Return the minutes of the slot that begins at `slot_at`, in order."""
        return [slot_at + MINUTE * n for n in range(self.slot_minutes)]

    def is_due(self, kickoff_at: datetime, at: datetime) -> bool:
        """Return whether a fixture with this kickoff is due at the minute `at`; never at kickoff or later."""
        remaining = kickoff_at - at
        if remaining <= timedelta(0):
            return False
        tier_minutes = [minutes for minutes in self.tiers if remaining <= MINUTE * minutes]
        return bool(tier_minutes) and _count_minutes_of_day(at) % self.tiers[min(tier_minutes)] == 0

    def find_next_due(self, kickoffs: Iterable[datetime], after: datetime) -> datetime | None:
        """Return the first minute after `after` at which one of the fixtures is due.

        None when there is none within the coarsest step.
        """
        begin, end = after + MINUTE, after + MINUTE * (max(self.tiers.values()) + 1)
        return min(
            (
                instant
                for kickoff_at in set(kickoffs)
                for instant in itertools.islice(self.iterate_due_instants(kickoff_at, begin, end), 1)
            ),
            default=None,
        )

    def iterate_due_instants(self, kickoff_at: datetime, begin: datetime, end: datetime) -> Iterator[datetime]:
        """Yield the minutes from `begin` until before `end` at which the fixture is due, in order."""
        instant = max(_floor_to_minute(begin), _floor_to_minute(kickoff_at - self.first_tier_length))
        while instant < min(end, kickoff_at):
            if self.is_due(kickoff_at, instant):
                yield instant
            instant += MINUTE


def _floor_to_day(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _count_minutes_of_day(at: datetime) -> int:
    return (at - _floor_to_day(at)) // MINUTE


def _floor_to_minute(at: datetime) -> datetime:
    floor = at.replace(second=0, microsecond=0)
    return floor if floor == at else floor + MINUTE
