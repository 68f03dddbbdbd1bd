"""The `palimpsest markets` commands for maintainers of the vocabulary: look up, list, audit.

Exit codes as in `cli/__main__.py`; `audit` ends with 3 when some input could not be read.
"""

from typing import TYPE_CHECKING, Annotated

import typer

from palimpsest_pipeline.domain.enums import Sport
from palimpsest_pipeline.settings import load_settings

from .console import (
    EXIT_PARTIAL,
    JsonOption,
    PlatformOption,
    escape_markup,
    fail,
    out,
    parse_hour,
    print_frame,
    print_json,
    print_table,
    say,
)

if TYPE_CHECKING:
    import polars as pl

    from palimpsest_pipeline.markets.describe_market import MarketDescription
    from palimpsest_pipeline.pipeline.market_audit import LeftOutInput

MAX_UNMAPPED_ROWS = 15
"""Maximum number of unmapped markets per platform in a table for people."""
MAX_LEFT_OUT_LINES = 20

markets_app = typer.Typer(no_args_is_help=True, help="The vocabulary of markets: look up, list, audit.")


@markets_app.command("show")
def show_market(
    key: Annotated[
        str,
        typer.Argument(metavar="KEY", help="A market's key, or a platform's own id: total_goals, sportybet:18, S_OU."),
    ],
    as_json: JsonOption = False,
) -> None:
    """Show one market across platforms: its meaning, and its ids, outcomes and specifiers on each."""
    from palimpsest_pipeline.markets.describe_market import UnknownMarket, find_markets, select_markets
    from palimpsest_pipeline.pipeline.installed_vocabulary import load_installed_vocabulary

    try:
        markets = find_markets(key, load_installed_vocabulary())
    except UnknownMarket as unknown:
        # The user may have typed a word of the market's name, which is in neither the key nor an id.
        n_matches = select_markets(load_installed_vocabulary(), search=key).height if key else 0
        hint = (
            f"; `palimpsest markets list --search '{key}'` lists {n_matches} markets with this text"
            if n_matches
            else ""
        )
        raise typer.BadParameter(f"{unknown}{hint}", param_hint="KEY") from unknown
    if as_json:
        print_json({"asked": key, "markets": markets})
        return
    for market in markets:
        _print_market(market)


def _print_market(market: "MarketDescription") -> None:
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
    sellers = list(dict.fromkeys(k.platform for k in market.keys))
    for platform in sellers:
        feeds = sorted(
            (k.feed, k.external_market_id) for k in market.keys if k.platform == platform and k.feed is not None
        )
        if feeds:
            in_order = ", ".join(market_id for _, market_id in feeds)
            out.print(
                f"{platform} lists it from several feeds; the first one in an answer counts: {in_order}",
                highlight=False,
            )
    keys = [(k.platform, k.external_market_id, "\n".join(k.specifier) or "none", k.open_outcomes) for k in market.keys]
    has_open_outcomes = any(k.open_outcomes for k in market.keys)
    headings = ["platform", "market id", "specifier", *(["open outcome ids"] if has_open_outcomes else [])]
    print_table("Sold as", [(name, False) for name in headings], [row[: len(headings)] for row in keys])
    rows = [
        (o.ordinal, o.outcome_key, o.name, *(_format_outcome_ids(o.ids.get(p, {})) for p in sellers))
        for o in market.outcomes
    ]
    if rows:
        print_table(
            "Outcomes, with their ids", [("#", True), *((name, False) for name in ("outcome", "name", *sellers))], rows
        )


def _format_outcome_ids(ids: dict[str, list[str]]) -> str:
    """Return a market's outcome ids on one platform as text.

    The ids are printed once when they are the same for all market ids of the platform, else once per group of market
    ids.
    """
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
    search: Annotated[str | None, typer.Option(help="Only markets with this text in their key, name or ids.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the markets of the vocabulary, with their ids on each platform."""
    from palimpsest_pipeline.markets.describe_market import select_markets
    from palimpsest_pipeline.pipeline.installed_vocabulary import load_installed_vocabulary

    markets = select_markets(load_installed_vocabulary(), sport, platform, family, search)
    if as_json:
        print_json({"markets": markets.to_dicts()})
    elif markets.is_empty():
        out.print("no market matches")
    else:
        print_frame(f"{markets.height} markets", markets.drop("line_kind"))


@markets_app.command("audit")
def audit(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH…",
            help="Files with one recorded detail answer each, folders of such files, the root of a landing, "
            "or a CSV of counted market ids (platform, raw_market_id, occurrences). Default: the landing of the "
            "settings.",
            show_default=False,
        ),
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="From a CSV, only the rows with this value in the column `source`.")
    ] = None,
    platform: PlatformOption = None,
    hour: Annotated[str | None, typer.Option(help="From a landing, only this UTC hour, e.g. 2026-06-26-19:00.")] = None,
    top: Annotated[
        int | None,
        typer.Option(min=0, help="Most unmapped markets to name per platform. Default: 15 in tables, all in JSON."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Count the markets that platforms sell, and show which of them the vocabulary lacks.

    An occurrence is one (event, market, line). From a landing, only the newest book of every listing counts. A market
    is comparable when at least two platforms sell it.
    """
    from palimpsest_pipeline.markets.audit_occurrences import count_by_platform, rank_unmapped
    from palimpsest_pipeline.pipeline.context import Pipeline
    from palimpsest_pipeline.pipeline.market_audit import AuditFilter, audit_markets
    from palimpsest_pipeline.platforms.packs import load_packs

    if source is not None and not any(path.lower().endswith(".csv") for path in paths or []):
        raise typer.BadParameter("it selects rows of a CSV file, but no CSV file is given", param_hint="--source")
    pipeline = Pipeline(load_settings())
    audit_filter = AuditFilter(platform, source, parse_hour(hour) if hour else None)
    # A platform that is named need not be active.
    adapters = pipeline.adapters if platform is None else {platform: pipeline.get_adapter(platform)}
    result = audit_markets(paths or [], pipeline.landing, adapters, pipeline.vocabulary, audit_filter)
    if result.occurrences.is_empty() and len(result.left_out) == 1:
        raise fail(f"nothing to audit: {result.left_out[0].where}: {result.left_out[0].reason}")
    _print_left_out(result.left_out)
    if result.occurrences.is_empty():
        raise fail("nothing to audit: the input holds no markets")
    shares, unmapped = count_by_platform(result.occurrences), rank_unmapped(result.occurrences, pipeline.vocabulary)
    order = load_packs().order_by_trust(shares["platform"])
    shares = shares[[shares["platform"].to_list().index(platform) for platform in order]]
    if as_json:
        unmapped = unmapped if top is None else unmapped.group_by("platform", maintain_order=True).head(top)
        share_rows = {row.pop("platform"): row for row in shares.to_dicts()}
        print_json(
            {
                p: {**row, "unmapped": unmapped.filter(platform=p).drop("platform").to_dicts()}
                for p, row in share_rows.items()
            }
        )
    else:
        _print_audit(shares, unmapped, MAX_UNMAPPED_ROWS if top is None else top)
    if not all(x.is_in_play for x in result.left_out):
        raise typer.Exit(EXIT_PARTIAL)


def _print_left_out(left_out: "list[LeftOutInput]") -> None:
    for x in left_out[:MAX_LEFT_OUT_LINES]:
        say(f"left out: {x.where}: {x.reason}")
    if len(left_out) > MAX_LEFT_OUT_LINES:
        say(f"left out: {len(left_out) - MAX_LEFT_OUT_LINES} more")


def _print_audit(shares: "pl.DataFrame", unmapped: "pl.DataFrame", top: int) -> None:
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
        rows = unmapped.filter(platform=platform)
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
