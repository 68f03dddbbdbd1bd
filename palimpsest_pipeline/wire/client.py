"""The client of one host: sends a request once and returns the answer. The caller handles retries.

The client does not parse answers; the function `judge` of the caller does. It stores nothing.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlencode

import httpx

from palimpsest_pipeline.domain.enums import FailureClass, Platform
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.domain.instants import Clock
from palimpsest_pipeline.domain.printable_text import escape_controls
from palimpsest_pipeline.domain.secrets import build_bytes_redactor, build_redactor

from . import failures, library_errors
from .body import BodyError, read_body
from .client_config import HostConfig
from .transport import AiohttpTransport

STORED_HEADERS: Final = frozenset(
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
"""The response headers that are stored with an answer.

They are all that is needed to classify the answer again after it was landed.
"""

Judge = Callable[[Answer], failures.Verdict | None]
"""A platform's own check of a 2xx answer: returns the failure that its JSON reports, or None."""


class PlatformClient:
    """The client of one host, for use in one event loop with `async with`."""

    def __init__(self, config: HostConfig, clock: Clock) -> None:
        self.config = config
        self._clock = clock
        self._base_url = config.base_url.rstrip("/")
        self._headers = _build_headers(config.headers)
        self._headers_with_json = _build_headers({**config.headers, "content-type": "application/json"})
        self._transport: httpx.AsyncBaseTransport | None = None
        secrets = [*config.secrets, *(config.proxy.secrets if config.proxy else ())]
        self._redact, self._redact_body = build_redactor(secrets), build_bytes_redactor(secrets)

    @property
    def platform(self) -> Platform:
        return self.config.platform

    async def __aenter__(self) -> Self:
        config = self.config
        self._transport = AiohttpTransport(config.connect_timeout_s, config.read_timeout_s, config.proxy)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._transport is not None:
            await self._transport.aclose()
            self._transport = None

    async def send(self, request: Request, attempt: int, judge: Judge) -> Answer:
        """Send a request once and return its answer. `attempt` counts from 1.

        A failure of the network or the host is returned as an answer with a failure. Cancellation and errors of `judge`
        are raised.
        """
        http_request = self._build_request(request)
        requested_at = self._clock.now()
        status: int | None = None
        headers: dict[str, str] = {}
        body: bytes | None = None
        read_failure: failures.Verdict | None = None
        try:
            async with asyncio.timeout(self.config.total_timeout_s):
                response = await self._open_transport().handle_async_request(http_request)
                try:
                    status, headers = response.status_code, select_stored_headers(response.headers)
                    body = await read_body(response, self.config.max_body_bytes)
                finally:
                    await response.aclose()
        except TimeoutError:
            read_failure = FailureClass.TRANSIENT, f"no whole answer within {self.config.total_timeout_s:g} s"
        except BodyError as error:
            read_failure = error.failure, str(error)
        except library_errors.REQUEST_ERRORS as error:
            read_failure = library_errors.classify_error(error)
        received_at = self._clock.now()
        observed_at = received_at - timedelta(seconds=failures.parse_age_s(headers.get("age")))
        if status is not None and not (failures.is_success(status) and failures.is_json(body)):
            # An error page may repeat the request's headers, so secrets are removed. JSON stays unchanged because it is
            # data.
            headers, body = (
                {name: self._redact(value) for name, value in headers.items()},
                body and self._redact_body(body),
            )
        answer = Answer(request, attempt, requested_at, received_at, observed_at, status, headers, body)
        verdict = _judge_answer(answer, read_failure, judge)
        return (
            answer
            if verdict is None
            else replace(answer, failure=verdict[0], failure_detail=escape_controls(self._redact(verdict[1])))
        )

    def _open_transport(self) -> httpx.AsyncBaseTransport:
        if self._transport is None:
            raise RuntimeError(f"the client of {self.platform} is not open: use it as `async with`")
        return self._transport

    def _build_request(self, request: Request) -> httpx.Request:
        """Build the httpx request with the prepared headers and no others.

        If-None-Match and If-Modified-Since are never sent: a 304 answer has no body, and the landed answers of a cycle
        must be readable without those of another cycle.
        """
        if request.platform != self.platform:
            raise ValueError(f"a request to {request.platform} given to the client of {self.platform}")
        if not request.path.startswith("/"):
            raise ValueError(f"path {request.path!r} must begin with '/': requests never leave the platform's own host")
        # If the parameters were passed separately, httpx would parse the URL a second time.
        query = f"?{urlencode(request.params)}" if request.params else ""
        headers = self._headers if request.json_body is None else self._headers_with_json
        return httpx.Request(
            request.method, f"{self._base_url}{request.path}{query}", headers=headers, content=request.json_body
        )


def select_stored_headers(headers: httpx.Headers) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name in STORED_HEADERS}


def _judge_answer(answer: Answer, read_failure: failures.Verdict | None, judge: Judge) -> failures.Verdict | None:
    if answer.status is None:
        return read_failure
    if read_failure is None and answer.body and failures.is_success(answer.status):
        return judge(answer)
    # The status decides, even when the body could not be read.
    verdict = failures.classify_status(answer.status, answer.headers, answer.request.kind, answer.body) or read_failure
    if verdict is None or verdict[0] is not FailureClass.BLOCKED:
        return verdict
    # A block may have a more specific meaning, such as an expired session, that only the dialect knows.
    own_verdict = judge(answer)
    return own_verdict if own_verdict is not None and own_verdict[0] is not FailureClass.BLOCKED else verdict


def _build_headers(header_values: Mapping[str, str]) -> httpx.Headers:
    """Return the headers of every request.

    If a name occurs twice with different case, the last value is used; httpx would send both.
    """
    headers = httpx.Headers({"accept": "*/*", "accept-encoding": "gzip"})
    for name, value in header_values.items():
        headers[name] = value
    return headers
