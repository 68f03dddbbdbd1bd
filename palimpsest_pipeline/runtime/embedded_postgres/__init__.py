"""An embedded Postgres server with the binaries of a Python wheel, accessible to one user only.

It needs neither root nor a system service.
"""

from .errors import EmbeddedPostgresError
from .server import EmbeddedPostgres, ServerStatus
from .server_address import ServerAddress

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError", "ServerAddress", "ServerStatus"]
