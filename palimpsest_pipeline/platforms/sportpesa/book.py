"""The reader of SportPesa's detail answers: one describes the game, another holds its book."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.domain.observations import Detail, Listing, RawPrices

from ..base import DialectConfig
from ..dialect_adapter import build_detail, require_asked
from ..json_values import (
    BROKEN_JSON,
    MILLI_BY_ODDS,
    NO_RAW,
    UnreadableError,
    decode,
    decode_items,
    describe_outcome_damage,
    read_integer,
    read_odds,
    require_body,
    require_readable_odds,
)
from . import shapes
from .endpoints import build_game_request, build_markets_request, parse_game_sport
from .parse_events import GAME_DECODER, build_listing, judge, read_books, read_games

_BOOK_DECODER = msgspec.json.Decoder(list[msgspec.Raw])
_HEAD_DECODER = msgspec.json.Decoder(shapes.MarketHead)
_MARKET_DECODER = msgspec.json.Decoder(shapes.Market)
_SELECTION_DECODER = msgspec.json.Decoder(shapes.Selection)


@dataclass(slots=True)
class _Parts:
    """The answers of one attempt, sorted."""

    game: tuple[Answer, msgspec.Raw] | None = None
    book: tuple[Answer, dict[str, msgspec.Raw]] | None = None
    inline_book: list[msgspec.Raw] | None = None
    """The book inside the answer about the game; only some recorded answers have it."""
    sport_ids_without: frozenset[str] = frozenset()
    """The sports that do not have the game."""

    @property
    def has_book(self) -> bool:
        return self.book is not None or self.inline_book is not None


def _sort_answers(answers: Iterable[Answer], config: DialectConfig) -> _Parts:
    """Return the answers by what they hold.

    Raises UnreadableError or PayloadRejected when one cannot be read.
    """
    parts = _Parts()
    for answer in sorted(answers, key=lambda answer: (answer.received_at, answer.body or b"")):
        body = require_body(config.platform, answer, judge(answer, config))
        if body.lstrip().startswith(b"{"):
            parts.book = answer, read_books(answer)
        elif games := read_games(answer):
            parts.game = answer, games[0]
            parts.inline_book = _find_inline_book(games[0])
        elif sport_id := parse_game_sport(answer.request):
            parts.sport_ids_without |= {sport_id}
    return parts


def _find_inline_book(raw: msgspec.Raw) -> list[msgspec.Raw] | None:
    """Return the markets in a game when they are its whole book.

    Lists and the game's own answer show one market, and not its line.
    """
    try:
        game = GAME_DECODER.decode(raw)
        heads = [_HEAD_DECODER.decode(market) for market in game.markets or ()]
    except BROKEN_JSON:
        return None
    has_lines = heads and all(head.spec_value is not None for head in heads)
    is_whole = len({str(head.id) for head in heads}) >= (read_integer(game.markets_count) or 1)
    return game.markets if has_lines and is_whole else None


def list_missing_requests(
    external_id: str, sr_id: int | None, answers: Sequence[Answer], config: DialectConfig
) -> list[Request]:
    """Return the requests for the game and its book, where `answers` lack them.

    The game is requested in one sport after the other, because its id does not show the sport. Raises
    UnreadableError or PayloadRejected when an answer cannot be read.
    """
    parts = _sort_answers(answers, config)
    requests = []
    if parts.game is None:
        sport_ids = [sport_id for sport_id in config.sport_ids.values() if sport_id not in parts.sport_ids_without]
        requests += [build_game_request(config, external_id, sr_id, sport_id) for sport_id in sport_ids[:1]]
        if not sport_ids:
            raise UnreadableError("$", "no sport has the game")
    if not parts.has_book:
        requests.append(build_markets_request(config, external_id, sr_id))
    return requests


def read_listing(answers: Sequence[Answer], config: DialectConfig) -> Listing:
    """Return the listing of a game's answers. Raises UnreadableError or PayloadRejected."""
    return _build_listing(_sort_answers(answers, config), answers, config)


def read_detail(answers: Sequence[Answer], config: DialectConfig) -> Detail:
    """Return the listing and the book of a game's answers.

    Raises UnreadableError or PayloadRejected, also when one of them is missing, and when the match has begun by the
    time of any of them.
    """
    parts = _sort_answers(answers, config)
    listing = _build_listing(parts, answers, config)
    if listing.is_in_play:
        raise UnreadableError("$", f"in play: the kickoff {listing.kickoff_at.isoformat()} has passed")
    if not parts.has_book:
        raise UnreadableError("$", "the answer with the markets is missing")
    damage: list[tuple[str, str]] = []
    prices = _build_prices(_find_markets(parts, listing.external_id, config), config, damage)
    return build_detail(listing, prices, damage)


def _build_listing(parts: _Parts, answers: Sequence[Answer], config: DialectConfig) -> Listing:
    if parts.game is None:
        raise UnreadableError("$", "the answer about the game is missing")
    last_at = max(answer.observed_at for answer in answers)
    listing = build_listing(decode(GAME_DECODER, parts.game[1], "$[0]"), "$[0]", config, last_at)
    require_asked(answers, listing.external_id, "$[0].id")
    return listing


def _find_markets(parts: _Parts, external_id: str, config: DialectConfig) -> list[msgspec.Raw]:
    if parts.book is None:
        return parts.inline_book or []
    raw = parts.book[1].get(external_id, NO_RAW)
    if raw is NO_RAW:
        raise UnreadableError("$", f"the answer has no markets of {external_id}")
    return decode(_BOOK_DECODER, raw, f"$.{external_id}")


def _build_prices(raws: list[msgspec.Raw], config: DialectConfig, damage: list[tuple[str, str]]) -> RawPrices:
    prices = RawPrices()
    odds = []
    for n, raw in enumerate(raws):
        try:
            market = decode(_MARKET_DECODER, raw, f"$[{n}]")
        except UnreadableError as error:
            damage.append((error.path, error.reason))
            continue
        selections = []
        for selection in decode_items(_SELECTION_DECODER, market.selections, f"$[{n}].selections", damage):
            if reason := describe_outcome_damage(selection.short_name or None):
                damage.append((f"$[{n}].selections", reason))
            else:
                selections.append(selection)
        prices.market_id.append(str(market.id))
        prices.market_name.append(market.name or "")
        prices.specifier.append(_write_number(market.spec_value))
        prices.n_outcomes.append(len(selections))
        prices.outcome_id += [selection.short_name for selection in selections]
        prices.outcome_name += [selection.name or selection.short_name for selection in selections]
        odds += [read_odds(selection.odds) for selection in selections]
    prices.odds_milli = list(map(MILLI_BY_ODDS.__getitem__, odds))
    prices.off = [False] * len(odds)
    require_readable_odds(config.platform, "$", odds, prices.odds_milli, damage)
    return prices


def _write_number(value: float) -> str:
    """Return a line as text, always in the same notation."""
    return str(int(value)) if value == int(value) else str(value)
