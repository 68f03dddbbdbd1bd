"""The headers of a message to a webhook: its id, the time of the attempt, and a signature.

They follow the specification Standard Webhooks, so that receivers can use its libraries.
"""

import base64
import hashlib
import hmac
from typing import Final

ID_HEADER: Final = "webhook-id"
TIMESTAMP_HEADER: Final = "webhook-timestamp"
SIGNATURE_HEADER: Final = "webhook-signature"
KEY_PREFIX: Final = "whsec_"
"""A key with this prefix is base64 after it; any other key is used as UTF-8."""
MIN_KEY_BYTES: Final = 16


class BadSigningKey(ValueError):
    """The error for a key that cannot be used. The message does not contain it."""


def decode_key(text: str) -> bytes:
    """Return the bytes of a signing key. Raises BadSigningKey."""
    try:
        key = base64.b64decode(text.removeprefix(KEY_PREFIX), validate=True) if text.startswith(KEY_PREFIX) else None
    except ValueError:  # not base64, or characters outside ASCII
        raise BadSigningKey(f"the text after {KEY_PREFIX} is not base64") from None
    key = text.encode() if key is None else key
    if len(key) < MIN_KEY_BYTES:
        raise BadSigningKey(f"a key has at least {MIN_KEY_BYTES} bytes")
    return key


def build_headers(message_id: str, body: bytes, timestamp_s: int, key: bytes | None) -> dict[str, str]:
    """Return the headers of one attempt; without a key there is no signature.

    The signature is `v1,` and the base64 of the HMAC-SHA256 of `{id}.{timestamp}.{body}`. `timestamp_s` is in Unix
    seconds.
    """
    headers = {
        "content-type": "application/json; charset=utf-8",
        ID_HEADER: message_id,
        TIMESTAMP_HEADER: str(timestamp_s),
    }
    if key is not None:
        signed = b".".join((message_id.encode(), str(timestamp_s).encode(), body))
        digest = hmac.new(key, signed, hashlib.sha256).digest()
        headers[SIGNATURE_HEADER] = f"v1,{base64.b64encode(digest).decode()}"
    return headers
