"""Reading of SportyBet's detail answers: the listing and its whole book.

An answer as the platform sends it is decoded whole in one pass. Any other is read part by part, to find out what it is instead, or which of
its markets are bad. Both ways end in the same types and go on together.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.domain.exchange import Answer
from palimpsest_pipeline.domain.observations import Detail, Listing, PayloadRejected, RawPrices, Reject

from .. import answer_checks
from ..json_values import MILLI, UnreadableError, body_of, decode, demand_readable, integer, odds_or_none, outcome_damage, written
from . import shapes
from .endpoints import LIVE
from .parse_events import ENVELOPE, EVENT, MATCH, OK, judge, listing_of, products_of

SPORTYBET = Platform.SPORTYBET

E = TypeVar("E")

_BOOK = msgspec.json.Decoder(shapes.DetailAnswer[shapes.Book])
_HEAD = msgspec.json.Decoder(shapes.DetailAnswer[shapes.Head])
_MARKET = msgspec.json.Decoder(shapes.LooseMarket)


@dataclass(slots=True)
class Found:
    """What an answer holds: the event, the products of all its markets, the markets that can be read, and (path, reason) of what cannot."""

    event: shapes.Event
    products: Iterable[Any]
    markets: Collection[shapes.Market] = ()
    damage: list[tuple[str, str]] = field(default_factory=list)


def read_listing(answer: Answer) -> Listing:
    """Raises PayloadRejected."""
    head = at_once(answer, _HEAD)
    return _listing(answer, Found(head, (market.product for market in head.markets)) if head else part_by_part(answer))


def read_detail(answer: Answer) -> Detail:
    """Raises PayloadRejected, also when the match is in play or the book is the live one."""
    book = at_once(answer, _BOOK)
    found = Found(book, {market.product for market in book.markets}, book.markets) if book else part_by_part(answer)
    listing = _listing(answer, found)
    if listing.in_play:
        raise PayloadRejected(SPORTYBET, "$.data", f"in play: status {found.event.status}, or the live product's book")
    return Detail(listing, _prices(found), [Reject(SPORTYBET, listing.external_id, *damage) for damage in found.damage])


def at_once(answer: Answer, decoder: msgspec.json.Decoder[shapes.DetailAnswer[E]]) -> E | None:
    """What an answer says that is as it should be; None for any other."""
    found = answer_checks.decoded(answer, decoder)
    return found.data if found is not None and found.biz_code == OK else None


def part_by_part(answer: Answer) -> Found:
    """Event and book of any answer that holds an event. Raises PayloadRejected."""
    body = body_of(SPORTYBET, answer, judge(answer))
    try:
        event = decode(EVENT, ENVELOPE.decode(body).data, "$.data")
    except UnreadableError as error:
        raise PayloadRejected(SPORTYBET, error.path, error.reason) from error
    raws = event.markets or []
    markets: list[shapes.Market] = []
    found = Found(event, products_of(raws), markets)
    for m, raw in enumerate(raws):
        try:
            markets.append(_market(decode(_MARKET, raw, f"$.data.markets[{m}]"), f"$.data.markets[{m}]", found.damage))
        except UnreadableError as error:
            found.damage.append((error.path, error.reason))
    return found


def _market(loose: shapes.LooseMarket, path: str, damage: list[tuple[str, str]]) -> shapes.Market:
    outcomes = []
    for o, outcome in enumerate(loose.outcomes or ()):
        outcome_id = written(outcome.id)
        if outcome_id is None or outcome_damage(outcome_id):
            damage.append((f"{path}.outcomes[{o}].id", outcome_damage(outcome_id)))
            continue
        outcomes.append(shapes.Outcome(outcome_id, odds_or_none(outcome.odds), integer(outcome.is_active) or 0, written(outcome.desc)))
    return shapes.Market(
        str(loose.id), loose.specifier, None, loose.desc, integer(loose.status) or 0, loose.name, outcomes=outcomes, banned=loose.banned is True
    )


def _listing(answer: Answer, found: Found) -> Listing:
    try:
        listing = listing_of(found.event, "$.data", found.products, live_product=answer.request.params.get("productId") == LIVE)
    except UnreadableError as error:
        raise PayloadRejected(SPORTYBET, error.path, error.reason) from error
    asked = answer.request.external_id
    if asked is not None and asked.removeprefix(MATCH) != listing.external_id.removeprefix(MATCH):
        raise PayloadRejected(SPORTYBET, "$.data.eventId", f"the answer is about {listing.external_id}, asked was {asked}")
    return listing


def _prices(found: Found) -> RawPrices:
    event, markets = found.event, found.markets
    outcomes = [outcome for market in markets for outcome in market.outcomes]
    odds = [outcome.odds for outcome in outcomes]
    odds_milli = list(map(MILLI.__getitem__, odds))
    demand_readable(SPORTYBET, "$.data.markets", odds, odds_milli, found.damage)
    prices = RawPrices(
        market_id=[market.id for market in markets],
        market_name=[market.name or market.desc or "" for market in markets],
        specifier=[market.specifier or "" for market in markets],
        n_outcomes=[len(market.outcomes) for market in markets],
        outcome_id=[outcome.id for outcome in outcomes],
        outcome_name=[outcome.desc or outcome.id for outcome in outcomes],
        odds_milli=odds_milli,
    )
    # The first half of `productStatus` closes a whole product for betting, whatever its markets say.
    closed = event.banned is True or (isinstance(event.product_status, str) and event.product_status.startswith("1#"))
    prices.off = [outcome.is_active != 1 for outcome in outcomes]
    start = 0
    for market, size in zip(markets, prices.n_outcomes, strict=True):
        if closed or market.banned or market.status != 0:
            prices.off[start : start + size] = [True] * size
        start += size
    return prices
