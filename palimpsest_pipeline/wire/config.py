"""What a client is told about its host: where it is, how it is addressed, and how politely. Plain values; where they come from is not known here."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..domain.words import Platform


@dataclass(frozen=True, slots=True)
class HostLimits:
    """Budget of one host. Times in seconds. Raises ValueError on a budget that could never send a request."""

    max_in_flight: int
    """Requests under way at the same time."""
    min_gap_s: float
    """Least time between the starts of two requests."""
    connect_timeout_s: float
    read_timeout_s: float
    """Longest silence between two pieces of an answer."""
    total_timeout_s: float
    """One attempt from its start to its last byte."""
    max_body_bytes: int
    """Largest body taken, after decompression."""
    max_attempts: int
    """Tries of one request, the first included."""
    backoff_initial_s: float
    backoff_max_s: float
    jitter: bool = True
    """Back-off drawn at random up to its exponential bound, so that requests that failed together do not come back together."""
    retry_after_max_s: float = 60.0
    """Longest wait taken on when the host names one. Asked for more than that, the client stops asking: it never comes back early."""
    blocks_before_closing: int = 3
    """Blocked answers in a row, no usable one between, after which the host is asked no more. More than one, as a host may answer a
    question about a vanished match with a page."""

    def __post_init__(self) -> None:
        if min(self.max_in_flight, self.max_attempts, self.max_body_bytes, self.blocks_before_closing) < 1:
            raise ValueError(f"max_in_flight, max_attempts, max_body_bytes and blocks_before_closing must be at least 1: {self}")
        if min(self.connect_timeout_s, self.read_timeout_s, self.total_timeout_s) <= 0:
            raise ValueError(f"time-outs must be greater than 0: {self}")
        if min(self.min_gap_s, self.backoff_initial_s, self.backoff_max_s, self.retry_after_max_s) < 0:
            raise ValueError(f"waits must not be negative: {self}")


ONE_AT_A_TIME = HostLimits(1, 0, 10, 20, 45, 32_000_000, 1, 0, 0)


@dataclass(frozen=True, slots=True)
class HostConfig:
    """One platform's host. `base_url` is scheme and host, with a path prefix where there is one; `proxy` a proxy's URL.

    How often it may be asked is not known here. Raises ValueError on values with which no answer could ever be had.
    """

    platform: Platform
    base_url: str
    headers: Mapping[str, str]
    """Of every request; they replace what the library sends by itself, the user agent included."""
    limits: HostLimits = ONE_AT_A_TIME
    """Budget of `fetch`, which asks more than once; its time-outs and cap replace those below."""
    proxy: str | None = field(default=None, repr=False)
    """Not shown in logs: it may carry a password."""
    connect_timeout_s: float = 10.0
    read_timeout_s: float = 20.0
    """Longest silence between two pieces of an answer."""
    total_timeout_s: float = 45.0
    """One attempt from its start to its last byte."""
    max_body_bytes: int = 32_000_000
    """Largest body taken, after decompression."""

    def __post_init__(self) -> None:
        for of_limits in ("connect_timeout_s", "read_timeout_s", "total_timeout_s", "max_body_bytes") if self.limits is not ONE_AT_A_TIME else ():
            object.__setattr__(self, of_limits, getattr(self.limits, of_limits))
        if min(self.connect_timeout_s, self.read_timeout_s, self.total_timeout_s) <= 0:
            raise ValueError(f"time-outs must be greater than 0: {self}")
        if self.max_body_bytes < 1:
            raise ValueError(f"max_body_bytes must be at least 1: {self}")
