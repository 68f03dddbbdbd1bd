"""The reader of Betika's detail answers: the listing and its whole book.

An answer in the platform's usual shape is decoded whole in one pass. Any other is read part by part, to find its
failure or its bad markets. Both paths end in the same types.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import msgspec

from palimpsest_pipeline.domain.exchange import Answer
from palimpsest_pipeline.domain.observations import Detail, Listing, RawPrices

from .. import answer_checks
from ..base import DialectConfig
from ..dialect_adapter import build_detail, require_asked
from ..json_values import (
    BROKEN_JSON,
    MILLI_BY_ODDS,
    UnreadableError,
    decode,
    describe_outcome_damage,
    read_odds,
    read_raw_text,
    require_body,
    require_readable_odds,
)
from . import shapes
from .parse_events import ENVELOPE_DECODER, MATCH_DECODER, build_listing, judge

T = TypeVar("T")

_BOOK_DECODER = msgspec.json.Decoder(shapes.Book)
_HEAD_DECODER = msgspec.json.Decoder(shapes.Head)
_LIST_DECODER = msgspec.json.Decoder(list[msgspec.Raw])
_STATE_DECODER = msgspec.json.Decoder(shapes.MarketState)
_MARKET_DECODER = msgspec.json.Decoder(shapes.LooseMarket)
_PRICE_DECODER = msgspec.json.Decoder(shapes.LoosePrice)


@dataclass(slots=True)
class DetailContent:
    """The content of a detail answer; `markets` is empty where only the listing is read.

    `has_live_markets` is true when a market belongs to the in-play feed. `damage` has (path, reason) of each unreadable
    part.
    """

    match: shapes.Match
    has_live_markets: bool
    markets: Collection[shapes.Market] = ()
    damage: list[tuple[str, str]] = field(default_factory=list)


def read_listing(answers: Sequence[Answer], config: DialectConfig) -> Listing:
    """Return the listing of a detail answer. Raises UnreadableError or PayloadRejected."""
    answer = answers[0]
    head = decode_whole(answer, _HEAD_DECODER)
    content = DetailContent(head.meta, _has_live_markets(head.data)) if head else decode_in_parts(answer, config)
    return _build_listing(answer, content, config)


def read_detail(answers: Sequence[Answer], config: DialectConfig) -> Detail:
    """Return the listing and the book of a detail answer.

    Raises UnreadableError or PayloadRejected, also when the match is in play.
    """
    answer = answers[0]
    book = decode_whole(answer, _BOOK_DECODER)
    content = (
        DetailContent(book.meta, _has_live_markets(book.data), book.data) if book else decode_in_parts(answer, config)
    )
    listing = _build_listing(answer, content, config)
    if listing.is_in_play:
        reason = f"in play: kickoff {listing.kickoff_at.isoformat()}, a running match, or markets of the in-play feed"
        raise UnreadableError("$", reason)
    return build_detail(listing, _build_prices(content, config), content.damage)


def decode_whole(answer: Answer, decoder: msgspec.json.Decoder[T]) -> T | None:
    """Return an answer in the platform's usual shape; None for any other."""
    return answer_checks.decode_answer(answer, decoder)


def _has_live_markets(markets: Iterable[shapes.Market | shapes.MarketState]) -> bool:
    """Return whether any market has an open/closed flag: only markets of the in-play feed have one."""
    return any(market.market_active is not None for market in markets)


def decode_in_parts(answer: Answer, config: DialectConfig) -> DetailContent:
    """Return the match and book of an unusual answer, one for which `decode_whole` returns None.

    Leaves out markets that cannot be read. Raises UnreadableError or PayloadRejected without a readable match.
    """
    body = require_body(config.platform, answer, judge(answer))
    envelope = ENVELOPE_DECODER.decode(body)
    match = decode(MATCH_DECODER, envelope.meta, "$.meta")
    raws = decode(_LIST_DECODER, envelope.data, "$.data")
    markets: list[shapes.Market] = []
    content = DetailContent(match, any(map(_is_live, raws)), markets)
    for m, raw in enumerate(raws):
        path = f"$.data[{m}]"
        try:
            loose = decode(_MARKET_DECODER, raw, path)
        except UnreadableError as error:
            content.damage.append((error.path, error.reason))
            continue
        markets.append(shapes.Market(loose.sub_type_id, loose.name, _build_market_prices(loose, path, content.damage)))
    return content


def _is_live(raw: msgspec.Raw) -> bool:
    try:
        return _has_live_markets([_STATE_DECODER.decode(raw)])
    except BROKEN_JSON:
        return False  # a market that is no object is rejected when the book is read


def _build_market_prices(market: shapes.LooseMarket, path: str, damage: list[tuple[str, str]]) -> list[shapes.Price]:
    prices = []
    for o, raw in enumerate(market.odds or ()):
        price_path = f"{path}.odds[{o}]"
        try:
            price = decode(_PRICE_DECODER, raw, price_path)
        except UnreadableError as error:
            damage.append((error.path, error.reason))
            continue
        outcome_id = read_raw_text(price.outcome_id)
        if outcome_id is None or describe_outcome_damage(outcome_id):
            damage.append((f"{price_path}.outcome_id", describe_outcome_damage(outcome_id)))
            continue
        prices.append(
            shapes.Price(
                outcome_id,
                read_odds(price.odd_value),
                price.special_bet_value,
                read_raw_text(price.display),
                read_raw_text(price.odd_key),
            )
        )
    return prices


def _build_listing(answer: Answer, content: DetailContent, config: DialectConfig) -> Listing:
    """Return the listing of a detail answer. Raises UnreadableError or PayloadRejected.

    It is in play from its kickoff on, whatever the match shows.
    """
    listing = build_listing(content.match, "$.meta", config)
    require_asked([answer], listing.external_id, "$.meta.parent_match_id")
    has_begun = content.has_live_markets or listing.kickoff_at <= answer.observed_at
    return replace(listing, is_in_play=True) if has_begun else listing


def _build_prices(content: DetailContent, config: DialectConfig) -> RawPrices:
    """Return the book. A market holds the prices of all its lines; those of one line form one row."""
    rows: list[tuple[shapes.Market, str, list[shapes.Price]]] = []
    for market in content.markets:
        by_line: dict[str, list[shapes.Price]] = {}
        for price in market.odds:
            by_line.setdefault(price.special_bet_value or "", []).append(price)
        rows += [(market, line, prices) for line, prices in by_line.items()]
    prices = [price for _, _, line_prices in rows for price in line_prices]
    odds = [price.odd_value for price in prices]
    odds_milli = list(map(MILLI_BY_ODDS.__getitem__, odds))
    require_readable_odds(config.platform, "$.data", odds, odds_milli, content.damage)
    return RawPrices(
        market_id=[str(market.sub_type_id) for market, _, _ in rows],
        market_name=[market.name or str(market.sub_type_id) for market, _, _ in rows],
        specifier=[line for _, line, _ in rows],
        n_outcomes=[len(line_prices) for _, _, line_prices in rows],
        outcome_id=[price.outcome_id for price in prices],
        outcome_name=[price.odd_key or price.display or price.outcome_id for price in prices],
        odds_milli=odds_milli,
        # Before kickoff the feed has no suspension flag.
        off=[False] * len(prices),
    )
