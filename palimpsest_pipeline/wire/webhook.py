"""POST bytes to a webhook: one attempt per call, over reused connections, with the result as a value.

The URL is a secret: no result contains it. httpx's own client is not used, because it logs URLs.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

import httpx
from yarl import URL

from palimpsest_pipeline.domain.secrets import build_bytes_redactor, list_link_secrets, redact

from . import failures, library_errors
from .body import BodyError, read_body
from .transport import AiohttpTransport

MAX_ANSWER_BYTES: Final = 64 * 1024
MAX_HOST_BYTES: Final = 253
"""Maximum length of a host name in DNS."""


@dataclass(frozen=True, slots=True)
class WebhookAnswer:
    """The result of one attempt."""

    status: int | None
    """HTTP status; None without an answer."""
    detail: str
    """The reason of a failure, with the host's name and nothing else of the URL; empty for a success."""
    retry_after_s: float | None = None
    """Seconds that the receiver asks to wait; None when it does not."""

    @property
    def is_success(self) -> bool:
        return self.status is not None and failures.is_success(self.status)


class WebhookClient:
    """Sends requests to webhooks. Use as `async with`.

    TLS certificates are verified, redirects are not followed.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._transport = AiohttpTransport(timeout_s, timeout_s, None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._transport.aclose()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> WebhookAnswer:
        """POST `body` once and return the result. Every 2xx answer is a success. Raises no network error."""
        host = extract_host(url)
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._post(url, body, headers)
        except TimeoutError:
            return WebhookAnswer(None, f"{host}: no whole answer within {self._timeout_s:g} s")
        except (httpx.InvalidURL, ValueError):  # ValueError includes a host that has no IDNA form
            return WebhookAnswer(None, f"{host}: the address cannot be used")
        except library_errors.REQUEST_ERRORS as error:
            reason = redact(library_errors.classify_error(error)[1], *list_link_secrets(url))
            return WebhookAnswer(None, f"{host}: {reason}")

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> WebhookAnswer:
        request = httpx.Request("POST", url, content=body, headers={**headers, "accept-encoding": "gzip"})
        response = await self._transport.handle_async_request(request)
        try:
            if failures.is_success(response.status_code):
                return WebhookAnswer(response.status_code, "")
            secrets = list_link_secrets(url)
            # Secrets are removed before the text is shortened, because a part of a secret would not be recognised.
            refusal = redact(await _describe_refusal(response, build_bytes_redactor(secrets)), *secrets)
            return WebhookAnswer(
                response.status_code,
                f"{extract_host(url)} answered HTTP {response.status_code}{refusal}",
                failures.parse_retry_after_s(response.headers, datetime.now(UTC)),
            )
        finally:
            await response.aclose()


def extract_host(url: str) -> str:
    """Return the host of a URL for messages."""
    try:
        return urlsplit(url).hostname or "no host"
    except ValueError:  # such as an open bracket in the place of the host
        return "no host"


def is_usable_address(url: str) -> bool:
    """Return whether a request can be sent to a URL.

    It must have http or https, the name or address of a host, and no port that cannot exist.
    """
    try:
        parsed = urlsplit(url)
        port, host = parsed.port, parsed.hostname or ""
        request_url = httpx.URL(url)
        URL(str(request_url), encoded=True)  # the transport uses this class, which refuses other addresses
        is_whole = 0 < len(host.encode("idna")) <= MAX_HOST_BYTES and bool(request_url.host)
    except (httpx.InvalidURL, ValueError):
        return False
    return parsed.scheme in ("http", "https") and is_whole and port != 0


async def _describe_refusal(response: httpx.Response, redact_bytes: Callable[[bytes], bytes]) -> str:
    if response.is_redirect:
        return ": redirects are not followed; set the new address"
    try:
        excerpt = failures.make_excerpt(redact_bytes(await read_body(response, MAX_ANSWER_BYTES)))
    except (BodyError, *library_errors.REQUEST_ERRORS):
        excerpt = ""
    return f": {excerpt}" if excerpt else ""
