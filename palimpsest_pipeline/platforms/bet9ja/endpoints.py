"""Bet9ja's questions as data: sport ids, paths, parameters, headers. Reads no answers."""

from typing import Final

from palimpsest_pipeline.domain.enums import PayloadKind, Platform, Sport
from palimpsest_pipeline.domain.exchange import Request

from ..base import USER_AGENT

BASE_URL: Final = "https://sports.bet9ja.com"
FEED_PATH: Final = "/desktop/feapi/PalimpsestAjax"
CACHE_VERSION: Final = "1.301.2.225"
"""Build number of the site's own client, added to every call; any value is taken."""

SPORT_IDS: Final = {Sport.FOOTBALL: "1", Sport.BASKETBALL: "2", Sport.TENNIS: "5"}
GROUP_MARKET_IDS: Final = {Sport.FOOTBALL: "1", Sport.BASKETBALL: "12", Sport.TENNIS: "61"}
"""Which markets a list shows; its prices are not used."""
MIN_LIVE_SPORT_ID: Final = 3_000_000
"""Sport ids of the in-play feed are the prematch ones above this number; its event ids are another series."""


def build_headers() -> dict[str, str]:
    """Headers of every request.

    Some of the site's edges refuse requests without referer or with a bare product token as user agent.
    """
    return {
        "user-agent": USER_AGENT,
        "accept": "application/json, text/plain, */*",
        "accept-language": "en-GB,en;q=0.9",
        "referer": f"{BASE_URL}/",
    }


def build_tree_request(cache_version: str) -> Request:
    """Sports, countries and competitions with their numbers of events; one answer for all sports."""
    return Request(
        platform=Platform.BET9JA,
        kind=PayloadKind.TREE,
        path=f"{FEED_PATH}/GetSports",
        params={"DISP": "0", "v_cache_version": cache_version},
    )


def build_group_request(cache_version: str, sport: Sport, group: str) -> Request:
    """All events of one competition. One id only: a list of ids is answered with nothing."""
    return Request(
        platform=Platform.BET9JA,
        kind=PayloadKind.LISTING,
        path=f"{FEED_PATH}/GetEventsInGroupV2",
        params={
            "GROUPID": group,
            "DISP": "0",
            "GROUPMARKETID": GROUP_MARKET_IDS[sport],
            "v_cache_version": cache_version,
        },
        tournament_external_id=group,
    )


def parse_group(request: Request) -> str | None:
    """The competition that a list request asked for; None when it asked for anything else."""
    return request.params.get("GROUPID") or request.tournament_external_id


def build_detail_request(cache_version: str, external_id: str, sr_id: int | None) -> Request:
    """The full book of one event."""
    return Request(
        platform=Platform.BET9JA,
        kind=PayloadKind.DETAIL,
        path=f"{FEED_PATH}/GetEvent",
        params={"EVENTID": external_id, "v_cache_version": cache_version},
        external_id=external_id,
        sr_id=sr_id,
    )
