"""What makes an answer no answer on any platform: what the wire reads outside the JSON, whether it comes live or from
the landing, and JSON that does not decode. Platform envelopes are judged by their own dialects."""

import re
from typing import Final, TypeVar

import msgspec

from palimpsest_pipeline.domain.enums import FailureClass
from palimpsest_pipeline.domain.exchange import Answer
from palimpsest_pipeline.wire.failures import Verdict, classify_status, detect_challenge, is_html, make_excerpt

from .json_values import BROKEN_JSON, read_json_body

__all__ = [
    "Verdict",
    "decode_answer",
    "detect_challenge",
    "is_html",
    "judge_http",
    "judge_json_error",
    "make_excerpt",
    "read_start",
]

T = TypeVar("T")

_START_BYTES: Final = 256
_JSON_TOKENS_PATTERN: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"|["{}\[\]]', re.DOTALL)
"""Whole strings and brackets; a quote alone begins a string that has no end."""
_BYTE_POSITION_PATTERN: Final = re.compile(r"\(byte (\d+)\)$")


def judge_http(answer: Answer) -> Verdict | None:
    """Verdict on everything outside the JSON. None means: a 2xx whose body looks like JSON."""
    if answer.failure is not None:
        return answer.failure, answer.failure_detail or "failed before"
    if answer.status is None:
        return FailureClass.TRANSIENT, "no answer"
    return classify_status(answer.status, answer.headers, answer.request.kind, answer.body or b"")


def decode_answer(answer: Answer, decoder: msgspec.json.Decoder[T]) -> T | None:
    """An answer that is one, decoded whole; None for any other, and for one of another shape than the decoder's."""
    if judge_http(answer) is not None:
        return None
    try:
        return decoder.decode(read_json_body(answer))
    except BROKEN_JSON:
        return None


def judge_json_error(error: Exception, body: bytes) -> Verdict:
    """Return the verdict on a body whose JSON does not decode.

    A body that was cut off on the way is worth another try. Malformed JSON (half of a surrogate pair in a name) is not:
    the platform would send the same again.
    """
    if isinstance(error, msgspec.ValidationError):
        return FailureClass.CONTRACT_BROKEN, str(error)
    if isinstance(error, msgspec.DecodeError) and _is_cut_off(str(error), body):
        return FailureClass.TRANSIENT, f"broken JSON: {error}"
    what = (
        "half of a surrogate pair" if "truncated" in str(error) else str(error)
    )  # in a whole body the decoder means an escape
    return FailureClass.CONTRACT_BROKEN, f"malformed JSON: {what}"


def _is_cut_off(message: str, body: bytes) -> bool:
    """Return whether a body ends before its JSON does.

    The decoder's message cannot tell: it also calls half of a surrogate pair truncated.
    """
    depth = 0
    for token in _JSON_TOKENS_PATTERN.finditer(body):
        if token[0] == b'"':
            depth = 1
            break
        depth += (token[0] in b"[{") - (token[0] in b"]}")
    at = _BYTE_POSITION_PATTERN.search(message)
    return depth > 0 and (at is None or int(at[1]) >= len(body.rstrip()))


def read_start(raw: msgspec.Raw) -> bytes:
    """Beginning of a JSON value, long enough to tell its type, whether it holds anything, and for an excerpt: a copy of
    the whole costs more than the judgement."""
    return bytes(memoryview(raw)[:_START_BYTES])
