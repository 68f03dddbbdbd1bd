"""Which request starts when: the heart of a scrape. Pure: no sockets, no clock, no asyncio; whoever drives it says what time it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from ..domain.words import FailureClass, Platform
from ..wire.rules import RULES, Rule
from .budget import PATIENCE, Budget
from .sinks import HostView

Rank = tuple[Any, ...]
"""Smaller goes first. All ranks of one scheduler must be comparable."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request to be made. `key` is never used twice in one scheduler."""

    key: int
    host: Platform


@dataclass(frozen=True, slots=True)
class Job:
    """Requests that belong together: all listings of a fixture, or one question of discovery. `key` is never used twice in one scheduler."""

    key: int
    rank: Rank
    asks: tuple[Ask, ...]


@dataclass(frozen=True, slots=True)
class Start:
    """Send this ask now; then tell `answered`. `attempt` counts from 1."""

    ask: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Over:
    """There will be no (further) attempt; comes exactly once for each ask. `reason` is "" when the last answer is the verdict, else
    "not asked: ..."."""

    ask: int
    reason: str


Action = Start | Over


class Scheduler:
    """Times are seconds of one monotonic clock. After `add`, `rerank`, `withdraw`, `answered` and at `wake_at`, call `due` and do what it says."""

    def __init__(
        self,
        budgets: Mapping[Platform, Budget],
        rules: Mapping[FailureClass, Rule] = RULES,
        *,
        patience: int = PATIENCE,
        together_s: float = 2.0,
        split_after_s: float = 5.0,
        rng: Random | None = None,
    ) -> None:
        raise NotImplementedError

    def add(self, job: Job, now: float) -> None:
        """Its asks wait from `now`. Raises ValueError for a job without asks, an unknown host, or a key used before."""
        raise NotImplementedError

    def rerank(self, job: int, rank: Rank) -> None:
        """A new place among those that wait. What has started is not touched; a job that is over is passed by."""
        raise NotImplementedError

    def withdraw(self, job: int, reason: str) -> None:
        """Nothing of it starts any more: the next `due` says Over with "not asked: `reason`" for asks that have had no attempt, with "" for asks
        that waited for another. What is under way is answered as usual, and not tried again. A job that is over is passed by."""
        raise NotImplementedError

    def answered(self, ask: int, failure: FailureClass | None, told_s: float | None, now: float) -> None:
        """The attempt is over and its slot free; `failure` None is a usable answer, `told_s` the host's Retry-After in seconds. The next `due`
        says Over if that was the last attempt. Raises ValueError for an ask that is not under way."""
        raise NotImplementedError

    def due(self, now: float) -> list[Action]:
        """What happens now, in order. Each Start has taken its slot and its turn."""
        raise NotImplementedError

    def wake_at(self) -> float | None:
        """When to call `due` again if nothing happens before; None: nothing waits for time. As of the last `due`."""
        raise NotImplementedError

    def host(self, host: Platform) -> HostView:
        """As of the last `due`."""
        raise NotImplementedError

    @property
    def idle(self) -> bool:
        """Nothing waits, nothing is under way, and every Over has been said."""
        raise NotImplementedError
