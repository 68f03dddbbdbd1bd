"""A simulated world, runs of the capture and of the floor client against it, and what the simulator saw of them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import quantiles
from tempfile import TemporaryDirectory
from typing import Final
from urllib.parse import parse_qsl

from palimpsest_pipeline.domain.cycles import Target
from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.scrape.host_budget import HostBudget
from palimpsest_pipeline.scrape.shortest_duration import compute_floors_s
from palimpsest_pipeline.settings import name_platform_variable
from palimpsest_pipeline.simulator.request_log import RequestLine
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA, PLATFORMS, SPORTYBET, build_adapters

from ._capture_child import Fetched, Landed
from ._capture_child import __name__ as capture_child
from ._child import Task, run
from ._floor_client import Floor
from ._floor_client import __name__ as floor_client

P50_MS, P95_MS = 250.0, 700.0
SLOTS: Final = {BETPAWA: 50, SPORTYBET: 50, BET9JA: 15}
GAPS_S: Final = {BETPAWA: 0.0, SPORTYBET: 0.0, BET9JA: 0.025}
"""The limits of the scraper that went before; our own defaults are politer."""
DEFAULT_SLOTS: Final = 50
"""Slots of all other platforms; their interfaces were seen to tolerate as many."""


@dataclass(frozen=True)
class Run:
    """One run, and what the simulator saw of it."""

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

    def run(self, do: str, targets: Sequence[Target] = ()) -> Run:
        self._simulator.clear_log()
        before = self._simulator.fetch_log()["cpu_s"]
        with TemporaryDirectory() as folder:
            fetched = run(capture_child, self._task(do, folder, targets), Fetched)
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


def make_settings(base_urls: Mapping[Platform, str], scale: float = 1.0) -> dict[str, str]:
    """Return the variables that point every platform at the simulator, with the limits of a bench's runs."""
    settings = {"PALIMPSEST_PLATFORMS": ",".join(base_urls)}
    for platform, url in base_urls.items():
        values = {
            "base_url": url,
            "max_in_flight": find_slots(platform),
            "min_gap_s": find_gap_s(platform) * scale,
            "jitter_s": 0,
        }
        settings |= {name_platform_variable(platform, name): str(value) for name, value in values.items()}
    return settings


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


def start_simulator(
    fixtures: int, scale: float, seed: int, platforms: Sequence[Platform] = PLATFORMS
) -> SimulatorProcess:
    latency = {"*": (P50_MS * scale, P95_MS * scale)}
    return SimulatorProcess(fixtures, seed, latency=latency, bodies="real", platforms=platforms)
