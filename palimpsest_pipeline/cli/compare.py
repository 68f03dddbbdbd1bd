"""The commands `palimpsest compare` and `palimpsest gaps`: home and its competitors on one fixture.

They show the state of now or of an earlier instant. Exit codes as in `cli/__main__.py`.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import typer

from .console import JsonOption, open_current_pipeline, out, parse_instant, print_frame, print_price_table
from .fixture_options import AtOption, MarketOption, SrIdArgument, find_market_keys, print_fixture, resolve_instant
from .show_rows import CsvOption, XlsxOption, show

if TYPE_CHECKING:
    import polars as pl

compare_app = typer.Typer()

BEST_PRICE_MARK: Final = "<"


@compare_app.command()
def compare(
    sr_id: SrIdArgument,
    at: AtOption = None,
    market: MarketOption = None,
    as_json: JsonOption = False,
    csv: CsvOption = None,
    xlsx: XlsxOption = None,
) -> None:
    """Show home's prices of a fixture beside each competitor's, with differences, margins and arbitrage.

    The prices are those of each platform's last answer before the kickoff and up to the instant. `--json` prints the
    columns of palimpsest.compared_prices, without the display names.
    """
    fixture, instant, rows = _read_compared_rows("mart.price_comparison", sr_id, at, market)
    show(
        {"price_comparison": rows},
        lambda: _print_comparison(fixture, instant, rows),
        as_json=as_json,
        report={**fixture, "at": instant, "prices": rows},
        csv=csv,
        xlsx=xlsx,
    )


def _print_comparison(fixture: "dict[str, Any]", instant: datetime, rows: "pl.DataFrame") -> None:
    _print_head(fixture, instant, rows, "no market that home and a competitor both list")
    for (key, specifier), outcomes in rows.group_by("market_key", "specifier", maintain_order=True):
        home = outcomes["home_platform"][0]
        sellers = outcomes["platform"].unique(maintain_order=True).to_list()
        prices = {}
        for (outcome,), sides in outcomes.group_by("outcome_key", maintain_order=True):
            cells = {side["platform"]: _format_price(side, "platform") for side in sides.iter_rows(named=True)}
            prices[str(outcome)] = {home: _format_price(sides.row(0, named=True), "home"), **cells}
        title = " ".join(part for part in (key, specifier, _format_margins(outcomes)) if part)
        print_price_table(title, [home, *sellers], prices)
    if rows.height:
        out.print(
            f"{BEST_PRICE_MARK} best   * cannot be backed   (in a competitor's column: home's price against it)",
            highlight=False,
            markup=False,
        )


@compare_app.command()
def gaps(
    sr_id: SrIdArgument,
    at: AtOption = None,
    market: MarketOption = None,
    as_json: JsonOption = False,
    csv: CsvOption = None,
    xlsx: XlsxOption = None,
) -> None:
    """Show the markets of a fixture that home and a competitor do not both offer, and since when.

    `--json` prints the columns of palimpsest.compared_gaps, without the display names.
    """
    fixture, instant, rows = _read_compared_rows("mart.availability_gap", sr_id, at, market)
    rows = rows.sort("market_priority", "market_key", "specifier", "platform", nulls_last=True)
    show(
        {"availability_gap": rows},
        lambda: _print_gaps(fixture, instant, rows),
        as_json=as_json,
        report={**fixture, "at": instant, "gaps": rows},
        csv=csv,
        xlsx=xlsx,
    )


def _print_gaps(fixture: "dict[str, Any]", instant: datetime, rows: "pl.DataFrame") -> None:
    _print_head(fixture, instant, rows, "no gap")
    columns = (
        "market_key",
        "specifier",
        "platform",
        "gap_type",
        "home_state",
        "platform_state",
        "gap_open_since",
        "gap_minutes",
    )
    if rows.height:
        print_frame("", rows.select(columns))


def _read_compared_rows(
    table: str, sr_id: int, at: str | None, market: str | None
) -> "tuple[dict[str, Any], datetime, pl.DataFrame]":
    """Return the fixture's names, the instant, and the fixture's rows in a table as of this instant."""
    from palimpsest_pipeline.pipeline.marts.derive_prices import compute_prices_as_of
    from palimpsest_pipeline.storage.catalog.fixtures import read_fixture

    requested_instant = parse_instant(at) if at else None
    with open_current_pipeline() as pipeline:
        instant = resolve_instant(requested_instant, pipeline.clock.now())
        with pipeline.connect() as conn:
            fixture = read_fixture(conn, sr_id)
        rows = compute_prices_as_of(pipeline, [sr_id], instant)[table]
    return fixture, instant, rows if market is None else rows.filter(rows["market_key"].is_in(find_market_keys(market)))


def _print_head(fixture: "dict[str, Any]", instant: datetime, rows: "pl.DataFrame", empty_message: str) -> None:
    print_fixture(fixture, instant)
    if rows.is_empty():
        has_kicked_off = fixture["kickoff_at"] <= instant
        out.print(
            "it has kicked off: choose an instant before the kickoff with --at" if has_kicked_off else empty_message,
            highlight=False,
        )


def _format_price(row: "dict[str, Any]", side: str) -> str:
    odds = row[f"{side}_odds"]
    if odds is None:
        return "-" if row[f"{side}_state"] == "no_price" else str(row[f"{side}_state"])
    mark = "*" if row[f"{side}_state"] != "offered" else ""
    best_mark = (
        f" {BEST_PRICE_MARK}"
        if row["best_platform"] is not None
        and not mark
        and odds == row["best_odds"]
        and (side == "home" or row["comparable"])
        else ""
    )
    difference = f" ({row['diff_rel']:+.1%})" if side == "platform" and row["comparable"] else ""
    return f"{odds:.3f}".removesuffix("0") + mark + difference + best_mark


def _format_margins(outcomes: "pl.DataFrame") -> str:
    """Return the margins as text for people; empty when no margin can be computed."""
    first_rows = outcomes.unique("platform", keep="first", maintain_order=True)
    margins = {
        first_rows["home_platform"][0]: first_rows["home_margin"][0],
        **dict(first_rows.select("platform", "platform_margin").iter_rows()),
    }
    margin_list = ", ".join(f"{name} {margin:.1%}" for name, margin in margins.items() if margin is not None)
    arbitrage = (
        f"; best of all {first_rows['cross_book_sum_inverse'][0]:.4f}: an arbitrage" if first_rows["arb"].any() else ""
    )
    return f"(margins: {margin_list}{arbitrage})" if margin_list else ""
