"""The adapter of Betway's dialect."""

from ..dialect_adapter import Dialect, DialectAdapter
from . import book, discovery, endpoints, parse_events


class BetwayAdapter(DialectAdapter):
    """The adapter of Betway."""

    parser_version = 2
    judge = staticmethod(parse_events.judge)
    dialect = Dialect(
        endpoints.build_headers,
        discovery.crawl,
        discovery.read_discovery,
        book.list_missing_requests,
        book.read_listing,
        book.read_detail,
    )
