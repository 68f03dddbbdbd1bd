"""What every platform's dialect offers to the rest.

Dialects are sans-IO: they say what to ask and read what came; somebody else does the asking.
"""

from collections.abc import Generator, Iterable, Sequence
from typing import Final, Protocol

from palimpsest_pipeline.domain.enums import FailureClass, Platform, Sport
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.domain.observations import Detail, Discovery, Listing

USER_AGENT: Final = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)
"""A full browser identification; bare product tokens are refused by some edges."""


class DelayedBatch(list[Request]):
    """A batch that is asked only `pause_s` seconds after it was yielded: earlier, the same bodies would come again
    from a cache.
    """

    def __init__(self, requests: Iterable[Request], pause_s: float) -> None:
        super().__init__(requests)
        self.pause_s = pause_s


Crawl = Generator[list[Request], list[Answer], None]
"""Yields batches whose requests may run at the same time; is sent the last answer of each, in the same order.

A question that was not asked, because its host is asked no more, has an answer too: attempt 0, and why.
"""


class PlatformAdapter(Protocol):
    """One platform's dialect."""

    @property
    def platform(self) -> Platform: ...

    @property
    def parser_version(self) -> int:
        """Raised by one whenever the reading of answers changes, so that derived data say which reading made them."""
        ...

    def build_headers(self) -> dict[str, str]:
        """Headers of every request to this platform."""
        ...

    def discover(self, sport: Sport) -> Crawl:
        """The crawl that finds out what the platform lists: tree first, then lists to their end, and at last once
        more what failed or fell short.
        """
        ...

    def read_discovery(self, answers: Sequence[Answer], sport: Sport) -> Discovery:
        """Reading of the discovery answers of one cycle: any subset, order or repetition of them, failures included.

        The last good answer to a question counts; a failure after it does not undo it. Never raises: what cannot be
        read makes it partial or failed, in words.
        """
        ...

    def build_detail_request(self, external_id: str, sr_id: int | None) -> Request:
        """The question for one listing's whole book."""
        ...

    def read_listing(self, answer: Answer) -> Listing:
        """What a detail answer says of its own listing, without reading the book. `in_play` is set when the match has
        begun.

        Raises PayloadRejected when it cannot be read; its reason begins with "in play" when it is another feed's answer
        about a running match.
        """
        ...

    def read_detail(self, answer: Answer) -> Detail:
        """Listing and whole book. A single bad entry becomes a Reject.

        Raises PayloadRejected when the answer cannot be read, and with a reason that begins with "in play" when the
        match has begun: prices in play are never handed out as prematch ones.
        """
        ...

    def judge(self, answer: Answer) -> tuple[FailureClass, str] | None:
        """What makes an answer no answer, in this platform's own terms, whatever its status says.

        None when it may be read.
        """
        ...
