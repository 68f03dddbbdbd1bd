"""The `palimpsest odds-alerts` command: alerts to traders, and the messages that rules send.

Exit codes as in `cli/__main__.py`.
"""

import json
from datetime import datetime
from typing import Annotated, Any, Final

import typer

from palimpsest_pipeline.domain.enums import WHOLE_LISTING_KEY, OddsAlertLevel
from palimpsest_pipeline.settings import load_settings

from .console import (
    JsonOption,
    escape_markup,
    fail,
    open_current_pipeline,
    out,
    parse_day,
    print_json,
    print_table,
    say,
)
from .show_rows import CsvOption, XlsxOption, show

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
    from palimpsest_pipeline.storage.marts import odds_alert_rows

    if limit is None:
        limit = 0 if csv or xlsx else DEFAULT_ALERT_LIMIT
    levels = list(OddsAlertLevel)
    severities = [level.value for level in levels[levels.index(least) :]]
    with open_current_pipeline() as pipeline:
        keys = [WHOLE_LISTING_KEY, *pipeline.main_markets] if main else None
        with pipeline.connect() as conn:
            rows, total = odds_alert_rows.list_alerts(
                conn, only_open=only_open, severities=severities, market_keys=keys, sr_id=sr_id, limit=limit or None
            )

    def print_text() -> None:
        if not rows:
            out.print("no alerts" if not only_open else "no open alerts")
            return
        names = ("id", "severity", "what", "fixture", "kickoff", "market", "opened", "status")
        print_table(f"{len(rows)} of {total} alerts", [(name, False) for name in names], map(_format_row, rows))

    tables = {"odds_alerts": odds_alert_rows.build_alert_frame(rows)}
    show(tables, print_text, as_json=as_json, report={"alerts": rows, "total": total}, csv=csv, xlsx=xlsx)


@odds_alerts_app.command()
def ack(
    alert_id: Annotated[int, typer.Argument(metavar="ID", help="The id that `palimpsest odds-alerts` lists.")],
    acknowledged_by: Annotated[str, typer.Option("--by", metavar="NAME", help="Your name.")],
) -> None:
    """Acknowledge an alert.

    The alert counts as acknowledged until it ends, even when alerts are derived again.
    """
    from palimpsest_pipeline.storage.marts import odds_alert_rows

    if not acknowledged_by.strip():
        raise typer.BadParameter("is empty: give your name", param_hint="--by")
    with open_current_pipeline() as pipeline, pipeline.connect() as conn:
        try:
            odds_alert_rows.acknowledge_alert(conn, alert_id, acknowledged_by.strip(), pipeline.clock.now())
        except odds_alert_rows.NoSuchAlert as unknown:
            raise fail(str(unknown)) from unknown
    out.print(f"{alert_id} acknowledged by {escape_markup(acknowledged_by.strip())}", highlight=False)


@odds_alerts_app.command()
def rules(as_json: JsonOption = False) -> None:
    """Check the file of rules, put its rules in force, and show them with their messages.

    A rule sends nothing older than the instant at which it was put in force. Every derivation reads the file too. Exit
    code 1 when the file has a bad value; the rules in force then stay.
    """
    from dataclasses import asdict

    from palimpsest_pipeline.pipeline.push.rules import apply_rules, locate_rules
    from palimpsest_pipeline.storage.push import outbox

    with open_current_pipeline() as pipeline:
        with pipeline.connect() as conn:
            file_rules = apply_rules(pipeline, conn)
            conn.commit()
            statuses, is_running = outbox.read_rule_status(conn), outbox.is_sender_running(conn)
        file = locate_rules(pipeline.settings)
    if as_json:
        content = {
            "file": str(file),
            "file_exists": file_rules is not None,
            "sender_is_running": is_running,
            "rules": [asdict(status) for status in statuses],
        }
        print_json(content)
        return
    if file_rules is None:
        say(f"there is no file {file}; the rules in force stay")
    if not statuses:
        out.print("no rules")
        return
    headings = [
        *((name, False) for name in ("rule", "source", "since", "webhook")),
        *((name, True) for name in ("pending", "delivered", "failed", "cancelled")),
        *((name, False) for name in ("oldest pending", "last delivered", "last error")),
    ]
    print_table(f"{len(statuses)} rules", headings, [_format_rule(status) for status in statuses])
    if not is_running:
        say("no sender runs: `palimpsest up` starts one when there are rules, or run `palimpsest odds-alerts send`")


@odds_alerts_app.command(name="test-rules")
def test_rules(
    day: Annotated[str, typer.Argument(metavar="DAY", help="UTC day, such as 2026-06-26.")],
    rule: Annotated[str | None, typer.Option("--rule", metavar="NAME", help="Only this rule.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the messages that the rules of the file would have sent on a past day. Sends nothing.

    The age of a rule does not count, so that a new rule can be tested on old events.
    """
    from palimpsest_pipeline.operate.databases import open_databases, require_schema
    from palimpsest_pipeline.pipeline.push.enqueue import list_past_messages
    from palimpsest_pipeline.pipeline.push.rules import load_rules, locate_rules

    utc_day = parse_day(day)
    with open_databases(load_settings()) as pipeline:
        file_rules = load_rules(pipeline)
        if file_rules is None:
            raise fail(f"there is no file {locate_rules(pipeline.settings)}: write rules into it first")
        chosen_rules = tuple(each for each in file_rules if rule in (None, each.name))
        if rule is not None and not chosen_rules:
            raise fail(f"the file has no rule {rule}; it has {', '.join(each.name for each in file_rules) or 'none'}")
        require_schema(pipeline)
        with pipeline.connect() as conn:
            messages = list_past_messages(pipeline, conn, chosen_rules, utc_day)
    counts = {each.name: sum(message.rule == each.name for message in messages) for each in chosen_rules}
    bodies = [json.loads(message.body) for message in messages]
    if as_json:
        print_json({"day": day, "counts": counts, "messages": bodies})
        return
    rows = [
        (f"{message.fires_at:%H:%M:%S}", message.rule, body["text"])
        for message, body in zip(messages, bodies, strict=True)
    ]
    if rows:
        print_table(f"{len(rows)} messages on {day}", [(name, False) for name in ("time", "rule", "text")], rows)
    out.print("  ".join(f"{name}={n}" for name, n in counts.items()) or "no rules", highlight=False)


@odds_alerts_app.command()
def send() -> None:
    """Deliver the messages of the outbox to the webhooks, until Ctrl-C.

    `palimpsest up` runs this command itself when there are rules. A second sender waits until the first one ends.
    """
    import asyncio
    from contextlib import suppress

    from palimpsest_pipeline.operate.databases import open_sender_database
    from palimpsest_pipeline.pipeline.push.send import run_sender

    with open_sender_database(load_settings()) as database, suppress(KeyboardInterrupt):
        asyncio.run(run_sender(database, say))


@odds_alerts_app.command()
def retry(
    rule: Annotated[str, typer.Argument(metavar="RULE", help="The rule that `palimpsest odds-alerts rules` lists.")],
) -> None:
    """Send again the messages of a rule in force that its receiver refused.

    They follow the messages of the rule that were sent meanwhile.
    """
    from palimpsest_pipeline.storage.push import outbox

    with open_current_pipeline() as pipeline, pipeline.connect() as conn:
        n_retried = outbox.retry_failed(conn, rule)
    out.print(f"{n_retried} messages of {escape_markup(rule)} are pending again", highlight=False)


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


def _format_rule(status: Any) -> list[Any]:
    def format_instant(instant: datetime | None) -> str:
        return "" if instant is None else f"{instant:%m-%d %H:%M:%S}"

    return [
        status.rule,
        status.source if status.removed_at is None else f"{status.source} (no longer in the file)",
        format_instant(status.since),
        status.webhook,
        status.n_pending,
        status.n_delivered,
        status.n_failed,
        status.n_cancelled,
        format_instant(status.oldest_pending_at),
        format_instant(status.last_delivered_at),
        status.last_error or "",
    ]
