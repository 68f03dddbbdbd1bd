"""What the scheduler promises, each rule by example."""

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from palimpsest_pipeline.domain.enums import FailureClass, Platform
from palimpsest_pipeline.scrape.host_budget import BreakerRule, HostBudget
from palimpsest_pipeline.scrape.host_queue import HostQueue
from palimpsest_pipeline.scrape.scheduler import (
    OUT_OF_TIME_REASON,
    RequestFinished,
    RequestJob,
    ScheduledRequest,
    Scheduler,
    StartRequest,
)
from palimpsest_pipeline.scrape.sinks import HostView

from .simulated import BET9JA, PAWA, SPORTY, job

A, B, C = PAWA, SPORTY, BET9JA
TRANSIENT, LIMITED, BLOCKED = FailureClass.TRANSIENT, FailureClass.RATE_LIMITED, FailureClass.BLOCKED
FIXED = HostBudget(4, backoff_jitter=False)
"""Waits 0.5 s, then 1 s."""


def scheduler(budgets: dict[Platform, HostBudget] | None = None, **options: Any) -> Scheduler:
    return Scheduler({A: FIXED, B: FIXED, C: FIXED} | (budgets or {}), rng=Random(1), **options)


def fail_until_open(
    it: Scheduler, host: Platform, failure: FailureClass, now: float, *, first: int = 90, told_s: float | None = None
) -> None:
    """Jobs of their own fail, never to be tried again, until the host is open."""
    for key in range(first, first + 12):
        if it.view_host(host).state == "open":
            return
        it.add_job(job(key, host, rank=-1), now)
        assert StartRequest(10 * key, 1) in it.take_due_actions(now)
        it.withdraw_job(key, "")
        it.record_answer(10 * key, failure, told_s, now)
        it.take_due_actions(now)
    assert it.view_host(host).state == "open"


# Adding, and being over


def test_a_job_needs_asks_known_hosts_and_new_keys() -> None:
    it = Scheduler({A: FIXED})
    it.add_job(job(1, A), 0.0)
    for wrong in (
        job(2),
        job(2, B),
        job(1, A),
        RequestJob(2, (0,), (ScheduledRequest(10, A),)),
        RequestJob(2, (0,), (ScheduledRequest(20, A), ScheduledRequest(20, A))),
    ):
        with pytest.raises(ValueError, match=r"a job needs at least one request|no budget for"):
            it.add_job(wrong, 0.0)
    assert it.take_due_actions(0.0) == [StartRequest(10, 1)]
    it.record_answer(10, None, None, 1.0)
    with pytest.raises(ValueError, match="is not in flight"):
        it.record_answer(10, None, None, 1.0)
    assert not it.is_idle, "the end has not been said"
    assert it.take_due_actions(1.0) == [RequestFinished(10, "")]
    assert it.is_idle
    with pytest.raises(ValueError, match="a job needs at least one request"):
        it.add_job(job(1, A), 0.0)


# Waiting


def test_what_failed_is_tried_again_after_its_back_off_up_to_the_budgets_attempts() -> None:
    it = scheduler()
    it.add_job(job(1, A), 0.0)
    assert it.take_due_actions(0.0) == [StartRequest(10, 1)]
    it.record_answer(10, TRANSIENT, None, 1.0)
    assert (it.take_due_actions(1.0), it.find_next_due_at(), it.view_host(A).n_in_flight) == ([], 1.5, 0)
    assert it.take_due_actions(1.5) == [StartRequest(10, 2)]
    it.record_answer(10, TRANSIENT, None, 2.0)
    assert (it.take_due_actions(2.0), it.find_next_due_at()) == ([], 3.0)
    it.add_job(job(2, A), 2.5)
    assert it.take_due_actions(2.5) == [], (
        "no request has gone well since the first failure: the host is asked for nothing for a while"
    )
    it.withdraw_job(2, "")
    it.take_due_actions(3.0)
    assert it.take_due_actions(4.0) == [StartRequest(10, 3)]
    it.record_answer(10, TRANSIENT, None, 4.5)
    assert it.take_due_actions(4.5) == [RequestFinished(10, "")]
    assert it.is_idle


def test_back_off_grows_up_to_its_bound_and_is_drawn_below_it() -> None:
    host = HostQueue[ScheduledRequest](HostBudget(1, backoff_initial_s=1.0, backoff_max_s=3.0))
    drawn = {
        attempts: [host.draw_backoff_s(attempts, Random(seed)) for seed in range(200)] for attempts in (1, 2, 3, 4)
    }
    for attempts, bound in ((1, 1.0), (2, 2.0), (3, 3.0), (4, 3.0)):
        assert 0 <= min(drawn[attempts]) < 0.1 * bound < 0.9 * bound < max(drawn[attempts]) <= bound


def test_a_host_that_names_a_time_is_asked_again_then() -> None:
    it = scheduler()
    it.add_job(job(1, A), 0.0)
    it.take_due_actions(0.0)
    it.record_answer(10, LIMITED, 7.0, 1.0)
    assert it.take_due_actions(7.9) == []
    assert it.take_due_actions(8.0) == [StartRequest(10, 2)]


def test_parts_that_failed_together_are_tried_again_together() -> None:
    it = scheduler(budgets={B: replace(FIXED, backoff_initial_s=1.5)})
    it.add_job(job(1, A, B, C), 0.0)
    it.take_due_actions(0.0)
    it.record_answer(10, TRANSIENT, None, 1.0)
    it.record_answer(11, TRANSIENT, None, 1.0)
    it.record_answer(12, None, None, 1.0)
    assert (it.take_due_actions(1.0), it.find_next_due_at()) == ([RequestFinished(12, "")], 2.5)
    assert it.take_due_actions(2.5) == [StartRequest(10, 2), StartRequest(11, 2)]


def test_parts_due_far_apart_are_not_held_for_each_other() -> None:
    it = scheduler(budgets={B: replace(FIXED, backoff_initial_s=4.0)})
    it.add_job(job(1, A, B), 0.0)
    it.take_due_actions(0.0)
    it.record_answer(10, TRANSIENT, None, 1.0)
    it.record_answer(11, TRANSIENT, None, 1.0)
    assert (it.take_due_actions(1.0), it.find_next_due_at()) == ([], 1.5)
    assert (it.take_due_actions(1.5), it.find_next_due_at()) == ([StartRequest(10, 2)], 5.0)
    assert it.take_due_actions(5.0) == [StartRequest(11, 2)]


def test_a_part_that_comes_due_joins_one_that_has_found_no_room_yet() -> None:
    it = scheduler(budgets={A: HostBudget(1, backoff_jitter=False), B: replace(FIXED, backoff_initial_s=4.0)})
    it.add_job(job(1, A, B), 0.0)
    it.take_due_actions(0.0)
    it.record_answer(10, TRANSIENT, None, 1.0)
    it.record_answer(11, TRANSIENT, None, 1.0)
    it.add_job(job(2, A), 1.0)
    assert it.take_due_actions(1.0) == [StartRequest(20, 1)]
    assert it.take_due_actions(1.5) == it.take_due_actions(5.0) == []
    it.record_answer(20, None, None, 6.0)
    assert it.take_due_actions(6.0) == [RequestFinished(20, ""), StartRequest(10, 2), StartRequest(11, 2)]


def test_a_retry_goes_ahead_of_later_jobs() -> None:
    it = scheduler(budgets={A: HostBudget(1, backoff_jitter=False)})
    for key in (1, 2, 3):
        it.add_job(job(key, A), 0.0)
    assert it.take_due_actions(0.0) == [StartRequest(10, 1)]
    it.record_answer(10, TRANSIENT, None, 1.0)
    assert it.take_due_actions(1.0) == [StartRequest(20, 1)]
    it.record_answer(20, None, None, 2.0)
    assert it.take_due_actions(2.0) == [RequestFinished(20, ""), StartRequest(10, 2)]


# Starting


# Order


def test_after_enough_passes_slots_are_kept() -> None:
    it = scheduler(budgets={A: HostBudget(1), B: HostBudget(2)}, max_passes=2)
    it.add_job(job(1, A), 0.0)
    it.add_job(job(2, A, B), 0.0)
    for key in (3, 4, 5):
        it.add_job(job(key, B), 0.0)
    assert it.take_due_actions(0.0) == [StartRequest(10, 1), StartRequest(30, 1), StartRequest(40, 1)]
    it.record_answer(30, None, None, 1.0)
    assert it.take_due_actions(1.0) == [RequestFinished(30, "")], "the slot is kept"
    it.record_answer(40, None, None, 2.0)
    assert it.take_due_actions(2.0) == [RequestFinished(40, ""), StartRequest(50, 1)], "leaves it"
    it.record_answer(10, None, None, 3.0)
    assert it.take_due_actions(3.0) == [RequestFinished(10, ""), StartRequest(20, 1), StartRequest(21, 1)]


def test_slots_are_kept_from_the_pass_on_that_was_one_too_many() -> None:
    it = scheduler(budgets={A: HostBudget(1), B: HostBudget(3)}, max_passes=1)
    it.add_job(job(1, A), 0.0)
    it.add_job(job(2, A, B), 0.0)
    for key in (3, 4, 5):
        it.add_job(job(key, B), 0.0)
    assert it.take_due_actions(0.0) == [StartRequest(10, 1), StartRequest(30, 1), StartRequest(40, 1)]


def test_what_a_job_was_passed_over_for_is_settled_when_it_starts() -> None:
    it = scheduler(
        budgets={A: HostBudget(1, backoff_jitter=False), B: HostBudget(2, backoff_jitter=False)}, max_passes=2
    )
    for number, hosts in enumerate([(A,), (A, B), (B,), (B,)], 1):
        it.add_job(job(number, *hosts), 0.0)
    assert it.take_due_actions(0.0) == [StartRequest(10, 1), StartRequest(30, 1), StartRequest(40, 1)]
    for key in (10, 30, 40):
        it.record_answer(key, None, None, 1.0)
    assert it.take_due_actions(1.0) == [
        RequestFinished(10, ""),
        RequestFinished(30, ""),
        RequestFinished(40, ""),
        StartRequest(20, 1),
        StartRequest(21, 1),
    ]
    it.record_answer(20, TRANSIENT, None, 2.0)
    it.record_answer(21, TRANSIENT, None, 2.0)
    it.add_job(job(7, A), 2.0)
    assert it.take_due_actions(2.0) == [StartRequest(70, 1)]
    it.add_job(job(8, B), 2.5)
    it.add_job(job(9, B), 2.5)
    assert it.take_due_actions(2.5) == [StartRequest(80, 1), StartRequest(90, 1)], (
        "its further tries are passed over as often as others"
    )


def test_after_enough_passes_turns_are_kept() -> None:
    it = scheduler(budgets={A: HostBudget(1), B: HostBudget(9, min_gap_s=1.0)}, max_passes=1)
    it.add_job(job(1, A), 0.0)
    it.add_job(job(2, A, B), 0.0)
    it.add_job(job(3, B), 0.0)
    it.add_job(job(4, B), 0.0)
    assert it.take_due_actions(0.0) == [StartRequest(10, 1), StartRequest(30, 1)]
    assert it.take_due_actions(1.0) == []
    it.record_answer(10, None, None, 1.5)
    assert it.take_due_actions(1.5) == [RequestFinished(10, ""), StartRequest(20, 1), StartRequest(21, 1)]
    assert it.take_due_actions(2.5) == [StartRequest(40, 1)]


def test_a_job_that_moved_takes_its_new_place() -> None:
    it = scheduler(budgets={A: HostBudget(1)})
    for key in (1, 2, 3):
        it.add_job(job(key, A), 0.0)
    it.take_due_actions(0.0)
    it.rerank_job(3, (0,))
    it.rerank_job(1, (99,))
    it.rerank_job(77, (0,))
    it.record_answer(10, None, None, 1.0)
    assert it.take_due_actions(1.0) == [RequestFinished(10, ""), StartRequest(30, 1)]


def test_a_job_withdrawn_starts_nothing_more() -> None:
    it = scheduler(budgets={C: HostBudget(3, min_gap_s=1.0)})
    it.add_job(job(1, A, C, C), 0.0)
    it.add_job(job(2, A, C), 0.0)
    it.take_due_actions(0.0)
    for key in (1, 2, 77):
        it.withdraw_job(key, "it has kicked off")
    assert it.take_due_actions(0.0) == [
        RequestFinished(12, "not asked: it has kicked off"),
        RequestFinished(20, "not asked: it has kicked off"),
        RequestFinished(21, "not asked: it has kicked off"),
    ]
    it.record_answer(10, TRANSIENT, None, 1.0)
    it.record_answer(11, None, None, 1.0)
    assert it.take_due_actions(1.0) == [RequestFinished(10, ""), RequestFinished(11, "")]
    assert it.is_idle


def test_a_job_withdrawn_before_its_next_try_keeps_its_last_answer() -> None:
    it = scheduler()
    it.add_job(job(1, A), 0.0)
    it.take_due_actions(0.0)
    it.record_answer(10, TRANSIENT, None, 1.0)
    it.withdraw_job(1, "it has kicked off")
    assert (it.take_due_actions(1.0), it.find_next_due_at(), it.is_idle) == ([RequestFinished(10, "")], None, True)


def test_a_job_that_ran_out_of_time_says_nothing_of_its_host() -> None:
    it = scheduler(budgets={A: replace(FIXED, breaker=BreakerRule(window=1, max_failed_in_window=1))})
    it.add_job(job(1, A, A, A, A, A), 0.0)
    it.take_due_actions(0.0)
    it.withdraw_job(1, "the time was over", is_timed_out=True)
    for key in (10, 11, 12, 13):
        it.record_answer(key, TRANSIENT, None, 1.0)
    assert it.take_due_actions(1.0) == [
        RequestFinished(14, "not asked: the time was over"),
        *(RequestFinished(key, "") for key in (10, 11, 12, 13)),
    ]
    assert (it.is_idle, it.view_host(A).state) == (True, "closed")


# Jobs that are extended


def test_an_ask_that_is_added_to_a_job_that_waits_starts_with_it() -> None:
    it = scheduler(budgets={A: replace(FIXED, max_in_flight=1)})
    it.add_job(job(1, A), 0.0)
    it.add_job(job(2, A), 0.0)
    assert it.take_due_actions(0.0) == [StartRequest(10, 1)]
    assert it.extend_job(2, [ScheduledRequest(25, B)], 1.0)
    assert it.take_due_actions(1.0) == []
    it.record_answer(10, None, None, 2.0)
    assert it.take_due_actions(2.0) == [RequestFinished(10, ""), StartRequest(20, 1), StartRequest(25, 1)]


def test_an_ask_that_is_added_to_a_job_under_way_starts_alone() -> None:
    it = scheduler()
    it.add_job(job(1, A), 0.0)
    it.take_due_actions(0.0)
    assert it.extend_job(1, [ScheduledRequest(15, B)], 1.0)
    assert it.take_due_actions(1.0) == [StartRequest(15, 1)]
    it.record_answer(10, None, None, 2.0)
    it.record_answer(15, None, None, 2.0)
    assert it.take_due_actions(2.0) == [RequestFinished(10, ""), RequestFinished(15, "")]
    assert it.is_idle


def test_an_ask_that_is_added_shortly_before_another_try_of_its_job_waits_for_it() -> None:
    it = scheduler()
    it.add_job(job(1, A), 0.0)
    it.take_due_actions(0.0)
    it.record_answer(10, TRANSIENT, None, 1.0)
    assert it.extend_job(1, [ScheduledRequest(15, B)], 1.2)
    assert (it.take_due_actions(1.2), it.find_next_due_at()) == ([], 1.5)
    assert it.take_due_actions(1.5) == [StartRequest(10, 2), StartRequest(15, 1)]


def test_a_job_that_is_over_or_withdrawn_is_not_extended() -> None:
    it = scheduler()
    for key in (1, 2):
        it.add_job(job(key, A), 0.0)
    it.take_due_actions(0.0)
    it.record_answer(10, None, None, 1.0)
    it.withdraw_job(2, "it has kicked off")
    assert not any(it.extend_job(key, [ScheduledRequest(15, B)], 1.0) for key in (1, 2, 77))
    assert it.take_due_actions(1.0) == [RequestFinished(10, "")]


@pytest.mark.parametrize("asks", [[], [ScheduledRequest(10, A)], [ScheduledRequest(15, A), ScheduledRequest(15, B)]])
def test_a_job_is_extended_by_new_asks_only(asks: list[ScheduledRequest]) -> None:
    it = scheduler()
    it.add_job(job(1, A), 0.0)
    with pytest.raises(ValueError, match="keys that were not used before"):
        it.extend_job(1, asks, 0.0)
    with pytest.raises(ValueError, match="no budget for bet9ja"):
        Scheduler({A: FIXED}).extend_job(1, [ScheduledRequest(15, C)], 0.0)


# Hosts that fail


def test_an_open_host_is_waited_for_and_then_left_out() -> None:
    it = scheduler(budgets={B: replace(FIXED, breaker=BreakerRule(pause_s=8.0))})
    fail_until_open(it, B, TRANSIENT, 0.0)
    it.add_job(job(1, A, B, C), 1.0)
    it.add_job(job(2, A), 1.0)
    assert (it.take_due_actions(1.0), it.find_next_due_at()) == ([StartRequest(20, 1)], 5.0)
    assert (it.take_due_actions(5.0), it.find_next_due_at()) == ([StartRequest(10, 1), StartRequest(12, 1)], 8.0)
    assert it.view_host(B).n_waiting == 1
    assert it.take_due_actions(8.0) == [StartRequest(11, 1)], "the probe"
    assert it.view_host(B).state == "probing"


def test_a_host_that_closes_in_time_is_asked_with_the_others() -> None:
    it = scheduler()
    fail_until_open(it, B, TRANSIENT, 0.0)
    it.add_job(job(1, A, B), 0.0)
    it.add_job(job(2, B), 0.0)
    it.rerank_job(2, (0,))
    assert it.take_due_actions(0.0) == []
    assert it.take_due_actions(2.0) == [StartRequest(20, 1)]
    it.record_answer(20, None, None, 2.5)
    assert it.take_due_actions(2.5) == [RequestFinished(20, ""), StartRequest(10, 1), StartRequest(11, 1)]
    assert it.view_host(B).state == "closed"


def test_a_probe_is_the_best_of_those_with_the_fewest_attempts() -> None:
    it = scheduler()
    it.add_job(job(1, B), 0.0)
    it.take_due_actions(0.0)
    it.record_answer(10, TRANSIENT, None, 0.0)
    fail_until_open(it, B, TRANSIENT, 0.0)
    for key in (4, 3):
        it.add_job(job(key, A, B), 0.0)
    assert it.take_due_actions(2.0) == [StartRequest(31, 1), StartRequest(30, 1)], (
        "what else waits of its job goes along"
    )
    assert it.take_due_actions(2.5) == [], "one only"
    it.record_answer(31, TRANSIENT, None, 2.5)
    assert it.take_due_actions(2.5) == []
    assert it.take_due_actions(6.5) == [StartRequest(41, 1), StartRequest(40, 1)], "again one that has not been asked"


def test_slots_promised_on_a_host_that_opens_are_given_back() -> None:
    it = scheduler(budgets={C: HostBudget(3, min_gap_s=1.0)})
    it.add_job(job(1, C, C, C), 0.0)
    it.take_due_actions(0.0)
    it.record_answer(10, LIMITED, 3.0, 0.5)
    assert (it.take_due_actions(1.0), it.view_host(C).n_in_flight, it.view_host(C).n_waiting) == ([], 0, 3)
    assert it.take_due_actions(3.5) == [StartRequest(11, 1)]
    it.record_answer(11, None, None, 4.5)
    assert it.take_due_actions(4.5) == [RequestFinished(11, ""), StartRequest(10, 2)]
    assert it.take_due_actions(5.5) == [StartRequest(12, 1)]


def test_what_was_given_back_starts_when_the_host_closes_again() -> None:
    it = scheduler(budgets={C: HostBudget(5, min_gap_s=1.0, breaker=BreakerRule(max_failed_in_window=1))})
    it.add_job(job(1, C), 0.0)
    it.add_job(job(2, C), 0.0)
    it.add_job(job(3, C, C), 0.0)
    assert it.take_due_actions(0.0) + it.take_due_actions(1.0) + it.take_due_actions(2.0) == [
        StartRequest(10, 1),
        StartRequest(20, 1),
        StartRequest(30, 1),
    ]
    it.record_answer(10, TRANSIENT, None, 2.5)
    assert it.take_due_actions(2.5) == []
    it.record_answer(20, None, None, 2.75)
    assert it.take_due_actions(2.75) == [RequestFinished(20, "")]
    assert it.view_host(C).state == "closed"
    assert [action for now in (3.0, 4.0) for action in it.take_due_actions(now)] == [
        StartRequest(10, 2),
        StartRequest(31, 1),
    ]


def test_a_host_that_is_shut_is_asked_nothing_more() -> None:
    it = scheduler()
    it.add_job(job(1, A, B), 0.0)
    it.add_job(job(2, B), 0.0)
    it.add_job(job(3, B), 0.0)
    it.take_due_actions(0.0)
    it.record_answer(20, TRANSIENT, None, 0.1)
    it.record_answer(30, LIMITED, 1000.0, 0.1)
    it.add_job(job(4, A, B), 0.1)
    assert it.take_due_actions(0.1) == [
        RequestFinished(20, ""),
        RequestFinished(30, ""),
        RequestFinished(41, "not asked: asked to wait 1000 s"),
        StartRequest(40, 1),
    ]
    it.record_answer(11, TRANSIENT, None, 0.2)
    assert it.take_due_actions(0.2) == [RequestFinished(11, "")]
    assert it.view_host(B).state == "shut"


def test_a_blocking_host_is_left_out_at_once_and_shut_when_nothing_else_is_left_to_do() -> None:
    it = scheduler()
    fail_until_open(it, B, BLOCKED, 0.0)
    it.add_job(job(1, A, B), 0.0)
    assert it.take_due_actions(0.0) == [StartRequest(10, 1)], "it is not waited for"
    it.record_answer(10, TRANSIENT, None, 6.0)
    assert it.take_due_actions(6.0) == [], "another try is left"
    assert it.take_due_actions(6.5) == [StartRequest(10, 2)]
    it.record_answer(10, None, None, 7.0)
    assert it.take_due_actions(7.0) == [
        RequestFinished(10, ""),
        RequestFinished(11, "not asked: blocked 3 times in a row; nothing else was left to do"),
    ]
    assert it.is_idle


def test_a_request_that_has_its_slot_and_waits_for_its_turn_is_something_left_to_do() -> None:
    it = scheduler(budgets={A: HostBudget(4, min_gap_s=1.0)})
    fail_until_open(it, B, BLOCKED, 0.0)
    it.add_job(job(1, B), 0.0)
    it.add_job(job(2, A, A), 0.0)
    assert it.take_due_actions(0.0) == [StartRequest(20, 1)]
    it.record_answer(20, None, None, 0.5)
    assert it.take_due_actions(0.5) == [RequestFinished(20, "")]
    assert it.take_due_actions(1.0) == [StartRequest(21, 1)]
    it.record_answer(21, None, None, 1.5)
    assert it.take_due_actions(1.5) == [
        RequestFinished(21, ""),
        RequestFinished(10, "not asked: blocked 3 times in a row; nothing else was left to do"),
    ]


# The end


def test_at_the_end_what_waits_is_over_and_what_is_under_way_is_not_tried_again() -> None:
    it = scheduler(budgets={A: HostBudget(1, backoff_jitter=False)})
    it.set_end(8.0, 0.0)
    it.add_job(job(1, A), 0.0)
    it.add_job(job(2, A), 0.0)
    it.add_job(job(3, B), 0.0)
    assert it.take_due_actions(0.0) == [StartRequest(10, 1), StartRequest(30, 1)]
    it.record_answer(30, TRANSIENT, None, 7.8)
    assert it.take_due_actions(7.8) == []
    assert it.find_next_due_at() == 8.0, "the end comes before another try"
    assert it.take_due_actions(8.0) == [
        RequestFinished(20, f"not asked: {OUT_OF_TIME_REASON}"),
        RequestFinished(30, ""),
    ]
    it.record_answer(10, TRANSIENT, None, 8.0)
    assert it.take_due_actions(8.0) == [RequestFinished(10, "")]
    assert it.is_idle
    it.add_job(job(4, A), 9.0)
    assert it.take_due_actions(9.0) == [RequestFinished(40, f"not asked: {OUT_OF_TIME_REASON}")]


def test_what_ends_for_want_of_time_says_nothing_of_its_host() -> None:
    it = scheduler(budgets={A: HostBudget(20)})
    it.set_end(10.0, 0.0)
    for key in range(1, 21):
        it.add_job(job(key, A), 0.0)
    it.take_due_actions(0.0)
    for key in range(1, 21):
        it.record_answer(10 * key, TRANSIENT, None, 10.0)
    it.take_due_actions(10.0)
    assert it.view_host(A).state == "closed"


def test_a_host_that_is_open_at_the_end_is_named_as_the_reason() -> None:
    it = scheduler()
    it.set_end(10.0, 0.0)
    fail_until_open(it, B, LIMITED, 0.0, told_s=30.0)
    it.add_job(job(1, B), 0.0)
    assert it.take_due_actions(0.0) == []
    assert it.take_due_actions(10.0) == [RequestFinished(10, f"not asked: asked to wait 30 s; {OUT_OF_TIME_REASON}")]


def test_half_way_to_the_end_no_job_waits_for_room_on_a_slow_host_to_start_on_the_others() -> None:
    it = scheduler(budgets={B: HostBudget(1)})
    it.set_end(12.0, 0.0)
    for key in (1, 2, 3):
        it.add_job(job(key, A, B), 0.0)
    assert it.take_due_actions(0.0) == [StartRequest(10, 1), StartRequest(11, 1)]
    assert it.take_due_actions(5.0) == [], "the slow host gives the pace"
    assert it.find_next_due_at() == 6.0
    assert it.take_due_actions(6.0) == [StartRequest(20, 1), StartRequest(30, 1)]
    it.record_answer(11, None, None, 8.0)
    assert it.take_due_actions(8.0) == [RequestFinished(11, ""), StartRequest(21, 1)], (
        "on the slow one the best goes first, as before"
    )
    assert it.take_due_actions(12.0) == [RequestFinished(31, f"not asked: {OUT_OF_TIME_REASON}")]


# Hosts that others found in trouble


def test_a_host_that_is_held_is_asked_one_thing_when_its_time_comes_and_not_waited_for() -> None:
    it = scheduler()
    it.hold_host(B, "asked to wait 30 s", 30.0, 0.0)
    it.add_job(job(1, A, B), 0.0)
    it.add_job(job(2, A, B), 0.0)
    assert it.take_due_actions(0.0) == [StartRequest(10, 1), StartRequest(20, 1)]
    assert (it.find_next_due_at(), it.view_host(B).remaining_s) == (10.0, 30.0), "host A may stall"
    assert it.take_due_actions(30.0) == [StartRequest(11, 1)]
    it.record_answer(11, None, None, 31.0)
    assert it.take_due_actions(31.0) == [RequestFinished(11, ""), StartRequest(21, 1)]
    assert it.view_host(B).state == "closed"


def test_a_host_that_is_held_and_not_blocking_is_waited_for_when_nothing_else_is_left_to_do() -> None:
    it = scheduler()
    it.hold_host(B, "failed twice for one request", 5.0, 0.0, is_blocked=False)
    it.add_job(job(1, A, B), 0.0)
    assert it.take_due_actions(0.0) == [StartRequest(10, 1)], "the other host does not wait for it"
    it.record_answer(10, None, None, 1.0)
    assert it.take_due_actions(1.0) == [RequestFinished(10, "")]
    assert it.find_next_due_at() == 5.0
    assert it.take_due_actions(5.0) == [StartRequest(11, 1)]
    it.record_answer(11, None, None, 6.0)
    assert it.take_due_actions(6.0) == [RequestFinished(11, "")]
    assert it.view_host(B).state == "closed"


def test_a_host_that_was_held_until_a_little_while_ago_is_asked_one_thing_first() -> None:
    it = scheduler()
    it.hold_host(B, "no answer for 10 s", 0.0, 0.0)
    it.add_job(job(1, A, B), 0.0)
    it.add_job(job(2, A, B), 0.0)
    assert it.take_due_actions(0.0) == [StartRequest(11, 1), StartRequest(10, 1), StartRequest(20, 1)]
    it.record_answer(11, BLOCKED, None, 1.0)
    it.take_due_actions(1.0)
    assert it.view_host(B) == HostView(0, 0, "shut", "blocked, and still blocked in a test request", 60.0)


def test_a_host_that_is_held_for_longer_than_one_waits_is_not_asked_at_all() -> None:
    it = scheduler()
    it.hold_host(B, "asked to wait 600 s", 600.0, 0.0)
    it.add_job(job(1, A, B), 0.0)
    assert it.take_due_actions(0.0) == [RequestFinished(11, "not asked: asked to wait 600 s"), StartRequest(10, 1)]
    assert it.view_host(B).remaining_s == 600.0


def test_what_cycle_after_cycle_finds_of_a_host_names_its_failure_and_never_grows() -> None:
    reasons, told = [], set()
    for cycle in range(4):
        it = scheduler(budgets={A: HostBudget(1), B: HostBudget(1, max_attempts=1)})
        if cycle:
            it.hold_host(B, reasons[-1], 0.0, 0.0)
        it.add_job(job(1, B), 0.0)
        it.add_job(job(2, B), 0.0)
        now = 0.0
        while not it.is_idle:
            for action in it.take_due_actions(now):
                if isinstance(action, StartRequest):
                    it.record_answer(action.request_key, BLOCKED, None, now, "HTTP 503: a challenge page")
                else:
                    told.add(action.reason)
            now += 0.5
        reasons.append(it.view_host(B).reason)
    assert len(set(reasons[1:])) == 1, reasons
    assert all("HTTP 503" in reason for reason in reasons[1:])
    assert not [reason for reason in told if reason.count("nothing else") > 1]


def test_a_host_that_fails_is_held_for_its_failure_and_not_for_what_this_cycle_had_left_to_do() -> None:
    it = scheduler()
    it.hold_host(B, "failed twice for one request", 5.0, 0.0)
    it.add_job(job(1, B), 0.0)
    assert it.take_due_actions(0.0) == [
        RequestFinished(10, "not asked: failed twice for one request; nothing else was left to do")
    ]
    assert it.view_host(B) == HostView(0, 0, "shut", "failed twice for one request", 5.0), "what the next cycle is told"


def test_why_a_host_was_left_alone_says_what_its_last_answer_was() -> None:
    it = scheduler(budgets={B: HostBudget(1, backoff_initial_s=0, backoff_max_s=0)})
    it.add_job(job(1, B), 0.0)
    for now in (0.0, 1.0):
        assert it.take_due_actions(now)[0] == StartRequest(10, 1 + int(now))
        it.record_answer(10, TRANSIENT, None, now, "HTTP 503")
    it.take_due_actions(1.0)
    assert (
        it.view_host(B).reason
        == "failed twice for one request, and answered no other meanwhile, the last one with: HTTP 503"
    )
