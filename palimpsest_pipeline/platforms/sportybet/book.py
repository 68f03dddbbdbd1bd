"""The reader of SportyBet's detail answers: the listing and its whole book.

An answer in the platform's usual shape is decoded whole in one pass. Any other is read part by part, to find its
failure or its bad markets. Both paths end in the same types.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from palimpsest_pipeline.domain.exchange import Answer
from palimpsest_pipeline.domain.observations import Detail, Listing, RawPrices

from ..base import DialectConfig
from ..coded_answers import ENVELOPE_DECODER, MATCH_ID_PREFIX, DetailAnswer, decode_whole, iterate_products
from ..dialect_adapter import build_detail, require_asked
from ..json_values import (
    MILLI_BY_ODDS,
    UnreadableError,
    decode,
    describe_outcome_damage,
    read_integer,
    read_odds,
    read_raw_text,
    require_body,
    require_readable_odds,
)
from . import shapes
from .endpoints import LIVE_PRODUCT_ID
from .parse_events import EVENT_DECODER, build_listing, judge

_BOOK_DECODER = msgspec.json.Decoder(DetailAnswer[shapes.Book])
_HEAD_DECODER = msgspec.json.Decoder(DetailAnswer[shapes.Head])
_MARKET_DECODER = msgspec.json.Decoder(shapes.LooseMarket)


@dataclass(slots=True)
class DetailContent:
    """The content of a detail answer; `markets` is empty where only the listing is read.

    `products` has the field `product` of all markets, which tells a live book from one before kickoff. `damage` has
    (path, reason) of each unreadable part.
    """

    event: shapes.Event
    products: Iterable[Any]
    markets: Collection[shapes.Market] = ()
    damage: list[tuple[str, str]] = field(default_factory=list)


def read_listing(answers: Sequence[Answer], config: DialectConfig) -> Listing:
    """Return the listing of a detail answer. Raises UnreadableError or PayloadRejected."""
    answer = answers[0]
    head = decode_whole(answer, _HEAD_DECODER)
    content = (
        DetailContent(head, (market.product for market in head.markets)) if head else decode_in_parts(answer, config)
    )
    return _build_listing(answer, content, config)


def read_detail(answers: Sequence[Answer], config: DialectConfig) -> Detail:
    """Return the listing and the book of a detail answer.

    Raises UnreadableError or PayloadRejected, also when the match is in play or the book is the live one.
    """
    answer = answers[0]
    book = decode_whole(answer, _BOOK_DECODER)
    content = (
        DetailContent(book, {market.product for market in book.markets}, book.markets)
        if book
        else decode_in_parts(answer, config)
    )
    listing = _build_listing(answer, content, config)
    if listing.is_in_play:
        raise UnreadableError("$.data", f"in play: status {content.event.status}, or the live product's book")
    return build_detail(listing, _build_prices(content, config), content.damage)


def decode_in_parts(answer: Answer, config: DialectConfig) -> DetailContent:
    """Return the event and book of an unusual answer, one for which `decode_whole` returns None.

    Leaves out markets that cannot be read. Raises UnreadableError or PayloadRejected without a readable event.
    """
    body = require_body(config.platform, answer, judge(answer))
    event = decode(EVENT_DECODER, ENVELOPE_DECODER.decode(body).data, "$.data")
    raws = event.markets or []
    markets: list[shapes.Market] = []
    content = DetailContent(event, iterate_products(raws), markets)
    for m, raw in enumerate(raws):
        try:
            markets.append(
                _build_market(
                    decode(_MARKET_DECODER, raw, f"$.data.markets[{m}]"), f"$.data.markets[{m}]", content.damage
                )
            )
        except UnreadableError as error:
            content.damage.append((error.path, error.reason))
    return content


def _build_market(loose: shapes.LooseMarket, path: str, damage: list[tuple[str, str]]) -> shapes.Market:
    outcomes = []
    for o, outcome in enumerate(loose.outcomes or ()):
        outcome_id = read_raw_text(outcome.id)
        if outcome_id is None or describe_outcome_damage(outcome_id):
            damage.append((f"{path}.outcomes[{o}].id", describe_outcome_damage(outcome_id)))
            continue
        outcomes.append(
            shapes.Outcome(
                outcome_id, read_odds(outcome.odds), read_integer(outcome.is_active) or 0, read_raw_text(outcome.desc)
            )
        )
    return shapes.Market(
        str(loose.id),
        loose.specifier,
        None,
        loose.desc,
        read_integer(loose.status) or 0,
        loose.name,
        outcomes=outcomes,
        banned=loose.banned is True,
    )


def _build_listing(answer: Answer, content: DetailContent, config: DialectConfig) -> Listing:
    listing = build_listing(
        content.event,
        "$.data",
        config,
        content.products,
        has_live_product=answer.request.params.get("productId") == LIVE_PRODUCT_ID,
    )
    require_asked([answer], listing.external_id, "$.data.eventId", MATCH_ID_PREFIX)
    return listing


def _build_prices(content: DetailContent, config: DialectConfig) -> RawPrices:
    event, markets = content.event, content.markets
    outcomes = [outcome for market in markets for outcome in market.outcomes]
    odds = [outcome.odds for outcome in outcomes]
    odds_milli = list(map(MILLI_BY_ODDS.__getitem__, odds))
    require_readable_odds(config.platform, "$.data.markets", odds, odds_milli, content.damage)
    prices = RawPrices(
        market_id=[market.id for market in markets],
        market_name=[market.name or market.desc or "" for market in markets],
        specifier=[market.specifier or "" for market in markets],
        n_outcomes=[len(market.outcomes) for market in markets],
        outcome_id=[outcome.id for outcome in outcomes],
        outcome_name=[outcome.desc or outcome.id for outcome in outcomes],
        odds_milli=odds_milli,
    )
    # The first half of `productStatus` closes a whole product for betting, whatever the status of its markets.
    is_closed = event.banned is True or (
        isinstance(event.product_status, str) and event.product_status.startswith("1#")
    )
    prices.off = [outcome.is_active != 1 for outcome in outcomes]
    start = 0
    for market, size in zip(markets, prices.n_outcomes, strict=True):
        if is_closed or market.banned or market.status != 0:
            prices.off[start : start + size] = [True] * size
        start += size
    return prices
