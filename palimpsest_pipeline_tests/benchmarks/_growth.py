"""How a cycle grows with the number of platforms: its capture, its cost, and a whole `palimpsest scrape`.

All packs come first, then further countries of them. For each number of platforms the first run is not counted,
because the simulator renders and caches the answers of some sites during it.
"""

import json
import os
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import psutil
import psycopg

from palimpsest_pipeline.cli.console import EXIT_PARTIAL
from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.platforms.packs import load_packs
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline_tests.fixtures.commands import PALIMPSEST, environment
from palimpsest_pipeline_tests.fixtures.platforms import PLATFORMS
from palimpsest_pipeline_tests.fixtures.postgres import run_server

from ._scrape_bench import Bench, Run, make_settings, percentile, start_simulator

LATER_PACKS: Final = ("msport", "betway", "betika", "sportpesa")
PACKS_WITH_COUNTRIES: Final = ("betpawa", "sportybet", "msport", "betway")
CPU_FACTOR: Final = 1.25
"""A cycle may take this many times its own CPU seconds, where that is longer than the floor."""
POLL_S: Final = 0.2
CORE_STEPS: Final = ("core__",)
MART_STEPS: Final = ("mart__", "present_prices", "coverage")
"""How the names of the steps begin that derive each layer and check it; a step of several tables has its own name."""
STEPS_SQL: Final = """
    select step_key, max(timestamp) filter (where dagster_event_type in ('STEP_SUCCESS', 'STEP_FAILURE'))
        - min(timestamp) filter (where dagster_event_type = 'STEP_START')
    from event_logs where run_id = %s and step_key is not null group by 1
"""
PRICES_SQL: Final = "select coalesce(sum(n_prices), 0) from core.captures where cycle_id = %s"


def list_platforms(n: int) -> tuple[Platform, ...]:
    """Return `n` platforms: the three of the simulated world, the other packs, then countries of packs in turn.

    Raises ValueError when there are fewer.
    """
    packs = load_packs().packs
    countries = [[key for key in packs[name].countries if key != name] for name in PACKS_WITH_COUNTRIES]
    in_turn = [key for keys in zip_longest(*countries) for key in keys if key is not None]
    known = [*PLATFORMS, *map(Platform, LATER_PACKS), *in_turn]
    if n > len(known):
        raise ValueError(f"there are {len(known)} platforms, not {n}")
    return tuple(known[:n])


def measure_growth(numbers: Sequence[int], fixtures: int, scale: float, rounds: int, seed: int) -> dict[str, Any]:
    """Return the figures by number of platforms. Times are in seconds unless the name has another unit."""
    load = os.getloadavg()
    growth = {}
    for n in sorted(set(numbers)):
        platforms = list_platforms(n)
        with start_simulator(fixtures, scale, seed, platforms) as simulator:
            capture = measure_capture(Bench(simulator, scale), rounds)
            growth[str(n)] = {"names": list(platforms), **capture, "cycle": measure_cycle(simulator, scale)}
    box = {"cores": os.cpu_count(), "load_before": load[0], "load_after": os.getloadavg()[0]}
    return {"growth": growth, "fixtures": fixtures, "scale": scale, "rounds": rounds, "box": box}


def measure_capture(bench: Bench, rounds: int) -> dict[str, Any]:
    """Return the figures of the run with the median wall time, after a first run that is not counted."""
    bench.run("capture", bench.targets)
    runs = sorted((bench.run("capture", bench.targets) for _ in range(rounds)), key=lambda run: run.wall_s)
    return describe_capture(bench, runs[len(runs) // 2])


def describe_capture(bench: Bench, run: Run) -> dict[str, Any]:
    """Return the figures of one run."""
    usage, n_requests = run.fetched.usage, run.fetched.requests
    floor_s, cpu_s = max(run.floors_s.values()), usage.cpu_s
    skew_ms, drawn_ms = (percentile(one, 95) for one in (bench.skews_ms(run.fetched.landed), bench.drawn_ms(run.log)))
    return {
        "fixtures": len(bench.targets),
        "listings": len(bench.fixtures),
        "requests": n_requests,
        "failed": n_requests - len(run.fetched.landed),
        "discovery_s": bench.discovery.wall_s,
        "wall_s": run.wall_s,
        "floor_s": floor_s,
        "floors_s": run.floors_s,
        "cpu_s": cpu_s,
        "wall_ratio": run.wall_s / max(floor_s, CPU_FACTOR * cpu_s),
        "skew_p95_ms": skew_ms,
        "drawn_p95_ms": drawn_ms,
        "skew_p95_ratio": skew_ms / drawn_ms if drawn_ms else 0.0,
        "cpu_ms_per_request": cpu_s * 1000 / n_requests,
        "cpu_ms_per_mb": cpu_s * 1000 / run.fetched.mb,
        "mb_per_request": run.fetched.mb / n_requests,
        "peak_rss_mb": run.fetched.peak_rss_mb,
        "peak_rss_kb_per_request": run.fetched.peak_rss_mb * 1000 / n_requests,
        "idle_share": usage.idle_share,
        "simulator_cpu_share": run.simulator_cpu_s / run.wall_s,
    }


@dataclass
class PeakMemory:
    """The peak memory of a process and its children without Postgres, in millions of bytes."""

    pid: int
    mb: float = 0.0
    _ended: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        while not self._ended.wait(POLL_S):
            self.mb = max(self.mb, self._read())

    def _read(self) -> float:
        total = 0
        try:
            root = psutil.Process(self.pid)
            for process in (root, *root.children(recursive=True)):
                try:
                    total += 0 if process.name().startswith("postgres") else process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
        except psutil.NoSuchProcess:
            return 0.0
        return total / 1e6

    def stop(self) -> None:
        self._ended.set()


def measure_cycle(simulator: SimulatorProcess, scale: float) -> dict[str, Any]:
    """Return the figures of one `palimpsest scrape` in a fresh home, from its start to its end."""
    with TemporaryDirectory(prefix="palimpsest-growth-") as name, ExitStack() as stack:
        folder = Path(name)
        server = stack.enter_context(run_server(folder, "ours", "dagster"))
        settings = make_settings(simulator.base_urls, scale)
        settings |= {
            "PALIMPSEST_DATABASE_URL": server.build_url("ours"),
            "PALIMPSEST_DAGSTER_DATABASE_URL": server.build_url("dagster"),
        }
        own = environment(folder, **settings)
        run_command(["db", "upgrade"], folder, own)
        began = time.monotonic()
        printed, peak_mb, cpu_s = run_command(["scrape", "--json"], folder, own)
        wall_s = time.monotonic() - began
        report = json.loads(printed)
        with psycopg.connect(server.build_libpq_url("dagster")) as conn:
            steps_s = {
                step: span.total_seconds()
                for step, span in conn.execute(STEPS_SQL, [report["run_id"]])
                if span is not None
            }
        with psycopg.connect(server.build_libpq_url("ours")) as conn:
            ((n_prices,),) = conn.execute(PRICES_SQL, [report["cycle_id"]]).fetchall()
    core_s, mart_s = (sum(s for step, s in steps_s.items() if step.startswith(of)) for of in (CORE_STEPS, MART_STEPS))
    return {
        "success": report["success"],
        "statuses": {row["platform"]: row["status"] for row in report["platforms"]},
        "wall_s": wall_s,
        "cpu_s": cpu_s,
        "timing": report["timing"],
        "peak_rss_mb": peak_mb,
        "prices": int(n_prices),
        "core_s": core_s,
        "mart_s": mart_s,
        "core_us_per_price": core_s * 1e6 / n_prices,
        "mart_us_per_price": mart_s * 1e6 / n_prices,
        "steps_s": dict(sorted(steps_s.items(), key=lambda item: -item[1])),
    }


def run_command(words: Sequence[str], folder: Path, variables: dict[str, str]) -> tuple[str, float, float]:
    """Return what `palimpsest` printed, its greatest memory in MB, and its CPU seconds. Raises RuntimeError."""
    output = folder / "output.txt"
    with output.open("w") as printed:
        process = psutil.Popen(
            [*PALIMPSEST, *words], cwd=folder, env=variables, stdout=printed, stderr=subprocess.PIPE, text=True
        )
        memory = PeakMemory(process.pid)
        watcher = threading.Thread(target=memory.watch, daemon=True)
        watcher.start()
        before = os.times()
        _, errors = process.communicate()
        after = os.times()
        memory.stop()
        watcher.join()
    if process.returncode not in (0, EXIT_PARTIAL):
        text = f"{errors[-2000:]}{output.read_text()[-2000:]}"
        raise RuntimeError(f"palimpsest {' '.join(words)} ended with {process.returncode}:\n{text}")
    cpu_s = after.children_user - before.children_user + after.children_system - before.children_system
    return output.read_text(), memory.mb, cpu_s
