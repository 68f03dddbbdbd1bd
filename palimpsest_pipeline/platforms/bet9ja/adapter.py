"""The adapter of Bet9ja's dialect. It contains configuration only."""

from collections.abc import Sequence

from palimpsest_pipeline.domain.enums import Platform, Sport
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.domain.observations import Discovery

from ..base import Crawl
from . import book, discovery, endpoints, parse_events


class Bet9jaAdapter:
    """The adapter of Bet9ja.

    `cache_version` is the client build number that every request carries. `max_lists` limits the competitions that one
    discovery requests.
    """

    platform: Platform = Platform.BET9JA
    parser_version: int = 3
    read_listing = staticmethod(book.read_listing)
    read_detail = staticmethod(book.read_detail)
    judge = staticmethod(parse_events.judge)

    def __init__(self, cache_version: str = endpoints.CACHE_VERSION, max_lists: int = discovery.MAX_LISTS) -> None:
        self._cache_version = cache_version
        self._max_lists = max_lists

    def build_headers(self) -> dict[str, str]:
        return endpoints.build_headers()

    def discover(self, sport: Sport) -> Crawl:
        return discovery.crawl(self._cache_version, sport, self._max_lists)

    def read_discovery(self, answers: Sequence[Answer], sport: Sport) -> Discovery:
        return discovery.read_discovery(
            [answer for answer in answers if answer.request.platform is self.platform], sport
        )

    def build_detail_request(self, external_id: str, sr_id: int | None) -> Request:
        return endpoints.build_detail_request(self._cache_version, external_id, sr_id)
