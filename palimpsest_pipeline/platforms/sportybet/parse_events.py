"""Reading of SportyBet's events: what an answer is, one listing, one list page, the tree. Asks nothing and knows no order of pages."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from palimpsest_pipeline.domain.enums import FailureClass, ListingKind, PayloadKind, Platform, Sport
from palimpsest_pipeline.domain.exchange import Answer
from palimpsest_pipeline.domain.observations import Listing

from .. import answer_checks, collect_discovery
from ..json_values import (
    BROKEN_JSON,
    UnreadableError,
    count,
    decode,
    epoch_ms_instant,
    integer,
    is_empty_json,
    is_simulated,
    json_of,
    key_text,
    object_of,
    positive_id,
    text,
)
from . import shapes
from .endpoints import LIVE, SIMULATED_CATEGORY_IDS, SPORT_IDS, VIRTUAL_FOOTBALL_IDS

SPORTYBET = Platform.SPORTYBET
SPORTS: Final = {external_id: sport for sport, external_id in SPORT_IDS.items()}

ENVELOPE = msgspec.json.Decoder(shapes.Envelope)
_TREE = msgspec.json.Decoder(shapes.TreeData)
_SPORT = msgspec.json.Decoder(shapes.SportNode)
_CATEGORY = msgspec.json.Decoder(shapes.CategoryNode)
_TOURNAMENT = msgspec.json.Decoder(shapes.TournamentNode)
_PAGE = msgspec.json.Decoder(shapes.ListData)
_TOURNAMENTS = msgspec.json.Decoder(list[msgspec.Raw])
_LISTED = msgspec.json.Decoder(shapes.ListTournament)
EVENT = msgspec.json.Decoder(shapes.EventWithMarkets)
_EVENT_ID = msgspec.json.Decoder(shapes.EventId)
_PRODUCT = msgspec.json.Decoder(shapes.MarketProduct)

OK: Final = 10000
_INVALID: Final = 19000
_NO_SUCH_RESOURCE: Final = 19001

MATCH: Final = "sr:match:"
_LIVE_PRODUCT: Final = int(LIVE)
_TOURNAMENT_ID: Final = re.compile(r"^sr:tournament:(\d{1,18})$")
_GENIUS: Final = re.compile(r"^1111111(\d{7,9})$")
"""A Genius id dressed as a SportRadar id: seven ones, then the Genius number."""


def judge(answer: Answer) -> answer_checks.Verdict | None:
    """SportyBet's envelope: business codes served with a good status, and success without data."""
    verdict = answer_checks.http_verdict(answer)
    if verdict is not None:
        return verdict
    try:
        envelope = ENVELOPE.decode(json_of(answer))
    except BROKEN_JSON as error:
        return answer_checks.json_verdict(error, json_of(answer))
    code = integer(envelope.biz_code)
    if code is None:
        return FailureClass.CONTRACT_BROKEN, f"no bizCode: {answer_checks.excerpt(json_of(answer))}"
    if code != OK:
        refusal = _refusal(code, answer.request.kind is PayloadKind.DETAIL)
        return refusal, f"bizCode {code}: {envelope.inner_msg or envelope.message or ''}".rstrip(": ")
    return _judge_data(answer.request.kind, answer_checks.start_of(envelope.data))


def _judge_data(kind: PayloadKind, data: bytes) -> answer_checks.Verdict | None:
    if kind is PayloadKind.DETAIL and is_empty_json(data):
        return FailureClass.NOT_FOUND, "success without an event"
    if data in (b"", b"null"):
        return FailureClass.TRANSIENT, "success without data"
    # Lists come as an object with pages, or as a bare list of the tournaments asked for.
    if data.startswith(b"{") or (kind is PayloadKind.LISTING and data.startswith(b"[")):
        return None
    return FailureClass.CONTRACT_BROKEN, f"data is no {kind}: {answer_checks.excerpt(data)}"


def _refusal(code: int, detail: bool) -> FailureClass:
    if detail and code in (_INVALID, _NO_SUCH_RESOURCE):
        return FailureClass.NOT_FOUND
    return FailureClass.CONTRACT_BROKEN if code == _NO_SUCH_RESOURCE else FailureClass.PERMANENT


def listing_of(event: shapes.Event, path: str, products: Iterable[Any], live_product: bool = False) -> Listing:
    """The listing that an event claims to be. It is in play as well when a market is of the live product. Raises UnreadableError."""
    sport_node = object_of(event.sport)
    category = object_of(sport_node.get("category"))
    tournament = object_of(category.get("tournament"))
    sport_id = text(sport_node.get("id"))
    sport = Sport.FOOTBALL if sport_id in VIRTUAL_FOOTBALL_IDS else SPORTS.get(sport_id or "")
    if sport is None:
        raise UnreadableError(f"{path}.sport.id", f"sport {sport_id} is not covered")
    tournament_id = key_text(tournament.get("id"), f"{path}.sport.category.tournament.id")
    event_id = key_text(event.event_id, f"{path}.eventId")
    kickoff_at = epoch_ms_instant(event.estimate_start_time)
    if kickoff_at is None:
        raise UnreadableError(f"{path}.estimateStartTime", f"{event.estimate_start_time!r} is no instant in milliseconds")
    home, away = (event.home_team_name or "").strip(), (event.away_team_name or "").strip()
    country, name = text(category.get("name")), text(tournament.get("name")) or ""
    kind = ListingKind.MATCH if event_id.startswith(MATCH) else ListingKind.ANTEPOST
    if sport_id in VIRTUAL_FOOTBALL_IDS or category.get("id") in SIMULATED_CATEGORY_IDS or is_simulated(country, name, home, away):
        kind = ListingKind.SIMULATED
    if kind is ListingKind.MATCH and not (home and away):
        raise UnreadableError(f"{path}.homeTeamName", "a match without two team names")
    sr_id, genius_id = match_ids(event_id, event.event_source)
    return Listing(
        platform=SPORTYBET,
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
        sr_tournament_id=sr_tournament_id(tournament_id),
        n_markets_declared=count(event.total_market_size),
        in_play=live_product or _begun(event) or any(product == _LIVE_PRODUCT for product in map(integer, products)),
    )


def _begun(event: shapes.Event) -> bool:
    """Anything but "not started": running, ended, postponed; or live scores."""
    return bool((integer(event.status) or 0) != 0 or event.played_seconds or event.set_score)


def products_of(markets: Iterable[msgspec.Raw]) -> Iterator[Any]:
    """Products of the markets that can be read so far."""
    for raw in markets:
        try:
            yield _PRODUCT.decode(raw).product
        except BROKEN_JSON:
            continue  # a market that is no object is rejected when the book is read


def match_ids(event_id: str, event_source: Any) -> tuple[int | None, int | None]:
    """SportRadar and Genius id, from the event's sources where they name one, else from its own id.

    A source of type BET_RADAR may carry the Genius dress as well; a number that both providers claim is nobody's SportRadar id.
    """
    remainder = event_id.removeprefix(MATCH)
    genius = _GENIUS.match(remainder)
    own_sr = positive_id(remainder) if event_id.startswith(MATCH) and not genius else None
    own_genius = positive_id(genius[1]) if genius else None
    sources = [object_of(object_of(event_source).get(phase)) for phase in ("preMatchSource", "liveSource")]
    named = [(source.get("sourceType"), _bare(source.get("sourceId"))) for source in sources]
    radar = next((number for provider, number in named if provider == "BET_RADAR" and number), None)
    betgenius = next((number for provider, number in named if provider == "BET_GENIUS" and number), None)
    if radar is None and betgenius is None:
        return own_sr, own_genius
    sr_id = radar if radar is not None else own_sr
    return (None if sr_id == betgenius else sr_id), betgenius


def _bare(source_id: Any) -> int | None:
    digits = (text(source_id) or "").removeprefix(MATCH)
    dressed = _GENIUS.match(digits)
    return positive_id(dressed[1] if dressed else digits)


def sr_tournament_id(tournament_id: str) -> int | None:
    """SportRadar's tournament number; `sr:simple_tournament:` numbers are another space and give none."""
    found = _TOURNAMENT_ID.match(tournament_id)
    return positive_id(found[1]) if found else None


@dataclass(slots=True)
class Page:
    """One list answer: how many events it says there are in all, and the ids of those that it holds, readable or not."""

    total: int | None = None
    ids: list[str] = field(default_factory=list)


def page_listings(answer: Answer, found: collect_discovery.Collected) -> Page:
    """Adds the listings of a list answer to `found`: a page of all events, or the tournaments that were asked for."""
    page = Page()
    try:
        data = ENVELOPE.decode(json_of(answer)).data
        if bytes(data).startswith(b"["):
            tournaments, base = decode(_TOURNAMENTS, data, "$.data"), "$.data"
        else:
            head = decode(_PAGE, data, "$.data")
            tournaments, base, page.total = head.tournaments or [], "$.data.tournaments", count(head.total_num)
    except UnreadableError as error:
        found.reject(None, error.path, error.reason, None)
        return page
    listings: list[Listing] = []
    for t, raw_tournament in enumerate(tournaments):
        try:
            tournament = decode(_LISTED, raw_tournament, f"{base}[{t}]")
        except UnreadableError as error:
            found.reject(None, error.path, error.reason, None)
            continue
        for e, raw in enumerate(tournament.events or ()):
            path = f"{base}[{t}].events[{e}]"
            event_id = _event_id(raw)
            page.ids.append(event_id or path)
            try:
                event = decode(EVENT, raw, path)
                listings.append(listing_of(event, path, products_of(event.markets or ())))
            except UnreadableError as error:
                found.reject(event_id, error.path, error.reason, text(tournament.id))
    found.add(collect_discovery.once(listings))
    return page


def _event_id(raw: msgspec.Raw) -> str | None:
    try:
        return text(_EVENT_ID.decode(raw).event_id)
    except BROKEN_JSON:
        return None


def read_tree(answer: Answer, sport: Sport) -> collect_discovery.Tree:
    """The sport's tree. Raises UnreadableError when the answer is no tree or does not hold the sport. Popular tournaments repeat others: not read."""
    data = ENVELOPE.decode(json_of(answer)).data
    node, at = _sport_node(decode(_TREE, data, "$.data").sport_list, SPORT_IDS[sport])
    tree = collect_discovery.Tree(total=count(node.event_size))
    for c, raw_category in enumerate(node.categories or ()):
        path = f"{at}.categories[{c}]"
        try:
            category = decode(_CATEGORY, raw_category, path)
        except UnreadableError as error:
            tree.reject(SPORTYBET, error.path, error.reason)
            continue
        if not category.tournaments and count(category.event_size):
            tree.reject(SPORTYBET, f"{path}.tournaments", "a category with events and without tournaments")
        for t, raw in enumerate(category.tournaments or ()):
            try:
                entry = decode(_TOURNAMENT, raw, f"{path}.tournaments[{t}]")
                key = key_text(entry.id, f"{path}.tournaments[{t}].id")
            except UnreadableError as error:
                tree.reject(SPORTYBET, error.path, error.reason)
                continue
            name = (entry.name or "").strip()
            tree.tournaments[key] = collect_discovery.Declared(key, name, category.name, sr_tournament_id(key), count(entry.event_size))
    return tree.checked(at)


def _sport_node(nodes: Sequence[msgspec.Raw], sport_id: str) -> tuple[shapes.SportNode, str]:
    for n, raw in enumerate(nodes):
        try:
            node = decode(_SPORT, raw, f"$.data.sportList[{n}]")
        except UnreadableError:
            continue  # another sport's node may be odd; ours is missed below if it is
        if node.id == sport_id:
            return node, f"$.data.sportList[{n}]"
    raise UnreadableError("$.data.sportList", f"no node of sport {sport_id}")
