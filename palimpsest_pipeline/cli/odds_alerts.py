"""The `palimpsest odds-alerts` command: list the alerts to traders, and acknowledge one.

Exit codes as in `cli/__main__.py`.
"""

import json
from datetime import datetime
from typing import Annotated, Any, Final

import typer

from palimpsest_pipeline.domain.enums import WHOLE_LISTING_KEY, OddsAlertLevel
from palimpsest_pipeline.settings import load_settings

from .console import JsonOption, escape_markup, fail, out, print_table
from .csv_and_excel_files import CsvOption, XlsxOption, write_files

odds_alerts_app = typer.Typer(
    help="Alerts to traders: prices that move, books that disagree, markets and listings that disappear."
)
DEFAULT_ALERT_LIMIT: Final = 40


@odds_alerts_app.callback(invoke_without_command=True)
def odds_alerts(
    context: typer.Context,
    only_open: Annotated[
        bool, typer.Option("--open", help="Only alerts that are neither closed nor acknowledged.")
    ] = False,
    least: Annotated[
        OddsAlertLevel, typer.Option("--severity", help="Only alerts of at least this severity.")
    ] = OddsAlertLevel.LOW,
    main: Annotated[
        bool, typer.Option("--main", help="Only markets in PALIMPSEST_MAIN_MARKETS, and whole listings.")
    ] = False,
    sr_id: Annotated[
        int | None, typer.Option("--fixture", metavar="SR_ID", help="Only alerts of this fixture, by SportRadar id.")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=0, help=f"Most alerts to list; 0: all. Default: {DEFAULT_ALERT_LIMIT}, in files all."),
    ] = None,
    as_json: JsonOption = False,
    csv: CsvOption = None,
    xlsx: XlsxOption = None,
) -> None:
    """List alerts, the last opened first."""
    if context.invoked_subcommand is not None:
        return
    from palimpsest_pipeline.operate.databases import open_databases, require_schema
    from palimpsest_pipeline.storage.marts import odds_alerts as stored

    if limit is None:
        limit = 0 if csv or xlsx else DEFAULT_ALERT_LIMIT
    levels = list(OddsAlertLevel)
    severities = [level.value for level in levels[levels.index(least) :]]
    with open_databases(load_settings()) as pipeline:
        require_schema(pipeline)
        keys = [WHOLE_LISTING_KEY, *pipeline.main_markets] if main else None
        with pipeline.connect() as conn:
            rows, total = stored.list_alerts(
                conn, only_open=only_open, severities=severities, market_keys=keys, sr_id=sr_id, limit=limit or None
            )
    written = bool(csv or xlsx) and write_files({"odds_alerts": stored.build_alert_frame(rows)}, csv, xlsx)
    if as_json:
        out.print_json(json.dumps({"alerts": rows, "total": total}, default=_encode_json_value))
    if as_json or written:
        return
    if not rows:
        out.print("no alerts" if not only_open else "no open alerts")
        return
    headings = [
        (name, False) for name in ("id", "severity", "what", "fixture", "kickoff", "market", "opened", "status")
    ]
    print_table(f"{len(rows)} of {total} alerts", headings, [_format_row(row) for row in rows])


@odds_alerts_app.command()
def ack(
    alert_id: Annotated[int, typer.Argument(metavar="ID", help="The id that `palimpsest odds-alerts` lists.")],
    acknowledged_by: Annotated[str, typer.Option("--by", metavar="NAME", help="Your name.")],
) -> None:
    """Acknowledge an alert.

    The alert counts as acknowledged until it ends, even when alerts are derived again.
    """
    from palimpsest_pipeline.operate.databases import open_databases, require_schema
    from palimpsest_pipeline.storage.marts import odds_alerts as stored

    if not acknowledged_by.strip():
        raise typer.BadParameter("is empty: give your name", param_hint="--by")
    with open_databases(load_settings()) as pipeline:
        require_schema(pipeline)
        with pipeline.connect() as conn:
            try:
                stored.acknowledge_alert(conn, alert_id, acknowledged_by.strip(), pipeline.clock.now())
            except stored.NoSuchAlert as unknown:
                raise fail(str(unknown)) from unknown
    out.print(f"{alert_id} acknowledged by {escape_markup(acknowledged_by.strip())}", highlight=False)


def _encode_json_value(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else float(value)


def _format_row(row: dict[str, Any]) -> list[str]:
    names = f"{row['home_team']} - {row['away_team']}" if row["home_team"] else f"SportRadar id {row['sr_id']}"
    kickoff = f"{row['kickoff_at']:%m-%d %H:%M}" if row["kickoff_at"] else ""
    market = " ".join(filter(None, (row["market_key"], row["specifier"], row["outcome_key"])))
    status = f"closed {row['closed_at']:%m-%d %H:%M}" if row["closed_at"] else row["status"]
    return [
        str(row["alert_id"]),
        row["severity"],
        _describe_change(row),
        names,
        kickoff,
        market,
        f"{row['opened_at']:%m-%d %H:%M}",
        status,
    ]


def _describe_change(row: dict[str, Any]) -> str:
    text = f"{row['alert_type']} {row['platform']}"
    if row["peak_change_rel"] is None:
        return text
    text += f" {row['peak_change_rel']:+.1%} ({row['baseline_odds']:.2f} to {row['current_odds']:.2f})"
    return text if row["competitor"] is None else f"{text}, {row['competitor']} {row['competitor_change_rel']:+.1%}"
