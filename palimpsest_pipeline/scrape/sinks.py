"""What a scrape hands its results to, as protocols. No implementation that stores anything."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from palimpsest_pipeline.domain.cycles import EventOutcome
from palimpsest_pipeline.domain.enums import PayloadKind, Platform
from palimpsest_pipeline.domain.exchange import Answer


class AnswerSink(Protocol):
    """Takes every answer of every attempt, at once, in order of arrival.

    What it raises ends the scrape: nothing is fetched that cannot be kept.
    """

    def append(self, answer: Answer) -> None: ...


@dataclass(frozen=True, slots=True)
class HostView:
    """A host as it stands: what is under way, what waits, and whether it is asked at all."""

    n_in_flight: int
    n_waiting: int
    state: str
    """closed (asked as usual), open (not asked for a while), probing (asked one thing to see), shut (asked no more)."""
    reason: str = ""
    """Why it is not closed."""
    remaining_s: float = 0.0
    """For how much longer it is to be left alone, while open or shut."""


class ScrapeObserver(Protocol):
    """Looks on while a scrape runs. Called on the event loop: must not block, and what it raises is a bug.

    Who derives from it says only what they care for: nothing happens by itself.
    """

    def on_planned(self, platform: Platform, n: int, kind: PayloadKind) -> None:
        """`n` more requests of this kind are about to be made to this platform; below 0: so many that were planned
        are not made after all.
        """
        return

    def on_answer(self, answer: Answer) -> None:
        """One attempt is over; the answer is already with the sink."""
        return

    def on_outcomes(self, outcomes: Sequence[EventOutcome]) -> None:
        """The asking of these is over, one for each that was planned.

        Those of discovery are no listings: their `external_id` is empty.
        """
        return

    def on_host_change(self, platform: Platform, view: HostView) -> None:
        """A host's state has changed."""
        return


@dataclass(slots=True)
class ObserverGroup:
    """A Watch that passes on to any number of others."""

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
