"""One route of a platform as an ASGI application: notes when a request came, lets failures befall it, and answers when its latency is over."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from .latency import Latencies
from .requestlog import Asked, RequestLog

Handler = Callable[[Request], Awaitable[Response]]

_TIMER_GRAIN_S = 0.0005
"""Timers are rounded to whole milliseconds; half of one more, and they are hardly ever early."""
_ID_PARAMS = ("eventId", "EVENTID")


class Connections:
    """The open connections by their peers' addresses: when each last sent something, and the way to break it off."""

    def __init__(self) -> None:
        self._transports: dict[tuple[str, int], asyncio.Transport] = {}
        self._heard: dict[tuple[str, int], float] = {}

    def protocol(self) -> type[asyncio.Protocol]:
        """The HTTP protocol for uvicorn that keeps this book."""
        transports, heard = self._transports, self._heard

        class Protocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
            def connection_made(self, transport: asyncio.Transport) -> None:
                super().connection_made(transport)
                transports[self.client] = transport

            def connection_lost(self, exc: Exception | None) -> None:
                transports.pop(self.client, None)
                heard.pop(self.client, None)
                super().connection_lost(exc)

            def data_received(self, data: bytes) -> None:
                heard[self.client] = time.monotonic()
                super().data_received(data)

        return Protocol

    def heard(self, scope: Scope) -> float:
        """When the request's last bytes came in, in monotonic seconds."""
        return self._heard.get(scope["client"]) or time.monotonic()

    def is_open(self, scope: Scope) -> bool:
        return scope["client"] in self._transports

    def abort(self, scope: Scope) -> None:
        """Breaks the request's connection off without a word."""
        transport = self._transports.get(scope["client"])
        if transport is not None:
            transport.abort()


async def _until(due: float) -> None:
    """Waits for an instant of the monotonic clock, never less."""
    while (left_s := due - time.monotonic()) > 0:
        await asyncio.sleep(left_s + _TIMER_GRAIN_S)


class Endpoint:
    """ASGI application of one route."""

    def __init__(self, platform: str, endpoint: str, handler: Handler, log: RequestLog, latencies: Latencies, connections: Connections) -> None:
        self._platform = platform
        self._endpoint = endpoint
        self._handler = handler
        self._log = log
        self._latencies = latencies
        self._connections = connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        arrived = self._connections.heard(scope)
        request = Request(scope, receive)
        line = self._noted(request, arrived)
        whole = False

        async def sending(message: Message) -> None:
            nonlocal whole
            if message["type"] == "http.response.start":
                line.status = message["status"]
                message = {**message, "headers": [*message["headers"], (b"date", formatdate(usegmt=True).encode())]}
            else:
                line.bytes += len(message["body"])
                whole = not message.get("more_body")
            await send(message)

        try:
            answer = await self._handler(request)
            line.drawn_s = self._latencies.draw_s(self._platform, self._endpoint, line.question, line.attempt)
            await _until(arrived + line.drawn_s)
            await answer(scope, receive, sending)
        finally:
            self._log.end(line, whole and self._connections.is_open(scope))

    def _noted(self, request: Request, arrived: float) -> Asked:
        params = request.query_params
        external_id = request.path_params.get("event") or next((params[name] for name in _ID_PARAMS if name in params), None)
        if self._endpoint != "detail" or external_id is None:
            external_id = None
        question = external_id or f"{request.scope['path']}?{request.scope['query_string'].decode()}"
        return self._log.begin(self._platform, self._endpoint, external_id, question, arrived)
