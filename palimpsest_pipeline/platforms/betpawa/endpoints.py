"""BetPawa's requests as data: paths, parameters, headers. Reads no answers."""

import json
from dataclasses import dataclass
from typing import Final

import msgspec

from palimpsest_pipeline.domain.enums import PayloadKind, Sport
from palimpsest_pipeline.domain.exchange import Request

from ..base import USER_AGENT, DialectConfig
from ..json_values import BROKEN_JSON, read_integer, read_object

PAGE_SIZE: Final = 100
"""The most events per list page; the site refuses more with 400."""

EFOOTBALL_ID: Final = "101"
"""Electronic football: a separate category with football's market ids and its own SportRadar ids."""


def build_headers(config: DialectConfig) -> dict[str, str]:
    """Return the headers of every request. For any other `accept` the site answers in protobuf."""
    return {
        "x-pawa-brand": config.params["brand"],
        "x-pawa-language": "en",
        "accept": "application/json",
        "devicetype": "web",
        "user-agent": USER_AGENT,
        **config.headers,
    }


def build_tree_request(sport: Sport, config: DialectConfig) -> Request:
    """Return the request for regions and competitions of a sport with their event counts."""
    return Request(
        platform=config.platform,
        kind=PayloadKind.TREE,
        path=f"/api/sportsbook/{config.params['api_version']}/categories/list/{config.sport_ids[sport]}",
        # Working clients use different parameters; the site ignores unknown ones.
        params={"includeRegions": "true", "withRegions": "true", "onlyMeta": "false"},
    )


def build_page_request(sport: Sport, skip: int, config: DialectConfig) -> Request:
    """Return the request for one page of all upcoming events of a sport, by kickoff.

    It has no market filter: on v4 that would hide events without the market.
    """
    query = {"eventType": "UPCOMING", "categories": [config.sport_ids[sport]], "zones": {}}
    body = {"queries": [{"query": query, "sort": {"startTime": "ASC"}, "skip": skip, "take": PAGE_SIZE}]}
    return Request(
        platform=config.platform,
        kind=PayloadKind.LISTING,
        path=f"/api/sportsbook/{config.params['api_version']}/events/lists/by-queries",
        params={"q": json.dumps(body, separators=(",", ":"))},
    )


def build_detail_request(external_id: str, sr_id: int | None, config: DialectConfig) -> Request:
    """Return the request for all markets of one event."""
    return Request(
        platform=config.platform,
        kind=PayloadKind.DETAIL,
        path=f"/api/sportsbook/{config.params['api_version']}/events/{external_id}",
        external_id=external_id,
        sr_id=sr_id,
    )


@dataclass(frozen=True, slots=True)
class PageRange:
    """The part of the sweep that a list request covers."""

    n_skipped: int
    n_taken: int


def parse_page(request: Request, sport: Sport, config: DialectConfig) -> PageRange | None:
    """Return the page of this sport's sweep that a request is for; None for any other request."""
    try:
        request_body = read_object(msgspec.json.decode(request.params.get("q", "null")))
    except BROKEN_JSON:
        return None
    queries = request_body.get("queries")
    if not isinstance(queries, list) or len(queries) != 1:
        return None
    query = read_object(read_object(queries[0]).get("query"))
    skip, take = read_integer(read_object(queries[0]).get("skip", 0)), read_integer(read_object(queries[0]).get("take"))
    is_whole_sport = (
        query.get("eventType", "UPCOMING") == "UPCOMING"
        and query.get("categories") in ([config.sport_ids[sport]], [int(config.sport_ids[sport])])
        and not any(query.get(narrowing) for narrowing in ("zones", "hasOdds", "boosted", "startTime"))
    )
    if not is_whole_sport or skip is None or not take:
        return None
    return PageRange(skip, take)
