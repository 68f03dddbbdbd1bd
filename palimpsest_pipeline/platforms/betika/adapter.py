"""The adapter of Betika's dialect."""

from ..dialect_adapter import Dialect, DialectAdapter, ask_once
from . import book, discovery, endpoints, parse_events


class BetikaAdapter(DialectAdapter):
    """The adapter of Betika."""

    parser_version = 2
    judge = staticmethod(parse_events.judge)
    dialect = Dialect(
        endpoints.build_headers,
        discovery.crawl,
        discovery.read_discovery,
        ask_once(endpoints.build_detail_request),
        book.read_listing,
        book.read_detail,
    )
