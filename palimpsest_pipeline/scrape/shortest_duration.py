"""How fast a cycle could have been: the bound that latencies and budgets set, whatever the order. Pure arithmetic."""

from collections.abc import Mapping, Sequence

from palimpsest_pipeline.domain.enums import Platform

from .host_budget import HostBudget


def compute_floors_s(
    durations_s: Mapping[Platform, Sequence[float]], budgets: Mapping[Platform, HostBudget]
) -> dict[Platform, float]:
    """Seconds below which no schedule gets through these requests, per host; a cycle's floor is the greatest.

    `durations_s` holds how long each request was under way. The greatest of: all of them on `max_in_flight` slots that
    never idle, and their starts spread by the least gap and by the rate. Raises KeyError for a host without a budget.
    """
    return {host: _compute_host_floor_s(durations, budgets[host]) for host, durations in durations_s.items()}


def _compute_host_floor_s(durations_s: Sequence[float], budget: HostBudget) -> float:
    if not durations_s:
        return 0.0
    spread_s = (len(durations_s) - 1) * budget.min_gap_s
    if budget.max_per_s:
        # The first second's requests may all start at once, and so on.
        a_window = max(1, int(budget.max_per_s))
        spread_s = max(spread_s, (len(durations_s) - 1) // a_window * max(1.0, 1 / budget.max_per_s))
    return max(sum(durations_s) / budget.max_in_flight, spread_s)
