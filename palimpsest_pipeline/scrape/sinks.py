"""What a scrape hands its results to, as protocols. No implementation that stores anything."""

from typing import Protocol

from ..domain.exchange import Answer
from ..domain.words import Platform


class AnswerSink(Protocol):
    """Takes every answer of every attempt, at once, in order of arrival. What it raises ends the scrape: nothing is fetched that cannot be kept."""

    def append(self, answer: Answer) -> None: ...


class Progress(Protocol):
    """Watches a scrape. Called on the event loop: must not block."""

    def start(self, platform: Platform, total: int) -> None:
        """`total` more listings of this platform are about to be asked for."""
        ...

    def advance(self, platform: Platform, ok: bool) -> None:
        """One listing's asking is over."""
        ...
