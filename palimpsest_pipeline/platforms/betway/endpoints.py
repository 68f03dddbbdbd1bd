"""Betway's requests as data: paths, parameters, headers. Reads no answers."""

from typing import Final

from palimpsest_pipeline.domain.enums import PayloadKind, Sport
from palimpsest_pipeline.domain.exchange import Request

from ..base import USER_AGENT, DialectConfig
from ..json_values import read_integer

_TREE_PATH: Final = "/br/_apis/sport/v1/Feeds/RegionsAndLeagues/"
_LIST_PATH: Final = "/br/_apis/sport/v1/BetBook/Filtered/"
_EVENT_PATH: Final = "/br/_apis/sport/v3/Feeds/Events/EventAndGameState"
_MARKETS_PATH: Final = "/br/_apis/sport/v1/MarketGroupings/MarketGroupNamesAndMarketsForEvent"

LIST_SIZE: Final = 100
MARKETS_SIZE: Final = 100
"""The most markets that one answer holds."""
LIST_MARKETS: Final = {
    Sport.FOOTBALL: "[Win/Draw/Win]",
    Sport.BASKETBALL: "[Basketball Win/Draw/Win]",
    Sport.TENNIS: "[Match Winner]",
}
"""The market to embed in lists. Without a name the site embeds all markets.

The name of a market of another sport gives an empty list."""
_REGION_PARAM: Final = "RegionAndLeagueIds[0].regionId"
_LEAGUE_PARAM: Final = "RegionAndLeagueIds[0].leagueId"
_LEAGUE_SEPARATOR: Final = "::"


def build_headers(config: DialectConfig) -> dict[str, str]:
    """Return the headers of every request."""
    return {"accept": "application/json", "user-agent": USER_AGENT, **config.headers}


def build_tree_request(config: DialectConfig, sport: Sport) -> Request:
    """Return the request for the regions and leagues of a sport. The answer has no counts."""
    return Request(
        platform=config.platform,
        kind=PayloadKind.TREE,
        path=_TREE_PATH + config.sport_ids[sport],
        params={"countryCode": config.params["country"]},
    )


def join_league(sport_id: str, region: str, league: str) -> str:
    """Return the id of a league: sport, region and league, because league slugs repeat among regions."""
    return _LEAGUE_SEPARATOR.join((sport_id, region, league))


def build_list_request(config: DialectConfig, sport: Sport, league_id: str, skip: int) -> Request:
    """Return the request for a page of one league's matches, without the first `skip` matches."""
    sport_id, region, league = league_id.split(_LEAGUE_SEPARATOR)
    return Request(
        platform=config.platform,
        kind=PayloadKind.LISTING,
        path=_LIST_PATH,
        params={
            "countryCode": config.params["country"],
            "sportId": sport_id,
            "Skip": str(skip),
            "Take": str(LIST_SIZE),
            "cultureCode": "en-US",
            "isEsport": "false",
            "boostedOnly": "false",
            "marketTypes": LIST_MARKETS[sport],
            "SortOrder": "League",
            _REGION_PARAM: region,
            _LEAGUE_PARAM: league,
        },
        tournament_external_id=league_id,
    )


def parse_list(request: Request, sport_id: str) -> tuple[str, int] | None:
    """Return the league and `skip` of a request for a list; None for any other request or sport."""
    params = request.params
    skip = read_integer(params.get("Skip"))
    if not request.path.endswith(_LIST_PATH) or params.get("sportId") != sport_id or skip is None:
        return None
    return join_league(sport_id, params.get(_REGION_PARAM, ""), params.get(_LEAGUE_PARAM, "")), skip


def build_event_request(config: DialectConfig, external_id: str, sr_id: int | None) -> Request:
    """Return the request for one match without its markets. The id has no `sr:match:` prefix."""
    return Request(
        platform=config.platform,
        kind=PayloadKind.DETAIL,
        path=_EVENT_PATH,
        params={"eventId": external_id, "countryCode": config.params["country"]},
        external_id=external_id,
        sr_id=sr_id,
    )


def build_markets_request(config: DialectConfig, external_id: str, sr_id: int | None, skip: int) -> Request:
    """Return the request for a page of a match's markets, without the first `skip` markets."""
    return Request(
        platform=config.platform,
        kind=PayloadKind.DETAIL,
        path=_MARKETS_PATH,
        params={
            "eventId": external_id,
            "marketGroupId": " ",
            "countryCode": config.params["country"],
            "cultureCode": "en-US",
            "skip": str(skip),
            "take": str(MARKETS_SIZE),
            "isBuildABetOnly": "false",
            "searchQuery": "",
        },
        external_id=external_id,
        sr_id=sr_id,
    )


def parse_markets_page(request: Request) -> tuple[int, int | None]:
    """Return `skip` of a request for markets and its page size, None without a limit."""
    return read_integer(request.params.get("skip")) or 0, read_integer(request.params.get("take")) or None
