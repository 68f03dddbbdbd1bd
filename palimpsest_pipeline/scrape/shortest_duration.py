"""The minimum duration of a cycle, given latencies and budgets, in any order. Pure arithmetic."""

from collections.abc import Mapping, Sequence

from palimpsest_pipeline.domain.enums import Platform

from .host_budget import HostBudget


def compute_floors_s(
    durations_s: Mapping[Platform, Sequence[float]], budgets: Mapping[Platform, HostBudget]
) -> dict[Platform, float]:
    """Return the seconds per host below which no schedule completes these requests.

    `durations_s` holds the time that each request was in flight. The floor is the greater of two times: all durations
    on `max_in_flight` slots without idle time, and the starts spread by the minimum gap and by the rate. A cycle's
    floor is the greatest of its hosts'. Raises KeyError for a host without a budget.
    """
    return {host: _compute_host_floor_s(durations, budgets[host]) for host, durations in durations_s.items()}


def _compute_host_floor_s(durations_s: Sequence[float], budget: HostBudget) -> float:
    if not durations_s:
        return 0.0
    spread_s = (len(durations_s) - 1) * budget.min_gap_s
    if budget.max_per_s:
        # All starts that the rate allows within one window may come at its begin.
        n_per_window = max(1, int(budget.max_per_s))
        spread_s = max(spread_s, (len(durations_s) - 1) // n_per_window * max(1.0, 1 / budget.max_per_s))
    return max(sum(durations_s) / budget.max_in_flight, spread_s)
