"""Configuration of a client: URL of the host, headers, time-outs and limits. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.domain.proxy import Proxy


@dataclass(frozen=True, slots=True)
class HostConfig:
    """One platform's host.

    `base_url` has scheme, host and an optional path prefix. The request budget is not part of it. Raises ValueError for
    values with which no request could succeed.
    """

    platform: Platform
    base_url: str
    headers: Mapping[str, str] = field(repr=False)
    """Headers of every request. They replace the HTTP library's own headers, including the user agent.

    They may contain a cookie or a token.
    """
    proxy: Proxy | None = None
    connect_timeout_s: float = 10.0
    read_timeout_s: float = 20.0
    """Maximum seconds between two pieces of a response."""
    total_timeout_s: float = 45.0
    """Maximum seconds of one attempt, from its start to its last byte."""
    max_body_bytes: int = 8 * 2**20
    """Maximum size of a body in bytes, after decompression."""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """Secret texts to remove from every text of this host: values of headers that the user has set.

    The proxy's credentials are removed too.
    """

    def __post_init__(self) -> None:
        if min(self.connect_timeout_s, self.read_timeout_s, self.total_timeout_s) <= 0:
            raise ValueError(f"time-outs must be greater than 0: {self}")
        if self.max_body_bytes < 1:
            raise ValueError(f"max_body_bytes must be at least 1: {self}")
