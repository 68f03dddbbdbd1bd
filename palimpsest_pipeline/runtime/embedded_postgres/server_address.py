"""Build connection URLs of a running server. Starting and stopping do not belong here."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from urllib.parse import quote

SUPERUSER: Final = "postgres"
"""Database role of every connection. The permissions of the socket's directory restrict its use."""
SOCKET_PORT: Final = 5432
"""The port number in the socket's file name.

Each cluster has its own directory for the socket. A TCP port is opened only if the settings name one.
"""

Driver = Literal["psycopg", "psycopg2"]


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """The address of a running server: directory and port of its Unix socket."""

    socket_dir: Path
    port: int = SOCKET_PORT
    user: str = SUPERUSER

    def build_url(self, database: str, driver: Driver = "psycopg") -> str:
        """Return the SQLAlchemy URL of a database.

        It always names the driver, because the default driver of `postgresql://` depends on the version of SQLAlchemy.
        """
        return self._build_url(f"postgresql+{driver}", database)

    def build_libpq_url(self, database: str) -> str:
        """Return the URL of a database for psycopg.connect, psql and other libpq clients."""
        return self._build_url("postgresql", database)

    def _build_url(self, scheme: str, database: str) -> str:
        return f"{scheme}://{self.user}@/{quote(database, safe='')}?host={quote(str(self.socket_dir))}&port={self.port}"
