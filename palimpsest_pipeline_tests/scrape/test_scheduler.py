"""What the scheduler promises: each rule by example, and the invariants on a simulated clock for any mix of jobs, budgets and failures."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palimpsest_pipeline.domain.words import FailureClass, Platform
from palimpsest_pipeline.scrape.budget import BreakerRule, Budget
from palimpsest_pipeline.scrape.floor import floor_s
from palimpsest_pipeline.scrape.host import Host
from palimpsest_pipeline.scrape.scheduler import Ask, Job, Over, Scheduler, Start
from palimpsest_pipeline.wire.rules import RULES
from palimpsest_pipeline_tests.scrape.simulated import (
    BET9JA,
    PAWA,
    SPORTY,
    Attempt,
    Fate,
    Trace,
    check_budgets,
    fixtures,
    lognormal,
    play,
)

A, B, C = PAWA, SPORTY, BET9JA
TRANSIENT, LIMITED, BLOCKED = FailureClass.TRANSIENT, FailureClass.RATE_LIMITED, FailureClass.BLOCKED
FIXED = Budget(4, backoff_jitter=False)
"""Waits 0.5 s, then 1 s."""


def scheduler(budgets: dict[Platform, Budget] | None = None, **options: Any) -> Scheduler:
    return Scheduler({A: FIXED, B: FIXED, C: FIXED} | (budgets or {}), rng=Random(1), **options)


def job(key: int, *hosts: Platform, rank: int | None = None) -> Job:
    """Its asks are numbered 10 * key, 10 * key + 1, ..."""
    return Job(key, (key if rank is None else rank,), tuple(Ask(10 * key + n, host) for n, host in enumerate(hosts)))


def fail_until_open(it: Scheduler, host: Platform, failure: FailureClass, now: float, *, first: int = 90, told_s: float | None = None) -> None:
    """Jobs of their own fail, never to be tried again, until the host is open."""
    for key in range(first, first + 12):
        if it.host(host).state == "open":
            return
        it.add(job(key, host, rank=-1), now)
        assert Start(10 * key, 1) in it.due(now)
        it.withdraw(key, "")
        it.answered(10 * key, failure, told_s, now)
        it.due(now)
    assert it.host(host).state == "open"


# Adding, and being over


def test_a_job_needs_asks_known_hosts_and_new_keys() -> None:
    it = Scheduler({A: FIXED})
    it.add(job(1, A), 0.0)
    for wrong in (job(2), job(2, B), job(1, A), Job(2, (0,), (Ask(10, A),)), Job(2, (0,), (Ask(20, A), Ask(20, A)))):
        with pytest.raises(ValueError, match=r"job needs asks|no budget for"):
            it.add(wrong, 0.0)
    assert it.due(0.0) == [Start(10, 1)]
    it.answered(10, None, None, 1.0)
    with pytest.raises(ValueError, match="not under way"):
        it.answered(10, None, None, 1.0)
    assert not it.idle, "the end has not been said"
    assert it.due(1.0) == [Over(10, "")]
    assert it.idle
    with pytest.raises(ValueError, match="job needs asks"):
        it.add(job(1, A), 0.0)


@pytest.mark.parametrize("failure", [None, *(failure for failure, rule in RULES.items() if not rule.tried_again)])
def test_what_is_not_tried_again_is_over_with_its_answer(failure: FailureClass | None) -> None:
    it = scheduler()
    it.add(job(1, A), 0.0)
    it.due(0.0)
    it.answered(10, failure, None, 1.0)
    assert it.due(1.0) == [Over(10, "")]
    assert it.wake_at() is None


# Waiting


def test_what_failed_is_tried_again_after_its_back_off_up_to_the_budgets_attempts() -> None:
    it = scheduler()
    it.add(job(1, A), 0.0)
    assert it.due(0.0) == [Start(10, 1)]
    it.answered(10, TRANSIENT, None, 1.0)
    assert (it.due(1.0), it.wake_at(), it.host(A).in_flight) == ([], 1.5, 0)
    assert it.due(1.5) == [Start(10, 2)]
    it.answered(10, TRANSIENT, None, 2.0)
    assert (it.due(2.0), it.wake_at()) == ([], 3.0)
    it.add(job(2, A), 2.5)
    assert it.due(2.5) == [], "no request has gone well since the first failure: the host is asked for nothing for a while"
    it.withdraw(2, "")
    it.due(3.0)
    assert it.due(4.0) == [Start(10, 3)]
    it.answered(10, TRANSIENT, None, 4.5)
    assert it.due(4.5) == [Over(10, "")]
    assert it.idle


def test_back_off_grows_up_to_its_bound_and_is_drawn_below_it() -> None:
    host = Host[Ask](Budget(1, backoff_initial_s=1.0, backoff_max_s=3.0))
    drawn = {attempts: [host.back_off_s(attempts, Random(seed)) for seed in range(200)] for attempts in (1, 2, 3, 4)}
    for attempts, bound in ((1, 1.0), (2, 2.0), (3, 3.0), (4, 3.0)):
        assert 0 <= min(drawn[attempts]) < 0.1 * bound < 0.9 * bound < max(drawn[attempts]) <= bound


def test_a_host_that_names_a_time_is_asked_again_then() -> None:
    it = scheduler()
    it.add(job(1, A), 0.0)
    it.due(0.0)
    it.answered(10, LIMITED, 7.0, 1.0)
    assert it.due(7.9) == []
    assert it.due(8.0) == [Start(10, 2)]


def test_parts_that_failed_together_are_tried_again_together() -> None:
    it = scheduler(budgets={B: replace(FIXED, backoff_initial_s=1.5)})
    it.add(job(1, A, B, C), 0.0)
    it.due(0.0)
    it.answered(10, TRANSIENT, None, 1.0)
    it.answered(11, TRANSIENT, None, 1.0)
    it.answered(12, None, None, 1.0)
    assert (it.due(1.0), it.wake_at()) == ([Over(12, "")], 2.5)
    assert it.due(2.5) == [Start(10, 2), Start(11, 2)]


def test_parts_due_far_apart_are_not_held_for_each_other() -> None:
    it = scheduler(budgets={B: replace(FIXED, backoff_initial_s=4.0)})
    it.add(job(1, A, B), 0.0)
    it.due(0.0)
    it.answered(10, TRANSIENT, None, 1.0)
    it.answered(11, TRANSIENT, None, 1.0)
    assert (it.due(1.0), it.wake_at()) == ([], 1.5)
    assert (it.due(1.5), it.wake_at()) == ([Start(10, 2)], 5.0)
    assert it.due(5.0) == [Start(11, 2)]


def test_a_part_that_comes_due_joins_one_that_has_found_no_room_yet() -> None:
    it = scheduler(budgets={A: Budget(1, backoff_jitter=False), B: replace(FIXED, backoff_initial_s=4.0)})
    it.add(job(1, A, B), 0.0)
    it.due(0.0)
    it.answered(10, TRANSIENT, None, 1.0)
    it.answered(11, TRANSIENT, None, 1.0)
    it.add(job(2, A), 1.0)
    assert it.due(1.0) == [Start(20, 1)]
    assert it.due(1.5) == it.due(5.0) == []
    it.answered(20, None, None, 6.0)
    assert it.due(6.0) == [Over(20, ""), Start(10, 2), Start(11, 2)]


def test_a_retry_goes_ahead_of_later_jobs() -> None:
    it = scheduler(budgets={A: Budget(1, backoff_jitter=False)})
    for key in (1, 2, 3):
        it.add(job(key, A), 0.0)
    assert it.due(0.0) == [Start(10, 1)]
    it.answered(10, TRANSIENT, None, 1.0)
    assert it.due(1.0) == [Start(20, 1)]
    it.answered(20, None, None, 2.0)
    assert it.due(2.0) == [Over(20, ""), Start(10, 2)]


# Starting


def test_a_gang_starts_whole_or_not_at_all() -> None:
    it = scheduler(budgets={A: Budget(1)})
    it.add(job(1, A), 0.0)
    it.add(job(2, A, B, C), 0.0)
    assert it.due(0.0) == [Start(10, 1)]
    it.answered(10, None, None, 1.0)
    assert it.due(1.0) == [Over(10, ""), Start(20, 1), Start(21, 1), Start(22, 1)]


def test_further_asks_of_a_host_have_their_slots_and_its_next_turns() -> None:
    it = scheduler(budgets={C: Budget(3, min_gap_s=1.0)})
    it.add(job(1, A, C, C), 0.0)
    it.add(job(2, C), 0.0)
    it.add(job(3, C), 0.0)
    assert (it.due(0.0), it.wake_at()) == ([Start(10, 1), Start(11, 1)], 1.0)
    assert it.due(0.9) == []
    assert (it.due(1.0), it.wake_at()) == ([Start(12, 1)], 2.0)
    assert (it.due(2.5), it.host(C).in_flight) == ([Start(20, 1)], 3)
    assert it.due(3.6) == [], "no slot"
    it.answered(11, None, None, 3.7)
    assert it.due(3.7) == [Over(11, ""), Start(30, 1)]


def test_a_gap_counts_from_when_the_last_request_really_started() -> None:
    it = scheduler(budgets={A: Budget(9, min_gap_s=1.0)})
    for key in (1, 2, 3):
        it.add(job(key, A), 0.0)
    assert it.due(0.0) == [Start(10, 1)]
    assert it.due(1.75) == [Start(20, 1)]
    assert (it.due(2.5), it.wake_at()) == ([], 2.75)


def test_a_rate_allows_so_many_starts_in_any_second() -> None:
    it = scheduler(budgets={A: Budget(9, max_per_s=2)})
    for key in range(5):
        it.add(job(key, A), 0.0)
    assert it.due(0.0) == [Start(0, 1), Start(10, 1)]
    assert (it.due(0.5), it.wake_at()) == ([], 1.0)
    assert it.due(1.25) == [Start(20, 1), Start(30, 1)]
    assert (it.due(2.0), it.wake_at()) == ([], 2.25)


def test_more_asks_than_slots_go_in_several_gangs() -> None:
    it = scheduler(budgets={A: Budget(2)})
    it.add(job(1, A, A, A), 0.0)
    assert it.due(0.0) == [Start(10, 1), Start(11, 1)]
    it.answered(10, None, None, 1.0)
    assert it.due(1.0) == [Over(10, ""), Start(12, 1)]


# Order


def test_the_best_rank_goes_first_and_equals_in_order_of_arrival() -> None:
    it = scheduler(budgets={A: Budget(1)})
    for key, rank in ((1, 5), (2, 4), (3, 4), (4, 9)):
        it.add(job(key, A, rank=rank), 0.0)
    order = [it.due(0.0)[0].ask]
    while not it.idle:
        it.answered(order[-1], None, None, 1.0)
        order += [action.ask for action in it.due(1.0) if isinstance(action, Start)]
    assert order == [20, 30, 10, 40]


def test_a_job_that_needs_no_busy_host_goes_past_one_that_does() -> None:
    it = scheduler(budgets={A: Budget(1)})
    for number, hosts in enumerate([(A,), (A, B), (B,), (B, C)], 1):
        it.add(job(number, *hosts), 0.0)
    assert it.due(0.0) == [Start(10, 1), Start(30, 1), Start(40, 1), Start(41, 1)]


def test_after_enough_passes_slots_are_kept() -> None:
    it = scheduler(budgets={A: Budget(1), B: Budget(2)}, patience=2)
    it.add(job(1, A), 0.0)
    it.add(job(2, A, B), 0.0)
    for key in (3, 4, 5):
        it.add(job(key, B), 0.0)
    assert it.due(0.0) == [Start(10, 1), Start(30, 1), Start(40, 1)]
    it.answered(30, None, None, 1.0)
    assert it.due(1.0) == [Over(30, "")], "the slot is kept"
    it.answered(40, None, None, 2.0)
    assert it.due(2.0) == [Over(40, ""), Start(50, 1)], "leaves it"
    it.answered(10, None, None, 3.0)
    assert it.due(3.0) == [Over(10, ""), Start(20, 1), Start(21, 1)]


def test_slots_are_kept_from_the_pass_on_that_was_one_too_many() -> None:
    it = scheduler(budgets={A: Budget(1), B: Budget(3)}, patience=1)
    it.add(job(1, A), 0.0)
    it.add(job(2, A, B), 0.0)
    for key in (3, 4, 5):
        it.add(job(key, B), 0.0)
    assert it.due(0.0) == [Start(10, 1), Start(30, 1), Start(40, 1)]


def test_after_enough_passes_turns_are_kept() -> None:
    it = scheduler(budgets={A: Budget(1), B: Budget(9, min_gap_s=1.0)}, patience=1)
    it.add(job(1, A), 0.0)
    it.add(job(2, A, B), 0.0)
    it.add(job(3, B), 0.0)
    it.add(job(4, B), 0.0)
    assert it.due(0.0) == [Start(10, 1), Start(30, 1)]
    assert it.due(1.0) == []
    it.answered(10, None, None, 1.5)
    assert it.due(1.5) == [Over(10, ""), Start(20, 1), Start(21, 1)]
    assert it.due(2.5) == [Start(40, 1)]


def test_a_job_that_moved_takes_its_new_place() -> None:
    it = scheduler(budgets={A: Budget(1)})
    for key in (1, 2, 3):
        it.add(job(key, A), 0.0)
    it.due(0.0)
    it.rerank(3, (0,))
    it.rerank(1, (99,))
    it.rerank(77, (0,))
    it.answered(10, None, None, 1.0)
    assert it.due(1.0) == [Over(10, ""), Start(30, 1)]


def test_a_job_withdrawn_starts_nothing_more() -> None:
    it = scheduler(budgets={C: Budget(3, min_gap_s=1.0)})
    it.add(job(1, A, C, C), 0.0)
    it.add(job(2, A, C), 0.0)
    it.due(0.0)
    for key in (1, 2, 77):
        it.withdraw(key, "it has kicked off")
    assert it.due(0.0) == [
        Over(12, "not asked: it has kicked off"),
        Over(20, "not asked: it has kicked off"),
        Over(21, "not asked: it has kicked off"),
    ]
    it.answered(10, TRANSIENT, None, 1.0)
    it.answered(11, None, None, 1.0)
    assert it.due(1.0) == [Over(10, ""), Over(11, "")]
    assert it.idle


def test_a_job_withdrawn_before_its_next_try_keeps_its_last_answer() -> None:
    it = scheduler()
    it.add(job(1, A), 0.0)
    it.due(0.0)
    it.answered(10, TRANSIENT, None, 1.0)
    it.withdraw(1, "it has kicked off")
    assert (it.due(1.0), it.wake_at(), it.idle) == ([Over(10, "")], None, True)


# Hosts that fail


def test_an_open_host_is_waited_for_and_then_left_out() -> None:
    it = scheduler(budgets={B: replace(FIXED, breaker=BreakerRule(pause_s=8.0))})
    fail_until_open(it, B, TRANSIENT, 0.0)
    it.add(job(1, A, B, C), 1.0)
    it.add(job(2, A), 1.0)
    assert (it.due(1.0), it.wake_at()) == ([Start(20, 1)], 5.0)
    assert (it.due(5.0), it.wake_at()) == ([Start(10, 1), Start(12, 1)], 8.0)
    assert it.host(B).waiting == 1
    assert it.due(8.0) == [Start(11, 1)], "the probe"
    assert it.host(B).state == "probing"


def test_a_host_that_closes_in_time_is_asked_with_the_others() -> None:
    it = scheduler()
    fail_until_open(it, B, TRANSIENT, 0.0)
    it.add(job(1, A, B), 0.0)
    it.add(job(2, B), 0.0)
    it.rerank(2, (0,))
    assert it.due(0.0) == []
    assert it.due(2.0) == [Start(20, 1)]
    it.answered(20, None, None, 2.5)
    assert it.due(2.5) == [Over(20, ""), Start(10, 1), Start(11, 1)]
    assert it.host(B).state == "closed"


def test_a_probe_is_the_best_of_those_with_the_fewest_attempts() -> None:
    it = scheduler()
    it.add(job(1, B), 0.0)
    it.due(0.0)
    it.answered(10, TRANSIENT, None, 0.0)
    fail_until_open(it, B, TRANSIENT, 0.0)
    for key in (4, 3):
        it.add(job(key, A, B), 0.0)
    assert it.due(2.0) == [Start(31, 1), Start(30, 1)], "what else waits of its job goes along"
    assert it.due(2.5) == [], "one only"
    it.answered(31, TRANSIENT, None, 2.5)
    assert it.due(2.5) == []
    assert it.due(6.5) == [Start(41, 1), Start(40, 1)], "again one that has not been asked"


def test_slots_promised_on_a_host_that_opens_are_given_back() -> None:
    it = scheduler(budgets={C: Budget(3, min_gap_s=1.0)})
    it.add(job(1, C, C, C), 0.0)
    it.due(0.0)
    it.answered(10, LIMITED, 3.0, 0.5)
    assert (it.due(1.0), it.host(C).in_flight, it.host(C).waiting) == ([], 0, 3)
    assert it.due(3.5) == [Start(11, 1)]
    it.answered(11, None, None, 4.5)
    assert it.due(4.5) == [Over(11, ""), Start(10, 2)]
    assert it.due(5.5) == [Start(12, 1)]


def test_what_was_given_back_starts_when_the_host_closes_again() -> None:
    it = scheduler(budgets={C: Budget(5, min_gap_s=1.0, breaker=BreakerRule(failed_of_window=1))})
    it.add(job(1, C), 0.0)
    it.add(job(2, C), 0.0)
    it.add(job(3, C, C), 0.0)
    assert it.due(0.0) + it.due(1.0) + it.due(2.0) == [Start(10, 1), Start(20, 1), Start(30, 1)]
    it.answered(10, TRANSIENT, None, 2.5)
    assert it.due(2.5) == []
    it.answered(20, None, None, 2.75)
    assert it.due(2.75) == [Over(20, "")]
    assert it.host(C).state == "closed"
    assert [action for now in (3.0, 4.0) for action in it.due(now)] == [Start(10, 2), Start(31, 1)]


def test_a_host_that_is_shut_is_asked_nothing_more() -> None:
    it = scheduler()
    it.add(job(1, A, B), 0.0)
    it.add(job(2, B), 0.0)
    it.add(job(3, B), 0.0)
    it.due(0.0)
    it.answered(20, TRANSIENT, None, 0.1)
    it.answered(30, LIMITED, 1000.0, 0.1)
    it.add(job(4, A, B), 0.1)
    assert it.due(0.1) == [Over(20, ""), Over(30, ""), Over(41, "not asked: asked to wait 1000 s"), Start(40, 1)]
    it.answered(11, TRANSIENT, None, 0.2)
    assert it.due(0.2) == [Over(11, "")]
    assert it.host(B).state == "shut"


def test_a_blocking_host_is_shut_when_nothing_else_is_left_to_do() -> None:
    it = scheduler()
    fail_until_open(it, B, BLOCKED, 0.0)
    it.add(job(1, A, B), 0.0)
    assert it.due(0.0) == []
    assert it.due(5.0) == [Start(10, 1)]
    it.answered(10, TRANSIENT, None, 6.0)
    assert it.due(6.0) == [], "another try is left"
    assert it.due(6.5) == [Start(10, 2)]
    it.answered(10, None, None, 7.0)
    assert it.due(7.0) == [Over(10, ""), Over(11, "not asked: blocked 3 times in a row; nothing else was left to do")]
    assert it.idle


# Invariants


budgets = st.builds(
    lambda n, gap, jitter, rate, attempts: Budget(
        n, min_gap_s=gap, jitter_s=jitter, max_per_s=rate, max_attempts=attempts, breaker=BreakerRule(3, 6, 4, 10.0, 2.0, 8.0, 20.0, 30.0, 20.0)
    ),
    st.integers(1, 4),
    st.sampled_from([0.0, 0.0, 0.1, 0.7]),
    st.sampled_from([0.0, 0.2]),
    st.sampled_from([None, None, 0.5, 2.0, 3.7]),
    st.integers(1, 3),
)
all_budgets = st.fixed_dictionaries({A: budgets, B: budgets, C: budgets})
arrivals = st.lists(
    st.tuples(st.sampled_from([0.0, 0.0, 0.0, 1.0, 7.5]), st.integers(0, 9), st.lists(st.sampled_from([A, B, C]), min_size=1, max_size=6)),
    max_size=40,
).map(lambda drawn: [(at, job(key, *hosts, rank=rank)) for key, (at, rank, hosts) in enumerate(drawn)])
moves = st.lists(st.tuples(st.floats(0, 30), st.integers(0, 39), st.integers(-1, 9)), max_size=10)
"""Time, job, and its new rank, or -1: withdrawn."""


class Weather:
    """Failures as they come: each host now and then refuses, blocks, hangs or is away for a while."""

    def __init__(self, seed: int, share: float) -> None:
        self.rng = Random(seed)
        self.share = share
        self.outages = {host: (self.rng.uniform(0, 20), self.rng.uniform(0, 40), self.rng.random() < share) for host in (A, B, C)}
        self.failures = self.rng.choices([*RULES], k=2)

    def __call__(self, ask: Ask, attempt: int, now: float) -> Fate:
        starts, lasts, away = self.outages[ask.host]
        if away and starts <= now < starts + lasts:
            return Fate(self.rng.choice([0.001, 30.0]), TRANSIENT)
        latency_s = lognormal(0.25, 0.7, self.rng)
        if self.rng.random() < self.share:
            return Fate(latency_s, self.rng.choice(self.failures), self.rng.choice([None, 0.0, 2.0, 19.0, 25.0]))
        return Fate(latency_s)


def stormy(
    jobs: list[tuple[float, Job]], allowed: dict[Platform, Budget], moved: list[tuple[float, int, int]], seed: int, share: float, patience: int
) -> Trace:
    late = Random(seed)
    events = [(at, lambda it, k=k, r=r: it.withdraw(k, "moved") if r < 0 else it.rerank(k, (r,))) for at, k, r in moved]
    it = Scheduler(allowed, patience=patience, rng=Random(seed))
    return play(it, jobs, Weather(seed, share), events, late_s=lambda: late.choice([0.0, 0.003]))


@settings(deadline=None)  # a busy machine is no failure
@given(arrivals, all_budgets, moves, st.integers(0, 999), st.sampled_from([0.0, 0.1, 0.5, 1.0]), st.integers(0, 9))
def test_whatever_fails_budgets_and_tries_are_kept_and_every_ask_ends_once(
    jobs: list[tuple[float, Job]],
    allowed: dict[Platform, Budget],
    moved: list[tuple[float, int, int]],
    seed: int,
    share: float,
    patience: int,
) -> None:
    trace = stormy(jobs, allowed, moved, seed, share, patience)
    check_budgets(trace, allowed)
    asks = [ask for _, job in jobs for ask in job.asks]
    assert Counter(key for _, key, _ in trace.overs) == Counter(ask.key for ask in asks)
    reasons = {key: reason for _, key, reason in trace.overs}
    for ask in asks:
        tries = trace.tries(ask.key)
        assert [attempt.number for attempt in tries] == list(range(1, len(tries) + 1))
        assert len(tries) <= allowed[ask.host].max_attempts
        assert all(attempt.fate.failure and RULES[attempt.fate.failure].tried_again for attempt in tries[:-1])
        assert reasons[ask.key].startswith("not asked: ") if not tries else reasons[ask.key] == ""
        assert all(later.started_at >= earlier.ended_at for earlier, later in pairwise(tries))
        told = [(a.ended_at + (a.fate.told_s or 0), b.started_at) for a, b in pairwise(tries) if a.fate.failure is LIMITED]
        assert all(again >= not_before for not_before, again in told)
    assert stormy(jobs, allowed, moved, seed, share, patience) == trace, "the same again"


@settings(deadline=None)  # a busy machine is no failure
@given(arrivals, all_budgets, st.integers(0, 999), st.integers(0, 9))
def test_a_jobs_first_requests_start_together_and_its_further_ones_have_the_next_turns(
    jobs: list[tuple[float, Job]], allowed: dict[Platform, Budget], seed: int, patience: int
) -> None:
    trace = play(Scheduler(allowed, patience=patience, rng=Random(seed)), jobs, Weather(seed, 0.0))
    for _, it in jobs:
        for host in {ask.host for ask in it.asks}:
            starts = trace.of(host)
            mine = [n for n, attempt in enumerate(starts) if attempt.job == it.key]
            assert starts[mine[0]].started_at == trace.first_start(it.key)
            assert starts[mine[0]].turn == min(attempt.turn for attempt in trace.attempts if attempt.job == it.key)
            at_once = min(len(mine), allowed[host].max_in_flight)
            assert mine[:at_once] == list(range(mine[0], mine[0] + at_once))


def small(jobs: list[tuple[float, Job]], allowed: dict[Platform, Budget]) -> list[tuple[float, Job]]:
    """Only those that fit whole into their hosts' slots."""
    return [(at, it) for at, it in jobs if all(n <= allowed[host].max_in_flight for host, n in Counter(ask.host for ask in it.asks).items())]


class Observed(Scheduler):
    """Fails when, after a call of `due`, a job waits though it would have found room, or though one of lower rank just took what it needs.
    For hosts without jitter and rate that never fail, and jobs that fit whole into their slots."""

    def __init__(self, budgets: dict[Platform, Budget], **options: Any) -> None:
        super().__init__(budgets, **options)
        self.allowed = budgets
        self.free = {host: budget.max_in_flight for host, budget in budgets.items()}
        self.turn_at = dict.fromkeys(budgets, 0.0)
        self.owed: dict[Platform, set[int]] = {host: set() for host in budgets}
        """Asks of jobs that have started, which have not started yet."""
        self.waiting: dict[int, Job] = {}
        self.order: dict[int, int] = {}
        self.of: dict[int, tuple[Ask, Job]] = {}

    def add(self, job: Job, now: float) -> None:
        super().add(job, now)
        self.waiting[job.key] = job
        self.order[job.key] = len(self.order)
        self.of |= {ask.key: (ask, job) for ask in job.asks}

    def answered(self, ask: int, failure: FailureClass | None, told_s: float | None, now: float) -> None:
        super().answered(ask, failure, told_s, now)
        self.free[self.of[ask][0].host] += 1

    def due(self, now: float) -> list[Start | Over]:
        actions = super().due(now)
        begun = []
        for start in (action for action in actions if isinstance(action, Start)):
            ask, job = self.of[start.ask]
            if self.waiting.pop(job.key, None):
                begun.append(job)
                for one in job.asks:
                    self.owed[one.host].add(one.key)
                    self.free[one.host] -= 1
            self.owed[ask.host].remove(ask.key)
            self.turn_at[ask.host] = now + self.allowed[ask.host].min_gap_s
        for job in self.waiting.values():
            need = Counter(ask.host for ask in job.asks)
            room = [self.free[host] >= n and not self.owed[host] and self.turn_at[host] <= now for host, n in need.items()]
            assert not all(room), "waits for nothing"
            for other in begun:
                if need <= Counter(ask.host for ask in other.asks):
                    assert (other.rank, self.order[other.key]) < (job.rank, self.order[job.key]), "a job of lower rank took its place"
        return actions


@settings(deadline=None)  # a busy machine is no failure
@given(arrivals, all_budgets, st.integers(0, 999))
def test_a_job_starts_as_soon_as_its_slots_and_turns_are_free_and_the_best_rank_first(
    jobs: list[tuple[float, Job]], allowed: dict[Platform, Budget], seed: int
) -> None:
    allowed = {host: replace(budget, jitter_s=0.0, max_per_s=None) for host, budget in allowed.items()}
    jobs = small(jobs, allowed)
    trace = play(Observed(allowed, patience=10_000, rng=Random(seed)), jobs, Weather(seed, 0.0))
    assert {attempt.job for attempt in trace.attempts} == {it.key for _, it in jobs}


@settings(deadline=None)  # a busy machine is no failure
@given(arrivals, all_budgets, st.integers(0, 999), st.integers(0, 3))
def test_the_first_job_passed_over_often_enough_waits_for_nobody_who_starts_later(
    jobs: list[tuple[float, Job]], allowed: dict[Platform, Budget], seed: int, patience: int
) -> None:
    # All at the start, so that none of better rank comes later; then whoever is first in the end only waits for what is under way.
    jobs = [(0.0, it) for _, it in small(jobs, allowed)]
    trace = play(Scheduler(allowed, patience=patience, rng=Random(seed)), jobs, Weather(seed, 0.0))
    began = {it.key: trace.first_start(it.key) for _, it in jobs}
    longest_s = max((attempt.fate.latency_s for attempt in trace.attempts), default=0.0)
    turns_s = 4 * max(
        budget.min_gap_s + budget.jitter_s + (max(1.0, 1 / budget.max_per_s) if budget.max_per_s else 0.0) for budget in allowed.values()
    )
    first_since = 0.0
    for _, it in sorted(jobs, key=lambda arrival: (arrival[1].rank, arrival[1].key)):
        hosts = {ask.host for ask in it.asks}
        passes = Counter[int]()
        for attempt in trace.attempts:
            if attempt.ask.host in hosts and first_since < attempt.started_at < began[it.key] and attempt.started_at == began[attempt.job]:
                passes[attempt.job] += 1
        if len(passes) >= patience:
            kept_from = sorted(began[key] for key in passes)[patience - 1] if patience else first_since
            assert began[it.key] <= kept_from + longest_s + turns_s
        first_since = max(first_since, began[it.key])


@settings(deadline=None)  # a busy machine is no failure
@given(
    st.lists(st.lists(st.sampled_from([A, B, C]), min_size=1, max_size=3, unique=True), min_size=1, max_size=60), st.integers(0, 999), st.booleans()
)
def test_a_host_that_answers_nothing_delays_the_others_no_longer_than_it_is_waited_for(wanted: list[list[Platform]], seed: int, hangs: bool) -> None:
    allowed = {A: Budget(3), B: Budget(200), C: Budget(200)}
    rng = Random(seed)

    def fate_of(ask: Ask, attempt: int, now: float) -> Fate:
        if ask.host is A:
            return Fate(45.0 if hangs else 0.01, TRANSIENT)
        return Fate(lognormal(0.25, 0.7, rng))

    trace = play(Scheduler(allowed, rng=rng), [(0.0, job(key, *hosts)) for key, hosts in enumerate(wanted)], fate_of)
    # Until it is noticed: a stall, or a dozen failures in threes with their pauses between.
    noticed_s = allowed[A].breaker.stall_s
    assert all(attempt.started_at <= noticed_s + 5.0 for attempt in trace.attempts if attempt.ask.host is not A)


# Runs


def shown(attempts: list[Attempt]) -> list[tuple[int, FailureClass | None]]:
    return [(attempt.number, attempt.fate.failure) for attempt in attempts]


@pytest.mark.parametrize("seed", range(5))
def test_an_outage_of_all_hosts_loses_nothing(seed: int) -> None:
    rng = Random(seed)
    allowed = {A: Budget(16), B: Budget(5, min_gap_s=0.1), C: Budget(12, min_gap_s=0.025)}

    def fate_of(ask: Ask, attempt: int, now: float) -> Fate:
        latency_s = lognormal(0.25, 0.7, rng)
        if 10 <= now < 40:
            return Fate(0.001, TRANSIENT)
        return Fate(10 - now, TRANSIENT) if now < 10 < now + latency_s else Fate(latency_s)

    trace = play(Scheduler(allowed, rng=rng), [(0.0, it) for it in fixtures(600, rng)], fate_of)
    last = {attempt.ask.key: attempt for attempt in trace.attempts}
    assert {attempt.fate.failure for attempt in last.values()} == {None}
    assert len(last) == len(trace.overs)
    for host in allowed:
        during = [attempt.started_at for attempt in trace.of(host) if 10 <= attempt.started_at < 40]
        assert sum(later - earlier >= 2.0 for earlier, later in pairwise(during)) <= 6, "probes"


def test_a_host_that_refuses_for_a_while_is_asked_once_a_round_and_no_request_loses_its_last_try() -> None:
    rng = Random(6)
    allowed = {A: Budget(10), B: Budget(10)}

    def fate_of(ask: Ask, attempt: int, now: float) -> Fate:
        return Fate(0.2, LIMITED, 2.0) if ask.host is B and 5 <= now < 25 else Fate(0.2)

    trace = play(Scheduler(allowed, rng=rng), [(0.0, job(key, A, B)) for key in range(400)], fate_of)
    assert {shown(trace.tries(10 * key + 1))[-1][1] for key in range(400)} == {None}
    assert max(attempt.number for attempt in trace.attempts) <= 3
    assert sum(6 <= attempt.started_at < 25 for attempt in trace.of(B)) <= 10


def test_a_cycle_ends_near_its_floor_with_the_skew_of_the_latencies_alone() -> None:
    rng = Random(1)
    jobs = fixtures(1500, rng)
    allowed = {A: Budget(50), B: Budget(50), C: Budget(15, min_gap_s=0.025)}
    trace = play(Scheduler(allowed, rng=rng), [(0.0, it) for it in jobs], lambda ask, attempt, now: Fate(lognormal(0.25, 0.7, rng)))
    check_budgets(trace, allowed)
    floor = max(floor_s({host: [attempt.fate.latency_s for attempt in trace.of(host)] for host in allowed}, allowed).values())
    assert trace.ended_at <= 1.06 * floor
    first: dict[int, dict[Platform, list[Attempt]]] = {}
    for attempt in trace.attempts:
        first.setdefault(attempt.job, {}).setdefault(attempt.ask.host, []).append(attempt)
    skews, drawn = [], []
    for hosts in first.values():
        if len(hosts) > 1:
            ends = [min(attempt.ended_at for attempt in attempts) for attempts in hosts.values()]
            latencies = [min(attempt.fate.latency_s for attempt in attempts) for attempts in hosts.values()]
            skews.append(max(ends) - min(ends))
            drawn.append(max(latencies) - min(latencies))
    at = int(0.95 * len(skews))
    assert sorted(skews)[at] <= 1.05 * sorted(drawn)[at]
