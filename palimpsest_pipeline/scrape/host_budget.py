"""The limits on the requests of a scrape to one host. Plain values.

No number here is a maximum: settings may raise any of them.
"""

from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True, slots=True)
class BreakerRule:
    """The rules by which a host's breaker opens, pauses and shuts. Times in seconds."""

    blocks_in_a_row: int = 3
    """Number of consecutive blocked answers that open the breaker.

    It is more than one, because a host may answer one unusual request with an error page.
    """
    window: int = 20
    max_failed_in_window: int = 12
    """This number of transient failures among the last `window` answers opens the breaker."""
    stall_s: float = 10.0
    """A request in flight for this long, while the host answered nothing at all, opens the breaker."""
    pause_s: float = 2.0
    pause_max_s: float = 8.0
    """Maximum pause after transient failures or a stall.

    One probe is sent after `pause_s`; each failed probe doubles the pause up to this.
    """
    block_pause_s: float = 60.0
    """The pause before the one probe after blocks."""
    give_up_s: float = 60.0
    """Open for this long without a good answer, the breaker shuts for this scrape."""
    max_retry_after_s: float = 60.0
    """The longest Retry-After for which the scrape waits. With a longer one the host is shut."""

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
    """The request limits of one host. Times in seconds.

    Raises ValueError on a budget that could never send a request.
    """

    max_in_flight: int
    """Maximum number of requests in flight."""
    min_gap_s: float = 0.0
    """Minimum time between the starts of two requests."""
    jitter_s: float = 0.0
    """A random time from 0 up to this is added to each gap."""
    max_per_s: float | None = None
    """Maximum number of starts in any second; None means no such limit."""
    max_attempts: int = 3
    """Maximum number of attempts of one request, the first included."""
    backoff_initial_s: float = 0.5
    backoff_max_s: float = 10.0
    backoff_jitter: bool = True
    """Whether each back-off is random, up to its exponential bound.

    So requests that failed together are not retried together.
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

        Together they allow no more than this one, except that each has at least one request at a time. With a share of
        0 both get the whole budget.
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
"""After this many passes by later fixtures, slots are reserved for a waiting fixture."""
