"""Telling something to a host that is no platform: one POST of JSON, once. Keeps nothing, tries nothing again.

The address is a secret: it stands in no error, and httpx's own client, which logs addresses, is not used.
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
    """The host did not take it. The message names the host and what it did, and never the rest of the address."""


def post_json(url: str, payload: Mapping[str, Any], *, timeout_s: float) -> None:
    """POST `payload` as JSON; any 2xx is taken for a yes.

    TLS is verified, no redirect followed. At most `timeout_s` in all. Raises PostFailed.
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
            question = httpx.Request(
                "POST", url, content=body, headers={"content-type": "application/json", "accept-encoding": "gzip"}
            )
            response = await transport.handle_async_request(question)
            try:
                if not failures.is_success(response.status_code):
                    said = await _describe_refusal(
                        response, build_bytes_redactor(list_link_secrets(url))
                    )  # before it is cut: half a secret would not be found
                    raise PostError(
                        f"{_extract_host(url)} answered HTTP {response.status_code}{redact(said, *list_link_secrets(url))}"
                    )
            finally:
                await response.aclose()
    finally:
        await transport.aclose()


async def _describe_refusal(response: httpx.Response, redact_bytes: Callable[[bytes], bytes]) -> str:
    if response.is_redirect:
        return ": redirects are not followed, give the address that it is now at"
    try:
        said = failures.make_excerpt(redact_bytes(await read_body(response, MAX_ANSWER_BYTES)))
    except (BodyError, *library_errors.REQUEST_ERRORS):
        said = ""
    return f": {said}" if said else ""


def _extract_host(url: str) -> str:
    return urlsplit(url).hostname or "no host"
