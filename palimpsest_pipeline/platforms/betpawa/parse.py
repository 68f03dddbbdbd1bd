"""Reading of BetPawa's events: one listing, one whole book, one list page, the tree. Asks nothing and knows no order of pages."""

from collections.abc import Sequence
from typing import Any

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
    is_simulated,
    iso_instant,
    object_of,
    odds_milli,
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
_EVENT = msgspec.json.Decoder(shapes.Event)
_EVENT_IDS = msgspec.json.Decoder(shapes.EventIds)
_DETAIL = msgspec.json.Decoder(shapes.EventDetail)
_MARKET = msgspec.json.Decoder(shapes.Market)

_CHALLENGE_WORDS = (b"just a moment", b"challenge", b"attention required", b"access denied", b"blocked", b"forbidden", b"captcha")


def judge(answer: Answer) -> judging.Verdict | None:
    """BetPawa's envelopes: the root key that each endpoint promises, and errors served with a good status."""
    verdict = judging.http_verdict(answer)
    body = answer.body or b""
    if verdict is not None:
        if _is_page_of_the_site(answer, body):
            return FailureClass.NOT_FOUND, "a page of the site in place of the event: it is gone"
        return verdict
    try:
        envelope = _ENVELOPE.decode(body)
    except BROKEN_JSON as error:
        return judging.json_verdict(error)
    kind = answer.request.kind
    if kind is PayloadKind.DETAIL:
        good = text(envelope.id) is not None
    else:
        root = envelope.with_regions if kind is PayloadKind.TREE else envelope.responses
        good = bytes(root).startswith(b"[")
    if good:
        return None
    if envelope.error is not None or envelope.server_message is not None:
        gone = kind is PayloadKind.DETAIL and envelope.error == "NOT_FOUND"
        return FailureClass.NOT_FOUND if gone else FailureClass.PERMANENT, f"refused: {envelope.error or ''} {envelope.server_message or ''}".rstrip()
    return FailureClass.CONTRACT_BROKEN, f"no {kind} in the answer: {judging.excerpt(body)}"


def _is_page_of_the_site(answer: Answer, body: bytes) -> bool:
    """An expired event may be answered with the site's own page. A challenge page must not pass for that."""
    if answer.failure is not None or answer.status != 200 or answer.request.kind is not PayloadKind.DETAIL or not judging.is_html(body):
        return False
    page = body[:20_000].lower()
    return b"betpawa" in page and not any(word in page for word in _CHALLENGE_WORDS)


def read_listing(answer: Answer) -> Listing:
    """Raises PayloadRejected."""
    body = body_of(BETPAWA, answer, judge(answer))
    try:
        listing = listing_of(decode(_EVENT, body, "$"), "$")
    except UnreadableError as error:
        raise PayloadRejected(BETPAWA, error.path, error.reason) from error
    return _asked_for(answer, listing)


def read_detail(answer: Answer) -> Detail:
    """Raises PayloadRejected, also when the match is in play."""
    body = body_of(BETPAWA, answer, judge(answer))
    try:
        event = decode(_DETAIL, body, "$")
        listing = _asked_for(answer, listing_of(event, "$"))
    except UnreadableError as error:
        raise PayloadRejected(BETPAWA, error.path, error.reason) from error
    if listing.in_play:
        raise PayloadRejected(BETPAWA, "$.additionalInfo.live", "in play: not a prematch book")
    rejects: list[Reject] = []
    return Detail(listing, _prices(listing.external_id, event.markets or [], rejects), rejects)


def _asked_for(answer: Answer, listing: Listing) -> Listing:
    asked = answer.request.external_id
    if asked is not None and asked != listing.external_id:
        raise PayloadRejected(BETPAWA, "$.id", f"the answer is about {listing.external_id}, asked was {asked}")
    return listing


def listing_of(event: shapes.Event, path: str) -> Listing:
    """The listing that an event claims to be. Raises UnreadableError."""
    external_id, category = text(event.id), text(event.category.id)
    tournament = text(event.competition.id)
    if external_id is None or tournament is None:
        raise UnreadableError(f"{path}.id" if external_id is None else f"{path}.competition.id", "empty id")
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


def _prices(external_id: str, markets: Sequence[msgspec.Raw], rejects: list[Reject]) -> RawPrices:
    prices = RawPrices()
    outcome_ids, outcome_names, odds, off = prices.outcome_id, prices.outcome_name, prices.odds_milli, prices.off
    for m, raw in enumerate(markets):
        try:
            market = decode(_MARKET, raw, f"$.markets[{m}]")
        except UnreadableError as error:
            rejects.append(Reject(BETPAWA, external_id, error.path, error.reason))
            continue
        market_id, market_name = str(market.market_type.id), market.market_type.name or ""
        for r, row in enumerate(market.row or ()):
            specifier = _specifier(row.handicap, market.market_type.handicap_type)
            if specifier is None:
                rejects.append(Reject(BETPAWA, external_id, f"$.markets[{m}].row[{r}].handicap", f"{row.handicap!r} is no line in quarters"))
                continue
            before = len(outcome_ids)
            for p, price in enumerate(row.prices or ()):
                name = text(price.name) or ""
                outcome = text(price.type_id) or name
                if not outcome:
                    rejects.append(Reject(BETPAWA, external_id, f"$.markets[{m}].row[{r}].prices[{p}]", "neither typeId nor name"))
                    continue
                outcome_ids.append(outcome)
                outcome_names.append(name or outcome)
                odds.append(odds_milli(price.odds if price.odds is not None else price.price))
                off.append(price.suspended is True)
            prices.market_id.append(market_id)
            prices.market_name.append(market_name)
            prices.specifier.append(specifier)
            prices.n_outcomes.append(len(outcome_ids) - before)
    return prices


def _specifier(handicap: Any, handicap_type: str | None) -> str | None:
    """The line in quarter units as text, '' for none, None when unreadable. v4 leaves zeros out, so a market with lines and no line is at 0."""
    if handicap is None:
        return "0" if handicap_type else ""
    line = integer(handicap)
    return None if line is None else str(line)


def page_listings(answer: Answer, found: collecting.Collected) -> int:
    """Adds the listings of a list answer to `found` and returns how many events it held, readable or not."""
    try:
        blocks = decode(_BLOCKS, answer.body or b"", "$").responses
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
                listings.append(listing_of(decode(_EVENT, raw, path), path))
            except UnreadableError as error:
                external_id, tournament = _ids_of(raw)
                found.reject(external_id, error.path, error.reason, tournament)
    found.add(collecting.once(listings))
    return n


def _ids_of(raw: msgspec.Raw) -> tuple[str | None, str | None]:
    try:
        ids = _EVENT_IDS.decode(raw)
    except BROKEN_JSON:
        return None, None
    return text(ids.id), text(object_of(ids.competition).get("id"))


def read_tree(answer: Answer, sport: Sport) -> collecting.Tree:
    """The sport's tree. Raises UnreadableError when the answer is no tree or does not hold the sport."""
    node, at = _sport_node(decode(_TREE, answer.body or b"", "$").with_regions, SPORT_IDS[sport])
    tree = collecting.Tree(total=_upcoming(node.event_counts))
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
            except UnreadableError as error:
                tree.reject(BETPAWA, error.path, error.reason)
                continue
            key, name = str(entry.competition.id), (entry.competition.name or "").strip()
            tree.tournaments[key] = collecting.Declared(key, name, country, None, _upcoming(entry.event_counts))
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
