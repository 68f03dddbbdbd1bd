"""The reader of BetPawa's detail answers: the listing and its whole book.

An answer in the platform's usual shape is decoded whole in one pass. Any other is read part by part, to find its
failure or its bad markets. Both paths end in the same types.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from palimpsest_pipeline.domain.exchange import Answer
from palimpsest_pipeline.domain.observations import Detail, Listing, RawPrices

from .. import answer_checks
from ..base import DialectConfig
from ..dialect_adapter import build_detail, require_asked
from ..json_values import (
    MILLI_BY_ODDS,
    UnreadableError,
    decode,
    describe_outcome_damage,
    read_integer,
    read_odds,
    read_raw_text,
    read_text,
    require_body,
    require_readable_odds,
)
from . import shapes
from .parse_events import EVENT_DECODER, build_listing, judge

E = TypeVar("E", bound=shapes.Event)

_BOOK_DECODER = msgspec.json.Decoder(shapes.Book)
_EVENT_WITH_MARKETS_DECODER = msgspec.json.Decoder(shapes.EventWithMarkets)
_MARKET_DECODER = msgspec.json.Decoder(shapes.LooseMarket)


@dataclass(slots=True)
class DetailContent:
    """The content of a detail answer.

    It has the event, its readable markets, and (path, reason) of each unreadable part.
    """

    event: shapes.Event
    markets: Sequence[shapes.Market]
    damage: list[tuple[str, str]] = field(default_factory=list)


def read_listing(answers: Sequence[Answer], config: DialectConfig) -> Listing:
    """Return the listing of a detail answer. Raises UnreadableError or PayloadRejected."""
    event = decode_whole(answers[0], EVENT_DECODER) or _decode_event(answers[0], EVENT_DECODER, config)
    return _build_listing(answers[0], event, config)


def read_detail(answers: Sequence[Answer], config: DialectConfig) -> Detail:
    """Return the listing and the book of a detail answer.

    Raises UnreadableError or PayloadRejected, also when the match is in play.
    """
    book = decode_whole(answers[0], _BOOK_DECODER)
    content = DetailContent(book, book.markets) if book else decode_in_parts(answers[0], config)
    listing = _build_listing(answers[0], content.event, config)
    if listing.is_in_play:
        raise UnreadableError("$.additionalInfo.live", "in play: not a prematch book")
    return build_detail(listing, _build_prices(content, config), content.damage)


def decode_whole(answer: Answer, decoder: msgspec.json.Decoder[E]) -> E | None:
    """Return the event of an answer in the platform's usual shape; None for any other."""
    event = answer_checks.decode_answer(answer, decoder)
    return event if event is not None and read_text(event.id) is not None else None


def decode_in_parts(answer: Answer, config: DialectConfig) -> DetailContent:
    """Return the event and book of an unusual answer, one for which `decode_whole` returns None.

    Leaves out markets that cannot be read. Raises UnreadableError or PayloadRejected without a readable event.
    """
    event = _decode_event(answer, _EVENT_WITH_MARKETS_DECODER, config)
    markets: list[shapes.Market] = []
    content = DetailContent(event, markets)
    for m, raw in enumerate(event.markets or ()):
        try:
            loose = decode(_MARKET_DECODER, raw, f"$.markets[{m}]")
        except UnreadableError as error:
            content.damage.append((error.path, error.reason))
            continue
        rows = [_build_row(row, f"$.markets[{m}].row[{r}]", content.damage) for r, row in enumerate(loose.row or ())]
        markets.append(shapes.Market(loose.market_type, [row for row in rows if row is not None]))
    return content


def _decode_event(answer: Answer, decoder: msgspec.json.Decoder[E], config: DialectConfig) -> E:
    body = require_body(config.platform, answer, judge(answer))
    return decode(decoder, body, "$")


def _build_row(loose: shapes.LooseRow, path: str, damage: list[tuple[str, str]]) -> shapes.Row | None:
    line = read_integer(loose.handicap)
    if line is None and loose.handicap is not None:
        damage.append((f"{path}.handicap", f"{loose.handicap!r} is no line in quarters"))
        return None
    prices = []
    for p, price in enumerate(loose.prices or ()):
        name = read_raw_text(price.name)
        outcome = read_raw_text(price.type_id) or name
        if outcome is None or describe_outcome_damage(outcome):
            damage.append((f"{path}.prices[{p}]", describe_outcome_damage(outcome)))
            continue
        odds = read_odds(price.odds if price.odds is not None else price.price)
        prices.append(shapes.Price(outcome, name, odds, suspended=price.suspended is True))
    return shapes.Row(line, prices)


def _build_listing(answer: Answer, event: shapes.Event, config: DialectConfig) -> Listing:
    listing = build_listing(event, "$", config)
    require_asked([answer], listing.external_id, "$.id")
    return listing


def _build_prices(content: DetailContent, config: DialectConfig) -> RawPrices:
    rows = [(market.market_type, row) for market in content.markets for row in market.row]
    prices = [price for _, row in rows for price in row.prices]
    odds = [price.price if price.odds is None else price.odds for price in prices]
    odds_milli = list(map(MILLI_BY_ODDS.__getitem__, odds))
    require_readable_odds(config.platform, "$.markets", odds, odds_milli, content.damage)
    return RawPrices(
        market_id=[str(kind.id) for kind, _ in rows],
        market_name=[kind.name or "" for kind, _ in rows],
        specifier=[_build_specifier(row.handicap, kind.handicap_type) for kind, row in rows],
        n_outcomes=[len(row.prices) for _, row in rows],
        outcome_id=[price.type_id for price in prices],
        outcome_name=[price.name or price.type_id for price in prices],
        odds_milli=odds_milli,
        off=[price.suspended for price in prices],
    )


def _build_specifier(handicap: int | None, handicap_type: str | None) -> str:
    """Return the line in quarter units as text, '' for none.

    v4 leaves zeros out, so a market type with lines and no line means 0.
    """
    if handicap is None:
        return "0" if handicap_type else ""
    return str(handicap)
