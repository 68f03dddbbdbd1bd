"""What a backfill costs beside our own work: the same hours by plain calls, by `palimpsest backfill`, and by Dagster's
daemon as the UI asks it.

Own work is what the bodies of the assets and checks do, called one after the other in this process; overhead is all the
rest of the other two: their start, Dagster's events and its queue. Beside seconds by the clock it counts seconds of a
core, none of Postgres: they are nearly equal on a machine that has other work to do. Small cycles of a simulated world,
on a Postgres of its own.
"""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Annotated, Any, Final

import dagster as dg
import psutil
import psycopg
import typer
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from rich.table import Table

from palimpsest_pipeline.definitions import defs
from palimpsest_pipeline.defs.instance import STORAGE_URL_VARIABLE, build_storage_url, open_instance
from palimpsest_pipeline.defs.partitions import format_day_key
from palimpsest_pipeline.domain.instants import floor_to_hour, format_hour_key
from palimpsest_pipeline.operate.databases import upgrade_schema
from palimpsest_pipeline.operate.serve.restart_services import ChildProcesses, build_commands
from palimpsest_pipeline.operate.serve.service_record import CODE_SERVER, DAEMON
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.replay_plan import plan_hours
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.runtime.processes import stop_process_tree
from palimpsest_pipeline.settings import Settings, load_settings
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline_tests.fixtures.landed import land_cycle
from palimpsest_pipeline_tests.fixtures.postgres import create_database

JOB: Final = "replay"
SETTLE_S: Final = 1.5
"""Postgres counts a session of another process within a second of its end."""
UNTIL_UP_S: Final = 300.0
USED_SQL: Final = "select sessions, xact_commit + xact_rollback from pg_stat_database where datname = %s"
QUICK: Final = {
    "min_gap_s": 0,
    "jitter_s": 0,
    "max_in_flight": 16,
    "max_attempts": 2,
    "backoff_max_s": 0,
}


@dataclass(frozen=True)
class World:
    """A landing with a cycle in each of `hours`, and a database that knows of them and holds nothing derived."""

    server: EmbeddedPostgres
    folder: Path
    hours: list[datetime]

    @property
    def days(self) -> list[str]:
        """Keys of the days of the hours, in order."""
        return sorted({format_day_key(hour.date()) for hour in self.hours})

    def ask(self, query: str, *values: Any, database: str = "postgres") -> list[tuple[Any, ...]]:
        with psycopg.connect(self.server.build_url(database).replace("+psycopg", ""), autocommit=True) as conn:
            return conn.execute(query, values).fetchall()

    def fresh(self, name: str) -> Settings:
        """Settings of a home of its own on a copy of the database."""
        with psycopg.connect(self.server.build_url("postgres").replace("+psycopg", ""), autocommit=True) as conn:
            conn.execute(f"create database {name} template landed")
        create_database(self.server, f"{name}_dagster")
        (self.folder / name).mkdir()
        urls = {
            "database_url": self.server.build_url(name),
            "dagster_database_url": self.server.build_url(f"{name}_dagster"),
        }
        shared = {f"{what}_url": str(self.folder / "home" / what) for what in ("landing", "export")}
        return load_settings(home_dir=self.folder / name, **shared, **urls)

    def used(self, name: str) -> tuple[int, int]:
        """Connections to Dagster's storage so far, and transactions on them: nearly each statement is one."""
        time.sleep(SETTLE_S)
        ((connections, transactions),) = self.ask(USED_SQL, f"{name}_dagster")
        return int(connections), int(transactions)


class Way(StrEnum):
    """How it is launched."""

    COMMAND = "command"
    DAEMON = "daemon"


@dataclass(frozen=True)
class Took:
    """Seconds by the clock, and of a core."""

    wall_s: float
    cpu_s: float


@dataclass(frozen=True)
class Launched:
    """What a way of launching it took.

    `idle_cpu_s` of its seconds of a core its processes would have taken with nothing to do.
    """

    took: Took
    idle_cpu_s: float
    connections: int
    transactions: int
    runs: int
    events: int


def measure(
    hours: Annotated[int, typer.Option(min=2, help="Hours; 720 are thirty days.")] = 72,
    cycles_per_hour: Annotated[int, typer.Option(min=1, max=60, help="Cycles in each hour.")] = 1,
    fixtures: Annotated[int, typer.Option(min=10, help="Fixtures of the simulated world.")] = 12,
    seed: Annotated[int, typer.Option(help="Chooses the simulated world.")] = 5,
    way: Annotated[Way | None, typer.Option(help="Only this way of launching it.")] = None,
    idle_s: Annotated[
        float, typer.Option(min=1, help="Seconds that an idle daemon is watched, after as many in which it comes up.")
    ] = 30.0,
) -> dict[str, Any]:
    """Lands the hours, then derives them by hand and in each of the two ways, each on a copy of the same database."""
    load = os.getloadavg()[0]
    with landed(hours, cycles_per_hour, fixtures, seed) as world:
        own = by_hand(world)
        ways = {
            name: by_command(world) if name is Way.COMMAND else by_daemon(world, idle_s)
            for name in Way
            if way in (None, name)
        }
    return {
        "hours": hours,
        "cycles": hours * cycles_per_hour,
        "fixtures": fixtures,
        "own_s": own.wall_s,
        "own_cpu_s": own.cpu_s,
        "ways": {
            name.value: {
                "wall_s": found.took.wall_s,
                "overhead_s": found.took.wall_s - own.wall_s,
                "overhead_ratio": (found.took.wall_s - own.wall_s) / own.wall_s,
                "cpu_s": found.took.cpu_s,
                "idle_cpu_s": found.idle_cpu_s,
                "overhead_cpu_s": found.took.cpu_s - own.cpu_s,
                "overhead_cpu_s_per_hour": (found.took.cpu_s - own.cpu_s) / hours,
                "s_per_hour": found.took.wall_s / hours,
                "connections_per_hour": found.connections / hours,
                "transactions_per_hour": found.transactions / hours,
                "runs": found.runs,
                "events_per_hour": found.events / hours,
            }
            for name, found in ways.items()
        },
        "box": {"cores": os.cpu_count(), "load_before": load, "load_after": os.getloadavg()[0]},
    }


@contextmanager
def landed(hours: int, cycles_per_hour: int, fixtures: int, seed: int) -> Iterator[World]:
    """The world; everything of it is gone at the end."""
    with TemporaryDirectory(prefix="palimpsest-backfill-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # as root the server's user must pass through
        server = EmbeddedPostgres(folder / "postgres", databases=("landed",), durable=False)
        server.start()
        try:
            end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
            step = timedelta(hours=1) / cycles_per_hour
            instants = [end - timedelta(hours=hours) + (n + 0.5) * step for n in range(hours * cycles_per_hour)]
            with SimulatorProcess(fixtures, seed, epoch=instants[0] - timedelta(hours=1)) as simulator:
                platforms = {p: {"base_url": url, **QUICK} for p, url in simulator.base_urls.items()}
                own = {
                    "home_dir": folder / "home",
                    "database_url": server.build_url("landed"),
                    "dagster_database_url": "postgresql://unused/dagster",
                }
                upgrade_schema(Pipeline(load_settings(**own)))
                for at in instants:
                    offset_s = (at - datetime.now(UTC)).total_seconds()
                    simulator.set_clock(offset_s)
                    land_cycle(Pipeline(load_settings(**own, platform=platforms, clock_offset_s=offset_s)))
            yield World(server, folder, sorted({floor_to_hour(at) for at in instants}))
        finally:
            server.remove()


def by_hand(world: World) -> Took:
    """What the bodies of assets and checks take, day by day as runs have them."""
    pipeline = Pipeline(world.fresh("by_hand"))
    job = defs.resolve_job_def(JOB)
    log = SimpleNamespace(info=lambda *_: None, warning=lambda *_: None)
    run = dg.DagsterRun(JOB, run_id="by hand")
    began, cpu_s = time.monotonic(), time.process_time()
    for key in world.days:
        for node in job.nodes_in_topological_order:
            context = SimpleNamespace(
                partition_key=key,
                asset_key=dg.AssetKey(node.definition.name.split("__")),
                run=run,
                job_def=job,
                log=log,
            )
            result = node.definition.compute_fn.decorated_fn(context, pipeline)
            if isinstance(result, Iterator):
                list(result)
    took = Took(time.monotonic() - began, time.process_time() - cpu_s)
    require_all_derived(pipeline, world)
    return took


def by_command(world: World) -> Launched:
    settings = world.fresh("by_command")
    open_instance(settings).dispose()  # its tables are made once, not by a backfill
    words = ["backfill", format_hour_key(world.hours[0]), format_hour_key(world.hours[-1]), "--json"]
    before, cpu_s, began = world.used("by_command"), of_ended_children(), time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "palimpsest_pipeline.cli", *words],
        env=environment(settings),
        check=True,
        stdout=subprocess.DEVNULL,
    )
    took = Took(time.monotonic() - began, of_ended_children() - cpu_s)
    require_all_derived(Pipeline(settings), world)
    return counted(world, "by_command", took, before)


def of_ended_children() -> float:
    """Seconds of a core that processes took which this one has waited for, and theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def by_daemon(world: World, idle_s: float) -> Launched:
    """From the request, which the UI writes as it is written here, until the daemon calls it done.

    Daemon and code server are up before.
    """
    settings = world.fresh("by_daemon")
    with (
        open_instance(settings) as instance,
        run_children(settings, DAEMON, lambda: "BACKFILL" in instance.get_daemon_heartbeats()) as processes,
    ):
        time.sleep(idle_s)  # its first ticks are past
        idle = -of_trees(processes)
        time.sleep(idle_s)
        idle = (idle + of_trees(processes)) / idle_s
        before, cpu_s, began = world.used("by_daemon"), of_trees(processes), time.monotonic()
        instance.add_backfill(
            PartitionBackfill.from_asset_partitions(
                backfill_id="measured",
                asset_graph=defs.get_repository_def().asset_graph,
                partition_names=world.days,
                asset_selection=sorted(defs.resolve_job_def(JOB).asset_layer.executable_asset_keys),
                backfill_timestamp=time.time(),
                tags={},
                dynamic_partitions_store=instance,
                all_partitions=False,
                title=None,
                description=None,
                run_config=None,
            )
        )
        while (status := instance.get_backfill("measured").status) is BulkActionStatus.REQUESTED:
            time.sleep(0.5)
        took = Took(time.monotonic() - began, of_trees(processes) - cpu_s)
    if status is not BulkActionStatus.COMPLETED_SUCCESS:
        raise RuntimeError(f"the backfill ended as {status.value}")
    require_all_derived(Pipeline(settings), world)
    return counted(world, "by_daemon", took, before, idle * took.wall_s)


def of_trees(processes: list[psutil.Process]) -> float:
    """Seconds of a core that the processes and all below them took so far, those that have ended included."""
    used = 0.0
    for each in [family for process in processes for family in (process, *process.children(recursive=True))]:
        with suppress(psutil.NoSuchProcess):
            times = each.cpu_times()
            used += times.user + times.system + times.children_user + times.children_system
    return used


@contextmanager
def run_children(
    settings: Settings, name: str, is_up: Callable[[], bool], port: int = 0
) -> Iterator[list[psutil.Process]]:
    """Start the code server and the child of that name as `palimpsest up` starts them, wait until it is up, and stop
    both at the end.

    A daemon that is given a module instead of a code server starts a code server anew each minute.
    """
    home = settings.home
    chosen = {each: command for each, command in build_commands(home, port).items() if each in (CODE_SERVER, name)}
    both = ChildProcesses(home, home, chosen, environment(settings), home, print)
    started = both.start_due()
    try:
        deadline = time.monotonic() + UNTIL_UP_S
        while not is_up():
            if not all(each.find() for each in started.values()) or time.monotonic() > deadline:
                raise RuntimeError(f"the {name} did not come up: {both.describe_logs()}")
            time.sleep(0.5)
        yield [psutil.Process(each.pid) for each in started.values()]
    finally:
        for each in (started[name], started[CODE_SERVER]):
            stop_process_tree(each)


def environment(settings: Settings) -> dict[str, str]:
    """Of a process with these settings and no others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PALIMPSEST_", "DAGSTER_"))}
    return {
        **kept,
        **settings.to_environment(),
        STORAGE_URL_VARIABLE: build_storage_url(settings),
        "DAGSTER_HOME": str(settings.dagster_home),
    }


def counted(world: World, name: str, took: Took, before: tuple[int, int], idle_cpu_s: float = 0.0) -> Launched:
    ((runs,),) = world.ask("select count(*) from runs", database=f"{name}_dagster")
    ((events,),) = world.ask("select count(*) from event_logs", database=f"{name}_dagster")
    connections, transactions = (now - then for now, then in zip(world.used(name), before, strict=True))
    return Launched(took, idle_cpu_s, connections, transactions, runs, events)


def require_all_derived(pipeline: Pipeline, world: World) -> None:
    """Raises RuntimeError when something of the hours is due: what was measured would not be the work."""
    due = [hour.key for hour in plan_hours(pipeline, world.hours[0], world.hours[-1]) if hour.due]
    if due:
        raise RuntimeError(f"{len(due)} hours are not derived, {due[0]} the first of them")


def table(found: dict[str, Any]) -> Table:
    """A row per way of launching."""
    box = found["box"]
    caption = (
        f"Our own work {found['own_s']:.1f} s, of a core {found['own_cpu_s']:.1f} s: {found['own_cpu_s'] / found['hours']:.2f} s an hour. "
        f"The box: {box['cores']} cores, load {box['load_before']:.1f} before and {box['load_after']:.1f} after."
    )
    title = f"{found['hours']} hours, {found['cycles']} cycles of {found['fixtures']} fixtures"
    shown = Table(title=title, title_justify="left", caption=caption, caption_justify="left")
    shown.add_column("way")
    for heading in (
        *("wall s", "overhead s", "overhead to own", "core s", "when idle", "overhead core s an hour"),
        *("s an hour", "connections an hour", "transactions an hour", "events an hour", "runs"),
    ):
        shown.add_column(heading, justify="right")
    for name, way in found["ways"].items():
        figures = (
            *("wall_s", "overhead_s", "overhead_ratio", "cpu_s", "idle_cpu_s", "overhead_cpu_s_per_hour"),
            *("s_per_hour", "connections_per_hour", "transactions_per_hour", "events_per_hour"),
        )
        shown.add_row(name, *(f"{way[figure]:,.2f}" for figure in figures), str(way["runs"]))
    return shown
