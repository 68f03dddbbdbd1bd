"""BetPawa's requests as data: brands, sport ids, paths, parameters, headers. Reads no answers."""

import json
from dataclasses import dataclass
from typing import Final

import msgspec

from palimpsest_pipeline.domain.enums import PayloadKind, Platform, Sport
from palimpsest_pipeline.domain.exchange import Request

from ..base import USER_AGENT
from ..json_values import BROKEN_JSON, read_integer, read_object

API_VERSIONS: Final = ("v3", "v4")
PAGE_SIZE: Final = 100
"""The most events per list page; the site refuses more with 400."""

SPORT_IDS: Final = {Sport.FOOTBALL: "2", Sport.BASKETBALL: "3", Sport.TENNIS: "452"}
SPORTS: Final = {external_id: sport for sport, external_id in SPORT_IDS.items()}
EFOOTBALL_ID: Final = "101"
"""Electronic football: a separate category with football's market ids and its own SportRadar ids."""


@dataclass(frozen=True, slots=True)
class Brand:
    """One national site.

    Host and header value belong together. Event ids are the same on all sites; prices differ a little.
    """

    country: str
    base_url: str
    header: str


_BRAND_ROWS: Final = (
    ("ng", "www.betpawa.ng", "betpawa-nigeria"),
    ("gh", "www.betpawa.com.gh", "betpawa-ghana"),
    ("ke", "www.betpawa.co.ke", "betpawa-kenya"),
    ("ug", "www.betpawa.ug", "betpawa-uganda"),
    ("tz", "www.betpawa.co.tz", "betpawa-tanzania"),
    ("zm", "www.betpawa.co.zm", "betpawa-zambia"),
    ("rw", "www.betpawa.rw", "betpawa-rwanda"),
    ("cm", "www.betpawa.cm", "betpawa-cameroon"),
    ("sl", "sl.betpawa.com", "betpawa-sierraleone"),
    ("bj", "www.betpawa.bj", "betpawa-benin"),
    ("cg", "cg.betpawa.com", "betpawa-congobrazzaville"),
    ("cd", "www.betpawa.cd", "betpawa-drc"),
    ("ls", "ls.betpawa.com", "betpawa-lesotho"),
    ("mw", "www.betpawa.mw", "betpawa-malawi"),
    ("mz", "www.betpawa.co.mz", "betpawa-mozambique"),
    ("ao", "www.betpawa.ao", "betpawa-angola"),
    ("bw", "bw.betpawa.com", "betpawa-botswana"),
    ("lr", "lr.betpawa.com", "betpawa-liberia"),
    ("ml", "ml.betpawa.com", "betpawa-mali"),
    ("ss", "ss.betpawa.com", "betpawa-southsudan"),
    ("tg", "tg.betpawa.com", "betpawa-togo"),
    ("zw", "zw.betpawa.com", "betpawa-zimbabwe"),
)
BRANDS: Final = {country: Brand(country, f"https://{host}", header) for country, host, header in _BRAND_ROWS}


def build_headers(brand_header: str) -> dict[str, str]:
    """Return the headers of every request. For any other `accept` the site answers in protobuf."""
    return {
        "x-pawa-brand": brand_header,
        "x-pawa-language": "en",
        "accept": "application/json",
        "devicetype": "web",
        "user-agent": USER_AGENT,
    }


def build_tree_request(version: str, sport: Sport) -> Request:
    """Return the request for regions and competitions of a sport with their event counts."""
    return Request(
        platform=Platform.BETPAWA,
        kind=PayloadKind.TREE,
        path=f"/api/sportsbook/{version}/categories/list/{SPORT_IDS[sport]}",
        # Working clients use different parameters; the site ignores unknown ones.
        params={"includeRegions": "true", "withRegions": "true", "onlyMeta": "false"},
    )


def build_page_request(version: str, sport: Sport, skip: int) -> Request:
    """Return the request for one page of all upcoming events of a sport, by kickoff.

    It has no market filter: on v4 that would hide events without the market.
    """
    query = {"eventType": "UPCOMING", "categories": [SPORT_IDS[sport]], "zones": {}}
    body = {"queries": [{"query": query, "sort": {"startTime": "ASC"}, "skip": skip, "take": PAGE_SIZE}]}
    return Request(
        platform=Platform.BETPAWA,
        kind=PayloadKind.LISTING,
        path=f"/api/sportsbook/{version}/events/lists/by-queries",
        params={"q": json.dumps(body, separators=(",", ":"))},
    )


def build_detail_request(version: str, external_id: str, sr_id: int | None) -> Request:
    """Return the request for all markets of one event."""
    return Request(
        platform=Platform.BETPAWA,
        kind=PayloadKind.DETAIL,
        path=f"/api/sportsbook/{version}/events/{external_id}",
        external_id=external_id,
        sr_id=sr_id,
    )


@dataclass(frozen=True, slots=True)
class PageRange:
    """The part of the sweep that a list request covers."""

    n_skipped: int
    n_taken: int


def parse_page(request: Request, sport: Sport) -> PageRange | None:
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
        and query.get("categories") in ([SPORT_IDS[sport]], [int(SPORT_IDS[sport])])
        and not any(query.get(narrowing) for narrowing in ("zones", "hasOdds", "boosted", "startTime"))
    )
    if not is_whole_sport or skip is None or not take:
        return None
    return PageRange(skip, take)
