"""Betika's requests as data: paths, parameters, headers. Reads no answers."""

from typing import Final

from palimpsest_pipeline.domain.enums import PayloadKind, Sport
from palimpsest_pipeline.domain.exchange import Request

from ..base import USER_AGENT, DialectConfig
from ..json_values import read_integer

PAGE_SIZE: Final = 100
"""The largest number of matches per page that is known to work."""
_ALL_COMPETITIONS: Final = "1000"
_LIST_PATH: Final = "/v1/uo/matches"
_ALL_DAYS: Final = "9"
_BY_START_TIME: Final = "2"
_MAIN_MARKET_IDS: Final = "1,186,340"
"""The markets to embed in lists; they do not limit the matches, and their prices are not used."""


def build_headers(config: DialectConfig) -> dict[str, str]:
    """Return the headers of every request."""
    return {"accept": "application/json, text/plain, */*", "user-agent": USER_AGENT, **config.headers}


def build_tree_request(sport: Sport, config: DialectConfig) -> Request:
    """Return the request for categories and competitions of a sport with their match counts."""
    return Request(
        platform=config.platform,
        kind=PayloadKind.TREE,
        path="/v1/uo/sport",
        params={"page": "1", "limit": _ALL_COMPETITIONS, "id": config.sport_ids[sport]},
    )


def build_page_request(sport: Sport, page: int, config: DialectConfig) -> Request:
    """Return the request for one page, from 1, of all upcoming matches of a sport, by start time."""
    return Request(
        platform=config.platform,
        kind=PayloadKind.LISTING,
        path=_LIST_PATH,
        params={
            "page": str(page),
            "limit": str(PAGE_SIZE),
            "tab": "upcoming",
            "sub_type_id": _MAIN_MARKET_IDS,
            "sport_id": config.sport_ids[sport],
            "sort_id": _BY_START_TIME,
            "period_id": _ALL_DAYS,
            "esports": "false",
        },
    )


def parse_page(request: Request, sport: Sport, config: DialectConfig) -> int | None:
    """Return the page of this sport's sweep that a request is for; None for any other request."""
    expected = build_page_request(sport, 1, config).params
    is_page = request.path == _LIST_PATH and {**request.params, "page": "1"} == expected
    return read_integer(request.params.get("page", "1")) if is_page else None


def build_detail_request(external_id: str, sr_id: int | None, config: DialectConfig) -> Request:
    """Return the request for all markets of one match."""
    return Request(
        platform=config.platform,
        kind=PayloadKind.DETAIL,
        path="/v1/uo/match",
        params={"parent_match_id": external_id},
        external_id=external_id,
        sr_id=sr_id,
    )
