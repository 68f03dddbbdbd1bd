"""Which request starts when: the heart of a scrape.

Pure: no sockets, no clock, no asyncio; whoever drives it says what time it is.
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
"""Why something was not asked."""

Rank = tuple[Any, ...]
"""Smaller goes first. All ranks of one scheduler must be comparable."""


@dataclass(frozen=True, slots=True)
class ScheduledRequest:
    """One request to be made. `key` is never used twice in one scheduler."""

    key: int
    platform: Platform


@dataclass(frozen=True, slots=True)
class RequestJob:
    """Requests that belong together: all listings of a fixture, or one question of discovery.

    `key` is never used twice in one scheduler.
    """

    key: int
    rank: Rank
    requests: tuple[ScheduledRequest, ...]


@dataclass(frozen=True, slots=True)
class StartRequest:
    """Send this ask now; then tell `answered`. `attempt` counts from 1."""

    request_key: int
    attempt: int


@dataclass(frozen=True, slots=True)
class RequestFinished:
    """There will be no (further) attempt; comes exactly once for each ask. `reason` is "" when the last answer is the
    verdict, else "not asked: ..."."""

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
    """In order of arrival: decides among equal ranks."""
    open_requests: dict[int, _WaitingRequest] = field(default_factory=dict)
    """Not over yet."""
    waiting: dict[int, _WaitingRequest] = field(default_factory=dict)
    n_passes: int = 0
    """How often since its last start a later job took a slot or a turn of a host that this one waits for."""
    is_withdrawn: bool = False
    is_timed_out: bool = False
    """Withdrawn for want of time."""
    ticket: int = 0
    """Of its present place in a queue and among the sleeping; places with an older ticket are void."""


_QueueEntry = tuple[Rank, int, int, _WaitingJob]
_Host = HostQueue["_WaitingRequest"]
_Need = tuple[tuple[_Host, int], ...]


class Scheduler:
    """Starts the requests of a job together, within the budget of every host, most important first; tries again; leaves
    out a host that fails.

    Times are seconds of one monotonic clock. After `add`, `extend_job`, `rerank_job`, `withdraw_job`, `answered` and at
    `wake_at`, call `due` and do what it says.

    - Waiting. A job has asks that wait, each not before some time (of a first try: none). Its gang is those that are
      due; it is due at the last of these times that lies within `together_s` of the first. A first start, a retry and a
      part that was left behind are thus the same thing: what failed together is tried again together, with the rank of
      its job.
    - Starting. A gang needs a slot for each of its asks (at most all slots of a host), and on each host a turn: the
      least gap since the last start, its jitter and the rate. It starts whole: all slots are taken, the first ask of
      each host starts at once, further ones of the same host have its next turns. A slot is held from there until
      `answered`; nothing is held while waiting for another try.
    - Order. By rank. A gang that finds no room is passed over; after `patience` passes its slots and turns are kept:
      later ones start only if they leave them. Jobs with equal needs are interchangeable but for their rank, so only
      the first of each need is ever looked at.
    - A host that is open is waited for, for at most `split_after_s` since it left closed; then it is left out, and jobs
      start on their other hosts. One that probes is sent one ask: of those with the fewest attempts, the best; what
      else waits of its job goes along if it finds room. One that is shut is asked nothing more.
    - A blocking host is not waited for: it is left out at once, and shut when nothing else is left to do. So is one
      that is held.
    - Where there is an end, nothing starts from then on: what waits is over. From half-way there on no job waits for
      room on one host to start on the others, so that a slow one costs the others nothing.
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
        """Of each host the least room that a gang there was in want of when all were last looked at: with less, no gang
        can start. None: something else has changed since."""
        self._actions: list[Action] = []
        self._now = 0.0
        self._split_at = self._ends_at = inf
        self._splits_jobs = False
        """Half-way to the end is over."""

    def set_end(self, ends_at: float, now: float) -> None:
        """Nothing starts at `ends_at` or later.

        What is under way then is the caller's to end; whatever is said of it bears nothing on its host.
        """
        self._split_at, self._ends_at = now + (ends_at - now) / 2, ends_at

    def hold_host(self, host: Platform, reason: str, until: float, now: float, *, is_blocked: bool = True) -> None:
        """Another scrape found this host in trouble: as `Breaker.hold`. Before the first job is added."""
        self._hosts[host].breaker.hold(reason, until, now, is_blocked=is_blocked)

    def add_job(self, job: RequestJob, now: float) -> None:
        """Its asks wait from `now`. Raises ValueError for a job without asks, an unknown host, or a key used before."""
        self._check_requests(job.requests)
        if job.key in self._job_keys:
            raise ValueError(f"a job needs asks, and keys that are new: {job}")
        self._now = now
        self._job_keys.add(job.key)
        known = self._jobs[job.key] = _WaitingJob(job.key, job.rank, len(self._job_keys))
        self._add_requests(known, job.requests, not_before=0.0)

    def extend_job(self, job_key: int, requests: Sequence[ScheduledRequest], now: float) -> bool:
        """Add asks to a job that is not over. They start together with those of it that wait, or alone where none does.

        Return False, and add nothing, when the job is over or withdrawn. Raises ValueError as `add`.
        """
        self._check_requests(requests)
        known = self._jobs.get(job_key)
        if known is None or known.is_withdrawn:
            return False
        self._now = now
        self._add_requests(known, requests, not_before=now)
        return True

    def _check_requests(self, requests: Sequence[ScheduledRequest]) -> None:
        """Raises ValueError where there is no ask, one of an unknown host, or a key that was used before."""
        keys = {ask.key for ask in requests}
        if not keys or len(keys) < len(requests) or keys & self._request_keys:
            raise ValueError(f"a job needs asks, and keys that are new: {requests}")
        if unknown := {ask.platform for ask in requests} - self._hosts.keys():
            raise ValueError(f"no budget for {', '.join(sorted(unknown))}")

    def _add_requests(self, job: _WaitingJob, requests: Sequence[ScheduledRequest], *, not_before: float) -> None:
        for ask in requests:
            self._request_keys.add(ask.key)
            job.open_requests[ask.key] = _WaitingRequest(ask.key, self._hosts[ask.platform], job, not_before=not_before)
            self._add_waiting(job.open_requests[ask.key])
        self._enqueue(job)

    def rerank_job(self, job_key: int, rank: Rank) -> None:
        """A new place among those that wait. What has started is not touched; a job that is over is passed by."""
        known = self._jobs.get(job_key)
        if known and known.rank != rank:
            known.rank = rank
            self._enqueue(known)

    def withdraw_job(self, job_key: int, reason: str, *, is_timed_out: bool = False) -> None:
        """Nothing of it starts any more: the next `due` says Over with "not asked: `reason`" for asks that have had no
        attempt, with "" for asks that waited for another. What is under way is answered as usual, and not tried again.
        A job that is over is passed by.

        `is_timed_out`: the caller ends what is under way, too; whatever is said of it bears nothing on its host."""
        if known := self._jobs.get(job_key):
            known.is_withdrawn, known.is_timed_out = True, is_timed_out
            for ask in [ask for ask in known.open_requests.values() if ask.key not in self._requests_in_flight]:
                self._finish_request(ask, reason)

    def record_answer(
        self, request_key: int, failure: FailureClass | None, retry_after_s: float | None, now: float, detail: str = ""
    ) -> None:
        """The attempt is over and its slot free; `failure` None is a usable answer, `told_s` the host's Retry-After in
        seconds, `detail` the failure in words. The next `due` says Over if that was the last attempt. Raises ValueError
        for an ask that is not under way."""
        if request_key not in self._requests_in_flight:
            raise ValueError(f"ask {request_key} is not under way")
        self._now = now
        known = self._requests_in_flight.pop(request_key)
        rule = self._rules[failure] if failure else None
        known.host.in_flight -= 1
        in_time = now < self._ends_at and not known.job.is_timed_out
        known.host.breaker.record_answer(
            request_key,
            rule.host_signal if rule and in_time else HostSignal.NOTHING if rule else HostSignal.GOOD,
            retry_after_s,
            now,
            detail,
        )
        if (
            rule
            and rule.is_retryable
            and in_time
            and not known.job.is_withdrawn
            and known.n_attempts < known.host.budget.max_attempts
        ):
            told = retry_after_s if rule.wait is RetryWait.RETRY_AFTER else None
            known.not_before = now + (told or known.host.draw_backoff_s(known.n_attempts, self._rng))
            self._add_waiting(known)
            self._enqueue(known.job)
        else:
            self._finish_request(known, "")

    def take_due_actions(self, now: float) -> list[Action]:
        """What happens now, in order. Each Start has taken its slot and its turn."""
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
        """When to call `due` again if nothing happens before; None: nothing waits for time. As of the last call."""
        while self._sleeping_jobs and self._sleeping_jobs[0][1] != self._sleeping_jobs[0][2].ticket:
            heappop(self._sleeping_jobs)
        times = [self._sleeping_jobs[0][0]] if self._sleeping_jobs else []
        for host in self._hosts.values():
            if (host.pending_starts or (host.waiting and host.n_free_slots > 0)) and host.next_turn_at > self._now:
                times.append(host.next_turn_at)
            if host.waiting or host.in_flight:
                times.extend(
                    at
                    for at in (host.breaker.find_next_tick_at(), self._find_left_out_at(host))
                    if at is not None and at > self._now
                )
            if host.waiting or host.pending_starts:
                times.extend(at for at in (self._split_at, self._ends_at) if self._now < at < inf)
        return min(times, default=None)

    def view_host(self, platform: Platform) -> HostView:
        """As of the last call."""
        it = self._hosts[platform]
        rest_s = 0.0 if it.breaker.state is BreakerState.CLOSED else max(0.0, it.breaker.until - self._now)
        return HostView(
            it.in_flight, len(it.waiting) + len(it.pending_starts), it.breaker.state, it.breaker.reason, rest_s
        )

    @property
    def is_idle(self) -> bool:
        """Nothing waits, nothing is under way, and every Over has been said."""
        return not self._jobs and not self._actions

    # How hosts are asked

    def _find_left_out_at(self, host: _Host) -> float | None:
        opened_at = host.breaker.opened_at
        is_waited_for = not (host.breaker.is_blocked or host.breaker.is_held)
        return None if opened_at is None else opened_at + (self._split_after_s if is_waited_for else 0.0)

    def _update_host(self, host: _Host) -> None:
        """Lets time take effect on it, and draws the consequences."""
        host.breaker.tick(self._now)
        left_out_at = self._find_left_out_at(host)
        before = host.is_closed, host.is_left_out
        host.is_closed = host.breaker.state is BreakerState.CLOSED
        host.is_left_out = left_out_at is not None and left_out_at <= self._now
        if before != (host.is_closed, host.is_left_out):
            self._missing_room = None
        if not host.is_closed:
            while host.pending_starts:
                ask = host.pending_starts.popleft()
                self._add_waiting(ask)
                self._enqueue(ask.job)
        if host.breaker.state is BreakerState.SHUT:
            for ask in list(host.waiting.values()):
                self._finish_request(ask, host.breaker.full_reason)

    def _start_probe(self, host: _Host) -> None:
        due = [ask for ask in host.waiting.values() if ask.not_before <= self._now]
        if due:
            ask = min(due, key=lambda ask: (ask.n_attempts, ask.job.rank, ask.job.number, ask.key))
            self._take_slots([ask])
            self._enqueue(ask.job)

    def _stop_waiting_for_blocking_hosts(self) -> None:
        if self._requests_in_flight:
            return
        waited_for = [host for host in self._hosts.values() if host.waiting or host.pending_starts]
        if all(host.breaker.is_blocked and host.breaker.state is BreakerState.OPEN for host in waited_for):
            for host in waited_for:
                host.breaker.shut(host.breaker.reason, ending_reason="nothing else was left to do")
                self._update_host(host)

    def _give_up_all(self) -> None:
        for host in self._hosts.values():
            reason = (
                OUT_OF_TIME_REASON
                if host.breaker.state is BreakerState.CLOSED
                else f"{host.breaker.reason}; {OUT_OF_TIME_REASON}"
            )
            for ask in [*host.waiting.values(), *host.pending_starts]:
                self._finish_request(ask, reason)

    # Waiting, starting, being over

    def _add_waiting(self, request: _WaitingRequest) -> None:
        request.job.waiting[request.key] = request.host.waiting[request.key] = request

    def _enqueue(self, job: _WaitingJob) -> None:
        """Puts it where it belongs by what of it waits: in the queue of its need, or to sleep until it is due, or,
        with parts to come, both.
        """
        job.ticket = next(self._tickets)
        times = [ask.not_before for ask in job.waiting.values()]
        latest = min(times, default=inf) + self._together_s
        due_at = max((at for at in times if at <= latest), default=inf)
        if due_at <= self._now:
            self._missing_room = None
            n = Counter(ask.host for ask in job.waiting.values() if ask.not_before <= self._now)
            need = tuple((host, min(n[host], host.budget.max_in_flight)) for host in self._hosts.values() if host in n)
            heappush(self._queues.setdefault(need, []), (job.rank, job.number, job.ticket, job))
        if later := [at for at in times if at > self._now]:
            heappush(self._sleeping_jobs, (max(due_at, min(later)), job.ticket, job))

    def _start_gangs(self) -> None:
        for host in self._hosts.values():
            host.update_startable(self._now, clears_reservations=True)
        if self._missing_room is not None and all(host.n_startable < n for host, n in self._missing_room.items()):
            return
        lacking = self._missing_room = {}  # Void again where what starts leaves a part that is due.
        heads = [(head, need) for need in self._queues if (head := self._find_first_entry(need))]
        heapify(heads)
        passed: list[tuple[_WaitingJob, _Need]] = []
        while heads:
            (*_, job), whole = heappop(heads)
            need = tuple(
                [part for part in whole if not part[0].is_left_out and (part[0].is_closed or not self._splits_jobs)]
            )
            if not need or not all(host.is_closed for host, _ in need):
                continue  # It waits for a host, not for room: with room kept for it, one host that fails would hold up the others.
            if short := [part for part in need if part[0].n_startable < part[1]]:
                for host, n in short if self._splits_jobs else short[:1]:
                    lacking[host] = min(n, lacking.get(host, n))
                ready = tuple([part for part in need if self._splits_jobs and part not in short])
                if not ready:
                    passed.append((job, need))
                    if job.n_passes >= self._max_passes:
                        self._reserve(need)
                    continue
                need = ready
            self._start_job(job, need)
            job.n_passes = 0
            hosts = {host for host, _ in need}
            for other, others_need in passed:
                if any(host in hosts for host, _ in others_need):
                    other.n_passes += 1
                    if other.n_passes == self._max_passes:
                        self._reserve(others_need)
            if head := self._find_first_entry(whole):
                heappush(heads, (head, whole))

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
            due = [ask for ask in job.waiting.values() if ask.host is host and ask.not_before <= self._now]
            self._take_slots(due[:n])
            host.update_startable(self._now)
        self._enqueue(job)

    def _take_slots(self, requests: list[_WaitingRequest]) -> None:
        """Gives asks of one host their slots, and as many as may the host's turns."""
        for ask in requests:
            del ask.job.waiting[ask.key], ask.host.waiting[ask.key]
            ask.host.pending_starts.append(ask)
        self._start_pending(requests[0].host)

    def _start_pending(self, host: _Host) -> None:
        while host.pending_starts and host.next_turn_at <= self._now:
            ask = host.pending_starts.popleft()
            ask.n_attempts += 1
            self._requests_in_flight[ask.key] = ask
            host.record_start(ask.key, self._now, self._rng)
            self._actions.append(StartRequest(ask.key, ask.n_attempts))

    def _finish_request(self, request: _WaitingRequest, reason: str) -> None:
        job, host = request.job, request.host
        del job.open_requests[request.key]
        if request in host.pending_starts:
            host.pending_starts.remove(request)
        elif job.waiting.pop(request.key, None):
            del host.waiting[request.key]
            self._enqueue(job)
        if not job.open_requests:
            del self._jobs[job.key]
        self._actions.append(RequestFinished(request.key, "" if request.n_attempts else f"not asked: {reason}"))
