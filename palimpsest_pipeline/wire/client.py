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

import httpx
from httpx_aiohttp import AiohttpTransport

from ..domain.exchange import Answer, Request
from ..domain.instants import Clock
from ..domain.words import FailureClass, Platform
from . import failures
from .body import BodyError, read_body
from .config import HostConfig
from .host import Breaker, Pacer
from .retry import retrying

KEPT_HEADERS: Final = frozenset({"content-type", "date", "age", "etag", "last-modified", "retry-after", "server", "cf-cache-status"})

Judge = Callable[[Answer], failures.Verdict | None]
"""A platform's own reading of a 2xx answer: the failure that its envelope shows, or None."""

log = logging.getLogger(__name__)


class PlatformClient:
    """Use as `async with`. One per host and event loop; once its host is closed (see Breaker) it stays so for this client's life."""

    def __init__(self, config: HostConfig, clock: Clock, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self.config = config
        self._limits = config.limits
        self._clock = clock
        self._sleep = sleep
        self._base_url = config.base_url.rstrip("/")
        self._slots = asyncio.Semaphore(config.limits.max_in_flight)
        self._pacer = Pacer(config.limits.min_gap_s)
        self._breaker = Breaker(config.limits.blocks_before_closing)
        self._http: httpx.AsyncClient | None = None

    @property
    def platform(self) -> Platform:
        return self.config.platform

    @property
    def closed_because(self) -> str | None:
        """Why the host is asked no more; None while it is."""
        return self._breaker.reason

    async def __aenter__(self) -> Self:
        limits, n = self._limits, self._limits.max_in_flight
        through_proxy = self.config.proxy is not None
        pool = httpx.Limits(max_connections=n, max_keepalive_connections=n, keepalive_expiry=30.0)
        # httpx's own pool is quadratic in its connections; aiohttp's is not.
        transport = AiohttpTransport(
            trust_env=through_proxy, limits=pool, proxy=httpx.Proxy(self.config.proxy) if self.config.proxy is not None else None
        )
        self._http = httpx.AsyncClient(
            transport=transport,
            headers=_headers(self.config.headers),
            timeout=httpx.Timeout(
                connect=limits.connect_timeout_s, read=limits.read_timeout_s, write=limits.read_timeout_s, pool=limits.total_timeout_s
            ),
            follow_redirects=False,
            trust_env=through_proxy,
        )
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    async def fetch(self, request: Request, judge: Judge, arrived: Callable[[Answer], None] | None = None) -> list[Answer]:
        """Every attempt as an Answer, the last one being the verdict; `arrived` is called with each as it comes.

        A request to a closed host is not sent: its answer has attempt 0, failure BLOCKED and "not asked: ..." as detail. Failures of the
        network and the host are answers, never exceptions. What `judge` and `arrived` raise is passed on.
        """
        if request.platform is not self.platform:
            raise ValueError(f"a request to {request.platform} given to the client of {self.platform}")
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
            answer = await self._send(request, judge, number)
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

    async def _send(self, request: Request, judge: Judge, number: int) -> Answer:
        question = self._question(request)
        requested_at = self._clock.now()
        response: httpx.Response | None = None
        body: bytes | None = None
        verdict: failures.Verdict | None = None
        try:
            async with asyncio.timeout(self._limits.total_timeout_s):
                response = await self._client().send(question, stream=True)
                try:
                    body = await read_body(response, self._limits.max_body_bytes)
                finally:
                    await response.aclose()
        except TimeoutError:
            verdict = FailureClass.TRANSIENT, f"no whole answer within {self._limits.total_timeout_s:g} s"
        except BodyError as error:
            verdict = error.failure, str(error)
        except failures.REQUEST_ERRORS as error:
            verdict = failures.of_error(error)
        received_at = self._clock.now()
        headers = {k: v for k, v in response.headers.items() if k in KEPT_HEADERS} if response is not None else {}
        answer = Answer(
            request=request,
            attempt=number,
            requested_at=requested_at,
            received_at=received_at,
            observed_at=received_at - timedelta(seconds=failures.age_s(headers.get("age"))),
            status=response.status_code if response is not None else None,
            headers=headers,
            body=body,
        )
        # What the status says stands, even where the body that came with it could not be read.
        verdict = (failures.of_status(response.status_code, response.headers) if response is not None else None) or verdict
        if verdict is None and answer.status is not None:
            verdict = judge(answer) or (None if body else failures.of_empty(answer.status))
        return answer if verdict is None else replace(answer, failure=verdict[0], failure_detail=verdict[1])

    def _client(self) -> httpx.AsyncClient:
        if self._http is None:
            raise RuntimeError(f"the client of {self.platform} is not open: use it as `async with`")
        return self._http

    def _question(self, request: Request) -> httpx.Request:
        if not request.path.startswith("/"):
            raise ValueError(f"path {request.path!r} must begin with '/': requests never leave the platform's own host")
        return self._client().build_request(
            request.method,
            self._base_url + request.path,
            params=dict(request.params) or None,
            content=request.json_body,
            headers={"content-type": "application/json"} if request.json_body is not None else None,
        )

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
            told_s = failures.retry_after_s(answer.headers.get("retry-after"), answer.received_at) or 0.0
            if told_s > self._limits.retry_after_max_s:
                self._breaker.close(f"told to wait {told_s:.0f} s, more than the {self._limits.retry_after_max_s:g} s taken on")
            else:
                self._pacer.hold_until(self._now_s() + told_s)
        if was_open and self._breaker.reason is not None:
            log.warning("%s is asked no more: %s", self.platform, self._breaker.reason)

    @staticmethod
    def _now_s() -> float:
        return asyncio.get_running_loop().time()


def _headers(given: Mapping[str, str]) -> httpx.Headers:
    """Of two spellings of one header's name the later one counts; httpx would send both."""
    headers = httpx.Headers({"accept-encoding": "gzip"})
    for name, value in given.items():
        headers[name] = value
    return headers
