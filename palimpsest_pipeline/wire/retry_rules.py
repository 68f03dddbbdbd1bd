"""The one table of failures: whether a request is tried again, how long after, what it means for the host, and whose
fault it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from palimpsest_pipeline.domain.enums import FailureClass


class RetryWait(StrEnum):
    """How long to wait before the next try."""

    NONE = "none"
    BACKOFF = "backoff"
    """Exponential, with jitter."""
    RETRY_AFTER = "as_told"
    """As long as Retry-After says; without it like BACKOFF."""


class HostSignal(StrEnum):
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
class FailureRule:
    """`tried_again`: up to the budget's `max_attempts`, or never."""

    is_retryable: bool
    wait: RetryWait
    host_signal: HostSignal
    fault: Fault


FAILURE_RULES: Final[Mapping[FailureClass, FailureRule]] = {
    FailureClass.TRANSIENT: FailureRule(True, RetryWait.BACKOFF, HostSignal.ERROR, Fault.HOST),
    FailureClass.RATE_LIMITED: FailureRule(True, RetryWait.RETRY_AFTER, HostSignal.PAUSE, Fault.US),
    FailureClass.BLOCKED: FailureRule(False, RetryWait.NONE, HostSignal.BLOCK, Fault.US),
    FailureClass.NOT_FOUND: FailureRule(False, RetryWait.NONE, HostSignal.GOOD, Fault.NOBODY),
    FailureClass.CONTRACT_BROKEN: FailureRule(False, RetryWait.NONE, HostSignal.NOTHING, Fault.CHANGED),
    FailureClass.PERMANENT: FailureRule(False, RetryWait.NONE, HostSignal.NOTHING, Fault.US),
}
