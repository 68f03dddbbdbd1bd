"""The one table of failures: whether a request is tried again, how long after, what it means for the host, and whose fault it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from palimpsest_pipeline.domain.enums import FailureClass


class Wait(StrEnum):
    """How long to wait before the next try."""

    NONE = "none"
    BACKOFF = "backoff"
    """Exponential, with jitter."""
    AS_TOLD = "as_told"
    """As long as Retry-After says; without it like BACKOFF."""


class Bears(StrEnum):
    """What such an answer says of its host."""

    NOTHING = "nothing"
    GOOD = "good"
    """The host answers: like a usable answer."""
    ERROR = "error"
    """Counts towards the share of errors that opens the breaker."""
    BLOCK = "block"
    """Counts towards the blocks in a row that open the breaker."""
    PAUSE = "pause"
    """Opens it at once, for as long as told."""


class Fault(StrEnum):
    """Whose fault it is, for whoever has to mend it."""

    NOBODY = "nobody"
    HOST = "host"
    """The platform, or the way there."""
    CHANGED = "changed"
    """The platform speaks differently than its dialect here: a reader has to follow."""
    US = "us"
    """Our pace, our address, or our question."""


@dataclass(frozen=True, slots=True)
class Rule:
    """`tried_again`: up to the budget's `max_attempts`, or never."""

    tried_again: bool
    wait: Wait
    bears: Bears
    fault: Fault


RULES: Final[Mapping[FailureClass, Rule]] = {
    FailureClass.TRANSIENT: Rule(True, Wait.BACKOFF, Bears.ERROR, Fault.HOST),
    FailureClass.RATE_LIMITED: Rule(True, Wait.AS_TOLD, Bears.PAUSE, Fault.US),
    FailureClass.BLOCKED: Rule(False, Wait.NONE, Bears.BLOCK, Fault.US),
    FailureClass.NOT_FOUND: Rule(False, Wait.NONE, Bears.GOOD, Fault.NOBODY),
    FailureClass.CONTRACT_BROKEN: Rule(False, Wait.NONE, Bears.NOTHING, Fault.CHANGED),
    FailureClass.PERMANENT: Rule(False, Wait.NONE, Bears.NOTHING, Fault.US),
}
