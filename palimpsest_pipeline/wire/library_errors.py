"""What an exception of the HTTP library means, as a typed failure. No I/O."""

import ssl
from typing import Final

import aiohttp
import httpx

from palimpsest_pipeline.domain.enums import FailureClass

from .failures import Verdict

REQUEST_ERRORS: Final = (httpx.HTTPError, httpx.StreamError, aiohttp.ClientError, OSError)
"""What sending a request may raise. aiohttp's own and the socket's are here because the transport lets some of them
through.
"""

_RETRYABLE_ERRORS: Final = (
    httpx.TimeoutException,
    httpx.NetworkError,
    httpx.RemoteProtocolError,
    httpx.ProxyError,
    OSError,
)


def classify_error(error: BaseException) -> Verdict:
    """Failure that an exception of the HTTP library stands for.

    One that is not foreseen is permanent and names its class.
    """
    named = f"{type(error).__name__}: {error}".rstrip(": ")
    if _is_bad_certificate(error):
        return FailureClass.PERMANENT, f"certificate refused: {error}"
    if isinstance(error, _RETRYABLE_ERRORS):
        return FailureClass.TRANSIENT, named
    return FailureClass.PERMANENT, named


def _is_bad_certificate(error: BaseException) -> bool:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError | aiohttp.ClientConnectorCertificateError):
            return True
        seen = seen.__cause__
    return False
