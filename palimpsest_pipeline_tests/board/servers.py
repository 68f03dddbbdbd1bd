"""The board of a world, served by uvicorn in a thread of the test's process, on a free port of loopback."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import uvicorn

from palimpsest_pipeline.board.app import BoardConfig, build_board_app
from palimpsest_pipeline.board.price_grid import PlatformColumn
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.storage.db import roles
from palimpsest_pipeline_tests.fixtures.commands import free_port

from .worlds import PLATFORMS

NAMES = {"betpawa": "BetPawa", "sportybet": "SportyBet", "bet9ja": "Bet9ja", "msport": "MSport", "betway": "Betway"}


def make_config(pipeline: Pipeline, postgres: EmbeddedPostgres, **changed: Any) -> BoardConfig:
    """The configuration of the board on a pipeline's database, as the analysts' role."""
    with pipeline.connect() as conn:
        roles.ensure_role(conn)
        roles.forbid_writing(conn)
        database = conn.info.dbname
    values: dict[str, Any] = {
        "database_url": replace(postgres.get_address(), user=roles.ANALYST).build_libpq_url(database),
        "columns": [PlatformColumn(key, NAMES[key]) for key in PLATFORMS],
        "main_markets": list(pipeline.main_markets),
        "sport": "football",
        "max_skew_s": pipeline.settings.max_skew_s,
        "coverage_page": pipeline.settings.report_path,
    }
    return BoardConfig(**{**values, **changed})


@contextmanager
def served(config: BoardConfig) -> Iterator[str]:
    """The address of a running board."""
    port = free_port()
    server = uvicorn.Server(
        uvicorn.Config(
            build_board_app(config), host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=1
        )
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started and time.monotonic() < deadline and thread.is_alive():
        time.sleep(0.01)
    assert server.started
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(15)
