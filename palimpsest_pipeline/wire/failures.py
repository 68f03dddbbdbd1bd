"""Classify failures by status, headers and the start of the body. No I/O.

`library_errors` classifies exceptions. `retry_rules` says how each failure class is handled.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Final

from palimpsest_pipeline.domain.enums import FailureClass, PayloadKind
from palimpsest_pipeline.domain.exchange import MAX_CACHE_AGE
from palimpsest_pipeline.domain.printable_text import escape_controls

Verdict = tuple[FailureClass, str]
"""A failure class and a text with details."""

_FAILURE_BY_STATUS: Final[Mapping[int, FailureClass]] = {
    403: FailureClass.BLOCKED,
    404: FailureClass.NOT_FOUND,
    408: FailureClass.TRANSIENT,
    410: FailureClass.NOT_FOUND,
    429: FailureClass.RATE_LIMITED,
}
"""Failure classes of certain 4xx statuses. All other 4xx statuses are `permanent`."""

_CHALLENGE_STATUSES: Final = frozenset({403, 429, 503})
_CHALLENGE_MARKS: Final = (b"just a moment", b"cf-chl", b"cf_chl", b"challenge-platform")
_PAGE_START_BYTES: Final = 20_000
_EXCERPT_CHARS: Final = 120


def is_success(status: int) -> bool:
    return 200 <= status < 300


def classify_status(
    status: int, headers: Mapping[str, str], kind: PayloadKind, start_of_body: bytes | None
) -> Verdict | None:
    """Return the failure of a response that can be detected without parsing its JSON.

    None for a 2xx response whose body starts like JSON; the platform's adapter then checks the JSON. `headers` has
    lower-case names. `start_of_body` may be the whole body; None when it could not be read.
    """
    detail = f"HTTP {status}"
    if challenge := detect_challenge(status, headers, start_of_body):
        return FailureClass.BLOCKED, f"{detail}: {challenge}"
    if is_success(status):
        return (
            None if start_of_body is None else _classify_content(status, headers.get("content-type", ""), start_of_body)
        )
    if status < 400:
        location = headers.get("location")
        return (
            FailureClass.CONTRACT_BROKEN,
            f"{detail}: redirect to {location!r} refused" if location else f"{detail}: not asked for",
        )
    if status == 429 and "retry-after" in headers:
        detail += f", Retry-After {headers['retry-after']}"
    failure = FailureClass.TRANSIENT if status >= 500 else _FAILURE_BY_STATUS.get(status, FailureClass.PERMANENT)
    if failure is FailureClass.NOT_FOUND and kind is not PayloadKind.DETAIL:
        # If a list or a tree is not found, the platform has changed its API. If a match is not found, the match is
        # gone.
        failure = FailureClass.CONTRACT_BROKEN
    if failure is FailureClass.PERMANENT:
        # The request is wrong, and the body may say why.
        detail = f"{detail}: {make_excerpt(start_of_body or b'')}".rstrip(": ")
    return failure, detail


def detect_challenge(status: int, headers: Mapping[str, str], start_of_body: bytes | None) -> str | None:
    """Return words for a log that name the sign of an anti-bot service; None without such a sign."""
    if "x-amzn-waf-action" in headers:
        return f"x-amzn-waf-action {headers['x-amzn-waf-action']}"
    if headers.get("cf-mitigated") == "challenge":
        return "cf-mitigated challenge"
    if status in _CHALLENGE_STATUSES and start_of_body and is_html(start_of_body):
        page = start_of_body[:_PAGE_START_BYTES].lower()
        return next((f"a challenge page ({mark.decode()})" for mark in _CHALLENGE_MARKS if mark in page), None)
    return None


def _classify_content(status: int, content_type: str, start_of_body: bytes) -> Verdict | None:
    start = start_of_body[:_EXCERPT_CHARS].lstrip()[:1] or start_of_body.lstrip()[:1]
    if not start:
        if status == 202:
            return FailureClass.BLOCKED, "HTTP 202 with an empty body: an anti-bot challenge"
        return FailureClass.CONTRACT_BROKEN, f"HTTP {status} with an empty body"
    if "protobuf" in content_type:
        return FailureClass.CONTRACT_BROKEN, f"content type {content_type} in place of JSON"
    if start in b"{[":
        return None
    if is_html(start_of_body):
        return FailureClass.BLOCKED, f"HTML in place of JSON: {make_excerpt(start_of_body)}"
    return (
        FailureClass.CONTRACT_BROKEN,
        f"not JSON (content type {content_type or 'not given'}): {make_excerpt(start_of_body)}",
    )


def is_html(body: bytes) -> bool:
    return body[:_PAGE_START_BYTES].lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<"


def is_json(body: bytes | None) -> bool:
    """Return whether the body starts like a JSON object or list, as every good answer does."""
    return body is not None and body[:_EXCERPT_CHARS].lstrip()[:1] in (b"{", b"[")


def make_excerpt(body: bytes) -> str:
    """Return the start of a body for an error message: one line, with control characters escaped.

    NUL becomes U+FFFD, because Postgres refuses text with NUL.
    """
    return escape_controls(
        " ".join(body[: _EXCERPT_CHARS * 2].decode("utf-8", "replace").replace("\0", "\ufffd").split())[:_EXCERPT_CHARS]
    )


def parse_retry_after_s(headers: Mapping[str, str], received_at: datetime) -> float | None:
    """Return the seconds of a Retry-After header (a number or an HTTP date); None when not readable.

    The result is never negative. A date is compared with the host's own clock if the answer shows it, so a wrong clock
    of the host does not change the result.
    """
    value = headers.get("retry-after")
    if value is None:
        return None
    seconds, retry_at = parse_whole_seconds(value), parse_http_date(value)
    if seconds is not None or retry_at is None:
        return seconds
    host_time = parse_http_date(headers.get("date"))
    now = received_at if host_time is None else host_time + timedelta(seconds=parse_age_s(headers.get("age")))
    return max((retry_at - now).total_seconds(), 0.0)


def parse_age_s(value: str | None) -> float:
    """Return how many seconds an edge cache has stored the content, from the value of the header Age.

    0 when the header is missing, not readable or above `MAX_CACHE_AGE`.
    """
    seconds = parse_whole_seconds(value) or 0.0
    return seconds if seconds <= MAX_CACHE_AGE.total_seconds() else 0.0


def parse_whole_seconds(value: str | None) -> float | None:
    """Return a header's whole number of seconds; None when it is missing or not a number.

    Also None for more than thirty years, which would overflow a datetime.
    """
    digits = (value or "").strip()
    return float(digits) if digits.isascii() and digits.isdigit() and len(digits) < 10 else None


@lru_cache(maxsize=256)
def parse_http_date(value: str | None) -> datetime | None:
    """Return a header's HTTP date; None when it is missing or not readable."""
    try:
        instant = parsedate_to_datetime(value or "")
        return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
