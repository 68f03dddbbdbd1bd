"""The scheduler: decides which request of a scrape starts when.

It uses no sockets, no clock and no asyncio; the caller passes the time.
"""

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from math import inf
from random import Random
from typing import Any, Final

from palimpsest_pipeline.domain.enums import FailureClass, Platform
from palimpsest_pipeline.wire.retry_rules import FAILURE_RULES, FailureRule, HostSignal, RetryWait

from .circuit_breaker import BreakerState
from .host_budget import MAX_PASSES, HostBudget
from .host_queue import HostQueue
from .sinks import HostView

OUT_OF_TIME_REASON: Final = "the cycle's time was over"
"""The reason of a request that was not sent before the end of the cycle."""

Rank = tuple[Any, ...]
"""The priority of a job; smaller ranks start first. All ranks must be comparable with each other."""


@dataclass(frozen=True, slots=True)
class ScheduledRequest:
    """A request to schedule. `key` must be unique in a scheduler."""

    key: int
    platform: Platform


@dataclass(frozen=True, slots=True)
class RequestJob:
    """Requests that start together: all listings of a fixture, or one request of a discovery.

    `key` must be unique in a scheduler.
    """

    key: int
    rank: Rank
    requests: tuple[ScheduledRequest, ...]


@dataclass(frozen=True, slots=True)
class StartRequest:
    """An action: send the request now and pass its answer to `record_answer`.

    `attempt` counts from 1.
    """

    request_key: int
    attempt: int


@dataclass(frozen=True, slots=True)
class RequestFinished:
    """An action: the request gets no further attempt. It is returned exactly once per request.

    `reason` is "" when the last answer is the result, otherwise "not asked: ...".
    """

    request_key: int
    reason: str


Action = StartRequest | RequestFinished


@dataclass(slots=True, eq=False)
class _WaitingRequest:
    key: int
    host: "_Host"
    job: "_WaitingJob"
    n_attempts: int = 0
    not_before: float = 0.0


@dataclass(slots=True, eq=False)
class _WaitingJob:
    key: int
    rank: Rank
    number: int
    """Order of arrival, which decides between equal ranks."""
    open_requests: dict[int, _WaitingRequest] = field(default_factory=dict)
    """Requests that are not finished."""
    waiting_requests: dict[int, _WaitingRequest] = field(default_factory=dict)
    n_passes: int = 0
    """How often another job has overtaken this one since its last start, on a host that both need."""
    is_withdrawn: bool = False
    is_timed_out: bool = False
    """True when the job was withdrawn because its time was over."""
    ticket: int = 0
    """Number of the job's current queue entries. Entries with another number are ignored."""


_QueueEntry = tuple[Rank, int, int, _WaitingJob]
_Host = HostQueue["_WaitingRequest"]
_Need = tuple[tuple[_Host, int], ...]


class Scheduler:
    """Starts the requests of a job together, within every host's budget, most important job first.

    It retries failed requests and stops using a host that fails. Times are seconds of one monotonic clock. After
    `add_job`, `extend_job`, `rerank_job`, `withdraw_job`, `record_answer`, and at the time of `find_next_due_at`, call
    `take_due_actions` and execute the actions.

    - Due requests. Each waiting request has a time before which it must not start; a first attempt may start at once. A
      job is due when its first request may start, or later: at the last of these times that is at most `together_s`
      seconds after the first. Its due requests then start as a group. First attempts, retries and remaining requests
      follow this same rule.
    - Start. A group needs one request slot per request (at most all slots of a host), and a turn on each host: the time
      that gap, jitter and rate allow. The group takes all its slots at once. The first request of each host starts
      immediately, the others at the host's next turns. A slot is in use until `record_answer`; a request that waits for
      a retry uses none.
    - Order. Groups start in the order of their rank. A group without enough free slots is overtaken by later ones.
      After `max_passes` such passes, slots and turns are reserved for it. Only the first group of each combination of
      hosts and slot counts is examined, because the others differ only in rank.
    - Open breaker. Jobs wait for a host whose breaker is open, for at most `split_after_s` seconds. Then they start on
      their other hosts. While the breaker is probing, the host gets one request, from the waiting requests with the
      fewest attempts; other requests of the same job start too if slots are free. A host whose breaker is shut gets no
      more requests.
    - Blocked host. Jobs do not wait for a host that blocks requests, or for which another scrape reported a problem.
      Its breaker shuts when no other work remains.
    - End. After the end set by `set_end` nothing starts, and waiting requests are finished. After half of the time to
      the end, no job waits for free slots of one host before it starts on the others.
    """

    def __init__(
        self,
        budgets: Mapping[Platform, HostBudget],
        rules: Mapping[FailureClass, FailureRule] = FAILURE_RULES,
        *,
        max_passes: int = MAX_PASSES,
        together_s: float = 2.0,
        split_after_s: float = 5.0,
        rng: Random | None = None,
    ) -> None:
        self._hosts: dict[Platform, _Host] = {host: HostQueue(budget) for host, budget in budgets.items()}
        self._rules = rules
        self._max_passes = max_passes
        self._together_s = together_s
        self._split_after_s = split_after_s
        self._rng = rng or Random()
        self._jobs: dict[int, _WaitingJob] = {}
        self._requests_in_flight: dict[int, _WaitingRequest] = {}
        self._request_keys: set[int] = set()
        self._job_keys: set[int] = set()
        self._queues: dict[_Need, list[_QueueEntry]] = {}
        self._sleeping_jobs: list[tuple[float, int, _WaitingJob]] = []
        self._tickets = itertools.count(1)
        self._missing_room: dict[_Host, int] | None = None
        """For each host, the smallest number of free slots that a group lacked at the last examination.

        As long as each host has fewer, no group can start. None when something else has changed since.
        """
        self._actions: list[Action] = []
        self._now = 0.0
        self._split_at = self._ends_at = inf
        self._splits_jobs = False
        """True after half of the time to the end has passed."""

    def set_end(self, ends_at: float, now: float) -> None:
        """Set the end: no request starts at `ends_at` or later.

        The caller ends the requests that are in flight then. Their results do not change the host's breaker.
        """
        self._split_at, self._ends_at = now + (ends_at - now) / 2, ends_at

    def hold_host(self, host: Platform, reason: str, until: float, now: float, *, is_blocked: bool = True) -> None:
        """Open a host's breaker because another scrape reported a problem (see `CircuitBreaker.hold`).

        Call it before the first job is added.
        """
        self._hosts[host].breaker.hold(reason, until, now, is_blocked=is_blocked)

    def add_job(self, job: RequestJob, now: float) -> None:
        """Add a job whose requests may start from `now`.

        Raises ValueError for a job without requests, an unknown host, or a key that was used before.
        """
        self._check_requests(job.requests)
        if job.key in self._job_keys:
            raise ValueError(f"a job needs at least one request, and keys that were not used before: {job}")
        self._now = now
        self._job_keys.add(job.key)
        waiting_job = self._jobs[job.key] = _WaitingJob(job.key, job.rank, len(self._job_keys))
        self._add_requests(waiting_job, job.requests, not_before=0.0)

    def extend_job(self, job_key: int, requests: Sequence[ScheduledRequest], now: float) -> bool:
        """Add requests to a job that is not finished.

        They start together with the job's waiting requests. Returns False, and adds nothing, when the job is finished
        or withdrawn. Raises ValueError in the cases of `add_job`.
        """
        self._check_requests(requests)
        waiting_job = self._jobs.get(job_key)
        if waiting_job is None or waiting_job.is_withdrawn:
            return False
        self._now = now
        self._add_requests(waiting_job, requests, not_before=now)
        return True

    def _check_requests(self, requests: Sequence[ScheduledRequest]) -> None:
        """Raise ValueError for an empty list, an unknown host, or a key that was used before."""
        keys = {request.key for request in requests}
        if not keys or len(keys) < len(requests) or keys & self._request_keys:
            raise ValueError(f"a job needs at least one request, and keys that were not used before: {requests}")
        if unknown := {request.platform for request in requests} - self._hosts.keys():
            raise ValueError(f"no budget for {', '.join(sorted(unknown))}")

    def _add_requests(self, job: _WaitingJob, requests: Sequence[ScheduledRequest], *, not_before: float) -> None:
        for request in requests:
            self._request_keys.add(request.key)
            job.open_requests[request.key] = _WaitingRequest(
                request.key, self._hosts[request.platform], job, not_before=not_before
            )
            self._add_waiting(job.open_requests[request.key])
        self._enqueue(job)

    def rerank_job(self, job_key: int, rank: Rank) -> None:
        """Change the rank of a waiting job. A finished job is ignored."""
        waiting_job = self._jobs.get(job_key)
        if waiting_job and waiting_job.rank != rank:
            waiting_job.rank = rank
            self._enqueue(waiting_job)

    def withdraw_job(self, job_key: int, reason: str, *, is_timed_out: bool = False) -> None:
        """Withdraw a job: none of its requests starts any more. A finished job is ignored.

        The next `take_due_actions` finishes its waiting requests, with "not asked: `reason`" for those that were never
        sent and "" for the others. Requests in flight are not retried.

        With `is_timed_out` the caller also ends the requests in flight, and their results do not change the host's
        breaker.
        """
        if waiting_job := self._jobs.get(job_key):
            waiting_job.is_withdrawn, waiting_job.is_timed_out = True, is_timed_out
            for request in [
                request for request in waiting_job.open_requests.values() if request.key not in self._requests_in_flight
            ]:
                self._finish_request(request, reason)

    def record_answer(
        self, request_key: int, failure: FailureClass | None, retry_after_s: float | None, now: float, detail: str = ""
    ) -> None:
        """Record the end of an attempt, which frees its request slot.

        `failure` is None for a good answer. `retry_after_s` is the host's Retry-After in seconds. `detail` is the text
        of the failure. After the last attempt, the next `take_due_actions` finishes the request. Raises ValueError for
        a request that is not in flight.
        """
        if request_key not in self._requests_in_flight:
            raise ValueError(f"request {request_key} is not in flight")
        self._now = now
        request = self._requests_in_flight.pop(request_key)
        rule = self._rules[failure] if failure else None
        request.host.in_flight -= 1
        is_in_time = now < self._ends_at and not request.job.is_timed_out
        request.host.breaker.record_answer(
            request_key,
            rule.host_signal if rule and is_in_time else HostSignal.NOTHING if rule else HostSignal.GOOD,
            retry_after_s,
            now,
            detail,
        )
        if (
            rule
            and rule.is_retryable
            and is_in_time
            and not request.job.is_withdrawn
            and request.n_attempts < request.host.budget.max_attempts
        ):
            demanded_wait_s = retry_after_s if rule.wait is RetryWait.RETRY_AFTER else None
            request.not_before = now + (demanded_wait_s or request.host.draw_backoff_s(request.n_attempts, self._rng))
            self._add_waiting(request)
            self._enqueue(request.job)
        else:
            self._finish_request(request, "")

    def take_due_actions(self, now: float) -> list[Action]:
        """Return the actions that are due now, in order. A returned StartRequest counts as in flight."""
        self._now = now
        for host in self._hosts.values():
            self._update_host(host)
        if not self._splits_jobs and self._split_at <= now:
            self._splits_jobs, self._missing_room = True, None
        if self._ends_at <= now:
            self._give_up_all()
        while self._sleeping_jobs and self._sleeping_jobs[0][0] <= now:
            _, ticket, job = heappop(self._sleeping_jobs)
            if ticket == job.ticket:
                self._enqueue(job)
        for host in self._hosts.values():
            self._start_pending(host)
            if host.breaker.wants_probe and host.n_free_slots > 0 and host.next_turn_at <= now:
                self._start_probe(host)
        self._start_gangs()
        self._stop_waiting_for_blocking_hosts()
        actions, self._actions = self._actions, []
        return actions

    def find_next_due_at(self) -> float | None:
        """Return when to call `take_due_actions` next, if no event comes earlier.

        None when no request waits for a time. The value was computed by the last call of `take_due_actions`.
        """
        while self._sleeping_jobs and self._sleeping_jobs[0][1] != self._sleeping_jobs[0][2].ticket:
            heappop(self._sleeping_jobs)
        times = [self._sleeping_jobs[0][0]] if self._sleeping_jobs else []
        for host in self._hosts.values():
            if (
                host.pending_starts or (host.waiting_requests and host.n_free_slots > 0)
            ) and host.next_turn_at > self._now:
                times.append(host.next_turn_at)
            if host.waiting_requests or host.in_flight:
                times.extend(
                    due_at
                    for due_at in (host.breaker.find_next_tick_at(), self._find_left_out_at(host))
                    if due_at is not None and due_at > self._now
                )
            if host.waiting_requests or host.pending_starts:
                times.extend(due_at for due_at in (self._split_at, self._ends_at) if self._now < due_at < inf)
        return min(times, default=None)

    def view_host(self, platform: Platform) -> HostView:
        """Return the state of a platform's host as of the last call of `take_due_actions`."""
        host = self._hosts[platform]
        remaining_s = 0.0 if host.breaker.state is BreakerState.CLOSED else max(0.0, host.breaker.until - self._now)
        return HostView(
            host.in_flight,
            len(host.waiting_requests) + len(host.pending_starts),
            host.breaker.state,
            host.breaker.reason,
            remaining_s,
        )

    @property
    def is_idle(self) -> bool:
        """Return whether no request waits or is in flight, and every RequestFinished was returned."""
        return not self._jobs and not self._actions

    # Hosts

    def _find_left_out_at(self, host: _Host) -> float | None:
        opened_at = host.breaker.opened_at
        is_waited_for = not (host.breaker.is_blocked or host.breaker.is_held)
        return None if opened_at is None else opened_at + (self._split_after_s if is_waited_for else 0.0)

    def _update_host(self, host: _Host) -> None:
        """Update a host's breaker for the current time, and apply the consequences."""
        host.breaker.tick(self._now)
        left_out_at = self._find_left_out_at(host)
        previous_state = host.is_closed, host.is_left_out
        host.is_closed = host.breaker.state is BreakerState.CLOSED
        host.is_left_out = left_out_at is not None and left_out_at <= self._now
        if previous_state != (host.is_closed, host.is_left_out):
            self._missing_room = None
        if not host.is_closed:
            while host.pending_starts:
                request = host.pending_starts.popleft()
                self._add_waiting(request)
                self._enqueue(request.job)
        if host.breaker.state is BreakerState.SHUT:
            for request in list(host.waiting_requests.values()):
                self._finish_request(request, host.breaker.full_reason)

    def _start_probe(self, host: _Host) -> None:
        due_requests = [request for request in host.waiting_requests.values() if request.not_before <= self._now]
        if due_requests:
            request = min(
                due_requests,
                key=lambda request: (request.n_attempts, request.job.rank, request.job.number, request.key),
            )
            self._take_slots([request])
            self._enqueue(request.job)

    def _stop_waiting_for_blocking_hosts(self) -> None:
        if self._requests_in_flight:
            return
        awaited_hosts = [host for host in self._hosts.values() if host.waiting_requests or host.pending_starts]
        if all(host.breaker.is_blocked and host.breaker.state is BreakerState.OPEN for host in awaited_hosts):
            for host in awaited_hosts:
                host.breaker.shut(host.breaker.reason, ending_reason="nothing else was left to do")
                self._update_host(host)

    def _give_up_all(self) -> None:
        for host in self._hosts.values():
            reason = (
                OUT_OF_TIME_REASON
                if host.breaker.state is BreakerState.CLOSED
                else f"{host.breaker.reason}; {OUT_OF_TIME_REASON}"
            )
            for request in [*host.waiting_requests.values(), *host.pending_starts]:
                self._finish_request(request, reason)

    # Waiting, starting and finished requests

    def _add_waiting(self, request: _WaitingRequest) -> None:
        request.job.waiting_requests[request.key] = request.host.waiting_requests[request.key] = request

    def _enqueue(self, job: _WaitingJob) -> None:
        """Put a job into the queue for its due requests and the list of jobs that wait for a time.

        If only some of its waiting requests are due, the job is in both.
        """
        job.ticket = next(self._tickets)
        times = [request.not_before for request in job.waiting_requests.values()]
        latest = min(times, default=inf) + self._together_s
        due_at = max((time for time in times if time <= latest), default=inf)
        if due_at <= self._now:
            self._missing_room = None
            n_due = Counter(
                request.host for request in job.waiting_requests.values() if request.not_before <= self._now
            )
            need = tuple(
                (host, min(n_due[host], host.budget.max_in_flight)) for host in self._hosts.values() if host in n_due
            )
            heappush(self._queues.setdefault(need, []), (job.rank, job.number, job.ticket, job))
        if later_times := [time for time in times if time > self._now]:
            heappush(self._sleeping_jobs, (max(due_at, min(later_times)), job.ticket, job))

    def _start_gangs(self) -> None:
        for host in self._hosts.values():
            host.update_startable(self._now, clears_reservations=True)
        if self._missing_room is not None and all(host.n_startable < n for host, n in self._missing_room.items()):
            return
        lacking = self._missing_room = {}  # Set to None again if a started job leaves requests that are due.
        heads = [(head, need) for need in self._queues if (head := self._find_first_entry(need))]
        heapify(heads)
        passed_jobs: list[tuple[_WaitingJob, _Need]] = []
        while heads:
            (*_, job), whole_need = heappop(heads)
            need = tuple(
                [
                    part
                    for part in whole_need
                    if not part[0].is_left_out and (part[0].is_closed or not self._splits_jobs)
                ]
            )
            if not need or not all(host.is_closed for host, _ in need):
                # The job waits for a breaker, not for slots. Slots reserved for it would let one failing host delay the
                # others.
                continue
            if short_parts := [part for part in need if part[0].n_startable < part[1]]:
                for host, n in short_parts if self._splits_jobs else short_parts[:1]:
                    lacking[host] = min(n, lacking.get(host, n))
                ready_parts = tuple([part for part in need if self._splits_jobs and part not in short_parts])
                if not ready_parts:
                    passed_jobs.append((job, need))
                    if job.n_passes >= self._max_passes:
                        self._reserve(need)
                    continue
                need = ready_parts
            self._start_job(job, need)
            job.n_passes = 0
            hosts = {host for host, _ in need}
            for other, other_need in passed_jobs:
                if any(host in hosts for host, _ in other_need):
                    other.n_passes += 1
                    if other.n_passes == self._max_passes:
                        self._reserve(other_need)
            if head := self._find_first_entry(whole_need):
                heappush(heads, (head, whole_need))

    def _reserve(self, need: _Need) -> None:
        for host, n in need:
            host.reserve_slots(n, self._now)

    def _find_first_entry(self, need: _Need) -> _QueueEntry | None:
        queue = self._queues[need]
        while queue and queue[0][2] != queue[0][3].ticket:
            heappop(queue)
        return queue[0] if queue else None

    def _start_job(self, job: _WaitingJob, need: _Need) -> None:
        for host, n in need:
            due_requests = [
                request
                for request in job.waiting_requests.values()
                if request.host is host and request.not_before <= self._now
            ]
            self._take_slots(due_requests[:n])
            host.update_startable(self._now)
        self._enqueue(job)

    def _take_slots(self, requests: list[_WaitingRequest]) -> None:
        """Take request slots for requests of one host, and start as many as its pace allows now."""
        for request in requests:
            del request.job.waiting_requests[request.key], request.host.waiting_requests[request.key]
            request.host.pending_starts.append(request)
        self._start_pending(requests[0].host)

    def _start_pending(self, host: _Host) -> None:
        while host.pending_starts and host.next_turn_at <= self._now:
            request = host.pending_starts.popleft()
            request.n_attempts += 1
            self._requests_in_flight[request.key] = request
            host.record_start(request.key, self._now, self._rng)
            self._actions.append(StartRequest(request.key, request.n_attempts))

    def _finish_request(self, request: _WaitingRequest, reason: str) -> None:
        job, host = request.job, request.host
        del job.open_requests[request.key]
        if request in host.pending_starts:
            host.pending_starts.remove(request)
        elif job.waiting_requests.pop(request.key, None):
            del host.waiting_requests[request.key]
            self._enqueue(job)
        if not job.open_requests:
            del self._jobs[job.key]
        self._actions.append(RequestFinished(request.key, "" if request.n_attempts else f"not asked: {reason}"))
