"""Typed failures: what a status, a header or the start of a body means. No I/O; what an exception means is in
`library_errors`, what follows in `retry_rules`."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Final

from palimpsest_pipeline.domain.enums import FailureClass, PayloadKind
from palimpsest_pipeline.domain.exchange import MAX_CACHE_AGE
from palimpsest_pipeline.domain.printable_text import escape_controls

Verdict = tuple[FailureClass, str]
"""A failure and its detail, in words."""

_FAILURE_BY_STATUS: Final[Mapping[int, FailureClass]] = {
    403: FailureClass.BLOCKED,
    404: FailureClass.NOT_FOUND,
    408: FailureClass.TRANSIENT,
    410: FailureClass.NOT_FOUND,
    429: FailureClass.RATE_LIMITED,
}
"""Refusals with a meaning of their own; the others of their hundred are permanent."""

_CHALLENGE_STATUSES: Final = frozenset({403, 429, 503})
_CHALLENGE_MARKS: Final = (b"just a moment", b"cf-chl", b"cf_chl", b"challenge-platform")
_PAGE_START_BYTES: Final = 20_000
_EXCERPT_CHARS: Final = 120


def is_success(status: int) -> bool:
    return 200 <= status < 300


def classify_status(
    status: int, headers: Mapping[str, str], kind: PayloadKind, start_of_body: bytes | None
) -> Verdict | None:
    """Failure that an answer shows outside its JSON; None for a 2xx whose body begins like JSON, which the platform's
    own reading judges.

    `headers` by lower-case names. `start_of_body` may be the whole; None where it could not be read.
    """
    detail = f"HTTP {status}"
    if asked := detect_challenge(status, headers, start_of_body):
        return FailureClass.BLOCKED, f"{detail}: {asked}"
    if is_success(status):
        return (
            None if start_of_body is None else _classify_content(status, headers.get("content-type", ""), start_of_body)
        )
    if status < 400:
        to = headers.get("location")
        return (
            FailureClass.CONTRACT_BROKEN,
            f"{detail}: redirect to {to!r} refused" if to else f"{detail}: not asked for",
        )
    if status == 429 and "retry-after" in headers:
        detail += f", Retry-After {headers['retry-after']}"
    failure = FailureClass.TRANSIENT if status >= 500 else _FAILURE_BY_STATUS.get(status, FailureClass.PERMANENT)
    if failure is FailureClass.NOT_FOUND and kind is not PayloadKind.DETAIL:
        # A list or a tree that is not found is a retired route, not a missing match.
        failure = FailureClass.CONTRACT_BROKEN
    if failure is FailureClass.PERMANENT:
        # Our question is at fault; the host may say in what.
        detail = f"{detail}: {make_excerpt(start_of_body or b'')}".rstrip(": ")
    return failure, detail


def detect_challenge(status: int, headers: Mapping[str, str], start_of_body: bytes | None) -> str | None:
    """How an anti-bot edge shows that it wants proof of a browser; None where it does not."""
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
    """Whether the body begins like a JSON object or list, as every answer of a platform does."""
    return body is not None and body[:_EXCERPT_CHARS].lstrip()[:1] in (b"{", b"[")


def make_excerpt(body: bytes) -> str:
    """The beginning of a body for an error message, on one line, control characters as escapes. A NUL is shown as what
    cannot be decoded: no table of texts takes it."""
    return escape_controls(
        " ".join(body[: _EXCERPT_CHARS * 2].decode("utf-8", "replace").replace("\0", "\ufffd").split())[:_EXCERPT_CHARS]
    )


def parse_retry_after_s(headers: Mapping[str, str], received_at: datetime) -> float | None:
    """Seconds that a Retry-After header asks to wait, from a number or an HTTP date; None when absent or unreadable.
    Never negative.

    A date is read by the host's own clock where the answer tells it: one that is an hour off must not cost an hour.
    """
    value = headers.get("retry-after")
    if value is None:
        return None
    seconds, until = parse_whole_seconds(value), parse_http_date(value)
    if seconds is not None or until is None:
        return seconds
    told_at = parse_http_date(headers.get("date"))
    now = received_at if told_at is None else told_at + timedelta(seconds=parse_age_s(headers.get("age")))
    return max((until - now).total_seconds(), 0.0)


def parse_age_s(value: str | None) -> float:
    """Seconds that an edge cache has held the content, from the Age header; 0 when absent, unreadable or above
    MAX_AGE.
    """
    seconds = parse_whole_seconds(value) or 0.0
    return seconds if seconds <= MAX_CACHE_AGE.total_seconds() else 0.0


def parse_whole_seconds(value: str | None) -> float | None:
    """A header's number of seconds; None when absent or none, and for more than thirty years, with which no instant
    can be reckoned.
    """
    digits = (value or "").strip()
    return float(digits) if digits.isascii() and digits.isdigit() and len(digits) < 10 else None


@lru_cache(maxsize=256)
def parse_http_date(value: str | None) -> datetime | None:
    """A header's instant; None when absent or unreadable."""
    try:
        instant = parsedate_to_datetime(value or "")
        return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
