"""The floor is what slots, gap and rate leave at best."""

import pytest

from palimpsest_pipeline.scrape.host_budget import HostBudget
from palimpsest_pipeline.scrape.shortest_duration import compute_floors_s

from .simulated import BET9JA, PAWA, SPORTY


def test_each_host_has_its_own_floor() -> None:
    budgets = {PAWA: HostBudget(2), SPORTY: HostBudget(5, min_gap_s=1.0), BET9JA: HostBudget(5)}
    assert compute_floors_s({PAWA: [1.0, 2.0, 3.0], SPORTY: [0.5] * 4, BET9JA: []}, budgets) == {
        PAWA: 3.0,
        SPORTY: 3.0,
        BET9JA: 0.0,
    }


@pytest.mark.parametrize(
    ("n", "max_per_s", "floor"), [(10, 10, 0.1), (11, 10, 1.0), (21, 10, 2.0), (3, 0.5, 4.0), (5, 2.5, 2.0)]
)
def test_a_rate_lets_a_seconds_worth_start_at_once(n: int, max_per_s: float, floor: float) -> None:
    assert compute_floors_s({PAWA: [0.1] * n}, {PAWA: HostBudget(10, max_per_s=max_per_s)})[PAWA] == pytest.approx(
        floor
    )


def test_a_host_without_a_budget_is_an_error() -> None:
    with pytest.raises(KeyError):
        compute_floors_s({PAWA: [1.0]}, {})
