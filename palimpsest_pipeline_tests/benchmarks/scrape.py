"""How near the capture of a cycle comes to what network and budgets allow, and what it costs: against the simulator in
a process of its own.

The capture is measured from the first request until everything is landed; discovery apart. Latencies are those that the
simulator drew. With `--platforms` the growth over numbers of platforms is measured instead: see `_growth`.
"""

import os
from statistics import median
from typing import Annotated, Any, Final

import typer

from . import _growth
from ._floor_client import Floor
from ._scrape_bench import Bench, Run, percentile, start_simulator

SIZES: Final = (0.2, 2.0)
"""Other worlds for the memory, as shares of `fixtures`."""


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
        return _growth.measure_growth(platforms, fixtures, scale, rounds, seed)
    load = os.getloadavg()
    with start_simulator(fixtures, scale, seed) as simulator:
        bench = Bench(simulator, scale)
        took_turns = [(bench.run("capture", bench.targets), bench.floor_client()) for _ in range(rounds)]
        ours = sorted((run for run, _ in took_turns), key=lambda run: run.wall_ratio)
        median_run = ours[len(ours) // 2]
        quicker = bench.floor_client("isal")
    figures = _describe_capture(bench, median_run)
    cpu_ms = median(run.fetched.usage.cpu_s * 1000 / run.fetched.requests for run in ours)
    floor_cpu_ms = median(floor.usage.cpu_s * 1000 / floor.requests for _, floor in took_turns)
    peaks_mb = {fixtures: max(run.fetched.peak_rss_mb for run in ours)}
    peaks_mb |= {n: _peak_mb(n, scale, seed) for n in (round(fixtures * size) for size in SIZES) if memory}
    return {
        **figures,
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


def _peak_mb(fixtures: int, scale: float, seed: int) -> float:
    with start_simulator(fixtures, scale, seed) as simulator:
        bench = Bench(simulator, scale)
        return bench.run("capture", bench.targets).fetched.peak_rss_mb


def _round(run: Run, floor: Floor) -> dict[str, float]:
    return {
        "wall_ratio_to_floor": run.wall_ratio,
        "cpu_ms_per_request": run.fetched.usage.cpu_s * 1000 / run.fetched.requests,
        "floor_client_cpu_ms_per_request": floor.usage.cpu_s * 1000 / floor.requests,
        "idle_share": run.fetched.usage.idle_share,
    }


def _describe_capture(bench: Bench, run: Run) -> dict[str, float]:
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
