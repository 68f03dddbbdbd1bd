"""How to reach a running server: the URL forms of its drivers. Starting and stopping do not belong here."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from urllib.parse import quote

SUPERUSER: Final = "postgres"
"""Database role of every connection; the private socket directory decides who may use it."""
SOCKET_PORT: Final = 5432
"""Only names the socket file: each cluster has a socket directory of its own, and no TCP port unless one is asked
for.
"""

Driver = Literal["psycopg", "psycopg2"]


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Address of a running server on its Unix socket."""

    socket_dir: Path
    port: int = SOCKET_PORT
    user: str = SUPERUSER

    def build_url(self, database: str, driver: Driver = "psycopg") -> str:
        """SQLAlchemy URL.

        The driver is always named: a bare `postgresql://` means another one in each SQLAlchemy release.
        """
        return self._build_url(f"postgresql+{driver}", database)

    def build_libpq_url(self, database: str) -> str:
        """URL for `psycopg.connect`, psql and every other libpq client."""
        return self._build_url("postgresql", database)

    def _build_url(self, scheme: str, database: str) -> str:
        return f"{scheme}://{self.user}@/{quote(database, safe='')}?host={quote(str(self.socket_dir))}&port={self.port}"
