"""What makes an answer no answer on any platform: what the wire reads outside the JSON, whether it comes live or from the landing, and JSON that does
not decode. Platform envelopes are judged by their own dialects."""

from typing import Final, TypeVar

import msgspec

from ..domain.exchange import Answer
from ..domain.words import FailureClass
from ..wire.failures import Verdict, challenge, excerpt, is_html, of_status
from .reading import BROKEN_JSON, json_of

__all__ = ["Verdict", "challenge", "decoded", "excerpt", "http_verdict", "is_html", "json_verdict", "start_of"]

T = TypeVar("T")

_START: Final = 256


def http_verdict(answer: Answer) -> Verdict | None:
    """Verdict on everything outside the JSON. None means: a 2xx whose body looks like JSON."""
    if answer.failure is not None:
        return answer.failure, answer.failure_detail or "failed before"
    if answer.status is None:
        return FailureClass.TRANSIENT, "no answer"
    return of_status(answer.status, answer.headers, answer.request.kind, answer.body or b"")


def decoded(answer: Answer, decoder: msgspec.json.Decoder[T]) -> T | None:
    """An answer that is one, decoded whole; None for any other, and for one of another shape than the decoder's."""
    if http_verdict(answer) is not None:
        return None
    try:
        return decoder.decode(json_of(answer))
    except BROKEN_JSON:
        return None


def json_verdict(error: Exception) -> Verdict:
    """Verdict on JSON that does not decode: of another shape, or cut off on the way (then worth another try)."""
    if isinstance(error, msgspec.ValidationError):
        return FailureClass.CONTRACT_BROKEN, str(error)
    return FailureClass.TRANSIENT, f"broken JSON: {error}"


def start_of(raw: msgspec.Raw) -> bytes:
    """Beginning of a JSON value, long enough to tell its type, whether it holds anything, and for an excerpt: a copy of the whole costs more than
    the judgement."""
    return bytes(memoryview(raw)[:_START])
