"""The reader of Betway's events: verdict on an answer, one listing, one list, the tree.

Sends nothing and knows no order of pages.
"""

from datetime import datetime
from typing import Final

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
    parse_epoch_ms,
    read_integer,
    read_json_body,
    read_key_text,
    read_positive_id,
    read_text,
)
from ..league_lists import ListPage
from . import shapes
from .endpoints import LIST_SIZE, join_league

_TREE_DECODER = msgspec.json.Decoder(shapes.Tree)
_REGION_DECODER = msgspec.json.Decoder(shapes.Region)
_LEAGUE_DECODER = msgspec.json.Decoder(shapes.League)
_LIST_DECODER = msgspec.json.Decoder(shapes.EventList)
DETAIL_DECODER = msgspec.json.Decoder(shapes.Detail)
EVENT_DECODER = msgspec.json.Decoder(shapes.Event)
_ENVELOPE_DECODER = msgspec.json.Decoder(dict[str, msgspec.Raw])

_SIMULATED_REGIONS: Final = frozenset({"esoccer", "ebasketball", "etennis"})
"""Regions of electronic matches, which are listed in the same sport and have no flag."""
_REQUIRED_LISTS: Final = {PayloadKind.TREE: "regions", PayloadKind.LISTING: "events"}


def judge(answer: Answer) -> answer_checks.Verdict | None:
    """Return the failure of an answer: an error message, or an object of another kind than requested."""
    verdict = answer_checks.judge_http(answer)
    if verdict is not None:
        return verdict
    body = read_json_body(answer)
    try:
        envelope = _ENVELOPE_DECODER.decode(body)
    except BROKEN_JSON as error:
        return answer_checks.judge_json_error(error, body)
    if "errorCode" in envelope:
        return FailureClass.PERMANENT, f"errorCode: {answer_checks.make_excerpt(body)}"
    kind = answer.request.kind
    names = (_REQUIRED_LISTS[kind],) if kind in _REQUIRED_LISTS else ("sportEvent", "marketsInGroup")
    starts = {name: answer_checks.read_start(envelope[name])[:1] for name in names if name in envelope}
    expected = {name: b"{" if name == "sportEvent" else b"[" for name in names}
    if not starts or any(start != expected[name] for name, start in starts.items()):
        return FailureClass.CONTRACT_BROKEN, f"no {kind}: {answer_checks.make_excerpt(body)}"
    return None


def build_listing(event: shapes.Event, path: str, config: DialectConfig) -> Listing:
    """Return the listing of the event at `path` in the answer. Raises UnreadableError with the place."""
    sport_id = read_text(event.sport_id)
    sport = config.find_sport(sport_id)
    if sport is None:
        raise UnreadableError(f"{path}.sportId", f"sport {sport_id} is not covered")
    external_id = read_key_text(event.event_id, f"{path}.eventId")
    region = read_key_text(event.region_id, f"{path}.regionId")
    league = read_key_text(event.league_id, f"{path}.leagueId")
    kickoff_at = _parse_epoch_s(event.expected_start_epoch)
    if kickoff_at is None:
        raise UnreadableError(f"{path}.expectedStartEpoch", f"{event.expected_start_epoch!r} is no instant in seconds")
    home, away = read_text(event.home_team) or "", read_text(event.away_team) or ""
    country, name = read_text(event.region), read_text(event.league) or ""
    kind = ListingKind.MATCH
    if event.is_outright is True:
        kind = ListingKind.ANTEPOST
    elif region in _SIMULATED_REGIONS or is_simulated(country, name, home, away):
        kind = ListingKind.SIMULATED
    if kind is ListingKind.MATCH and not (home and away):
        raise UnreadableError(f"{path}.homeTeam", "a match without two team names")
    return Listing(
        platform=config.platform,
        external_id=external_id,
        kind=kind,
        sport=sport,
        tournament_external_id=read_key_text(join_league(sport_id or "", region, league), f"{path}.leagueId"),
        tournament_name=name,
        country_raw=country,
        home_team=home,
        away_team=away,
        kickoff_at=kickoff_at,
        sr_id=read_positive_id(external_id) if kind is ListingKind.MATCH else None,
        genius_id=None,
        sr_tournament_id=None,
        n_markets_declared=None,
        is_in_play=event.is_live is True or event.is_finished is True,
    )


def _parse_epoch_s(value: object) -> datetime | None:
    seconds = read_integer(value)
    return None if seconds is None else parse_epoch_ms(seconds * 1000)


def read_list(
    answer: Answer, collection: collect_discovery.ListingCollection, config: DialectConfig
) -> ListPage | None:
    """Add the listings of a list to `collection` and return the page; None when it cannot be read."""
    try:
        page = decode(_LIST_DECODER, read_json_body(answer), "$")
    except UnreadableError as error:
        collection.add_reject(None, error.path, error.reason, answer.request.tournament_external_id)
        return None
    listings, event_ids = [], []
    for n, raw in enumerate(page.events):
        path = f"$.events[{n}]"
        event_id = None
        try:
            event = decode(EVENT_DECODER, raw, path)
            event_id = read_text(event.event_id)
            listings.append(build_listing(event, path, config))
        except UnreadableError as error:
            collection.add_reject(event_id, error.path, error.reason, answer.request.tournament_external_id)
        event_ids.append(event_id or path)
    collection.add_listings(collect_discovery.deduplicate_listings(listings))
    is_final = page.is_final_page
    if not isinstance(is_final, bool):
        is_final = len(event_ids) < LIST_SIZE
    return ListPage(event_ids, has_next=bool(event_ids) and not is_final)


def read_tree(answer: Answer, sport: Sport, config: DialectConfig) -> collect_discovery.TournamentTree:
    """Return the leagues of a sport, without counts.

    Raises UnreadableError when the answer is no tree or shows no league.
    """
    sport_id = config.sport_ids[sport]
    tree = collect_discovery.TournamentTree()
    for r, raw_region in enumerate(decode(_TREE_DECODER, read_json_body(answer), "$").regions):
        path = f"$.regions[{r}]"
        try:
            region = decode(_REGION_DECODER, raw_region, path)
            region_id = read_key_text(region.region_id, f"{path}.regionId")
        except UnreadableError as error:
            tree.add_reject(config.platform, error.path, error.reason)
            continue
        for n, raw in enumerate(region.leagues or ()):
            try:
                league = decode(_LEAGUE_DECODER, raw, f"{path}.leagues[{n}]")
                league_id = read_key_text(league.league_id, f"{path}.leagues[{n}].leagueId")
                key = read_key_text(join_league(sport_id, region_id, league_id), f"{path}.leagues[{n}].leagueId")
                if key.count("::") != 2:
                    raise UnreadableError(f"{path}.leagues[{n}].leagueId", f"{key!r} is no slug")
            except UnreadableError as error:
                tree.add_reject(config.platform, error.path, error.reason)
                continue
            tree.tournaments[key] = collect_discovery.DeclaredTournament(
                key, read_text(league.name) or "", read_text(region.name), None, None
            )
    return tree.require_tournaments("$.regions")
