"""The commands `palimpsest prices` and `palimpsest closing-line-value`.

The first shows a fixture's prices at an instant, from Postgres or from the export. The second judges a list of prices,
or home's prices at an instant, by the closes.

Exit codes as in `cli/__main__.py`.
"""

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from palimpsest_pipeline.domain.enums import MarketState
from palimpsest_pipeline.platforms.packs import load_packs

from .console import (
    JsonOption,
    PlatformOption,
    open_current_pipeline,
    out,
    parse_instant,
    print_price_table,
    print_table,
)
from .fixture_options import AtOption, MarketOption, SrIdArgument, find_market_keys, print_fixture, resolve_instant
from .show_rows import CsvOption, XlsxOption, show

if TYPE_CHECKING:
    import polars as pl

    from palimpsest_pipeline.pipeline.context import Pipeline

MAX_ANSWER_AGE: Final = timedelta(hours=24)
"""Maximum age of a platform's last answer; an older answer's prices are not shown.

They can be shown by giving an earlier instant.
"""
INACTIVE_MARK: Final = "*"

prices_app = typer.Typer()


@prices_app.command()
def prices(
    sr_id: SrIdArgument,
    at: AtOption = None,
    market: MarketOption = None,
    platform: PlatformOption = None,
    as_json: JsonOption = False,
    csv: CsvOption = None,
    xlsx: XlsxOption = None,
) -> None:
    """Show the prices of a fixture at an instant: a table per market, a column per platform.

    They are those of each platform's last answer up to the instant. An answer more than 24 hours older than the instant
    does not count.
    """
    requested_instant = parse_instant(at) if at else None
    keys = None if market is None else find_market_keys(market)
    with open_current_pipeline() as pipeline:
        instant = resolve_instant(requested_instant, pipeline.clock.now())
        fixture, rows = _read_prices(pipeline, sr_id, instant)
    if keys is not None:
        rows = rows.filter(rows["market_key"].is_in(keys))
    if platform is not None:
        rows = rows.filter(rows["platform"] == platform)
    report = {**fixture, "as_of": instant, "prices": rows}
    show(
        {"prices": rows},
        lambda: _print_prices(fixture, instant, rows),
        as_json=as_json,
        report=report,
        csv=csv,
        xlsx=xlsx,
    )


@prices_app.command()
def closing_line_value(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]",
            show_default=False,
            help="CSV file of prices: sr_id, market_key, outcome_key, odds, and optionally specifier and taken_at.",
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(help="Judge home's prices at this instant instead, with its zone, e.g. 2026-06-26T19:00Z."),
    ] = None,
    fixture: Annotated[
        list[int] | None,
        typer.Option(help="SportRadar id of a fixture whose prices are judged; only with --at. May be repeated."),
    ] = None,
    platform: PlatformOption = None,
    as_json: JsonOption = False,
    csv: CsvOption = None,
    xlsx: XlsxOption = None,
) -> None:
    """Judge prices of a CSV file, or home's prices at an instant, by each platform's exact close.

    `--at` takes the prices that could be backed, from home's last answer up to the instant that is at most 24 hours
    old. The day may be in Postgres or in the export.

    The table has the means by platform of the close. `--json`, `--csv` and `--xlsx` have a row per price and platform,
    and a row with the reason for each price without a value. With `--platform`, only the closes of this platform count.
    """
    from palimpsest_pipeline.metrics.prices.closing_line_value import summarise_closing_line_values
    from palimpsest_pipeline.pipeline.installed_vocabulary import load_installed_vocabulary
    from palimpsest_pipeline.pipeline.judged_prices import judge_prices, list_offered_prices, read_price_list
    from palimpsest_pipeline.storage.odds.history_reader import OddsHistoryReader

    if (file is None) == (at is None) or (at is None) == bool(fixture):
        raise typer.BadParameter("give a FILE, or --at with at least one --fixture", param_hint="FILE")
    prices = None if file is None else read_price_list(file, load_installed_vocabulary())
    requested_instant = parse_instant(at) if at else None
    with open_current_pipeline() as pipeline, pipeline.connect() as conn:
        if prices is None:
            instant = resolve_instant(requested_instant, pipeline.clock.now())
            rows = OddsHistoryReader(conn, pipeline.archive).read_prices_as_of(
                instant, sr_ids=fixture, max_age=MAX_ANSWER_AGE
            )
            prices = list_offered_prices(rows, instant, pipeline.settings.home_platform)
        values = judge_prices(conn, prices, pipeline.clock.now(), platform)
    show(
        {"closing_line_values": values},
        lambda: _print_closing_line_values(values, summarise_closing_line_values(values)),
        as_json=as_json,
        report=values,
        csv=csv,
        xlsx=xlsx,
    )


def _print_closing_line_values(values: "pl.DataFrame", summary: "pl.DataFrame") -> None:
    counts = values.unique("line")["status"].value_counts(sort=True, name="n")
    out.print(", ".join(f"{status}: {n}" for status, n in counts.iter_rows()) or "no prices", highlight=False)
    if summary.height:
        rows = (
            [row[0], row[1], *("-" if share is None else f"{share:+.2%}" for share in row[2:])]
            for row in summary.iter_rows()
        )
        print_table("", [(name, name != "close_platform") for name in summary.columns], rows)


def _read_prices(pipeline: "Pipeline", sr_id: int, instant: datetime) -> "tuple[dict[str, Any], pl.DataFrame]":
    """Return the fixture's names, and the prices of its primary listings."""
    from palimpsest_pipeline.storage.catalog.fixtures import read_fixture
    from palimpsest_pipeline.storage.odds.history_reader import OddsHistoryReader

    with pipeline.connect() as conn:
        fixture = read_fixture(conn, sr_id)
        rows = OddsHistoryReader(conn, pipeline.archive).read_prices_as_of(
            instant, sr_ids=[sr_id], max_age=MAX_ANSWER_AGE
        )
    return fixture, rows.filter(rows["is_primary"]).drop("is_primary")


def _print_prices(fixture: "dict[str, Any]", instant: datetime, rows: "pl.DataFrame") -> None:
    print_fixture(fixture, instant)
    if rows.is_empty():
        out.print("no prices: no answer in the 24 hours before, or none with the market or platform you chose")
        return
    answered = dict(rows.select("platform", "last_confirmed_at").unique().iter_rows())
    sellers = load_packs().order_by_trust(answered)
    for name in sellers:
        out.print(f"{name}: last answer {answered[name]:%Y-%m-%d %H:%M:%S} UTC", highlight=False)
    for (key, specifier), outcomes in rows.group_by("market_key", "specifier", maintain_order=True):
        cells: dict[str, dict[str, str]] = {}
        for row in outcomes.sort("ordinal", "outcome_key", nulls_last=True).iter_rows(named=True):
            cells.setdefault(row["outcome_key"], {})[row["platform"]] = _format_price(row)
        print_price_table(f"{key} {specifier}".rstrip(), sellers, cells)
    out.print(f"{INACTIVE_MARK} cannot be backed", highlight=False)


def _format_price(row: "dict[str, Any]") -> str:
    if row["odds"] is None:
        return "withdrawn" if row["state"] == MarketState.WITHDRAWN else "-"
    odds = f"{row['odds']:.3f}".removesuffix("0")
    return odds if row["is_active"] else f"{odds}{INACTIVE_MARK}"
