"""The address of a running server, as URLs for its drivers. Starting and stopping do not belong here."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from urllib.parse import quote

SUPERUSER: Final = "postgres"
"""Database role of every connection. The permissions of the socket directory limit its use."""
SOCKET_PORT: Final = 5432
"""The port, which only names the socket file.

Each cluster has its own socket directory, and a TCP port only if the settings name one.
"""

Driver = Literal["psycopg", "psycopg2"]


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Address of a running server on its Unix socket."""

    socket_dir: Path
    port: int = SOCKET_PORT
    user: str = SUPERUSER

    def build_url(self, database: str, driver: Driver = "psycopg") -> str:
        """Return the SQLAlchemy URL.

        It always names the driver, because the default driver of a bare `postgresql://` differs between SQLAlchemy
        releases.
        """
        return self._build_url(f"postgresql+{driver}", database)

    def build_libpq_url(self, database: str) -> str:
        """Return the URL for `psycopg.connect`, psql and every other libpq client."""
        return self._build_url("postgresql", database)

    def _build_url(self, scheme: str, database: str) -> str:
        return f"{scheme}://{self.user}@/{quote(database, safe='')}?host={quote(str(self.socket_dir))}&port={self.port}"
