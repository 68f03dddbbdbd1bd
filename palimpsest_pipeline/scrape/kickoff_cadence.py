"""How often a fixture is asked as its kickoff comes nearer. Pure: instants in, instants out.

Belongs here: which instants are due for a kickoff. Does not: who kicks off when, nor asking anybody.

An instant of the cadence is a whole minute. A fixture is due at it when the minute of the UTC day is a multiple of the
tier's step, so all fixtures of a tier are due together and one cycle asks them all. A run covers the instants of one
slot; slots follow each other without a gap.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

MINUTE: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Cadence:
    """`tiers` (minutes before kickoff, to every so many minutes from then on), and how many minutes one run covers."""

    tiers: Mapping[int, int]
    slot_minutes: int

    @property
    def first_tier_length(self) -> timedelta:
        """How long before kickoff the first tier begins."""
        return MINUTE * max(self.tiers)

    @property
    def slot_length(self) -> timedelta:
        return MINUTE * self.slot_minutes

    def find_slot_start(self, at: datetime) -> datetime:
        """Begin of the slot that holds `at`."""
        minute = _count_minutes_of_day(at)
        return _floor_to_day(at) + MINUTE * (minute - minute % self.slot_minutes)

    def list_instants(self, slot_at: datetime) -> list[datetime]:
        """The minutes of the slot that begins at `slot_at`, in order."""
        return [slot_at + MINUTE * n for n in range(self.slot_minutes)]

    def is_due(self, kickoff_at: datetime, at: datetime) -> bool:
        """Whether a fixture that kicks off at `kickoff_at` is to be asked at the minute `at`: never at kickoff or
        later.
        """
        to_go = kickoff_at - at
        if to_go <= timedelta(0):
            return False
        within = [minutes for minutes in self.tiers if to_go <= MINUTE * minutes]
        return bool(within) and _count_minutes_of_day(at) % self.tiers[min(within)] == 0

    def find_next_due(self, kickoffs: Iterable[datetime], after: datetime) -> datetime | None:
        """The first minute after the minute `after` at which one of these is due; None when that is not before the
        coarsest step is over.
        """
        begin, end = after + MINUTE, after + MINUTE * (max(self.tiers.values()) + 1)
        return min(
            (
                at
                for kickoff_at in set(kickoffs)
                for at in itertools.islice(self.iterate_due_instants(kickoff_at, begin, end), 1)
            ),
            default=None,
        )

    def iterate_due_instants(self, kickoff_at: datetime, begin: datetime, end: datetime) -> Iterator[datetime]:
        """The minutes from `begin` until before `end` at which the fixture is due, in order."""
        at = max(_floor_to_minute(begin), _floor_to_minute(kickoff_at - self.first_tier_length))
        while at < min(end, kickoff_at):
            if self.is_due(kickoff_at, at):
                yield at
            at += MINUTE


def _floor_to_day(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _count_minutes_of_day(at: datetime) -> int:
    return (at - _floor_to_day(at)) // MINUTE


def _floor_to_minute(at: datetime) -> datetime:
    floor = at.replace(second=0, microsecond=0)
    return floor if floor == at else floor + MINUTE
