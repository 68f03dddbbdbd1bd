"""The reader of MSport's events: verdict on an answer, one listing, one page of the list.

Sends nothing and knows no order of pages.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from palimpsest_pipeline.domain.enums import ListingKind, Sport
from palimpsest_pipeline.domain.exchange import Answer
from palimpsest_pipeline.domain.observations import Listing

from .. import answer_checks, collect_discovery
from ..base import DialectConfig
from ..coded_answers import ENVELOPE_DECODER, MATCH_ID_PREFIX, iterate_products, judge_envelope, read_event_id
from ..json_values import (
    UnreadableError,
    decode,
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

EVENT_DECODER = msgspec.json.Decoder(shapes.EventWithMarkets)
_PAGE_DECODER = msgspec.json.Decoder(shapes.ListData)
_TOURNAMENT_DECODER = msgspec.json.Decoder(shapes.ListTournament)


_SIMULATED_CATEGORY_IDS: Final = ("sr:category:2123", "sr:category:1033")
"""Simulated Reality League and Electronic Leagues: categories inside real football."""
_TOURNAMENT_ID_PREFIX: Final = "sr:tournament:"
_MAX_SR_ID: Final = 10**10
"""Larger numbers in the form of a SportRadar id are other providers' ids."""
_LIVE_PRODUCT_NUMBER: Final = int(LIVE_PRODUCT_ID)


def judge(answer: Answer) -> answer_checks.Verdict | None:
    """Return the failure that MSport's envelope shows."""
    return judge_envelope(answer, wrong_operator="operid")


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
    """Return the listing of the event at `path` in the answer. Raises UnreadableError with the place.

    `wrapper` and `asked_sport` are those of a list, for events that do not repeat their tournament and sport.
    `products` has the field `product` of the event's markets. The listing is also in play when one of them is the live
    product, or with `has_live_product`: the answer is to a request for that product.
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
            event_id = read_event_id(raw)
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
