"""What makes an answer no answer on any platform: status, emptiness, HTML or other content in place of JSON. Platform envelopes are judged by
their own dialects."""

from typing import Final

import msgspec

from ..domain.exchange import Answer
from ..domain.words import FailureClass, PayloadKind

Verdict = tuple[FailureClass, str]

_EXCERPT: Final = 120


def http_verdict(answer: Answer) -> Verdict | None:
    """Verdict on everything outside the JSON. None means: a 2xx whose body looks like JSON."""
    if answer.failure is not None:
        return answer.failure, answer.failure_detail or "failed before"
    body = answer.body or b""
    if answer.status is None:
        return FailureClass.TRANSIENT, "no answer"
    if answer.status == 202 and not body.strip():
        return FailureClass.BLOCKED, "HTTP 202 with an empty body: an anti-bot challenge"
    if not 200 <= answer.status < 300:
        return _status_class(answer.status, answer.request.kind), f"HTTP {answer.status}: {excerpt(body)}".rstrip(": ")
    return _content_verdict(answer.headers.get("content-type", ""), answer.status, body)


def _status_class(status: int, kind: PayloadKind) -> FailureClass:
    if status == 403:
        return FailureClass.BLOCKED
    if status == 429:
        return FailureClass.RATE_LIMITED
    if status == 408 or status >= 500:
        return FailureClass.TRANSIENT
    if status in (404, 410):
        # A list or a tree that is not found is a retired route, not a missing match.
        return FailureClass.NOT_FOUND if kind is PayloadKind.DETAIL else FailureClass.CONTRACT_BROKEN
    return FailureClass.CONTRACT_BROKEN if status < 400 else FailureClass.PERMANENT


def _content_verdict(content_type: str, status: int, body: bytes) -> Verdict | None:
    start = body.lstrip()[:1]
    if not start:
        return FailureClass.CONTRACT_BROKEN, f"HTTP {status} with an empty body"
    if "protobuf" in content_type:
        return FailureClass.CONTRACT_BROKEN, f"content type {content_type} in place of JSON"
    if is_html(body):
        return FailureClass.BLOCKED, f"HTML in place of JSON: {excerpt(body)}"
    if start not in b"{[":
        return FailureClass.CONTRACT_BROKEN, f"not JSON (content type {content_type or 'not given'}): {excerpt(body)}"
    return None


def is_html(body: bytes) -> bool:
    return body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<"


def json_verdict(error: Exception) -> Verdict:
    """Verdict on JSON that does not decode: of another shape, or cut off on the way (then worth another try)."""
    if isinstance(error, msgspec.ValidationError):
        return FailureClass.CONTRACT_BROKEN, str(error)
    return FailureClass.TRANSIENT, f"broken JSON: {error}"


def excerpt(body: bytes) -> str:
    """The beginning of a body for an error message, on one line. A NUL is shown as what cannot be decoded: no table of texts takes it."""
    return " ".join(body[: _EXCERPT * 2].decode("utf-8", "replace").replace("\0", "\ufffd").split())[:_EXCERPT]
