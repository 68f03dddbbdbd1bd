"""The engine of a scrape: sends requests, stores every answer and informs observers.

The scheduler decides which request starts when. The results are ledger lines and, if wanted, the answers. The engine
uses no adapter, no cycle and no database.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from palimpsest_pipeline.domain.cycles import EventOutcome
from palimpsest_pipeline.domain.enums import FailureClass, Platform
from palimpsest_pipeline.domain.exchange import INCOMPLETE_BOOK_PREFIX, Answer, Request
from palimpsest_pipeline.domain.instants import Clock
from palimpsest_pipeline.domain.observations import PayloadRejected
from palimpsest_pipeline.platforms.base import PlatformAdapter
from palimpsest_pipeline.wire.failures import parse_retry_after_s
from palimpsest_pipeline.wire.retry_rules import FAILURE_RULES, HostSignal

from .dialect_guard import describe_error, guard_judge
from .host_budget import MAX_PASSES, HostBudget
from .outcomes import build_cancelled_outcome, build_outcome, build_unasked_answer, combine_outcomes
from .scheduler import OUT_OF_TIME_REASON, Rank, RequestFinished, RequestJob, ScheduledRequest, Scheduler, StartRequest
from .sinks import AnswerSink, HostView, ObserverGroup, ScrapeObserver

if TYPE_CHECKING:
    from palimpsest_pipeline.wire.client import Judge, PlatformClient

log = logging.getLogger(__name__)

_HOST_FAULT_SIGNALS: Final = (HostSignal.ERROR, HostSignal.BLOCK, HostSignal.PAUSE)
"""Signals that can shut a host, and can therefore be the cause of a request that was not sent."""
MAX_BOOK_REQUESTS: Final = 40
"""Maximum number of requests for one listing's book.

It stops a dialect that always requests another page.
"""

RequestLister = Callable[[Request, Sequence[Answer]], Sequence[Request]]
"""Returns the requests that a book still needs, from its first request and its good answers so far.

An empty result means that the book is complete. A request that is not answered yet may be returned again.
"""


@dataclass(frozen=True, slots=True)
class HostSetup:
    """What the engine needs for one platform: client, function that judges answers, and budget."""

    client: "PlatformClient"
    judge: "Judge"
    budget: HostBudget


def build_host_setups(
    adapters: Mapping[Platform, PlatformAdapter],
    clients: "Mapping[Platform, PlatformClient]",
    budgets: Mapping[Platform, HostBudget],
) -> dict[Platform, HostSetup]:
    """Return the setup of each platform that has a client."""
    return {
        platform: HostSetup(client, guard_judge(adapters[platform]), budgets[platform])
        for platform, client in clients.items()
    }


@dataclass(frozen=True, slots=True)
class RequestResult:
    """The final result of one request, or of all requests for a book, whose first one is `request`.

    `last_answer` is the decisive answer of a single request, with attempt 0 when it was never sent; None unless the job
    keeps bodies.
    """

    request: Request
    outcome: EventOutcome
    last_answer: Answer | None


@dataclass(frozen=True, slots=True)
class SubmittedJob:
    """The key of a job, and the future of its results.

    The future has one RequestResult per request or book, in their order, once all of them are over. It raises the error
    that ended the engine, if that came first.
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
    """One request that is not over, or is part of a book that is not over."""

    request: Request
    book: "_OpenBook"
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
class _OpenBook:
    """All requests for one listing's book, or one other request. They have one outcome."""

    list_missing: RequestLister | None
    """None for a single request."""
    open_requests: list[_OpenRequest] = field(default_factory=list)
    """All requests so far, also those that are over."""
    n_unfinished: int = 0
    held_answers: list[Answer] = field(default_factory=list)
    """Good answers that are not landed yet, because the book is not complete."""
    is_complete: bool = False
    """Whether all answers are good and landed."""
    failure: tuple[FailureClass, str] | None = None
    """The reason why the book cannot become complete although no request failed."""

    def combine_outcomes(self) -> EventOutcome | None:
        """Return the outcome so far; None without an answer that decides anything."""
        outcomes = [request.outcome for request in self.open_requests if request.outcome is not None]
        if not self.is_complete and self.failure is None:
            outcomes = [outcome for outcome in outcomes if outcome.failure is not None]
        return combine_outcomes(outcomes, self.failure) if outcomes else None


@dataclass(slots=True, eq=False)
class _OpenJob:
    keeps_bodies: bool
    results: asyncio.Future[list[RequestResult]]
    list_missing: RequestLister | None
    scheduler_keys: list[int]
    """The scheduler's own jobs: the first requests, and each round of further requests for a book."""
    books: list[_OpenBook] = field(default_factory=list)
    end: tuple[FailureClass, str] | None = None
    """The failure of further requests, once the job is withdrawn or its time is over."""
    n_unfinished: int = 0
    """Number of requests that are not finished."""

    @property
    def open_requests(self) -> list[_OpenRequest]:
        return [request for book in self.books for request in book.open_requests]


class ScrapeEngine:
    """Sends the requests of one scrape. Use it once, with `async with`.

    Budgets and circuit breakers of hosts live as long as the engine, so discovery and capture of a cycle share one
    engine.

    When the block ends, requests in flight are cancelled and no more are sent; `list_unfinished` still returns the
    requests that were not finished. An error of `sink` or of an observer stops the engine and is raised by every open
    future, so no answer is fetched that cannot be stored.

    A book may need several requests. Its first ones start with their job; the further ones follow at once, before the
    first requests of any other job. Its good answers are held back until the book is complete, and then given to the
    sink together. If one of its requests fails, the whole book has failed: its other answers are landed as failed too.

    `host_holds` are hosts with problems that other scrapes reported. From `ends_at` on no request is sent: requests
    without an answer have failed as `transient`, and every future is done at once.
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
        self._n_further_jobs = 0
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
        has_worked = self._end_reason is None
        self._cancel_tasks(error or RuntimeError("the engine is closed"))
        for job in self._jobs.values():
            job.results.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if has_worked:
            for job in self._jobs.values():
                for book in job.books:
                    self._land_incomplete_book(book, FailureClass.TRANSIENT, "the scrape ended")

    @contextmanager
    def observe(self, observer: ScrapeObserver) -> Iterator[None]:
        """Add an observer during the block; it is called before the other observers."""
        self.observers.observers.insert(0, observer)
        try:
            yield
        finally:
            self.observers.observers.remove(observer)

    def submit(
        self,
        rank: Rank,
        requests: Sequence[Request],
        *,
        keeps_bodies: bool = False,
        list_missing: RequestLister | None = None,
    ) -> SubmittedJob:
        """Submit requests as one job; they start together where their hosts allow, smaller ranks first.

        Bodies are dropped once the sink has them, unless `keeps_bodies` is set. With `list_missing`, the requests for
        one listing make one book, and `list_missing` returns its further requests. Raises ValueError without a request
        or for an unknown host, and the error that ended the engine once it has ended.
        """
        if self._end_reason is not None:
            raise self._end_reason
        job_key, scheduled_requests = self._next_key(), self._make_scheduled_requests(requests)
        self._scheduler.add_job(RequestJob(job_key, rank, scheduled_requests), self._loop.time())
        job = self._jobs[job_key] = _OpenJob(keeps_bodies, self._loop.create_future(), list_missing, [job_key])
        self._add_books(job_key, scheduled_requests, requests)
        return SubmittedJob(job_key, job.results)

    def extend_job(self, job_key: int, requests: Sequence[Request]) -> bool:
        """Add requests for other listings to a job; they start together with its requests that still wait.

        The job's future then covers them too. Return False, and send nothing, when the job is over or withdrawn, or
        waits only for further requests of its books. Raises as `submit`.
        """
        if self._end_reason is not None:
            raise self._end_reason
        scheduled_requests = self._make_scheduled_requests(requests)
        if job_key not in self._jobs or not self._scheduler.extend_job(job_key, scheduled_requests, self._loop.time()):
            return False
        self._add_books(job_key, scheduled_requests, requests)
        return True

    def _make_scheduled_requests(self, requests: Sequence[Request]) -> tuple[ScheduledRequest, ...]:
        return tuple(ScheduledRequest(self._next_key(), request.platform) for request in requests)

    def _add_books(
        self, job_key: int, scheduled_requests: Sequence[ScheduledRequest], requests: Sequence[Request]
    ) -> None:
        job = self._jobs[job_key]
        book_by_listing: dict[tuple[Platform, str | None], _OpenBook] = {}
        for scheduled, request in zip(scheduled_requests, requests, strict=True):
            book = None
            if job.list_missing is not None:
                book = book_by_listing.get((request.platform, request.external_id))
            if book is None:
                book = book_by_listing[request.platform, request.external_id] = _OpenBook(job.list_missing)
                job.books.append(book)
                self.observers.on_planned(request.platform, 1, request.kind)
            self._add_request(job_key, book, scheduled, request)
        self._schedule_run()

    def _add_request(self, job_key: int, book: _OpenBook, scheduled: ScheduledRequest, request: Request) -> None:
        open_request = _OpenRequest(request, book)
        book.open_requests.append(open_request)
        book.n_unfinished += 1
        self._jobs[job_key].n_unfinished += 1
        self._requests_by_key[scheduled.key] = open_request, job_key

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
        if job := self._jobs.get(job_key):
            job.end = FailureClass.NOT_FOUND, f"not asked: {reason}"
            for open_request in job.open_requests:
                open_request.is_withdrawn = not open_request.n_attempts
            for scheduler_key in job.scheduler_keys:
                self._scheduler.withdraw_job(scheduler_key, reason)
        self._schedule_run()

    def time_out_job(self, job_key: int, reason: str) -> None:
        """End a job whose time is over: open requests fail as `transient`, and the future completes.

        The host's circuit breaker does not change.
        """
        if job := self._jobs.get(job_key):
            job.end = FailureClass.TRANSIENT, f"not asked: {reason}"
            for scheduler_key in job.scheduler_keys:
                self._scheduler.withdraw_job(scheduler_key, reason, is_timed_out=True)
            for open_request in job.open_requests:
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
            build_cancelled_outcome(
                book.open_requests[0].request,
                sum(open_request.n_attempts for open_request in book.open_requests),
                book.combine_outcomes(),
                now,
            )
            for book in dict.fromkeys(open_request.book for open_request, _ in self._requests_by_key.values())
            if book.open_requests[0].request.external_id
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
            finished_requests, outcomes = [], []
            for action in self._scheduler.take_due_actions(self._loop.time()):
                if isinstance(action, StartRequest):
                    self._start_attempt(action)
                    continue
                finished_requests.append(action.request_key)
                if (outcome := self._conclude_outcome(action)) is not None:
                    outcomes.append(outcome)
            if outcomes:
                self.observers.on_outcomes(outcomes)
            for request_key in finished_requests:
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
            if answer.ok and open_request.book.list_missing is not None:
                self._hold_answer(start.request_key, answer, open_request.book.list_missing)
            else:
                open_request.book.is_complete = answer.ok
                self._land([answer])
            self._record_answer(start.request_key, open_request, answer)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - any error must reach the callers that await results
            self._end_with_error(error)
        else:
            if self._wake_at is not None and self._wake_at <= self._loop.time():
                # The timer is due. It would fire only after all events that the loop has already collected, and each
                # start that is late delays all later starts at its host.
                self._run_due_actions()
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

    def _land(self, answers: Sequence[Answer], observed_answers: Sequence[Answer] | None = None) -> None:
        """Give the sink answers that belong together; then the observers these, or `observed_answers`."""
        if len(answers) == 1:
            self._sink.append(answers[0])
        else:
            self._sink.append_together(answers)
        for answer in answers if observed_answers is None else observed_answers:
            self.observers.on_answer(answer)

    def _hold_answer(self, request_key: int, answer: Answer, list_missing: RequestLister) -> None:
        """Add a good answer to its book; then request what the book still needs, or land it if it is complete."""
        answered_request, job_key = self._requests_by_key[request_key]
        book = answered_request.book
        book.held_answers.append(answer)
        if book.failure is not None:
            return
        first = book.open_requests[0].request
        try:
            missing = list_missing(first, book.held_answers)
        except PayloadRejected as rejected:
            log.warning("%s: the book of listing %s: %s", first.platform, first.external_id, describe_error(rejected))
            book.failure = rejected.failure, f"the book's rest is unknown: {describe_error(rejected)}"
            return
        except Exception as error:
            log.exception("%s: further requests for listing %s could not be built", first.platform, first.external_id)
            book.failure = FailureClass.CONTRACT_BROKEN, f"further requests could not be built: {describe_error(error)}"
            return
        requested_keys = {open_request.request.key for open_request in book.open_requests}
        new_requests = [request for request in missing if request.key not in requested_keys]
        # `n_unfinished` does not show this yet: the scheduler reports the end of a request a little later.
        is_last_answer = not any(
            open_request.outcome is None or open_request.outcome.failure is not None
            for open_request in book.open_requests
            if open_request is not answered_request
        )
        if new_requests:
            self._request_more(job_key, book, new_requests)
        elif missing and is_last_answer:
            book.failure = FailureClass.CONTRACT_BROKEN, "the book is not complete, and nothing is left to request"
        elif is_last_answer:
            book.is_complete = True
            self._land(book.held_answers)
            book.held_answers = []

    def _request_more(self, job_key: int, book: _OpenBook, requests: Sequence[Request]) -> None:
        """Submit further requests of a book. They go before all jobs that have not begun."""
        job = self._jobs[job_key]
        if job.end is not None:
            book.failure = job.end
            return
        if len(book.open_requests) + len(requests) > MAX_BOOK_REQUESTS:
            book.failure = FailureClass.CONTRACT_BROKEN, f"the book has no end after {len(book.open_requests)} requests"
            return
        self._n_further_jobs += 1
        scheduler_key, scheduled_requests = self._next_key(), self._make_scheduled_requests(requests)
        # A scheduler job of its own: in one job with a retry for another platform, each would wait for the other.
        self._scheduler.add_job(
            RequestJob(scheduler_key, (-1, self._n_further_jobs), scheduled_requests), self._loop.time()
        )
        job.scheduler_keys.append(scheduler_key)
        for scheduled, request in zip(scheduled_requests, requests, strict=True):
            self._add_request(job_key, book, scheduled, request)

    def _land_incomplete_book(self, book: _OpenBook, failure: FailureClass, reason: str) -> None:
        """Land the good answers of a failed book as failed answers, because they are only a part of the book.

        Observers get them as good ones, because their attempts did not fail. If no attempt failed at all, the last
        answer counts as the failure.
        """
        answers, book.held_answers = book.held_answers, []
        if not answers:
            return
        detail = f"{INCOMPLETE_BOOK_PREFIX}{reason}"
        failed_answers = [replace(answer, failure=failure, failure_detail=detail) for answer in answers]
        if book.failure is not None:
            answers[-1] = failed_answers[-1] = replace(answers[-1], failure=failure, failure_detail=reason)
        self._land(failed_answers, answers)

    def _record_answer(self, key: int, open_request: _OpenRequest, answer: Answer) -> None:
        """Pass an answer to the ledger line and the scheduler."""
        self._update_outcome(open_request, answer, self._requests_by_key[key][1])
        if answer.failure is not None and FAILURE_RULES[answer.failure].host_signal in _HOST_FAULT_SIGNALS:
            self._last_failure[answer.request.platform] = answer.failure
        retry_after_s = parse_retry_after_s(answer.headers, answer.received_at)
        self._scheduler.record_answer(key, answer.failure, retry_after_s, self._loop.time(), answer.failure_detail)

    def _update_outcome(self, open_request: _OpenRequest, answer: Answer, job: int) -> None:
        open_request.first_at = open_request.first_at or answer.requested_at
        open_request.outcome = build_outcome(answer, open_request.first_at)
        if self._jobs[job].keeps_bodies:
            open_request.last_answer = answer

    def _conclude_outcome(self, finished: RequestFinished) -> EventOutcome | None:
        """Return the outcome of the request's book; None while other requests of the book are not over."""
        open_request, job = self._requests_by_key[finished.request_key]
        if open_request.outcome is None:
            self._update_outcome(open_request, self._append_unasked_answer(open_request, finished.reason), job)
        book = open_request.book
        book.n_unfinished -= 1
        if book.n_unfinished:
            return None
        outcome = book.combine_outcomes()
        assert outcome is not None, "the last request of a book is over, so the book is complete or has failed"
        if outcome.failure is not None:
            self._land_incomplete_book(book, outcome.failure, outcome.failure_detail)
        return outcome

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
                        RequestResult(book.open_requests[0].request, outcome, book.open_requests[0].last_answer)
                        for book in job.books
                        if (outcome := book.combine_outcomes()) is not None
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
