"""The queue of one host: waiting requests, free request slots, pace and circuit breaker.

A request slot is one of the `max_in_flight` requests that may run at the same time. A turn is a point in time at which
the pace (gap, jitter, rate) allows the next start. No I/O; times in seconds.
"""

from collections import deque
from random import Random
from typing import Generic, TypeVar

from .circuit_breaker import CircuitBreaker
from .host_budget import HostBudget

RequestT = TypeVar("RequestT")


class HostQueue(Generic[RequestT]):
    """Computes from a host's budget how many requests may start. The scheduler decides which."""

    def __init__(self, budget: HostBudget) -> None:
        self.budget = budget
        self.breaker = CircuitBreaker(budget.breaker)
        self.waiting_requests: dict[int, RequestT] = {}
        self.pending_starts: deque[RequestT] = deque()
        """Requests that have a request slot and wait for their turn. They start before all others."""
        self.in_flight = 0
        self.is_closed = True
        """Whether the breaker was closed at the last update."""
        self.is_left_out = False
        """Whether jobs start without waiting for this host, as of the last update."""
        self._next_at = 0.0
        self._window_s = max(1.0, 1 / budget.max_per_s) if budget.max_per_s else 0.0
        self._recent_starts: deque[float] = deque(maxlen=max(1, int(budget.max_per_s or 1)))
        """The latest start times, at most as many as may start within `_window_s` seconds."""
        self._is_paced = budget.min_gap_s > 0 or budget.jitter_s > 0 or budget.max_per_s is not None
        self._n_reserved_slots, self._is_turn_reserved = 0, False
        self.n_startable = 0
        """Number of requests that could get a slot at the last update; 0 unless one could start at once."""

    @property
    def n_free_slots(self) -> int:
        """Return the number of free request slots."""
        return self.budget.max_in_flight - self.in_flight - len(self.pending_starts)

    @property
    def next_turn_at(self) -> float:
        """Return the earliest time at which the pace allows the next request."""
        if self._window_s and len(self._recent_starts) == self._recent_starts.maxlen:
            return max(self._next_at, self._recent_starts[0] + self._window_s)
        return self._next_at

    def record_start(self, key: int, now: float, rng: Random) -> None:
        self.in_flight += 1
        self._recent_starts.append(now)
        self._next_at = now + self.budget.min_gap_s + rng.uniform(0, self.budget.jitter_s)
        self.breaker.record_start(key, now)

    def update_startable(self, now: float, *, clears_reservations: bool = False) -> None:
        """Recompute `n_startable`: the free slots that are not reserved, or 0 before the next turn.

        With `clears_reservations`, reserved slots and a reserved turn are released first.
        """
        if clears_reservations:
            self._n_reserved_slots, self._is_turn_reserved = 0, False
        has_turn = self.next_turn_at <= now and not self._is_turn_reserved
        self.n_startable = self.n_free_slots - self._n_reserved_slots if has_turn else 0

    def reserve_slots(self, n: int, now: float) -> None:
        """Reserve `n` request slots and the next turn, so that jobs that start later cannot take them."""
        self._n_reserved_slots += n
        self._is_turn_reserved = self._is_paced
        self.update_startable(now)

    def draw_backoff_s(self, attempts: int, rng: Random) -> float:
        """Return the seconds to wait before the next attempt, after `attempts` attempts."""
        longest_s = min(self.budget.backoff_initial_s * 2.0 ** (attempts - 1), self.budget.backoff_max_s)
        return rng.uniform(0, longest_s) if self.budget.backoff_jitter else longest_s
