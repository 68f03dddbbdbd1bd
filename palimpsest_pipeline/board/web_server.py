"""The board's web server process."""

from collections.abc import Sequence
from typing import Final

import uvicorn
from starlette.routing import BaseRoute

from .app import BoardConfig, build_board_app
from .connections import ReadOnlyConnections
from .security import check_binding

_STOP_TIMEOUT_S: Final = 2
"""Seconds within which open streams of news must end when the server stops."""
MAX_REQUESTS: Final = 500
"""Maximum number of requests and streams at the same time. Further ones get the status 503."""


def serve_board(config: BoardConfig, port: int, extra_routes: Sequence[BaseRoute] = ()) -> None:
    """Serve the board until SIGTERM or Ctrl-C.

    Raises BoardNotProtected when the address is open to other machines without a token, BoardCanWrite when the database
    user may write, and DatabaseUnreachable.
    """
    check_binding(config.host, config.token)
    connections = ReadOnlyConnections(config.database_url)
    connections.check_role()
    connections.close()
    uvicorn.run(
        build_board_app(config, extra_routes),
        host=config.host,
        port=port,
        log_level="warning",
        access_log=False,
        server_header=False,
        ws="none",
        proxy_headers=False,
        limit_concurrency=MAX_REQUESTS,
        timeout_graceful_shutdown=_STOP_TIMEOUT_S,
    )
