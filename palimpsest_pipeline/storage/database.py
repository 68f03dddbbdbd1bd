"""How this process reaches Postgres: one address, checked once, and the two kinds of connection made from it.

Belongs here: reading the address, opening connections. Does not: any statement about our tables.
"""

from dataclasses import dataclass
from typing import Final

import psycopg
import sqlalchemy as sa
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Conninfo
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

SCHEME: Final = "postgresql+psycopg"
APPLICATION_NAME: Final = "palimpsest"
CONNECT_TIMEOUT_S: Final = 10
LIVELY: Final = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 25_000}
"""libpq: a server that the network has lost is noticed within half a minute. Else who waits for it gives no sign of life when it is back."""


class DatabaseUrlError(ValueError):
    """An address that is no Postgres address for psycopg 3. The message says what to write instead and never holds the password."""


def normalise_url(url: str) -> str:
    """`postgresql+psycopg://...` of a Postgres address; a plain `postgresql://` gets the driver's name. Raises DatabaseUrlError on any other."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise DatabaseUrlError("not a database address: write postgresql+psycopg://user:password@host:5432/database") from None
    if parsed.drivername not in {"postgresql", SCHEME}:
        raise DatabaseUrlError(f"{parsed.drivername}:// is not supported: write postgresql+psycopg://user:password@host:5432/database")
    if not parsed.database:
        raise DatabaseUrlError(f"the address names no database: {parsed.render_as_string(hide_password=True)}")
    return parsed.set(drivername=SCHEME).render_as_string(hide_password=False)


def libpq_environment(conninfo: str) -> dict[str, str]:
    """Return the address as the variables that every libpq client reads."""
    told = conninfo_to_dict(conninfo)
    variables = {option.keyword.decode(): option.envvar.decode() for option in Conninfo.get_defaults() if option.envvar}
    return {variables[name]: str(value) for name, value in told.items() if value is not None and name in variables}


class DatabaseUnreachable(ConnectionError):
    """No connection could be made. The message names the address, without its password, and what to do."""


@dataclass(frozen=True, slots=True)
class Database:
    """One Postgres database. Sessions are in UTC whatever the server's setting, since instants are read as text in bulk."""

    url: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", normalise_url(self.url))

    def __repr__(self) -> str:
        return f"Database({self._parsed.render_as_string(hide_password=True)!r})"

    @property
    def _parsed(self) -> URL:
        return make_url(self.url)

    @property
    def conninfo(self) -> str:
        """The address as libpq reads it."""
        return self._parsed.set(drivername="postgresql").render_as_string(hide_password=False)

    def connect(self, *, autocommit: bool = False) -> psycopg.Connection:
        """Open a psycopg connection (rows are tuples). As a context manager it commits on success, rolls back on error, and closes.

        Raises DatabaseUnreachable when there is no server, database or access.
        """
        address = conninfo_to_dict(self.conninfo)
        given = str(address.get("options") or "")
        try:
            return psycopg.connect(
                make_conninfo(self.conninfo, **{name: value for name, value in LIVELY.items() if name not in address}),
                autocommit=autocommit,
                options=f"{given} -c TimeZone=UTC -c DateStyle=ISO".strip(),
                application_name=APPLICATION_NAME,
                connect_timeout=CONNECT_TIMEOUT_S,
            )
        except psycopg.OperationalError as error:
            reason = str(error).strip().splitlines()[0].strip()
            shown = self._parsed.render_as_string(hide_password=True)
            raise DatabaseUnreachable(
                f"cannot reach {shown}: {reason}. Check the address (PALIMPSEST_DATABASE_URL) and that the server runs."
            ) from error

    def sqlalchemy_engine(self) -> sa.Engine:
        """An engine without a pool, for migrations and small things. Prices never go this way."""
        return sa.create_engine(self.url, poolclass=sa.NullPool, creator=self.connect)
