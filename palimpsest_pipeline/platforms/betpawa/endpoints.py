"""BetPawa's questions as data: brands, sport ids, paths, parameters, headers. Reads no answers."""

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
"""The most events that one list page may ask for; more is refused with 400."""

SPORT_IDS: Final = {Sport.FOOTBALL: "2", Sport.BASKETBALL: "3", Sport.TENNIS: "452"}
SPORTS: Final = {external_id: sport for sport, external_id in SPORT_IDS.items()}
EFOOTBALL_ID: Final = "101"
"""Electronic football: a category of its own, with football's market ids and SportRadar ids of its own."""


@dataclass(frozen=True, slots=True)
class Brand:
    """A national site.

    Host and header value travel together; event ids are the same on all of them, prices differ a little.
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
    """Headers of every request. JSON must be asked for by name: any other `accept` is answered in protobuf."""
    return {
        "x-pawa-brand": brand_header,
        "x-pawa-language": "en",
        "accept": "application/json",
        "devicetype": "web",
        "user-agent": USER_AGENT,
    }


def build_tree_request(version: str, sport: Sport) -> Request:
    """Regions and competitions of a sport with their numbers of events."""
    return Request(
        platform=Platform.BETPAWA,
        kind=PayloadKind.TREE,
        path=f"/api/sportsbook/{version}/categories/list/{SPORT_IDS[sport]}",
        # The parameter differs between clients that work; unknown ones are ignored.
        params={"includeRegions": "true", "withRegions": "true", "onlyMeta": "false"},
    )


def build_page_request(version: str, sport: Sport, skip: int) -> Request:
    """One page of all upcoming events of a sport, by kickoff.

    No market filter: on v4 it makes events without that market disappear.
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
    """All markets of one event."""
    return Request(
        platform=Platform.BETPAWA,
        kind=PayloadKind.DETAIL,
        path=f"/api/sportsbook/{version}/events/{external_id}",
        external_id=external_id,
        sr_id=sr_id,
    )


@dataclass(frozen=True, slots=True)
class PageRange:
    """Which part of the sweep a list request asked for."""

    n_skipped: int
    n_taken: int


def parse_page(request: Request, sport: Sport) -> PageRange | None:
    """The page of this sport's sweep that the request asked for; None when it asked for anything else."""
    try:
        asked = read_object(msgspec.json.decode(request.params.get("q", "null")))
    except BROKEN_JSON:
        return None
    queries = asked.get("queries")
    if not isinstance(queries, list) or len(queries) != 1:
        return None
    query = read_object(read_object(queries[0]).get("query"))
    skip, take = read_integer(read_object(queries[0]).get("skip", 0)), read_integer(read_object(queries[0]).get("take"))
    whole_sport = (
        query.get("eventType", "UPCOMING") == "UPCOMING"
        and query.get("categories") in ([SPORT_IDS[sport]], [int(SPORT_IDS[sport])])
        and not any(query.get(narrowing) for narrowing in ("zones", "hasOdds", "boosted", "startTime"))
    )
    if not whole_sport or skip is None or not take:
        return None
    return PageRange(skip, take)
