"""MSport's requests as data: paths, parameters, headers. Reads no answers."""

from typing import Final

from palimpsest_pipeline.domain.enums import PayloadKind, Sport
from palimpsest_pipeline.domain.exchange import Request

from ..base import USER_AGENT, DialectConfig

PREMATCH_PRODUCT_ID: Final = "3"
LIVE_PRODUCT_ID: Final = "1"
"""Values of `productId`: SportRadar's numbers of its feeds before kickoff and in play."""

PAGE_SIZE: Final = 100
_LIST_PATH: Final = "/sports-matches-list"


def build_headers(config: DialectConfig) -> dict[str, str]:
    """Return the headers of every request.

    `operid`, the country's operator number, is in the configured headers.
    """
    return {
        "clientid": "web",
        "platform": "web",
        "accept": "*/*",
        "accept-language": "en",
        "user-agent": USER_AGENT,
        **config.headers,
    }


def build_page_request(sport: Sport, cursor: str, config: DialectConfig) -> Request:
    """Return the request for the events that follow the event `cursor`; '' for the first page."""
    params = {"sportId": config.sport_ids[sport], "limit": str(PAGE_SIZE)}
    return Request(
        platform=config.platform,
        kind=PayloadKind.LISTING,
        path=_build_path(_LIST_PATH, config),
        params={**params, "lastEventId": cursor} if cursor else params,
    )


def parse_cursor(request: Request, sport: Sport, config: DialectConfig) -> str | None:
    """Return the cursor of a page of this sport, '' of the first page; None for any other request."""
    is_page = request.path.endswith(_LIST_PATH) and request.params.get("sportId") == config.sport_ids[sport]
    return request.params.get("lastEventId", "") if is_page else None


def build_detail_request(external_id: str, sr_id: int | None, config: DialectConfig) -> Request:
    """Return the request for all prematch markets of one event. The id keeps its `sr:match:`."""
    return Request(
        platform=config.platform,
        kind=PayloadKind.DETAIL,
        path=_build_path("/match/detail", config),
        params={"eventId": external_id, "productId": PREMATCH_PRODUCT_ID},
        external_id=external_id,
        sr_id=sr_id,
    )


def _build_path(path: str, config: DialectConfig) -> str:
    return f"/api/{config.params['country']}/facts-center/query/frontend{path}"
