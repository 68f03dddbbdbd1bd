"""The log of requests to the simulator: counts since the start, and one line per request."""

import time
from collections import Counter
from dataclasses import dataclass, field

import msgspec


class RequestLine(msgspec.Struct, gc=False):
    """One request. Times are Unix seconds of a clock that is never adjusted."""

    platform: str
    endpoint: str
    external_id: str | None
    """The listing for which a detail is requested; None for other requests."""
    question: str
    """Identity of the request: the listing's id, else path and query."""
    attempt: int
    """The number of this attempt, from 1."""
    arrived_at: float
    """When the request's last byte arrived."""
    drawn_s: float = 0.0
    """Latency of the answer: seconds from the arrival until its last byte must be sent."""
    sent_at: float | None = None
    """Time at which the last byte of a complete answer was passed to the connection.

    None for answers that were truncated or never sent.
    """
    status: int | None = None
    bytes: int = 0
    """Bytes of the body, as sent."""
    faults: list[str] = []
    """Modes of the failures that affected the request."""


@dataclass(slots=True)
class RequestLog:
    """The requests that the simulator received since its start or the last `clear`: lines and numbers.

    The keys of the numbers are `<platform>.<endpoint>`.
    """

    requests: Counter[str] = field(default_factory=Counter)
    in_flight: Counter[str] = field(default_factory=Counter)
    most_in_flight: Counter[str] = field(default_factory=Counter)
    lines: list[RequestLine] = field(default_factory=list)
    _askings: Counter[tuple[str, str]] = field(default_factory=Counter)
    _unix_minus_monotonic: float = field(default_factory=lambda: time.time() - time.monotonic())

    def add_request(
        self, platform: str, endpoint: str, external_id: str | None, question: str, arrived: float
    ) -> RequestLine:
        """Add and return the line of a request that arrived at `arrived` (monotonic seconds)."""
        self.requests[f"{platform}.{endpoint}"] += 1
        self.in_flight[platform] += 1
        self.most_in_flight[platform] = max(self.most_in_flight[platform], self.in_flight[platform])
        self._askings[platform, question] += 1
        line = RequestLine(
            platform,
            endpoint,
            external_id,
            question,
            self._askings[platform, question],
            arrived + self._unix_minus_monotonic,
        )
        self.lines.append(line)
        return line

    def finish_request(self, line: RequestLine, whole: bool) -> None:
        """Record that the answer was sent, completely or not."""
        self.in_flight[line.platform] -= 1
        if whole:
            line.sent_at = time.monotonic() + self._unix_minus_monotonic

    def clear(self) -> None:
        """Delete counts and lines; attempts are counted from 1 again. Unanswered requests stay in flight."""
        for collection in (self.requests, self.most_in_flight, self._askings, self.lines):
            collection.clear()

    def summarise(self) -> dict[str, object]:
        """Return the counts, and the CPU seconds that this process has used."""
        return {
            "requests": dict(self.requests),
            "most_in_flight": dict(self.most_in_flight),
            "cpu_s": time.process_time(),
        }

    def encode_lines(self) -> bytes:
        """Return the requests, one JSON object per line, in order of arrival."""
        return msgspec.json.Encoder().encode_lines(self.lines)
