"""The configuration of a client: the address of its host, headers, time-outs and limits.

Plain values. Does not know where they come from.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.domain.proxy import Proxy


@dataclass(frozen=True, slots=True)
class HostConfig:
    """One platform's host. `base_url` is scheme and host, with a path prefix where there is one.

    It does not hold the request budget. Raises ValueError on values with which no request could ever succeed.
    """

    platform: Platform
    base_url: str
    headers: Mapping[str, str] = field(repr=False)
    """The headers of every request. They replace the library's own ones, the user agent included.

    They may carry a cookie or a token.
    """
    proxy: Proxy | None = None
    connect_timeout_s: float = 10.0
    read_timeout_s: float = 20.0
    """The longest silence between two pieces of an answer."""
    total_timeout_s: float = 45.0
    """The time limit of one attempt, from its start to its last byte."""
    max_body_bytes: int = 8 * 2**20
    """The largest accepted body, after decompression."""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """Texts that no text from this host may show, besides the proxy's credentials.

    They are the values of headers that the user set.
    """

    def __post_init__(self) -> None:
        if min(self.connect_timeout_s, self.read_timeout_s, self.total_timeout_s) <= 0:
            raise ValueError(f"time-outs must be greater than 0: {self}")
        if self.max_body_bytes < 1:
            raise ValueError(f"max_body_bytes must be at least 1: {self}")
