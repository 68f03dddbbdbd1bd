"""Remove secrets from text: credentials in URLs, and secrets that the caller passes."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

REDACTED_TEXT: Final = "***"
MIN_SECRET_CHARS: Final = 4
"""Minimum length of a secret that is removed outside URLs.

A shorter one would match parts of ordinary words.
"""
MIN_SUBSTRING_CHARS: Final = 8
"""Minimum length of a secret that is removed inside other words.

A shorter one is removed only as a separate word.
"""
URL_CREDENTIALS_PATTERN: Final = re.compile(
    r"\b(?!(?:abfss?|az|file)://)([a-z][a-z0-9+.-]*://)"
    r"(?!(?:(?:user)?:password|[^\s:/?#@'\"<>]*:\*\*\*)@[^\s'\"<>@]*(?:[\s'\"<>]|$))[^\s'\"<>]*@",
    re.IGNORECASE,
)
"""Matches from the scheme of a URL to its last @.

A password may contain a /, ? or # that was not encoded. So an @ in a path removes the text before it, too.

In abfs:// and az:// the part before the @ is the name of a container, in file:// it is part of a path. The words user
and password are an example in our own messages, and a password shown as *** is already removed.
"""
PUBLIC_QUERY_PARAMETERS: Final = frozenset(
    {
        "application_name",
        "connect_timeout",
        "dbname",
        "host",
        "hostaddr",
        "options",
        "port",
        "sslcert",
        "sslmode",
        "sslrootcert",
        "user",
    }
)
"""URL query parameters that are not secret. All others may be secret."""
STORE_ADDRESS_VARIABLES: Final = re.compile(r"(AWS|FSSPEC)_.*ENDPOINT_URL", re.IGNORECASE)
STORE_CREDENTIAL_VARIABLES: Final = re.compile(
    r"(AWS|AZURE|GOOGLE|GCS|FSSPEC)_.*(KEY|SECRET|TOKEN|PASSWORD|PASSPHRASE|CREDENTIAL|CONNECTION_STRING)",
    re.IGNORECASE,
)
PUBLIC_HEADERS: Final = frozenset(
    {"accept", "accept-encoding", "accept-language", "content-type", "origin", "referer", "user-agent"}
)
"""Headers that are not secret."""


def redact(text: str, *secrets: str) -> str:
    """Return `text` without the credentials of any URL in it, and without `secrets`."""
    return build_redactor(secrets)(text)


def build_redactor(secrets: Iterable[str]) -> Callable[[str], str]:
    """Return a function that removes URL credentials and `secrets` from a text.

    Each secret is removed in three forms: as it is, percent-encoded and percent-decoded.
    """
    pattern = _build_pattern(secrets, MIN_SECRET_CHARS)

    def hide(text: str) -> str:
        text = URL_CREDENTIALS_PATTERN.sub(rf"\1{REDACTED_TEXT}@", text)
        return text if pattern is None else pattern.sub(REDACTED_TEXT, text)

    return hide


def build_bytes_redactor(secrets: Iterable[str]) -> Callable[[bytes], bytes]:
    """Return a function that removes `secrets` of at least `MIN_SUBSTRING_CHARS` characters from a body."""
    pattern = _build_pattern(secrets, MIN_SUBSTRING_CHARS)
    if pattern is None:
        return lambda body: body
    raw = re.compile(pattern.pattern.encode(), re.IGNORECASE)
    return lambda body: raw.sub(REDACTED_TEXT.encode(), body)


def _build_pattern(secrets: Iterable[str], min_chars: int) -> re.Pattern[str] | None:
    forms = {
        form
        for secret in secrets
        for form in (secret, unquote(secret), quote(secret, safe=""), quote(secret))
        if len(form) >= min_chars
    }
    if not forms:
        return None
    by_length = sorted(forms, key=lambda form: (-len(form), form))
    return re.compile(
        "|".join(
            re.escape(form) if len(form) >= MIN_SUBSTRING_CHARS else rf"(?<!\w){re.escape(form)}(?!\w)"
            for form in by_length
        ),
        re.IGNORECASE,
    )


def list_address_secrets(url: str, *, user_is_secret: bool = True) -> list[str]:
    """Return the secrets of a URL whose host and path may be shown: user info and query values.

    The user info is returned as a whole and in parts, the user alone only with `user_is_secret`. Values of
    `PUBLIC_QUERY_PARAMETERS` are not secret. An unescaped `/` or `@` in the password moves the apparent start of the
    host, so everything before the last `@` counts as user info.
    """
    rest = url.partition("://")[2].partition("?")[0]
    user_info = rest.rpartition("@")[0]
    user, _, password = user_info.partition(":")
    parts = [user_info, password, *re.split(r"[:@/?#]", password)]
    return [
        *parts,
        *([user] if user_is_secret else []),
        *(value for name, value in _parse_query(url) if name.lower() not in PUBLIC_QUERY_PARAMETERS),
    ]


def list_link_secrets(url: str) -> list[str]:
    """Return the secrets of a URL of which only the host may be shown.

    These are the whole URL, and its user info, path and query in parts.
    """
    parts = _split_url(url)
    user_info = parts.netloc.rpartition("@")[0]
    pieces = [
        url,
        user_info,
        *user_info.split(":", 1),
        f"{parts.path}?{parts.query}",
        parts.path,
        parts.query,
        parts.fragment,
    ]
    return [
        piece
        for piece in [*pieces, *parts.path.split("/"), *(value for _, value in _parse_query(url))]
        if piece.strip("/?")
    ]


def list_store_secrets(environment: Mapping[str, str]) -> list[str]:
    """Return the credentials that object-store packages read from environment variables.

    Some of these packages repeat them in error messages.
    """
    addresses = [value for name, value in environment.items() if STORE_ADDRESS_VARIABLES.match(name)]
    credentials = [value for name, value in environment.items() if STORE_CREDENTIAL_VARIABLES.match(name)]
    return credentials + [
        secret for address in addresses for secret in list_address_secrets(address, user_is_secret=False)
    ]


def list_header_secrets(headers: Mapping[str, str]) -> list[str]:
    """Return the secrets of headers: values of all headers except `PUBLIC_HEADERS`, and their long parts.

    Long parts are e.g. a cookie's value or the token after `Bearer`.
    """
    values = [value for name, value in headers.items() if name.lower() not in PUBLIC_HEADERS]
    return values + [
        part for value in values for part in re.split(r"[\s;,=]+", value) if len(part) >= MIN_SUBSTRING_CHARS
    ]


def _parse_query(url: str) -> list[tuple[str, str]]:
    return parse_qsl(_split_url(url).query)


def _split_url(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:  # the host in brackets is not an IP address
        return urlsplit("")
