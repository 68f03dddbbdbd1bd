"""Parse a proxy's URL and separate its credentials from it."""

import base64
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import unquote, urlsplit

from .secrets import list_address_secrets


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy's URL without credentials, and its credentials in separate fields."""

    url: str
    """Scheme, host and port. It contains no secret, so messages may show it."""
    authorization: str | None = field(default=None, repr=False)
    """The value of the header Proxy-Authorization."""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """The forms in which the credentials could occur in an answer or an error."""

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Parse `http://user:password@host:port`, with user and password percent-encoded.

        Raises ValueError with a message that never contains the URL.
        """
        try:
            parts = urlsplit(url)
            _ = parts.port  # raises ValueError when the port is not a number
        except ValueError:
            parts = urlsplit("")
        user_info, _, host_port = parts.netloc.rpartition("@")
        if (
            parts.scheme not in ("http", "https")
            or not parts.hostname
            or parts.path not in ("", "/")
            or parts.query
            or parts.fragment
        ):
            raise ValueError(
                "is not the URL of a proxy: write http://HOST:PORT or http://USER:PASSWORD@HOST:PORT, "
                "with a number for PORT, and @ : / ? # % in USER and PASSWORD percent-encoded (@ is %40)"
            )
        address = f"{parts.scheme}://{host_port}"
        if not user_info:
            return cls(address)
        credentials = ":".join(
            unquote(part) for part in (user_info.split(":", 1) if ":" in user_info else (user_info, ""))
        )
        encoded = base64.b64encode(credentials.encode()).decode()
        return cls(address, f"Basic {encoded}", (*list_address_secrets(url), credentials, encoded))
