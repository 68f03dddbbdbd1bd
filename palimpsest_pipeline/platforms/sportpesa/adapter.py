"""The adapter of SportPesa's dialect."""

from palimpsest_pipeline.domain.exchange import Answer

from ..answer_checks import Verdict
from ..dialect_adapter import Dialect, DialectAdapter
from . import book, discovery, endpoints, parse_events


class SportpesaAdapter(DialectAdapter):
    """The adapter of SportPesa."""

    parser_version = 2
    dialect = Dialect(
        endpoints.build_headers,
        discovery.crawl,
        discovery.read_discovery,
        book.list_missing_requests,
        book.read_listing,
        book.read_detail,
    )

    def judge(self, answer: Answer) -> Verdict | None:
        return parse_events.judge(answer, self._config)
