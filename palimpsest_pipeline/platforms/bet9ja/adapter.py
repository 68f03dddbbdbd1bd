"""The adapter of Bet9ja's dialect. It contains configuration only."""

from collections.abc import Sequence

from palimpsest_pipeline.domain.enums import Platform, Sport
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.domain.observations import Detail, Discovery, Listing

from ..base import Crawl, DialectConfig
from . import book, discovery, endpoints, parse_events


class Bet9jaAdapter:
    """The adapter of Bet9ja."""

    parser_version: int = 3
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
        return () if answers else (endpoints.build_detail_request(external_id, sr_id, self._config),)

    def read_listing(self, answers: Sequence[Answer]) -> Listing:
        return book.read_listing(answers[0], self._config)

    def read_detail(self, answers: Sequence[Answer]) -> Detail:
        return book.read_detail(answers[0], self._config)
