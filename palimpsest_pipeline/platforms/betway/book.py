"""The reader of Betway's detail answers: the match, and its book from one or more pages of markets.

A book is complete with the match and all pages up to one that is not full. Each page begins with the last market of the
one before, so no market can move between two pages unseen. An outcome names its line itself, because the market that it
is listed under may be a header over several lines.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec

from palimpsest_pipeline.domain.enums import FailureClass
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.domain.observations import Detail, Listing, PayloadRejected, RawPrices

from ..base import DialectConfig
from ..dialect_adapter import build_detail, require_asked
from ..json_values import (
    BROKEN_JSON,
    MILLI_BY_ODDS,
    UnreadableError,
    decode,
    decode_items,
    describe_outcome_damage,
    is_empty_json,
    read_integer,
    read_odds,
    require_body,
    require_readable_odds,
)
from . import shapes
from .endpoints import build_event_request, build_markets_request, parse_markets_page
from .parse_events import DETAIL_DECODER, EVENT_DECODER, build_listing, judge

_MARKET_DECODER = msgspec.json.Decoder(shapes.Market)
_MARKET_ID_DECODER = msgspec.json.Decoder(shapes.MarketId)
_OUTCOME_DECODER = msgspec.json.Decoder(shapes.Outcome)
_PRICE_DECODER = msgspec.json.Decoder(shapes.Price)

_LIVE_PRODUCER: Final = 1
PAGE_OVERLAP: Final = 1
"""The markets that a page shares with the one before."""
MAX_PAGES: Final = 20
"""A limit for a book without a last page: more than six times the largest book seen."""
PLAYER_MARKETS: Final = frozenset({38, 39, 40, *range(1404, 1416), 1575, 1596, 1597})
"""Markets whose outcomes are players, written as bare numbers."""
NO_GOAL_OUTCOME: Final = "1716"
_NUMBER_PATTERN: Final = re.compile(r"[0-9]+")


@dataclass(slots=True)
class _Parts:
    """The answers of one attempt, sorted."""

    event: tuple[Answer, msgspec.Raw] | None = None
    pages: dict[int, tuple[Answer, shapes.Detail]] = field(default_factory=dict)
    """Pages of markets by their offset."""
    next_skip: int | None = 0
    """The first page that is missing; None when the last one is there."""
    gap_skip: int | None = None
    """The first page that does not show the last market of the one before; None without such a page."""


def _sort_answers(answers: Iterable[Answer], config: DialectConfig) -> _Parts:
    """Return the answers sorted into match and pages.

    Raises UnreadableError or PayloadRejected when one cannot be read.
    """
    parts = _Parts()
    sizes: dict[int, int | None] = {}
    for answer in sorted(answers, key=lambda answer: (answer.received_at, answer.body or b"")):
        body = require_body(config.platform, answer, judge(answer))
        detail = decode(DETAIL_DECODER, body, "$")
        if not is_empty_json(bytes(memoryview(detail.sport_event)[:64])):
            parts.event = answer, detail.sport_event
        if detail.markets_in_group is not None:
            skip, size = parse_markets_page(answer.request)
            parts.pages[skip], sizes[skip] = (answer, detail), size
    _follow_pages(parts, sizes)
    return parts


def _follow_pages(parts: _Parts, sizes: dict[int, int | None]) -> None:
    """Set the first page that is missing, and the first one with a gap before it."""
    skip = 0
    while skip in parts.pages:
        markets, size = parts.pages[skip][1].markets_in_group or [], sizes[skip]
        if size is None or len(markets) < size:
            parts.next_skip = None
            return
        next_skip = skip + max(size - PAGE_OVERLAP, 1)
        if next_skip in parts.pages:
            next_markets = parts.pages[next_skip][1].markets_in_group or ()
            has_gap = _read_market_id(markets[-1]) not in map(_read_market_id, next_markets)
            if has_gap and parts.gap_skip is None:
                parts.gap_skip = next_skip
        elif skip + size in parts.pages:
            # Answers that were recorded elsewhere have pages without an overlap.
            next_skip = skip + size
        skip = next_skip
    parts.next_skip = skip


def _read_market_id(raw: msgspec.Raw) -> Any:
    try:
        return _MARKET_ID_DECODER.decode(raw).market_id
    except BROKEN_JSON:
        return None  # rejected when the book is read


def _require_no_gap(parts: _Parts, config: DialectConfig) -> None:
    if parts.gap_skip is not None:
        reason = f"the markets from {parts.gap_skip} on do not begin where the ones before end: the list has moved"
        raise PayloadRejected(config.platform, "$", reason, FailureClass.TRANSIENT)


def list_missing_requests(
    external_id: str, sr_id: int | None, answers: Sequence[Answer], config: DialectConfig
) -> list[Request]:
    """Return the requests for the match and the next page of its markets, where `answers` lack them.

    Raises UnreadableError or PayloadRejected when an answer cannot be read, when the book has no end, and when a market
    may have moved between two pages.
    """
    parts = _sort_answers(answers, config)
    _require_no_gap(parts, config)
    if len(parts.pages) >= MAX_PAGES and parts.next_skip is not None:
        raise UnreadableError("$", f"the book has no end after {len(parts.pages)} pages")
    requests = []
    if parts.next_skip is not None:
        requests.append(build_markets_request(config, external_id, sr_id, parts.next_skip))
    if parts.event is None:
        requests.append(build_event_request(config, external_id, sr_id))
    return requests


def read_listing(answers: Sequence[Answer], config: DialectConfig) -> Listing:
    """Return the listing of a match's answers. Raises UnreadableError or PayloadRejected."""
    return _build_listing(_sort_answers(answers, config), config)[0]


def read_detail(answers: Sequence[Answer], config: DialectConfig) -> Detail:
    """Return the listing and the book of a match's answers.

    Raises UnreadableError or PayloadRejected, also when a page is missing or a market may have moved between two, and
    when the match is in play or the book is the live one.
    """
    parts = _sort_answers(answers, config)
    listing, event = _build_listing(parts, config)
    if listing.is_in_play:
        raise UnreadableError("$", "in play: the match is live or over, or the book is the live one")
    if parts.next_skip is not None:
        raise UnreadableError("$", f"the markets from {parts.next_skip} on are missing")
    _require_no_gap(parts, config)
    book = _Book(listing.external_id)
    for skip in sorted(parts.pages):
        book.add_page(parts.pages[skip][1], "$" if len(parts.pages) == 1 else f"$(markets from {skip})")
    prices = book.build_prices(config, is_closed=event.is_active is False)
    return build_detail(listing, prices, book.damage)


def _build_listing(parts: _Parts, config: DialectConfig) -> tuple[Listing, shapes.Event]:
    if parts.event is None:
        raise UnreadableError("$.sportEvent", "the answer about the match is missing")
    answer, raw = parts.event
    event = decode(EVENT_DECODER, raw, "$.sportEvent")
    listing = build_listing(event, "$.sportEvent", config)
    require_asked([answer, *(page for page, _ in parts.pages.values())], listing.external_id, "$.sportEvent.eventId")
    is_live_book = any(_has_live_market(detail) for _, detail in parts.pages.values())
    return (replace(listing, is_in_play=True) if is_live_book else listing), event


def _has_live_market(detail: shapes.Detail) -> bool:
    for raw in detail.markets_in_group or ():
        try:
            info = _MARKET_DECODER.decode(raw).additional_info
        except BROKEN_JSON:
            continue  # rejected when the book is read
        if info is not None and read_integer(info.producer) == _LIVE_PRODUCER:
            return True
    return False


@dataclass(slots=True)
class _Line:
    market: shapes.Market
    subscription_id: str
    specifier: str
    is_off: bool
    outcomes: dict[str, shapes.Outcome] = field(default_factory=dict)


@dataclass(slots=True)
class _Book:
    """The markets, outcomes and prices of all pages, each once: pages overlap."""

    event_id: str
    markets: dict[str, shapes.Market] = field(default_factory=dict)
    outcomes: dict[str, shapes.Outcome] = field(default_factory=dict)
    prices: dict[str, shapes.Price] = field(default_factory=dict)
    damage: list[tuple[str, str]] = field(default_factory=list)

    def add_page(self, page: shapes.Detail, path: str) -> None:
        for market in decode_items(_MARKET_DECODER, page.markets_in_group, f"{path}.marketsInGroup", self.damage):
            self.markets[market.market_id] = market
        for outcome in decode_items(_OUTCOME_DECODER, page.outcomes, f"{path}.outcomes", self.damage):
            self.outcomes[outcome.outcome_id] = outcome
        for price in decode_items(_PRICE_DECODER, page.prices, f"{path}.prices", self.damage):
            self.prices[price.outcome_id] = price

    def build_prices(self, config: DialectConfig, *, is_closed: bool) -> RawPrices:
        """Return the book, line by line in the order of the markets; with `is_closed` every outcome is off."""
        lines = self._build_lines()
        prices = RawPrices()
        odds = []
        for line in lines.values():
            prices.market_id.append(line.subscription_id)
            prices.market_name.append(line.market.display_name or line.market.name or "")
            prices.specifier.append(line.specifier)
            prices.n_outcomes.append(len(line.outcomes))
            for outcome_id, outcome in line.outcomes.items():
                price = self.prices.get(outcome.outcome_id)
                prices.outcome_id.append(outcome_id)
                prices.outcome_name.append(outcome.name or outcome_id)
                odds.append(read_odds(price.price_decimal) if price is not None else None)
                prices.off.append(
                    is_closed or line.is_off or outcome.is_trading_active is not True or outcome.should_display is False
                )
        prices.odds_milli = list(map(MILLI_BY_ODDS.__getitem__, odds))
        require_readable_odds(config.platform, "$.prices", odds, prices.odds_milli, self.damage)
        return prices

    def _build_lines(self) -> dict[str, _Line]:
        """Return the lines by the id of their market.

        A header has no line of its own. A line whose market is not in the answer takes its state from its header.
        """
        lines: dict[str, _Line] = {}
        for market_id, market in self.markets.items():
            if market.is_squashed_parent is not True and str(market.event_id) == self.event_id:
                self._add_line(lines, market_id, market)
        for outcome in self.outcomes.values():
            market_id = outcome.original_market_id
            if market_id not in lines:
                header = self.markets.get(market_id) or self.markets.get(outcome.market_id or "")
                if header is None:
                    self.damage.append((f"$.outcomes[{outcome.outcome_id!r}]", "its market is not in the answer"))
                    continue
                self._add_line(lines, market_id, header)
            if market_id in lines:
                self._add_outcome(lines[market_id], outcome)
        return lines

    def _add_line(self, lines: dict[str, _Line], market_id: str, market: shapes.Market) -> None:
        subscription_id = str(market.subscription_id)
        prefix = self.event_id + subscription_id
        if not market_id.startswith(prefix):
            self.damage.append((f"$.marketsInGroup[{market_id!r}]", f"its id does not begin with {prefix}"))
            return
        pieces = [piece for piece in market_id.removeprefix(prefix).split("~") if piece]
        is_off = market.is_active is not True or market.is_suspended is True or market.should_display is False
        lines[market_id] = _Line(market, subscription_id, "|".join(pieces), is_off)

    def _add_outcome(self, line: _Line, outcome: shapes.Outcome) -> None:
        path = f"$.outcomes[{outcome.outcome_id!r}]"
        if not outcome.outcome_id.startswith(outcome.original_market_id):
            self.damage.append((path, f"its id does not begin with {outcome.original_market_id}"))
            return
        outcome_id = _write_outcome_id(line, outcome.outcome_id.removeprefix(outcome.original_market_id))
        if reason := describe_outcome_damage(outcome_id or None):
            self.damage.append((path, reason))
            return
        line.outcomes[outcome_id] = outcome


def _write_outcome_id(line: _Line, number: str) -> str:
    """Return an outcome's id as the unified feed writes it.

    Betway writes bare numbers where the feed has `sr:exact_goals:6+:74` or `sr:player:1027583`.
    """
    if line.market.subscription_id in PLAYER_MARKETS:
        is_player = number != NO_GOAL_OUTCOME and _NUMBER_PATTERN.fullmatch(number) is not None
        return f"sr:player:{number}" if is_player else number
    for piece in line.specifier.split("|"):
        name, _, value = piece.partition("=")
        if name == "variant" and number:
            return f"{value}:{number}"
    return number
