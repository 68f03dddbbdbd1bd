"""The traders' board of these settings. The package `board` has its pages and their content."""

from palimpsest_pipeline.board.app import BoardConfig
from palimpsest_pipeline.board.metrics_route import METRICS_FILE, make_metrics_route
from palimpsest_pipeline.board.price_grid import PlatformColumn
from palimpsest_pipeline.board.security import check_binding
from palimpsest_pipeline.board.server import serve_board
from palimpsest_pipeline.domain.platform_trust import put_home_first
from palimpsest_pipeline.pipeline.analyst_role import build_analyst_url
from palimpsest_pipeline.platforms.packs import load_packs
from palimpsest_pipeline.settings import Settings, SettingsError


def build_board_config(settings: Settings) -> BoardConfig:
    """Return the configuration of the board.

    Raises PackError for a platform without a pack, and EmbeddedPostgresError when the embedded server does not run.
    """
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


def check_board_settings(settings: Settings) -> None:
    """Raise SettingsError when no port is set, and BoardNotProtected when a token is missing."""
    if not settings.board_port:
        raise SettingsError("the board has no port: set PALIMPSEST_BOARD_PORT, or give --port")
    check_binding(settings.board_host, _get_token(settings))


def _get_token(settings: Settings) -> str | None:
    return None if settings.board_token is None else settings.board_token.get_secret_value()


def run_board(settings: Settings) -> None:
    """Serve the board until SIGTERM or Ctrl-C. Raises the errors of `board.server.serve_board`."""
    serve_board(
        build_board_config(settings),
        settings.board_port,
        extra_routes=[make_metrics_route(settings.home / METRICS_FILE)],
    )


def describe_board_url(settings: Settings) -> str:
    """Return the address at which a browser on this machine opens the board."""
    host = "127.0.0.1" if settings.board_host in ("0.0.0.0", "::") else settings.board_host
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.board_port}"
