"""What a host may be asked, shared between scrapes that run at the same time."""

from hypothesis import given
from hypothesis import strategies as st

from palimpsest_pipeline.scrape.host_budget import HostBudget

budgets = st.builds(
    HostBudget,
    st.integers(1, 40),
    min_gap_s=st.floats(0, 5),
    jitter_s=st.floats(0, 1),
    max_per_s=st.none() | st.floats(0.1, 50),
)


@given(budgets, st.floats(0.01, 0.99))
def test_two_parts_together_ask_no_more_than_the_whole(whole: HostBudget, share: float) -> None:
    one, rest = whole.split(share)
    assert min(one.max_in_flight, rest.max_in_flight) >= 1
    if whole.max_in_flight >= 2:
        assert one.max_in_flight + rest.max_in_flight == whole.max_in_flight
    if whole.min_gap_s > 1e-6:
        assert 1 / one.min_gap_s + 1 / rest.min_gap_s <= 1 / whole.min_gap_s * (1 + 1e-9)
    if whole.max_per_s is not None:
        assert one.max_per_s is not None
        assert rest.max_per_s is not None
        assert one.max_per_s + rest.max_per_s <= whole.max_per_s * (1 + 1e-9)
    assert (one.max_attempts, rest.breaker) == (whole.max_attempts, whole.breaker)


@given(budgets)
def test_without_a_share_each_has_all(whole: HostBudget) -> None:
    assert whole.split(0) == (whole, whole)
