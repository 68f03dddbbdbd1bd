"""The `palimpsest` command: each subcommand calls a function of another package and prints the result.

Commands import Dagster only when they execute runs: the import takes seconds, and `palimpsest settings` must not wait
for it. Exit codes: 0 success, 1 failure, 2 wrong usage, 3 partial success (some platform failed), 130 cancelled
(Ctrl-C, SIGTERM).
"""

import atexit
import importlib
import os
import shlex
import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.domain.errors import PalimpsestError
from palimpsest_pipeline.operate.unknown_settings import find_unknown_settings
from palimpsest_pipeline.runtime.terminal import log_to_terminal
from palimpsest_pipeline.settings import (
    PLATFORMS_VARIABLE,
    Settings,
    SettingsError,
    load_settings,
    name_platform_variable,
)

from .board import board_app, describe_board_url
from .compare import compare_app
from .console import (
    EXIT_CANCELLED,
    EXIT_PARTIAL,
    JsonOption,
    err,
    fail,
    format_command,
    open_current_pipeline,
    out,
    parse_day,
    parse_hour,
    parse_hours,
    print_finding,
    print_frame,
    print_json,
    print_line,
    print_table,
    say,
)
from .db import db_app
from .landing import landing_app
from .markets import markets_app
from .odds_alerts import odds_alerts_app
from .orchestration import orchestration_app
from .platforms import platforms_app
from .prices import prices_app
from .report import report_app
from .show_rows import CsvOption, XlsxOption, show
from .sql import sql_app
from .storage import storage_app

if TYPE_CHECKING:
    import polars as pl

    from palimpsest_pipeline.pipeline.context import Pipeline

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(landing_app, name="landing")
app.add_typer(db_app, name="db")
app.add_typer(markets_app, name="markets")
app.add_typer(platforms_app, name="platforms")
app.add_typer(board_app)
app.add_typer(compare_app)
app.add_typer(odds_alerts_app, name="odds-alerts")
app.add_typer(orchestration_app)
app.add_typer(prices_app)
app.add_typer(report_app)
app.add_typer(sql_app)
app.add_typer(storage_app)


@app.callback()
def begin(context: typer.Context) -> None:
    """Scrape, match and compare bookmakers."""
    if context.invoked_subcommand == "doctor":  # doctor reports unknown settings itself
        return
    try:
        load_settings()
    except SettingsError:  # the subcommand itself reports the error
        return
    for unknown in find_unknown_settings():
        if not unknown.is_service_variable:
            say(f"warning: {unknown.sentence}")


REPORT_COLUMNS = (
    ("platform", "platform"),
    ("status", "status"),
    ("listed", "discovered"),
    ("targets", "targets"),
    ("listings", "listings"),
    ("fetched", "fetched"),
    ("refused", "refused"),
    ("requests", "requests"),
    ("p95 ms", "p95_ms"),
    ("took s", "capture_s"),
    ("ms", "ms"),
)
"""Columns of a report on a terminal of 80 characters: heading, and name in the report's JSON.

A report shows those of these columns that its JSON has.
"""
TEXT_COLUMNS = ("platform", "status")
"""Columns of a report that hold text; all others hold numbers."""

RUN_MODULES = ("dagster", "dagster_postgres")
"""Modules that commands which execute runs import while the database starts.

Their import takes seconds. Our Dagster definitions cannot be in this list: see `run_live_job`.
"""

MAX_TOURNAMENTS = 15
"""Maximum number of tournaments in a table for people."""

DayOption = Annotated[
    str | None,
    typer.Option(help="UTC day of the cycle: today, or shortly after midnight the day before. Default: today."),
]


def import_ahead(*names: str) -> None:
    """Import modules in a thread, one after another, while the process waits.

    It waits, for example, for the start of Postgres. Another import of the same module waits for it. If an import fails
    here, the error is raised again where the module is needed.
    """

    def load() -> None:
        for name in names:
            with suppress(Exception):
                importlib.import_module(name)

    threading.Thread(target=load, name="imports", daemon=True).start()


@contextmanager
def open_pipeline(settings: Settings | None = None, *, modules_to_preload: Sequence[str] = ()) -> Iterator[Any]:
    """Yield the pipeline with its database running.

    When the connection to the database is lost, the command ends at once and does not wait for Dagster's retries.
    `modules_to_preload` are imported while the database starts.
    """
    from palimpsest_pipeline.operate.databases import open_databases
    from palimpsest_pipeline.storage.db.connection import give_up_on_loss

    import_ahead(*modules_to_preload)
    with open_databases(settings or load_settings()) as pipeline, give_up_on_loss():
        yield pipeline


@app.command()
def settings(as_json: JsonOption = False) -> None:
    """Print every setting in force, with secrets masked."""
    current = load_settings()
    values = current.to_masked_dict()
    warn_about_source_conflict(current)
    if as_json:
        print_json(values, str)
        return
    for name, value in values.items():
        print_line(f"{name}={'' if value is None else value}")


def warn_about_source_conflict(settings: Settings) -> None:
    """Print a warning when the settings would mix simulated and real data in the home folder."""
    from palimpsest_pipeline.pipeline.home_notes import describe_conflict, read_noted_source

    source = read_noted_source(settings.home)
    if source is not None and (conflict := describe_conflict(settings, source)):
        say(f"warning: {conflict}")


@app.command()
def demo(
    size: Annotated[int, typer.Option(min=10, help="Fixtures in the simulated world.")] = 120,
    seed: Annotated[int, typer.Option(help="Seed of the simulated world.")] = 7,
    platforms: Annotated[
        str | None,
        typer.Option(metavar="KEYS", help="Platforms to simulate, separated by commas; by default five."),
    ] = None,
    ui: Annotated[bool, typer.Option("--ui/--no-ui", help="End with Dagster's UI on loopback.")] = True,
    port: Annotated[int | None, typer.Option(help="Port of the UI.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Run everything once, offline, with simulated platforms: two cycles and their coverage; then the UI."""
    from palimpsest_pipeline.operate import demo as world
    from palimpsest_pipeline.operate.serve.service_record import check_port
    from palimpsest_pipeline.pipeline.context import Pipeline
    from palimpsest_pipeline.simulator.simulated_platforms import DEMO_PLATFORMS

    configured = load_settings(**({} if port is None else {"ui_port": port}))
    demo_platforms: Sequence[Platform] = DEMO_PLATFORMS
    if platforms is not None:
        keys = [Platform(key.strip()) for key in platforms.split(",")]
        home = world.choose_home_platform(configured.home_platform, keys)
        demo_platforms = load_settings(platforms=keys, home_platform=home).platforms
    if ui:
        check_port(configured.ui_port)
    with world.run_demo(configured, size=size, seed=seed, say=say, platforms=demo_platforms) as (
        demo_settings,
        summary,
    ):
        if as_json:
            print_json(summary)
        else:
            print_coverage(*read_coverage_tables(Pipeline(demo_settings)))
            out.print(
                "  ".join(
                    f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
                    for name, value in summary.items()
                )
            )
        if ui:
            # The demo's UI must not read the user's own settings or `.env` file. It therefore gets all settings as
            # environment variables and runs in a folder without `.env`.
            serve_until_stopped(demo_settings, demo_settings.to_environment(), demo_settings.home)
    say(
        f"The demo's data stay in {world.locate_demo_home(configured)}; look again with: "
        f"{format_command('coverage', world.locate_demo_home(configured), demo_platforms)}"
    )


def close_dead_cycles(pipeline: Any) -> None:
    """Close the cycles whose process died, and print their names."""
    from palimpsest_pipeline.pipeline.live.recovery import describe_closed_cycle, recover_dead_cycles

    for cycle in recover_dead_cycles(pipeline):
        say(describe_closed_cycle(cycle))


def serve_until_stopped(
    settings: Settings, environment: dict[str, str], cwd: Path, *, has_sender: bool = False
) -> None:
    """Run Dagster in the foreground, until Ctrl-C or `palimpsest down`.

    With `has_sender`, messages to traders are sent too.
    """
    from palimpsest_pipeline.operate.serve.switches import list_switches
    from palimpsest_pipeline.operate.serve.up import run_services

    say("starting Dagster: code server, web server, daemon")
    with run_services(settings, environment, cwd, say, has_sender=has_sender) as supervisor:
        err.print(f"Dagster's UI: [bold]{supervisor.url}[/]  (stop with Ctrl-C or `palimpsest down`)", soft_wrap=True)
        if settings.board_port:
            err.print(f"The traders' board: [bold]{describe_board_url(settings)}[/]", soft_wrap=True)
        say(f"definitions loaded, daemon alive after {supervisor.startup_s:.1f} s")
        if switched_off := [switch.name for switch in list_switches(settings.home) if not switch.is_on]:
            say(
                f"off, so that no platform is asked: {', '.join(switched_off)}. To switch them on: "
                f"{format_command('cadence on', settings.home)}"
            )
        supervisor.wait()


@app.command()
def up(port: Annotated[int | None, typer.Option(help="Port of the UI.")] = None) -> None:
    """Run the pipeline in the foreground: database, schema, Dagster's servers, daemon, and the board.

    When there are rules for messages to traders, their sender runs too; a bad file of rules is named, and the rules in
    force stay. Scraping is off until `palimpsest cadence on`.
    """
    from palimpsest_pipeline.operate.databases import open_databases, prepare_schema
    from palimpsest_pipeline.operate.serve.service_record import check_not_serving, check_port
    from palimpsest_pipeline.pipeline.push.rules import prepare_sending

    configured = load_settings(**({} if port is None else {"ui_port": port}))
    check_not_serving(configured.home)
    check_port(configured.ui_port)
    warn_about_source_conflict(configured)
    say("preparing the databases and their tables")
    with open_databases(configured) as pipeline:
        prepare_schema(pipeline)
        close_dead_cycles(pipeline)
        with pipeline.connect() as conn:
            has_sender = prepare_sending(pipeline, conn, say)
        serve_until_stopped(configured, {}, Path.cwd(), has_sender=has_sender)


@app.command()
def down(
    wait_s: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for runs under way before they are asked to end.")
    ] = 30,
    now: Annotated[bool, typer.Option("--now", help="Ask runs under way to end at once, without waiting.")] = False,
) -> None:
    """Stop the services that `up` or `demo` started, and the embedded servers.

    Runs under way get some time, then they are cancelled; answers that have arrived are kept. Queued runs stay queued
    for the next `up`. A command in another terminal keeps running, and so does its server: `down` names it and exits
    with 1.
    """
    from palimpsest_pipeline.operate.demo import locate_demo_home
    from palimpsest_pipeline.operate.serve.down import stop_home

    configured = load_settings()

    stopped = [
        stop_home(configured, home, 0 if now else wait_s, print_line)
        for home in (configured.home, locate_demo_home(configured))
    ]
    if any(home.is_in_use for home in stopped):
        raise fail("not everything was stopped: see above")
    if not any(home.was_running for home in stopped):
        print_line("nothing was running")


@app.command()
def worker(
    concurrency: Annotated[int, typer.Option(min=1, help="Most runs at the same time, each in its own process.")] = 2,
) -> None:
    """Execute the runs that the broker (PALIMPSEST_CELERY_BROKER_URL) hands out.

    After Ctrl-C or SIGTERM the worker takes no new runs; a second signal ends the runs under way.
    """
    from palimpsest_pipeline.defs.instance import prepare_instance
    from palimpsest_pipeline.operate import celery_workers

    configured = load_settings()
    with open_current_pipeline(configured):
        prepare_instance(configured)
        celery_workers.run_worker(configured, concurrency)


def run_live_job(pipeline: Any, job: str, trigger: str, sr_ids: tuple[int, ...] = (), day: date | None = None) -> Any:
    """Run one live job with a progress bar per platform on the terminal; return its RunOutcome."""
    from palimpsest_pipeline.operate.databases import upgrade_schema

    upgrade_schema(pipeline)
    from palimpsest_pipeline.defs.instance import open_instance
    from palimpsest_pipeline.defs.run_heartbeat import report_dead_runs
    from palimpsest_pipeline.domain.enums import Trigger
    from palimpsest_pipeline.operate.run_job import run_job
    from palimpsest_pipeline.pipeline.home_notes import require_same_source
    from palimpsest_pipeline.runtime.progress import ScrapeProgress, open_terminal
    from palimpsest_pipeline.storage.ledger import cycle_ledger

    import_ahead("palimpsest_pipeline.definitions", "palimpsest_pipeline.wire.client")
    with pipeline.connect() as conn:  # simulated data must not mix with real data
        require_same_source(pipeline.settings, has_cycles=cycle_ledger.has_cycles(conn))
    close_dead_cycles(pipeline)
    with open_instance(pipeline.settings) as instance, open_terminal() as console, ScrapeProgress(console) as board:
        report_dead_runs(instance, pipeline)
        watched = replace(pipeline, progress=board)
        outcome = run_job(
            instance, watched, job, day or pipeline.clock.now().date(), trigger=Trigger(trigger), sr_ids=sr_ids
        )
    if outcome.success:
        say(f"start-up {outcome.startup_s:.1f} s, scrape {outcome.scrape_s:.1f} s, derivation {outcome.derive_s:.1f} s")
    return outcome


def print_report(
    outcome: Any, title: str, platforms: list[dict[str, Any]], *, complete: bool, as_json: bool, **extra_fields: Any
) -> None:
    """Print one row per platform, then raise typer.Exit unless the run succeeded and is complete.

    The exit code is 1 for a failed run, EXIT_CANCELLED for a cancelled one, and EXIT_PARTIAL when `complete` is false.
    """
    if as_json:
        report = {
            "run_id": outcome.run_id,
            "success": outcome.success,
            "error": outcome.error,
            "timing": outcome.timing,
            **extra_fields,
        }
        print_json({**report, "platforms": platforms}, str)
    elif platforms:
        columns = [(heading, name) for heading, name in REPORT_COLUMNS if name in platforms[0]]
        print_table(
            title,
            [(heading.replace(" ", "\n"), name not in TEXT_COLUMNS) for heading, name in columns],
            [[row[name] for _, name in columns] for row in platforms],
        )
        for row in platforms:
            if message := row.get("message") or row.get("failure"):
                say(f"{row['platform']}: {message}")
    if not outcome.success:
        raise fail(outcome.error or "the run failed", EXIT_CANCELLED if outcome.cancelled else 1)
    if not complete:
        raise typer.Exit(EXIT_PARTIAL)


@app.command()
def scrape(day: DayOption = None, as_json: JsonOption = False) -> None:
    """Run one full cycle now: discover and capture everything, then derive core and mart."""
    from palimpsest_pipeline.domain.enums import RunStatus
    from palimpsest_pipeline.storage.ledger import cycle_reader

    cycle_day = None if day is None else parse_day(day)
    with open_pipeline(modules_to_preload=RUN_MODULES) as pipeline:
        outcome = run_live_job(pipeline, "full_cycle", "manual", day=cycle_day)
        with pipeline.connect() as conn:
            platforms = cycle_reader.read_runs_of_dagster_run(conn, outcome.run_id).to_dicts()
        cycle_id = next(iter({p.pop("cycle_id") for p in platforms}), None)
        print_report(
            outcome,
            f"Cycle {cycle_id}",
            platforms,
            cycle_id=cycle_id,
            complete=all(p["status"] == RunStatus.COMPLETED for p in platforms),
            as_json=as_json,
        )


@app.command()
def refresh(sr_ids: Annotated[list[int], typer.Argument(help="SportRadar ids.")], as_json: JsonOption = False) -> None:
    """Refresh some fixtures now, on all platforms at once.

    Ids that no platform is known to list are named, and the others are refreshed.
    """
    from palimpsest_pipeline.domain.enums import RunStatus

    with open_pipeline(modules_to_preload=RUN_MODULES) as pipeline:
        outcome = run_live_job(pipeline, "refresh", "on_demand", tuple(sr_ids))
        from palimpsest_pipeline.operate.run_job import NOT_LISTED_STATUS, read_refresh_result

        platforms, unknown = read_refresh_result(pipeline, outcome.run_id, sr_ids)
        if unknown and outcome.success:
            say(
                f"no upcoming listing is known for SportRadar id {', '.join(map(str, unknown))}: "
                "run a full cycle first, or check the id"
            )
        all_refreshed = all(p["status"] in (RunStatus.COMPLETED, NOT_LISTED_STATUS) for p in platforms)
        print_report(
            outcome,
            "Refresh",
            platforms,
            complete=all_refreshed and not unknown,
            as_json=as_json,
            unknown_sr_ids=unknown,
        )


@app.command()
def backfill(
    start: Annotated[
        str | None, typer.Argument(metavar="FROM", help="First UTC hour, e.g. 2026-06-26-10:00, or day.")
    ] = None,
    end: Annotated[str | None, typer.Argument(metavar="TO", help="Last UTC hour, or day, included.")] = None,
    stale: Annotated[
        bool,
        typer.Option(
            "--stale",
            help="Name the due hours and why they are due, then derive them; without FROM and TO, of all hours.",
        ),
    ] = False,
    again: Annotated[
        bool,
        typer.Option(
            "--again",
            help="Derive hours that are up to date again, too: for rows that are wrong or were changed by hand.",
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only name the due hours.")] = False,
    jobs: Annotated[
        int,
        typer.Option(
            min=1, help="Processes that derive core at the same time; useful for many hours on more than two cores."
        ),
    ] = 1,
    as_json: JsonOption = False,
) -> None:
    """Derive core and mart of past hours from the landed answers.

    Hours that are up to date are skipped. An interrupted backfill continues when the command is called again.
    """
    from palimpsest_pipeline.domain.instants import Clock
    from palimpsest_pipeline.operate.databases import upgrade_schema
    from palimpsest_pipeline.runtime.progress import open_terminal

    if start is not None:
        parse_hour(start)  # a word that is no hour is a clearer error than a missing TO
    if (start is None) != (end is None) or (start is None and not stale):
        raise typer.BadParameter("give FROM and TO, or --stale for all hours")
    if again and (stale or dry_run):
        raise typer.BadParameter("--again cannot be combined with --stale or --dry-run")
    first, last = (
        (None, None)
        if start is None or end is None
        else parse_hours(start, end, Clock(load_settings().clock_offset_s).now())
    )
    with open_pipeline(modules_to_preload=RUN_MODULES) as pipeline, open_terminal() as console:
        upgrade_schema(pipeline)
        from palimpsest_pipeline.defs.instance import open_instance
        from palimpsest_pipeline.operate.backfill import backfill as replay
        from palimpsest_pipeline.pipeline.replay_plan import plan_hours

        close_dead_cycles(pipeline)
        if again:
            replay.mark_hours_due(pipeline, plan_hours(pipeline, first, last))
        hours = plan_hours(pipeline, first, last)
        if stale or dry_run:
            print_due_hours(hours, stale_only=stale, as_json=as_json and dry_run, console=err if as_json else out)
        if dry_run:
            return
        with open_instance(pipeline.settings) as instance:
            report = replay.run_backfill(pipeline, instance, hours, console, jobs=jobs, stale_only=stale)
    if as_json:
        print_json(report)
    else:
        print_line(report.describe())
    if not report.is_complete:
        raise fail(report.describe_failures(), 1 if report.is_empty_handed else EXIT_PARTIAL)
    if report.empty and not stale:
        raise fail(report.describe_empty_hours(), EXIT_PARTIAL)


def print_due_hours(hours: Iterable[Any], *, stale_only: bool, as_json: bool, console: Console) -> None:
    """Print each hour of a backfill's plan that is due or cannot be derived, with the reason.

    With `as_json`, print one JSON object on standard output; otherwise lines on `console`.
    """
    from palimpsest_pipeline.operate.backfill.backfill import list_lost_cycles

    reasons = {
        hour.key: (hour.why(), [cycle.sentence for cycle in list_lost_cycles(hour, stale_only=stale_only)])
        for hour in hours
    }
    if as_json:
        print_json({key: {"due": why, "refused": refused} for key, (why, refused) in reasons.items() if why or refused})
        return
    # Consecutive hours are often due for the same reason, so they share a line.
    for (why, refused), group in groupby(reasons, key=lambda key: reasons[key]):
        keys = list(group)
        span = keys[0] if len(keys) == 1 else f"{keys[0]} to {keys[-1]}"
        for line in filter(None, (why, *refused)):
            console.print(f"{span}: {line}", highlight=False, markup=False, soft_wrap=True)
    if not any(why or refused for why, refused in reasons.values()):
        console.print("nothing is due", highlight=False)


def print_coverage(rates: "pl.DataFrame", by_tournament: "pl.DataFrame") -> None:
    """Print the match rates by platform, and the coverage of the largest tournaments."""
    if rates.is_empty():
        out.print("no coverage yet: run `palimpsest scrape`, or import payloads and backfill their hours")
        return
    columns = (
        "platform",
        "n_listings",
        "n_fixtures",
        "n_matched_fixtures",
        "n_home_only",
        "n_competitor_only",
        "n_undetermined",
    )
    rate_columns = ("fixture_match_rate", "home_covered_rate", "overall_match_rate", "completeness")
    print_frame(
        f"Match rates, upcoming fixtures as of {rates['as_of'][0]:%Y-%m-%d %H:%M:%S} UTC",
        _format_headings(rates.select(*columns, *rate_columns)),
    )
    largest = by_tournament.head(MAX_TOURNAMENTS)
    print_frame(f"Coverage by tournament (the {largest.height} largest)", _format_headings(largest))


def _format_headings(frame: Any) -> Any:
    """Return the frame with column names as headings with spaces, which a table can break into lines."""
    return frame.rename({name: name.removeprefix("n_").replace("_", " ") for name in frame.columns})


@app.command("coverage")
def coverage_command(as_json: JsonOption = False, csv: CsvOption = None, xlsx: XlsxOption = None) -> None:
    """Print the latest coverage and match rates.

    A CSV file holds the coverage by tournament; an Excel file holds both tables.
    """
    with open_current_pipeline() as pipeline:
        rates, by_tournament = read_coverage_tables(pipeline)
    tables = {"coverage_tournament": by_tournament, "match_rate_platform": rates}
    report = {"match_rate_platform": rates, "coverage_tournament": by_tournament}
    show(tables, lambda: print_coverage(rates, by_tournament), as_json=as_json, report=report, csv=csv, xlsx=xlsx)


def read_coverage_tables(pipeline: "Pipeline") -> "tuple[pl.DataFrame, pl.DataFrame]":
    """Return the newest match rates by platform, and coverage by tournament, the largest first."""
    from palimpsest_pipeline.storage.marts import cycle_marts

    with pipeline.connect() as conn:
        return cycle_marts.read_latest_rates(conn), cycle_marts.read_latest_tournaments(conn, None)


@app.command()
def simulate(
    size: Annotated[int, typer.Option(min=10, help="Fixtures in the simulated world.")] = 120,
    seed: Annotated[int, typer.Option(help="Seed of the simulated world.")] = 7,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on loopback; 0: any free one.")] = 8400,
    failures: Annotated[
        list[str] | None,
        typer.Option(
            "--fail",
            metavar="PLATFORM=MODE",
            help="A failure that is on from the start, e.g. bet9ja=down or "
            "sportybet=error,share=0.3,endpoint=detail; may be repeated. Modes: outage, reset, hang, down, block, "
            "html, error, empty202, ratelimit, challenge503, redirect, bomb, huge, truncate, cut_json, latency, "
            "clock, kickoffs, page_missing, tournament_gone.",
        ),
    ] = None,
) -> None:
    """Serve the simulated platforms on loopback until Ctrl-C, and print the settings that point at them."""
    import psutil

    from palimpsest_pipeline.simulator.faults import parse_fault
    from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess

    try:
        faults = [parse_fault(text) for text in failures or []]
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--fail") from None
    configured = load_settings()
    with SimulatorProcess(size=size, seed=seed, port=port, platforms=configured.platforms) as simulator:
        for platform, fault in faults:
            simulator.set_fault(platform, **asdict(fault))
        home = configured.home
        if home.name != "simulated":  # the terminal may already use the lines that this command printed before
            home /= "simulated"
        print_line(f"export PALIMPSEST_HOME_DIR={shlex.quote(str(home))}")
        out.print(f"export {PLATFORMS_VARIABLE}={','.join(simulator.base_urls)}", highlight=False)
        for platform, url in simulator.base_urls.items():
            out.print(f"export {name_platform_variable(platform, 'base_url')}={url}", highlight=False)
        say("paste these lines into another terminal; commands in that terminal ask the simulator")
        say(
            f'switch a failure on: curl -d \'{{"platform": "bet9ja", "mode": "down"}}\' {simulator.url}/_sim/faults; '
            "mode none switches all off"
        )
        psutil.Process(simulator.pid).wait()


@app.command()
def doctor(
    platforms: Annotated[bool, typer.Option("--platforms", help="Also send one request to each platform.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Look for common problems, and print how to solve them.

    Starts nothing. Exit code 1 when something is wrong.
    """
    from palimpsest_pipeline.operate.doctor import run_doctor

    findings = run_doctor(load_settings(), platforms=platforms)
    if as_json:
        print_json(findings)
    else:
        for finding in findings:
            print_finding(finding.ok, f"{finding.name}: {finding.detail}")
    if not all(f.ok for f in findings):
        raise typer.Exit(1)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt  # like Ctrl-C, so that `finally` blocks stop the started processes


def main() -> None:
    """Execute the command, and end the process as soon as its exit functions have run.

    A normal exit of Python frees every loaded object, which takes more than a second after a run.
    """
    exit_code = 1

    def end_process() -> None:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # the reader has closed the stream
                stream.flush()
        os._exit(exit_code)

    atexit.register(end_process)  # registered first, because the last registered function is called first
    try:
        run_command()
        exit_code = 0
    except SystemExit as exit_request:
        exit_code = exit_request.code if isinstance(exit_request.code, int) else int(exit_request.code is not None)
        raise


def run_command() -> None:
    """Execute the command and translate errors into exit codes.

    A PalimpsestError is printed as one line and gives exit code 1. Ctrl-C gives 130. Any other error is a bug and shows
    its traceback.
    """
    log_to_terminal()
    with suppress(SettingsError):  # the subcommand itself reports the error
        os.umask(int(load_settings().umask, 8))
    for end_signal in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(end_signal) is signal.SIG_DFL:  # under `nohup` SIGHUP stays ignored
            signal.signal(end_signal, _interrupt)
    try:
        try:
            app()
        finally:  # ignore another Ctrl-C, which would change the exit code
            for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(signal_number, signal.SIG_IGN)
    except KeyboardInterrupt:
        raise SystemExit(EXIT_CANCELLED) from None
    except Exception as error:
        from palimpsest_pipeline.storage.db.connection import explain_loss

        message = str(error) if isinstance(error, PalimpsestError) else explain_loss(error)
        if message is None:
            raise
        raise SystemExit(fail(_redact_secrets(message)).exit_code) from None


def _redact_secrets(message: str) -> str:
    """Return `message` without the secrets of the settings, because an error may contain the bad value."""
    from palimpsest_pipeline.domain.secrets import list_store_secrets, redact

    try:
        secrets = load_settings().list_secrets()
    except SettingsError:
        secrets = list_store_secrets(os.environ)
    return redact(message, *secrets)


if __name__ == "__main__":
    main()
