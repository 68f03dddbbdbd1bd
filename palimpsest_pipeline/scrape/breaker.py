"""Whether a host is asked at all: one breaker per host, told of every start and answer. Pure; times in seconds of one monotonic clock."""

from enum import StrEnum

from ..wire.rules import Bears
from .budget import BreakerRule


class State(StrEnum):
    """How a host is asked."""

    CLOSED = "closed"
    """As usual."""
    OPEN = "open"
    """Not at all, for a while."""
    PROBING = "probing"
    """One thing, to see."""
    SHUT = "shut"
    """Never again in this scrape."""


class Breaker:
    """Opens when the host blocks, fails or hangs; asks one thing after a pause; shuts when that leads nowhere."""

    state: State = State.CLOSED
    reason: str = ""
    """Why it is not closed."""
    blocked: bool = False
    """Open because of blocks."""
    opened_at: float | None = None
    """When it left CLOSED; None while closed."""
    until: float | None = None
    """End of the pause while OPEN."""

    def __init__(self, rule: BreakerRule) -> None:
        self._rule = rule

    def started(self, key: int, now: float) -> None:
        """A request is under way. While PROBING it is the probe."""
        raise NotImplementedError

    def answered(self, key: int, bears: Bears, told_s: float | None, now: float) -> None:
        """It is answered; `told_s` is the host's Retry-After."""
        raise NotImplementedError

    def tick(self, now: float) -> None:
        """Lets time take effect: a stall opens, the end of a pause probes, an opening without end shuts."""
        raise NotImplementedError

    def wake_at(self) -> float | None:
        """When `tick` may do something; None: not by time alone."""
        raise NotImplementedError

    def shut(self, reason: str) -> None:
        """For good."""
        raise NotImplementedError
