"""The reader of Bet9ja's detail answers: the listing and its whole book.

An answer in the platform's usual shape is decoded whole in one pass. Any other is read part by part, to find its
failure or its bad prices. Both paths end in the same types.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar

import msgspec

from palimpsest_pipeline.domain.exchange import Answer
from palimpsest_pipeline.domain.observations import Detail, Listing, RawPrices
from palimpsest_pipeline.domain.text_limits import MAX_KEY_CHARS

from .. import answer_checks
from ..base import DialectConfig
from ..dialect_adapter import build_detail, require_asked
from ..json_values import (
    BROKEN_JSON,
    MILLI_BY_ODDS,
    Memo,
    RawOdds,
    UnreadableError,
    decode,
    describe_outcome_damage,
    iterate_items,
    read_object,
    read_odds,
    read_text,
    require_body,
    require_readable_odds,
)
from . import shapes
from .parse_events import DETAIL_KIND_DECODER, ENVELOPE_DECODER, EVENT_DECODER, GOOD_RESULTS, build_listing, judge

T = TypeVar("T")
E = TypeVar("E", bound=shapes.Head)

NO_KEY: Final = ("", "")
_BAD_KEY_REASON: Final = (
    "no price key: prefix, market and outcome between two underscores, "
    f"the outcome of at most {MAX_KEY_CHARS} characters"
)

_BOOK_DECODER = msgspec.json.Decoder(shapes.DetailAnswer[shapes.Book])
_HEAD_DECODER = msgspec.json.Decoder(shapes.DetailAnswer[shapes.Head])
_LOOSE_BOOK_DECODER = msgspec.json.Decoder(shapes.LooseBook)
_MARKET_LABEL_DECODER = msgspec.json.Decoder(shapes.MarketLabel)


class MarketNames(NamedTuple):
    """A market's name and its outcomes' names by code."""

    market_id: str
    name: str
    outcomes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DetailContent:
    """The content of a detail answer: the event, odds by key, and the markets' descriptors."""

    event: shapes.Event
    odds: Mapping[str, RawOdds]
    descriptors: Iterable[msgspec.Raw]


def read_listing(answers: Sequence[Answer], config: DialectConfig) -> Listing:
    """Return the listing of a detail answer.

    Raises UnreadableError or PayloadRejected, also for answers of the in-play feed, whose ids are another series.
    """
    event = decode_whole(answers[0], _HEAD_DECODER) or _decode_event(answers[0], EVENT_DECODER, config)
    return _build_listing(answers[0], event, config)


def read_detail(answers: Sequence[Answer], config: DialectConfig) -> Detail:
    """Return the listing and the book of a detail answer.

    Raises UnreadableError or PayloadRejected, also for answers of the in-play feed.
    """
    book = decode_whole(answers[0], _BOOK_DECODER)
    content = DetailContent(book, book.O, book.MK) if book else decode_in_parts(answers[0], config)
    listing = _build_listing(answers[0], content.event, config)
    prices, damage = _build_prices(content, config)
    return build_detail(listing, prices, damage)


def decode_whole(answer: Answer, decoder: msgspec.json.Decoder[shapes.DetailAnswer[E]]) -> E | None:
    """Return the event of an answer in the platform's usual shape; None for any other."""
    detail = answer_checks.decode_answer(answer, decoder)
    if detail is None or detail.R not in GOOD_RESULTS or bytes(detail.D.AA) or read_text(detail.D.ID) is None:
        return None
    return detail.D


def decode_in_parts(answer: Answer, config: DialectConfig) -> DetailContent:
    """Return the event and book of an unusual answer, one for which `decode_whole` returns None.

    Raises UnreadableError or PayloadRejected without a readable prematch event.
    """
    event = _decode_event(answer, _LOOSE_BOOK_DECODER, config)
    if isinstance(event.O, list) and event.O:
        raise UnreadableError("$.D.O", "a filled list in place of prices by key")
    odds = {
        key: read_odds(value.get("v") if isinstance(value, dict) else value)
        for key, value in read_object(event.O).items()
    }
    return DetailContent(event, odds, [raw for _, raw in iterate_items(event.MK)])


def _decode_event(answer: Answer, decoder: msgspec.json.Decoder[T], config: DialectConfig) -> T:
    body = require_body(config.platform, answer, judge(answer))
    data = ENVELOPE_DECODER.decode(body).D
    if bytes(decode(DETAIL_KIND_DECODER, data, "$.D").AA):
        raise UnreadableError("$.D.AA", "in play: an answer of the in-play feed")
    return decode(decoder, data, "$.D")


def _build_listing(answer: Answer, event: shapes.Event, config: DialectConfig) -> Listing:
    listing = build_listing(event, "$.D", config)
    require_asked([answer], listing.external_id, "$.D.ID")
    return listing


def _split_price_key(key: str) -> tuple[str, str]:
    """Return market row and outcome: `S_OU@2.5_O` is outcome `O` of the row `S_OU@2.5`; else NO_KEY."""
    prefix, _, rest = key.partition("_")
    named_line, _, outcome = rest.partition("_")
    return (
        (f"{prefix}_{named_line}", outcome)
        if prefix and named_line.partition("@")[0] and not describe_outcome_damage(outcome or None)
        else NO_KEY
    )


PRICE_KEY_PARTS: Final = Memo(_split_price_key, 1 << 16)
"""Market row and outcome of a price's key; cached, because all books use the same few thousand keys."""


def _build_prices(content: DetailContent, config: DialectConfig) -> tuple[RawPrices, list[tuple[str, str]]]:
    """Return the book, and (path, reason) of the malformed keys.

    The feed has no defined order. After sorting by key, the prices of one market and line form one row.
    """
    keys, damage = sorted(content.odds), []
    parts = list(map(PRICE_KEY_PARTS.__getitem__, keys))
    if NO_KEY in parts:
        damage = [(f'$.D.O["{key}"]', _BAD_KEY_REASON) for key in keys if PRICE_KEY_PARTS[key] == NO_KEY]
        keys = [key for key in keys if PRICE_KEY_PARTS[key] != NO_KEY]
        parts = list(map(PRICE_KEY_PARTS.__getitem__, keys))
    odds = list(map(content.odds.__getitem__, keys))
    odds_milli = list(map(MILLI_BY_ODDS.__getitem__, odds))
    require_readable_odds(config.platform, "$.D.O", odds, odds_milli, damage)
    n_outcomes = Counter([row for row, _ in parts])
    rows = [row.partition("@") for row in n_outcomes]
    labels = {
        label.market_id: label
        for label in map(MARKET_NAMES.__getitem__, map(bytes, content.descriptors))
        if label is not None
    }
    row_names = [labels.get(market_id) or MarketNames(market_id, market_id, {}) for market_id, _, _ in rows]
    prices = RawPrices(
        market_id=[market_id for market_id, _, _ in rows],
        market_name=[label.name for label in row_names],
        specifier=[line for _, _, line in rows],
        n_outcomes=list(n_outcomes.values()),
        outcome_id=[outcome for _, outcome in parts],
        odds_milli=odds_milli,
        # The feed has no suspension flag: a suspended price is simply 1.
        off=[False] * len(keys),
    )
    name_getters = prices.repeat_per_outcome([label.outcomes.get for label in row_names])
    prices.outcome_name = [
        name(outcome, outcome) for name, outcome in zip(name_getters, prices.outcome_id, strict=True)
    ]
    for row in n_outcomes:
        if row.startswith("LIVE"):
            raise UnreadableError(f'$.D.O["{row}"]', "in play: prices of the in-play feed")
    return prices, damage


def _read_market_names(descriptor: bytes) -> MarketNames | None:
    """Return the names in a market descriptor, for display only; unreadable ones are left out."""
    try:
        label = _MARKET_LABEL_DECODER.decode(descriptor)
    except BROKEN_JSON:
        return None
    market_id = read_text(label.ID)
    if market_id is None:
        return None
    codes = label.SGNK if isinstance(label.SGNK, list) else []
    names = label.SGN if isinstance(label.SGN, list) else []
    outcomes = {
        code: name for code, name in zip(codes, names, strict=False) if isinstance(code, str) and isinstance(name, str)
    }
    return MarketNames(market_id, read_text(label.DS) or read_text(label.NAME) or market_id, outcomes)


MARKET_NAMES: Final[Memo[bytes, MarketNames | None]] = Memo(_read_market_names, 1 << 12)
"""The names in a market's descriptor; cached, because all events describe a market by the same bytes."""
