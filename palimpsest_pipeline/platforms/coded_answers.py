"""The envelope of the answers of MSport and SportyBet: a business code, a message and data."""

from collections.abc import Iterable, Iterator
from typing import Any, Final, Generic, TypeVar

import msgspec

from palimpsest_pipeline.domain.enums import FailureClass, PayloadKind
from palimpsest_pipeline.domain.exchange import Answer

from . import answer_checks
from .json_values import BROKEN_JSON, NO_RAW, is_empty_json, read_integer, read_json_body, read_text

E = TypeVar("E")

OK_CODE: Final = 10000
_INVALID_CODE: Final = 19000
_NO_SUCH_RESOURCE_CODE: Final = 19001
MATCH_ID_PREFIX: Final = "sr:match:"


class Envelope(msgspec.Struct, gc=False, rename="camel"):
    biz_code: Any = None
    message: Any = None
    inner_msg: Any = None
    data: msgspec.Raw = NO_RAW


class DetailAnswer(msgspec.Struct, Generic[E], gc=False, rename="camel"):
    """A whole detail answer as the platforms send it."""

    biz_code: int
    data: E
    message: str | None = None
    inner_msg: str | None = None


class EventId(msgspec.Struct, gc=False, rename="camel"):
    """The id of an event, for a reject when its other fields cannot be read."""

    event_id: Any = None


class MarketProduct(msgspec.Struct, gc=False):
    product: Any = None


ENVELOPE_DECODER: Final = msgspec.json.Decoder(Envelope)
_EVENT_ID_DECODER: Final = msgspec.json.Decoder(EventId)
_PRODUCT_DECODER: Final = msgspec.json.Decoder(MarketProduct)


def judge_envelope(
    answer: Answer, *, has_bare_lists: bool = False, wrong_operator: str | None = None
) -> answer_checks.Verdict | None:
    """Return the failure that the answer shows; None when it can be used.

    It is one of HTTP, JSON that cannot be read, a business code other than success (the HTTP status is good even so),
    or missing or misshapen data. With `has_bare_lists` the data of
    a list may be a JSON list. A message with the word `wrong_operator` is about the operator's number in the headers,
    so a retry cannot succeed.
    """
    verdict = answer_checks.judge_http(answer)
    if verdict is not None:
        return verdict
    body = read_json_body(answer)
    try:
        envelope = ENVELOPE_DECODER.decode(body)
    except BROKEN_JSON as error:
        return answer_checks.judge_json_error(error, body)
    kind, code = answer.request.kind, read_integer(envelope.biz_code)
    if code is None:
        return FailureClass.CONTRACT_BROKEN, f"no bizCode: {answer_checks.make_excerpt(body)}"
    if code != OK_CODE:
        message = f"{envelope.inner_msg or envelope.message or ''}"
        is_wrong_operator = wrong_operator is not None and wrong_operator in message.lower()
        refusal = FailureClass.PERMANENT if is_wrong_operator else _classify_refusal(code, kind is PayloadKind.DETAIL)
        return refusal, f"bizCode {code}: {message}".rstrip(": ")
    return _judge_data(kind, answer_checks.read_start(envelope.data), has_bare_lists=has_bare_lists)


def _judge_data(kind: PayloadKind, data: bytes, *, has_bare_lists: bool) -> answer_checks.Verdict | None:
    if kind is PayloadKind.DETAIL and is_empty_json(data):
        return FailureClass.NOT_FOUND, "success without an event"
    if data in (b"", b"null"):
        return FailureClass.TRANSIENT, "success without data"
    if data.startswith(b"{") or (has_bare_lists and kind is PayloadKind.LISTING and data.startswith(b"[")):
        return None
    return FailureClass.CONTRACT_BROKEN, f"data is no {kind}: {answer_checks.make_excerpt(data)}"


def _classify_refusal(code: int, is_detail: bool) -> FailureClass:
    if is_detail and code in (_INVALID_CODE, _NO_SUCH_RESOURCE_CODE):
        return FailureClass.NOT_FOUND
    return FailureClass.CONTRACT_BROKEN if code == _NO_SUCH_RESOURCE_CODE else FailureClass.PERMANENT


def decode_whole(answer: Answer, decoder: msgspec.json.Decoder[DetailAnswer[E]]) -> E | None:
    """Return the event of an answer in the platforms' usual shape; None for any other."""
    detail = answer_checks.decode_answer(answer, decoder)
    return detail.data if detail is not None and detail.biz_code == OK_CODE else None


def iterate_products(markets: Iterable[msgspec.Raw]) -> Iterator[Any]:
    """Yield the field `product` of each readable market: the number of the feed, live or before kickoff."""
    for raw in markets:
        try:
            yield _PRODUCT_DECODER.decode(raw).product
        except BROKEN_JSON:
            continue  # a market that is no object is rejected when the book is read


def read_event_id(raw: msgspec.Raw) -> str | None:
    """Return the id of an event, even if its other fields cannot be read; None without one."""
    try:
        return read_text(_EVENT_ID_DECODER.decode(raw).event_id)
    except BROKEN_JSON:
        return None
