"""How fast a cycle could have been: the bound that latencies and budgets set, whatever the order. Pure arithmetic."""

from collections.abc import Mapping, Sequence

from ..domain.words import Platform
from .budget import Budget


def floor_s(durations_s: Mapping[Platform, Sequence[float]], budgets: Mapping[Platform, Budget]) -> dict[Platform, float]:
    """Seconds below which no schedule gets through these requests, per host; a cycle's floor is the greatest.

    `durations_s` holds how long each request was under way. The greatest of: all of them on `max_in_flight` slots that never idle, the
    longest one, and the starts spread by the least gap and by the rate. Raises KeyError for a host without a budget.
    """
    return {host: _floor_s(durations, budgets[host]) for host, durations in durations_s.items()}


def _floor_s(durations_s: Sequence[float], budget: Budget) -> float:
    if not durations_s:
        return 0.0
    gaps = len(durations_s) - 1
    busy_s, paced_s = sum(durations_s) / budget.max_in_flight, gaps * budget.min_gap_s
    return max(busy_s, paced_s, gaps / budget.max_per_s if budget.max_per_s else 0.0)
