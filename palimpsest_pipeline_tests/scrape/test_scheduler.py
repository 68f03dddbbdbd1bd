"""What the scheduler promises, each rule by example."""

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from palimpsest_pipeline.domain.enums import FailureClass, Platform
from palimpsest_pipeline.scrape.host_budget import BreakerRule, Budget
from palimpsest_pipeline.scrape.host_queue import Host
from palimpsest_pipeline.scrape.scheduler import OUT_OF_TIME, Ask, Job, Over, Scheduler, Start
from palimpsest_pipeline.scrape.sinks import HostView
from palimpsest_pipeline.wire.retry_rules import RULES

from .simulated import BET9JA, PAWA, SPORTY, job

A, B, C = PAWA, SPORTY, BET9JA
TRANSIENT, LIMITED, BLOCKED = FailureClass.TRANSIENT, FailureClass.RATE_LIMITED, FailureClass.BLOCKED
FIXED = Budget(4, backoff_jitter=False)
"""Waits 0.5 s, then 1 s."""


def scheduler(budgets: dict[Platform, Budget] | None = None, **options: Any) -> Scheduler:
    return Scheduler({A: FIXED, B: FIXED, C: FIXED} | (budgets or {}), rng=Random(1), **options)


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


def test_what_a_job_was_passed_over_for_is_settled_when_it_starts() -> None:
    it = scheduler(budgets={A: Budget(1, backoff_jitter=False), B: Budget(2, backoff_jitter=False)}, patience=2)
    for number, hosts in enumerate([(A,), (A, B), (B,), (B,)], 1):
        it.add(job(number, *hosts), 0.0)
    assert it.due(0.0) == [Start(10, 1), Start(30, 1), Start(40, 1)]
    for key in (10, 30, 40):
        it.answered(key, None, None, 1.0)
    assert it.due(1.0) == [Over(10, ""), Over(30, ""), Over(40, ""), Start(20, 1), Start(21, 1)]
    it.answered(20, TRANSIENT, None, 2.0)
    it.answered(21, TRANSIENT, None, 2.0)
    it.add(job(7, A), 2.0)
    assert it.due(2.0) == [Start(70, 1)]
    it.add(job(8, B), 2.5)
    it.add(job(9, B), 2.5)
    assert it.due(2.5) == [Start(80, 1), Start(90, 1)], "its further tries are passed over as often as others"


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


def test_a_job_that_ran_out_of_time_says_nothing_of_its_host() -> None:
    it = scheduler(budgets={A: replace(FIXED, breaker=BreakerRule(window=1, failed_of_window=1))})
    it.add(job(1, A, A, A, A, A), 0.0)
    it.due(0.0)
    it.withdraw(1, "the time was over", is_timed_out=True)
    for key in (10, 11, 12, 13):
        it.answered(key, TRANSIENT, None, 1.0)
    assert it.due(1.0) == [Over(14, "not asked: the time was over"), *(Over(key, "") for key in (10, 11, 12, 13))]
    assert (it.idle, it.host(A).state) == (True, "closed")


# Jobs that are extended


def test_an_ask_that_is_added_to_a_job_that_waits_starts_with_it() -> None:
    it = scheduler(budgets={A: replace(FIXED, max_in_flight=1)})
    it.add(job(1, A), 0.0)
    it.add(job(2, A), 0.0)
    assert it.due(0.0) == [Start(10, 1)]
    assert it.extend(2, [Ask(25, B)], 1.0)
    assert it.due(1.0) == []
    it.answered(10, None, None, 2.0)
    assert it.due(2.0) == [Over(10, ""), Start(20, 1), Start(25, 1)]


def test_an_ask_that_is_added_to_a_job_under_way_starts_alone() -> None:
    it = scheduler()
    it.add(job(1, A), 0.0)
    it.due(0.0)
    assert it.extend(1, [Ask(15, B)], 1.0)
    assert it.due(1.0) == [Start(15, 1)]
    it.answered(10, None, None, 2.0)
    it.answered(15, None, None, 2.0)
    assert it.due(2.0) == [Over(10, ""), Over(15, "")]
    assert it.idle


def test_an_ask_that_is_added_shortly_before_another_try_of_its_job_waits_for_it() -> None:
    it = scheduler()
    it.add(job(1, A), 0.0)
    it.due(0.0)
    it.answered(10, TRANSIENT, None, 1.0)
    assert it.extend(1, [Ask(15, B)], 1.2)
    assert (it.due(1.2), it.wake_at()) == ([], 1.5)
    assert it.due(1.5) == [Start(10, 2), Start(15, 1)]


def test_a_job_that_is_over_or_withdrawn_is_not_extended() -> None:
    it = scheduler()
    for key in (1, 2):
        it.add(job(key, A), 0.0)
    it.due(0.0)
    it.answered(10, None, None, 1.0)
    it.withdraw(2, "it has kicked off")
    assert not any(it.extend(key, [Ask(15, B)], 1.0) for key in (1, 2, 77))
    assert it.due(1.0) == [Over(10, "")]


@pytest.mark.parametrize("asks", [[], [Ask(10, A)], [Ask(15, A), Ask(15, B)]])
def test_a_job_is_extended_by_new_asks_only(asks: list[Ask]) -> None:
    it = scheduler()
    it.add(job(1, A), 0.0)
    with pytest.raises(ValueError, match="keys that are new"):
        it.extend(1, asks, 0.0)
    with pytest.raises(ValueError, match="no budget for bet9ja"):
        Scheduler({A: FIXED}).extend(1, [Ask(15, C)], 0.0)


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


def test_a_blocking_host_is_left_out_at_once_and_shut_when_nothing_else_is_left_to_do() -> None:
    it = scheduler()
    fail_until_open(it, B, BLOCKED, 0.0)
    it.add(job(1, A, B), 0.0)
    assert it.due(0.0) == [Start(10, 1)], "it is not waited for"
    it.answered(10, TRANSIENT, None, 6.0)
    assert it.due(6.0) == [], "another try is left"
    assert it.due(6.5) == [Start(10, 2)]
    it.answered(10, None, None, 7.0)
    assert it.due(7.0) == [Over(10, ""), Over(11, "not asked: blocked 3 times in a row; nothing else was left to do")]
    assert it.idle


def test_a_request_that_has_its_slot_and_waits_for_its_turn_is_something_left_to_do() -> None:
    it = scheduler(budgets={A: Budget(4, min_gap_s=1.0)})
    fail_until_open(it, B, BLOCKED, 0.0)
    it.add(job(1, B), 0.0)
    it.add(job(2, A, A), 0.0)
    assert it.due(0.0) == [Start(20, 1)]
    it.answered(20, None, None, 0.5)
    assert it.due(0.5) == [Over(20, "")]
    assert it.due(1.0) == [Start(21, 1)]
    it.answered(21, None, None, 1.5)
    assert it.due(1.5) == [Over(21, ""), Over(10, "not asked: blocked 3 times in a row; nothing else was left to do")]


# The end


def test_at_the_end_what_waits_is_over_and_what_is_under_way_is_not_tried_again() -> None:
    it = scheduler(budgets={A: Budget(1, backoff_jitter=False)})
    it.end_at(8.0, 0.0)
    it.add(job(1, A), 0.0)
    it.add(job(2, A), 0.0)
    it.add(job(3, B), 0.0)
    assert it.due(0.0) == [Start(10, 1), Start(30, 1)]
    it.answered(30, TRANSIENT, None, 7.8)
    assert it.due(7.8) == []
    assert it.wake_at() == 8.0, "the end comes before another try"
    assert it.due(8.0) == [Over(20, f"not asked: {OUT_OF_TIME}"), Over(30, "")]
    it.answered(10, TRANSIENT, None, 8.0)
    assert it.due(8.0) == [Over(10, "")]
    assert it.idle
    it.add(job(4, A), 9.0)
    assert it.due(9.0) == [Over(40, f"not asked: {OUT_OF_TIME}")]


def test_what_ends_for_want_of_time_says_nothing_of_its_host() -> None:
    it = scheduler(budgets={A: Budget(20)})
    it.end_at(10.0, 0.0)
    for key in range(1, 21):
        it.add(job(key, A), 0.0)
    it.due(0.0)
    for key in range(1, 21):
        it.answered(10 * key, TRANSIENT, None, 10.0)
    it.due(10.0)
    assert it.host(A).state == "closed"


def test_a_host_that_is_open_at_the_end_is_named_as_the_reason() -> None:
    it = scheduler()
    it.end_at(10.0, 0.0)
    fail_until_open(it, B, LIMITED, 0.0, told_s=30.0)
    it.add(job(1, B), 0.0)
    assert it.due(0.0) == []
    assert it.due(10.0) == [Over(10, f"not asked: asked to wait 30 s; {OUT_OF_TIME}")]


def test_half_way_to_the_end_no_job_waits_for_room_on_a_slow_host_to_start_on_the_others() -> None:
    it = scheduler(budgets={B: Budget(1)})
    it.end_at(12.0, 0.0)
    for key in (1, 2, 3):
        it.add(job(key, A, B), 0.0)
    assert it.due(0.0) == [Start(10, 1), Start(11, 1)]
    assert it.due(5.0) == [], "the slow host gives the pace"
    assert it.wake_at() == 6.0
    assert it.due(6.0) == [Start(20, 1), Start(30, 1)]
    it.answered(11, None, None, 8.0)
    assert it.due(8.0) == [Over(11, ""), Start(21, 1)], "on the slow one the best goes first, as before"
    assert it.due(12.0) == [Over(31, f"not asked: {OUT_OF_TIME}")]


# Hosts that others found in trouble


def test_a_host_that_is_held_is_asked_one_thing_when_its_time_comes_and_not_waited_for() -> None:
    it = scheduler()
    it.hold(B, "asked to wait 30 s", 30.0, 0.0)
    it.add(job(1, A, B), 0.0)
    it.add(job(2, A, B), 0.0)
    assert it.due(0.0) == [Start(10, 1), Start(20, 1)]
    assert (it.wake_at(), it.host(B).rest_s) == (10.0, 30.0), "host A may stall"
    assert it.due(30.0) == [Start(11, 1)]
    it.answered(11, None, None, 31.0)
    assert it.due(31.0) == [Over(11, ""), Start(21, 1)]
    assert it.host(B).state == "closed"


def test_a_host_that_is_held_and_not_blocking_is_waited_for_when_nothing_else_is_left_to_do() -> None:
    it = scheduler()
    it.hold(B, "failed twice for one request", 5.0, 0.0, blocked=False)
    it.add(job(1, A, B), 0.0)
    assert it.due(0.0) == [Start(10, 1)], "the other host does not wait for it"
    it.answered(10, None, None, 1.0)
    assert it.due(1.0) == [Over(10, "")]
    assert it.wake_at() == 5.0
    assert it.due(5.0) == [Start(11, 1)]
    it.answered(11, None, None, 6.0)
    assert it.due(6.0) == [Over(11, "")]
    assert it.host(B).state == "closed"


def test_a_host_that_was_held_until_a_little_while_ago_is_asked_one_thing_first() -> None:
    it = scheduler()
    it.hold(B, "no answer for 10 s", 0.0, 0.0)
    it.add(job(1, A, B), 0.0)
    it.add(job(2, A, B), 0.0)
    assert it.due(0.0) == [Start(11, 1), Start(10, 1), Start(20, 1)]
    it.answered(11, BLOCKED, None, 1.0)
    it.due(1.0)
    assert it.host(B) == HostView(0, 0, "shut", "blocked, and still so when asked again", 60.0)


def test_a_host_that_is_held_for_longer_than_one_waits_is_not_asked_at_all() -> None:
    it = scheduler()
    it.hold(B, "asked to wait 600 s", 600.0, 0.0)
    it.add(job(1, A, B), 0.0)
    assert it.due(0.0) == [Over(11, "not asked: asked to wait 600 s"), Start(10, 1)]
    assert it.host(B).rest_s == 600.0


def test_what_cycle_after_cycle_finds_of_a_host_names_its_failure_and_never_grows() -> None:
    reasons, told = [], set()
    for cycle in range(4):
        it = scheduler(budgets={A: Budget(1), B: Budget(1, max_attempts=1)})
        if cycle:
            it.hold(B, reasons[-1], 0.0, 0.0)
        it.add(job(1, B), 0.0)
        it.add(job(2, B), 0.0)
        now = 0.0
        while not it.idle:
            for action in it.due(now):
                if isinstance(action, Start):
                    it.answered(action.ask, BLOCKED, None, now, "HTTP 503: a challenge page")
                else:
                    told.add(action.reason)
            now += 0.5
        reasons.append(it.host(B).reason)
    assert len(set(reasons[1:])) == 1, reasons
    assert all("HTTP 503" in reason for reason in reasons[1:])
    assert not [reason for reason in told if reason.count("nothing else") > 1]


def test_a_host_that_fails_is_held_for_its_failure_and_not_for_what_this_cycle_had_left_to_do() -> None:
    it = scheduler()
    it.hold(B, "failed twice for one request", 5.0, 0.0)
    it.add(job(1, B), 0.0)
    assert it.due(0.0) == [Over(10, "not asked: failed twice for one request; nothing else was left to do")]
    assert it.host(B) == HostView(0, 0, "shut", "failed twice for one request", 5.0), "what the next cycle is told"


def test_why_a_host_was_left_alone_says_what_its_last_answer_was() -> None:
    it = scheduler(budgets={B: Budget(1, backoff_initial_s=0, backoff_max_s=0)})
    it.add(job(1, B), 0.0)
    for now in (0.0, 1.0):
        assert it.due(now)[0] == Start(10, 1 + int(now))
        it.answered(10, TRANSIENT, None, now, "HTTP 503")
    it.due(1.0)
    assert it.host(B).reason == "failed twice for one request, and answered no other meanwhile, the last one with: HTTP 503"
