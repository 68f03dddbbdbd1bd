"""The adapter of SportyBet's dialect. It contains configuration only."""

from collections.abc import Sequence

from palimpsest_pipeline.domain.enums import Platform, Sport
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.domain.observations import Discovery

from ..base import Crawl
from . import book, discovery, endpoints, parse_events


class SportybetAdapter:
    """The adapter of SportyBet. `country` is the country code in the path."""

    platform: Platform = Platform.SPORTYBET
    parser_version: int = 3
    read_listing = staticmethod(book.read_listing)
    read_detail = staticmethod(book.read_detail)
    judge = staticmethod(parse_events.judge)

    def __init__(self, country: str = "ng", max_lists: int = discovery.MAX_LISTS) -> None:
        self._country = country
        self._max_lists = max_lists

    def build_headers(self) -> dict[str, str]:
        return endpoints.build_headers(self._country)

    def discover(self, sport: Sport) -> Crawl:
        return discovery.crawl(self._country, sport, self._max_lists)

    def read_discovery(self, answers: Sequence[Answer], sport: Sport) -> Discovery:
        return discovery.read_discovery(
            [answer for answer in answers if answer.request.platform is self.platform], sport
        )

    def build_detail_request(self, external_id: str, sr_id: int | None) -> Request:
        return endpoints.build_detail_request(self._country, external_id, sr_id)
