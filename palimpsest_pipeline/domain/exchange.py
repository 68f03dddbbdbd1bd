"""One request to a platform and the answer to it, as the client, the landing and the parsers use them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from .enums import FailureClass, PayloadKind, Platform

MAX_CACHE_AGE: Final = timedelta(hours=1)
"""The longest credible time between an answer's `observed_at` and its arrival.

The platforms' edge caches hold content for some seconds. A longer time means a broken header, which would put prices on
a wrong day.
"""


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `path` is relative to the platform's base URL; parameters are encoded once."""

    platform: Platform
    kind: PayloadKind
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    method: str = "GET"
    json_body: bytes | None = None
    external_id: str | None = None
    """The requested listing, in a detail request."""
    tournament_external_id: str | None = None
    """The requested tournament, in a listing request that is about one tournament."""
    sr_id: int | None = None
    """The fixture that the listing belongs to, where known."""

    @property
    def key(self) -> str:
        """Return the identity of the request: requests with equal keys ask for the same thing."""
        params = json.dumps(dict(sorted(self.params.items())), separators=(",", ":"))
        return f"{self.platform} {self.method} {self.path} {params} {(self.json_body or b'').decode()}"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, byte for byte.

    `failure` is set when the answer is not usable. `body` may then be None.
    """

    request: Request
    attempt: int
    requested_at: datetime
    received_at: datetime
    """The arrival of the last byte of the body, or the instant at which the failure was known."""
    observed_at: datetime
    """The instant that the content describes: `received_at` less the `Age` header of an edge cache.

    Only a credible `Age` of at most `MAX_CACHE_AGE` counts.
    """
    status: int | None
    headers: Mapping[str, str]
    body: bytes | None
    failure: FailureClass | None = None
    failure_detail: str = ""

    @property
    def ok(self) -> bool:
        return self.failure is None and self.body is not None

    @property
    def duration_ms(self) -> float:
        return (self.received_at - self.requested_at).total_seconds() * 1000
