"""The address of a proxy, separated from its credentials as soon as it is read."""

import base64
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import unquote, urlsplit

from .secrets import list_address_secrets


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy's address, and its credentials in separate fields."""

    url: str
    """Scheme, host and port: nothing in it is secret, so any message may show it."""
    authorization: str | None = field(default=None, repr=False)
    """Value of the header Proxy-Authorization."""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """Forms in which the credentials could come back in an answer or an error."""

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Read `http://user:password@host:port`, user and password percent-encoded.

        Raises ValueError, whose message never shows the URL.
        """
        try:
            parts = urlsplit(url)
            _ = parts.port  # raises ValueError for a port that is no number
        except ValueError:
            parts = urlsplit("")
        info, _, place = parts.netloc.rpartition("@")
        if (
            parts.scheme not in ("http", "https")
            or not parts.hostname
            or parts.path not in ("", "/")
            or parts.query
            or parts.fragment
        ):
            raise ValueError(
                "is not the URL of a proxy: write http://HOST:PORT or http://USER:PASSWORD@HOST:PORT, with a number for PORT, and @ : / ? # % in "
                "USER and PASSWORD percent-encoded (@ is %40)"
            )
        address = f"{parts.scheme}://{place}"
        if not info:
            return cls(address)
        credentials = ":".join(unquote(part) for part in (info.split(":", 1) if ":" in info else (info, "")))
        encoded = base64.b64encode(credentials.encode()).decode()
        return cls(address, f"Basic {encoded}", (*list_address_secrets(url), credentials, encoded))
