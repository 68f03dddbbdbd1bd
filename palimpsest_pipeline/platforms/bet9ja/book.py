"""Reading of Bet9ja's detail answers: the listing and its whole book.

An answer as the platform sends it is decoded whole in one pass. Any other is read part by part, to find out what it is instead, or which of
its prices are bad. Both ways end in the same types and go on together.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar

import msgspec

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.domain.exchange import Answer
from palimpsest_pipeline.domain.observations import Detail, Listing, PayloadRejected, RawPrices, Reject
from palimpsest_pipeline.domain.text_limits import MAX_KEY_CHARS

from .. import answer_checks
from ..json_values import (
    BROKEN_JSON,
    MILLI,
    Memo,
    Odds,
    UnreadableError,
    body_of,
    decode,
    demand_readable,
    items_of,
    object_of,
    odds_or_none,
    outcome_damage,
    text,
)
from . import shapes
from .parse_events import DETAIL_KIND, ENVELOPE, EVENT, GOOD, judge, listing_of

BET9JA = Platform.BET9JA

T = TypeVar("T")
E = TypeVar("E", bound=shapes.Head)

NO_KEY: Final = ("", "")
_NOT_A_KEY: Final = f"no price key: prefix, market and outcome between two underscores, the outcome of at most {MAX_KEY_CHARS} characters"

_BOOK = msgspec.json.Decoder(shapes.DetailAnswer[shapes.Book])
_HEAD = msgspec.json.Decoder(shapes.DetailAnswer[shapes.Head])
_LOOSE = msgspec.json.Decoder(shapes.LooseBook)
_LABELS = msgspec.json.Decoder(shapes.MarketLabel)


class Label(NamedTuple):
    """A market's name and its outcomes' names by code."""

    market_id: str
    name: str
    outcomes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Found:
    """What an answer holds: the event, odds by key, and the markets' descriptors."""

    event: shapes.Event
    odds: Mapping[str, Odds]
    descriptors: Iterable[msgspec.Raw]


def read_listing(answer: Answer) -> Listing:
    """Raises PayloadRejected, also for the in-play feed's answers: their ids are another series."""
    return _listing(answer, at_once(answer, _HEAD) or _event(answer, EVENT))


def read_detail(answer: Answer) -> Detail:
    """Raises PayloadRejected, also for the in-play feed's answers."""
    book = at_once(answer, _BOOK)
    found = Found(book, book.O, book.MK) if book else part_by_part(answer)
    listing = _listing(answer, found.event)
    prices, bad_keys = _prices(found)
    return Detail(listing, prices, [Reject(BET9JA, listing.external_id, f'$.D.O["{key}"]', _NOT_A_KEY) for key in bad_keys])


def at_once(answer: Answer, decoder: msgspec.json.Decoder[shapes.DetailAnswer[E]]) -> E | None:
    """What an answer says that is as it should be; None for any other."""
    found = answer_checks.decoded(answer, decoder)
    if found is None or found.R not in GOOD or bytes(found.D.AA) or text(found.D.ID) is None:
        return None
    return found.D


def part_by_part(answer: Answer) -> Found:
    """Event and book of any answer that holds a prematch event. Raises PayloadRejected."""
    event = _event(answer, _LOOSE)
    if isinstance(event.O, list) and event.O:
        raise PayloadRejected(BET9JA, "$.D.O", "a filled list in place of prices by key")
    odds = {key: odds_or_none(value.get("v") if isinstance(value, dict) else value) for key, value in object_of(event.O).items()}
    return Found(event, odds, [raw for _, raw in items_of(event.MK)])


def _event(answer: Answer, decoder: msgspec.json.Decoder[T]) -> T:
    body = body_of(BET9JA, answer, judge(answer))
    data = ENVELOPE.decode(body).D
    try:
        if bytes(decode(DETAIL_KIND, data, "$.D").AA):
            raise UnreadableError("$.D.AA", "in play: an answer of the in-play feed")
        return decode(decoder, data, "$.D")
    except UnreadableError as error:
        raise PayloadRejected(BET9JA, error.path, error.reason) from error


def _listing(answer: Answer, event: shapes.Event) -> Listing:
    try:
        listing = listing_of(event, "$.D")
    except UnreadableError as error:
        raise PayloadRejected(BET9JA, error.path, error.reason) from error
    asked = answer.request.external_id
    if asked is not None and asked != listing.external_id:
        raise PayloadRejected(BET9JA, "$.D.ID", f"the answer is about {listing.external_id}, asked was {asked}")
    return listing


def _parts(key: str) -> tuple[str, str]:
    """`S_OU@2.5_O` is outcome `O` of the market row `S_OU@2.5`; NO_KEY for a key of another form."""
    prefix, _, rest = key.partition("_")
    named_line, _, outcome = rest.partition("_")
    return (f"{prefix}_{named_line}", outcome) if prefix and named_line.partition("@")[0] and not outcome_damage(outcome or None) else NO_KEY


PARTS: Final = Memo(_parts, 1 << 16)
"""The same few thousand keys make up every book."""


def _prices(found: Found) -> tuple[RawPrices, list[str]]:
    """The book, and the keys that are none. The feed has no order of its own: in the order of keys, the prices of one market and line are one row."""
    keys, bad_keys = sorted(found.odds), []
    parts = list(map(PARTS.__getitem__, keys))
    if NO_KEY in parts:
        bad_keys = [key for key in keys if PARTS[key] == NO_KEY]
        keys = [key for key in keys if PARTS[key] != NO_KEY]
        parts = list(map(PARTS.__getitem__, keys))
    odds = list(map(found.odds.__getitem__, keys))
    odds_milli = list(map(MILLI.__getitem__, odds))
    demand_readable(BET9JA, "$.D.O", odds, odds_milli, [(f'$.D.O["{key}"]', _NOT_A_KEY) for key in bad_keys])
    n_outcomes = Counter([row for row, _ in parts])
    rows = [row.partition("@") for row in n_outcomes]
    labels = {label.market_id: label for label in map(LABELS.__getitem__, map(bytes, found.descriptors)) if label is not None}
    of_rows = [labels.get(market_id) or Label(market_id, market_id, {}) for market_id, _, _ in rows]
    prices = RawPrices(
        market_id=[market_id for market_id, _, _ in rows],
        market_name=[label.name for label in of_rows],
        specifier=[line for _, _, line in rows],
        n_outcomes=list(n_outcomes.values()),
        outcome_id=[outcome for _, outcome in parts],
        odds_milli=odds_milli,
        # The feed has no flag for "cannot be backed": a suspended price is simply 1.
        off=[False] * len(keys),
    )
    named = prices.per_outcome([label.outcomes.get for label in of_rows])
    prices.outcome_name = [name(outcome, outcome) for name, outcome in zip(named, prices.outcome_id, strict=True)]
    for row in n_outcomes:
        if row.startswith("LIVE"):
            raise PayloadRejected(BET9JA, f'$.D.O["{row}"]', "in play: prices of the in-play feed")
    return prices, bad_keys


def _label(descriptor: bytes) -> Label | None:
    """For display only: what cannot be read is left out."""
    try:
        found = _LABELS.decode(descriptor)
    except BROKEN_JSON:
        return None
    market_id = text(found.ID)
    if market_id is None:
        return None
    codes = found.SGNK if isinstance(found.SGNK, list) else []
    names = found.SGN if isinstance(found.SGN, list) else []
    outcomes = {code: name for code, name in zip(codes, names, strict=False) if isinstance(code, str) and isinstance(name, str)}
    return Label(market_id, text(found.DS) or text(found.NAME) or market_id, outcomes)


LABELS: Final[Memo[bytes, Label | None]] = Memo(_label, 1 << 12)
"""Markets are described by the same bytes in every event."""
