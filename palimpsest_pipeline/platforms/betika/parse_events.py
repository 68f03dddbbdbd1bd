"""The reader of Betika's matches: verdict on an answer, one listing, one page of the list, the tree.

Sends nothing and knows no order of pages.
"""

from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

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
    parse_iso_instant,
    read_count,
    read_json_body,
    read_key_text,
    read_object,
    read_positive_id,
    read_text,
)
from . import shapes

ENVELOPE_DECODER = msgspec.json.Decoder(shapes.Envelope)
MATCH_DECODER = msgspec.json.Decoder(shapes.Match)
_ANSWER_DECODER = msgspec.json.Decoder(shapes.Answer)
_CATEGORY_DECODER = msgspec.json.Decoder(shapes.Category)
_COMPETITION_DECODER = msgspec.json.Decoder(shapes.Competition)
_MATCH_IDS_DECODER = msgspec.json.Decoder(shapes.MatchIds)

_SPORTRADAR: Final = (None, "sr")
"""Values of `provider` of matches whose `parent_match_id` is SportRadar's.

Older answers have no provider.
"""


def judge(answer: Answer) -> answer_checks.Verdict | None:
    """Return the failure that an answer shows. The platform has no codes of its own: the shape decides."""
    verdict = answer_checks.judge_http(answer)
    if verdict is not None:
        return verdict
    body = read_json_body(answer)
    try:
        envelope = ENVELOPE_DECODER.decode(body)
    except BROKEN_JSON as error:
        return answer_checks.judge_json_error(error, body)
    data, meta = answer_checks.read_start(envelope.data), answer_checks.read_start(envelope.meta)
    if answer.request.kind is PayloadKind.DETAIL and is_empty_json(data) and is_empty_json(meta):
        return FailureClass.NOT_FOUND, "neither markets nor a match"
    if not data.startswith(b"[") or not meta.startswith(b"{"):
        excerpt = answer_checks.make_excerpt(body)
        return FailureClass.CONTRACT_BROKEN, f"no {answer.request.kind} with data and meta: {excerpt}"
    return None


@lru_cache(maxsize=4)
def _get_zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def make_tournament_key(category: Any, competition: Any, path: str) -> str:
    """Return the id of a competition: `<category>/<competition>`. Raises UnreadableError with `path`.

    The platform's number is in lists and in the tree, but not in details.
    """
    names = read_text(category), read_text(competition)
    if None in names:
        raise UnreadableError(path, "no category or no competition")
    return read_key_text("/".join(name or "" for name in names), path)


def build_listing(match: shapes.Match, path: str, config: DialectConfig) -> Listing:
    """Return the listing of the match at `path` in the answer. Raises UnreadableError with the place.

    It is in play when the match's clock, score or status shows it, not already at its kickoff: lists and tree keep a
    match for some seconds longer. Only the reader of details also compares the kickoff.
    """
    sport_id = read_text(match.sport_id)
    sport = config.find_sport(sport_id)
    if sport is None:
        raise UnreadableError(f"{path}.sport_id", f"sport {sport_id} is not covered")
    external_id = read_key_text(match.parent_match_id, f"{path}.parent_match_id")
    kickoff_at = parse_iso_instant(match.start_time, _get_zone(config.time_zone))
    if kickoff_at is None:
        raise UnreadableError(f"{path}.start_time", f"{match.start_time!r} is no instant")
    home, away = (match.home_team or "").strip(), (match.away_team or "").strip()
    if not (home and away):
        raise UnreadableError(f"{path}.home_team", "a match without two team names")
    country, name = read_text(match.category), read_text(match.competition_name) or ""
    is_virtual = bool(match.is_esport or match.is_srl) or is_simulated(country, name, home, away)
    return Listing(
        platform=config.platform,
        external_id=external_id,
        kind=ListingKind.SIMULATED if is_virtual else ListingKind.MATCH,
        sport=sport,
        tournament_external_id=make_tournament_key(country, name, f"{path}.competition_name"),
        tournament_name=name,
        country_raw=country,
        home_team=home,
        away_team=away,
        kickoff_at=kickoff_at,
        sr_id=read_positive_id(external_id) if (read_text(match.provider) in _SPORTRADAR) else None,
        genius_id=None,
        sr_tournament_id=None,
        # `side_bets` counts neither markets nor lines, so it declares nothing.
        n_markets_declared=None,
        is_in_play=_has_begun(match),
    )


def _has_begun(match: shapes.Match) -> bool:
    return bool(match.match_time or match.event_status or match.current_score or match.match_status)


def read_page(answer: Answer, collection: collect_discovery.ListingCollection, config: DialectConfig) -> int:
    """Add the listings of a page to `collection` and return the number of its matches, readable or not."""
    try:
        content = decode(_ANSWER_DECODER, read_json_body(answer), "$")
    except UnreadableError as error:
        collection.add_reject(None, error.path, error.reason, None)
        return 0
    listings: list[Listing] = []
    for m, raw in enumerate(content.data):
        path = f"$.data[{m}]"
        match_id, tournament = _read_ids(raw)
        try:
            listings.append(build_listing(decode(MATCH_DECODER, raw, path), path, config))
        except UnreadableError as error:
            collection.add_reject(match_id, error.path, error.reason, tournament)
    collection.add_listings(collect_discovery.deduplicate_listings(listings))
    return len(content.data)


def _read_ids(raw: msgspec.Raw) -> tuple[str | None, str | None]:
    """Return the ids of a match and of its tournament, each None when it cannot be read."""
    try:
        ids = _MATCH_IDS_DECODER.decode(raw)
    except BROKEN_JSON:
        return None, None
    try:
        return read_text(ids.parent_match_id), make_tournament_key(ids.category, ids.competition_name, "$")
    except UnreadableError:
        return read_text(ids.parent_match_id), None


def read_tree(answer: Answer, sport: Sport, config: DialectConfig) -> collect_discovery.TournamentTree:
    """Return the tree of a sport. Raises UnreadableError when the answer is no tree.

    The sport is known from the request only: the answer does not name it.
    """
    asked_id = answer.request.params.get("id", config.sport_ids[sport])
    if asked_id != config.sport_ids[sport]:
        raise UnreadableError("$", f"the tree of sport {asked_id}")
    content = decode(_ANSWER_DECODER, read_json_body(answer), "$")
    n_competitions = read_count(read_object(content.meta).get("total"))
    tree = collect_discovery.TournamentTree(n_events=0 if n_competitions == 0 else None)
    n_shown = 0
    for c, raw_category in enumerate(content.data):
        path = f"$.data[{c}]"
        try:
            category = decode(_CATEGORY_DECODER, raw_category, path)
        except UnreadableError as error:
            tree.add_reject(config.platform, error.path, error.reason)
            continue
        for t, raw in enumerate(category.competitions or ()):
            n_shown += 1
            try:
                _add_competition(tree, category, raw, f"{path}.competitions[{t}]")
            except UnreadableError as error:
                tree.add_reject(config.platform, error.path, error.reason)
    if n_competitions is None or n_shown < n_competitions:
        reason = f"the tree counts {n_competitions} competitions and shows {n_shown}"
        tree.add_reject(config.platform, "$.meta.total", reason)
    return tree.require_tournaments("$.data")


def _add_competition(
    tree: collect_discovery.TournamentTree, category: shapes.Category, raw: msgspec.Raw, path: str
) -> None:
    """Add a competition to the tree.

    Two of the same name and category are one tournament, with both counts.
    """
    competition = decode(_COMPETITION_DECODER, raw, path)
    key = make_tournament_key(category.category_name, competition.competition_name, f"{path}.competition_name")
    count = read_count(competition.count)
    first = tree.tournaments.get(key)
    if first is not None:
        count = None if count is None or first.n_declared is None else count + first.n_declared
    name = read_text(competition.competition_name) or ""
    tree.tournaments[key] = collect_discovery.DeclaredTournament(
        key, name, read_text(category.category_name), None, count
    )
