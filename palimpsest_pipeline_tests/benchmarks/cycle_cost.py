"""What a cycle costs: growth of Postgres, WAL and dead rows, of a first cycle, one in which 5 % of the markets changed,
and one in which none did.

Cycles are `palimpsest scrape` commands against the simulator, with payloads of real size, on two servers of their own:
ours and Dagster's. Half an hour lies between two cycles; here it is over at once: after each cycle the tables are
vacuumed that autovacuum would vacuum, and a checkpoint is written. What that frees or costs counts to the cycle. Beside
it: seconds of the command outside its requests and rows, its peak memory, and how long a platform that is down keeps
the others waiting.
"""

import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import mean, median
from tempfile import NamedTemporaryFile, TemporaryDirectory
from typing import Annotated, Any, Final

import typer

from palimpsest_pipeline.cli.console import EXIT_PARTIAL
from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.simulator.request_log import RequestLine
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline_tests.fixtures.commands import PALIMPSEST, environment
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, PLATFORMS

from ._postgres_cost import MeasuredServer, Size, Wal, Written, start_measured_server
from ._scrape_bench import make_settings

SIZES: Final = (300, 1000)
MARKS: Final = (1, 10, 50)
"""After so many cycles two are measured: one in which 5 % of the markets changed, then one in which nothing did.

All others are of the first kind.
"""
MARKS_OF_OTHER_WORLDS: Final = MARKS[:2]
"""Of worlds other than the smallest, whose cycles take longer."""
FIRST, CHANGED, IDLE = "first", "5pct", "idle"
CHANGED_SHARE: Final = 0.05
SMOOTHED_CYCLES: Final = 5
"""Later cycles are told by the mean of so many: a table is vacuumed after some cycles and not after others."""
UNTIL_FIRST_KICKOFF: Final = timedelta(hours=12)
"""No match begins while the cycles go on."""
BEGIN_OF_DAY: Final = timedelta(minutes=5)
"""The pipeline's clock at the first cycle: at midnight a day of history begins, which writes every market again."""
DOWN: Final = BET9JA
"""The platform that answers 500."""
TABLE_FIGURES: Final = ("heap_mb", "indexes_mb", "toast_mb", "written_rows", "written_mb", "dead_rows")
# Linux reports a process's peak as no less than the peak of the process that started it. This small process starts the
# command, so that the benchmark's own memory does not count.
MEASURE_PEAK: Final = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[2:])
with open(sys.argv[1], "w") as file:
    file.write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(code)
"""


@dataclass(frozen=True)
class Command:
    """One `palimpsest scrape`: when it began and ended (Unix seconds), the requests that the simulator saw, and the peak
    memory of its largest process in megabytes.
    """

    began_at: float
    ended_at: float
    requests: Sequence[RequestLine]
    peak_mb: float

    @property
    def first_request_at(self) -> float:
        return min(request.arrived_at for request in self.requests)

    @property
    def last_answer_at(self) -> float:
        return max(request.sent_at for request in self.requests if request.sent_at is not None)

    def first_detail_s(self, platforms: Iterable[Platform]) -> float:
        """Return the seconds from the first request to the first one for odds of these platforms."""
        names = set(platforms)
        details = [
            request.arrived_at
            for request in self.requests
            if request.endpoint == "detail" and request.platform in names
        ]
        return min(details) - self.first_request_at


@dataclass(frozen=True)
class ServerCost:
    """What a cycle cost on one server.

    `growth` and `dead` by table; dead rows are those that the cycle left, before any is vacuumed.
    """

    growth: Mapping[str, Size]
    wal: Wal
    written: Mapping[str, Written]
    dead: Mapping[str, int]
    vacuumed: Sequence[str]

    @property
    def growth_bytes(self) -> int:
        return sum(size.bytes for size in self.growth.values())

    @property
    def written_bytes(self) -> int:
        return sum(table.bytes for table in self.written.values())


@dataclass(frozen=True)
class Cycle:
    """One cycle: its number from 1, what changed before it (FIRST, CHANGED, IDLE), and what it cost."""

    number: int
    kind: str
    command: Command
    ours: ServerCost
    dagster: ServerCost

    @property
    def marts_committed_at(self) -> float:
        """When the last row of a mart was committed, in Unix seconds."""
        return max(
            table.committed_at.timestamp() for name, table in self.ours.written.items() if name.startswith("mart.")
        )

    @property
    def tail_s(self) -> float:
        """Seconds of the command before its first request and after the last row of a mart."""
        return self.command.ended_at - self.command.began_at - (self.marts_committed_at - self.command.first_request_at)

    @property
    def answer_to_marts_s(self) -> float:
        """Seconds from the last answer until the last row of a mart is committed."""
        return self.marts_committed_at - self.command.last_answer_at


def run_measured(command: Sequence[str], folder: Path, variables: Mapping[str, str]) -> float:
    """Run a command and return the peak memory of its largest process in megabytes.

    Raises RuntimeError with the end of its output when it fails.
    """
    with NamedTemporaryFile("r") as peak_file:
        ended = subprocess.run(
            [sys.executable, "-S", "-c", MEASURE_PEAK, peak_file.name, *command],
            cwd=folder,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode not in (0, EXIT_PARTIAL):
            raise RuntimeError(
                f"{' '.join(command)} ended with {ended.returncode}:\n{ended.stderr[-2000:]}{ended.stdout[-2000:]}"
            )
        return int(peak_file.read()) * 1024 / 1e6


class World:
    """A simulated world, a home that scrapes it, and the two servers that the home writes to."""

    def __init__(
        self, folder: Path, simulator: SimulatorProcess, servers: Mapping[str, MeasuredServer], clock_offset_s: float
    ) -> None:
        self._folder = folder
        self._simulator = simulator
        self._servers = servers
        settings = make_settings(simulator.base_urls) | {
            "PALIMPSEST_DATABASE_URL": servers["ours"].url,
            "PALIMPSEST_DAGSTER_DATABASE_URL": servers["dagster"].url,
            "PALIMPSEST_CLOCK_OFFSET_S": str(clock_offset_s),
        }
        self._environment = environment(folder, **settings)
        self._palimpsest("db", "upgrade")
        self._sizes = self._settle()

    def run_cycle(self, number: int, kind: str) -> Cycle:
        """Move prices as `kind` says, run the cycle, and measure it."""
        if kind == CHANGED:
            self._simulator.move_prices(CHANGED_SHARE)
        begin = {name: server.mark() for name, server in self._servers.items()}
        command = self.run_command()
        for server in self._servers.values():
            server.wait_until_alone()
        written = {name: server.read_written(begin[name]) for name, server in self._servers.items()}
        dead = {
            name: {table: size.dead for table, size in server.read_sizes().items()}
            for name, server in self._servers.items()
        }
        vacuumed = {name: server.vacuum_due() for name, server in self._servers.items()}
        wal = {name: server.read_wal(begin[name]) for name, server in self._servers.items()}
        before, self._sizes = self._sizes, {name: server.read_sizes() for name, server in self._servers.items()}
        costs = {
            name: ServerCost(
                compare_sizes(before[name], self._sizes[name]),
                wal[name],
                written[name],
                {
                    table: max(0, n - before[name][table].dead if table in before[name] else n)
                    for table, n in dead[name].items()
                },
                vacuumed[name],
            )
            for name in self._servers
        }
        return Cycle(number, kind, command, costs["ours"], costs["dagster"])

    def run_command(self) -> Command:
        """Run one `palimpsest scrape`."""
        self._simulator.clear_log()
        began_at = time.time()
        peak_mb = self._palimpsest("scrape", "--json")
        return Command(began_at, time.time(), self._simulator.list_requests(), peak_mb)

    def delay_by_dead_platform(self) -> tuple[float, float]:
        """Return the seconds to the others' first request for odds while one platform answers 500, and while none
        does.
        """
        others = [platform for platform in PLATFORMS if platform is not DOWN]
        healthy_s = self.run_command().first_detail_s(others)
        self._simulator.set_fault(DOWN, "error")
        return self.run_command().first_detail_s(others), healthy_s

    def _settle(self) -> dict[str, dict[str, Size]]:
        for server in self._servers.values():
            server.wait_until_alone()
            server.vacuum_due()
        return {name: server.read_sizes() for name, server in self._servers.items()}

    def _palimpsest(self, *words: str) -> float:
        """Run a command and return the peak memory of its largest process in megabytes."""
        return run_measured([*PALIMPSEST, *words], self._folder, self._environment)


@contextmanager
def start_world(fixtures: int, seed: int) -> Iterator[World]:
    """A world that stands still, and a fresh home that has not scraped it; all of it is gone after the block."""
    now = datetime.now(UTC)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    offset = today + BEGIN_OF_DAY - now
    with TemporaryDirectory(prefix="palimpsest-cycle-cost-") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o711)  # as root the server's user must pass through
        servers = {
            "ours": stack.enter_context(start_measured_server(folder / "postgres", "ours")),
            "dagster": stack.enter_context(start_measured_server(folder / "postgres_of_dagster", "dagster")),
        }
        epoch = now + offset + UNTIL_FIRST_KICKOFF
        simulator = stack.enter_context(
            SimulatorProcess(fixtures, seed, epoch=epoch, clock_offset_s=offset.total_seconds(), bodies="real")
        )
        simulator.set_clock(offset.total_seconds(), stopped=True)
        yield World(folder, simulator, servers, offset.total_seconds())


def measure(
    fixtures: Annotated[
        list[int] | None,
        typer.Option(min=20, help="Fixtures of a world; may be given several times. Default: 300, 1000."),
    ] = None,
    cycles: Annotated[
        int, typer.Option(min=3, help="Cycles at most: after 1, 10 and 50 of them two are measured.")
    ] = MARKS[-1] + 2,
    seed: Annotated[int, typer.Option(help="Chooses the simulated worlds.")] = 7,
) -> dict[str, Any]:
    """Figures in megabytes (10^6 bytes) and seconds. Takes about an hour at the real sizes."""
    sizes = sorted(set(fixtures or SIZES))
    load = os.getloadavg()
    report: dict[str, Any] = {}
    worlds: dict[str, Any] = {}
    for size in sizes:
        marks = [mark for mark in (MARKS if size == sizes[0] else MARKS_OF_OTHER_WORLDS) if mark + 2 <= cycles]
        with start_world(size, seed) as world:
            run = [world.run_cycle(number, kind) for number, kind in enumerate(plan_kinds(marks), start=1)]
            if size == sizes[0]:
                down_s, healthy_s = world.delay_by_dead_platform()
        report |= name_growth(run, marks, size)
        worlds[str(size)] = describe_world(run, marks)
        report[f"answer_to_marts_s_{size}"] = median(cycle.answer_to_marts_s for cycle in run)
        report[f"peak_mb_{size}"] = max(cycle.command.peak_mb for cycle in run)
        if size == sizes[0]:
            report |= {
                "wal_ratio_5pct": run[1].ours.wal.records / run[1].ours.written_bytes,
                f"tail_s_{size}": median(cycle.tail_s for cycle in run),
                "dead_platform_delay_s": down_s - healthy_s,
                "first_detail_s": {"healthy": healthy_s, "dead_platform": down_s},
            }
    box = {"cores": os.cpu_count(), "load_before": load[0], "load_after": os.getloadavg()[0]}
    return {**report, "worlds": worlds, "box": box}


def plan_kinds(marks: Sequence[int]) -> list[str]:
    """Return what changes before each cycle up to the last two that are measured."""
    idle = {mark + 2 for mark in marks}
    return [FIRST, *(IDLE if number in idle else CHANGED for number in range(2, marks[-1] + 3))]


def compare_sizes(before: Mapping[str, Size], after: Mapping[str, Size]) -> dict[str, Size]:
    """Return by how much each table has grown; its dead rows are those after."""
    nothing = Size(0, 0, 0, 0)
    return {
        name: Size(size.heap - old.heap, size.indexes - old.indexes, size.toast - old.toast, size.dead)
        for name, size in after.items()
        for old in [before.get(name, nothing)]
    }


def name_growth(run: Sequence[Cycle], marks: Sequence[int], size: int) -> dict[str, float]:
    """Return the growth of the first cycle, of those after the first mark, and after later marks the mean of the
    cycles before them.
    """
    growth = {f"growth_first_mb_{size}": run[0].ours.growth_bytes / 1e6}
    for mark in marks:
        at = "" if mark == marks[0] else f"_at_{mark}"
        changed, idle = measured_cycles(run, mark)
        growth[f"growth_5pct_mb_{size}{at}"] = mean(cycle.ours.growth_bytes for cycle in changed) / 1e6
        growth[f"growth_idle_mb_{size}{at}"] = idle.ours.growth_bytes / 1e6
    return growth


def measured_cycles(run: Sequence[Cycle], mark: int) -> tuple[list[Cycle], Cycle]:
    """Return the cycles with changes that tell how things stand at a mark, and the idle one after them."""
    changed = [cycle for cycle in run[: mark + 1] if cycle.kind == CHANGED]
    return changed[-SMOOTHED_CYCLES:], run[mark + 1]


def describe_world(run: Sequence[Cycle], marks: Sequence[int]) -> dict[str, Any]:
    """Return each cycle's figures, and those of each table for the cycles after a mark."""
    tables = {FIRST: describe_tables([run[0]])}
    for mark in marks:
        changed, idle = measured_cycles(run, mark)
        tables |= {f"{CHANGED}_at_{mark}": describe_tables(changed), f"{IDLE}_at_{mark}": describe_tables([idle])}
    return {"cycles": [describe_cycle(cycle) for cycle in run], "tables": tables}


def describe_cycle(cycle: Cycle) -> dict[str, Any]:
    """Return one cycle's figures over all tables."""
    ours, dagster = cycle.ours, cycle.dagster
    return {
        "number": cycle.number,
        "kind": cycle.kind,
        "growth_mb": ours.growth_bytes / 1e6,
        "wal_mb": ours.wal.records / 1e6,
        "wal_page_images_mb": ours.wal.page_images / 1e6,
        "written_rows": sum(table.rows for table in ours.written.values()),
        "written_mb": ours.written_bytes / 1e6,
        "dead_rows": sum(ours.dead.values()),
        "vacuumed": list(ours.vacuumed),
        "dagster_growth_mb": dagster.growth_bytes / 1e6,
        "dagster_wal_mb": dagster.wal.records / 1e6,
        "command_s": cycle.command.ended_at - cycle.command.began_at,
        "tail_s": cycle.tail_s,
        "answer_to_marts_s": cycle.answer_to_marts_s,
        "until_first_request_s": cycle.command.first_request_at - cycle.command.began_at,
        "peak_mb": cycle.command.peak_mb,
        "requests": len(cycle.command.requests),
    }


def describe_tables(cycles: Sequence[Cycle]) -> dict[str, dict[str, float]]:
    """Return the mean over the cycles of each table's growth (megabytes), written rows and dead rows; tables without
    any are left out.
    """
    sums: dict[str, dict[str, float]] = defaultdict(lambda: dict.fromkeys(TABLE_FIGURES, 0.0))
    for cycle in cycles:
        for prefix, cost in (("", cycle.ours), ("dagster:", cycle.dagster)):
            for name, size in cost.growth.items():
                figures = {
                    "heap_mb": size.heap / 1e6,
                    "indexes_mb": size.indexes / 1e6,
                    "toast_mb": size.toast / 1e6,
                    "dead_rows": cost.dead[name],
                }
                if name in cost.written:
                    figures |= {"written_rows": cost.written[name].rows, "written_mb": cost.written[name].bytes / 1e6}
                if any(figures.values()):
                    add_figures(sums[prefix + name], figures, len(cycles))
    return dict(sorted(sums.items(), key=lambda item: -grown_mb(item[1])))


def add_figures(figures: dict[str, float], others: Mapping[str, float], divisor: int) -> None:
    """Add other figures, each divided by `divisor`, to the figures of the same names."""
    for name, value in others.items():
        figures[name] += value / divisor


def grown_mb(figures: Mapping[str, float]) -> float:
    """Return the growth of a table of `describe_tables`."""
    return figures["heap_mb"] + figures["indexes_mb"] + figures["toast_mb"]
