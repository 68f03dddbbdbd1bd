"""The adapter of a dialect that is written as functions.

The packs of this package name their functions in `adapter.py`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

from palimpsest_pipeline.domain.enums import Platform, Sport
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.domain.observations import Detail, Discovery, Listing, PayloadRejected, RawPrices, Reject

from .base import Crawl, DialectConfig
from .json_values import UnreadableError


@dataclass(frozen=True, slots=True)
class Dialect:
    """The functions of a dialect.

    Methods of `PlatformAdapter` call them with the configuration. Those for books may also raise UnreadableError, which
    the adapter turns into PayloadRejected.
    """

    build_headers: Callable[[DialectConfig], dict[str, str]]
    crawl: Callable[[Sport, DialectConfig], Crawl]
    read_discovery: Callable[[Sequence[Answer], Sport, DialectConfig], Discovery]
    list_detail_requests: Callable[[str, int | None, Sequence[Answer], DialectConfig], Sequence[Request]]
    read_listing: Callable[[Sequence[Answer], DialectConfig], Listing]
    read_detail: Callable[[Sequence[Answer], DialectConfig], Detail]


class DialectAdapter:
    """The base class of adapters: the methods of `PlatformAdapter`, made of a dialect's functions.

    A subclass sets `parser_version`, `dialect` and `judge`. An adapter stores its `DialectConfig` and nothing else.
    """

    parser_version: int
    dialect: ClassVar[Dialect]

    def __init__(self, config: DialectConfig) -> None:
        self._config = config

    @property
    def platform(self) -> Platform:
        return self._config.platform

    def build_headers(self) -> dict[str, str]:
        return self.dialect.build_headers(self._config)

    def discover(self, sport: Sport) -> Crawl:
        return self.dialect.crawl(sport, self._config)

    def read_discovery(self, answers: Sequence[Answer], sport: Sport) -> Discovery:
        own_answers = [answer for answer in answers if answer.request.platform == self.platform]
        return self.dialect.read_discovery(own_answers, sport, self._config)

    def list_detail_requests(self, external_id: str, sr_id: int | None, answers: Sequence[Answer]) -> Sequence[Request]:
        with self._reject_unreadable():
            return self.dialect.list_detail_requests(external_id, sr_id, answers, self._config)

    def read_listing(self, answers: Sequence[Answer]) -> Listing:
        with self._reject_unreadable():
            return self.dialect.read_listing(answers, self._config)

    def read_detail(self, answers: Sequence[Answer]) -> Detail:
        with self._reject_unreadable():
            return self.dialect.read_detail(answers, self._config)

    @contextmanager
    def _reject_unreadable(self) -> Iterator[None]:
        try:
            yield
        except UnreadableError as error:
            raise PayloadRejected(self.platform, error.path, error.reason) from error


def ask_once(
    build_request: Callable[[str, int | None, DialectConfig], Request],
) -> Callable[[str, int | None, Sequence[Answer], DialectConfig], Sequence[Request]]:
    """Return the function `list_detail_requests` of a dialect in which one answer is the whole book.

    It returns the request of `build_request`, and none as soon as there is an answer.
    """

    def list_detail_requests(
        external_id: str, sr_id: int | None, answers: Sequence[Answer], config: DialectConfig
    ) -> Sequence[Request]:
        return () if answers else (build_request(external_id, sr_id, config),)

    return list_detail_requests


def require_asked(answers: Iterable[Answer], external_id: str, path: str, prefix: str = "") -> None:
    """Raise UnreadableError when one of the answers was requested for a listing other than `external_id`.

    `path` is the place of the id in the JSON, for the error. Ids that differ in `prefix` alone are equal.
    """
    for answer in answers:
        asked_id = answer.request.external_id
        if asked_id is not None and asked_id.removeprefix(prefix) != external_id.removeprefix(prefix):
            raise UnreadableError(path, f"the answer is about {external_id}, asked was {asked_id}")


def build_detail(listing: Listing, prices: RawPrices, damage: Iterable[tuple[str, str]]) -> Detail:
    """Return the detail; `damage` holds (path, reason) of each entry that was left out."""
    return Detail(listing, prices, [Reject(listing.platform, listing.external_id, *entry) for entry in damage])
