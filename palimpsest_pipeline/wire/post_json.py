"""Send one POST request with JSON to a host that is not a platform, such as a webhook. Never retries.

The URL is a secret: no error contains it. httpx's own client is not used, because it logs URLs.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from palimpsest_pipeline.domain.secrets import build_bytes_redactor, list_link_secrets, redact

from . import failures, library_errors
from .body import BodyError, read_body
from .transport import AiohttpTransport

MAX_ANSWER_BYTES: Final = 64 * 1024


class PostError(Exception):
    """The error when the host did not accept the request.

    The message contains the host name and the response, but nothing else of the URL.
    """


def post_json(url: str, payload: Mapping[str, Any], *, timeout_s: float) -> None:
    """POST `payload` as JSON. Every 2xx response is a success.

    TLS certificates are verified and redirects are not followed. `timeout_s` limits the whole call. Raises PostError.
    """
    try:
        asyncio.run(_post(url, json.dumps(payload).encode(), timeout_s))
    except TimeoutError:
        raise PostError(f"{_extract_host(url)}: no whole answer within {timeout_s:g} s") from None
    except httpx.InvalidURL:
        raise PostError(f"{_extract_host(url)}: the address cannot be asked") from None
    except library_errors.REQUEST_ERRORS as error:
        raise PostError(
            f"{_extract_host(url)}: {redact(library_errors.classify_error(error)[1], *list_link_secrets(url))}"
        ) from None


async def _post(url: str, body: bytes, timeout_s: float) -> None:
    transport = AiohttpTransport(timeout_s, timeout_s, None)
    try:
        async with asyncio.timeout(timeout_s):
            request = httpx.Request(
                "POST", url, content=body, headers={"content-type": "application/json", "accept-encoding": "gzip"}
            )
            response = await transport.handle_async_request(request)
            try:
                if not failures.is_success(response.status_code):
                    secrets = list_link_secrets(url)
                    # Secrets are removed before the text is shortened, because a part of a secret would not be
                    # recognised.
                    refusal = redact(await _describe_refusal(response, build_bytes_redactor(secrets)), *secrets)
                    raise PostError(f"{_extract_host(url)} answered HTTP {response.status_code}{refusal}")
            finally:
                await response.aclose()
    finally:
        await transport.aclose()


async def _describe_refusal(response: httpx.Response, redact_bytes: Callable[[bytes], bytes]) -> str:
    if response.is_redirect:
        return ": redirects are not followed, give the address that it is now at"
    try:
        excerpt = failures.make_excerpt(redact_bytes(await read_body(response, MAX_ANSWER_BYTES)))
    except (BodyError, *library_errors.REQUEST_ERRORS):
        excerpt = ""
    return f": {excerpt}" if excerpt else ""


def _extract_host(url: str) -> str:
    return urlsplit(url).hostname or "no host"
