"""The adapter of BetPawa's dialect. It contains configuration only."""

from collections.abc import Sequence

from palimpsest_pipeline.domain.enums import Platform, Sport
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.domain.observations import Discovery

from ..base import Crawl
from . import book, discovery, endpoints, parse_events


class BetpawaAdapter:
    """The adapter of BetPawa.

    `api_version` is the version of the API to request (v3 or v4; both can be read). `brand` is the value of the header
    that belongs to the host.
    """

    platform: Platform = Platform.BETPAWA
    parser_version: int = 3
    read_listing = staticmethod(book.read_listing)
    read_detail = staticmethod(book.read_detail)
    judge = staticmethod(parse_events.judge)

    def __init__(
        self, api_version: str = "v4", brand: str = endpoints.BRANDS["ng"].header, max_lists: int = discovery.MAX_LISTS
    ) -> None:
        if api_version not in endpoints.API_VERSIONS:
            raise ValueError(f"BetPawa API version {api_version!r}: one of {', '.join(endpoints.API_VERSIONS)}")
        self._version = api_version
        self._brand = brand
        self._max_lists = max_lists

    def build_headers(self) -> dict[str, str]:
        return endpoints.build_headers(self._brand)

    def discover(self, sport: Sport) -> Crawl:
        return discovery.crawl(self._version, sport, self._max_lists)

    def read_discovery(self, answers: Sequence[Answer], sport: Sport) -> Discovery:
        return discovery.read_discovery(
            [answer for answer in answers if answer.request.platform is self.platform], sport
        )

    def build_detail_request(self, external_id: str, sr_id: int | None) -> Request:
        return endpoints.build_detail_request(self._version, external_id, sr_id)
