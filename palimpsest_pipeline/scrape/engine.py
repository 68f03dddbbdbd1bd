"""The engine of a scrape: does what the scheduler says, keeps every answer, tells who looks on. The only asyncio under
it is the client's.

Knows no adapter, no cycle, no database: requests go in, ledger lines and (where wanted) answers come out.
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
"""What may shut a host, and so be why a request was not asked."""


@dataclass(frozen=True, slots=True)
class HostSetup:
    """One platform's host: who asks it, what its answers mean, how much may be asked."""

    client: "PlatformClient"
    judge: "Judge"
    budget: HostBudget


@dataclass(frozen=True, slots=True)
class RequestResult:
    """One request whose asking is over.

    `last` is the answer that decided, attempt 0 when it was never asked; None unless bodies were wanted.
    """

    request: Request
    outcome: EventOutcome
    last_answer: Answer | None


@dataclass(frozen=True, slots=True)
class SubmittedJob:
    """`done` has one Asked per request, in their order, once all of them are over; what ended the engine, if that
    came first.
    """

    job_key: int
    results: asyncio.Future[list[RequestResult]]


@dataclass(frozen=True, slots=True)
class HostHold:
    """What another scrape found of a host: why it is to be left alone, and for how many more seconds (0: it was,
    until a little while ago).
    """

    reason: str
    remaining_s: float
    is_blocked: bool = True
    """It is not waited for when nothing else is left to do."""


@dataclass(slots=True, eq=False)
class _OpenRequest:
    """One request on its way."""

    request: Request
    n_attempts: int = 0
    """Started."""
    first_at: datetime | None = None
    """Start of the first attempt that was answered."""
    outcome: EventOutcome | None = None
    """After the latest answer."""
    last_answer: Answer | None = None
    is_withdrawn: bool = False
    ends_at_s: float | None = None
    """When the attempt under way is given up, by the loop's clock; None: when the engine ends."""
    end_reason: str = OUT_OF_TIME_REASON
    timeout: asyncio.Timeout | None = None
    """Of the attempt under way."""


@dataclass(slots=True, eq=False)
class _OpenJob:
    open_requests: list[_OpenRequest]
    keeps_bodies: bool
    results: asyncio.Future[list[RequestResult]]
    n_unfinished: int = 0
    """Questions whose asking is not over."""


class ScrapeEngine:
    """Use as `async with`, once. Hosts' budgets, pace and breakers last as long as it does, so discovery and capture of
    a cycle share one.

    Leaving it cancels what is under way and starts nothing more; `unfinished` then still tells what was not over. What
    `sink` or a watch raises
    ends it: every future that is still open gets that error, for nothing is fetched that cannot be kept.

    `held` are hosts that others found in trouble. With `ends_at` nothing is asked from that instant on: what has no
    answer then has failed, as `transient`, and every future is done at once.
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
        """By the loop's clock."""
        self._jobs: dict[int, _OpenJob] = {}
        self._requests_by_key: dict[int, tuple[_OpenRequest, int]] = {}
        """Open questions and their jobs, by the scheduler's key."""
        self._n_keys = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._wake_at: float | None = None
        """When it goes off. Not every loop's timers can say."""
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
        for platform, held in self._host_holds.items():
            self._scheduler.hold_host(
                platform, held.reason, now_s + held.remaining_s, now_s, is_blocked=held.is_blocked
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
        """One more who looks on for a while, told before the others."""
        self.observers.observers.insert(0, observer)
        try:
            yield
        finally:
            self.observers.observers.remove(observer)

    def submit(self, rank: Rank, requests: Sequence[Request], *, keeps_bodies: bool = False) -> SubmittedJob:
        """Ask all of these, together where their hosts allow; smaller ranks first. Bodies are dropped once the sink has
        them, unless wanted.

        Raises ValueError without a request or for an unknown host, and what ended the engine when it has ended.
        """
        if self._end_reason is not None:
            raise self._end_reason
        job_key, asks = self._next_key(), self._make_scheduled_requests(requests)
        self._scheduler.add_job(RequestJob(job_key, rank, asks), self._loop.time())
        job = self._jobs[job_key] = _OpenJob([], keeps_bodies, self._loop.create_future())
        self._add_requests(job_key, asks, requests)
        return SubmittedJob(job_key, job.results)

    def extend_job(self, job_key: int, requests: Sequence[Request]) -> bool:
        """Ask these too, together with what the job has not asked yet; its future then has an Asked of each of them as
        well.

        Return False, and ask nothing, when the job is over or withdrawn. Raises as `submit`.
        """
        if self._end_reason is not None:
            raise self._end_reason
        asks = self._make_scheduled_requests(requests)
        if job_key not in self._jobs or not self._scheduler.extend_job(job_key, asks, self._loop.time()):
            return False
        self._add_requests(job_key, asks, requests)
        return True

    def _make_scheduled_requests(self, requests: Sequence[Request]) -> tuple[ScheduledRequest, ...]:
        return tuple(ScheduledRequest(self._next_key(), request.platform) for request in requests)

    def _add_requests(self, job_key: int, asks: Sequence[ScheduledRequest], requests: Sequence[Request]) -> None:
        job = self._jobs[job_key]
        for ask, request in zip(asks, requests, strict=True):
            question = _OpenRequest(request)
            job.open_requests.append(question)
            job.n_unfinished += 1
            self._requests_by_key[ask.key] = question, job_key
            self.observers.on_planned(request.platform, 1, request.kind)
        self._schedule_run()

    def is_over(self, job: int) -> bool:
        """Return whether those who look on have been told that the asking of all of it is over."""
        return job not in self._jobs

    def rerank_job(self, job_key: int, rank: Rank) -> None:
        """A new place among those that wait."""
        self._scheduler.rerank_job(job_key, rank)
        self._schedule_run()

    def withdraw_job(self, job_key: int, reason: str) -> None:
        """What it asks for is not there any more: whatever has not been asked yet never is, and counts as not found
        ("not asked: `reason`").
        """
        for question in self._jobs[job_key].open_requests if job_key in self._jobs else ():
            question.is_withdrawn = not question.n_attempts
        self._scheduler.withdraw_job(job_key, reason)
        self._schedule_run()

    def time_out_job(self, job_key: int, reason: str) -> None:
        """Its time is over: what has no answer now has failed, as `transient`; the future is done at once.

        It says nothing of the host.
        """
        self._scheduler.withdraw_job(job_key, reason, is_timed_out=True)
        for question in self._jobs[job_key].open_requests if job_key in self._jobs else ():
            if question.ends_at_s is None:
                question.ends_at_s, question.end_reason = self._loop.time(), reason
                if question.timeout is not None:
                    question.timeout.reschedule(question.ends_at_s)
        self._schedule_run()

    def view_host(self, platform: Platform) -> HostView:
        """The host as it stands."""
        return self._scheduler.view_host(platform)

    def list_unfinished(self) -> list[EventOutcome]:
        """Ledger lines of the listings whose asking is not over, for a cycle that ends now: cancelled, with the
        attempts so far.
        """
        now = self._clock.now()
        return [
            build_cancelled_outcome(q.request, q.n_attempts, q.outcome, now)
            for q, _ in self._requests_by_key.values()
            if q.request.external_id
        ]

    def _next_key(self) -> int:
        self._n_keys += 1
        return self._n_keys

    def _schedule_run(self) -> None:
        # Once for all that is submitted in one go: the first one submitted is not the first one in rank. And once for
        # all answers that came together.
        if self._pending_run is None:
            self._pending_run = self._loop.call_soon(self._run_due_actions)

    def _run_due_actions(self) -> None:
        """Everything that is to happen now. Whatever changes the scheduler's mind ends here."""
        if self._pending_run is not None:
            self._pending_run.cancel()
            self._pending_run = None
        if self._end_reason is not None:
            return
        try:
            over = []
            for action in self._scheduler.take_due_actions(self._loop.time()):
                if isinstance(action, StartRequest):
                    self._start_attempt(action)
                else:
                    over.append((action.request_key, self._conclude_outcome(action)))
            if over:
                self.observers.on_outcomes([outcome for _, outcome in over])
                for ask, _ in over:
                    self._close_request(ask)
            self._report_host_changes()
        except BaseException as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
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
        question, _ = self._requests_by_key[start.request_key]
        question.n_attempts = start.attempt
        task = self._loop.create_task(self._run_attempt(start, question))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run_attempt(self, start: StartRequest, question: _OpenRequest) -> None:
        try:
            answer = await self._send_request(question, start.attempt)
            self._sink.append(answer)
            self._record_answer(start.request_key, question, answer)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            self._end_with_error(error)
        else:
            self._schedule_run()

    async def _send_request(self, question: _OpenRequest, attempt: int) -> Answer:
        request = question.request
        host = self.hosts[request.platform]
        requested_at = self._clock.now()
        end = asyncio.timeout_at(self._ends_at_s if question.ends_at_s is None else question.ends_at_s)
        try:
            async with end:
                question.timeout = end
                try:
                    return await host.client.send(request, attempt, host.judge)
                finally:
                    question.timeout = None
        except Exception as error:
            if end.expired():
                failed = FailureClass.TRANSIENT, f"no answer when {question.end_reason}"
            else:
                # Failures of network and host are answers already: this is a bug, of one request and not of the others.
                log.exception("%s: %s could not be asked", request.platform, request.path)
                failed = FailureClass.PERMANENT, f"could not be asked: {describe_error(error)}"
            now = self._clock.now()
            return Answer(request, attempt, requested_at, now, now, None, {}, None, *failed)

    def _record_answer(self, key: int, question: _OpenRequest, answer: Answer) -> None:
        """After the sink, everyone else: those who look on, the ledger line, the scheduler."""
        self.observers.on_answer(answer)
        self._update_outcome(question, answer, self._requests_by_key[key][1])
        if answer.failure is not None and FAILURE_RULES[answer.failure].host_signal in _HOST_FAULT_SIGNALS:
            self._last_failure[answer.request.platform] = answer.failure
        told_s = parse_retry_after_s(answer.headers, answer.received_at)
        self._scheduler.record_answer(key, answer.failure, told_s, self._loop.time(), answer.failure_detail)

    def _update_outcome(self, question: _OpenRequest, answer: Answer, job: int) -> EventOutcome:
        question.first_at = question.first_at or answer.requested_at
        question.outcome = build_outcome(answer, question.first_at)
        if self._jobs[job].keeps_bodies:
            question.last_answer = answer
        return question.outcome

    def _conclude_outcome(self, over: RequestFinished) -> EventOutcome:
        question, job = self._requests_by_key[over.request_key]
        return question.outcome or self._update_outcome(
            question, self._append_unasked_answer(question, over.reason), job
        )

    def _close_request(self, ask: int) -> None:
        """Forgets a question that everyone has been told of; its job is done when it was the last one."""
        _, job_key = self._requests_by_key.pop(ask)
        job = self._jobs[job_key]
        job.n_unfinished -= 1
        if not job.n_unfinished:
            del self._jobs[job_key]
            if not job.results.done():
                job.results.set_result(
                    [
                        RequestResult(q.request, q.outcome, q.last_answer)
                        for q in job.open_requests
                        if q.outcome is not None
                    ]
                )

    def _append_unasked_answer(self, question: _OpenRequest, reason: str) -> Answer:
        """In place of an answer. The sink gets it too, for else nobody could tell that the host was to be asked."""
        now, request = self._clock.now(), question.request
        if question.is_withdrawn:
            return build_unasked_answer(request, FailureClass.NOT_FOUND, reason, now)
        # A host that is asked as usual is not why: then the time was over.
        why = (
            FailureClass.TRANSIENT
            if self.view_host(request.platform).state == "closed"
            else self._last_failure.get(request.platform)
        )
        answer = build_unasked_answer(request, why or FailureClass.TRANSIENT, reason, now)
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
                job.results.exception()  # one who hears of it is enough
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise error

    def _cancel_tasks(self, reason: BaseException) -> None:
        self._end_reason = self._end_reason or reason
        self._set_timer(None)
        for task in self._tasks - {asyncio.current_task()}:
            task.cancel()
