"""Bet9ja's requests as data: paths, parameters, headers. Reads no answers."""

from typing import Final

from palimpsest_pipeline.domain.enums import PayloadKind, Sport
from palimpsest_pipeline.domain.exchange import Request

from ..base import USER_AGENT, DialectConfig

FEED_PATH: Final = "/desktop/feapi/PalimpsestAjax"

GROUP_MARKET_IDS: Final = {Sport.FOOTBALL: "1", Sport.BASKETBALL: "12", Sport.TENNIS: "61"}
"""The market that a list shows; its prices are not used."""
MIN_LIVE_SPORT_ID: Final = 3_000_000
"""Sport ids of the in-play feed are the prematch ones plus this number.

The event ids of the in-play feed are another series than those of the prematch one.
"""


def build_headers(config: DialectConfig) -> dict[str, str]:
    """Return the headers of every request.

    Some of the site's edges refuse requests without referer or with a bare product token as user agent.
    """
    return {
        "user-agent": USER_AGENT,
        "accept": "application/json, text/plain, */*",
        "accept-language": "en-GB,en;q=0.9",
        "referer": f"{config.base_url}/",
        **config.headers,
    }


def build_tree_request(config: DialectConfig) -> Request:
    """Return the request for sports, countries and competitions with their event counts, for all sports."""
    return Request(
        platform=config.platform,
        kind=PayloadKind.TREE,
        path=f"{FEED_PATH}/GetSports",
        params={"DISP": "0", "v_cache_version": config.params["cache_version"]},
    )


def build_group_request(sport: Sport, group: str, config: DialectConfig) -> Request:
    """Return the request for all events of one competition. The answer for a list of ids is empty."""
    return Request(
        platform=config.platform,
        kind=PayloadKind.LISTING,
        path=f"{FEED_PATH}/GetEventsInGroupV2",
        params={
            "GROUPID": group,
            "DISP": "0",
            "GROUPMARKETID": GROUP_MARKET_IDS[sport],
            "v_cache_version": config.params["cache_version"],
        },
        tournament_external_id=group,
    )


def parse_group(request: Request) -> str | None:
    """Return the competition that a list request is for; None for any other request."""
    return request.params.get("GROUPID") or request.tournament_external_id


def build_detail_request(external_id: str, sr_id: int | None, config: DialectConfig) -> Request:
    """Return the request for the full book of one event."""
    return Request(
        platform=config.platform,
        kind=PayloadKind.DETAIL,
        path=f"{FEED_PATH}/GetEvent",
        params={"EVENTID": external_id, "v_cache_version": config.params["cache_version"]},
        external_id=external_id,
        sr_id=sr_id,
    )
