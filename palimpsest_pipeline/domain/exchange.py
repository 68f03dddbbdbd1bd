"""A request to a platform and its answer, as client, landing and parsers exchange them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from .enums import FailureClass, PayloadKind, Platform

MAX_CACHE_AGE: Final = timedelta(hours=1)
"""Maximum credible age of content in a platform's edge cache.

The caches store content for some seconds. A longer age means a wrong header, which would assign prices to a wrong day.
"""
INCOMPLETE_BOOK_PREFIX: Final = "its book is not complete: "
"""Start of `failure_detail` of a good answer that is stored as failed because its book failed."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request. `path` is relative to the platform's base URL. `params` are not encoded yet."""

    platform: Platform
    kind: PayloadKind
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    method: str = "GET"
    json_body: bytes | None = None
    external_id: str | None = None
    """The requested listing, for a request of kind `detail`."""
    tournament_external_id: str | None = None
    """The requested tournament, for a request of kind `listing` about one tournament."""
    sr_id: int | None = None
    """The SportRadar id of the listing's fixture, if known."""

    @property
    def key(self) -> str:
        """The identity of the request: requests with the same key ask for the same content."""
        params = json.dumps(dict(sorted(self.params.items())), separators=(",", ":"))
        return f"{self.platform} {self.method} {self.path} {params} {(self.json_body or b'').decode()}"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with its unchanged body.

    `failure` is set when the answer is not usable. `body` may then be None.
    """

    request: Request
    attempt: int
    requested_at: datetime
    received_at: datetime
    """When the last byte of the body arrived, or when the failure was known."""
    observed_at: datetime
    """The instant that the content shows: `received_at` minus the `Age` header of an edge cache.

    An `Age` above `MAX_CACHE_AGE` is ignored.
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
