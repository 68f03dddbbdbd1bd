"""The adapter of Betway's dialect. Holds configuration only."""

from collections.abc import Sequence

from palimpsest_pipeline.domain.enums import Platform, Sport
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.domain.observations import Detail, Discovery, Listing

from ..base import Crawl, DialectConfig
from . import book, discovery, endpoints, parse_events


class BetwayAdapter:
    """The adapter of Betway."""

    parser_version: int = 2
    judge = staticmethod(parse_events.judge)

    def __init__(self, config: DialectConfig) -> None:
        self._config = config

    @property
    def platform(self) -> Platform:
        return self._config.platform

    def build_headers(self) -> dict[str, str]:
        return endpoints.build_headers(self._config)

    def discover(self, sport: Sport) -> Crawl:
        return discovery.crawl(sport, self._config)

    def read_discovery(self, answers: Sequence[Answer], sport: Sport) -> Discovery:
        own_answers = [answer for answer in answers if answer.request.platform == self.platform]
        return discovery.read_discovery(own_answers, sport, self._config)

    def list_detail_requests(self, external_id: str, sr_id: int | None, answers: Sequence[Answer]) -> Sequence[Request]:
        return book.list_missing_requests(external_id, sr_id, answers, self._config)

    def read_listing(self, answers: Sequence[Answer]) -> Listing:
        return book.read_listing(answers, self._config)

    def read_detail(self, answers: Sequence[Answer]) -> Detail:
        return book.read_detail(answers, self._config)
