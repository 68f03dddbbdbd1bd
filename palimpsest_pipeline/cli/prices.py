"""The `palimpsest prices` command: a fixture's prices at an instant, from Postgres or from the export.

Exit codes as in `cli/__main__.py`.
"""

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import typer

from palimpsest_pipeline.domain.enums import MarketState
from palimpsest_pipeline.platforms.packs import load_packs
from palimpsest_pipeline.settings import load_settings

from .console import JsonOption, PlatformOption, out, parse_instant, print_price_table
from .csv_and_excel_files import CsvOption, XlsxOption, write_files
from .fixture_options import AtOption, MarketOption, SrIdArgument, find_market_keys, print_fixture, resolve_instant

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
    from palimpsest_pipeline.operate.databases import open_databases, require_schema

    requested_instant = parse_instant(at) if at else None
    keys = None if market is None else find_market_keys(market)
    with open_databases(load_settings()) as pipeline:
        instant = resolve_instant(requested_instant, pipeline.clock.now())
        require_schema(pipeline)
        fixture, rows = _read_prices(pipeline, sr_id, instant)
    if keys is not None:
        rows = rows.filter(rows["market_key"].is_in(keys))
    if platform is not None:
        rows = rows.filter(rows["platform"] == platform)
    written = write_files({"prices": rows}, csv, xlsx)
    if as_json:
        report = {**fixture, "as_of": instant, "prices": rows.to_dicts()}
        out.print_json(json.dumps(report, default=datetime.isoformat))
    elif not written:
        _print_prices(fixture, instant, rows)


def _read_prices(pipeline: "Pipeline", sr_id: int, instant: datetime) -> "tuple[dict[str, Any], pl.DataFrame]":
    """Return the fixture's names, and the prices of its primary listings."""
    from palimpsest_pipeline.storage.catalog.fixtures import read_fixture
    from palimpsest_pipeline.storage.odds.reader import OddsHistoryReader

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
