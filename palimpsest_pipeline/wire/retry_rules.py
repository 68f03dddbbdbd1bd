"""The one table of failures: whether and when a request is retried, the host's signal, the fault."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from palimpsest_pipeline.domain.enums import FailureClass


class RetryWait(StrEnum):
    """The wait before the next attempt."""

    NONE = "none"
    BACKOFF = "backoff"
    """Exponential, with jitter."""
    RETRY_AFTER = "as_told"
    """As long as Retry-After says; like BACKOFF without that header."""


class HostSignal(StrEnum):
    """The meaning of an answer for the circuit breaker of its host."""

    NOTHING = "nothing"
    GOOD = "good"
    """The host works: counts like a usable answer."""
    ERROR = "error"
    """Counts towards the share of errors that opens the breaker."""
    BLOCK = "block"
    """Counts towards the consecutive blocks that open the breaker."""
    PAUSE = "pause"
    """Opens the breaker at once, for as long as the host demands."""


class Fault(StrEnum):
    """The party at fault, as a hint for the person who fixes the failure."""

    NOBODY = "nobody"
    HOST = "host"
    """The platform, or the network path to it."""
    CHANGED = "changed"
    """The platform changed its format: its dialect here has to follow."""
    US = "us"
    """Our request rate, our address, or our request."""


@dataclass(frozen=True, slots=True)
class FailureRule:
    """The consequences of one failure class.

    `is_retryable`: retried up to the budget's `max_attempts`, or never.
    """

    is_retryable: bool
    wait: RetryWait
    host_signal: HostSignal
    fault: Fault


FAILURE_RULES: Final[Mapping[FailureClass, FailureRule]] = {
    FailureClass.TRANSIENT: FailureRule(True, RetryWait.BACKOFF, HostSignal.ERROR, Fault.HOST),
    FailureClass.RATE_LIMITED: FailureRule(True, RetryWait.RETRY_AFTER, HostSignal.PAUSE, Fault.US),
    FailureClass.BLOCKED: FailureRule(False, RetryWait.NONE, HostSignal.BLOCK, Fault.US),
    FailureClass.SESSION_EXPIRED: FailureRule(False, RetryWait.NONE, HostSignal.BLOCK, Fault.US),
    FailureClass.NOT_FOUND: FailureRule(False, RetryWait.NONE, HostSignal.GOOD, Fault.NOBODY),
    FailureClass.CONTRACT_BROKEN: FailureRule(False, RetryWait.NONE, HostSignal.NOTHING, Fault.CHANGED),
    FailureClass.PERMANENT: FailureRule(False, RetryWait.NONE, HostSignal.NOTHING, Fault.US),
}
