"""SportyBet's requests as data: paths, parameters, headers. Reads no answers."""

from typing import Final

from palimpsest_pipeline.domain.enums import PayloadKind, Sport
from palimpsest_pipeline.domain.exchange import Request

from ..base import USER_AGENT, DialectConfig
from ..json_values import read_integer

PREMATCH_PRODUCT_ID: Final = "3"
LIVE_PRODUCT_ID: Final = "1"
"""Values of `productId`: SportRadar's numbers of its feeds before kickoff and in play."""

PAGE_SIZE: Final = 100
VIRTUAL_FOOTBALL_IDS: Final = ("sr:sport:202120001", "sr:sport:137")
"""Virtual and electronic football: separate sports without real players."""
SIMULATED_CATEGORY_IDS: Final = ("sr:category:2123", "sr:category:1033")
"""Simulated Reality League and Electronic Leagues: categories inside real football."""

MAIN_MARKET_IDS: Final = {Sport.FOOTBALL: "1", Sport.BASKETBALL: "219", Sport.TENNIS: "186"}
"""The market to embed in lists: the parameter is mandatory, its prices are not used."""


def build_headers(config: DialectConfig) -> dict[str, str]:
    """Return the headers of every request.

    The site itself sends the first three. They are a cheap precaution against refusals.
    """
    return {
        "clientid": "web",
        "operid": "2",
        "platform": "web",
        "accept": "application/json, text/plain, */*",
        "accept-language": "en",
        "referer": f"{config.base_url}/{config.params['country']}/sport/football",
        "user-agent": USER_AGENT,
        **config.headers,
    }


def build_tree_request(sport: Sport, config: DialectConfig) -> Request:
    """Return the request for categories and tournaments of a sport with their event counts."""
    return Request(
        platform=config.platform,
        kind=PayloadKind.TREE,
        path=f"/api/{config.params['country']}/factsCenter/popularAndSportList",
        params={"sportId": config.sport_ids[sport], "timeline": "", "productId": PREMATCH_PRODUCT_ID},
    )


def build_page_request(sport: Sport, page: int, config: DialectConfig) -> Request:
    """Return the request for one page, from 1, of all upcoming events of a sport.

    `option` 2 lists everything; 1 hides all events after a tournament's tenth.
    """
    return Request(
        platform=config.platform,
        kind=PayloadKind.LISTING,
        path=f"/api/{config.params['country']}/factsCenter/pcUpcomingEvents",
        params={
            "sportId": config.sport_ids[sport],
            "marketId": MAIN_MARKET_IDS[sport],
            "pageSize": str(PAGE_SIZE),
            "pageNum": str(page),
            "option": "2",
            "productId": PREMATCH_PRODUCT_ID,
        },
    )


def parse_page(request: Request, sport: Sport, config: DialectConfig) -> int | None:
    """Return the page of this sport's sweep that a request is for; None for any other request."""
    params = request.params
    if (
        not request.path.endswith("/pcUpcomingEvents")
        or params.get("sportId") != config.sport_ids[sport]
        or params.get("option") == "1"
    ):
        return None
    if any(params.get(narrowing) for narrowing in ("timeline", "startTimeline", "todayGames")):
        return None
    return read_integer(params.get("pageNum", "1"))


def build_detail_request(external_id: str, sr_id: int | None, config: DialectConfig) -> Request:
    """Return the request for all prematch markets of one event. The id keeps its `sr:match:`."""
    return Request(
        platform=config.platform,
        kind=PayloadKind.DETAIL,
        path=f"/api/{config.params['country']}/factsCenter/event",
        params={"eventId": external_id, "productId": PREMATCH_PRODUCT_ID},
        external_id=external_id,
        sr_id=sr_id,
    )
