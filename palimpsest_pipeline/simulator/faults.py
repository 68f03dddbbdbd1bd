"""Failures on demand, per platform: what is switched on, and what it does to an answer. Off unless a test or a demonstration asks."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from random import Random
from typing import Any

from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

MODES = ("none", "down", "block", "html", "error", "empty202", "ratelimit", "truncate", "latency", "hang")
BLOCK_PAGE = "<html><head><title>Access Denied</title></head><body>Access Denied</body></html>"
HANG_S = 3600.0


@dataclass(slots=True)
class Fault:
    """One switched-on failure: in `share` of the requests to `endpoint` ('*' all of: tree, listing, detail)."""

    mode: str = "none"
    share: float = 1.0
    latency_ms: float = 350.0
    """Median of the added latency."""
    sigma: float = 0.4
    """Spread of the logarithm of the latency."""
    retry_after_s: int = 1
    endpoint: str = "*"

    @classmethod
    def from_json(cls, asked: Mapping[str, Any]) -> "Fault":
        """Raises ValueError naming what is wrong."""
        known = {"mode", "share", "latency_ms", "sigma", "retry_after_s", "endpoint"}
        unknown = set(asked) - known - {"platform"}
        if unknown:
            raise ValueError(f"unknown fields {sorted(unknown)}; known are {sorted(known)}")
        fault = cls(**{name: asked[name] for name in known & set(asked)})
        if fault.mode not in MODES:
            raise ValueError(f"unknown mode {fault.mode!r}; known are {', '.join(MODES)}")
        if not 0 <= fault.share <= 1:
            raise ValueError(f"share must be between 0 and 1, not {fault.share}")
        return fault


class TruncatedResponse(Response):
    """Announces the whole body and sends the first half, so that the connection ends in the middle of it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body[: len(self.body) // 2], "more_body": True})


def truncated(whole: Response) -> Response:
    """The same answer, cut off half way."""
    cut = TruncatedResponse(bytes(whole.body), whole.status_code)
    cut.raw_headers = whole.raw_headers
    return cut


class FaultBoard:
    """What is switched on now. `draw` decides per request, by a generator of its own so that runs repeat."""

    def __init__(self, seed: int) -> None:
        self._rng = Random(f"faults:{seed}")
        self._faults: dict[str, Fault] = {}

    def switch(self, platform: str, fault: Fault) -> None:
        self._faults[platform] = fault

    def draw(self, platform: str, endpoint: str) -> Fault | None:
        """The fault that befalls this request, if any."""
        fault = self._faults.get(platform)
        if fault is None or fault.mode == "none" or fault.endpoint not in {"*", endpoint}:
            return None
        return fault if self._rng.random() < fault.share else None

    async def instead(self, fault: Fault) -> Response | None:  # noqa: PLR0911 -- one return per mode
        """The answer given in place of the real one; None when the real one goes out after all (late, or cut short by the caller)."""
        if fault.mode == "latency":
            await asyncio.sleep(self._rng.lognormvariate(log(max(fault.latency_ms, 1.0)), fault.sigma) / 1000)
            return None
        if fault.mode == "hang":
            await asyncio.sleep(HANG_S)
            return None
        html = {"block": 403, "html": 200}
        if fault.mode in html:
            return HTMLResponse(BLOCK_PAGE, html[fault.mode])
        if fault.mode == "down":
            return Response(b"", 503, {"connection": "close"})
        if fault.mode == "error":
            return Response(b'{"error":"INTERNAL_SERVER_ERROR"}', 500, media_type="application/json")
        if fault.mode == "empty202":
            return Response(b"", 202, {"x-amzn-waf-action": "challenge"})
        if fault.mode == "ratelimit":
            return Response(b"", 429, {"retry-after": str(fault.retry_after_s)})
        return None
