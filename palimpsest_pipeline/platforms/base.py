"""The interface that every platform's dialect implements.

Dialects do no I/O: they build requests and read answers. The scrape sends the requests.
"""

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from palimpsest_pipeline.domain.enums import FailureClass, Platform, Sport
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.domain.observations import Detail, Discovery, Listing

USER_AGENT: Final = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)
"""A full browser identification; some edges refuse bare product tokens."""


@dataclass(frozen=True, slots=True)
class DialectConfig:
    """The values that make a dialect the adapter of one platform: from its `pack.toml` and its settings.

    `base_url` is the site's own address, whatever host the requests go to. `time_zone` is the zone of local times in
    its answers. `params` are the dialect's own values. `max_lists` limits the lists (pages, competitions) that one
    discovery requests.
    """

    platform: Platform
    base_url: str
    time_zone: str
    headers: Mapping[str, str]
    sport_ids: Mapping[Sport, str]
    params: Mapping[str, str]
    max_lists: int

    def find_sport(self, external_id: str | None) -> Sport | None:
        """Return the sport that the platform calls by this id; None for any other."""
        return next((sport for sport, own_id in self.sport_ids.items() if own_id == external_id), None)


class DelayedBatch(list[Request]):
    """Requests to send only `pause_s` seconds after they were yielded.

    Before that, an edge cache would send the earlier bodies again.
    """

    def __init__(self, requests: Iterable[Request], pause_s: float) -> None:
        super().__init__(requests)
        self.pause_s = pause_s


Crawl = Generator[list[Request], list[Answer], None]
"""A generator that yields lists of requests, and receives the last answer of each request, in order.

The requests of a list may run at the same time. A request that was never sent, because its host is not asked any more,
has an answer too, with attempt 0 and the reason.
"""


class PlatformAdapter(Protocol):
    """The dialect of one platform. Its class takes a `DialectConfig` alone."""

    @property
    def platform(self) -> Platform: ...

    @property
    def parser_version(self) -> int:
        """The version of the parser.

        It must rise by one whenever the reading of answers changes, because derived rows name the version that read
        them.
        """
        ...

    def build_headers(self) -> dict[str, str]:
        """Return the headers of every request to this platform."""
        ...

    def discover(self, sport: Sport) -> Crawl:
        """Return the generator of requests that finds the platform's listings.

        It requests the tree (all tournaments with their numbers of events), then all lists of events, and finally once
        more everything that failed or had fewer events than declared.
        """
        ...

    def read_discovery(self, answers: Sequence[Answer], sport: Sport) -> Discovery:
        """Return the content of one cycle's discovery answers.

        `answers` may be any subset in any order, with repetitions and failures. The last good answer to a request
        counts; a later failure does not undo it. Never raises: unreadable content makes the discovery partial or
        failed, with a reason.
        """
        ...

    def list_detail_requests(self, external_id: str, sr_id: int | None, answers: Sequence[Answer]) -> Sequence[Request]:
        """Return the requests that one listing's book still needs; none when the book is complete.

        `answers` are the good answers so far, in any order and perhaps repeated. Without any, the result is the first
        requests. Raises PayloadRejected when the answers do not show what is missing, with the class of the book's
        failure: `transient` when the book has changed between two answers.
        """
        ...

    def read_listing(self, answers: Sequence[Answer]) -> Listing:
        """Return the listing in the detail answers of one attempt, without reading the book.

        `is_in_play` is set when the match has started. Raises PayloadRejected when an answer cannot be read; its
        reason begins with "in play" when the answer comes from the in-play feed.
        """
        ...

    def read_detail(self, answers: Sequence[Answer]) -> Detail:
        """Return the listing and the whole book of the detail answers of one attempt.

        `answers` may be in any order and repeated. A single bad entry becomes a Reject. Raises PayloadRejected when an
        answer cannot be read or is missing, and with a reason that begins with "in play" when the match has started.
        A part of a book, or in-play prices, are never returned as a prematch book.
        """
        ...

    def judge(self, answer: Answer) -> tuple[FailureClass, str] | None:
        """Return the failure that the answer's JSON reports, whatever its status; None for a usable answer."""
        ...
