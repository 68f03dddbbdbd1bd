"""The protection of the board: headers of every answer, the check of a request's host, the token.

The board binds to loopback, where it needs no token. Elsewhere it needs one (`check_binding`).
"""

import hashlib
import hmac
import ipaddress
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import quote

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from palimpsest_pipeline.domain.errors import PalimpsestError

COOKIE_NAME: Final = "palimpsest_board"
LOGIN_PATH: Final = "/login"
TABLE_PATH: Final = "/"
TARGET_PARAMETER: Final = "next"
"""Parameter of the login page: path and query to go to after the login."""
MIN_TOKEN_LENGTH: Final = 16
LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
EMBEDDED_PAGE_POLICY: Final = "frame-ancestors 'self'"
"""The policy of the coverage page, which has a stricter one in its own text."""
HEADERS: Final[Mapping[str, str]] = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}


class BoardNotProtected(PalimpsestError):
    """The error when the board would be open to other machines without a token."""


def is_loopback(host: str) -> bool:
    """Return whether an address to bind to can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_binding(host: str, token: str | None) -> None:
    """Raise BoardNotProtected for a short token, and for a `host` other than loopback without a token."""
    if token is not None and len(token) < MIN_TOKEN_LENGTH:
        raise BoardNotProtected(
            f"PALIMPSEST_BOARD_TOKEN is too short: use at least {MIN_TOKEN_LENGTH} random characters"
        )
    if token is None and not is_loopback(host):
        raise BoardNotProtected(
            f"the board does not bind to {host} without a token: set PALIMPSEST_BOARD_TOKEN, or keep "
            "PALIMPSEST_BOARD_HOST at 127.0.0.1 and put a reverse proxy with a login in front"
        )


def build_cookie_value(token: str) -> str:
    """Return the value of the cookie that shows that a person gave the token.

    The token cannot be computed from it.
    """
    return hmac.new(token.encode(), b"palimpsest board", hashlib.sha256).hexdigest()


def is_same_secret(candidate: str, expected: str) -> bool:
    """Return whether two secrets are equal, in a time that does not depend on the first difference."""
    return hmac.compare_digest(candidate.encode("utf-8", "surrogateescape"), expected.encode())


def choose_local_target(target: str) -> str:
    """Return the target of a redirect if it is a path of the board, otherwise the path of the table.

    Browsers read `//name` and `/\\name` as another host, also with a tab or a line break in between.
    """
    is_local = (
        target.startswith("/")
        and not target.startswith("//")
        and "\\" not in target
        and target.isprintable()
        and target.partition("?")[0] != LOGIN_PATH
    )
    return target if is_local else TABLE_PATH


class Protection:
    """ASGI middleware: adds the headers, and refuses foreign hosts and requests without the token."""

    def __init__(self, app: ASGIApp, token: str | None, *, is_open_to_hosts: bool) -> None:
        self._app, self._token, self._is_open_to_hosts = app, token, is_open_to_hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name for name, _ in message["headers"]}
                policy = {"content-security-policy": POLICY}
                message["headers"] = [
                    *message["headers"],
                    *(
                        (name.encode(), value.encode())
                        for name, value in {**HEADERS, **policy}.items()
                        if name.encode() not in present
                    ),
                ]
            await send(message)

        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refuse(scope, headers)
        await (refusal or self._app)(scope, receive, send_with_headers)

    def _refuse(self, scope: Scope, headers: Mapping[bytes, str]) -> PlainTextResponse | None:
        """Return the answer to a request that is refused, otherwise None."""
        path: str = scope["path"]
        if not self._is_open_to_hosts and _strip_port(headers.get(b"host", "")) not in LOOPBACK_NAMES:
            # Otherwise a foreign page could read the board through a name that it points at this machine.
            return PlainTextResponse(
                "This board answers requests to localhost only. A reverse proxy must send Host: localhost.\n", 421
            )
        if self._token is None or path == LOGIN_PATH or path.startswith("/assets/"):
            return None
        if self._has_token(headers):
            return None
        if "text/html" in headers.get(b"accept", ""):
            query = scope["query_string"].decode("latin-1")
            target = quote(path) + (f"?{query}" if query else "")
            parameters = "" if target == TABLE_PATH else f"?{TARGET_PARAMETER}={quote(target, safe='')}"
            return PlainTextResponse("", 303, {"location": f"{LOGIN_PATH}{parameters}"})
        return PlainTextResponse("The board needs a token: Authorization: Bearer TOKEN.\n", 401)

    def _has_token(self, headers: Mapping[bytes, str]) -> bool:
        assert self._token is not None
        scheme, _, bearer = headers.get(b"authorization", "").partition(" ")
        if scheme.lower() == "bearer" and is_same_secret(bearer.strip(), self._token):
            return True
        try:
            cookie = SimpleCookie(headers.get(b"cookie", "")).get(COOKIE_NAME)
        except CookieError:
            return False
        return cookie is not None and is_same_secret(cookie.value, build_cookie_value(self._token))


def _strip_port(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].lower()
