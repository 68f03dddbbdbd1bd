"""The `palimpsest` command. Thin: each subcommand calls one function elsewhere and prints what came of it.

Dagster is imported inside the commands that run something: it takes seconds, and `palimpsest settings` should not.
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done in part (some platform failed), 130 cancelled (Ctrl-C, SIGTERM).
"""

import atexit
import json
import os
import shlex
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from datetime import date, datetime
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from palimpsest_pipeline.domain.errors import PalimpsestError
from palimpsest_pipeline.operate.unknown_settings import find_unknown_settings
from palimpsest_pipeline.runtime.terminal import log_to_terminal
from palimpsest_pipeline.settings import Settings, SettingsError, load_settings

from .compare import compare_app
from .console import (
    EXIT_CANCELLED,
    EXIT_PARTIAL,
    JsonOption,
    err,
    escape_markup,
    fail,
    format_command,
    out,
    parse_day,
    parse_hours,
    print_frame,
    print_table,
    say,
)
from .db import db_app
from .files import CsvOption, XlsxOption, write_files
from .landing import landing_app
from .markets import markets_app
from .odds_alerts import odds_alerts_app
from .orchestration import orchestration_app
from .prices import prices_app
from .report import report_app
from .sql import sql_app
from .storage import storage_app

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(landing_app, name="landing")
app.add_typer(db_app, name="db")
app.add_typer(markets_app, name="markets")
app.add_typer(compare_app)
app.add_typer(odds_alerts_app, name="odds-alerts")
app.add_typer(orchestration_app)
app.add_typer(prices_app)
app.add_typer(report_app)
app.add_typer(sql_app)
app.add_typer(storage_app)


@app.callback()
def begin(context: typer.Context) -> None:
    """Scrape, match and compare three bookmakers."""
    if context.invoked_subcommand == "doctor":  # it reports unknown settings itself
        return
    try:
        load_settings()
    except SettingsError:  # the command itself says what is wrong with them
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
"""Columns of a report in a terminal of 80 characters, those that it has: heading, and name in its JSON."""
TEXT_COLUMNS = ("platform", "status")
"""... that hold no numbers."""

RUN_MODULES = ("dagster", "dagster_postgres")
"""What commands that execute runs need when the database is up: it takes seconds to import.

Our definitions cannot be among it: see `run_live_job`.
"""

DayOption = Annotated[
    str | None,
    typer.Option(
        help="UTC day that the cycle belongs to: today, or shortly after midnight the day before. Default: today."
    ),
]


@contextmanager
def open_pipeline(settings: Settings | None = None, *, modules_to_preload: Sequence[str] = ()) -> Iterator[Any]:
    """The pipeline with its database up. When it is lost, the command ends instead of waiting for Dagster's retries.

    `modules_to_preload`: modules that are imported while the database starts.
    """
    from palimpsest_pipeline.operate.databases import open_databases
    from palimpsest_pipeline.runtime.import_ahead import import_ahead
    from palimpsest_pipeline.storage.db.connection import give_up_on_loss

    import_ahead(*modules_to_preload)
    with open_databases(settings or load_settings()) as found, give_up_on_loss():
        yield found


@app.command()
def settings(as_json: JsonOption = False) -> None:
    """Print every setting in force, secrets masked."""
    chosen = load_settings()
    values = chosen.to_masked_dict()
    warn_about_source_conflict(chosen)
    if as_json:
        out.print_json(json.dumps(values, default=str))
        return
    for name, value in values.items():
        out.print(f"{name}={'' if value is None else value}", highlight=False, markup=False, soft_wrap=True)


def warn_about_source_conflict(settings: Settings) -> None:
    """Print a warning when the settings lead to simulated platforms and the home folder holds real data, or the
    reverse.
    """
    from palimpsest_pipeline.pipeline.data_source import describe_conflict, read_noted_source

    source = read_noted_source(settings.home)
    if source is not None and (conflict := describe_conflict(settings, source)):
        say(f"warning: {conflict}")


@app.command()
def demo(
    size: Annotated[int, typer.Option(min=10, help="Fixtures in the simulated world.")] = 120,
    seed: Annotated[int, typer.Option(help="Seed of the simulated world.")] = 7,
    ui: Annotated[bool, typer.Option("--ui/--no-ui", help="End with Dagster's UI on loopback.")] = True,
    port: Annotated[int | None, typer.Option(help="Port of the UI.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Everything once, offline: simulated platforms, embedded Postgres, two cycles, coverage tables; then the UI."""
    from palimpsest_pipeline.operate import demo as world
    from palimpsest_pipeline.operate.serve.service_record import check_port
    from palimpsest_pipeline.pipeline.context import Pipeline

    chosen = load_settings(**({} if port is None else {"ui_port": port}))
    if ui:
        check_port(chosen.ui_port)
    with world.run_demo(chosen, size=size, seed=seed, say=say) as (demo_settings, summary):
        if as_json:
            out.print_json(json.dumps(summary.as_dict()))
        else:
            print_coverage(Pipeline(demo_settings))
            out.print(
                "  ".join(
                    f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
                    for name, value in summary.as_dict().items()
                )
            )
        if ui:
            # Nothing of the user's own settings, nor of a `.env` beside them, may reach the demo's UI.
            serve_until_stopped(demo_settings, demo_settings.to_environment(), demo_settings.home)
    say(
        f"The demo's data stay in {world.locate_demo_home(chosen)}; look again with: {format_command('coverage', world.locate_demo_home(chosen))}"
    )


def close_dead_cycles(pipeline: Any) -> None:
    """Close the cycles whose process died, and name them."""
    from palimpsest_pipeline.pipeline.live.recovery import describe_closed_cycle, recover_dead_cycles

    for cycle in recover_dead_cycles(pipeline):
        say(describe_closed_cycle(cycle))


def serve_until_stopped(settings: Settings, environment: dict[str, str], cwd: Path) -> None:
    """Dagster in the foreground, until Ctrl-C or `palimpsest down`."""
    from palimpsest_pipeline.operate.serve.switches import list_switches
    from palimpsest_pipeline.operate.serve.up import run_services

    say("starting Dagster: code server, web server, daemon")
    with run_services(settings, environment, cwd, say) as supervisor:
        err.print(f"Dagster's UI: [bold]{supervisor.url}[/]  (stop with Ctrl-C or `palimpsest down`)", soft_wrap=True)
        say(f"definitions loaded, daemon alive after {supervisor.startup_s:.1f} s")
        if off := [switch.name for switch in list_switches(settings.home) if not switch.is_on]:
            say(
                f"off, so that no platform is asked: {', '.join(off)}. To switch them on: {format_command('cadence on', settings.home)}"
            )
        supervisor.wait()


@app.command()
def up(port: Annotated[int | None, typer.Option(help="Port of the UI.")] = None) -> None:
    """The real thing: database, schema, Dagster's code server, UI and daemon, in the foreground.

    Scraping is off until `palimpsest cadence on`.
    """
    from palimpsest_pipeline.operate.databases import open_databases, prepare_schema
    from palimpsest_pipeline.operate.serve.service_record import check_not_serving, check_port

    chosen = load_settings(**({} if port is None else {"ui_port": port}))
    check_not_serving(chosen.home)
    check_port(chosen.ui_port)
    warn_about_source_conflict(chosen)
    say("making sure that the databases are there, and their tables up to date")
    with open_databases(chosen) as found:
        prepare_schema(found)
        close_dead_cycles(found)
        serve_until_stopped(chosen, {}, Path.cwd())


@app.command()
def down(
    wait_s: Annotated[
        float, typer.Option(min=0, help="How long runs under way are waited for before they are asked to end, seconds.")
    ] = 30,
    now: Annotated[bool, typer.Option("--now", help="Ask runs under way to end at once.")] = False,
) -> None:
    """Stop what `up` or `demo` started, and the embedded servers. Runs under way get some time, then are cancelled:
    what had arrived is kept.

    Queued runs stay queued for the next `up`. A command in another terminal keeps running, as does its server: `down`
    names it and exits with 1.
    """
    from palimpsest_pipeline.operate.demo import locate_demo_home
    from palimpsest_pipeline.operate.serve.down import stop_home

    chosen = load_settings()

    def tell(line: str) -> None:
        out.print(line, highlight=False, markup=False, soft_wrap=True)

    stopped = [stop_home(chosen, home, 0 if now else wait_s, tell) for home in (chosen.home, locate_demo_home(chosen))]
    if any(home.is_in_use for home in stopped):
        raise fail("not everything was stopped: see above")
    if not any(home.was_running for home in stopped):
        tell("nothing was running")


@app.command()
def worker(
    concurrency: Annotated[int, typer.Option(min=1, help="Runs at the same time, each in a process of its own.")] = 2,
) -> None:
    """Execute runs that the broker (PALIMPSEST_CELERY_BROKER_URL) hands out.

    Ctrl-C or SIGTERM: no new ones; a second one ends those under way.
    """
    from palimpsest_pipeline.defs.instance import prepare_instance
    from palimpsest_pipeline.operate import celery_workers
    from palimpsest_pipeline.operate.databases import open_databases, require_schema

    chosen = load_settings()
    with open_databases(chosen) as found:
        require_schema(found)
        prepare_instance(chosen)
        celery_workers.run_worker(chosen, concurrency)


def run_live_job(pipeline: Any, job: str, trigger: str, sr_ids: tuple[int, ...] = (), day: date | None = None) -> Any:
    """Run one live job, with a bar per platform on the terminal. Returns its RunOutcome."""
    from palimpsest_pipeline.operate.databases import upgrade_schema

    upgrade_schema(pipeline)
    # Only now: the first day is read when the partitions are imported, and the upgrade of a new home folder settles it.
    from palimpsest_pipeline.defs.instance import open_instance
    from palimpsest_pipeline.defs.run_heartbeat import report_dead_runs
    from palimpsest_pipeline.domain.enums import Trigger
    from palimpsest_pipeline.operate.run_job import run_job
    from palimpsest_pipeline.runtime.import_ahead import import_ahead
    from palimpsest_pipeline.runtime.progress import Board, open_terminal, show_bars

    import_ahead("palimpsest_pipeline.definitions", "palimpsest_pipeline.wire.client")
    require_home_data_source(pipeline)
    close_dead_cycles(pipeline)
    board = Board()
    with open_instance(pipeline.settings) as instance, open_terminal() as console, show_bars(board, console):
        report_dead_runs(instance, pipeline)
        watched = replace(pipeline, progress=board)
        outcome = run_job(
            instance, watched, job, day or pipeline.clock.now().date(), trigger=Trigger(trigger), sr_ids=sr_ids
        )
    if outcome.success:
        say(f"start-up {outcome.startup_s:.1f} s, scrape {outcome.scrape_s:.1f} s, derivation {outcome.derive_s:.1f} s")
    return outcome


def require_home_data_source(pipeline: Any) -> None:
    """Raise SettingsError when a run would mix simulated data with real data. Call it before the run begins."""
    from palimpsest_pipeline.pipeline.data_source import require_same_source
    from palimpsest_pipeline.storage.ledger import cycle_ledger

    with pipeline.connect() as conn:
        require_same_source(pipeline.settings, pipeline.landing, has_cycles=cycle_ledger.has_cycles(conn))


def print_report(
    outcome: Any, title: str, platforms: list[dict[str, Any]], *, complete: bool, as_json: bool, **extra_fields: Any
) -> None:
    """How each platform fared; then the exit code."""
    if as_json:
        told = {
            "run_id": outcome.run_id,
            "success": outcome.success,
            "error": outcome.error,
            "timing": outcome.timing,
            **extra_fields,
        }
        out.print_json(json.dumps({**told, "platforms": platforms}, default=str))
    elif platforms:
        shown = [(heading, name) for heading, name in REPORT_COLUMNS if name in platforms[0]]
        print_table(
            title,
            [(heading.replace(" ", "\n"), name not in TEXT_COLUMNS) for heading, name in shown],
            [[_format_number(name, row[name]) for _, name in shown] for row in platforms],
        )
        for row in platforms:
            if why := row.get("message") or row.get("failure"):
                say(f"{row['platform']}: {why}")
    if not outcome.success:
        raise fail(outcome.error or "the run failed", EXIT_CANCELLED if outcome.cancelled else 1)
    if not complete:
        raise typer.Exit(EXIT_PARTIAL)


def _format_number(name: str, value: Any) -> Any:
    return value if not isinstance(value, float) else f"{value:.0f}" if name.endswith("ms") else f"{value:.1f}"


@app.command()
def scrape(day: DayOption = None, as_json: JsonOption = False) -> None:
    """One full cycle now: discover and capture everything, then core and mart."""
    from palimpsest_pipeline.domain.enums import RunStatus
    from palimpsest_pipeline.storage.ledger import cycle_reader

    chosen = None if day is None else parse_day(day)
    with open_pipeline(modules_to_preload=RUN_MODULES) as found:
        outcome = run_live_job(found, "full_cycle", "manual", day=chosen)
        with found.connect() as conn:
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
    """Refresh given fixtures now, all platforms at once.

    Ids that no platform is known to list are named, and the others done.
    """
    from palimpsest_pipeline.domain.enums import RunStatus

    with open_pipeline(modules_to_preload=RUN_MODULES) as found:
        outcome = run_live_job(found, "refresh", "on_demand", tuple(sr_ids))
        from palimpsest_pipeline.operate.run_job import (
            NOT_LISTED_STATUS,
            read_refresh_result,
        )  # not before `run_live_job` has settled the first day

        platforms, unknown = read_refresh_result(found, outcome.run_id, sr_ids)
        if unknown and outcome.success:
            say(
                f"no upcoming listing is known for SportRadar id {', '.join(map(str, unknown))}: run a full cycle first, or check the id"
            )
        done = all(p["status"] in (RunStatus.COMPLETED, NOT_LISTED_STATUS) for p in platforms)
        print_report(
            outcome, "Refresh", platforms, complete=done and not unknown, as_json=as_json, unknown_sr_ids=unknown
        )


@app.command()
def backfill(
    start: Annotated[
        str | None, typer.Argument(metavar="FROM", help="First UTC hour, e.g. 2026-06-26-10:00, or day.")
    ] = None,
    end: Annotated[str | None, typer.Argument(metavar="TO", help="Last UTC hour, or day, included.")] = None,
    stale: Annotated[
        bool,
        typer.Option("--stale", help="Name what is due and why, then derive it; without FROM and TO in every hour."),
    ] = False,
    again: Annotated[
        bool,
        typer.Option(
            "--again", help="Derive anew what is up to date, too: rows were changed by somebody, or are wrong."
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only name what is due.")] = False,
    jobs: Annotated[
        int,
        typer.Option(
            min=1, help="Processes that derive core at the same time: for many hours, and more than two cores."
        ),
    ] = 1,
    as_json: JsonOption = False,
) -> None:
    """Derive core and mart of past hours from what was landed.

    Hours already up to date are left alone; interrupted, it goes on when called again.
    """
    from palimpsest_pipeline.domain.instants import Clock
    from palimpsest_pipeline.operate.databases import upgrade_schema
    from palimpsest_pipeline.runtime.progress import open_terminal

    if (start is None) != (end is None) or (start is None and not stale):
        raise typer.BadParameter("give FROM and TO, or --stale for all hours")
    if again and (stale or dry_run):
        raise typer.BadParameter("--again goes without --stale and --dry-run")
    first, last = (
        (None, None)
        if start is None or end is None
        else parse_hours(start, end, Clock(load_settings().clock_offset_s).now())
    )
    with open_pipeline(modules_to_preload=RUN_MODULES) as found, open_terminal() as console:
        upgrade_schema(found)
        # Only now: the first day is read when the partitions are imported, and the upgrade of a new home folder settles
        # it.
        from palimpsest_pipeline.defs.instance import open_instance
        from palimpsest_pipeline.operate.backfill import backfill as replay
        from palimpsest_pipeline.pipeline.replay_plan import plan_hours

        close_dead_cycles(found)
        if again:
            replay.mark_due(found, plan_hours(found, first, last))
        hours = plan_hours(found, first, last)
        if stale or dry_run:
            print_due_hours(hours, stale_only=stale, as_json=as_json and dry_run, console=err if as_json else out)
        if dry_run:
            return
        with open_instance(found.settings) as instance:
            report = replay.run_backfill(found, instance, hours, console, jobs=jobs, stale_only=stale)
    if as_json:
        out.print_json(json.dumps(report.as_dict()))
    else:
        out.print(report.describe(), highlight=False, soft_wrap=True)
    if not report.is_complete:
        raise fail(report.describe_failures(), 1 if report.is_empty_handed else EXIT_PARTIAL)
    if report.empty and not stale:
        raise fail(report.describe_empty_hours(), EXIT_PARTIAL)


def print_due_hours(hours: Iterable[Any], *, stale_only: bool, as_json: bool, console: Console) -> None:
    """Each hour of a replay's plan that is due or cannot be derived, and why: as JSON on standard output, or as
    lines.
    """
    from palimpsest_pipeline.operate.backfill.backfill import list_lost_cycles

    told = {
        hour.key: (hour.why(), [gone.sentence for gone in list_lost_cycles(hour, stale_only=stale_only)])
        for hour in hours
    }
    if as_json:
        out.print_json(
            json.dumps(
                {key: {"due": why, "refused": refused} for key, (why, refused) in told.items() if why or refused}
            )
        )
        return
    for (why, refused), alike in groupby(
        told, key=lambda key: told[key]
    ):  # hours one after the other are often due for the same reason
        keys = list(alike)
        named = keys[0] if len(keys) == 1 else f"{keys[0]} to {keys[-1]}"
        for line in filter(None, (why, *refused)):
            console.print(f"{named}: {line}", highlight=False, markup=False, soft_wrap=True)
    if not any(why or refused for why, refused in told.values()):
        console.print("nothing is due", highlight=False)


def print_coverage(pipeline: Any, max_tournaments: int = 15) -> None:
    """The coverage tables of the last cycle that coverage was computed for."""
    from palimpsest_pipeline.storage.marts import mart_reader

    with pipeline.connect() as conn:
        rates, by_tournament = (
            mart_reader.read_latest_rates(conn),
            mart_reader.read_latest_tournaments(conn, max_tournaments),
        )
    if rates.is_empty():
        out.print("no coverage yet: run `palimpsest scrape`, or import payloads and backfill their hours")
        return
    as_of = rates["as_of"][0]
    columns = (
        "platform",
        "n_listings",
        "n_fixtures",
        "n_matched_fixtures",
        "n_home_only",
        "n_competitor_only",
        "n_undetermined",
    )
    also = ("fixture_match_rate", "home_covered_rate", "overall_match_rate", "completeness")
    print_frame(
        f"Match rates, upcoming fixtures as of {as_of:%Y-%m-%d %H:%M:%S} UTC",
        _format_headings(rates.select(*columns, *also)),
    )
    print_frame(f"Coverage by tournament (the {by_tournament.height} largest)", _format_headings(by_tournament))


def _format_headings(frame: Any) -> Any:
    """Column names as headings that may break over lines."""
    return frame.rename({name: name.removeprefix("n_").replace("_", " ") for name in frame.columns})


@app.command()
def coverage(as_json: JsonOption = False, csv: CsvOption = None, xlsx: XlsxOption = None) -> None:
    """Print the latest coverage and match rates.

    A CSV file holds the coverage by tournament, an Excel file both tables.
    """
    from palimpsest_pipeline.operate.databases import require_schema
    from palimpsest_pipeline.storage.marts import mart_reader

    with open_pipeline() as found:
        require_schema(found)
        if not (as_json or csv or xlsx):
            print_coverage(found)
            return
        with found.connect() as conn:
            rates, by_tournament = mart_reader.read_latest_rates(conn), mart_reader.read_latest_tournaments(conn, None)
    write_files({"coverage_tournament": by_tournament, "match_rate_platform": rates}, csv, xlsx)
    if as_json:
        out.print_json(
            json.dumps(
                {"match_rate_platform": rates.to_dicts(), "coverage_tournament": by_tournament.to_dicts()},
                default=_encode_json_value,
            )
        )


def _encode_json_value(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else float(value)


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
            help="A failure from the start, e.g. bet9ja=down or sportybet=error,share=0.3,endpoint=detail; may be repeated. "
            "Modes: outage, reset, hang, down, block, html, error, empty202, ratelimit, challenge503, redirect, bomb, huge, truncate, cut_json, "
            "latency, clock, kickoffs, page_missing, tournament_gone.",
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
    with SimulatorProcess(size=size, seed=seed, port=port) as simulator:
        for platform, fault in faults:
            simulator.set_fault(platform, **asdict(fault))
        home = load_settings().home
        if home.name != "simulated":  # where these lines were pasted it is so already
            home /= "simulated"
        out.print(f"export PALIMPSEST_HOME_DIR={shlex.quote(str(home))}", highlight=False, soft_wrap=True)
        for platform, url in simulator.base_urls.items():
            out.print(f"export PALIMPSEST_{platform.value.upper()}__BASE_URL={url}", highlight=False)
        say("paste these lines into another terminal; commands there ask the simulator")
        say(
            f'switch a failure on: curl -d \'{{"platform": "bet9ja", "mode": "down"}}\' {simulator.url}/_sim/faults; mode none switches all off'
        )
        psutil.Process(simulator.pid).wait()


@app.command()
def doctor(
    platforms: Annotated[bool, typer.Option("--platforms", help="Ask each platform's address once, too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Look for what commonly goes wrong, and say how to mend it.

    Starts nothing; exit code 1 when something is wrong.
    """
    from palimpsest_pipeline.operate.doctor import run_doctor

    findings = run_doctor(load_settings(), platforms=platforms)
    if as_json:
        out.print_json(json.dumps([f.as_dict() for f in findings]))
    else:
        for finding in findings:
            mark = "[green]ok[/]  " if finding.ok else "[red]bad[/] "
            out.print(f"{mark} {finding.name}: {escape_markup(finding.detail)}", highlight=False, soft_wrap=True)
    if not all(f.ok for f in findings):
        raise typer.Exit(1)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt  # the way of Ctrl-C: what was started is stopped on the way out


def main() -> None:
    """Entry point of the process: executes the command, and ends the process as soon as its exit functions have run.

    Python would take apart all that was loaded, object by object, which takes more than a second after a run.
    """
    exit_code = 1

    def end_process() -> None:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # nobody reads it any more
                stream.flush()
        os._exit(exit_code)

    atexit.register(end_process)  # before any other exit function is registered: it is called last
    try:
        run_command()
        exit_code = 0
    except SystemExit as ended:
        exit_code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        raise


def run_command() -> None:
    """Execute the command: a PalimpsestError becomes one line and exit code 1; Ctrl-C is 130; anything else is a bug
    and shows its traceback.
    """
    log_to_terminal()
    with suppress(SettingsError):  # the command itself says what is wrong with them
        os.umask(int(load_settings().umask, 8))
    for asked_to_end in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(asked_to_end) is signal.SIG_DFL:  # what `nohup` has it ignore stays ignored
            signal.signal(asked_to_end, _interrupt)
    try:
        try:
            app()
        finally:  # a Ctrl-C from here on must not change the exit code
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
    except KeyboardInterrupt:
        raise SystemExit(EXIT_CANCELLED) from None
    except Exception as error:
        message = str(error) if isinstance(error, PalimpsestError) else _explain_loss(error)
        if message is None:
            raise
        raise SystemExit(fail(_redact_secrets(message)).exit_code) from None


def _redact_secrets(message: str) -> str:
    """Return `message` without what the settings keep secret: what failed may repeat what it was given."""
    from palimpsest_pipeline.domain.secrets import list_store_secrets, redact

    try:
        secrets = load_settings().list_secrets()
    except SettingsError:
        secrets = list_store_secrets(os.environ)
    return redact(message, *secrets)


def _explain_loss(error: Exception) -> str | None:
    """Return a message for the user when the database was lost or a disk is full; None for any other error."""
    from palimpsest_pipeline.storage.db.connection import explain_loss

    return explain_loss(error)


if __name__ == "__main__":
    main()
