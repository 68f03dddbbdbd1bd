"""The arguments and the heading that are common to the commands on one fixture."""

from datetime import datetime
from typing import Annotated, Any

import typer

from .console import escape_markup, out

SrIdArgument = Annotated[int, typer.Argument(metavar="SR_ID", help="SportRadar id of the fixture.")]
AtOption = Annotated[str | None, typer.Option(help="Instant with its zone, e.g. 2026-06-26T19:00Z. Default: now.")]
MarketOption = Annotated[
    str | None,
    typer.Option(help="Only this market: its key (match_result), its name (1x2), or a platform's id (sportybet:1)."),
]


def resolve_instant(requested_instant: datetime | None, now: datetime) -> datetime:
    """Return the requested instant, or now. Raises typer.BadParameter for an instant in the future."""
    instant = requested_instant or now
    if instant > now:
        raise typer.BadParameter(f"{instant:%Y-%m-%d %H:%M:%S} UTC is in the future", param_hint="--at")
    return instant


def find_market_keys(text: str) -> list[str]:
    """Return the keys of the markets that `--market` names. Raises typer.BadParameter for an unknown one."""
    from palimpsest_pipeline.markets.describe_market import UnknownMarket, find_markets
    from palimpsest_pipeline.pipeline.installed_vocabulary import load_installed_vocabulary

    try:
        return [market.market_key for market in find_markets(text, load_installed_vocabulary())]
    except UnknownMarket as unknown:
        raise typer.BadParameter(f"{unknown}", param_hint="--market") from unknown


def print_fixture(fixture: dict[str, Any], instant: datetime) -> None:
    """Print the teams, the kickoff, and the instant of the rows that the command prints below."""
    names = f"{fixture['home_team']} - {fixture['away_team']}"
    out.print(f"[bold]{escape_markup(names)}[/]  kickoff {fixture['kickoff_at']:%Y-%m-%d %H:%M} UTC", highlight=False)
    out.print(f"as of {instant:%Y-%m-%d %H:%M:%S} UTC", highlight=False)
