"""Compute the minimum duration of a cycle from request durations and budgets. No I/O."""

from collections.abc import Mapping, Sequence

from palimpsest_pipeline.domain.enums import Platform

from .host_budget import HostBudget


def compute_floors_s(
    durations_s: Mapping[Platform, Sequence[float]], budgets: Mapping[Platform, HostBudget]
) -> dict[Platform, float]:
    """Return per platform the minimum number of seconds in which any schedule completes the requests.

    `durations_s` has the time in flight of each request. The minimum is the greater of two values: the sum of durations
    divided over `max_in_flight` request slots, and the time that minimum gap and rate need for all starts. A cycle's
    minimum is the greatest of its platforms'. Raises KeyError for a platform without a budget.
    """
    return {host: _compute_host_floor_s(durations, budgets[host]) for host, durations in durations_s.items()}


def _compute_host_floor_s(durations_s: Sequence[float], budget: HostBudget) -> float:
    if not durations_s:
        return 0.0
    spread_s = (len(durations_s) - 1) * budget.min_gap_s
    if budget.max_per_s:
        # All starts that the rate allows in a window may happen at its beginning.
        n_per_window = max(1, int(budget.max_per_s))
        spread_s = max(spread_s, (len(durations_s) - 1) // n_per_window * max(1.0, 1 / budget.max_per_s))
    return max(sum(durations_s) / budget.max_in_flight, spread_s)
