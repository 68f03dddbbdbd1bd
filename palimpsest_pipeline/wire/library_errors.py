"""Classify exceptions of the HTTP library as failures. No I/O."""

import ssl
from typing import Final

import aiohttp
import httpx

from palimpsest_pipeline.domain.enums import FailureClass

from .failures import Verdict

REQUEST_ERRORS: Final = (httpx.HTTPError, httpx.StreamError, aiohttp.ClientError, OSError)
"""The exceptions that sending a request may raise.

Errors of aiohttp and of sockets are included, because the transport does not convert all of them.
"""

_RETRYABLE_ERRORS: Final = (
    httpx.TimeoutException,
    httpx.NetworkError,
    httpx.RemoteProtocolError,
    httpx.ProxyError,
    OSError,
)


def classify_error(error: BaseException) -> Verdict:
    """Return the failure class of an exception of the HTTP library, with a text.

    An unexpected exception is `permanent`, and the text names its class.
    """
    detail = f"{type(error).__name__}: {error}".rstrip(": ")
    if _is_bad_certificate(error):
        return FailureClass.PERMANENT, f"certificate refused: {error}"
    if isinstance(error, _RETRYABLE_ERRORS):
        return FailureClass.TRANSIENT, detail
    return FailureClass.PERMANENT, detail


def _is_bad_certificate(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError | aiohttp.ClientConnectorCertificateError):
            return True
        cause = cause.__cause__
    return False
