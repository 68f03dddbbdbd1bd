"""The command `palimpsest board`: it serves the traders' board.

The package `board` has its pages and their content.
"""

from typing import TYPE_CHECKING, Annotated

import typer

from palimpsest_pipeline.settings import Settings, SettingsError, load_settings

from .console import open_current_pipeline, say

if TYPE_CHECKING:
    from palimpsest_pipeline.board.app import BoardConfig

board_app = typer.Typer()


@board_app.command("board")
def board(port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port of the board.")] = None) -> None:
    """Serve the traders' board in the foreground: current prices of all platforms, read-only.

    `palimpsest up` does this too, unless PALIMPSEST_BOARD_PORT is 0.
    """
    from palimpsest_pipeline.board.metrics_route import METRICS_FILE, make_metrics_route
    from palimpsest_pipeline.board.security import check_binding
    from palimpsest_pipeline.board.web_server import serve_board

    settings = load_settings(**({} if port is None else {"board_port": port}))
    if not settings.board_port:
        raise SettingsError("the board has no port: set PALIMPSEST_BOARD_PORT, or give --port")
    check_binding(settings.board_host, _get_token(settings))
    with open_current_pipeline(settings):
        say(f"the traders' board: {describe_board_url(settings)}  (stop with Ctrl-C)")
        metrics_route = make_metrics_route(settings.home / METRICS_FILE)
        serve_board(_build_board_config(settings), settings.board_port, extra_routes=[metrics_route])


def _build_board_config(settings: Settings) -> "BoardConfig":
    """Return the configuration of the board.

    Raises PackError for a platform without a pack, and EmbeddedPostgresError when the embedded server does not run.
    """
    from palimpsest_pipeline.board.app import BoardConfig
    from palimpsest_pipeline.board.price_grid import PlatformColumn
    from palimpsest_pipeline.domain.platform_trust import put_home_first
    from palimpsest_pipeline.pipeline.analyst_role import build_analyst_url
    from palimpsest_pipeline.platforms.packs import load_packs

    packs = load_packs()
    order = put_home_first(settings.home_platform, packs.order_by_trust(settings.platforms))
    rows = [packs.require(platform) for platform in order]
    own_url = settings.board_database_url
    return BoardConfig(
        database_url=build_analyst_url(settings) if own_url is None else own_url.get_secret_value(),
        columns=[PlatformColumn(row.platform, row.name, row.event_url) for row in rows],
        main_markets=settings.main_markets,
        sport=settings.sport,
        max_skew_s=settings.max_skew_s,
        coverage_page=settings.report_path,
        host=settings.board_host,
        token=_get_token(settings),
    )


def _get_token(settings: Settings) -> str | None:
    return None if settings.board_token is None else settings.board_token.get_secret_value()


def describe_board_url(settings: Settings) -> str:
    """Return the address at which a browser on this machine opens the board."""
    host = "127.0.0.1" if settings.board_host in ("0.0.0.0", "::") else settings.board_host
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.board_port}"
