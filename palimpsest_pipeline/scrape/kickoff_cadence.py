"""How often a fixture is requested as its kickoff approaches. No I/O.

A tier is a range of time before kickoff with a step in minutes. A fixture is due at a whole minute if the minute of the
UTC day is a multiple of its tier's step. So all fixtures of a tier are due together, and one cycle requests them all. A
slot is a period of some minutes that one run covers; slots are consecutive.
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

    `tiers` maps minutes before kickoff, from which a tier begins, to its step in minutes. `slot_minutes` is the length
    of a slot.
    """

    tiers: Mapping[int, int]
    slot_minutes: int

    @property
    def first_tier_length(self) -> timedelta:
        """The time before kickoff at which the first tier begins."""
        return MINUTE * max(self.tiers)

    @property
    def slot_length(self) -> timedelta:
        return MINUTE * self.slot_minutes

    def find_slot_start(self, at: datetime) -> datetime:
        """Return the start of the slot that contains `at`."""
        minute = _count_minutes_of_day(at)
        return _floor_to_day(at) + MINUTE * (minute - minute % self.slot_minutes)

    def list_instants(self, slot_at: datetime) -> list[datetime]:
        """Return all minutes of the slot that starts at `slot_at`, in order."""
        return [slot_at + MINUTE * n for n in range(self.slot_minutes)]

    def is_due(self, kickoff_at: datetime, at: datetime) -> bool:
        """Return whether a fixture is due at the minute `at`; always False from its kickoff on."""
        remaining = kickoff_at - at
        if remaining <= timedelta(0):
            return False
        tier_minutes = [minutes for minutes in self.tiers if remaining <= MINUTE * minutes]
        return bool(tier_minutes) and _count_minutes_of_day(at) % self.tiers[min(tier_minutes)] == 0

    def find_next_due(self, kickoffs: Iterable[datetime], after: datetime) -> datetime | None:
        """Return the first minute after `after` at which a fixture with one of these kickoffs is due.

        None when there is no such minute within the longest step.
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
        """Yield the minutes in [begin, end) at which the fixture is due, in order."""
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
