"""Counting while answers pass: requests, bytes, failures and durations per platform. Keeps no answer."""

import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..domain.exchange import Answer
from ..domain.words import FailureClass, Platform
from .sinks import AnswerSink


@dataclass(slots=True)
class Counts:
    """One platform's share. An answer that was never asked for (attempt 0) is a failure, but no request."""

    requests: int = 0
    bytes: int = 0
    """Of bodies, unpacked."""
    failures: Counter[FailureClass] = field(default_factory=Counter)
    """By attempt, so a request that failed and then succeeded counts too."""
    durations_ms: list[float] = field(default_factory=list)
    """Of the attempts that the host answered."""


class Tally:
    """An AnswerSink that counts and hands on."""

    def __init__(self, sink: AnswerSink) -> None:
        self._sink = sink
        self._counts: dict[Platform, Counts] = defaultdict(Counts)

    def append(self, answer: Answer) -> None:
        self._sink.append(answer)
        counts = self._counts[answer.request.platform]
        counts.requests += answer.attempt > 0
        counts.bytes += len(answer.body or b"")
        if answer.failure is not None:
            counts.failures[answer.failure] += 1
        if answer.status is not None:
            counts.durations_ms.append(answer.duration_ms)

    @property
    def counts(self) -> Mapping[Platform, Counts]:
        return self._counts


def percentile(values: Sequence[float], percent: int) -> float | None:
    """Percentile between the values, None when there are none."""
    if len(values) < 2:
        return values[0] if values else None
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
