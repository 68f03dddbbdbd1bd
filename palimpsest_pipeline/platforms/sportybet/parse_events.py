"""The reader of SportyBet's events: verdict on an answer, one listing, one list page, the tree.

Sends nothing and knows no order of pages.
"""

import re
from collections.abc import Iterable, Sequence
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
    read_count,
    read_integer,
    read_json_body,
    read_key_text,
    read_object,
    read_positive_id,
    read_text,
)
from . import shapes
from .endpoints import LIVE_PRODUCT_ID, SIMULATED_CATEGORY_IDS, VIRTUAL_FOOTBALL_IDS

_TREE_DECODER = msgspec.json.Decoder(shapes.TreeData)
_SPORT_DECODER = msgspec.json.Decoder(shapes.SportNode)
_CATEGORY_DECODER = msgspec.json.Decoder(shapes.CategoryNode)
_TOURNAMENT_DECODER = msgspec.json.Decoder(shapes.TournamentNode)
_PAGE_DECODER = msgspec.json.Decoder(shapes.ListData)
_TOURNAMENTS_DECODER = msgspec.json.Decoder(list[msgspec.Raw])
_LISTED_TOURNAMENT_DECODER = msgspec.json.Decoder(shapes.ListTournament)
EVENT_DECODER = msgspec.json.Decoder(shapes.EventWithMarkets)


_LIVE_PRODUCT_NUMBER: Final = int(LIVE_PRODUCT_ID)
_TOURNAMENT_ID_PATTERN: Final = re.compile(r"^sr:tournament:(\d{1,18})$")
_GENIUS_ID_PATTERN: Final = re.compile(r"^1111111(\d{7,9})$")
"""A Genius id in the form of a SportRadar id: seven ones, then the Genius number."""


def judge(answer: Answer) -> answer_checks.Verdict | None:
    """Return the failure that SportyBet's envelope shows.

    Lists come as an object with pages, or as a bare list of the requested tournaments.
    """
    return judge_envelope(answer, has_bare_lists=True)


def build_listing(
    event: shapes.Event, path: str, config: DialectConfig, products: Iterable[Any], has_live_product: bool = False
) -> Listing:
    """Return the listing of the event at `path` in the answer. Raises UnreadableError with the place.

    `products` has the field `product` of the event's markets. The listing is also in play when one of them is the live
    product, or with `has_live_product`: the answer is to a request for that product.
    """
    sport_node = read_object(event.sport)
    category = read_object(sport_node.get("category"))
    tournament = read_object(category.get("tournament"))
    sport_id = read_text(sport_node.get("id"))
    sport = Sport.FOOTBALL if sport_id in VIRTUAL_FOOTBALL_IDS else config.find_sport(sport_id)
    if sport is None:
        raise UnreadableError(f"{path}.sport.id", f"sport {sport_id} is not covered")
    tournament_id = read_key_text(tournament.get("id"), f"{path}.sport.category.tournament.id")
    event_id = read_key_text(event.event_id, f"{path}.eventId")
    kickoff_at = parse_epoch_ms(event.estimate_start_time)
    if kickoff_at is None:
        raise UnreadableError(
            f"{path}.estimateStartTime", f"{event.estimate_start_time!r} is no instant in milliseconds"
        )
    home, away = (event.home_team_name or "").strip(), (event.away_team_name or "").strip()
    country, name = read_text(category.get("name")), read_text(tournament.get("name")) or ""
    kind = ListingKind.MATCH if event_id.startswith(MATCH_ID_PREFIX) else ListingKind.ANTEPOST
    if (
        sport_id in VIRTUAL_FOOTBALL_IDS
        or category.get("id") in SIMULATED_CATEGORY_IDS
        or is_simulated(country, name, home, away)
    ):
        kind = ListingKind.SIMULATED
    if kind is ListingKind.MATCH and not (home and away):
        raise UnreadableError(f"{path}.homeTeamName", "a match without two team names")
    sr_id, genius_id = read_match_ids(event_id, event.event_source)
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
        sr_id=sr_id,
        genius_id=genius_id,
        sr_tournament_id=parse_sr_tournament_id(tournament_id),
        n_markets_declared=read_count(event.total_market_size),
        is_in_play=has_live_product
        or _has_begun(event)
        or any(product == _LIVE_PRODUCT_NUMBER for product in map(read_integer, products)),
    )


def _has_begun(event: shapes.Event) -> bool:
    """Return whether the status is anything but "not started" (running, ended, postponed), or has scores."""
    return bool((read_integer(event.status) or 0) != 0 or event.played_seconds or event.set_score)


def read_match_ids(event_id: str, event_source: Any) -> tuple[int | None, int | None]:
    """Return the SportRadar and the Genius id, from the event's sources or else from its own id.

    A source of type BET_RADAR may hold a Genius id in the form of a SportRadar id. A number that both providers claim
    is not a SportRadar id.
    """
    remainder = event_id.removeprefix(MATCH_ID_PREFIX)
    genius_match = _GENIUS_ID_PATTERN.match(remainder)
    own_sr = read_positive_id(remainder) if event_id.startswith(MATCH_ID_PREFIX) and not genius_match else None
    own_genius = read_positive_id(genius_match[1]) if genius_match else None
    sources = [read_object(read_object(event_source).get(phase)) for phase in ("preMatchSource", "liveSource")]
    sources_by_type = [(source.get("sourceType"), _read_source_number(source.get("sourceId"))) for source in sources]
    radar_id = next((number for provider, number in sources_by_type if provider == "BET_RADAR" and number), None)
    genius_id = next((number for provider, number in sources_by_type if provider == "BET_GENIUS" and number), None)
    if radar_id is None and genius_id is None:
        return own_sr, own_genius
    sr_id = radar_id if radar_id is not None else own_sr
    return (None if sr_id == genius_id else sr_id), genius_id


def _read_source_number(source_id: Any) -> int | None:
    digits = (read_text(source_id) or "").removeprefix(MATCH_ID_PREFIX)
    match = _GENIUS_ID_PATTERN.match(digits)
    return read_positive_id(match[1] if match else digits)


def parse_sr_tournament_id(tournament_id: str) -> int | None:
    """Return SportRadar's tournament number; None for `sr:simple_tournament:`, which has its own numbers."""
    match = _TOURNAMENT_ID_PATTERN.match(tournament_id)
    return read_positive_id(match[1]) if match else None


@dataclass(slots=True)
class PageContent:
    """The content of a list answer: the declared total, and the ids of its events, readable or not."""

    n_events: int | None = None
    event_ids: list[str] = field(default_factory=list)


def read_page_listings(
    answer: Answer, collection: collect_discovery.ListingCollection, config: DialectConfig
) -> PageContent:
    """Add the listings of a list answer to `collection` and return the page's content.

    The answer is a page of all events, or a list of requested tournaments.
    """
    page = PageContent()
    try:
        data = ENVELOPE_DECODER.decode(read_json_body(answer)).data
        if bytes(data).startswith(b"["):
            tournaments, base = decode(_TOURNAMENTS_DECODER, data, "$.data"), "$.data"
        else:
            head = decode(_PAGE_DECODER, data, "$.data")
            tournaments, base, page.n_events = head.tournaments or [], "$.data.tournaments", read_count(head.total_num)
    except UnreadableError as error:
        collection.add_reject(None, error.path, error.reason, None)
        return page
    listings: list[Listing] = []
    for t, raw_tournament in enumerate(tournaments):
        try:
            tournament = decode(_LISTED_TOURNAMENT_DECODER, raw_tournament, f"{base}[{t}]")
        except UnreadableError as error:
            collection.add_reject(None, error.path, error.reason, None)
            continue
        for e, raw in enumerate(tournament.events or ()):
            path = f"{base}[{t}].events[{e}]"
            event_id = read_event_id(raw)
            page.event_ids.append(event_id or path)
            try:
                event = decode(EVENT_DECODER, raw, path)
                listings.append(build_listing(event, path, config, iterate_products(event.markets or ())))
            except UnreadableError as error:
                collection.add_reject(event_id, error.path, error.reason, read_text(tournament.id))
    collection.add_listings(collect_discovery.deduplicate_listings(listings))
    return page


def read_tree(answer: Answer, sport: Sport, config: DialectConfig) -> collect_discovery.TournamentTree:
    """Return the sport's tree.

    Raises UnreadableError when the answer is no tree or lacks the sport. Popular tournaments repeat others and are not
    read.
    """
    data = ENVELOPE_DECODER.decode(read_json_body(answer)).data
    node, sport_path = _find_sport_node(decode(_TREE_DECODER, data, "$.data").sport_list, config.sport_ids[sport])
    tree = collect_discovery.TournamentTree(n_events=read_count(node.event_size))
    for c, raw_category in enumerate(node.categories or ()):
        path = f"{sport_path}.categories[{c}]"
        try:
            category = decode(_CATEGORY_DECODER, raw_category, path)
        except UnreadableError as error:
            tree.add_reject(config.platform, error.path, error.reason)
            continue
        if not category.tournaments and read_count(category.event_size):
            tree.add_reject(config.platform, f"{path}.tournaments", "a category with events and without tournaments")
        for t, raw in enumerate(category.tournaments or ()):
            try:
                entry = decode(_TOURNAMENT_DECODER, raw, f"{path}.tournaments[{t}]")
                key = read_key_text(entry.id, f"{path}.tournaments[{t}].id")
            except UnreadableError as error:
                tree.add_reject(config.platform, error.path, error.reason)
                continue
            name = (entry.name or "").strip()
            tree.tournaments[key] = collect_discovery.DeclaredTournament(
                key, name, category.name, parse_sr_tournament_id(key), read_count(entry.event_size)
            )
    return tree.require_tournaments(sport_path)


def _find_sport_node(nodes: Sequence[msgspec.Raw], sport_id: str) -> tuple[shapes.SportNode, str]:
    for n, raw in enumerate(nodes):
        try:
            node = decode(_SPORT_DECODER, raw, f"$.data.sportList[{n}]")
        except UnreadableError:
            continue  # the node of another sport may be unreadable; a missing node of ours raises below
        if node.id == sport_id:
            return node, f"$.data.sportList[{n}]"
    raise UnreadableError("$.data.sportList", f"no node of sport {sport_id}")
