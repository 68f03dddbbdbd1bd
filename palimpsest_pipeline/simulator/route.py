"""One route of a platform as an ASGI application: notes when a request came, lets failures befall it, and answers
when its latency is over.
"""

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
"""Timers are rounded to whole milliseconds; half of one more, and they are hardly ever early."""
_ID_PARAMS = ("eventId", "EVENTID")


class ConnectionRegistry:
    """The open connections by their peers' addresses: when each last sent something, and the way to break it off."""

    def __init__(self) -> None:
        self._transports: dict[tuple[str, int], asyncio.Transport] = {}
        self._received_at_by_peer: dict[tuple[str, int], float] = {}

    def build_protocol(self) -> type[asyncio.Protocol]:
        """The HTTP protocol for uvicorn that keeps this book."""
        transports, heard = self._transports, self._received_at_by_peer

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

    def find_last_received_at(self, scope: Scope) -> float:
        """When the request's last bytes came in, in monotonic seconds."""
        return self._received_at_by_peer.get(scope["client"]) or time.monotonic()

    def is_open(self, scope: Scope) -> bool:
        return scope["client"] in self._transports

    async def abort(self, scope: Scope) -> None:
        """Breaks the request's connection off without a word."""
        transport = self._transports.get(scope["client"])
        if transport is not None:
            transport.abort()
        while self.is_open(scope):  # noqa: ASYNC110 -- the loop tells the protocol in its next turn
            await asyncio.sleep(0)


@dataclass(slots=True)
class SimulatorControls:
    """What the routes share: what the controls have set, and what is noted."""

    timeline: Timeline
    latencies: LatencyTable
    faults: FaultBoard
    log: RequestLog = field(default_factory=RequestLog)
    connections: ConnectionRegistry = field(default_factory=ConnectionRegistry)


@dataclass(slots=True)
class RequestFaults:
    """The failures that one request meets, and its line in the log."""

    faults: dict[str, Fault]
    line: RequestLine

    def meet_fault(self, mode: str) -> Fault | None:
        """The failure of this mode, None without one. Asking for it is meeting it: the log says so."""
        fault = self.faults.get(mode)
        if fault is not None and mode not in self.line.faults:
            self.line.faults.append(mode)
        return fault

    @property
    def date(self) -> float:
        """The platform's idea of now, in Unix seconds."""
        clock = self.meet_fault("clock")
        return time.time() + (clock.offset_s if clock else 0.0)


def get_request_faults(request: Request) -> RequestFaults:
    """What befalls a request on its way through an `Endpoint`."""
    found: RequestFaults = request.state.befallen
    return found


class Endpoint:
    """ASGI application of one route."""

    def __init__(self, platform: Platform, endpoint: str, handler: Handler, board: SimulatorControls) -> None:
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
        request.state.befallen = met = RequestFaults(faults, line)
        line.drawn_s = board.latencies.draw_s(self._platform, self._endpoint, question, line.attempt) + _draw_added_s(
            met
        )
        whole = False
        try:
            if met.meet_fault("outage") or met.meet_fault("reset"):
                await board.connections.abort(scope)
            elif met.meet_fault("hang"):
                await _wait_for_disconnect(receive)
            else:
                answer = await self._build_answer(request)
                await _sleep_until(arrived + line.drawn_s)
                whole = await self._send_answer(answer, request, send)
        finally:
            board.log.finish_request(line, whole and board.connections.is_open(scope))

    async def _build_answer(self, request: Request) -> Response:
        """The real answer, unless a failure replaces it or spoils it."""
        met = get_request_faults(request)
        replacing = next((mode for mode in met.faults if mode in REPLACING_MODES), None)
        if replacing and (fault := met.meet_fault(replacing)):
            return build_replacement(fault, met.date)
        # Read now: while kickoffs are shifted nothing else may have its turn.
        await request.body()
        shift = met.meet_fault("kickoffs")
        with self._board.timeline.shift_kickoffs(self._platform, timedelta(seconds=shift.offset_s if shift else 0.0)):
            answer = await self._handler(request)
        if met.meet_fault("truncate"):
            return truncate_response(answer)
        return cut_json_response(answer) if met.meet_fault("cut_json") else answer

    async def _send_answer(self, answer: Response, request: Request, send: Send) -> bool:
        """Sends an answer under the platform's date; whether it went out whole."""
        board, met = self._board, get_request_faults(request)
        if not board.connections.is_open(request.scope):
            return False
        if board.faults.is_out(self._platform, self._endpoint, time.monotonic()):
            met.line.faults.append("outage")
            await board.connections.abort(request.scope)
            return False
        date, whole = formatdate(met.date, usegmt=True).encode(), False

        async def sending(message: Message) -> None:
            nonlocal whole
            if message["type"] == "http.response.start":
                met.line.status = message["status"]
                message = {**message, "headers": [*message["headers"], (b"date", date)]}
            else:
                met.line.bytes += len(message["body"])
                whole = not message.get("more_body")
            await send(message)

        await answer(request.scope, request.receive, sending)
        return whole

    def _identify_question(self, request: Request) -> tuple[str, str | None]:
        """What is asked, and of which listing (a detail)."""
        if self._endpoint == "detail":
            params = request.query_params
            external_id = request.path_params.get("event") or next(
                (params[name] for name in _ID_PARAMS if name in params), None
            )
            if external_id:
                return external_id, external_id
        return f"{request.scope['path']}?{request.scope['query_string'].decode()}", None


def _draw_added_s(met: RequestFaults) -> float:
    late = met.meet_fault("latency")
    if late is None:
        return 0.0
    share = draw_share("added", met.line.platform, met.line.question, met.line.attempt)
    return exp(NormalDist(log(max(late.latency_ms, 1.0)), late.sigma).inv_cdf(share)) / 1000


async def _sleep_until(due: float) -> None:
    """Waits for an instant of the monotonic clock, never less."""
    while (left_s := due - time.monotonic()) > 0:  # noqa: ASYNC110 -- timers may be early
        await asyncio.sleep(left_s + _TIMER_GRAIN_S)


async def _wait_for_disconnect(receive: Receive) -> None:
    """Waits until the client has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass
