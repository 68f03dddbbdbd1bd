"""The `palimpsest` commands about what runs when, and what became of it: `cadence`, `slots`, `alerts`.

Exit codes as in `cli/__main__.py`.
"""

import json
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

import typer

from palimpsest_pipeline.settings import load_settings

from .console import JsonOption, out, print_table

orchestration_app = typer.Typer()


class SwitchState(StrEnum):
    """Of what asks platforms by itself."""

    ON = "on"
    OFF = "off"


@orchestration_app.command()
def cadence(
    state: Annotated[
        SwitchState | None,
        typer.Argument(metavar="[on|off]", help="Switch them on or off; left out: say how they stand."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Switch on, or off, what asks platforms by itself: the schedule of full cycles and the sensor of those before
    kickoff. Needs `palimpsest up`.

    It stays as it is over `down` and `up`. Off lets runs that are under way go on.
    """
    from palimpsest_pipeline.operate.serve.switches import list_switches, set_switches

    home = load_settings().home
    found = list_switches(home) if state is None else set_switches(home, on=state is SwitchState.ON)
    if as_json:
        told = [{"name": one.name, "kind": one.kind, "on": one.is_on, "next_at": one.next_at} for one in found]
        out.print_json(json.dumps(told, default=datetime.isoformat))
        return
    for one in found:
        stands = (
            "off"
            if not one.is_on
            else "on"
            if one.next_at is None
            else f"on, next at {one.next_at:%Y-%m-%d %H:%M:%S} UTC"
        )
        out.print(
            f"{one.kind} {one.name}: {stands}\n  {one.description}", highlight=False, markup=False, soft_wrap=True
        )
    if state is SwitchState.ON and not _has_upcoming_fixture():
        soonest = min(
            (one.next_at for one in found if one.kind == "schedule" and one.next_at is not None), default=None
        )
        at = "" if soonest is None else f" at {soonest:%H:%M} UTC"
        first = f"no upcoming fixture is known yet: no platform is asked before the first full cycle{at}; `palimpsest scrape` runs one now"
        out.print(first, highlight=False, markup=False, soft_wrap=True)


def _has_upcoming_fixture() -> bool:
    from palimpsest_pipeline.operate.databases import open_databases, require_schema
    from palimpsest_pipeline.storage.catalog.upcoming_fixtures import read_kickoffs_and_next

    with open_databases(load_settings()) as pipeline:
        require_schema(pipeline)
        now = pipeline.clock.now()
        with pipeline.connect() as conn:
            return read_kickoffs_and_next(conn, now, now)[1] is not None


@orchestration_app.command()
def slots(
    hours: Annotated[float, typer.Option(min=0.1, max=24 * 30, help="How far to look back, hours.")] = 24,
    as_json: JsonOption = False,
) -> None:
    """List lost slots of the kickoff cadence by fixture and stretch: a fixture was due and not asked, or no platform
    answered.

    Due is what the settings of now ask for, by the kickoffs as they were known at the time. Nothing is due before the
    first slot that was asked for in this time or in the 24 hours before it.
    """
    from palimpsest_pipeline.operate.databases import open_databases, require_schema
    from palimpsest_pipeline.pipeline.kickoff_slots import report_slots

    with open_databases(load_settings()) as pipeline:
        require_schema(pipeline)
        now = pipeline.clock.now()
        found = report_slots(pipeline, now - timedelta(hours=hours), now)
    stretches = found.lost_stretches
    if as_json:
        told = {
            "begin": found.begin,
            "end": found.end,
            "in_use": found.is_in_use,
            "slots_due": found.slots.height,
            "slots_lost": found.lost_slots.height,
        }
        told |= {"slots_kept_without": found.silent_platforms}
        out.print_json(json.dumps({**told, "lost": stretches.to_dicts()}, default=datetime.isoformat))
        return
    span = f"from {found.begin:%Y-%m-%d %H:%M} to {found.end:%Y-%m-%d %H:%M} UTC"
    if found.begin == found.end:
        out.print(
            f"the first slot of the kickoff cadence, of {found.begin:%Y-%m-%d %H:%M} UTC, is not over yet",
            highlight=False,
            soft_wrap=True,
        )
    elif not found.is_in_use:
        why = "it was off or nothing ran (`palimpsest cadence` says how it stands), or no fixture was due"
        out.print(
            f"no slot of the kickoff cadence was asked for {span}, nor in the 24 hours before: {why}",
            highlight=False,
            soft_wrap=True,
        )
    elif stretches.is_empty():
        out.print(f"all {found.slots.height} slots {span} were kept", highlight=False)
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
        print_table(f"{found.lost_slots.height} of {found.slots.height} slots {span} were lost", columns, rows)
        out.print(found.describe_losses(), highlight=False, soft_wrap=True)
    if silence := found.describe_silences():
        out.print(silence, highlight=False, soft_wrap=True)


@orchestration_app.command()
def alerts(
    hours: Annotated[float, typer.Option(min=0, help="Also those that were over at most so long ago, hours.")] = 24,
    as_json: JsonOption = False,
) -> None:
    """List the troubles of jobs and checks that last, then those that were over lately, as the sensor `alerts` tells
    of them.
    """
    from palimpsest_pipeline.operate.databases import open_databases, require_schema
    from palimpsest_pipeline.pipeline.monitoring.alert_message import describe_duration, to_fields
    from palimpsest_pipeline.storage.ledger.alerts import read_recent_alerts

    now = datetime.now(UTC)
    with open_databases(load_settings()) as pipeline:
        require_schema(pipeline)
        with pipeline.connect() as conn:
            found = read_recent_alerts(conn, now - timedelta(hours=hours))
    if as_json:
        lasting = [to_fields(alert) for alert in found if alert.closed_at is None]
        out.print_json(
            json.dumps({"open": lasting, "over": [to_fields(alert) for alert in found if alert.closed_at is not None]})
        )
        return
    for alert in found:
        state = (
            f"for {describe_duration(alert, now)}"
            if alert.closed_at is None
            else f"over since {alert.closed_at:%Y-%m-%d %H:%M} UTC, lasted {describe_duration(alert)}"
        )
        where = f" {alert.partition_label}" if alert.partition_label else ""
        seen = "once" if alert.n_seen == 1 else f"{alert.n_seen} times"
        line = f"{alert.severity.upper()} {alert.subject}{where}: {alert.error_class}, {state}, seen {seen}"
        out.print(f"{line}\n  {alert.message}", highlight=False, markup=False, soft_wrap=True)
    if not found:
        out.print(
            f"nothing is wrong, and nothing was in the last {hours:g} hours, as far as the sensor `alerts` has looked",
            highlight=False,
        )
