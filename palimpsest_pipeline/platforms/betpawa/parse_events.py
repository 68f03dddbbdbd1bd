"""The reader of BetPawa's events: verdict on an answer, one listing, one list page, the tree.

Sends nothing and knows no order of pages.
"""

from collections.abc import Sequence
from typing import Any

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
    is_simulated,
    parse_iso_instant,
    read_count,
    read_integer,
    read_json_body,
    read_key_text,
    read_object,
    read_positive_id,
    read_text,
)
from . import shapes
from .endpoints import EFOOTBALL_ID

_ENVELOPE_DECODER = msgspec.json.Decoder(shapes.Envelope)
_TREE_DECODER = msgspec.json.Decoder(shapes.Tree)
_SPORT_DECODER = msgspec.json.Decoder(shapes.SportNode)
_REGION_DECODER = msgspec.json.Decoder(shapes.RegionNode)
_COMPETITION_DECODER = msgspec.json.Decoder(shapes.CompetitionNode)
_BLOCKS_DECODER = msgspec.json.Decoder(shapes.QueryBlocks)
EVENT_DECODER = msgspec.json.Decoder(shapes.Event)
_EVENT_IDS_DECODER = msgspec.json.Decoder(shapes.EventIds)

_CHALLENGE_WORDS = (
    b"just a moment",
    b"challenge",
    b"attention required",
    b"access denied",
    b"blocked",
    b"forbidden",
    b"captcha",
)


def judge(answer: Answer) -> answer_checks.Verdict | None:
    """Return the failure of BetPawa's envelope.

    Each endpoint promises a root key, and errors may come with a good status.
    """
    verdict = answer_checks.judge_http(answer)
    body = read_json_body(answer)
    if verdict is not None:
        if _is_page_of_the_site(answer, body):
            return FailureClass.NOT_FOUND, "a page of the site in place of the event: it is gone"
        return verdict
    try:
        envelope = _ENVELOPE_DECODER.decode(body)
    except BROKEN_JSON as error:
        return answer_checks.judge_json_error(error, body)
    kind = answer.request.kind
    if kind is PayloadKind.DETAIL:
        is_good = read_text(envelope.id) is not None
    else:
        root = envelope.with_regions if kind is PayloadKind.TREE else envelope.responses
        is_good = answer_checks.read_start(root).startswith(b"[")
    if is_good:
        return None
    if envelope.error is not None or envelope.server_message is not None:
        is_gone = kind is PayloadKind.DETAIL and envelope.error == "NOT_FOUND"
        return (
            FailureClass.NOT_FOUND if is_gone else FailureClass.PERMANENT,
            f"refused: {envelope.error or ''} {envelope.server_message or ''}".rstrip(),
        )
    return FailureClass.CONTRACT_BROKEN, f"no {kind} in the answer: {answer_checks.make_excerpt(body)}"


def _is_page_of_the_site(answer: Answer, body: bytes) -> bool:
    """Return whether the body is the site's own page, sent for an expired event.

    A challenge page must not count as one.
    """
    if (
        answer.failure is not None
        or answer.status != 200
        or answer.request.kind is not PayloadKind.DETAIL
        or not answer_checks.is_html(body)
    ):
        return False
    if answer_checks.detect_challenge(answer.status, answer.headers, None) is not None:
        return False
    page = body[:20_000].lower()
    return b"betpawa" in page and not any(word in page for word in _CHALLENGE_WORDS)


def build_listing(event: shapes.Event, path: str, config: DialectConfig) -> Listing:
    """Return the listing of the event at `path` in the answer. Raises UnreadableError with the place."""
    external_id, tournament = (
        read_key_text(event.id, f"{path}.id"),
        read_key_text(event.competition.id, f"{path}.competition.id"),
    )
    category = read_text(event.category.id)
    sport = Sport.FOOTBALL if category == EFOOTBALL_ID else config.find_sport(category)
    if sport is None:
        raise UnreadableError(f"{path}.category.id", f"sport {category} is not covered")
    kickoff_at = parse_iso_instant(event.start_time)
    if kickoff_at is None:
        raise UnreadableError(f"{path}.startTime", f"{event.start_time!r} is no instant with a zone")
    home, away = _read_sides(event, path)
    country, name = read_text(read_object(event.region).get("name")), (event.competition.name or "").strip()
    kind = ListingKind.MATCH if home and away else ListingKind.ANTEPOST
    if category == EFOOTBALL_ID or is_simulated(country, name, home, away):
        kind = ListingKind.SIMULATED
    sr_id, genius_id = _read_provider_ids(event.widgets)
    return Listing(
        platform=config.platform,
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
        n_markets_declared=read_count(event.total_market_count),
        is_in_play=_is_in_play(event),
    )


def _read_sides(event: shapes.Event, path: str) -> tuple[str, str]:
    """Return home and away by position; two empty names when there are not two sides.

    The event's name is never split, because names contain dashes too.
    """
    participants = event.participants or []
    if len(participants) < 2:
        return "", ""
    by_position = {read_integer(participant.position): participant.name.strip() for participant in participants}
    home, away = by_position.get(1), by_position.get(2)
    if not home or not away:
        raise UnreadableError(f"{path}.participants", "no home and away by position")
    return home, away


def _read_provider_ids(widgets: Any) -> tuple[int | None, int | None]:
    """Return the SportRadar and the Genius id.

    A provider may appear several times; ids that contradict each other count as none.
    """
    ids_by_provider: dict[Any, set[int]] = {"SPORTRADAR": set(), "GENIUSSPORTS": set()}
    for widget in widgets if isinstance(widgets, list) else []:
        fields = read_object(widget)
        provider, number = fields.get("type"), read_positive_id(fields.get("id"))
        if number is not None and isinstance(provider, str) and provider in ids_by_provider:
            ids_by_provider[provider].add(number)
    sr, genius = (ids_by_provider[provider] for provider in ("SPORTRADAR", "GENIUSSPORTS"))
    return (sr.pop() if len(sr) == 1 else None), (genius.pop() if len(genius) == 1 else None)


def _is_in_play(event: shapes.Event) -> bool:
    results = read_object(event.results)
    return read_object(event.additional_info).get("live") is True or bool(
        results.get("display") or results.get("participantPeriodResults")
    )


def read_page_listings(answer: Answer, collection: collect_discovery.ListingCollection, config: DialectConfig) -> int:
    """Add the listings of a list answer to `collection`; return its number of events, readable or not."""
    try:
        blocks = decode(_BLOCKS_DECODER, read_json_body(answer), "$").responses
    except UnreadableError as error:
        collection.add_reject(None, error.path, error.reason, None)
        return 0
    listings: list[Listing] = []
    n = 0
    for b, block in enumerate(blocks):
        for e, raw in enumerate((block.responses if block else None) or ()):
            n += 1
            path = f"$.responses[{b}].responses[{e}]"
            try:
                listings.append(build_listing(decode(EVENT_DECODER, raw, path), path, config))
            except UnreadableError as error:
                external_id, tournament = _read_ids(raw)
                collection.add_reject(external_id, error.path, error.reason, tournament)
    collection.add_listings(collect_discovery.deduplicate_listings(listings))
    return n


def _read_ids(raw: msgspec.Raw) -> tuple[str | None, str | None]:
    try:
        ids = _EVENT_IDS_DECODER.decode(raw)
    except BROKEN_JSON:
        return None, None
    return read_text(ids.id), read_text(read_object(ids.competition).get("id"))


def read_tree(answer: Answer, sport: Sport, config: DialectConfig) -> collect_discovery.TournamentTree:
    """Return the sport's tree. Raises UnreadableError when the answer is no tree or lacks the sport."""
    node, sport_path = _find_sport_node(
        decode(_TREE_DECODER, read_json_body(answer), "$").with_regions, config.sport_ids[sport]
    )
    tree = collect_discovery.TournamentTree(n_events=_count_upcoming(node.event_counts))
    for r, raw_region in enumerate(node.regions or ()):
        path = f"{sport_path}.regions[{r}]"
        try:
            region = decode(_REGION_DECODER, raw_region, path)
        except UnreadableError as error:
            tree.add_reject(config.platform, error.path, error.reason)
            continue
        country = read_text(read_object(region.region).get("name"))
        if not region.competitions and _count_upcoming(region.event_counts):
            tree.add_reject(config.platform, f"{path}.competitions", "a region with events and without competitions")
        for c, raw in enumerate(region.competitions or ()):
            try:
                entry = decode(_COMPETITION_DECODER, raw, f"{path}.competitions[{c}]")
                key = read_key_text(entry.competition.id, f"{path}.competitions[{c}].competition.id")
            except UnreadableError as error:
                tree.add_reject(config.platform, error.path, error.reason)
                continue
            name = (entry.competition.name or "").strip()
            tree.tournaments[key] = collect_discovery.DeclaredTournament(
                key, name, country, None, _count_upcoming(entry.event_counts)
            )
    return tree.require_tournaments(sport_path)


def _find_sport_node(nodes: Sequence[msgspec.Raw], sport_id: str) -> tuple[shapes.SportNode, str]:
    for n, raw in enumerate(nodes):
        node = decode(_SPORT_DECODER, raw, f"$.withRegions[{n}]")
        if read_text(read_object(node.category).get("id")) == sport_id:
            return node, f"$.withRegions[{n}]"
    raise UnreadableError("$.withRegions", f"no node of sport {sport_id}")


def _count_upcoming(event_counts: Any) -> int | None:
    """Return the number of upcoming events.

    A missing count is 0; without any counts the number is unknown.
    """
    if not isinstance(event_counts, dict):
        return None
    return read_count(event_counts.get("upcoming", 0))
