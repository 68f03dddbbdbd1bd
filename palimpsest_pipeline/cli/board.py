"""The command `palimpsest board`: it serves the traders' board."""

from typing import Annotated

import typer

from palimpsest_pipeline.settings import load_settings

from .console import say

board_app = typer.Typer()


@board_app.command("board")
def board(port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port of the board.")] = None) -> None:
    """Serve the traders' board in the foreground: current prices of all platforms, read-only.

    `palimpsest up` does this too, unless PALIMPSEST_BOARD_PORT is 0.
    """
    from palimpsest_pipeline.operate.board import check_board_settings, describe_board_url, run_board
    from palimpsest_pipeline.operate.databases import open_databases, require_schema

    settings = load_settings(**({} if port is None else {"board_port": port}))
    check_board_settings(settings)
    with open_databases(settings) as pipeline:
        require_schema(pipeline)
        say(f"the traders' board: {describe_board_url(settings)}  (stop with Ctrl-C)")
        run_board(settings)
