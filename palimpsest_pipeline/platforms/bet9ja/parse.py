"""Reading of Bet9ja's events: one listing, one whole book, one competition's list, the tree. Asks nothing and knows no order of requests."""

from collections.abc import Mapping
from datetime import UTC
from typing import Any, Final

import msgspec

from ...domain.exchange import Answer
from ...domain.observations import Detail, Listing, PayloadRejected, RawPrices, Reject
from ...domain.words import FailureClass, ListingKind, PayloadKind, Platform, Sport
from .. import collecting, judging
from ..reading import (
    BROKEN_JSON,
    UnreadableError,
    body_of,
    count,
    decode,
    integer,
    is_empty_json,
    is_simulated,
    iso_instant,
    items_of,
    object_of,
    odds_milli,
    positive_id,
    text,
)
from . import shapes
from .endpoints import LIVE_SPORTS_FROM, SPORT_IDS, group_of

BET9JA = Platform.BET9JA
SPORTS: Final = {external_id: sport for sport, external_id in SPORT_IDS.items()}

_ENVELOPE = msgspec.json.Decoder(shapes.Envelope)
_TREE = msgspec.json.Decoder(shapes.TreeData)
_SPORT = msgspec.json.Decoder(shapes.SportNode)
_COUNTRY = msgspec.json.Decoder(shapes.CountryNode)
_GROUP = msgspec.json.Decoder(shapes.GroupNode)
_LIST = msgspec.json.Decoder(shapes.ListData)
_EVENT = msgspec.json.Decoder(shapes.Event)
_EVENT_IDS = msgspec.json.Decoder(shapes.EventIds)
_DETAIL = msgspec.json.Decoder(shapes.EventDetail)
_DETAIL_KIND = msgspec.json.Decoder(shapes.DetailKind)
_LABEL = msgspec.json.Decoder(shapes.MarketLabel)

_SEPARATOR: Final = " - "


def judge(answer: Answer) -> judging.Verdict | None:
    """Bet9ja's envelope: `R` is "OK" and `D` has the type that the endpoint promises."""
    verdict = judging.http_verdict(answer)
    if verdict is not None:
        return verdict
    try:
        envelope = _ENVELOPE.decode(answer.body or b"")
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
        return judging.json_verdict(error)
    return None if good else (FailureClass.CONTRACT_BROKEN, f"no {answer.request.kind}: R {envelope.R!r}, D {judging.excerpt(data)}")


def _is_list(result: Any, data: bytes) -> bool:
    if result == "OK" and data[:1] in (b"{", b"[") and is_empty_json(data):
        return True
    return result in ("OK", None) and data.startswith(b"{") and (result == "OK" or bool(_LIST.decode(data).E))


def _judge_detail(result: Any, data: bytes) -> judging.Verdict | None:
    if result in ("E", "D", "OK") and is_empty_json(data):
        return FailureClass.NOT_FOUND, f"R {result!r} without an event: unknown, begun or withdrawn"
    if result not in ("OK", "D") or not data.startswith(b"{"):
        return FailureClass.CONTRACT_BROKEN, f"no event: R {result!r}, D {judging.excerpt(data)}"
    found = _DETAIL_KIND.decode(data)
    if text(found.ID) is None and not bytes(found.AA):
        return FailureClass.NOT_FOUND, f"R {result!r} without an event id"
    return None


def read_listing(answer: Answer) -> Listing:
    """Raises PayloadRejected, also for the in-play feed's answers: their ids are another series."""
    body = body_of(BET9JA, answer, judge(answer))
    try:
        data = _prematch_data(body)
        listing = listing_of(decode(_EVENT, data, "$.D"), "$.D")
    except UnreadableError as error:
        raise PayloadRejected(BET9JA, error.path, error.reason) from error
    return _asked_for(answer, listing)


def read_detail(answer: Answer) -> Detail:
    """Raises PayloadRejected, also for the in-play feed's answers."""
    body = body_of(BET9JA, answer, judge(answer))
    rejects: list[Reject] = []
    try:
        event = decode(_DETAIL, _prematch_data(body), "$.D")
        listing = _asked_for(answer, listing_of(event, "$.D"))
        prices = _prices(listing.external_id, event, rejects)
    except UnreadableError as error:
        raise PayloadRejected(BET9JA, error.path, error.reason) from error
    return Detail(listing, prices, rejects)


def _prematch_data(body: bytes) -> msgspec.Raw:
    data = _ENVELOPE.decode(body).D
    kind = decode(_DETAIL_KIND, data, "$.D")
    if bytes(kind.AA):
        raise UnreadableError("$.D.AA", "in play: an answer of the in-play feed")
    return data


def _asked_for(answer: Answer, listing: Listing) -> Listing:
    asked = answer.request.external_id
    if asked is not None and asked != listing.external_id:
        raise PayloadRejected(BET9JA, "$.D.ID", f"the answer is about {listing.external_id}, asked was {asked}")
    return listing


def listing_of(event: shapes.Event, path: str, group: str | None = None, asked_sport: Sport | None = None) -> Listing:
    """The listing that an event claims to be. `group` and `asked_sport` stand in where it is silent. Raises UnreadableError."""
    external_id, tournament = text(event.ID), text(event.GID) or group
    if external_id is None or tournament is None:
        raise UnreadableError(f"{path}.ID" if external_id is None else f"{path}.GID", "no id")
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


def _prices(external_id: str, event: shapes.EventDetail, rejects: list[Reject]) -> RawPrices:
    prices = RawPrices()
    market_ids, market_names, specifiers = prices.market_id, prices.market_name, prices.specifier
    outcome_ids, outcome_names, odds = prices.outcome_id, prices.outcome_name, prices.odds_milli
    names, labels = _labels(event.MK)
    if isinstance(event.O, list) and event.O:
        raise UnreadableError("$.D.O", "a filled list in place of prices by key")
    for key, value in object_of(event.O).items():
        prefix, _, rest = key.partition("_")
        named_line, _, outcome = rest.partition("_")
        name, _, line = named_line.partition("@")
        if not (prefix and name and outcome):
            rejects.append(Reject(BET9JA, external_id, f'$.D.O["{key}"]', "no price key: prefix, market and outcome between two underscores"))
            continue
        if prefix.startswith("LIVE"):
            raise UnreadableError(f'$.D.O["{key}"]', "in play: prices of the in-play feed")
        market_id = f"{prefix}_{name}"
        if not market_ids or (market_id, line) != (market_ids[-1], specifiers[-1]):
            market_ids.append(market_id)
            market_names.append(names.get(market_id, market_id))
            specifiers.append(line)
            prices.n_outcomes.append(0)
        prices.n_outcomes[-1] += 1
        outcome_ids.append(outcome)
        outcome_names.append(labels.get((market_id, outcome), outcome))
        odds.append(odds_milli(value.get("v") if isinstance(value, dict) else value))
    # The feed has no flag for "cannot be backed": a suspended price is simply 1.
    prices.off = [False] * len(outcome_ids)
    return prices


def _labels(market_descriptors: shapes.Collection) -> tuple[Mapping[str, str], Mapping[tuple[str, str], str]]:
    """Names of markets by id, and of outcomes by (market id, code). For display only, so what cannot be read is left out."""
    names: dict[str, str] = {}
    labels: dict[tuple[str, str], str] = {}
    for _, raw in items_of(market_descriptors):
        try:
            label = _LABEL.decode(raw)
        except BROKEN_JSON:
            continue
        market_id = text(label.ID)
        if market_id is None:
            continue
        names[market_id] = text(label.DS) or text(label.NAME) or market_id
        if isinstance(label.SGNK, list) and isinstance(label.SGN, list):
            labels.update(
                ((market_id, code), name)
                for code, name in zip(label.SGNK, label.SGN, strict=False)
                if isinstance(code, str) and isinstance(name, str)
            )
    return names, labels


def group_listings(answer: Answer, sport: Sport, found: collecting.Collected) -> set[str]:
    """Adds the listings of one competition's list to `found`; returns the ids of those that are of the competition asked for."""
    group = group_of(answer.request)
    data = _ENVELOPE.decode(answer.body or b"").D
    try:
        events = decode(_LIST, data, "$.D").E if not is_empty_json(bytes(data)) else None
    except UnreadableError as error:
        found.reject(None, error.path, error.reason, group)
        return set()
    listings: list[Listing] = []
    for e, raw in items_of(events):
        path = f"$.D.E[{e}]"
        try:
            listings.append(listing_of(decode(_EVENT, raw, path), path, group, sport))
        except UnreadableError as error:
            external_id, tournament = _ids_of(raw)
            found.reject(external_id, error.path, error.reason, group or tournament)
    found.add(collecting.once(listings))
    return {listing.external_id for listing in listings if group in (None, listing.tournament_external_id)}


def _ids_of(raw: msgspec.Raw) -> tuple[str | None, str | None]:
    try:
        ids = _EVENT_IDS.decode(raw)
    except BROKEN_JSON:
        return None, None
    return text(ids.ID), text(ids.GID)


def read_tree(answer: Answer, sport: Sport) -> collecting.Tree:
    """The sport's tree. Raises UnreadableError when the answer is no tree or does not hold the sport. Pseudo-sports are other keys: never read."""
    key = SPORT_IDS[sport]
    sports = dict(items_of(decode(_TREE, _ENVELOPE.decode(answer.body or b"").D, "$.D").PAL))
    if key not in sports:
        raise UnreadableError("$.D.PAL", f"no node of sport {key}")
    at = f'$.D.PAL["{key}"]'
    node = decode(_SPORT, sports[key], at)
    tree = collecting.Tree(total=count(node.NUM))
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
            except UnreadableError as error:
                tree.reject(BET9JA, error.path, error.reason)
                continue
            tree.tournaments[group] = collecting.Declared(group, text(entry.G_DESC) or "", text(country.SG_DESC), None, count(entry.NUM))
    return tree.checked(at)
