"""Checks that find an unusable answer of any platform.

They check everything outside the JSON, of live and of landed answers, and whether the JSON can be decoded. Each dialect
checks the content of its platform's JSON.
"""

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
"""Whole strings and brackets in JSON; a quote alone begins a string without an end."""
_BYTE_POSITION_PATTERN: Final = re.compile(r"\(byte (\d+)\)$")


def judge_http(answer: Answer) -> Verdict | None:
    """Return the failure shown outside the JSON; None for a 2xx whose body looks like JSON."""
    if answer.failure is not None:
        return answer.failure, answer.failure_detail or "failed before"
    if answer.status is None:
        return FailureClass.TRANSIENT, "no answer"
    return classify_status(answer.status, answer.headers, answer.request.kind, answer.body or b"")


def decode_answer(answer: Answer, decoder: msgspec.json.Decoder[T]) -> T | None:
    """Return the whole answer decoded by `decoder`.

    None for an unusable answer, and for one that does not fit the decoder's type.
    """
    if judge_http(answer) is not None:
        return None
    try:
        return decoder.decode(read_json_body(answer))
    except BROKEN_JSON:
        return None


def judge_json_error(error: Exception, body: bytes) -> Verdict:
    """Return the verdict on a body whose JSON does not decode.

    A truncated body is worth another attempt. Malformed JSON (half of a surrogate pair in a name) is not: the platform
    would send the same again.
    """
    if isinstance(error, msgspec.ValidationError):
        return FailureClass.CONTRACT_BROKEN, str(error)
    if isinstance(error, msgspec.DecodeError) and _is_cut_off(str(error), body):
        return FailureClass.TRANSIENT, f"broken JSON: {error}"
    # In a complete body, the decoder's message "truncated" can only mean an escape.
    damage = "half of a surrogate pair" if "truncated" in str(error) else str(error)
    return FailureClass.CONTRACT_BROKEN, f"malformed JSON: {damage}"


def _is_cut_off(message: str, body: bytes) -> bool:
    """Return whether a body ends before its JSON does.

    The decoder's message does not decide this: half of a surrogate pair is also called truncated.
    """
    depth = 0
    for token in _JSON_TOKENS_PATTERN.finditer(body):
        if token[0] == b'"':
            depth = 1
            break
        depth += (token[0] in b"[{") - (token[0] in b"]}")
    position = _BYTE_POSITION_PATTERN.search(message)
    return depth > 0 and (position is None or int(position[1]) >= len(body.rstrip()))


def read_start(raw: msgspec.Raw) -> bytes:
    """Return the start of a JSON value, long enough for its type, its emptiness and an excerpt.

    Copying the whole value would cost more than judging it.
    """
    return bytes(memoryview(raw)[:_START_BYTES])
