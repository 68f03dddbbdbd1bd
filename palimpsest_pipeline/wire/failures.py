"""Typed failures: what a status, a header or an exception of the HTTP library means, and the one table of what is tried again. No I/O."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Final

import aiohttp
import httpx

from ..domain.words import FailureClass

Verdict = tuple[FailureClass, str]
"""A failure and its detail, in words."""

REQUEST_ERRORS: Final = (httpx.HTTPError, httpx.StreamError, aiohttp.ClientError, OSError)
"""What sending a request may raise. aiohttp's own and the socket's are here because the transport lets some of them through."""

_WORTH_ANOTHER_TRY: Final = (httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError, httpx.ProxyError, OSError)


class Wait(StrEnum):
    """How long to wait before the next try."""

    NONE = "none"
    BACKOFF = "backoff"
    """Exponential, with jitter."""
    AS_TOLD = "as_told"
    """As long as Retry-After says; without it like BACKOFF."""


@dataclass(frozen=True, slots=True)
class RetryRule:
    """`tried_again` up to the host's `max_attempts`, or never."""

    tried_again: bool
    wait: Wait


RETRY_RULES: Final[Mapping[FailureClass, RetryRule]] = {
    FailureClass.TRANSIENT: RetryRule(True, Wait.BACKOFF),
    FailureClass.RATE_LIMITED: RetryRule(True, Wait.AS_TOLD),
    FailureClass.BLOCKED: RetryRule(False, Wait.NONE),
    FailureClass.NOT_FOUND: RetryRule(False, Wait.NONE),
    FailureClass.CONTRACT_BROKEN: RetryRule(False, Wait.NONE),
    FailureClass.PERMANENT: RetryRule(False, Wait.NONE),
}


_OF_STATUS: Final[Mapping[int, FailureClass]] = {
    403: FailureClass.BLOCKED,
    404: FailureClass.NOT_FOUND,
    408: FailureClass.TRANSIENT,
    429: FailureClass.RATE_LIMITED,
}
"""Refusals with a meaning of their own; the others of their hundred are permanent."""


def of_status(status: int, headers: Mapping[str, str]) -> Verdict | None:
    """Failure that the status alone shows; None for 2xx, which the platform's own reading judges."""
    if 200 <= status < 300:
        return None
    if status < 400:
        to = headers.get("location")
        return FailureClass.CONTRACT_BROKEN, f"HTTP {status}: redirect to {to!r} refused" if to else f"HTTP {status}: not asked for"
    detail = f"HTTP {status}"
    if status == 429 and "retry-after" in headers:
        detail += f", Retry-After {headers['retry-after']}"
    return (FailureClass.TRANSIENT if status >= 500 else _OF_STATUS.get(status, FailureClass.PERMANENT)), detail


def of_empty(status: int) -> Verdict:
    """Failure of a 2xx without a body: never "no events"."""
    if status == 202:
        return FailureClass.BLOCKED, "HTTP 202 with an empty body: a challenge"
    return FailureClass.CONTRACT_BROKEN, f"HTTP {status} with an empty body"


def of_error(error: BaseException) -> Verdict:
    """Failure that an exception of the HTTP library stands for. One that is not foreseen is permanent and names its class."""
    named = f"{type(error).__name__}: {error}".rstrip(": ")
    if _is_bad_certificate(error):
        return FailureClass.PERMANENT, f"certificate refused: {error}"
    if isinstance(error, _WORTH_ANOTHER_TRY):
        return FailureClass.TRANSIENT, named
    return FailureClass.PERMANENT, named


def _is_bad_certificate(error: BaseException) -> bool:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError | aiohttp.ClientConnectorCertificateError):
            return True
        seen = seen.__cause__
    return False


def retry_after_s(value: str | None, now: datetime) -> float | None:
    """Seconds that a Retry-After header asks to wait, from a number or an HTTP date; None when absent or unreadable. Never negative."""
    if value is None:
        return None
    if value.strip().isascii() and value.strip().isdigit():
        return float(value)
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max((until - now).total_seconds(), 0.0)


def age_s(value: str | None) -> float:
    """Seconds that an edge cache has held the content, from the Age header; 0 when absent or unreadable."""
    if value is None or not value.strip().isascii() or not value.strip().isdigit():
        return 0.0
    return float(value)
