"""Reading of BetPawa's detail answers: the listing and its whole book.

An answer as the platform sends it is decoded whole in one pass. Any other is read part by part, to find out what it is instead, or which of
its markets are bad. Both ways end in the same types and go on together.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.domain.exchange import Answer
from palimpsest_pipeline.domain.observations import Detail, Listing, PayloadRejected, RawPrices, Reject

from .. import answer_checks
from ..json_values import MILLI, UnreadableError, body_of, decode, demand_readable, integer, odds_or_none, outcome_damage, text, written
from . import shapes
from .parse_events import EVENT, judge, listing_of

BETPAWA = Platform.BETPAWA

E = TypeVar("E", bound=shapes.Event)

_BOOK = msgspec.json.Decoder(shapes.Book)
_EVENT_WITH_MARKETS = msgspec.json.Decoder(shapes.EventWithMarkets)
_MARKET = msgspec.json.Decoder(shapes.LooseMarket)


@dataclass(slots=True)
class Found:
    """What an answer holds: the event, the markets that can be read, and (path, reason) of what cannot."""

    event: shapes.Event
    markets: Sequence[shapes.Market]
    damage: list[tuple[str, str]] = field(default_factory=list)


def read_listing(answer: Answer) -> Listing:
    """Raises PayloadRejected."""
    return _listing(answer, at_once(answer, EVENT) or _event(answer, EVENT))


def read_detail(answer: Answer) -> Detail:
    """Raises PayloadRejected, also when the match is in play."""
    book = at_once(answer, _BOOK)
    found = Found(book, book.markets) if book else part_by_part(answer)
    listing = _listing(answer, found.event)
    if listing.in_play:
        raise PayloadRejected(BETPAWA, "$.additionalInfo.live", "in play: not a prematch book")
    return Detail(listing, _prices(found), [Reject(BETPAWA, listing.external_id, *damage) for damage in found.damage])


def at_once(answer: Answer, decoder: msgspec.json.Decoder[E]) -> E | None:
    """What an answer says that is as it should be; None for any other."""
    found = answer_checks.decoded(answer, decoder)
    return found if found is not None and text(found.id) is not None else None


def part_by_part(answer: Answer) -> Found:
    """Event and book of any answer that holds an event. Raises PayloadRejected."""
    event = _event(answer, _EVENT_WITH_MARKETS)
    markets: list[shapes.Market] = []
    found = Found(event, markets)
    for m, raw in enumerate(event.markets or ()):
        try:
            loose = decode(_MARKET, raw, f"$.markets[{m}]")
        except UnreadableError as error:
            found.damage.append((error.path, error.reason))
            continue
        rows = [_row(row, f"$.markets[{m}].row[{r}]", found.damage) for r, row in enumerate(loose.row or ())]
        markets.append(shapes.Market(loose.market_type, [row for row in rows if row is not None]))
    return found


def _event(answer: Answer, decoder: msgspec.json.Decoder[E]) -> E:
    body = body_of(BETPAWA, answer, judge(answer))
    try:
        return decode(decoder, body, "$")
    except UnreadableError as error:
        raise PayloadRejected(BETPAWA, error.path, error.reason) from error


def _row(loose: shapes.LooseRow, path: str, damage: list[tuple[str, str]]) -> shapes.Row | None:
    line = integer(loose.handicap)
    if line is None and loose.handicap is not None:
        damage.append((f"{path}.handicap", f"{loose.handicap!r} is no line in quarters"))
        return None
    prices = []
    for p, price in enumerate(loose.prices or ()):
        name = written(price.name)
        outcome = written(price.type_id) or name
        if outcome is None or outcome_damage(outcome):
            damage.append((f"{path}.prices[{p}]", outcome_damage(outcome)))
            continue
        odds = odds_or_none(price.odds if price.odds is not None else price.price)
        prices.append(shapes.Price(outcome, name, odds, suspended=price.suspended is True))
    return shapes.Row(line, prices)


def _listing(answer: Answer, event: shapes.Event) -> Listing:
    try:
        listing = listing_of(event, "$")
    except UnreadableError as error:
        raise PayloadRejected(BETPAWA, error.path, error.reason) from error
    asked = answer.request.external_id
    if asked is not None and asked != listing.external_id:
        raise PayloadRejected(BETPAWA, "$.id", f"the answer is about {listing.external_id}, asked was {asked}")
    return listing


def _prices(found: Found) -> RawPrices:
    rows = [(market.market_type, row) for market in found.markets for row in market.row]
    prices = [price for _, row in rows for price in row.prices]
    odds = [price.price if price.odds is None else price.odds for price in prices]
    odds_milli = list(map(MILLI.__getitem__, odds))
    demand_readable(BETPAWA, "$.markets", odds, odds_milli, found.damage)
    return RawPrices(
        market_id=[str(kind.id) for kind, _ in rows],
        market_name=[kind.name or "" for kind, _ in rows],
        specifier=[_specifier(row.handicap, kind.handicap_type) for kind, row in rows],
        n_outcomes=[len(row.prices) for _, row in rows],
        outcome_id=[price.type_id for price in prices],
        outcome_name=[price.name or price.type_id for price in prices],
        odds_milli=odds_milli,
        off=[price.suspended for price in prices],
    )


def _specifier(handicap: int | None, handicap_type: str | None) -> str:
    """The line in quarter units as text, '' for none. v4 leaves zeros out, so a market with lines and no line is at 0."""
    if handicap is None:
        return "0" if handicap_type else ""
    return str(handicap)
