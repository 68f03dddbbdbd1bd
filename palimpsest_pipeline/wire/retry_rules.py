"""How each failure class is handled: retry, wait, effect on the circuit breaker, and cause."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from palimpsest_pipeline.domain.enums import FailureClass


class RetryWait(StrEnum):
    """How long to wait before the next attempt."""

    NONE = "none"
    BACKOFF = "backoff"
    """Exponential backoff with jitter."""
    RETRY_AFTER = "as_told"
    """The time in the header Retry-After; without it, like BACKOFF."""


class HostSignal(StrEnum):
    """The effect of an answer on the circuit breaker of its host."""

    NOTHING = "nothing"
    GOOD = "good"
    """The host works."""
    ERROR = "error"
    """Counts as a failure among the last answers; too many of them open the breaker."""
    BLOCK = "block"
    """Counts as a block; several consecutive blocks open the breaker."""
    PAUSE = "pause"
    """Opens the breaker at once, for as long as the host demands."""


class _Fault(StrEnum):
    """Who or what caused the failure, as a hint for the person who fixes it."""

    NOBODY = "nobody"
    HOST = "host"
    """The platform, or the network path to it."""
    CHANGED = "changed"
    """The platform has changed its format; its adapter must be changed too."""
    US = "us"
    """The pipeline: its request rate, its IP address or its request."""


@dataclass(frozen=True, slots=True)
class FailureRule:
    """How one failure class is handled.

    With `is_retryable`, a request is retried until the budget's `max_attempts` is reached.
    """

    is_retryable: bool
    wait: RetryWait
    host_signal: HostSignal
    fault: _Fault


FAILURE_RULES: Final[Mapping[FailureClass, FailureRule]] = {
    FailureClass.TRANSIENT: FailureRule(True, RetryWait.BACKOFF, HostSignal.ERROR, _Fault.HOST),
    FailureClass.RATE_LIMITED: FailureRule(True, RetryWait.RETRY_AFTER, HostSignal.PAUSE, _Fault.US),
    FailureClass.BLOCKED: FailureRule(False, RetryWait.NONE, HostSignal.BLOCK, _Fault.US),
    FailureClass.SESSION_EXPIRED: FailureRule(False, RetryWait.NONE, HostSignal.BLOCK, _Fault.US),
    FailureClass.NOT_FOUND: FailureRule(False, RetryWait.NONE, HostSignal.GOOD, _Fault.NOBODY),
    FailureClass.CONTRACT_BROKEN: FailureRule(False, RetryWait.NONE, HostSignal.NOTHING, _Fault.CHANGED),
    FailureClass.PERMANENT: FailureRule(False, RetryWait.NONE, HostSignal.NOTHING, _Fault.US),
}
