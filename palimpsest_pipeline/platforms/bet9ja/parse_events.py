"""The reader of Bet9ja's events: verdict on an answer, one listing, one competition's list, the tree.

Sends nothing and knows no order of requests.
"""

from datetime import UTC
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
    iterate_items,
    parse_iso_instant,
    read_count,
    read_integer,
    read_json_body,
    read_key_text,
    read_positive_id,
    read_text,
)
from . import shapes
from .endpoints import MIN_LIVE_SPORT_ID, parse_group

ENVELOPE_DECODER = msgspec.json.Decoder(shapes.Envelope)
_TREE_DECODER = msgspec.json.Decoder(shapes.TreeData)
_SPORT_DECODER = msgspec.json.Decoder(shapes.SportNode)
_COUNTRY_DECODER = msgspec.json.Decoder(shapes.CountryNode)
_GROUP_DECODER = msgspec.json.Decoder(shapes.GroupNode)
_LIST_DECODER = msgspec.json.Decoder(shapes.ListData)
EVENT_DECODER = msgspec.json.Decoder(shapes.Event)
_EVENT_IDS_DECODER = msgspec.json.Decoder(shapes.EventIds)
_DETAIL_DECODER = msgspec.json.Decoder(shapes.DetailAnswer[shapes.DetailKind])
DETAIL_KIND_DECODER = msgspec.json.Decoder(shapes.DetailKind)

_TEAMS_SEPARATOR: Final = " - "
GOOD_RESULTS: Final = ("OK", "D")
"""Answers with either result hold whole events."""


def judge(answer: Answer) -> answer_checks.Verdict | None:
    """Return the failure of Bet9ja's envelope: `R` must be "OK" and `D` of the type the endpoint promises."""
    verdict = answer_checks.judge_http(answer)
    if verdict is not None:
        return verdict
    body = read_json_body(answer)
    if answer.request.kind is PayloadKind.DETAIL and _is_event(body):
        return None
    try:
        envelope = ENVELOPE_DECODER.decode(body)
        data = bytes(envelope.D)
        if answer.request.kind is PayloadKind.DETAIL:
            return _judge_detail(envelope.R, data)
        if envelope.R == "E":
            return FailureClass.RATE_LIMITED, 'R "E": throttled, or refused'
        if answer.request.kind is PayloadKind.TREE:
            good = envelope.R == "OK" and data.startswith(b"{") and _TREE_DECODER.decode(data).PAL is not None
        else:
            # A list without `R` is accepted when it holds events; an empty one without `R` proves nothing.
            good = _is_list(envelope.R, data)
    except BROKEN_JSON as error:
        return answer_checks.judge_json_error(error, body)
    return (
        None
        if good
        else (
            FailureClass.CONTRACT_BROKEN,
            f"no {answer.request.kind}: R {envelope.R!r}, D {answer_checks.make_excerpt(data)}",
        )
    )


def _is_list(result: Any, data: bytes) -> bool:
    if result == "OK" and data[:1] in (b"{", b"[") and is_empty_json(data):
        return True
    return result in ("OK", None) and data.startswith(b"{") and (result == "OK" or bool(_LIST_DECODER.decode(data).E))


def _is_event(body: bytes) -> bool:
    """Return whether a detail answer has the usual shape, in one pass.

    Any other answer is examined part by part, to name its failure.
    """
    try:
        detail = _DETAIL_DECODER.decode(body)
    except BROKEN_JSON:
        return False
    return detail.R in GOOD_RESULTS and read_text(detail.D.ID) is not None


def _judge_detail(result: Any, data: bytes) -> answer_checks.Verdict | None:
    if result in ("E", "D", "OK") and is_empty_json(data):
        return FailureClass.NOT_FOUND, f"R {result!r} without an event: unknown, begun or withdrawn"
    if result not in GOOD_RESULTS or not data.startswith(b"{"):
        return FailureClass.CONTRACT_BROKEN, f"no event: R {result!r}, D {answer_checks.make_excerpt(data)}"
    detail = DETAIL_KIND_DECODER.decode(data)
    if read_text(detail.ID) is None and not bytes(detail.AA):
        return FailureClass.NOT_FOUND, f"R {result!r} without an event id"
    return None


def build_listing(
    event: shapes.Event,
    path: str,
    config: DialectConfig,
    group: str | None = None,
    asked_sport: Sport | None = None,
) -> Listing:
    """Return the listing of the event at `path` in the answer. Raises UnreadableError with the place.

    `group` (the id of a competition) and `asked_sport` are used where the event names none.
    """
    external_id, tournament = (
        read_key_text(event.ID, f"{path}.ID"),
        read_key_text(read_text(event.GID) or group, f"{path}.GID"),
    )
    sport_id = read_integer(event.SID)
    if sport_id is not None and sport_id >= MIN_LIVE_SPORT_ID:
        raise UnreadableError(f"{path}.SID", "in play: an event of the in-play feed")
    kickoff_at = parse_iso_instant(event.STARTDATEUTC, UTC) or parse_iso_instant(event.STARTDATE, UTC)
    if kickoff_at is None:
        raise UnreadableError(
            f"{path}.STARTDATE", f"neither {event.STARTDATEUTC!r} nor {event.STARTDATE!r} is an instant"
        )
    home, separator, away = (part.strip() for part in event.DS.partition(_TEAMS_SEPARATOR))
    is_match = bool(home and separator == "-" and away)
    # Outrights have sport ids of their own: only the requested sport is known for them.
    sport = config.find_sport(read_text(event.SID)) or (asked_sport if event.SID is None or not is_match else None)
    if sport is None:
        raise UnreadableError(f"{path}.SID", f"sport {event.SID!r} is not covered")
    country, name = read_text(event.SG), read_text(event.GN) or ""
    kind = ListingKind.MATCH if is_match else ListingKind.ANTEPOST
    if is_match and is_simulated(country, name, home, away):
        kind = ListingKind.SIMULATED
    return Listing(
        platform=config.platform,
        external_id=external_id,
        kind=kind,
        sport=sport,
        tournament_external_id=tournament,
        tournament_name=name,
        country_raw=country,
        home_team=home if is_match else event.DS.strip(),
        away_team=away if is_match else "",
        kickoff_at=kickoff_at,
        sr_id=read_positive_id(event.EXTID),
        genius_id=None,
        sr_tournament_id=None,
        n_markets_declared=read_count(event.MKNUM),
    )


def read_group_listings(
    answer: Answer, sport: Sport, collection: collect_discovery.ListingCollection, config: DialectConfig
) -> set[str]:
    """Add the listings of one competition's list to `collection`; return the ids of its own listings.

    Listings of other competitions in the same answer are added but not returned.
    """
    group = parse_group(answer.request)
    data = ENVELOPE_DECODER.decode(read_json_body(answer)).D
    try:
        events = decode(_LIST_DECODER, data, "$.D").E if not is_empty_json(bytes(data)) else None
    except UnreadableError as error:
        collection.add_reject(None, error.path, error.reason, group)
        return set()
    listings: list[Listing] = []
    for e, raw in iterate_items(events):
        path = f"$.D.E[{e}]"
        try:
            listings.append(build_listing(decode(EVENT_DECODER, raw, path), path, config, group, sport))
        except UnreadableError as error:
            external_id, tournament = _read_ids(raw)
            collection.add_reject(external_id, error.path, error.reason, group or tournament)
    collection.add_listings(collect_discovery.deduplicate_listings(listings))
    return {listing.external_id for listing in listings if group in (None, listing.tournament_external_id)}


def _read_ids(raw: msgspec.Raw) -> tuple[str | None, str | None]:
    try:
        ids = _EVENT_IDS_DECODER.decode(raw)
    except BROKEN_JSON:
        return None, None
    return read_text(ids.ID), read_text(ids.GID)


def read_tree(answer: Answer, sport: Sport, config: DialectConfig) -> collect_discovery.TournamentTree:
    """Return the sport's tree.

    Raises UnreadableError when the answer is no tree or lacks the sport. Pseudo-sports have other keys and are never
    read.
    """
    key = config.sport_ids[sport]
    sports = dict(iterate_items(decode(_TREE_DECODER, ENVELOPE_DECODER.decode(read_json_body(answer)).D, "$.D").PAL))
    if key not in sports:
        raise UnreadableError("$.D.PAL", f"no node of sport {key}")
    sport_path = f'$.D.PAL["{key}"]'
    node = decode(_SPORT_DECODER, sports[key], sport_path)
    tree = collect_discovery.TournamentTree(n_events=read_count(node.NUM))
    for c, raw_country in iterate_items(node.SG):
        path = f'{sport_path}.SG["{c}"]'
        try:
            country = decode(_COUNTRY_DECODER, raw_country, path)
        except UnreadableError as error:
            tree.add_reject(config.platform, error.path, error.reason)
            continue
        if not country.G and read_count(country.NUM):
            tree.add_reject(config.platform, f"{path}.G", "a country with events and without competitions")
        for group, raw in iterate_items(country.G):
            try:
                entry = decode(_GROUP_DECODER, raw, f'{path}.G["{group}"]')
                read_key_text(group, f"{path}.G")
            except UnreadableError as error:
                tree.add_reject(config.platform, error.path, error.reason)
                continue
            tree.tournaments[group] = collect_discovery.DeclaredTournament(
                group, read_text(entry.G_DESC) or "", read_text(country.SG_DESC), None, read_count(entry.NUM)
            )
    return tree.require_tournaments(sport_path)
