"""The `palimpsest` commands on schedules and their results: `cadence`, `slots`, `alerts`.

Exit codes as in `cli/__main__.py`.
"""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from palimpsest_pipeline.settings import load_settings

from .console import JsonOption, open_current_pipeline, out, print_json, print_line, print_table
from .show_rows import CsvOption, XlsxOption, show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from palimpsest_pipeline.domain.alerts import PipelineAlert
    from palimpsest_pipeline.pipeline.kickoff_slots import SlotReport

orchestration_app = typer.Typer()


class SwitchState(StrEnum):
    """The two arguments of `palimpsest cadence`: switch the schedule and the sensor of scrapes on or off."""

    ON = "on"
    OFF = "off"


@orchestration_app.command()
def cadence(
    state: Annotated[
        SwitchState | None,
        typer.Argument(metavar="[on|off]", help="Switch them on or off; without it: print their state."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Switch the automatic scrapes on or off: the schedule of full cycles and the sensor before kickoffs.

    Needs `palimpsest up`. The state survives `down` and `up`. Runs under way continue after `off`.
    """
    from palimpsest_pipeline.operate.serve.switches import list_switches, set_switches

    home = load_settings().home
    switches = list_switches(home) if state is None else set_switches(home, on=state is SwitchState.ON)
    if as_json:
        fields = [
            {"name": switch.name, "kind": switch.kind, "on": switch.is_on, "next_at": switch.next_at}
            for switch in switches
        ]
        print_json(fields)
        return
    for switch in switches:
        state_text = (
            "off"
            if not switch.is_on
            else "on"
            if switch.next_at is None
            else f"on, next at {switch.next_at:%Y-%m-%d %H:%M:%S} UTC"
        )
        print_line(f"{switch.kind} {switch.name}: {state_text}\n  {switch.description}")
    if state is SwitchState.ON and not _has_upcoming_fixture():
        soonest = min(
            (switch.next_at for switch in switches if switch.kind == "schedule" and switch.next_at is not None),
            default=None,
        )
        at_time = "" if soonest is None else f" at {soonest:%H:%M} UTC"
        hint = (
            f"no upcoming fixture is known yet: no platform is asked before the first full cycle{at_time}; "
            "`palimpsest scrape` runs one now"
        )
        print_line(hint)


def _has_upcoming_fixture() -> bool:
    from palimpsest_pipeline.storage.catalog.upcoming_fixtures import read_kickoffs_and_next

    with open_current_pipeline() as pipeline:
        now = pipeline.clock.now()
        with pipeline.connect() as conn:
            return read_kickoffs_and_next(conn, now, now)[1] is not None


@orchestration_app.command()
def slots(
    hours: Annotated[float, typer.Option(min=0.1, max=24 * 30, help="Hours to look back.")] = 24,
    as_json: JsonOption = False,
    csv: CsvOption = None,
    xlsx: XlsxOption = None,
) -> None:
    """List lost slots of the kickoff cadence by fixture and stretch of time.

    A slot is lost when a fixture was due and not requested, or when no platform answered. The current settings, and the
    kickoffs that were known at the time, decide which slots were due. Nothing is due before the first slot that was
    requested in this time or in the 24 hours before it.
    """
    from palimpsest_pipeline.pipeline.kickoff_slots import report_slots

    with open_current_pipeline() as pipeline, pipeline.connect() as conn:
        now = pipeline.clock.now()
        report = report_slots(pipeline, conn, now - timedelta(hours=hours), now)
    fields = {
        "begin": report.begin,
        "end": report.end,
        "in_use": report.is_in_use,
        "slots_due": report.slots.height,
        "slots_lost": report.lost_slots.height,
        "slots_kept_without": report.silent_platforms,
        "lost": report.lost_stretches,
    }
    tables = {"lost_slots": report.lost_stretches}
    show(tables, lambda: _print_slots(report), as_json=as_json, report=fields, csv=csv, xlsx=xlsx)


def _print_slots(report: "SlotReport") -> None:
    stretches = report.lost_stretches
    span = f"from {report.begin:%Y-%m-%d %H:%M} to {report.end:%Y-%m-%d %H:%M} UTC"
    if report.begin == report.end:
        print_line(f"the first slot of the kickoff cadence, of {report.begin:%Y-%m-%d %H:%M} UTC, is not over yet")
    elif not report.is_in_use:
        why = "it was off or nothing ran (see `palimpsest cadence`), or no fixture was due"
        print_line(f"no slot of the kickoff cadence was asked for {span}, nor in the 24 hours before: {why}")
    elif stretches.is_empty():
        out.print(f"all {report.slots.height} slots {span} were kept", highlight=False)
    else:
        columns = [
            ("SR_ID", True),
            ("from", False),
            ("to", False),
            ("slots", True),
            ("kickoff", False),
            ("asked, not answered", True),
            ("did not answer", False),
        ]
        rows = ([*row, ", ".join(silent)] for *row, silent in stretches.iter_rows())
        print_table(f"{report.lost_slots.height} of {report.slots.height} slots {span} were lost", columns, rows)
        print_line(report.describe_losses())
    if silence := report.describe_silences():
        print_line(silence)


@orchestration_app.command()
def alerts(
    hours: Annotated[float, typer.Option(min=0, help="Also alerts that ended within this many hours.")] = 24,
    as_json: JsonOption = False,
    csv: CsvOption = None,
    xlsx: XlsxOption = None,
) -> None:
    """List the open alerts about jobs and checks, then those that ended lately.

    They are the alerts that the sensor `alerts` sends.
    """
    import polars as pl

    from palimpsest_pipeline.pipeline.monitoring.alert_message import to_fields
    from palimpsest_pipeline.storage.ledger.alert_rows import read_recent_alerts

    now = datetime.now(UTC)
    with open_current_pipeline() as pipeline, pipeline.connect() as conn:
        alert_rows = read_recent_alerts(conn, now - timedelta(hours=hours))
    rows = [to_fields(alert) for alert in alert_rows]
    report = {
        "open": [row for row in rows if row["closed_at"] is None],
        "over": [row for row in rows if row["closed_at"] is not None],
    }
    tables = {"alerts": pl.DataFrame(rows, infer_schema_length=None)}
    show(tables, lambda: _print_alerts(alert_rows, now, hours), as_json=as_json, report=report, csv=csv, xlsx=xlsx)


def _print_alerts(alert_rows: "Sequence[PipelineAlert]", now: datetime, hours: float) -> None:
    from palimpsest_pipeline.pipeline.monitoring.alert_message import describe_duration

    for alert in alert_rows:
        state = (
            f"for {describe_duration(alert, now)}"
            if alert.closed_at is None
            else f"over since {alert.closed_at:%Y-%m-%d %H:%M} UTC, lasted {describe_duration(alert)}"
        )
        where = f" {alert.partition_label}" if alert.partition_label else ""
        times = "once" if alert.n_seen == 1 else f"{alert.n_seen} times"
        line = f"{alert.severity.upper()} {alert.subject}{where}: {alert.error_class}, {state}, seen {times}"
        print_line(f"{line}\n  {alert.message}")
    if not alert_rows:
        print_line(
            f"no alert is open, and none ended in the last {hours:g} hours; the sensor `alerts` looks while"
            " Dagster runs (`palimpsest up`)"
        )
