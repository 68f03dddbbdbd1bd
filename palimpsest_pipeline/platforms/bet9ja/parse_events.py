"""Reading of Bet9ja's events: what an answer is, one listing, one competition's list, the tree. Asks nothing and knows no order of requests."""

from datetime import UTC
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
    integer,
    is_empty_json,
    is_simulated,
    iso_instant,
    items_of,
    json_of,
    key_text,
    positive_id,
    text,
)
from . import shapes
from .endpoints import LIVE_SPORTS_FROM, SPORT_IDS, group_of

BET9JA = Platform.BET9JA
SPORTS: Final = {external_id: sport for sport, external_id in SPORT_IDS.items()}

ENVELOPE = msgspec.json.Decoder(shapes.Envelope)
_TREE = msgspec.json.Decoder(shapes.TreeData)
_SPORT = msgspec.json.Decoder(shapes.SportNode)
_COUNTRY = msgspec.json.Decoder(shapes.CountryNode)
_GROUP = msgspec.json.Decoder(shapes.GroupNode)
_LIST = msgspec.json.Decoder(shapes.ListData)
EVENT = msgspec.json.Decoder(shapes.Event)
_EVENT_IDS = msgspec.json.Decoder(shapes.EventIds)
_DETAIL = msgspec.json.Decoder(shapes.DetailAnswer[shapes.DetailKind])
DETAIL_KIND = msgspec.json.Decoder(shapes.DetailKind)

_SEPARATOR: Final = " - "
GOOD: Final = ("OK", "D")
"""Both come with whole events."""


def judge(answer: Answer) -> answer_checks.Verdict | None:
    """Bet9ja's envelope: `R` is "OK" and `D` has the type that the endpoint promises."""
    verdict = answer_checks.http_verdict(answer)
    if verdict is not None:
        return verdict
    body = json_of(answer)
    if answer.request.kind is PayloadKind.DETAIL and _is_event(body):
        return None
    try:
        envelope = ENVELOPE.decode(body)
        data = bytes(envelope.D)
        if answer.request.kind is PayloadKind.DETAIL:
            return _judge_detail(envelope.R, data)
        if envelope.R == "E":
            return FailureClass.RATE_LIMITED, 'R "E": throttled, or refused'
        if answer.request.kind is PayloadKind.TREE:
            good = envelope.R == "OK" and data.startswith(b"{") and _TREE.decode(data).PAL is not None
        else:
            # A list without `R` is taken when it holds events: they speak for themselves, an empty one does not.
            good = _is_list(envelope.R, data)
    except BROKEN_JSON as error:
        return answer_checks.json_verdict(error, body)
    return None if good else (FailureClass.CONTRACT_BROKEN, f"no {answer.request.kind}: R {envelope.R!r}, D {answer_checks.excerpt(data)}")


def _is_list(result: Any, data: bytes) -> bool:
    if result == "OK" and data[:1] in (b"{", b"[") and is_empty_json(data):
        return True
    return result in ("OK", None) and data.startswith(b"{") and (result == "OK" or bool(_LIST.decode(data).E))


def _is_event(body: bytes) -> bool:
    """Whether a detail is as it should be, in one pass. One that is not is looked at part by part, to say what it is."""
    try:
        found = _DETAIL.decode(body)
    except BROKEN_JSON:
        return False
    return found.R in GOOD and text(found.D.ID) is not None


def _judge_detail(result: Any, data: bytes) -> answer_checks.Verdict | None:
    if result in ("E", "D", "OK") and is_empty_json(data):
        return FailureClass.NOT_FOUND, f"R {result!r} without an event: unknown, begun or withdrawn"
    if result not in GOOD or not data.startswith(b"{"):
        return FailureClass.CONTRACT_BROKEN, f"no event: R {result!r}, D {answer_checks.excerpt(data)}"
    found = DETAIL_KIND.decode(data)
    if text(found.ID) is None and not bytes(found.AA):
        return FailureClass.NOT_FOUND, f"R {result!r} without an event id"
    return None


def listing_of(event: shapes.Event, path: str, group: str | None = None, asked_sport: Sport | None = None) -> Listing:
    """The listing that an event claims to be. `group` and `asked_sport` stand in where it is silent. Raises UnreadableError."""
    external_id, tournament = key_text(event.ID, f"{path}.ID"), key_text(text(event.GID) or group, f"{path}.GID")
    sport_id = integer(event.SID)
    if sport_id is not None and sport_id >= LIVE_SPORTS_FROM:
        raise UnreadableError(f"{path}.SID", "in play: an event of the in-play feed")
    kickoff_at = iso_instant(event.STARTDATEUTC, UTC) or iso_instant(event.STARTDATE, UTC)
    if kickoff_at is None:
        raise UnreadableError(f"{path}.STARTDATE", f"neither {event.STARTDATEUTC!r} nor {event.STARTDATE!r} is an instant")
    home, separator, away = (part.strip() for part in event.DS.partition(_SEPARATOR))
    is_match = bool(home and separator == "-" and away)
    # Outrights live under sports of their own: for them the sport that was asked for is the only one known.
    sport = SPORTS.get(text(event.SID) or "") or (asked_sport if event.SID is None or not is_match else None)
    if sport is None:
        raise UnreadableError(f"{path}.SID", f"sport {event.SID!r} is not covered")
    country, name = text(event.SG), text(event.GN) or ""
    kind = ListingKind.MATCH if is_match else ListingKind.ANTEPOST
    if is_match and is_simulated(country, name, home, away):
        kind = ListingKind.SIMULATED
    return Listing(
        platform=BET9JA,
        external_id=external_id,
        kind=kind,
        sport=sport,
        tournament_external_id=tournament,
        tournament_name=name,
        country_raw=country,
        home_team=home if is_match else event.DS.strip(),
        away_team=away if is_match else "",
        kickoff_at=kickoff_at,
        sr_id=positive_id(event.EXTID),
        genius_id=None,
        sr_tournament_id=None,
        n_markets_declared=count(event.MKNUM),
    )


def group_listings(answer: Answer, sport: Sport, found: collect_discovery.Collected) -> set[str]:
    """Adds the listings of one competition's list to `found`; returns the ids of those that are of the competition asked for."""
    group = group_of(answer.request)
    data = ENVELOPE.decode(json_of(answer)).D
    try:
        events = decode(_LIST, data, "$.D").E if not is_empty_json(bytes(data)) else None
    except UnreadableError as error:
        found.reject(None, error.path, error.reason, group)
        return set()
    listings: list[Listing] = []
    for e, raw in items_of(events):
        path = f"$.D.E[{e}]"
        try:
            listings.append(listing_of(decode(EVENT, raw, path), path, group, sport))
        except UnreadableError as error:
            external_id, tournament = _ids_of(raw)
            found.reject(external_id, error.path, error.reason, group or tournament)
    found.add(collect_discovery.once(listings))
    return {listing.external_id for listing in listings if group in (None, listing.tournament_external_id)}


def _ids_of(raw: msgspec.Raw) -> tuple[str | None, str | None]:
    try:
        ids = _EVENT_IDS.decode(raw)
    except BROKEN_JSON:
        return None, None
    return text(ids.ID), text(ids.GID)


def read_tree(answer: Answer, sport: Sport) -> collect_discovery.Tree:
    """The sport's tree. Raises UnreadableError when the answer is no tree or does not hold the sport. Pseudo-sports are other keys: never read."""
    key = SPORT_IDS[sport]
    sports = dict(items_of(decode(_TREE, ENVELOPE.decode(json_of(answer)).D, "$.D").PAL))
    if key not in sports:
        raise UnreadableError("$.D.PAL", f"no node of sport {key}")
    at = f'$.D.PAL["{key}"]'
    node = decode(_SPORT, sports[key], at)
    tree = collect_discovery.Tree(total=count(node.NUM))
    for c, raw_country in items_of(node.SG):
        path = f'{at}.SG["{c}"]'
        try:
            country = decode(_COUNTRY, raw_country, path)
        except UnreadableError as error:
            tree.reject(BET9JA, error.path, error.reason)
            continue
        if not country.G and count(country.NUM):
            tree.reject(BET9JA, f"{path}.G", "a country with events and without competitions")
        for group, raw in items_of(country.G):
            try:
                entry = decode(_GROUP, raw, f'{path}.G["{group}"]')
                key_text(group, f"{path}.G")
            except UnreadableError as error:
                tree.reject(BET9JA, error.path, error.reason)
                continue
            tree.tournaments[group] = collect_discovery.Declared(group, text(entry.G_DESC) or "", text(country.SG_DESC), None, count(entry.NUM))
    return tree.checked(at)
