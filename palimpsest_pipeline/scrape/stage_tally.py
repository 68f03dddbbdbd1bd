"""Count requests, bytes, failures and durations of a running stage per platform.

Outcomes of finished listings are kept, answers are not.
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
from palimpsest_pipeline.wire.failures import parse_http_date, parse_whole_seconds

from .sinks import ScrapeObserver


def _new_seconds() -> "array[float]":
    return array("d")


@dataclass(slots=True)
class RequestCounts:
    """The counts of one platform. A request that was never sent (attempt 0) counts only as a failure."""

    requests: int = 0
    bytes: int = 0
    """Total size of the uncompressed bodies in bytes."""
    failures: Counter[FailureClass] = field(default_factory=Counter)
    """Number of failed attempts by kind, including those of requests that succeeded later."""
    answered_durations_s: "array[float]" = field(default_factory=_new_seconds)
    """Seconds that each answered attempt took."""
    unanswered_durations_s: "array[float]" = field(default_factory=_new_seconds)
    """Seconds that each attempt without an answer took."""
    clock_offsets_s: "array[float]" = field(default_factory=_new_seconds)
    """Offset of the host's clock in seconds, for each answer that contains the host's time."""
    first_at: datetime | None = None
    """Start of the first attempt."""
    last_at: datetime | None = None
    """End of the last attempt."""

    def add_attempt(self, answer: Answer, n_bytes: int) -> None:
        """Count one attempt. `n_bytes` is the size of its body, which the answer need not contain."""
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
        """Return the seconds from the first request to the last answer."""
        return (self.last_at - self.first_at).total_seconds() if self.first_at and self.last_at else 0.0

    @property
    def durations_s(self) -> "array[float]":
        """Return the duration of each attempt in seconds, answered or not."""
        return self.answered_durations_s + self.unanswered_durations_s


@dataclass(slots=True)
class StageTally(ScrapeObserver):
    """An observer that counts one stage. The counts can be read at any time, also after a cancellation."""

    counts_by_platform: defaultdict[Platform, RequestCounts] = field(default_factory=lambda: defaultdict(RequestCounts))
    outcomes: list[EventOutcome] = field(default_factory=list)
    """Outcomes of the listings whose requests are finished."""
    counts_discovery: bool = True
    counts_details: bool = True
    """Whether answers of kind `detail` are counted.

    False for a discovery that continues during a capture, because the capture has its own tally.
    """

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
    """Return the interpolated percentile; None for an empty sequence."""
    if len(values) < 2:
        return values[0] if values else None
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def measure_offset_s(answer: Answer) -> float | None:
    """Return the seconds by which the host's clock is ahead of the pipeline's, with an error of about 1 s.

    It is the header Date minus the midpoint between request and answer. None without Date, and if Age is not 0, because
    an edge cache sends the Date of its stored content. Instants of answers are never corrected with it.
    """
    host_time = parse_http_date(answer.headers.get("date"))
    if host_time is None or parse_whole_seconds(answer.headers.get("age", "0")) != 0:
        return None
    return (host_time - (answer.requested_at + (answer.received_at - answer.requested_at) / 2)).total_seconds()
