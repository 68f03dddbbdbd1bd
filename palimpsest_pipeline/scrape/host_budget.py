"""Limits on the requests of a scrape to one host. Values only.

No number here is a maximum: settings may raise each of them.
"""

from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True, slots=True)
class BreakerRule:
    """Rules by which a host's circuit breaker opens, pauses and shuts. All times are in seconds."""

    blocks_in_a_row: int = 3
    """Number of consecutive blocked answers after which the breaker opens.

    It is more than one, because a host may answer one unusual request with an error page.
    """
    window: int = 20
    max_failed_in_window: int = 12
    """Number of transient failures among the last `window` answers after which the breaker opens."""
    stall_s: float = 10.0
    """The breaker opens when a request is in flight for this time and the host answers nothing at all."""
    pause_s: float = 2.0
    pause_max_s: float = 8.0
    """Maximum pause after transient failures or a stall.

    The first probe is sent after `pause_s`. Each failed probe doubles the pause, up to this maximum.
    """
    block_pause_s: float = 60.0
    """Pause after blocks, before the one probe."""
    give_up_s: float = 60.0
    """The breaker shuts for this scrape after being open for this time without a good answer."""
    max_retry_after_s: float = 60.0
    """The longest Retry-After for which the scrape waits. After a longer one the breaker shuts."""

    def __post_init__(self) -> None:
        if (
            min(self.blocks_in_a_row, self.window, self.max_failed_in_window) < 1
            or self.max_failed_in_window > self.window
        ):
            raise ValueError(f"counts must be at least 1, and max_failed_in_window at most window: {self}")
        if (
            min(self.stall_s, self.pause_s, self.pause_max_s, self.give_up_s) <= 0
            or min(self.block_pause_s, self.max_retry_after_s) < 0
        ):
            raise ValueError(f"waits must be greater than 0, block_pause_s and max_retry_after_s not negative: {self}")


@dataclass(frozen=True, slots=True)
class HostBudget:
    """The request limits of one host. All times are in seconds.

    Raises ValueError for a budget with which no request could ever be sent.
    """

    max_in_flight: int
    """Maximum number of requests that are in flight at the same time."""
    min_gap_s: float = 0.0
    """Minimum time between the starts of two requests."""
    jitter_s: float = 0.0
    """Maximum random time that is added to `min_gap_s`."""
    max_per_s: float | None = None
    """Maximum number of requests started per second; None means no limit."""
    max_attempts: int = 3
    """Maximum number of attempts of one request, including the first."""
    backoff_initial_s: float = 0.5
    backoff_max_s: float = 10.0
    backoff_jitter: bool = True
    """Whether the wait before a retry is random between 0 and its exponential bound.

    A random wait keeps requests that failed together from being retried together.
    """
    breaker: BreakerRule = BreakerRule()

    def __post_init__(self) -> None:
        if min(self.max_in_flight, self.max_attempts) < 1:
            raise ValueError(f"max_in_flight and max_attempts must be at least 1: {self}")
        if min(self.min_gap_s, self.jitter_s, self.backoff_initial_s, self.backoff_max_s) < 0:
            raise ValueError(f"waits must not be negative: {self}")
        if self.max_per_s is not None and self.max_per_s <= 0:
            raise ValueError(f"max_per_s must be greater than 0, or None: {self}")

    def split(self, share: float) -> "tuple[HostBudget, HostBudget]":
        """Return two budgets for concurrent scrapes: `share` of this one, and the rest.

        Together they allow no more than this budget, but each allows at least one request at a time. With a share of 0
        both get the whole budget.
        """
        if not share:
            return self, self
        first = max(1, min(int(self.max_in_flight * share), self.max_in_flight - 1))
        return self._take_share(share, first), self._take_share(1 - share, max(1, self.max_in_flight - first))

    def _take_share(self, share: float, max_in_flight: int) -> "HostBudget":
        rate = None if self.max_per_s is None else self.max_per_s * share
        return replace(
            self,
            max_in_flight=max_in_flight,
            min_gap_s=self.min_gap_s / share,
            jitter_s=self.jitter_s / share,
            max_per_s=rate,
        )


MAX_PASSES: Final = 8
"""Number of later jobs that may overtake a waiting job before request slots are reserved for it."""
