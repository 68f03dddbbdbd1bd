"""The client of one host: sends a request within the host's budget, tries again where the failure's class says so, and returns every answer.

It reads no payload (the caller's `judge` does) and stores nothing (the caller's `arrived` may).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlencode

import httpx

from ..domain.exchange import Answer, Request
from ..domain.instants import Clock
from ..domain.words import FailureClass, Platform
from . import failures
from .body import BodyError, read_body
from .config import HostConfig
from .host import Breaker, Pacer
from .retry import retrying
from .transport import Transport

KEPT_HEADERS: Final = frozenset(
    {
        "age",
        "cf-cache-status",
        "cf-mitigated",
        "content-length",
        "content-type",
        "date",
        "etag",
        "last-modified",
        "location",
        "retry-after",
        "server",
        "x-amzn-waf-action",
    }
)
"""All that a reading of the answer needs, so that one that comes from the landing reads like one that comes from the host."""

Judge = Callable[[Answer], failures.Verdict | None]
"""A platform's own reading of a 2xx answer: the failure that its envelope shows, or None."""

log = logging.getLogger(__name__)


class PlatformClient:
    """Use as `async with`. One per host and event loop; once its host is closed (see Breaker) it stays so for this client's life."""

    def __init__(self, config: HostConfig, clock: Clock, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self.config = config
        self._clock = clock
        self._base_url = config.base_url.rstrip("/")
        self._headers = _headers(config.headers)
        self._headers_with_json = _headers({**config.headers, "content-type": "application/json"})
        self._transport: httpx.AsyncBaseTransport | None = None
        # What `fetch` adds.
        self._limits = config.limits
        self._sleep = sleep
        self._slots = asyncio.Semaphore(self._limits.max_in_flight)
        self._pacer = Pacer(self._limits.min_gap_s)
        self._breaker = Breaker(self._limits.blocks_before_closing)

    @property
    def platform(self) -> Platform:
        return self.config.platform

    @property
    def closed_because(self) -> str | None:
        """Why the host is asked no more; None while it is."""
        return self._breaker.reason

    async def __aenter__(self) -> Self:
        config = self.config
        self._transport = Transport(config.connect_timeout_s, config.read_timeout_s, config.proxy)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._transport is not None:
            await self._transport.aclose()
            self._transport = None

    async def fetch(self, request: Request, judge: Judge, arrived: Callable[[Answer], None] | None = None) -> list[Answer]:
        """Every attempt as an Answer, the last one being the verdict; `arrived` is called with each as it comes.

        A request to a closed host is not sent: its answer has attempt 0, failure BLOCKED and "not asked: ..." as detail. Failures of the
        network and the host are answers, never exceptions. What `judge` and `arrived` raise is passed on.
        """
        answers: list[Answer] = []

        async def attempt() -> Answer:
            answer = await self._attempt(request, judge, len(answers) + 1)
            answers.append(answer)
            if arrived is not None:
                arrived(answer)
            return answer

        await retrying(self._limits, self._sleep, lambda: self._breaker.reason is not None)(attempt)
        return answers

    async def _attempt(self, request: Request, judge: Judge, number: int) -> Answer:
        # The slot is held for this attempt only: a request that waits for its next try keeps nobody else waiting.
        async with self._slots:
            await self._turn()
            if self._breaker.reason:
                return self._not_asked(request)
            answer = await self.send(request, number, judge)
            self._learn(answer)
            return answer

    async def _turn(self) -> None:
        """Waits for the next free start; for another one where the host has asked for a pause meanwhile. A closed host keeps nobody waiting."""
        holds = None
        while self._breaker.reason is None and holds != self._pacer.holds:
            holds = self._pacer.holds
            wait_s = self._pacer.reserve(self._now_s())
            if wait_s > 0:
                await self._sleep(wait_s)

    async def send(self, request: Request, attempt: int, judge: Judge) -> Answer:
        """One attempt. Failures of the network and of the host are answers; cancellation and what `judge` raises pass through."""
        question = self._question(request)
        requested_at = self._clock.now()
        status: int | None = None
        headers: dict[str, str] = {}
        body: bytes | None = None
        unread: failures.Verdict | None = None
        try:
            async with asyncio.timeout(self.config.total_timeout_s):
                response = await self._open().handle_async_request(question)
                try:
                    status, headers = response.status_code, kept_headers(response.headers)
                    body = await read_body(response, self.config.max_body_bytes)
                finally:
                    await response.aclose()
        except TimeoutError:
            unread = FailureClass.TRANSIENT, f"no whole answer within {self.config.total_timeout_s:g} s"
        except BodyError as error:
            unread = error.failure, str(error)
        except failures.REQUEST_ERRORS as error:
            unread = failures.of_error(error)
        received_at = self._clock.now()
        observed_at = received_at - timedelta(seconds=failures.age_s(headers.get("age")))
        answer = Answer(request, attempt, requested_at, received_at, observed_at, status, headers, body)
        verdict = _verdict(answer, unread, judge)
        return answer if verdict is None else replace(answer, failure=verdict[0], failure_detail=verdict[1])

    def _open(self) -> httpx.AsyncBaseTransport:
        if self._transport is None:
            raise RuntimeError(f"the client of {self.platform} is not open: use it as `async with`")
        return self._transport

    def _question(self, request: Request) -> httpx.Request:
        """The request as it goes out: the prepared headers and nothing else.

        No If-None-Match and no If-Modified-Since either, although some answers carry a validator: a 304 has no body, and what a cycle lands has
        to be readable without any other cycle's.
        """
        if request.platform is not self.platform:
            raise ValueError(f"a request to {request.platform} given to the client of {self.platform}")
        if not request.path.startswith("/"):
            raise ValueError(f"path {request.path!r} must begin with '/': requests never leave the platform's own host")
        # httpx parses an address once more for parameters that it is given apart.
        query = f"?{urlencode(request.params)}" if request.params else ""
        headers = self._headers if request.json_body is None else self._headers_with_json
        return httpx.Request(request.method, f"{self._base_url}{request.path}{query}", headers=headers, content=request.json_body)

    def _not_asked(self, request: Request) -> Answer:
        now = self._clock.now()
        return Answer(request, 0, now, now, now, None, {}, None, FailureClass.BLOCKED, f"not asked: {self._breaker.reason}")

    def _learn(self, answer: Answer) -> None:
        """What one answer means for the requests after it."""
        if answer.failure is None:
            self._breaker.answered()
            return
        log.debug("%s %s attempt %d: %s: %s", self.platform, answer.request.path, answer.attempt, answer.failure, answer.failure_detail)
        was_open = self._breaker.reason is None
        if answer.failure is FailureClass.BLOCKED:
            self._breaker.blocked(answer.failure_detail)
        elif answer.failure is FailureClass.RATE_LIMITED:
            told_s = failures.retry_after_s(answer.headers, answer.received_at) or 0.0
            if told_s > self._limits.retry_after_max_s:
                self._breaker.close(f"told to wait {told_s:.0f} s, more than the {self._limits.retry_after_max_s:g} s taken on")
            else:
                self._pacer.hold_until(self._now_s() + told_s)
        if was_open and self._breaker.reason is not None:
            log.warning("%s is asked no more: %s", self.platform, self._breaker.reason)

    @staticmethod
    def _now_s() -> float:
        return asyncio.get_running_loop().time()


def kept_headers(headers: httpx.Headers) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name in KEPT_HEADERS}


def _verdict(answer: Answer, unread: failures.Verdict | None, judge: Judge) -> failures.Verdict | None:
    if answer.status is None:
        return unread
    if unread is None and answer.body and failures.is_good(answer.status):
        return judge(answer)
    # What the status says stands, even where the body that came with it could not be read.
    return failures.of_status(answer.status, answer.headers, answer.request.kind, answer.body) or unread


def _headers(given: Mapping[str, str]) -> httpx.Headers:
    """Of two spellings of one header's name the later one counts; httpx would send both."""
    headers = httpx.Headers({"accept": "*/*", "accept-encoding": "gzip"})
    for name, value in given.items():
        headers[name] = value
    return headers
