"""An httpx transport over aiohttp's connections. No other module opens HTTP connections."""

import ssl
from collections.abc import AsyncIterator
from functools import cache
from typing import Final, NoReturn

import aiohttp
import httpx
from yarl import URL

from palimpsest_pipeline.domain.proxy import Proxy

KEEPALIVE_S: Final = 30.0

_HTTPX_ERRORS: Final[tuple[tuple[type[Exception], type[httpx.RequestError]], ...]] = (
    (aiohttp.ConnectionTimeoutError, httpx.ConnectTimeout),
    (aiohttp.ServerTimeoutError, httpx.ReadTimeout),
    (aiohttp.ClientHttpProxyError, httpx.ProxyError),
    (aiohttp.ClientProxyConnectionError, httpx.ProxyError),
    (aiohttp.InvalidURL, httpx.UnsupportedProtocol),
    (aiohttp.ClientConnectorError, httpx.ConnectError),
    (aiohttp.ServerDisconnectedError, httpx.RemoteProtocolError),
    (aiohttp.ClientConnectionError, httpx.ReadError),
    (aiohttp.ClientPayloadError, httpx.ReadError),
)
"""Exceptions of aiohttp with the httpx exception that replaces them. The first matching pair is used.

An exception that is not listed is not a network failure and is raised unchanged.
"""


@cache
def get_default_tls_context() -> ssl.SSLContext:
    """Return a shared TLS context.

    It is created once, before the first request. Creating it takes tens of milliseconds, which would delay one
    platform's request for a fixture but not the others'.
    """
    return httpx.create_ssl_context(trust_env=False)


class AiohttpTransport(httpx.AsyncBaseTransport):
    """An httpx transport that uses aiohttp.

    The time of httpx's own connection pool grows quadratically with its connections, and its client costs more than the
    request. Credentials of a proxy are sent in a header and are not part of its URL, because the library's errors
    contain the URL.

    Each request is sent once. Redirects are not followed, cookies not kept, bodies not decompressed. The number of
    connections is not limited here; the caller limits the requests in flight.
    """

    def __init__(self, connect_timeout_s: float, read_timeout_s: float, proxy: Proxy | None) -> None:
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout_s, sock_read=read_timeout_s)
        self._proxy = None if proxy is None else proxy.url
        self._proxy_headers = (
            {} if proxy is None or proxy.authorization is None else {"proxy-authorization": proxy.authorization}
        )
        # Only a client with a proxy reads certificates from the environment.
        self._tls = httpx.create_ssl_context() if proxy else get_default_tls_context()
        self._session: aiohttp.ClientSession | None = None

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE_S, ssl=self._tls)
            self._session = aiohttp.ClientSession(
                connector=connector, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
            )
            # aiohttp silently repeats a request when a kept-alive connection breaks, and has no public option against
            # it.
            self._session._retry_connection = False
        return self._session

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return the response when its headers have arrived.

        Raises httpx's errors, OSError, and aiohttp's errors for a response that is not HTTP.
        """
        headers = request.headers
        # without a TLS tunnel the proxy itself reads the request's headers
        if self._proxy_headers and request.url.scheme == "http":
            headers = httpx.Headers({**headers, **self._proxy_headers})
        try:
            response = await self._open_session().request(
                request.method,
                URL(str(request.url), encoded=True),
                headers=headers,
                data=request.content or None,
                allow_redirects=False,
                timeout=self._timeout,
                proxy=self._proxy,
                proxy_headers=self._proxy_headers or None,
            )
        except (aiohttp.ClientError, TimeoutError) as error:
            _raise_as_httpx(error)
        return httpx.Response(
            response.status, headers=response.raw_headers, stream=_BodyStream(response), request=request
        )

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


class _BodyStream(httpx.AsyncByteStream):
    """The body as a stream of pieces of any size."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        content = self._response.content
        try:
            while piece := await content.readany():
                yield piece
        except (aiohttp.ClientError, TimeoutError) as error:
            _raise_as_httpx(error)

    async def aclose(self) -> None:
        """Return the connection to the pool, or close it when the body was not read to its end."""
        self._response.release()


def _raise_as_httpx(error: Exception) -> NoReturn:
    for aiohttp_error, httpx_error in _HTTPX_ERRORS:
        if isinstance(error, aiohttp_error):
            raise httpx_error(str(error)) from error
    raise error
