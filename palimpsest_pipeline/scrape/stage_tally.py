"""Counting while a stage runs: requests, bytes, failures and durations per platform, and the listings that are over.

Keeps no answer.
"""

import statistics
from array import array
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from palimpsest_pipeline.domain.cycles import EventOutcome
from palimpsest_pipeline.domain.enums import FailureClass, PayloadKind, Platform
from palimpsest_pipeline.domain.exchange import Answer
from palimpsest_pipeline.wire.clock_offset import measure_offset_s

from .sinks import ScrapeObserver


def _new_seconds() -> "array[float]":
    return array("d")


@dataclass(slots=True)
class RequestCounts:
    """One platform's share. A request that was never made (attempt 0) is a failure, but no request."""

    requests: int = 0
    bytes: int = 0
    """Of bodies, unpacked."""
    failures: Counter[FailureClass] = field(default_factory=Counter)
    """By attempt, so a request that failed and then succeeded counts too."""
    answered_durations_s: "array[float]" = field(default_factory=_new_seconds)
    """How long each attempt took that the host answered ..."""
    unanswered_durations_s: "array[float]" = field(default_factory=_new_seconds)
    """... and each that it did not."""
    clock_offsets_s: "array[float]" = field(default_factory=_new_seconds)
    """How far ahead the host's clock was, by each answer that told."""
    first_at: datetime | None = None
    """Begin of the first attempt."""
    last_at: datetime | None = None
    """End of the last one."""

    def add_attempt(self, answer: Answer, n_bytes: int) -> None:
        """One more attempt, whose body has `n_bytes` bytes (it need not be there any more)."""
        if answer.failure is not None:
            self.failures[answer.failure] += 1
        if not answer.attempt:
            return
        self.requests += 1
        self.bytes += n_bytes
        (self.unanswered_durations_s if answer.status is None else self.answered_durations_s).append(
            answer.duration_ms / 1000
        )
        if (offset := measure_offset_s(answer)) is not None:
            self.clock_offsets_s.append(offset)
        self.first_at = min(self.first_at or answer.requested_at, answer.requested_at)
        self.last_at = max(self.last_at or answer.received_at, answer.received_at)

    @property
    def wall_s(self) -> float:
        """From the first request to the last answer."""
        return (self.last_at - self.first_at).total_seconds() if self.first_at and self.last_at else 0.0

    @property
    def durations_s(self) -> "array[float]":
        """How long each attempt kept its slot, answered or not."""
        return self.answered_durations_s + self.unanswered_durations_s


@dataclass(slots=True)
class StageTally(ScrapeObserver):
    """A Watch that counts one stage. Good at any time, also when the stage was ended."""

    counts_by_platform: defaultdict[Platform, RequestCounts] = field(default_factory=lambda: defaultdict(RequestCounts))
    outcomes: list[EventOutcome] = field(default_factory=list)
    """Of the listings whose asking is over."""
    counts_discovery: bool = True
    counts_details: bool = True
    """A late platform's discovery goes on beside the capture: then each has a tally that does not count the other."""

    def on_answer(self, answer: Answer) -> None:
        if self._is_counted(is_detail=answer.request.kind is PayloadKind.DETAIL):
            self.counts_by_platform[answer.request.platform].add_attempt(answer, len(answer.body or b""))

    def on_outcomes(self, outcomes: Sequence[EventOutcome]) -> None:
        for outcome in outcomes:
            if not self._is_counted(is_detail=bool(outcome.external_id)):
                continue
            if outcome.failure is not None and not outcome.attempts:
                self.counts_by_platform[outcome.platform].failures[outcome.failure] += 1
            if outcome.external_id:
                self.outcomes.append(outcome)

    def _is_counted(self, *, is_detail: bool) -> bool:
        return self.counts_details if is_detail else self.counts_discovery


def compute_percentile(values: Sequence[float], percent: int) -> float | None:
    """Percentile between the values, None when there are none."""
    if len(values) < 2:
        return values[0] if values else None
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
