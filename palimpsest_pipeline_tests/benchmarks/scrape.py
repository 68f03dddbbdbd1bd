"""How near the capture of a cycle comes to what network and budgets allow, and what it costs: against the simulator in
a process of its own.

The capture is measured from the first request until everything is landed; discovery apart. Latencies are those that the
simulator drew. With `--platforms` the growth over numbers of platforms is measured instead: see `_growth`.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl

import typer
from rich.table import Table

from palimpsest_pipeline.domain.cycles import Target
from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.scrape.host_budget import HostBudget
from palimpsest_pipeline.scrape.shortest_duration import compute_floors_s
from palimpsest_pipeline.simulator.request_log import RequestLine
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA, PLATFORMS, SPORTYBET, build_adapters

from ._child import Task, run
from ._floor_client import Floor
from ._floor_client import __name__ as floor_client
from ._schemes import SCHEMES, Fetched, Landed
from ._schemes import __name__ as schemes

P50_MS, P95_MS = 250.0, 700.0
SLOTS: Final = {BETPAWA: 50, SPORTYBET: 50, BET9JA: 15}
GAPS_S: Final = {BETPAWA: 0.0, SPORTYBET: 0.0, BET9JA: 0.025}
"""The limits of the scraper that went before; our own defaults are politer."""
DEFAULT_SLOTS: Final = 50
"""Slots of all other platforms; their interfaces were seen to tolerate as many."""
SIZES: Final = (0.2, 2.0)
"""Other worlds for the memory, as shares of `fixtures`."""


@dataclass(frozen=True)
class Run:
    """One scheme's run, and what the simulator saw of it."""

    fetched: Fetched
    log: Sequence[RequestLine]
    simulator_cpu_s: float
    budgets: Mapping[Platform, HostBudget]

    @property
    def wall_s(self) -> float:
        return self.fetched.usage.ended_at - self.fetched.usage.began_at

    @property
    def drawn_s(self) -> dict[Platform, list[float]]:
        by_platform: dict[Platform, list[float]] = defaultdict(list)
        for line in self.log:
            by_platform[Platform(line.platform)].append(line.drawn_s)
        return by_platform

    @property
    def floors_s(self) -> dict[Platform, float]:
        return compute_floors_s(self.drawn_s, self.budgets)

    @property
    def wall_ratio(self) -> float:
        return self.wall_s / max(self.floors_s.values())


class Bench:
    """One simulated world, its discovered targets, and runs against it."""

    def __init__(self, simulator: SimulatorProcess, scale: float) -> None:
        platforms = tuple(simulator.base_urls)
        self._simulator = simulator
        self._slots = {platform: find_slots(platform) for platform in platforms}
        self._gaps_s = {platform: find_gap_s(platform) * scale for platform in platforms}
        self._budgets = {platform: HostBudget(self._slots[platform], gap_s) for platform, gap_s in self._gaps_s.items()}
        simulator.set_clock(0.0, stopped=True)
        self.discovery = self.run("discovery")
        self.targets = self.discovery.fetched.targets
        self.fixtures = {
            (p, one): n for n, target in enumerate(self.targets) for p, ids in target.listings.items() for one in ids
        }
        """Which target a listing belongs to."""
        adapters = build_adapters(platforms)
        self._first_questions = {
            _make_key(platform, f"/{platform}{request.path}", request.params.items()): one
            for platform, one in self.fixtures
            for request in adapters[platform].list_detail_requests(one, None, ())
        }
        """The listing of each request that begins a book."""

    def _task(self, do: str, folder: str, targets: Sequence[Target]) -> Task:
        return Task(do, self._simulator.base_urls, self._slots, self._gaps_s, folder, list(targets))

    def _find_listing(self, line: RequestLine) -> str | None:
        """Return the listing whose book the request begins."""
        if line.external_id is not None or line.endpoint != "detail":
            return line.external_id
        path, _, query = line.question.partition("?")
        return self._first_questions.get(_make_key(line.platform, path, parse_qsl(query, keep_blank_values=True)))

    def run(self, scheme: str, targets: Sequence[Target] = ()) -> Run:
        self._simulator.clear_log()
        before = self._simulator.fetch_log()["cpu_s"]
        with TemporaryDirectory() as folder:
            fetched = run(schemes, self._task(scheme, folder, targets), Fetched)
        return Run(
            fetched, self._simulator.list_requests(), self._simulator.fetch_log()["cpu_s"] - before, self._budgets
        )

    def floor_client(self, unpacker: str = "zlib") -> Floor:
        self._simulator.clear_log()
        return run(floor_client, self._task(unpacker, "", self.targets), Floor)

    def skews_ms(self, landed: Iterable[Landed]) -> list[float]:
        """How far apart the last bytes of a fixture's platforms came, the first good answer of each; of fixtures on
        two or more.
        """
        return _spreads_ms(
            (self.fixtures[one.platform, one.external_id], one.platform, one.received_at) for one in landed
        )

    def drawn_ms(self, log: Iterable[RequestLine], *, of_all: bool = False) -> list[float]:
        """How far apart the latencies drawn for them were; `of_all` their listings, not of the ones that answered
        first.
        """
        return _spreads_ms(
            (
                self.fixtures[Platform(line.platform), one],
                f"{line.platform} {one}" if of_all else line.platform,
                line.drawn_s,
            )
            for line in log
            if line.status == 200 and (one := self._find_listing(line)) is not None
        )


def find_slots(platform: Platform) -> int:
    """Return how many requests a platform may have in flight, equal for all countries of a brand."""
    return SLOTS.get(Platform(platform.partition("-")[0]), DEFAULT_SLOTS)


def find_gap_s(platform: Platform) -> float:
    return GAPS_S.get(Platform(platform.partition("-")[0]), 0.0)


def _make_key(
    platform: str, path: str, params: Iterable[tuple[str, str]]
) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    return platform, path, tuple(sorted(params))


def _spreads_ms(seen: Iterable[tuple[int, str, float]]) -> list[float]:
    """Of each fixture the first of every platform, in seconds: the greatest less the least, in milliseconds."""
    first: dict[int, dict[str, float]] = defaultdict(dict)
    for fixture, platform, at in seen:
        mine = first[fixture]
        mine[platform] = min(at, mine.get(platform, at))
    return [(max(mine.values()) - min(mine.values())) * 1000 for mine in first.values() if len(mine) > 1]


def percentile(values: Sequence[float], percent: int) -> float:
    return quantiles(values, n=100, method="inclusive")[percent - 1] if len(values) > 1 else 0.0


def measure(
    fixtures: Annotated[int, typer.Option(min=20, help="Fixtures in the union of the three platforms.")] = 1500,
    scale: Annotated[
        float, typer.Option(min=0.001, help="Latencies and gaps times this: for a machine that is too slow for them.")
    ] = 1.0,
    rounds: Annotated[
        int, typer.Option(min=1, help="Rounds of our run and the floor client in turn, of which the medians count.")
    ] = 3,
    seed: Annotated[int, typer.Option(help="Chooses the simulated world and its latencies.")] = 7,
    memory: Annotated[bool, typer.Option(help="Peak memory in a smaller and in a larger world, too.")] = True,
    platforms: Annotated[
        list[int] | None,
        typer.Option(min=2, help="Growth over numbers of platforms instead; may be given several times."),
    ] = None,
) -> dict[str, Any]:
    """Runs everything; ratios are to the floor of the latencies drawn in the same run.

    Takes minutes at the real size.
    """
    if platforms:
        return _growth().measure_growth(platforms, fixtures, scale, rounds, seed)
    load = os.getloadavg()
    with start_simulator(fixtures, scale, seed) as simulator:
        bench = Bench(simulator, scale)
        took_turns = [(bench.run("ours", bench.targets), bench.floor_client()) for _ in range(rounds)]
        ours = sorted((run for run, _ in took_turns), key=lambda run: run.wall_ratio)
        median_run = ours[len(ours) // 2]
        quicker = bench.floor_client("isal")
        others = {name: bench.run(name, bench.targets) for name in SCHEMES if name != "ours"}
    by_scheme = {name: _scheme(bench, run) for name, run in {"ours": median_run, **others}.items()}
    cpu_ms = median(run.fetched.usage.cpu_s * 1000 / run.fetched.requests for run in ours)
    floor_cpu_ms = median(floor.usage.cpu_s * 1000 / floor.requests for _, floor in took_turns)
    peaks_mb = {fixtures: max(run.fetched.peak_rss_mb for run in ours)}
    peaks_mb |= {n: _peak_mb(n, scale, seed) for n in (round(fixtures * size) for size in SIZES) if memory}
    return {
        "wall_ratio_to_floor": by_scheme["ours"]["wall_ratio_to_floor"],
        "events_per_s": by_scheme["ours"]["events_per_s"],
        "skew_p95_ratio": by_scheme["ours"]["skew_p95_ratio"],
        "skew_p95_ms_by_scheme": {name: found["skew_p95_ms"] for name, found in by_scheme.items()},
        "cpu_ms_per_request": cpu_ms,
        "cpu_ratio_to_floor": cpu_ms / floor_cpu_ms,
        "cpu_ratio_to_floor_with_isal": cpu_ms / (quicker.usage.cpu_s * 1000 / quicker.requests),
        "peak_rss_mb": max(peaks_mb.values()),
        "peak_rss_mb_by_fixtures": {str(n): peaks_mb[n] for n in sorted(peaks_mb)},
        "fixtures": len(bench.targets),
        "requests": median_run.fetched.requests,
        "scale": scale,
        "rounds": [_round(run, floor) for run, floor in took_turns],
        "discovery_s": bench.discovery.wall_s,
        "floor": _floors(median_run),
        "schemes": by_scheme,
        "floor_client_cpu_ms_per_request": floor_cpu_ms,
        "mb_per_request": took_turns[0][1].bytes / took_turns[0][1].requests / 1e6,
        "simulator": _simulators_part(median_run),
        "box": {
            "cores": os.cpu_count(),
            "load_before": load[0],
            "load_after": os.getloadavg()[0],
            "idle_share": median_run.fetched.usage.idle_share,
        },
    }


def _growth() -> ModuleType:
    from . import _growth as growth  # it builds on this module

    return growth


def start_simulator(
    fixtures: int, scale: float, seed: int, platforms: Sequence[Platform] = PLATFORMS
) -> SimulatorProcess:
    latency = {"*": (P50_MS * scale, P95_MS * scale)}
    return SimulatorProcess(fixtures, seed, latency=latency, bodies="real", platforms=platforms)


def _peak_mb(fixtures: int, scale: float, seed: int) -> float:
    with start_simulator(fixtures, scale, seed) as simulator:
        bench = Bench(simulator, scale)
        return bench.run("ours", bench.targets).fetched.peak_rss_mb


def _round(run: Run, floor: Floor) -> dict[str, float]:
    return {
        "wall_ratio_to_floor": run.wall_ratio,
        "cpu_ms_per_request": run.fetched.usage.cpu_s * 1000 / run.fetched.requests,
        "floor_client_cpu_ms_per_request": floor.usage.cpu_s * 1000 / floor.requests,
        "idle_share": run.fetched.usage.idle_share,
    }


def _scheme(bench: Bench, run: Run) -> dict[str, float]:
    skews_ms, drawn_ms = bench.skews_ms(run.fetched.landed), bench.drawn_ms(run.log)
    return {
        "wall_s": run.wall_s,
        "wall_ratio_to_floor": run.wall_ratio,
        "events_per_s": len(bench.targets) / run.wall_s,
        "skew_p50_ms": percentile(skews_ms, 50),
        "skew_p95_ms": percentile(skews_ms, 95),
        "skew_p99_ms": percentile(skews_ms, 99),
        "skew_p95_ratio": percentile(skews_ms, 95) / percentile(drawn_ms, 95),
        "skew_p95_ratio_to_all_drawn": percentile(skews_ms, 95) / percentile(bench.drawn_ms(run.log, of_all=True), 95),
        "failed": run.fetched.requests - len(run.fetched.landed),
    }


def _floors(run: Run) -> dict[str, dict[str, Any]]:
    """Each platform's floor: how many latencies, their sum over the slots, the gaps in a row, and which of both
    binds.
    """
    found = {}
    for platform, drawn_s in run.drawn_s.items():
        slots_s, gaps_s = (
            sum(drawn_s) / run.budgets[platform].max_in_flight,
            (len(drawn_s) - 1) * run.budgets[platform].min_gap_s,
        )
        arrived = sorted(line.arrived_at for line in run.log if line.platform == platform)
        found[platform] = {
            "floor_s": run.floors_s[platform],
            "requests": len(drawn_s),
            "latencies_s": sum(drawn_s),
            "latencies_by_slots_s": slots_s,
            "gaps_s": gaps_s,
            "binds": "gap" if gaps_s > slots_s else "slots",
            "took_s": arrived[-1] - arrived[0] if arrived else 0.0,
        }
    return found


def _simulators_part(run: Run) -> dict[str, float]:
    late_ms = [(line.sent_at - line.arrived_at - line.drawn_s) * 1000 for line in run.log if line.sent_at is not None]
    return {
        "cpu_share_of_a_core": run.simulator_cpu_s / run.wall_s,
        "late_p50_ms": percentile(late_ms, 50),
        "late_p95_ms": percentile(late_ms, 95),
    }


def table(found: dict[str, Any]) -> Table:
    """A row per scheme, or per number of platforms; floors, costs and the machine's part below."""
    if "growth" in found:
        shown: Table = _growth().table(found)
        return shown
    floors = ", ".join(
        f"{name} {floor['floor_s']:.2f} s ({floor['requests']} latencies of {floor['latencies_s']:.0f} s, {floor['binds']} bind)"
        for name, floor in found["floor"].items()
    )
    memory = ", ".join(f"{megabytes:.0f} MB at {n}" for n, megabytes in found["peak_rss_mb_by_fixtures"].items())
    simulator, box = found["simulator"], found["box"]
    caption = (
        f"Discovery {found['discovery_s']:.1f} s. Floor: {floors}.",
        f"CPU {found['cpu_ms_per_request']:.2f} ms a request of {found['mb_per_request']:.2f} MB, {found['cpu_ratio_to_floor']:.2f} times the floor "
        f"client's {found['floor_client_cpu_ms_per_request']:.2f}, {found['cpu_ratio_to_floor_with_isal']:.2f} times one that unpacks as we do. "
        f"Memory {memory}.",
        f"Simulator: {simulator['cpu_share_of_a_core']:.0%} of a core, late by {simulator['late_p50_ms']:.1f} ms (p95 "
        f"{simulator['late_p95_ms']:.1f}).",
        f"The box: {box['cores']} cores, {box['idle_share']:.0%} idle, load {box['load_before']:.1f} before and {box['load_after']:.1f} after.",
    )
    title = f"{found['fixtures']} fixtures in {found['requests']} requests, latencies and gaps times {found['scale']:g}"
    shown = Table(title=title, title_justify="left", caption="\n".join(caption), caption_justify="left")
    shown.add_column("scheme")
    for heading in ("wall s", "to floor", "events/s", "skew p50 ms", "p95", "p99", "p95 to drawn"):
        shown.add_column(heading, justify="right")
    for name, one in found["schemes"].items():
        figures = (one["skew_p50_ms"], one["skew_p95_ms"], one["skew_p99_ms"])
        shown.add_row(
            name.replace("_", " "),
            f"{one['wall_s']:.1f}",
            f"{one['wall_ratio_to_floor']:.3f}",
            f"{one['events_per_s']:.1f}",
            *(f"{figure:,.0f}" for figure in figures),
            f"{one['skew_p95_ratio']:.2f}",
        )
    return shown
