"""The reader of MSport's events: verdict on an answer, one listing, one page of the list.

Sends nothing and knows no order of pages.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from palimpsest_pipeline.domain.enums import FailureClass, ListingKind, PayloadKind, Sport
from palimpsest_pipeline.domain.exchange import Answer
from palimpsest_pipeline.domain.observations import Listing

from .. import answer_checks, collect_discovery
from ..base import DialectConfig
from ..json_values import (
    BROKEN_JSON,
    UnreadableError,
    decode,
    is_empty_json,
    is_simulated,
    parse_epoch_ms,
    read_integer,
    read_json_body,
    read_key_text,
    read_positive_id,
    read_text,
)
from . import shapes
from .endpoints import LIVE_PRODUCT_ID

ENVELOPE_DECODER = msgspec.json.Decoder(shapes.Envelope)
EVENT_DECODER = msgspec.json.Decoder(shapes.EventWithMarkets)
_PAGE_DECODER = msgspec.json.Decoder(shapes.ListData)
_TOURNAMENT_DECODER = msgspec.json.Decoder(shapes.ListTournament)
_EVENT_ID_DECODER = msgspec.json.Decoder(shapes.EventId)
_PRODUCT_DECODER = msgspec.json.Decoder(shapes.MarketProduct)

OK_CODE: Final = 10000
_INVALID_CODE: Final = 19000
_NO_SUCH_RESOURCE_CODE: Final = 19001
_WRONG_OPERATOR: Final = "operid"
"""The word in the error message when the operator's number does not fit the country."""

MATCH_ID_PREFIX: Final = "sr:match:"
_SIMULATED_CATEGORY_IDS: Final = ("sr:category:2123", "sr:category:1033")
"""Simulated Reality League and Electronic Leagues: categories inside real football."""
_TOURNAMENT_ID_PREFIX: Final = "sr:tournament:"
_MAX_SR_ID: Final = 10**10
"""Larger numbers in the form of a SportRadar id are other providers' ids."""
_LIVE_PRODUCT_NUMBER: Final = int(LIVE_PRODUCT_ID)


def judge(answer: Answer) -> answer_checks.Verdict | None:
    """Return the failure that MSport's envelope shows.

    It is a business code, which comes with a good status, or success without data.
    """
    verdict = answer_checks.judge_http(answer)
    if verdict is not None:
        return verdict
    body = read_json_body(answer)
    try:
        envelope = ENVELOPE_DECODER.decode(body)
    except BROKEN_JSON as error:
        return answer_checks.judge_json_error(error, body)
    code = read_integer(envelope.biz_code)
    if code is None:
        return FailureClass.CONTRACT_BROKEN, f"no bizCode: {answer_checks.make_excerpt(body)}"
    if code != OK_CODE:
        message = f"{envelope.inner_msg or envelope.message or ''}"
        refusal = _classify_refusal(code, message, answer.request.kind is PayloadKind.DETAIL)
        return refusal, f"bizCode {code}: {message}".rstrip(": ")
    return _judge_data(answer.request.kind, answer_checks.read_start(envelope.data))


def _judge_data(kind: PayloadKind, data: bytes) -> answer_checks.Verdict | None:
    if kind is PayloadKind.DETAIL and is_empty_json(data):
        return FailureClass.NOT_FOUND, "success without an event"
    if data in (b"", b"null"):
        return FailureClass.TRANSIENT, "success without data"
    if data.startswith(b"{"):
        return None
    return FailureClass.CONTRACT_BROKEN, f"data is no {kind}: {answer_checks.make_excerpt(data)}"


def _classify_refusal(code: int, message: str, is_detail: bool) -> FailureClass:
    if _WRONG_OPERATOR in message.lower():
        return FailureClass.PERMANENT
    if is_detail and code in (_INVALID_CODE, _NO_SUCH_RESOURCE_CODE):
        return FailureClass.NOT_FOUND
    return FailureClass.CONTRACT_BROKEN if code == _NO_SUCH_RESOURCE_CODE else FailureClass.PERMANENT


def build_listing(
    event: shapes.Event,
    path: str,
    products: Iterable[Any],
    config: DialectConfig,
    *,
    wrapper: shapes.ListTournament | None = None,
    asked_sport: Sport | None = None,
    has_live_product: bool = False,
) -> Listing:
    """Return the listing of an event. Raises UnreadableError.

    `wrapper` and `asked_sport` are those of a list, for events that do not repeat their tournament and sport. The
    listing is also in play when a market belongs to the live product.
    """
    wrapper = wrapper or shapes.ListTournament()
    sport_id = read_text(event.sport_id)
    sport = config.find_sport(sport_id) if sport_id is not None else asked_sport
    if sport is None:
        raise UnreadableError(f"{path}.sportId", f"sport {sport_id} is not covered")
    tournament_id = read_key_text(read_text(event.tournament_id) or wrapper.tournament_id, f"{path}.tournamentId")
    event_id = read_key_text(event.event_id, f"{path}.eventId")
    kickoff_at = parse_epoch_ms(event.start_time)
    if kickoff_at is None:
        raise UnreadableError(f"{path}.startTime", f"{event.start_time!r} is no instant in milliseconds")
    home, away = (event.home_team or "").strip(), (event.away_team or "").strip()
    country = read_text(event.category) or read_text(wrapper.category)
    name = read_text(event.tournament) or read_text(wrapper.tournament) or ""
    kind = ListingKind.MATCH if event_id.startswith(MATCH_ID_PREFIX) else ListingKind.ANTEPOST
    if read_text(event.category_id) in _SIMULATED_CATEGORY_IDS or is_simulated(country, name, home, away):
        kind = ListingKind.SIMULATED
    if kind is ListingKind.MATCH and not (home and away):
        raise UnreadableError(f"{path}.homeTeam", "a match without two team names")
    return Listing(
        platform=config.platform,
        external_id=event_id,
        kind=kind,
        sport=sport,
        tournament_external_id=tournament_id,
        tournament_name=name,
        country_raw=country,
        home_team=home,
        away_team=away,
        kickoff_at=kickoff_at,
        sr_id=_read_sr_id(event_id, MATCH_ID_PREFIX),
        genius_id=None,
        sr_tournament_id=_read_sr_id(tournament_id, _TOURNAMENT_ID_PREFIX),
        # `marketsCount` differs from the markets of the same answer, so it declares nothing.
        n_markets_declared=None,
        is_in_play=has_live_product or _has_begun(event) or _LIVE_PRODUCT_NUMBER in map(read_integer, products),
    )


def _has_begun(event: shapes.Event) -> bool:
    """Return whether the status is anything but "not started", or the match has a clock or a score."""
    return bool((read_integer(event.status) or 0) != 0 or event.played_time or event.score_of_whole_match)


def _read_sr_id(text: str, prefix: str) -> int | None:
    number = read_positive_id(text.removeprefix(prefix)) if text.startswith(prefix) else None
    return number if number is not None and number < _MAX_SR_ID else None


def iterate_products(markets: Iterable[msgspec.Raw]) -> Iterator[Any]:
    """Yield the product of each market that can be read."""
    for raw in markets:
        try:
            yield _PRODUCT_DECODER.decode(raw).product
        except BROKEN_JSON:
            continue  # a market that is no object is rejected when the book is read


@dataclass(slots=True)
class PageContent:
    """The content of a page.

    It holds the ids of its events, readable or not, its tournaments, and the cursor of the next page, '' for none.
    """

    event_ids: list[str] = field(default_factory=list)
    tournaments: dict[str, collect_discovery.DeclaredTournament] = field(default_factory=dict)
    next_cursor: str = ""


def read_page(
    answer: Answer, sport: Sport, collection: collect_discovery.ListingCollection, config: DialectConfig
) -> PageContent:
    """Add the listings of a page to `collection` and return the page's content."""
    page = PageContent()
    try:
        data = decode(_PAGE_DECODER, ENVELOPE_DECODER.decode(read_json_body(answer)).data, "$.data")
    except UnreadableError as error:
        collection.add_reject(None, error.path, error.reason, None)
        return page
    page.next_cursor = read_text(data.last_event_id) or ""
    listings: list[Listing] = []
    for t, raw_tournament in enumerate(data.tournaments):
        try:
            wrapper = decode(_TOURNAMENT_DECODER, raw_tournament, f"$.data.tournaments[{t}]")
        except UnreadableError as error:
            collection.add_reject(None, error.path, error.reason, None)
            continue
        tournament_id = read_text(wrapper.tournament_id)
        if tournament_id is not None:
            page.tournaments[tournament_id] = collect_discovery.DeclaredTournament(
                tournament_id,
                read_text(wrapper.tournament) or "",
                read_text(wrapper.category),
                _read_sr_id(tournament_id, _TOURNAMENT_ID_PREFIX),
                None,
            )
        for e, raw in enumerate(wrapper.events or ()):
            path = f"$.data.tournaments[{t}].events[{e}]"
            event_id = _read_event_id(raw)
            page.event_ids.append(event_id or path)
            try:
                event = decode(EVENT_DECODER, raw, path)
                listings.append(
                    build_listing(
                        event,
                        path,
                        iterate_products(event.markets or ()),
                        config,
                        wrapper=wrapper,
                        asked_sport=sport,
                    )
                )
            except UnreadableError as error:
                collection.add_reject(event_id, error.path, error.reason, tournament_id)
    collection.add_listings(collect_discovery.deduplicate_listings(listings))
    return page


def _read_event_id(raw: msgspec.Raw) -> str | None:
    try:
        return read_text(_EVENT_ID_DECODER.decode(raw).event_id)
    except BROKEN_JSON:
        return None
