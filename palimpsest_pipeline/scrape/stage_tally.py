"""Counting while a stage runs: requests, bytes, failures and durations per platform, and the listings that are over. Keeps no answer."""

import statistics
from array import array
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from palimpsest_pipeline.domain.cycles import EventOutcome
from palimpsest_pipeline.domain.enums import FailureClass, PayloadKind, Platform
from palimpsest_pipeline.domain.exchange import Answer
from palimpsest_pipeline.wire.clock_offset import offset_s

from .sinks import Watch


def _seconds() -> "array[float]":
    return array("d")


@dataclass(slots=True)
class Counts:
    """One platform's share. A request that was never made (attempt 0) is a failure, but no request."""

    requests: int = 0
    bytes: int = 0
    """Of bodies, unpacked."""
    failures: Counter[FailureClass] = field(default_factory=Counter)
    """By attempt, so a request that failed and then succeeded counts too."""
    answered_s: "array[float]" = field(default_factory=_seconds)
    """How long each attempt took that the host answered ..."""
    unanswered_s: "array[float]" = field(default_factory=_seconds)
    """... and each that it did not."""
    offsets_s: "array[float]" = field(default_factory=_seconds)
    """How far ahead the host's clock was, by each answer that told."""
    first_at: datetime | None = None
    """Begin of the first attempt."""
    last_at: datetime | None = None
    """End of the last one."""

    def add(self, answer: Answer, n_bytes: int) -> None:
        """One more attempt, whose body has `n_bytes` bytes (it need not be there any more)."""
        if answer.failure is not None:
            self.failures[answer.failure] += 1
        if not answer.attempt:
            return
        self.requests += 1
        self.bytes += n_bytes
        (self.unanswered_s if answer.status is None else self.answered_s).append(answer.duration_ms / 1000)
        if (offset := offset_s(answer)) is not None:
            self.offsets_s.append(offset)
        self.first_at = min(self.first_at or answer.requested_at, answer.requested_at)
        self.last_at = max(self.last_at or answer.received_at, answer.received_at)

    @property
    def wall_s(self) -> float:
        """From the first request to the last answer."""
        return (self.last_at - self.first_at).total_seconds() if self.first_at and self.last_at else 0.0

    @property
    def durations_s(self) -> "array[float]":
        """How long each attempt kept its slot, answered or not."""
        return self.answered_s + self.unanswered_s


@dataclass(slots=True)
class Tally(Watch):
    """A Watch that counts one stage. Good at any time, also when the stage was ended."""

    counts: defaultdict[Platform, Counts] = field(default_factory=lambda: defaultdict(Counts))
    outcomes: list[EventOutcome] = field(default_factory=list)
    """Of the listings whose asking is over."""
    counts_discovery: bool = True
    counts_details: bool = True
    """A late platform's discovery goes on beside the capture: then each has a tally that does not count the other."""

    def answered(self, answer: Answer) -> None:
        if self._is_counted(is_detail=answer.request.kind is PayloadKind.DETAIL):
            self.counts[answer.request.platform].add(answer, len(answer.body or b""))

    def settled(self, outcomes: Sequence[EventOutcome]) -> None:
        for outcome in outcomes:
            if not self._is_counted(is_detail=bool(outcome.external_id)):
                continue
            if outcome.failure is not None and not outcome.attempts:
                self.counts[outcome.platform].failures[outcome.failure] += 1
            if outcome.external_id:
                self.outcomes.append(outcome)

    def _is_counted(self, *, is_detail: bool) -> bool:
        return self.counts_details if is_detail else self.counts_discovery


def percentile(values: Sequence[float], percent: int) -> float | None:
    """Percentile between the values, None when there are none."""
    if len(values) < 2:
        return values[0] if values else None
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
