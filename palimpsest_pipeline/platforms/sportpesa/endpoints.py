"""SportPesa's requests as data: paths, parameters, headers. Reads no answers."""

from typing import Final

from palimpsest_pipeline.domain.enums import PayloadKind, Sport
from palimpsest_pipeline.domain.exchange import Request

from ..base import USER_AGENT, DialectConfig
from ..json_values import read_integer

_TREE_PATH: Final = "/api/navigation"
_GAMES_PATH: Final = "/api/upcoming/games"
_MARKETS_PATH: Final = "/api/games/markets"

LIST_SIZE: Final = 100


def build_headers(config: DialectConfig) -> dict[str, str]:
    """Return the headers of every request, without the cookie: that is a secret of the settings."""
    return {
        "accept": "application/json, text/plain, */*",
        "x-requested-with": "XMLHttpRequest",
        "x-app-timezone": config.time_zone,
        "user-agent": USER_AGENT,
        **config.headers,
    }


def build_tree_request(config: DialectConfig) -> Request:
    """Return the request for the leagues of all sports. The answer has no counts."""
    return Request(platform=config.platform, kind=PayloadKind.TREE, path=_TREE_PATH)


def build_list_request(config: DialectConfig, sport: Sport, league_id: str, first: int) -> Request:
    """Return the request for the games of one league, from the one numbered `first`, which counts from 1.

    Without a league the answer has at most 100 games of the next day.
    """
    return Request(
        platform=config.platform,
        kind=PayloadKind.LISTING,
        path=_GAMES_PATH,
        params={
            "sportId": config.sport_ids[sport],
            "leagueId": league_id,
            "pag_count": str(LIST_SIZE),
            "pag_min": str(first),
        },
        tournament_external_id=league_id,
    )


def parse_list(request: Request, sport_id: str) -> tuple[str, int] | None:
    """Return the league and `first` of a request for a list; None for any other request or sport."""
    params = request.params
    league_id, first = params.get("leagueId"), read_integer(params.get("pag_min"))
    if not request.path.endswith(_GAMES_PATH) or params.get("sportId") != sport_id or not league_id or first is None:
        return None
    return league_id, first


def build_game_request(config: DialectConfig, external_id: str, sr_id: int | None, sport_id: str) -> Request:
    """Return the request for one game without its book.

    A game of another sport is answered with an empty list.
    """
    return Request(
        platform=config.platform,
        kind=PayloadKind.DETAIL,
        path=_GAMES_PATH,
        params={"gameId": external_id, "sportId": sport_id, "section": "markets", "pag_count": "1"},
        external_id=external_id,
        sr_id=sr_id,
    )


def parse_game_sport(request: Request) -> str | None:
    """Return the id of the sport in which a request looks for a game; None for any other request."""
    return request.params.get("sportId") if request.params.get("gameId") else None


def build_markets_request(config: DialectConfig, external_id: str, sr_id: int | None) -> Request:
    """Return the request for all markets of one game. The answer says nothing about the game itself."""
    return Request(
        platform=config.platform,
        kind=PayloadKind.DETAIL,
        path=_MARKETS_PATH,
        params={"games": external_id, "markets": "all"},
        external_id=external_id,
        sr_id=sr_id,
    )
