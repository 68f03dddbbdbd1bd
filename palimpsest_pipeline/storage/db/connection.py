"""Parse database URLs and open connections to Postgres."""

import errno
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import psycopg
import sqlalchemy as sa
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Conninfo
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from palimpsest_pipeline.domain.errors import PalimpsestError
from palimpsest_pipeline.domain.secrets import PUBLIC_QUERY_PARAMETERS, list_address_secrets, redact

URL_SCHEME: Final = "postgresql+psycopg"
_APPLICATION_NAME: Final = "palimpsest"
CONNECT_TIMEOUT_S: Final = 10
LOSS_TIMEOUT_S: Final = 8.5
"""Seconds of failed connection attempts after which the database counts as lost.

A server restart takes less.
"""
KEEPALIVE_PARAMETERS: Final = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
"""libpq parameters that detect a broken network connection within half a minute.

Without them, a session that waits for the server would hang even after the server is back.
"""


class DatabaseUrlError(PalimpsestError, ValueError):
    """The error for a database URL that psycopg 3 cannot use.

    The message shows the right form and never contains the password.
    """


def parse_url(url: str) -> URL:
    """Parse a Postgres URL with any driver name. Raises DatabaseUrlError."""
    try:
        parsed = make_url(url)
        conninfo_to_dict(parsed.set(drivername="postgresql").render_as_string(hide_password=False))
    except (ArgumentError, ValueError, psycopg.ProgrammingError):  # their messages may contain a part of the password
        raise DatabaseUrlError(
            "not a database address: write postgresql+psycopg://user:password@host:5432/database, with @ : / ? # % in "
            "the password percent-encoded (@ is %40), and after a ? only parameters that libpq knows"
        ) from None
    if "@" in (parsed.host or "") or "@" in (parsed.database or ""):
        raise DatabaseUrlError("the address holds more than one @: in the password, write %40 for it")
    return parsed


def redact_url(parsed: URL) -> str:
    """Return the URL without its password and without query parameters that may be secret.

    The parameters in `PUBLIC_QUERY_PARAMETERS` stay.
    """
    query = {name: value for name, value in parsed.query.items() if name in PUBLIC_QUERY_PARAMETERS}
    return parsed.set(query=query).render_as_string(hide_password=True)


def explain_connection_error(error: Exception, parsed: URL) -> str:
    """Return the first line of libpq's connection error, with all secrets of the URL removed.

    `parsed` is the URL that the connection attempt used.
    """
    line = str(error).strip().partition("\n")[0].strip()
    return redact(line, *list_address_secrets(parsed.render_as_string(hide_password=False), user_is_secret=False))


def normalise_url(url: str) -> str:
    """Return a Postgres URL in the form `postgresql+psycopg://...`.

    The driver name is added to `postgresql://`. Raises DatabaseUrlError for every other scheme, and for a URL without a
    database name.
    """
    parsed = parse_url(url)
    if parsed.drivername not in {"postgresql", URL_SCHEME}:
        raise DatabaseUrlError(
            f"{parsed.drivername}:// is not supported: write postgresql+psycopg://user:password@host:5432/database"
        )
    if not parsed.database:
        raise DatabaseUrlError(f"the address names no database: {redact_url(parsed)}")
    return parsed.set(drivername=URL_SCHEME).render_as_string(hide_password=False)


DISK_FULL_SQLSTATE: Final = "53100"
CONNECTION_LOST_SQLSTATES: Final = ("08", "57P")
"""SQLSTATE prefixes that mean that the server is stopping, starting or unreachable."""
DRIVER_PACKAGES: Final = ("psycopg", "psycopg2")
WRAPPER_PACKAGES: Final = (*DRIVER_PACKAGES, "sqlalchemy", "dagster", "palimpsest_pipeline")
"""Packages that wrap errors without `raise ... from`.

When one of them raises an error while it handles another, the handled error counts as the cause. For other packages it
does not.
"""


def explain_loss(error: BaseException) -> str | None:
    """Return a message for the user if a lost database or a full disk caused `error`, otherwise None.

    The chain of causes is searched. It may contain errors of SQLAlchemy, psycopg 3 and psycopg2.
    """
    for cause in _walk_causes(error):
        state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
        reason = str(cause).strip().partition("\n")[0].strip()
        if state == DISK_FULL_SQLSTATE or (isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)):
            return (
                f"the disk is full: {reason}. Make room, then run the command again: answers that have arrived are kept"
            )
        is_loss = type(cause).__name__ in (
            "OperationalError",
            "InterfaceError",
            "AdminShutdown",
            "CrashShutdown",
            "CannotConnectNow",
        )
        is_loss |= (
            type(cause).__name__ == "DatabaseError" and _get_package(cause) == "psycopg2" and state is None
        )  # psycopg2 raises it when the server closes the connection
        if (
            is_loss
            and _get_package(cause) in DRIVER_PACKAGES
            and (state is None or state.startswith(CONNECTION_LOST_SQLSTATES))
        ):
            return (
                f"the database was lost: {reason}. Make sure that its server runs and its disk has room "
                "(`palimpsest doctor` checks both), then run the command again: answers that have arrived are kept"
            )
    return None


def _walk_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error, then its cause, then the cause of that, and so on.

    For errors raised by WRAPPER_PACKAGES, `__context__` also counts as a cause.
    """
    visited_ids: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in visited_ids:
        visited_ids.add(id(current))
        yield current
        original: BaseException | None = getattr(current, "orig", None)  # SQLAlchemy keeps the driver's error in `orig`
        follows_context = not current.__suppress_context__ and _get_package(current) in WRAPPER_PACKAGES
        current = original or current.__cause__ or (current.__context__ if follows_context else None)


def _get_package(error: BaseException) -> str:
    return type(error).__module__.partition(".")[0]


class DatabaseGone(ConnectionError):
    """The error when SQLAlchemy could not connect for some seconds.

    Its `__cause__` is the last connection error, which `explain_loss` reads.
    """


@contextmanager
def give_up_on_loss(limit_s: float = LOSS_TIMEOUT_S) -> Iterator[None]:
    """Raise DatabaseGone inside the block once SQLAlchemy could not connect for `limit_s` seconds.

    Dagster retries each statement for twelve seconds when SQLAlchemy raises an error, and runs several statements after
    a run has failed. It does not retry after DatabaseGone. A successful connection resets the time, so a quick restart
    of the server does not count as a loss.
    """
    refused_since: float | None = None

    def connect(dialect: sa.Dialect, _: object, address: tuple[Any, ...], parameters: dict[str, Any]) -> Any:
        nonlocal refused_since
        try:
            connection = dialect.connect(*address, **parameters)
        except dialect.loaded_dbapi.OperationalError as error:
            now = time.monotonic()
            refused_since = now if refused_since is None else refused_since
            if now - refused_since < limit_s:
                raise
            raise DatabaseGone(f"no connection for {now - refused_since:.0f} s") from error
        refused_since = None
        return connection

    sa.event.listen(sa.Engine, "do_connect", connect)
    try:
        yield
    finally:
        sa.event.remove(sa.Engine, "do_connect", connect)


def build_libpq_environment(conninfo: str) -> dict[str, str]:
    """Return a connection string as libpq's environment variables, such as PGHOST and PGPASSWORD."""
    options = conninfo_to_dict(conninfo)
    variables = {option.keyword.decode(): option.envvar.decode() for option in Conninfo.get_defaults() if option.envvar}
    return {variables[name]: str(value) for name, value in options.items() if value is not None and name in variables}


class DatabaseUnreachable(PalimpsestError, ConnectionError):
    """The error when no connection could be opened.

    The message contains the URL without its password, and a remedy.
    """


@dataclass(frozen=True, slots=True)
class Database:
    """One Postgres database, given by its URL.

    Every psycopg session uses the time zone UTC, because bulk reads parse instants from text.
    """

    url: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", normalise_url(self.url))

    def __repr__(self) -> str:
        return f"Database({redact_url(self._parsed)!r})"

    @property
    def _parsed(self) -> URL:
        return make_url(self.url)

    @property
    def conninfo(self) -> str:
        """The URL in the form that libpq accepts: `postgresql://...`."""
        return self._parsed.set(drivername="postgresql").render_as_string(hide_password=False)

    def connect(self, *, autocommit: bool = False) -> psycopg.Connection:
        """Open a psycopg connection that returns rows as tuples.

        As a context manager it commits on success, rolls back on error, and closes. Raises DatabaseUnreachable when the
        server, the database or the right to connect is missing.
        """
        address = conninfo_to_dict(self.conninfo)
        own_options = str(address.get("options") or "")
        try:
            return psycopg.connect(
                make_conninfo(
                    self.conninfo,
                    **{name: value for name, value in KEEPALIVE_PARAMETERS.items() if name not in address},
                ),
                autocommit=autocommit,
                options=f"{own_options} -c TimeZone=UTC -c DateStyle=ISO".strip(),
                application_name=_APPLICATION_NAME,
                connect_timeout=CONNECT_TIMEOUT_S,
            )
        except psycopg.OperationalError as error:
            raise DatabaseUnreachable(
                f"cannot reach {redact_url(self._parsed)}: {explain_connection_error(error, self._parsed)}. Check the "
                "address (PALIMPSEST_DATABASE_URL) and that the server runs."
            ) from None  # its text may contain a secret of the URL

    def sqlalchemy_engine(self) -> sa.Engine:
        """Return an SQLAlchemy engine without a pool, for migrations and small statements."""
        return sa.create_engine(self.url, poolclass=sa.NullPool, creator=self.connect)
