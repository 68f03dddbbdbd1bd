"""The reader of SportPesa's games: verdict on an answer, one listing, one list, the tree.

Sends nothing and knows no order of pages.
"""

from datetime import datetime
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
    is_simulated,
    parse_epoch_ms,
    read_count,
    read_json_body,
    read_key_text,
    read_object,
    read_positive_id,
    read_text,
)
from ..league_lists import ListPage
from . import shapes
from .endpoints import LIST_SIZE, parse_game_sport

_ANY_DECODER = msgspec.json.Decoder(msgspec.Raw)
_LIST_DECODER = msgspec.json.Decoder(list[msgspec.Raw])
_MAP_DECODER = msgspec.json.Decoder(dict[str, msgspec.Raw])
_SPORT_DECODER = msgspec.json.Decoder(shapes.SportNode)
_COUNTRY_DECODER = msgspec.json.Decoder(shapes.CountryNode)
_LEAGUE_DECODER = msgspec.json.Decoder(shapes.LeagueNode)
GAME_DECODER = msgspec.json.Decoder(shapes.Game)

N_TEAMS: Final = 2


def judge(answer: Answer, config: DialectConfig) -> answer_checks.Verdict | None:
    """Return the failure that an answer shows.

    Every refusal by the site's edge means that the cookie is missing or has expired. A game counts as not found only
    when it was requested in the last of the configured sports.
    """
    verdict = answer_checks.judge_http(answer)
    if verdict is not None and verdict[0] is FailureClass.BLOCKED:
        return FailureClass.SESSION_EXPIRED, f"{verdict[1]}; the cookie in its headers is missing or has expired"
    if verdict is not None:
        return verdict
    body = read_json_body(answer)
    try:
        start = answer_checks.read_start(_ANY_DECODER.decode(body)).lstrip()[:1]
    except BROKEN_JSON as error:
        return answer_checks.judge_json_error(error, body)
    return _judge_list(answer, body, config) if start == b"[" else _judge_map(answer, body)


def _judge_list(answer: Answer, body: bytes, config: DialectConfig) -> answer_checks.Verdict | None:
    entries = _LIST_DECODER.decode(body)
    if entries and not all(answer_checks.read_start(entry).startswith(b"{") for entry in entries):
        return FailureClass.CONTRACT_BROKEN, f"no {answer.request.kind}: {answer_checks.make_excerpt(body)}"
    sport_id = parse_game_sport(answer.request)
    is_last_sport = sport_id is None or sport_id == list(config.sport_ids.values())[-1]
    if answer.request.kind is PayloadKind.DETAIL and not entries and is_last_sport:
        return FailureClass.NOT_FOUND, "no game"
    return None


def _judge_map(answer: Answer, body: bytes) -> answer_checks.Verdict | None:
    books = _MAP_DECODER.decode(body)
    is_book = all(name.isdecimal() and answer_checks.read_start(book).startswith(b"[") for name, book in books.items())
    if answer.request.kind is PayloadKind.DETAIL and is_book:
        return None if books else (FailureClass.NOT_FOUND, "no game")
    return FailureClass.CONTRACT_BROKEN, f"no {answer.request.kind}: {answer_checks.make_excerpt(body)}"


def read_games(answer: Answer) -> list[msgspec.Raw]:
    """Return the games of a usable list. Raises UnreadableError."""
    return decode(_LIST_DECODER, read_json_body(answer), "$")


def read_books(answer: Answer) -> dict[str, msgspec.Raw]:
    """Return the books of a usable answer by the games' ids. Raises UnreadableError."""
    return decode(_MAP_DECODER, read_json_body(answer), "$")


def build_listing(game: shapes.Game, path: str, config: DialectConfig, seen_at: datetime) -> Listing:
    """Return the listing of the game at `path` in an answer seen at `seen_at`. Raises UnreadableError.

    No field shows that a match has begun. It counts as in play from its kickoff.
    """
    sport_id = read_text(read_object(game.sport).get("id"))
    sport = config.find_sport(sport_id)
    if sport is None:
        raise UnreadableError(f"{path}.sport.id", f"sport {sport_id} is not covered")
    external_id = read_key_text(game.id, f"{path}.id")
    competition, country = read_object(game.competition), read_text(read_object(game.country).get("name"))
    tournament_id = read_key_text(competition.get("id"), f"{path}.competition.id")
    kickoff_at = parse_epoch_ms(game.date_timestamp)
    if kickoff_at is None:
        raise UnreadableError(f"{path}.dateTimestamp", f"{game.date_timestamp!r} is no instant in milliseconds")
    home, away = _read_teams(game.competitors)
    name = read_text(competition.get("name")) or ""
    kind = ListingKind.SIMULATED if is_simulated(country, name, home, away) else ListingKind.MATCH
    if kind is ListingKind.MATCH and not (home and away):
        kind = ListingKind.ANTEPOST
    return Listing(
        platform=config.platform,
        external_id=external_id,
        kind=kind,
        sport=sport,
        tournament_external_id=tournament_id,
        tournament_name=name,
        country_raw=country,
        home_team=home,
        away_team=away,
        kickoff_at=kickoff_at,
        sr_id=read_positive_id(game.betradar_id) if kind is ListingKind.MATCH else None,
        genius_id=read_positive_id(game.betgenius_id) if kind is ListingKind.MATCH else None,
        sr_tournament_id=None,
        n_markets_declared=read_count(game.markets_count),
        is_in_play=kickoff_at <= seen_at,
    )


def _read_teams(competitors: Any) -> tuple[str, str]:
    teams = competitors if isinstance(competitors, list) and len(competitors) == N_TEAMS else [None, None]
    home, away = (read_text(read_object(team).get("name")) or "" for team in teams)
    return home, away


def read_list(
    answer: Answer, collection: collect_discovery.ListingCollection, config: DialectConfig
) -> ListPage | None:
    """Add the listings of a list to `collection` and return the page; None when it cannot be read."""
    try:
        raws = read_games(answer)
    except UnreadableError as error:
        collection.add_reject(None, error.path, error.reason, answer.request.tournament_external_id)
        return None
    listings, game_ids = [], []
    for n, raw in enumerate(raws):
        game_id = None
        try:
            game = decode(GAME_DECODER, raw, f"$[{n}]")
            game_id = read_text(game.id)
            listings.append(build_listing(game, f"$[{n}]", config, answer.observed_at))
        except UnreadableError as error:
            collection.add_reject(game_id, error.path, error.reason, answer.request.tournament_external_id)
        game_ids.append(game_id or f"$[{n}]")
    collection.add_listings(collect_discovery.deduplicate_listings(listings))
    return ListPage(game_ids, has_next=len(game_ids) >= LIST_SIZE)


def read_tree(answer: Answer, sport: Sport, config: DialectConfig) -> collect_discovery.TournamentTree:
    """Return the leagues of a sport, without counts.

    Raises UnreadableError when the answer is no tree, lacks the sport or shows no league.
    """
    tree = collect_discovery.TournamentTree()
    node, path = _find_sport_node(read_games(answer), config.sport_ids[sport])
    for c, raw_country in enumerate(node.countries or ()):
        country_path = f"{path}.countries[{c}]"
        try:
            country = decode(_COUNTRY_DECODER, raw_country, country_path)
        except UnreadableError as error:
            tree.add_reject(config.platform, error.path, error.reason)
            continue
        for n, raw in enumerate(country.leagues or ()):
            try:
                league = decode(_LEAGUE_DECODER, raw, f"{country_path}.leagues[{n}]")
                key = read_key_text(league.id, f"{country_path}.leagues[{n}].id")
            except UnreadableError as error:
                tree.add_reject(config.platform, error.path, error.reason)
                continue
            tree.tournaments[key] = collect_discovery.DeclaredTournament(
                key, read_text(league.name) or "", read_text(country.name), None, None
            )
    return tree.require_tournaments(f"{path}.countries")


def _find_sport_node(raws: list[msgspec.Raw], sport_id: str) -> tuple[shapes.SportNode, str]:
    for n, raw in enumerate(raws):
        try:
            node = decode(_SPORT_DECODER, raw, f"$[{n}]")
        except UnreadableError:
            continue  # the node of another sport may be unreadable; a missing node of ours raises below
        if read_text(node.id) == sport_id:
            return node, f"$[{n}]"
    raise UnreadableError("$", f"no node of sport {sport_id}")
