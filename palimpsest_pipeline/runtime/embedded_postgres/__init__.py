"""A Postgres server of our own, private to one user: its binaries come from a wheel.

It needs neither root nor a system service.

SQL and tables do not belong here.
"""

from .connection import ServerAddress
from .errors import EmbeddedPostgresError
from .server import EmbeddedPostgres, ServerStatus

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError", "ServerAddress", "ServerStatus"]
