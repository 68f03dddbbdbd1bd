"""The engine of a scrape: sends requests, stores every answer and informs observers.

The scheduler decides which request starts when. The results are ledger lines and, if wanted, the answers. The engine
uses no adapter, no cycle and no database.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from palimpsest_pipeline.domain.cycles import EventOutcome
from palimpsest_pipeline.domain.enums import FailureClass, Platform
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.domain.instants import Clock
from palimpsest_pipeline.wire.failures import parse_retry_after_s
from palimpsest_pipeline.wire.retry_rules import FAILURE_RULES, HostSignal

from .dialect_guard import describe_error
from .host_budget import MAX_PASSES, HostBudget
from .outcomes import build_cancelled_outcome, build_outcome, build_unasked_answer
from .scheduler import OUT_OF_TIME_REASON, Rank, RequestFinished, RequestJob, ScheduledRequest, Scheduler, StartRequest
from .sinks import AnswerSink, HostView, ObserverGroup, ScrapeObserver

if TYPE_CHECKING:
    from palimpsest_pipeline.wire.client import Judge, PlatformClient

log = logging.getLogger(__name__)

_HOST_FAULT_SIGNALS: Final = (HostSignal.ERROR, HostSignal.BLOCK, HostSignal.PAUSE)
"""Signals that can shut a host, and can therefore be the cause of a request that was not sent."""


@dataclass(frozen=True, slots=True)
class HostSetup:
    """What the engine needs for one platform: client, function that judges answers, and budget."""

    client: "PlatformClient"
    judge: "Judge"
    budget: HostBudget


@dataclass(frozen=True, slots=True)
class RequestResult:
    """The final result of one request.

    `last_answer` is the last answer, which decides. Its attempt is 0 when the request was never sent. It is None unless
    the job keeps bodies.
    """

    request: Request
    outcome: EventOutcome
    last_answer: Answer | None


@dataclass(frozen=True, slots=True)
class SubmittedJob:
    """The key of a job, and the future of its results.

    The future's result is one RequestResult per request, in order, when all are finished. If an error stops the engine
    before, the future raises it.
    """

    job_key: int
    results: asyncio.Future[list[RequestResult]]


@dataclass(frozen=True, slots=True)
class HostHold:
    """A problem of a host that another scrape reported.

    `remaining_s` is the number of seconds without requests, 0 when they have passed.
    """

    reason: str
    remaining_s: float
    is_blocked: bool = True
    """Whether the scrape stops waiting for the host when all other work is done."""


@dataclass(slots=True, eq=False)
class _OpenRequest:
    """A request that is not finished."""

    request: Request
    n_attempts: int = 0
    """Number of attempts started."""
    first_at: datetime | None = None
    """Start of the first attempt that got an answer."""
    outcome: EventOutcome | None = None
    """The outcome according to the latest answer."""
    last_answer: Answer | None = None
    is_withdrawn: bool = False
    ends_at_s: float | None = None
    """Latest end of the attempt in flight, by the event loop's clock; None means the end of the engine."""
    end_reason: str = OUT_OF_TIME_REASON
    timeout: asyncio.Timeout | None = None
    """The time-out of the attempt in flight."""


@dataclass(slots=True, eq=False)
class _OpenJob:
    open_requests: list[_OpenRequest]
    keeps_bodies: bool
    results: asyncio.Future[list[RequestResult]]
    n_unfinished: int = 0
    """Number of requests that are not finished."""


class ScrapeEngine:
    """Sends the requests of one scrape. Use it once, with `async with`.

    Budgets and circuit breakers of hosts live as long as the engine, so discovery and capture of a cycle share one
    engine.

    When the block ends, requests in flight are cancelled and no more are sent; `list_unfinished` still returns the
    requests that were not finished. An error of `sink` or of an observer stops the engine and is raised by every open
    future, so no answer is fetched that cannot be stored.

    `host_holds` are problems of hosts that other scrapes reported. From `ends_at` on no request is sent: requests
    without an answer fail as `transient`, and every future completes at once.
    """

    def __init__(
        self,
        hosts: Mapping[Platform, HostSetup],
        sink: AnswerSink,
        *,
        clock: Clock,
        observer: ScrapeObserver | None = None,
        max_passes: int = MAX_PASSES,
        host_holds: Mapping[Platform, HostHold] | None = None,
        ends_at: datetime | None = None,
    ) -> None:
        self.hosts = dict(hosts)
        self.observers = ObserverGroup([observer] if observer is not None else [])
        self._sink = sink
        self._clock = clock
        self._scheduler = Scheduler(self.budgets, max_passes=max_passes)
        self._host_holds = host_holds or {}
        self._ends_at = ends_at
        self._ends_at_s: float | None = None
        """The end of the engine, by the event loop's clock."""
        self._jobs: dict[int, _OpenJob] = {}
        self._requests_by_key: dict[int, tuple[_OpenRequest, int]] = {}
        """Open requests and their jobs, by the scheduler's request key."""
        self._n_keys = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._wake_at: float | None = None
        """When the timer fires. It is stored here because not every event loop's timer can return it."""
        self._pending_run: asyncio.Handle | None = None
        self._last_host_states: dict[Platform, str] = {}
        self._last_failure: dict[Platform, FailureClass] = {}
        self._end_reason: BaseException | None = None

    @property
    def budgets(self) -> dict[Platform, HostBudget]:
        return {platform: host.budget for platform, host in self.hosts.items()}

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        now_s = self._loop.time()
        for platform, host_hold in self._host_holds.items():
            self._scheduler.hold_host(
                platform, host_hold.reason, now_s + host_hold.remaining_s, now_s, is_blocked=host_hold.is_blocked
            )
        if self._ends_at is not None:
            self._ends_at_s = now_s + (self._ends_at - self._clock.now()).total_seconds()
            self._scheduler.set_end(self._ends_at_s, now_s)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cancel_tasks(error or RuntimeError("the engine is closed"))
        for job in self._jobs.values():
            job.results.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @contextmanager
    def observe(self, observer: ScrapeObserver) -> Iterator[None]:
        """Add an observer during the block; it is called before the other observers."""
        self.observers.observers.insert(0, observer)
        try:
            yield
        finally:
            self.observers.observers.remove(observer)

    def submit(self, rank: Rank, requests: Sequence[Request], *, keeps_bodies: bool = False) -> SubmittedJob:
        """Submit requests as one job; a smaller rank starts earlier.

        The requests of a job start together where the limits of their hosts allow it. Bodies are dropped after the sink
        has stored them, unless `keeps_bodies` is set. Raises ValueError for an empty job or an unknown host, and the
        error that stopped the engine.
        """
        if self._end_reason is not None:
            raise self._end_reason
        job_key, scheduled_requests = self._next_key(), self._make_scheduled_requests(requests)
        self._scheduler.add_job(RequestJob(job_key, rank, scheduled_requests), self._loop.time())
        job = self._jobs[job_key] = _OpenJob([], keeps_bodies, self._loop.create_future())
        self._add_requests(job_key, scheduled_requests, requests)
        return SubmittedJob(job_key, job.results)

    def extend_job(self, job_key: int, requests: Sequence[Request]) -> bool:
        """Add requests to a job that waits or runs; they take the job's place in the queue.

        The job's future then covers the new requests too. Returns False, and sends nothing, when the job is finished or
        withdrawn. Raises the errors of `submit`.
        """
        if self._end_reason is not None:
            raise self._end_reason
        scheduled_requests = self._make_scheduled_requests(requests)
        if job_key not in self._jobs or not self._scheduler.extend_job(job_key, scheduled_requests, self._loop.time()):
            return False
        self._add_requests(job_key, scheduled_requests, requests)
        return True

    def _make_scheduled_requests(self, requests: Sequence[Request]) -> tuple[ScheduledRequest, ...]:
        return tuple(ScheduledRequest(self._next_key(), request.platform) for request in requests)

    def _add_requests(
        self, job_key: int, scheduled_requests: Sequence[ScheduledRequest], requests: Sequence[Request]
    ) -> None:
        job = self._jobs[job_key]
        for scheduled, request in zip(scheduled_requests, requests, strict=True):
            open_request = _OpenRequest(request)
            job.open_requests.append(open_request)
            job.n_unfinished += 1
            self._requests_by_key[scheduled.key] = open_request, job_key
            self.observers.on_planned(request.platform, 1, request.kind)
        self._schedule_run()

    def is_over(self, job: int) -> bool:
        """Return whether all requests of the job are finished and reported to the observers."""
        return job not in self._jobs

    def rerank_job(self, job_key: int, rank: Rank) -> None:
        """Change the rank of a waiting job."""
        self._scheduler.rerank_job(job_key, rank)
        self._schedule_run()

    def withdraw_job(self, job_key: int, reason: str) -> None:
        """Withdraw a job whose listings no longer exist.

        Requests that were never sent count as not found ("not asked: `reason`").
        """
        for open_request in self._jobs[job_key].open_requests if job_key in self._jobs else ():
            open_request.is_withdrawn = not open_request.n_attempts
        self._scheduler.withdraw_job(job_key, reason)
        self._schedule_run()

    def time_out_job(self, job_key: int, reason: str) -> None:
        """End a job whose time is over: open requests fail as `transient`, and the future completes.

        The host's circuit breaker does not change.
        """
        self._scheduler.withdraw_job(job_key, reason, is_timed_out=True)
        for open_request in self._jobs[job_key].open_requests if job_key in self._jobs else ():
            if open_request.ends_at_s is None:
                open_request.ends_at_s, open_request.end_reason = self._loop.time(), reason
                if open_request.timeout is not None:
                    open_request.timeout.reschedule(open_request.ends_at_s)
        self._schedule_run()

    def view_host(self, platform: Platform) -> HostView:
        """Return the current state of a platform's host."""
        return self._scheduler.view_host(platform)

    def list_unfinished(self) -> list[EventOutcome]:
        """Return ledger lines for all listings whose requests are not finished, when a cycle ends now.

        Their status is cancelled, with the number of attempts so far.
        """
        now = self._clock.now()
        return [
            build_cancelled_outcome(open_request.request, open_request.n_attempts, open_request.outcome, now)
            for open_request, _ in self._requests_by_key.values()
            if open_request.request.external_id
        ]

    def _next_key(self) -> int:
        self._n_keys += 1
        return self._n_keys

    def _schedule_run(self) -> None:
        # All jobs that are submitted together are handled in one run, because the first job submitted may not have the
        # smallest rank. The same holds for answers that arrive together.
        if self._pending_run is None:
            self._pending_run = self._loop.call_soon(self._run_due_actions)

    def _run_due_actions(self) -> None:
        """Execute all actions of the scheduler that are due, after every change of its state."""
        if self._pending_run is not None:
            self._pending_run.cancel()
            self._pending_run = None
        if self._end_reason is not None:
            return
        try:
            finished_requests = []
            for action in self._scheduler.take_due_actions(self._loop.time()):
                if isinstance(action, StartRequest):
                    self._start_attempt(action)
                else:
                    finished_requests.append((action.request_key, self._conclude_outcome(action)))
            if finished_requests:
                self.observers.on_outcomes([outcome for _, outcome in finished_requests])
                for request_key, _ in finished_requests:
                    self._close_request(request_key)
            self._report_host_changes()
        except BaseException as error:  # noqa: BLE001 - any error must reach the callers that await results
            self._end_with_error(error)
        else:
            self._set_timer(self._scheduler.find_next_due_at())

    def _set_timer(self, wake_at: float | None) -> None:
        if self._wake_at == wake_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._wake_at = wake_at
        self._timer = None if wake_at is None else self._loop.call_at(wake_at, self._run_on_timer)

    def _run_on_timer(self) -> None:
        self._timer = self._wake_at = None
        self._run_due_actions()

    def _start_attempt(self, start: StartRequest) -> None:
        open_request, _ = self._requests_by_key[start.request_key]
        open_request.n_attempts = start.attempt
        task = self._loop.create_task(self._run_attempt(start, open_request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run_attempt(self, start: StartRequest, open_request: _OpenRequest) -> None:
        try:
            answer = await self._send_request(open_request, start.attempt)
            self._sink.append(answer)
            self._record_answer(start.request_key, open_request, answer)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - any error must reach the callers that await results
            self._end_with_error(error)
        else:
            self._schedule_run()

    async def _send_request(self, open_request: _OpenRequest, attempt: int) -> Answer:
        request = open_request.request
        host = self.hosts[request.platform]
        requested_at = self._clock.now()
        end = asyncio.timeout_at(self._ends_at_s if open_request.ends_at_s is None else open_request.ends_at_s)
        try:
            async with end:
                open_request.timeout = end
                try:
                    return await host.client.send(request, attempt, host.judge)
                finally:
                    open_request.timeout = None
        except Exception as error:
            if end.expired():
                failure = FailureClass.TRANSIENT, f"no answer when {open_request.end_reason}"
            else:
                # Failures of network and host become answers, so this is a bug. It must fail only one request.
                log.exception("%s: %s could not be asked", request.platform, request.path)
                failure = FailureClass.PERMANENT, f"could not be asked: {describe_error(error)}"
            now = self._clock.now()
            return Answer(request, attempt, requested_at, now, now, None, {}, None, *failure)

    def _record_answer(self, key: int, open_request: _OpenRequest, answer: Answer) -> None:
        """Pass an answer that is already stored to the observers, the ledger line and the scheduler."""
        self.observers.on_answer(answer)
        self._update_outcome(open_request, answer, self._requests_by_key[key][1])
        if answer.failure is not None and FAILURE_RULES[answer.failure].host_signal in _HOST_FAULT_SIGNALS:
            self._last_failure[answer.request.platform] = answer.failure
        retry_after_s = parse_retry_after_s(answer.headers, answer.received_at)
        self._scheduler.record_answer(key, answer.failure, retry_after_s, self._loop.time(), answer.failure_detail)

    def _update_outcome(self, open_request: _OpenRequest, answer: Answer, job: int) -> EventOutcome:
        open_request.first_at = open_request.first_at or answer.requested_at
        open_request.outcome = build_outcome(answer, open_request.first_at)
        if self._jobs[job].keeps_bodies:
            open_request.last_answer = answer
        return open_request.outcome

    def _conclude_outcome(self, finished: RequestFinished) -> EventOutcome:
        open_request, job = self._requests_by_key[finished.request_key]
        return open_request.outcome or self._update_outcome(
            open_request, self._append_unasked_answer(open_request, finished.reason), job
        )

    def _close_request(self, request_key: int) -> None:
        """Remove a finished request; complete its job after the job's last request."""
        _, job_key = self._requests_by_key.pop(request_key)
        job = self._jobs[job_key]
        job.n_unfinished -= 1
        if not job.n_unfinished:
            del self._jobs[job_key]
            if not job.results.done():
                job.results.set_result(
                    [
                        RequestResult(open_request.request, open_request.outcome, open_request.last_answer)
                        for open_request in job.open_requests
                        if open_request.outcome is not None
                    ]
                )

    def _append_unasked_answer(self, open_request: _OpenRequest, reason: str) -> Answer:
        """Return an answer for a request that was never sent, and store it unless its job was withdrawn.

        Without this answer, the landing would not show that the request was planned.
        """
        now, request = self._clock.now(), open_request.request
        if open_request.is_withdrawn:
            return build_unasked_answer(request, FailureClass.NOT_FOUND, reason, now)
        # If the breaker is closed, the host is not the cause: the time was over.
        failure = (
            FailureClass.TRANSIENT
            if self.view_host(request.platform).state == "closed"
            else self._last_failure.get(request.platform)
        )
        answer = build_unasked_answer(request, failure or FailureClass.TRANSIENT, reason, now)
        self._sink.append(answer)
        return answer

    def _report_host_changes(self) -> None:
        for platform in self.hosts:
            view = self._scheduler.view_host(platform)
            if view.state != self._last_host_states.get(platform, "closed"):
                self._last_host_states[platform] = view.state
                log.info("%s is %s%s", platform, view.state, f": {view.reason}" if view.reason else "")
                self.observers.on_host_change(platform, view)

    def _end_with_error(self, error: BaseException) -> None:
        self._cancel_tasks(error)
        for job in self._jobs.values():
            if not job.results.done():
                job.results.set_exception(error)
                # marks the exception as retrieved, because not every caller waits for the result
                job.results.exception()
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise error

    def _cancel_tasks(self, reason: BaseException) -> None:
        self._end_reason = self._end_reason or reason
        self._set_timer(None)
        for task in self._tasks - {asyncio.current_task()}:
            task.cancel()
