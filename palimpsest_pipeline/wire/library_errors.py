"""The translation of an exception of the HTTP library into a typed failure. No I/O."""

import ssl
from typing import Final

import aiohttp
import httpx

from palimpsest_pipeline.domain.enums import FailureClass

from .failures import Verdict

REQUEST_ERRORS: Final = (httpx.HTTPError, httpx.StreamError, aiohttp.ClientError, OSError)
"""The exceptions that sending a request may raise.

aiohttp's own and the socket's are included because the transport lets some of them through.
"""

_RETRYABLE_ERRORS: Final = (
    httpx.TimeoutException,
    httpx.NetworkError,
    httpx.RemoteProtocolError,
    httpx.ProxyError,
    OSError,
)


def classify_error(error: BaseException) -> Verdict:
    """Return the failure that an exception of the HTTP library stands for.

    An unexpected one is permanent, and the detail names its class.
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
