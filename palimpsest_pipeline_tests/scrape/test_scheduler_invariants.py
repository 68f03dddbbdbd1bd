"""What the scheduler keeps to for any mix of jobs, budgets and failures, on a simulated clock; and whole cycles."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palimpsest_pipeline.domain.enums import FailureClass, Platform
from palimpsest_pipeline.scrape.host_budget import BreakerRule, HostBudget
from palimpsest_pipeline.scrape.scheduler import RequestFinished, RequestJob, ScheduledRequest, Scheduler, StartRequest
from palimpsest_pipeline.scrape.shortest_duration import compute_floors_s
from palimpsest_pipeline.wire.retry_rules import FAILURE_RULES

from .simulated import BET9JA, PAWA, SPORTY, Attempt, Fate, Trace, check_budgets, fixtures, job, lognormal, play

A, B, C = PAWA, SPORTY, BET9JA
TRANSIENT, LIMITED = FailureClass.TRANSIENT, FailureClass.RATE_LIMITED

budgets = st.builds(
    lambda n, gap, jitter, rate, attempts: HostBudget(
        n,
        min_gap_s=gap,
        jitter_s=jitter,
        max_per_s=rate,
        max_attempts=attempts,
        breaker=BreakerRule(3, 6, 4, 10.0, 2.0, 8.0, 20.0, 30.0, 20.0),
    ),
    st.integers(1, 4),
    st.sampled_from([0.0, 0.0, 0.1, 0.7]),
    st.sampled_from([0.0, 0.2]),
    st.sampled_from([None, None, 0.5, 2.0, 3.7]),
    st.integers(1, 3),
)
all_budgets = st.fixed_dictionaries({A: budgets, B: budgets, C: budgets})
arrivals = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.0, 0.0, 1.0, 7.5]),
        st.integers(0, 9),
        st.lists(st.sampled_from([A, B, C]), min_size=1, max_size=6),
    ),
    max_size=40,
).map(lambda drawn: [(at, job(key, *hosts, rank=rank)) for key, (at, rank, hosts) in enumerate(drawn)])
moves = st.lists(st.tuples(st.floats(0, 30), st.integers(0, 39), st.integers(-1, 9)), max_size=10)
"""Time, job, and its new rank, or -1: withdrawn."""


class Weather:
    """Failures as they come: each host now and then refuses, blocks, hangs or is away for a while."""

    def __init__(self, seed: int, share: float) -> None:
        self.rng = Random(seed)
        self.share = share
        self.outages = {
            host: (self.rng.uniform(0, 20), self.rng.uniform(0, 40), self.rng.random() < share) for host in (A, B, C)
        }
        self.failures = self.rng.choices([*FAILURE_RULES], k=2)

    def __call__(self, ask: ScheduledRequest, attempt: int, now: float) -> Fate:
        starts, lasts, away = self.outages[ask.platform]
        if away and starts <= now < starts + lasts:
            return Fate(self.rng.choice([0.001, 30.0]), TRANSIENT)
        latency_s = lognormal(0.25, 0.7, self.rng)
        if self.rng.random() < self.share:
            return Fate(latency_s, self.rng.choice(self.failures), self.rng.choice([None, 0.0, 2.0, 19.0, 25.0]))
        return Fate(latency_s)


def stormy(
    jobs: list[tuple[float, RequestJob]],
    allowed: dict[Platform, HostBudget],
    moved: list[tuple[float, int, int]],
    seed: int,
    share: float,
    patience: int,
) -> Trace:
    late = Random(seed)
    events = [
        (at, lambda it, k=k, r=r: it.withdraw_job(k, "moved") if r < 0 else it.rerank_job(k, (r,)))
        for at, k, r in moved
    ]
    it = Scheduler(allowed, max_passes=patience, rng=Random(seed))
    return play(it, jobs, Weather(seed, share), events, late_s=lambda: late.choice([0.0, 0.003]))


@settings(deadline=None)  # a busy machine is no failure
@given(arrivals, all_budgets, moves, st.integers(0, 999), st.sampled_from([0.0, 0.1, 0.5, 1.0]), st.integers(0, 9))
def test_whatever_fails_budgets_and_tries_are_kept_and_every_ask_ends_once(
    jobs: list[tuple[float, RequestJob]],
    allowed: dict[Platform, HostBudget],
    moved: list[tuple[float, int, int]],
    seed: int,
    share: float,
    patience: int,
) -> None:
    trace = stormy(jobs, allowed, moved, seed, share, patience)
    check_budgets(trace, allowed)
    asks = [ask for _, job in jobs for ask in job.requests]
    assert Counter(key for _, key, _ in trace.overs) == Counter(ask.key for ask in asks)
    reasons = {key: reason for _, key, reason in trace.overs}
    for ask in asks:
        tries = trace.tries(ask.key)
        assert [attempt.number for attempt in tries] == list(range(1, len(tries) + 1))
        assert len(tries) <= allowed[ask.platform].max_attempts
        assert all(attempt.fate.failure and FAILURE_RULES[attempt.fate.failure].is_retryable for attempt in tries[:-1])
        assert reasons[ask.key].startswith("not asked: ") if not tries else reasons[ask.key] == ""
        assert all(later.started_at >= earlier.ended_at for earlier, later in pairwise(tries))
        told = [
            (a.ended_at + (a.fate.told_s or 0), b.started_at) for a, b in pairwise(tries) if a.fate.failure is LIMITED
        ]
        assert all(again >= not_before for not_before, again in told)
    assert stormy(jobs, allowed, moved, seed, share, patience) == trace, "the same again"


@settings(deadline=None)  # a busy machine is no failure
@given(arrivals, all_budgets, st.integers(0, 999), st.sampled_from([0.0, 0.1, 0.5]), st.sampled_from([1.0, 7.5, 20.0]))
def test_whatever_fails_at_the_end_every_ask_is_over_and_nothing_starts_after_it(
    jobs: list[tuple[float, RequestJob]], allowed: dict[Platform, HostBudget], seed: int, share: float, ends_at: float
) -> None:
    weather = Weather(seed, share)

    def cut(ask: ScheduledRequest, attempt: int, now: float) -> Fate:
        fate = weather(ask, attempt, now)
        return fate if now + fate.latency_s < ends_at else Fate(ends_at - now, TRANSIENT)

    it = Scheduler(allowed, rng=Random(seed))
    it.set_end(ends_at, 0.0)
    trace = play(it, jobs, cut)
    check_budgets(trace, allowed)
    assert Counter(key for _, key, _ in trace.overs) == Counter(ask.key for _, job in jobs for ask in job.requests)
    assert all(attempt.started_at < ends_at for attempt in trace.attempts)
    assert all(at <= max(ends_at, *(arrived for arrived, _ in jobs)) for at, *_ in trace.overs)


@settings(deadline=None)  # a busy machine is no failure
@given(
    st.lists(st.sampled_from([(A,), (A, C), (A, B), (A, B, C)]), min_size=1, max_size=40),
    st.sampled_from([0.5, 2.0, 30.0]),
    st.integers(0, 99),
)
def test_a_slow_host_costs_the_others_nothing_before_the_end(
    listed: list[tuple[Platform, ...]], slow_s: float, seed: int
) -> None:
    it = Scheduler({A: HostBudget(4), B: HostBudget(1), C: HostBudget(3)}, rng=Random(seed))
    it.set_end(50.0, 0.0)
    drawn = Random(seed)

    def fate_of(ask: ScheduledRequest, attempt: int, now: float) -> Fate:
        latency_s = slow_s if ask.platform == B else lognormal(0.3, 0.8, drawn)
        return Fate(latency_s) if now + latency_s < 50.0 else Fate(50.0 - now, TRANSIENT)

    trace = play(it, [(0.0, job(n, *hosts)) for n, hosts in enumerate(listed)], fate_of)
    answered = Counter(attempt.ask.platform for attempt in trace.attempts if attempt.fate.failure is None)
    assert (answered[A], answered[C]) == (len(listed), sum(C in hosts for hosts in listed))


@settings(deadline=None)  # a busy machine is no failure
@given(arrivals, all_budgets, st.integers(0, 999), st.integers(0, 9))
def test_a_jobs_first_requests_start_together_and_its_further_ones_have_the_next_turns(
    jobs: list[tuple[float, RequestJob]], allowed: dict[Platform, HostBudget], seed: int, patience: int
) -> None:
    trace = play(Scheduler(allowed, max_passes=patience, rng=Random(seed)), jobs, Weather(seed, 0.0))
    for _, it in jobs:
        for host in {ask.platform for ask in it.requests}:
            starts = trace.of(host)
            mine = [n for n, attempt in enumerate(starts) if attempt.job == it.key]
            assert starts[mine[0]].started_at == trace.first_start(it.key)
            assert starts[mine[0]].turn == min(attempt.turn for attempt in trace.attempts if attempt.job == it.key)
            at_once = min(len(mine), allowed[host].max_in_flight)
            assert mine[:at_once] == list(range(mine[0], mine[0] + at_once))


def small(jobs: list[tuple[float, RequestJob]], allowed: dict[Platform, HostBudget]) -> list[tuple[float, RequestJob]]:
    """Only those that fit whole into their hosts' slots."""
    return [
        (at, it)
        for at, it in jobs
        if all(n <= allowed[host].max_in_flight for host, n in Counter(ask.platform for ask in it.requests).items())
    ]


class Observed(Scheduler):
    """Fails when, after a call of `due`, a job waits though it would have found room, or though one of lower rank just
    took what it needs. For hosts without jitter and rate that never fail, and jobs that fit whole into their slots."""

    def __init__(self, budgets: dict[Platform, HostBudget], **options: Any) -> None:
        super().__init__(budgets, **options)
        self.allowed = budgets
        self.free = {host: budget.max_in_flight for host, budget in budgets.items()}
        self.turn_at = dict.fromkeys(budgets, 0.0)
        self.owed: dict[Platform, set[int]] = {host: set() for host in budgets}
        """Asks of jobs that have started, which have not started yet."""
        self.waiting: dict[int, RequestJob] = {}
        self.order: dict[int, int] = {}
        self.of: dict[int, tuple[ScheduledRequest, RequestJob]] = {}

    def add_job(self, job: RequestJob, now: float) -> None:
        super().add_job(job, now)
        self.waiting[job.key] = job
        self.order[job.key] = len(self.order)
        self.of |= {ask.key: (ask, job) for ask in job.requests}

    def record_answer(self, ask: int, failure: FailureClass | None, told_s: float | None, now: float) -> None:
        super().record_answer(ask, failure, told_s, now)
        self.free[self.of[ask][0].platform] += 1

    def take_due_actions(self, now: float) -> list[StartRequest | RequestFinished]:
        actions = super().take_due_actions(now)
        begun = []
        for start in (action for action in actions if isinstance(action, StartRequest)):
            ask, job = self.of[start.request_key]
            if self.waiting.pop(job.key, None):
                begun.append(job)
                for one in job.requests:
                    self.owed[one.platform].add(one.key)
                    self.free[one.platform] -= 1
            self.owed[ask.platform].remove(ask.key)
            self.turn_at[ask.platform] = now + self.allowed[ask.platform].min_gap_s
        for job in self.waiting.values():
            need = Counter(ask.platform for ask in job.requests)
            room = [
                self.free[host] >= n and not self.owed[host] and self.turn_at[host] <= now for host, n in need.items()
            ]
            assert not all(room), "waits for nothing"
            for other in begun:
                if need <= Counter(ask.platform for ask in other.requests):
                    assert (other.rank, self.order[other.key]) < (job.rank, self.order[job.key]), (
                        "a job of lower rank took its place"
                    )
        return actions


@settings(deadline=None)  # a busy machine is no failure
@given(arrivals, all_budgets, st.integers(0, 999))
def test_a_job_starts_as_soon_as_its_slots_and_turns_are_free_and_the_best_rank_first(
    jobs: list[tuple[float, RequestJob]], allowed: dict[Platform, HostBudget], seed: int
) -> None:
    allowed = {host: replace(budget, jitter_s=0.0, max_per_s=None) for host, budget in allowed.items()}
    jobs = small(jobs, allowed)
    trace = play(Observed(allowed, max_passes=10_000, rng=Random(seed)), jobs, Weather(seed, 0.0))
    assert {attempt.job for attempt in trace.attempts} == {it.key for _, it in jobs}


@settings(deadline=None)  # a busy machine is no failure
@given(arrivals, all_budgets, st.integers(0, 999), st.integers(0, 3))
def test_the_first_job_passed_over_often_enough_waits_for_nobody_who_starts_later(
    jobs: list[tuple[float, RequestJob]], allowed: dict[Platform, HostBudget], seed: int, patience: int
) -> None:
    # All at the start, so that none of better rank comes later; then whoever is first in the end only waits for what is
    # under way.
    jobs = [(0.0, it) for _, it in small(jobs, allowed)]
    trace = play(Scheduler(allowed, max_passes=patience, rng=Random(seed)), jobs, Weather(seed, 0.0))
    began = {it.key: trace.first_start(it.key) for _, it in jobs}
    longest_s = max((attempt.fate.latency_s for attempt in trace.attempts), default=0.0)
    turns_s = 4 * max(
        budget.min_gap_s + budget.jitter_s + (max(1.0, 1 / budget.max_per_s) if budget.max_per_s else 0.0)
        for budget in allowed.values()
    )
    first_since = 0.0
    for _, it in sorted(jobs, key=lambda arrival: (arrival[1].rank, arrival[1].key)):
        hosts = {ask.platform for ask in it.requests}
        passes = Counter[int]()
        for attempt in trace.attempts:
            if (
                attempt.ask.platform in hosts
                and first_since < attempt.started_at < began[it.key]
                and attempt.started_at == began[attempt.job]
            ):
                passes[attempt.job] += 1
        if len(passes) >= patience:
            kept_from = sorted(began[key] for key in passes)[patience - 1] if patience else first_since
            assert began[it.key] <= kept_from + longest_s + turns_s
        first_since = max(first_since, began[it.key])


@settings(deadline=None)  # a busy machine is no failure
@given(
    st.lists(st.lists(st.sampled_from([A, B, C]), min_size=1, max_size=3, unique=True), min_size=1, max_size=60),
    st.integers(0, 999),
    st.booleans(),
)
def test_a_host_that_answers_nothing_delays_the_others_no_longer_than_it_is_waited_for(
    wanted: list[list[Platform]], seed: int, hangs: bool
) -> None:
    allowed = {A: HostBudget(3), B: HostBudget(200), C: HostBudget(200)}
    rng = Random(seed)

    def fate_of(ask: ScheduledRequest, attempt: int, now: float) -> Fate:
        if ask.platform == A:
            return Fate(45.0 if hangs else 0.01, TRANSIENT)
        return Fate(lognormal(0.25, 0.7, rng))

    trace = play(Scheduler(allowed, rng=rng), [(0.0, job(key, *hosts)) for key, hosts in enumerate(wanted)], fate_of)
    # Until it is noticed: a stall, or a dozen failures in threes with their pauses between.
    noticed_s = allowed[A].breaker.stall_s
    assert all(attempt.started_at <= noticed_s + 5.0 for attempt in trace.attempts if attempt.ask.platform is not A)


# Whole cycles


def shown(attempts: list[Attempt]) -> list[tuple[int, FailureClass | None]]:
    return [(attempt.number, attempt.fate.failure) for attempt in attempts]


@pytest.mark.parametrize("seed", range(5))
def test_an_outage_of_all_hosts_loses_nothing(seed: int) -> None:
    rng = Random(seed)
    allowed = {A: HostBudget(16), B: HostBudget(5, min_gap_s=0.1), C: HostBudget(12, min_gap_s=0.025)}

    def fate_of(ask: ScheduledRequest, attempt: int, now: float) -> Fate:
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
    allowed = {A: HostBudget(10), B: HostBudget(10)}

    def fate_of(ask: ScheduledRequest, attempt: int, now: float) -> Fate:
        return Fate(0.2, LIMITED, 2.0) if ask.platform == B and 5 <= now < 25 else Fate(0.2)

    trace = play(Scheduler(allowed, rng=rng), [(0.0, job(key, A, B)) for key in range(400)], fate_of)
    assert {shown(trace.tries(10 * key + 1))[-1][1] for key in range(400)} == {None}
    assert max(attempt.number for attempt in trace.attempts) <= 3
    assert sum(6 <= attempt.started_at < 25 for attempt in trace.of(B)) <= 10


def test_a_cycle_ends_near_its_floor_with_the_skew_of_the_latencies_alone() -> None:
    rng = Random(1)
    jobs = fixtures(1500, rng)
    allowed = {A: HostBudget(50), B: HostBudget(50), C: HostBudget(15, min_gap_s=0.025)}
    trace = play(
        Scheduler(allowed, rng=rng),
        [(0.0, it) for it in jobs],
        lambda ask, attempt, now: Fate(lognormal(0.25, 0.7, rng)),
    )
    check_budgets(trace, allowed)
    floor = max(
        compute_floors_s(
            {host: [attempt.fate.latency_s for attempt in trace.of(host)] for host in allowed}, allowed
        ).values()
    )
    assert trace.ended_at <= 1.06 * floor
    first: dict[int, dict[Platform, list[Attempt]]] = {}
    for attempt in trace.attempts:
        first.setdefault(attempt.job, {}).setdefault(attempt.ask.platform, []).append(attempt)
    skews, drawn = [], []
    for hosts in first.values():
        if len(hosts) > 1:
            ends = [min(attempt.ended_at for attempt in attempts) for attempts in hosts.values()]
            latencies = [min(attempt.fate.latency_s for attempt in attempts) for attempts in hosts.values()]
            skews.append(max(ends) - min(ends))
            drawn.append(max(latencies) - min(latencies))
    at = int(0.95 * len(skews))
    assert sorted(skews)[at] <= 1.05 * sorted(drawn)[at]
