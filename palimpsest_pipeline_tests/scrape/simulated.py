"""Hosts and a clock that exist on paper only: drives a Scheduler through simulated time and keeps a trace of what it
did.
"""

import heapq
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random

from palimpsest_pipeline.domain.enums import FailureClass, Platform
from palimpsest_pipeline.scrape.host_budget import HostBudget
from palimpsest_pipeline.scrape.scheduler import RequestJob, ScheduledRequest, Scheduler, StartRequest
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA, SPORTYBET


@dataclass(frozen=True, slots=True)
class Fate:
    """What one attempt comes to."""

    latency_s: float
    failure: FailureClass | None = None
    told_s: float | None = None


FateOf = Callable[[ScheduledRequest, int, float], Fate]
"""Of an ask's attempt that starts at a time."""


@dataclass(frozen=True, slots=True)
class Attempt:
    ask: ScheduledRequest
    job: int
    number: int
    started_at: float
    fate: Fate
    turn: int
    """Number of the call of `due` that started it."""

    @property
    def ended_at(self) -> float:
        return self.started_at + self.fate.latency_s


@dataclass(slots=True)
class Trace:
    attempts: list[Attempt] = field(default_factory=list)
    overs: list[tuple[float, int, str]] = field(default_factory=list)
    """Time, ask, reason."""
    ended_at: float = 0.0

    def of(self, host: Platform) -> list[Attempt]:
        return [attempt for attempt in self.attempts if attempt.ask.platform == host]

    def tries(self, ask: int) -> list[Attempt]:
        return [attempt for attempt in self.attempts if attempt.ask.key == ask]

    def first_start(self, job: int) -> float:
        return min(attempt.started_at for attempt in self.attempts if attempt.job == job)


Event = tuple[float, Callable[[Scheduler], None]]
"""A time, and what happens then: `withdraw_job` or `rerank_job`."""


def play(
    scheduler: Scheduler,
    arrivals: Iterable[tuple[float, RequestJob]],
    fate_of: FateOf,
    events: Iterable[Event] = (),
    after_due: Callable[[float, Trace], None] = lambda now, trace: None,
    late_s: Callable[[], float] = lambda: 0.0,
) -> Trace:
    """Until nothing is left to do.

    `late_s`: how late a timer fires. Fails when the scheduler neither ends nor names a time to be called again.
    """
    trace = Trace()
    asks: dict[int, tuple[ScheduledRequest, int]] = {}
    happenings: list[tuple[float, int, Callable[[float], None]]] = []

    def at(time: float, what: Callable[[float], None]) -> None:
        heapq.heappush(happenings, (time, next(numbers), what))

    def add(job: RequestJob, now: float) -> None:
        asks.update((ask.key, (ask, job.key)) for ask in job.requests)
        scheduler.add_job(job, now)

    numbers = iter(range(10_000_000))
    for arrives_at, job in arrivals:
        at(arrives_at, lambda now, job=job: add(job, now))  # type: ignore[misc]
    for happens_at, event in events:
        at(happens_at, lambda now, event=event: event(scheduler))  # type: ignore[misc]
    now = 0.0
    for turn in range(1_000_000):
        for action in scheduler.take_due_actions(now):
            ask, job_key = asks[action.request_key]
            if isinstance(action, StartRequest):
                fate = fate_of(ask, action.attempt, now)
                trace.attempts.append(Attempt(ask, job_key, action.attempt, now, fate, turn))
                at(
                    now + fate.latency_s,
                    lambda now, k=ask.key, f=fate: scheduler.record_answer(k, f.failure, f.told_s, now),
                )  # type: ignore[misc]
            else:
                trace.overs.append((now, action.request_key, action.reason))
        after_due(now, trace)
        wakes_at = scheduler.find_next_due_at()
        assert wakes_at is None or wakes_at > now, "a time to be called again that is over"
        if wakes_at is not None and (not happenings or wakes_at < happenings[0][0]):
            now = wakes_at + late_s()
            if happenings:
                now = min(now, happenings[0][0])
        elif happenings:
            now, _, what = heapq.heappop(happenings)
            what(now)
        else:
            assert scheduler.is_idle, "waits for nothing"
            trace.ended_at = max((attempt.ended_at for attempt in trace.attempts), default=0.0)
            return trace
    raise AssertionError("does not end")


def lognormal(p50_s: float, p95_s: float, rng: Random) -> float:
    return rng.lognormvariate(math.log(p50_s), math.log(p95_s / p50_s) / 1.645)


def job(key: int, *hosts: Platform, rank: int | None = None) -> RequestJob:
    """Its asks are numbered 10 * key, 10 * key + 1, ..."""
    return RequestJob(
        key,
        (key if rank is None else rank,),
        tuple(ScheduledRequest(10 * key + n, host) for n, host in enumerate(hosts)),
    )


PAWA, SPORTY = BETPAWA, SPORTYBET
SHARES: Mapping[tuple[Platform, ...], int] = {
    (PAWA, SPORTY, BET9JA): 1535,
    (PAWA, SPORTY): 133,
    (PAWA, BET9JA): 20,
    (SPORTY, BET9JA): 300,
    (PAWA,): 530,
    (SPORTY,): 292,
    (BET9JA,): 159,
}
"""Fixtures by who lists them."""


def fixtures(n: int, rng: Random) -> list[RequestJob]:
    """About `n`, the first the most important; Bet9ja with 1.53 listings a fixture."""
    hosts = [who for who, count in SHARES.items() for _ in range(round(n * count / sum(SHARES.values())))]
    rng.shuffle(hosts)
    jobs, key = [], 0
    for number, who in enumerate(hosts):
        listed = [
            host
            for host in who
            for _ in range(1 + (rng.random() < 0.45) + (rng.random() < 0.08) if host == BET9JA else 1)
        ]
        jobs.append(
            RequestJob(number, (number,), tuple(ScheduledRequest(key + i, host) for i, host in enumerate(listed)))
        )
        key += len(listed)
    return jobs


def check_budgets(trace: Trace, budgets: Mapping[Platform, HostBudget]) -> None:
    """Fails when a host was asked more than its budget allows: in flight, gap, rate."""
    for host, budget in budgets.items():
        attempts = trace.of(host)
        # At one instant, what ends counts before what starts.
        changes = sorted([(a.ended_at, -1) for a in attempts] + [(a.started_at, 1) for a in attempts])
        in_flight = 0
        for _, change in changes:
            in_flight += change
            assert in_flight <= budget.max_in_flight
        starts = [attempt.started_at for attempt in attempts]
        assert all(later >= earlier + budget.min_gap_s for earlier, later in pairwise(starts))
        if budget.max_per_s is not None:
            n = max(1, int(budget.max_per_s))
            assert all(
                later >= earlier + max(1.0, 1 / budget.max_per_s)
                for earlier, later in zip(starts, starts[n:], strict=False)
            )
