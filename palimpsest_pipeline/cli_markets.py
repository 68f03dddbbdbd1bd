"""The `palimpsest markets` commands, for those who keep the vocabulary: look a market up, and see what it does not know.

Exit codes as in `cli.py`; `audit` ends with 3 when something given could not be read.
"""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from .console import Json, escaped, out, print_frame, print_table
from .domain.words import Platform, Sport

if TYPE_CHECKING:
    from .markets.show import Market

markets_app = typer.Typer(no_args_is_help=True, help="The vocabulary of markets: look up, list, audit.")

PlatformOption = Annotated[Platform | None, typer.Option(help="Only this platform.")]


@markets_app.command("show")
def show(
    key: Annotated[str, typer.Argument(metavar="KEY", help="A market's key, or a platform's own id: total_goals, sportybet:18, S_OU.")],
    as_json: Json = False,
) -> None:
    """One market across platforms: what it is, its ids and outcomes on each, and how their specifiers are read."""
    from .markets import vocabulary
    from .markets.show import UnknownMarket, find

    try:
        markets = find(key, vocabulary())
    except UnknownMarket as unknown:
        raise typer.BadParameter(str(unknown), param_hint="KEY") from unknown
    if as_json:
        out.print_json(json.dumps({"asked": key, "markets": [market.as_dict() for market in markets]}))
        return
    for market in markets:
        _print_market(market)


def _print_market(market: "Market") -> None:
    line = "none" if market.line_kind == "none" else market.line_kind
    parts = f" ({', '.join(market.specifier)})" if market.specifier else ""
    out.print(f"\n[bold]{market.market_key}[/]  {escaped(market.name)}", highlight=False)
    out.print(f"family {market.family}, sport {market.sport}, period {market.period}, line: {line}{parts}", highlight=False)
    out.print(f"fair sum {market.fair_sum or '?'}: {market.margin}", highlight=False)
    keys = [(k.platform, k.external_market_id, "\n".join(k.specifier) or "none", k.open_outcomes) for k in market.keys]
    opened = any(k.open_outcomes for k in market.keys)
    headings = ["platform", "market id", "specifier", *(["open outcome ids"] if opened else [])]
    print_table("Sold as", [(name, False) for name in headings], [row[: len(headings)] for row in keys])
    sellers = [p.value for p in Platform if any(k.platform == p for k in market.keys)]
    rows = [(o.ordinal, o.outcome_key, o.name, *(_outcome_ids(o.ids.get(p, {})) for p in sellers)) for o in market.outcomes]
    if rows:
        print_table("Outcomes, with their ids", [("#", True), *((name, False) for name in ("outcome", "name", *sellers))], rows)


def _outcome_ids(ids: dict[str, list[str]]) -> str:
    """Outcome ids on one platform: once when all its market ids agree, else each behind the market ids it is of."""
    groups: dict[str, list[str]] = {}
    for market_id, codes in ids.items():
        groups.setdefault(" ".join(codes), []).append(market_id)
    if len(groups) <= 1:
        return "".join(groups)
    return "\n".join(f"{' '.join(market_ids)}: {codes}" for codes, market_ids in groups.items())


@markets_app.command("list")
def list_markets(
    sport: Annotated[Sport | None, typer.Option(help="Only this sport.")] = None,
    platform: PlatformOption = None,
    family: Annotated[str | None, typer.Option(help="Only this family, e.g. total.")] = None,
    search: Annotated[str | None, typer.Option(help="Only what has this text in its key, name or ids.")] = None,
    as_json: Json = False,
) -> None:
    """The markets of the vocabulary, with their ids on each platform."""
    from .markets import vocabulary
    from .markets.show import listed

    found = listed(vocabulary(), sport, platform, family, search)
    if as_json:
        out.print_json(json.dumps({"markets": found.to_dicts()}))
    elif found.is_empty():
        out.print("no market fits")
    else:
        print_frame(f"{found.height} markets", found.drop("line_kind"))
