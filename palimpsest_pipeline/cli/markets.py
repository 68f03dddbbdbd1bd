"""The `palimpsest markets` commands, for those who keep the vocabulary: look a market up, and see what it does not
know.

Exit codes as in `cli/__main__.py`; `audit` ends with 3 when something given could not be read.
"""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from palimpsest_pipeline.domain.enums import Platform, Sport
from palimpsest_pipeline.settings import load_settings

from .console import EXIT_PARTIAL, JsonOption, escape_markup, fail, out, parse_hour, print_frame, print_table, say

if TYPE_CHECKING:
    import polars as pl

    from palimpsest_pipeline.markets.describe_market import Market
    from palimpsest_pipeline.pipeline.market_audit import LeftOutInput

MAX_UNMAPPED_ROWS = 15
"""Unmapped markets per platform in a table for people."""
MAX_LEFT_OUT_LINES = 20

markets_app = typer.Typer(no_args_is_help=True, help="The vocabulary of markets: look up, list, audit.")

PlatformOption = Annotated[Platform | None, typer.Option(help="Only this platform.")]


@markets_app.command("show")
def show(
    key: Annotated[
        str,
        typer.Argument(metavar="KEY", help="A market's key, or a platform's own id: total_goals, sportybet:18, S_OU."),
    ],
    as_json: JsonOption = False,
) -> None:
    """One market across platforms: what it is, its ids and outcomes on each, and how their specifiers are read."""
    from palimpsest_pipeline.markets import load_vocabulary
    from palimpsest_pipeline.markets.describe_market import UnknownMarket, find_markets, select_markets

    try:
        markets = find_markets(key, load_vocabulary())
    except UnknownMarket as unknown:
        # A key may be asked for by a word of the market's name, which is in neither the key nor an id.
        named = select_markets(load_vocabulary(), search=key).height if key else 0
        more = f"; `palimpsest markets list --search '{key}'` lists {named} markets with this text" if named else ""
        raise typer.BadParameter(f"{unknown}{more}", param_hint="KEY") from unknown
    if as_json:
        out.print_json(json.dumps({"asked": key, "markets": [market.as_dict() for market in markets]}))
        return
    for market in markets:
        _print_market(market)


def _print_market(market: "Market") -> None:
    line = "none" if market.line_kind == "none" else market.line_kind
    parts = f" ({', '.join(market.specifier)})" if market.specifier else ""
    out.print(f"\n[bold]{market.market_key}[/]  {escape_markup(market.name)}", highlight=False)
    out.print(
        f"family {market.family}, sport {market.sport}, period {market.period}, line: {line}{parts}", highlight=False
    )
    out.print(f"fair sum {market.fair_sum or '?'}: {market.margin}", highlight=False)
    if market.note:
        out.print(f"note: {escape_markup(market.note)}", highlight=False)
    if market.complete_sets:
        out.print(
            f"complete sets: {', '.join(f'{name} ({n} outcomes)' for name, n in market.complete_sets.items())}",
            highlight=False,
        )
    for platform in Platform:
        feeds = sorted(
            (k.feed, k.external_market_id) for k in market.keys if k.platform == platform and k.feed is not None
        )
        if feeds:
            in_order = ", ".join(market_id for _, market_id in feeds)
            out.print(
                f"{platform.value} has it from several feeds; the first that an answer lists counts: {in_order}",
                highlight=False,
            )
    keys = [(k.platform, k.external_market_id, "\n".join(k.specifier) or "none", k.open_outcomes) for k in market.keys]
    opened = any(k.open_outcomes for k in market.keys)
    headings = ["platform", "market id", "specifier", *(["open outcome ids"] if opened else [])]
    print_table("Sold as", [(name, False) for name in headings], [row[: len(headings)] for row in keys])
    sellers = [p.value for p in Platform if any(k.platform == p for k in market.keys)]
    rows = [
        (o.ordinal, o.outcome_key, o.name, *(_format_outcome_ids(o.ids.get(p, {})) for p in sellers))
        for o in market.outcomes
    ]
    if rows:
        print_table(
            "Outcomes, with their ids", [("#", True), *((name, False) for name in ("outcome", "name", *sellers))], rows
        )


def _format_outcome_ids(ids: dict[str, list[str]]) -> str:
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
    as_json: JsonOption = False,
) -> None:
    """The markets of the vocabulary, with their ids on each platform."""
    from palimpsest_pipeline.markets import load_vocabulary
    from palimpsest_pipeline.markets.describe_market import select_markets

    found = select_markets(load_vocabulary(), sport, platform, family, search)
    if as_json:
        out.print_json(json.dumps({"markets": found.to_dicts()}))
    elif found.is_empty():
        out.print("no market fits")
    else:
        print_frame(f"{found.height} markets", found.drop("line_kind"))


@markets_app.command("audit")
def audit(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH…",
            help="Files with one captured detail answer each, folders of them, the root of a landing, "
            "or a CSV of counted market ids (platform, raw_market_id, occurrences). Default: the landing of the settings.",
            show_default=False,
        ),
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="Of a CSV, only the rows with this value in the column `source`.")
    ] = None,
    platform: PlatformOption = None,
    hour: Annotated[str | None, typer.Option(help="Of a landing, only this UTC hour, e.g. 2026-06-26-19:00.")] = None,
    top: Annotated[
        int | None,
        typer.Option(min=0, help="How many unmapped markets to name per platform. Default: 15 in tables, all in JSON."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """How much of what platforms sell the vocabulary knows, and what it does not.

    An occurrence is one (event, market, line); of a landing, the newest book of every listing counts. Comparable: at
    least two platforms sell it.
    """
    from palimpsest_pipeline.markets.audit_occurrences import count_by_platform, rank_unmapped
    from palimpsest_pipeline.pipeline.context import Pipeline
    from palimpsest_pipeline.pipeline.market_audit import AuditFilter
    from palimpsest_pipeline.pipeline.market_audit import audit_markets as look_at

    if source is not None and not any(path.lower().endswith(".csv") for path in paths or []):
        raise typer.BadParameter("it chooses rows of a CSV, and none is given", param_hint="--source")
    found = Pipeline(load_settings())
    chosen = AuditFilter(platform, source, parse_hour(hour) if hour else None)
    result = look_at(paths or [], found.landing, found.adapters, found.vocabulary, chosen)
    if result.occurrences.is_empty() and len(result.left_out) == 1:
        raise fail(f"nothing to audit: {result.left_out[0].where}: {result.left_out[0].reason}")
    _print_left_out(result.left_out)
    if result.occurrences.is_empty():
        raise fail("nothing to audit in what was given")
    shares, missing = count_by_platform(result.occurrences), rank_unmapped(result.occurrences, found.vocabulary)
    if as_json:
        missing = missing if top is None else missing.group_by("platform", maintain_order=True).head(top)
        found_on = {row.pop("platform"): row for row in shares.to_dicts()}
        out.print_json(
            json.dumps(
                {
                    p: {**row, "unmapped": missing.filter(platform=p).drop("platform").to_dicts()}
                    for p, row in found_on.items()
                }
            )
        )
    else:
        _print_audit(shares, missing, MAX_UNMAPPED_ROWS if top is None else top)
    if not all(x.is_in_play for x in result.left_out):
        raise typer.Exit(EXIT_PARTIAL)


def _print_left_out(left_out: "list[LeftOutInput]") -> None:
    for x in left_out[:MAX_LEFT_OUT_LINES]:
        say(f"left out: {x.where}: {x.reason}")
    if len(left_out) > MAX_LEFT_OUT_LINES:
        say(f"left out: {len(left_out) - MAX_LEFT_OUT_LINES} more")


def _print_audit(shares: "pl.DataFrame", missing: "pl.DataFrame", top: int) -> None:
    print_frame("Occurrences (event, market, line) and how many of them the vocabulary knows", shares)
    headings = [
        ("market id", False),
        ("name", False),
        ("occurrences", True),
        ("reason", False),
        ("specifier", False),
        ("outcomes", False),
    ]
    for platform in shares["platform"]:
        rows = missing.filter(platform=platform)
        if rows.is_empty() or not top:
            continue
        ranked = (
            (
                r["external_market_id"],
                r["name"],
                r["occurrences"],
                r["triage"] or r["error_class"],
                r["specifier"],
                ", ".join(r["sample_outcomes"]),
            )
            for r in rows.head(top).to_dicts()
        )
        print_table(f"Not mapped on {platform}: {min(top, rows.height)} of {rows.height}", headings, ranked)
