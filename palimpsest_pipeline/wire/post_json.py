"""Send one POST request with JSON to a host that is not a platform, such as a webhook. Never retries.

The URL is a secret: no error contains it.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from .webhook import WebhookAnswer, WebhookClient


class PostError(Exception):
    """The error when the host did not accept the request.

    The message contains the host name and the response, but nothing else of the URL.
    """


def post_json(url: str, payload: Mapping[str, Any], *, timeout_s: float) -> None:
    """POST `payload` as JSON. Every 2xx response is a success.

    TLS certificates are verified and redirects are not followed. `timeout_s` limits the whole call. Raises PostError.
    """
    answer = asyncio.run(_post(url, json.dumps(payload).encode(), timeout_s))
    if not answer.is_success:
        raise PostError(answer.detail)


async def _post(url: str, body: bytes, timeout_s: float) -> WebhookAnswer:
    async with WebhookClient(timeout_s) as client:
        return await client.post(url, body, {"content-type": "application/json"})
