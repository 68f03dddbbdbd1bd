"""How much of a host a scrape may take: plain values, no behaviour.

No number here is a cap: what settings say counts.
"""

from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True, slots=True)
class BreakerRule:
    """When a host is no longer asked, for how long, and when for good. Times in seconds."""

    blocks_in_a_row: int = 3
    """Blocked answers without a usable one between them that open the breaker.

    More than one: a host may answer one odd question with a page.
    """
    window: int = 20
    max_failed_in_window: int = 12
    """So many transient failures among the last `window` answers open it."""
    stall_s: float = 10.0
    """A request under way for so long, while the host answered nothing at all, opens it."""
    pause_s: float = 2.0
    pause_max_s: float = 8.0
    """After transient failures or a stall one probe is sent after `pause_s`; each bad probe doubles the pause up to
    `pause_max_s`.
    """
    block_pause_s: float = 60.0
    """Before the one probe after blocks."""
    give_up_s: float = 60.0
    """Open for so long without one good answer: shut for this scrape."""
    max_retry_after_s: float = 60.0
    """Longest Retry-After taken on. Asked for more, the host is shut: nobody comes back early."""

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
            raise ValueError(f"waits must be greater than 0, block_pause_s and longest_told_s not negative: {self}")


@dataclass(frozen=True, slots=True)
class HostBudget:
    """What one host may be asked. Times in seconds. Raises ValueError on a budget that could never send a request."""

    max_in_flight: int
    """Requests under way at the same time."""
    min_gap_s: float = 0.0
    """Least time between the starts of two requests."""
    jitter_s: float = 0.0
    """Drawn from 0 up to this, on top of each gap."""
    max_per_s: float | None = None
    """No more starts than this in any second; None: no such limit."""
    max_attempts: int = 3
    """Tries of one request, the first included."""
    backoff_initial_s: float = 0.5
    backoff_max_s: float = 10.0
    backoff_jitter: bool = True
    """The back-off is drawn at random up to its exponential bound, so that requests that failed together do not come
    back together.
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
        """Two budgets for scrapes that run at the same time: of `share` of this one, and of the rest. Together they
        allow no more than this one does, but for the one request at a time that each has at least. 0: there is nothing
        to split, each has all."""
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
"""How often a fixture lets later ones go past before places are kept for it."""
