"""One route of a platform as an ASGI application: logs requests, applies failures, waits for latency."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import formatdate
from math import exp, log
from statistics import NormalDist

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from palimpsest_pipeline.domain.enums import Platform

from .damaged_answers import build_replacement, cut_json_response, truncate_response
from .faults import REPLACING_MODES, Fault, FaultBoard
from .latency import LatencyTable, draw_share
from .request_log import RequestLine, RequestLog
from .timeline import Timeline

Handler = Callable[[Request], Awaitable[Response]]

_TIMER_GRAIN_S = 0.0005
"""Seconds added to waits: timers are rounded to whole milliseconds and would otherwise often be early."""
_ID_PARAMS = ("eventId", "EVENTID")


class ConnectionRegistry:
    """The open connections by peer address, each with the time of its last bytes and a way to abort it."""

    def __init__(self) -> None:
        self._transports: dict[tuple[str, int], asyncio.Transport] = {}
        self._received_at_by_peer: dict[tuple[str, int], float] = {}

    def build_protocol(self) -> type[asyncio.Protocol]:
        """Return the HTTP protocol for uvicorn that maintains this registry."""
        transports, received_at = self._transports, self._received_at_by_peer

        class Protocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
            def connection_made(self, transport: asyncio.Transport) -> None:
                super().connection_made(transport)
                transports[self.client] = transport

            def connection_lost(self, exc: Exception | None) -> None:
                transports.pop(self.client, None)
                received_at.pop(self.client, None)
                super().connection_lost(exc)

            def data_received(self, data: bytes) -> None:
                received_at[self.client] = time.monotonic()
                super().data_received(data)

        return Protocol

    def find_last_received_at(self, scope: Scope) -> float:
        """Return when the request's last bytes arrived, in monotonic seconds."""
        return self._received_at_by_peer.get(scope["client"]) or time.monotonic()

    def is_open(self, scope: Scope) -> bool:
        return scope["client"] in self._transports

    async def abort(self, scope: Scope) -> None:
        """Abort the request's connection without an answer."""
        transport = self._transports.get(scope["client"])
        if transport is not None:
            transport.abort()
        while self.is_open(scope):  # noqa: ASYNC110 -- the loop informs the protocol in its next turn
            await asyncio.sleep(0)


@dataclass(slots=True)
class SimulatorControls:
    """The state that all routes share: the settings made by the controls, and the log."""

    timeline: Timeline
    latencies: LatencyTable
    faults: FaultBoard
    log: RequestLog = field(default_factory=RequestLog)
    connections: ConnectionRegistry = field(default_factory=ConnectionRegistry)


@dataclass(slots=True)
class RequestFaults:
    """The failures that affect one request, by mode (`faults.Fault.mode`), and its line in the log."""

    faults: dict[str, Fault]
    line: RequestLine

    def meet_fault(self, mode: str) -> Fault | None:
        """Return and log the failure with this mode, such as `latency`; None if none affects the request."""
        fault = self.faults.get(mode)
        if fault is not None and mode not in self.line.faults:
            self.line.faults.append(mode)
        return fault

    @property
    def date(self) -> float:
        """The platform's current time in Unix seconds."""
        clock = self.meet_fault("clock")
        return time.time() + (clock.offset_s if clock else 0.0)


def get_request_faults(request: Request) -> RequestFaults:
    """Return the failures that affect a request that an `Endpoint` handles."""
    request_faults: RequestFaults = request.state.befallen
    return request_faults


class Endpoint:
    """The ASGI application of one route."""

    def __init__(
        self,
        platform: Platform,
        endpoint: str,
        handler: Handler,
        board: SimulatorControls,
        *,
        has_id_param: bool = True,
    ) -> None:
        """`has_id_param` is true where one request is a whole detail and names its listing."""
        self._has_id_param = has_id_param
        self._platform = platform
        self._endpoint = endpoint
        self._handler = handler
        self._board = board

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        board, request = self._board, Request(scope, receive)
        arrived = board.connections.find_last_received_at(scope)
        question, external_id = self._identify_question(request)
        line = board.log.add_request(self._platform, self._endpoint, external_id, question, arrived)
        faults = board.faults.list_faults_met(self._platform, self._endpoint, question, line.attempt, arrived)
        request.state.befallen = request_faults = RequestFaults(faults, line)
        line.drawn_s = board.latencies.draw_s(self._platform, self._endpoint, question, line.attempt) + _draw_added_s(
            request_faults
        )
        is_whole = False
        try:
            if request_faults.meet_fault("outage") or request_faults.meet_fault("reset"):
                await board.connections.abort(scope)
            elif request_faults.meet_fault("hang"):
                await _wait_for_disconnect(receive)
            else:
                answer = await self._build_answer(request)
                await _sleep_until(arrived + line.drawn_s)
                is_whole = await self._send_answer(answer, request, send)
        finally:
            board.log.finish_request(line, is_whole and board.connections.is_open(scope))

    async def _build_answer(self, request: Request) -> Response:
        """Return the real answer, unless a failure replaces or damages it."""
        request_faults = get_request_faults(request)
        replacing = next((mode for mode in request_faults.faults if mode in REPLACING_MODES), None)
        if replacing and (fault := request_faults.meet_fault(replacing)):
            return build_replacement(fault, request_faults.date)
        # Read the body now, because no other task may run while kickoffs are shifted.
        await request.body()
        shift = request_faults.meet_fault("kickoffs")
        with self._board.timeline.shift_kickoffs(self._platform, timedelta(seconds=shift.offset_s if shift else 0.0)):
            answer = await self._handler(request)
        if request_faults.meet_fault("truncate"):
            return truncate_response(answer)
        return cut_json_response(answer) if request_faults.meet_fault("cut_json") else answer

    async def _send_answer(self, answer: Response, request: Request, send: Send) -> bool:
        """Send an answer with the platform's date; return whether it was sent completely."""
        board, request_faults = self._board, get_request_faults(request)
        if not board.connections.is_open(request.scope):
            return False
        if board.faults.is_out(self._platform, self._endpoint, time.monotonic()):
            request_faults.line.faults.append("outage")
            await board.connections.abort(request.scope)
            return False
        date, is_whole = formatdate(request_faults.date, usegmt=True).encode(), False

        async def sending(message: Message) -> None:
            nonlocal is_whole
            if message["type"] == "http.response.start":
                request_faults.line.status = message["status"]
                message = {**message, "headers": [*message["headers"], (b"date", date)]}
            else:
                request_faults.line.bytes += len(message["body"])
                is_whole = not message.get("more_body")
            await send(message)

        await answer(request.scope, request.receive, sending)
        return is_whole

    def _identify_question(self, request: Request) -> tuple[str, str | None]:
        """Return the identity of the request, and the listing if a detail is requested."""
        if self._endpoint == "detail" and self._has_id_param:
            params = request.query_params
            external_id = request.path_params.get("event") or next(
                (params[name] for name in _ID_PARAMS if name in params), None
            )
            if external_id:
                return external_id, external_id
        return f"{request.scope['path']}?{request.scope['query_string'].decode()}", None


def _draw_added_s(request_faults: RequestFaults) -> float:
    added_latency = request_faults.meet_fault("latency")
    if added_latency is None:
        return 0.0
    share = draw_share("added", request_faults.line.platform, request_faults.line.question, request_faults.line.attempt)
    return exp(NormalDist(log(max(added_latency.latency_ms, 1.0)), added_latency.sigma).inv_cdf(share)) / 1000


async def _sleep_until(due_at: float) -> None:
    """Wait until an instant of the monotonic clock, never less."""
    while (left_s := due_at - time.monotonic()) > 0:  # noqa: ASYNC110 -- timers may be early
        await asyncio.sleep(left_s + _TIMER_GRAIN_S)


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
