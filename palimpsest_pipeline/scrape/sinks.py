"""The receivers of a scrape's results, as protocols. No implementation that stores anything."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from palimpsest_pipeline.domain.cycles import EventOutcome
from palimpsest_pipeline.domain.enums import PayloadKind, Platform
from palimpsest_pipeline.domain.exchange import Answer


class AnswerSink(Protocol):
    """Receives every answer of every attempt, in order of arrival.

    An answer comes at once; the answers of one book come when the book is complete or has failed. Its errors end the
    scrape: no answer is fetched that cannot be stored.
    """

    def append(self, answer: Answer) -> None: ...

    def append_together(self, answers: Sequence[Answer]) -> None:
        """Receive the answers of one book, which must be stored together."""
        ...


@dataclass(frozen=True, slots=True)
class HostView:
    """The current state of a host: requests in flight, requests waiting, and the breaker."""

    n_in_flight: int
    n_waiting: int
    state: str
    """One of closed, open, probing and shut.

    closed: used as usual; open: not used for a while; probing: one test request; shut: not used any more.
    """
    reason: str = ""
    """The cause of the state when it is not closed."""
    remaining_s: float = 0.0
    """While open or shut: the remaining seconds without requests to the host."""


class ScrapeObserver(Protocol):
    """An observer of a running scrape.

    Methods run on the event loop: they must not block, and an exception in them is a bug. A subclass overrides only the
    methods it needs; the others do nothing.
    """

    def on_planned(self, platform: Platform, n: int, kind: PayloadKind) -> None:
        """Handle `n` more requests of this kind that will be sent to this platform.

        All requests for one listing count as one. A negative `n` takes back requests that were planned and will not be
        sent.
        """
        return

    def on_answer(self, answer: Answer) -> None:
        """Handle the end of one attempt; the sink already has the answer."""
        return

    def on_outcomes(self, outcomes: Sequence[EventOutcome]) -> None:
        """Handle requests that are over: one outcome for each planned request.

        Outcomes of discovery requests are not listings: their `external_id` is empty.
        """
        return

    def on_host_change(self, platform: Platform, view: HostView) -> None:
        """Handle a change of a host's state."""
        return


@dataclass(slots=True)
class ObserverGroup:
    """An observer that calls any number of other observers."""

    observers: list[ScrapeObserver] = field(default_factory=list)

    def on_planned(self, platform: Platform, n: int, kind: PayloadKind) -> None:
        for watch in self.observers:
            watch.on_planned(platform, n, kind)

    def on_answer(self, answer: Answer) -> None:
        for watch in self.observers:
            watch.on_answer(answer)

    def on_outcomes(self, outcomes: Sequence[EventOutcome]) -> None:
        for watch in self.observers:
            watch.on_outcomes(outcomes)

    def on_host_change(self, platform: Platform, view: HostView) -> None:
        for watch in self.observers:
            watch.on_host_change(platform, view)
