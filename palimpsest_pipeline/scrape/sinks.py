"""Interfaces of objects that receive a scrape's answers and events."""

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
    """The state of a host: numbers of requests in flight and waiting, and the breaker."""

    n_in_flight: int
    n_waiting: int
    state: str
    """The breaker's state: closed (used), open (paused), probing (one test request), shut (not used)."""
    reason: str = ""
    """Why the breaker is not closed."""
    remaining_s: float = 0.0
    """Seconds without requests that remain while the breaker is open or shut."""


class ScrapeObserver(Protocol):
    """An observer of a running scrape. All methods do nothing by default.

    Methods are called on the event loop and must not block. An exception in them is a bug and stops the scrape.
    """

    def on_planned(self, platform: Platform, n: int, kind: PayloadKind) -> None:
        """Handle `n` more planned requests of this kind to this platform.

        All requests for one listing count as one. A negative `n` takes back requests that were planned and will not be
        sent.
        """
        return

    def on_answer(self, answer: Answer) -> None:
        """Handle the answer of one attempt, after it was stored.

        A good answer of a book that failed is good here, and stored as failed.
        """
        return

    def on_outcomes(self, outcomes: Sequence[EventOutcome]) -> None:
        """Handle finished requests: one outcome for each planned request.

        The outcome of a discovery request has an empty `external_id`.
        """
        return

    def on_host_change(self, platform: Platform, view: HostView) -> None:
        """Handle a change of a host's state."""
        return


@dataclass(slots=True)
class ObserverGroup:
    """An observer that forwards every event to several observers."""

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
