"""Reading of BetPawa's events: what an answer is, one listing, one list page, the tree. Asks nothing and knows no order of pages."""

from collections.abc import Sequence
from typing import Any

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
    integer,
    is_simulated,
    iso_instant,
    json_of,
    key_text,
    object_of,
    positive_id,
    text,
)
from . import shapes
from .endpoints import EFOOTBALL_ID, SPORT_IDS, SPORTS

BETPAWA = Platform.BETPAWA

_ENVELOPE = msgspec.json.Decoder(shapes.Envelope)
_TREE = msgspec.json.Decoder(shapes.Tree)
_SPORT = msgspec.json.Decoder(shapes.SportNode)
_REGION = msgspec.json.Decoder(shapes.RegionNode)
_COMPETITION = msgspec.json.Decoder(shapes.CompetitionNode)
_BLOCKS = msgspec.json.Decoder(shapes.Blocks)
EVENT = msgspec.json.Decoder(shapes.Event)
_EVENT_IDS = msgspec.json.Decoder(shapes.EventIds)

_CHALLENGE_WORDS = (b"just a moment", b"challenge", b"attention required", b"access denied", b"blocked", b"forbidden", b"captcha")


def judge(answer: Answer) -> answer_checks.Verdict | None:
    """BetPawa's envelopes: the root key that each endpoint promises, and errors served with a good status."""
    verdict = answer_checks.http_verdict(answer)
    body = json_of(answer)
    if verdict is not None:
        if _is_page_of_the_site(answer, body):
            return FailureClass.NOT_FOUND, "a page of the site in place of the event: it is gone"
        return verdict
    try:
        envelope = _ENVELOPE.decode(body)
    except BROKEN_JSON as error:
        return answer_checks.json_verdict(error, body)
    kind = answer.request.kind
    if kind is PayloadKind.DETAIL:
        good = text(envelope.id) is not None
    else:
        root = envelope.with_regions if kind is PayloadKind.TREE else envelope.responses
        good = answer_checks.start_of(root).startswith(b"[")
    if good:
        return None
    if envelope.error is not None or envelope.server_message is not None:
        gone = kind is PayloadKind.DETAIL and envelope.error == "NOT_FOUND"
        return FailureClass.NOT_FOUND if gone else FailureClass.PERMANENT, f"refused: {envelope.error or ''} {envelope.server_message or ''}".rstrip()
    return FailureClass.CONTRACT_BROKEN, f"no {kind} in the answer: {answer_checks.excerpt(body)}"


def _is_page_of_the_site(answer: Answer, body: bytes) -> bool:
    """An expired event may be answered with the site's own page. A challenge page must not pass for that."""
    if answer.failure is not None or answer.status != 200 or answer.request.kind is not PayloadKind.DETAIL or not answer_checks.is_html(body):
        return False
    if answer_checks.challenge(answer.status, answer.headers, None) is not None:
        return False
    page = body[:20_000].lower()
    return b"betpawa" in page and not any(word in page for word in _CHALLENGE_WORDS)


def listing_of(event: shapes.Event, path: str) -> Listing:
    """The listing that an event claims to be. Raises UnreadableError."""
    external_id, tournament = key_text(event.id, f"{path}.id"), key_text(event.competition.id, f"{path}.competition.id")
    category = text(event.category.id)
    sport = Sport.FOOTBALL if category == EFOOTBALL_ID else SPORTS.get(category or "")
    if sport is None:
        raise UnreadableError(f"{path}.category.id", f"sport {category} is not covered")
    kickoff_at = iso_instant(event.start_time)
    if kickoff_at is None:
        raise UnreadableError(f"{path}.startTime", f"{event.start_time!r} is no instant with a zone")
    home, away = _sides(event, path)
    country, name = text(object_of(event.region).get("name")), (event.competition.name or "").strip()
    kind = ListingKind.MATCH if home and away else ListingKind.ANTEPOST
    if category == EFOOTBALL_ID or is_simulated(country, name, home, away):
        kind = ListingKind.SIMULATED
    sr_id, genius_id = _provider_ids(event.widgets)
    return Listing(
        platform=BETPAWA,
        external_id=external_id,
        kind=kind,
        sport=sport,
        tournament_external_id=tournament,
        tournament_name=name,
        country_raw=country,
        home_team=home or (event.name or "").strip(),
        away_team=away,
        kickoff_at=kickoff_at,
        sr_id=sr_id,
        genius_id=genius_id,
        sr_tournament_id=None,
        n_markets_declared=count(event.total_market_count),
        in_play=_in_play(event),
    )


def _sides(event: shapes.Event, path: str) -> tuple[str, str]:
    """Home and away by position; two empty names when there are not two sides. The event's name is never split: names hold dashes too."""
    participants = event.participants or []
    if len(participants) < 2:
        return "", ""
    by_position = {integer(participant.position): participant.name.strip() for participant in participants}
    home, away = by_position.get(1), by_position.get(2)
    if not home or not away:
        raise UnreadableError(f"{path}.participants", "no home and away by position")
    return home, away


def _provider_ids(widgets: Any) -> tuple[int | None, int | None]:
    """SportRadar and Genius id. Each provider may be there several times; ids that contradict each other count as none."""
    found: dict[Any, set[int]] = {"SPORTRADAR": set(), "GENIUSSPORTS": set()}
    for widget in widgets if isinstance(widgets, list) else []:
        fields = object_of(widget)
        provider, number = fields.get("type"), positive_id(fields.get("id"))
        if number is not None and isinstance(provider, str) and provider in found:
            found[provider].add(number)
    sr, genius = (found[provider] for provider in ("SPORTRADAR", "GENIUSSPORTS"))
    return (sr.pop() if len(sr) == 1 else None), (genius.pop() if len(genius) == 1 else None)


def _in_play(event: shapes.Event) -> bool:
    results = object_of(event.results)
    return object_of(event.additional_info).get("live") is True or bool(results.get("display") or results.get("participantPeriodResults"))


def page_listings(answer: Answer, found: collect_discovery.Collected) -> int:
    """Adds the listings of a list answer to `found` and returns how many events it held, readable or not."""
    try:
        blocks = decode(_BLOCKS, json_of(answer), "$").responses
    except UnreadableError as error:
        found.reject(None, error.path, error.reason, None)
        return 0
    listings: list[Listing] = []
    n = 0
    for b, block in enumerate(blocks):
        for e, raw in enumerate((block.responses if block else None) or ()):
            n += 1
            path = f"$.responses[{b}].responses[{e}]"
            try:
                listings.append(listing_of(decode(EVENT, raw, path), path))
            except UnreadableError as error:
                external_id, tournament = _ids_of(raw)
                found.reject(external_id, error.path, error.reason, tournament)
    found.add(collect_discovery.once(listings))
    return n


def _ids_of(raw: msgspec.Raw) -> tuple[str | None, str | None]:
    try:
        ids = _EVENT_IDS.decode(raw)
    except BROKEN_JSON:
        return None, None
    return text(ids.id), text(object_of(ids.competition).get("id"))


def read_tree(answer: Answer, sport: Sport) -> collect_discovery.Tree:
    """The sport's tree. Raises UnreadableError when the answer is no tree or does not hold the sport."""
    node, at = _sport_node(decode(_TREE, json_of(answer), "$").with_regions, SPORT_IDS[sport])
    tree = collect_discovery.Tree(total=_upcoming(node.event_counts))
    for r, raw_region in enumerate(node.regions or ()):
        path = f"{at}.regions[{r}]"
        try:
            region = decode(_REGION, raw_region, path)
        except UnreadableError as error:
            tree.reject(BETPAWA, error.path, error.reason)
            continue
        country = text(object_of(region.region).get("name"))
        if not region.competitions and _upcoming(region.event_counts):
            tree.reject(BETPAWA, f"{path}.competitions", "a region with events and without competitions")
        for c, raw in enumerate(region.competitions or ()):
            try:
                entry = decode(_COMPETITION, raw, f"{path}.competitions[{c}]")
                key = key_text(entry.competition.id, f"{path}.competitions[{c}].competition.id")
            except UnreadableError as error:
                tree.reject(BETPAWA, error.path, error.reason)
                continue
            name = (entry.competition.name or "").strip()
            tree.tournaments[key] = collect_discovery.Declared(key, name, country, None, _upcoming(entry.event_counts))
    return tree.checked(at)


def _sport_node(nodes: Sequence[msgspec.Raw], sport_id: str) -> tuple[shapes.SportNode, str]:
    for n, raw in enumerate(nodes):
        node = decode(_SPORT, raw, f"$.withRegions[{n}]")
        if text(object_of(node.category).get("id")) == sport_id:
            return node, f"$.withRegions[{n}]"
    raise UnreadableError("$.withRegions", f"no node of sport {sport_id}")


def _upcoming(event_counts: Any) -> int | None:
    """Number of upcoming events; a count that is left out is nought, counts that are left out altogether are unknown."""
    if not isinstance(event_counts, dict):
        return None
    return count(event_counts.get("upcoming", 0))
