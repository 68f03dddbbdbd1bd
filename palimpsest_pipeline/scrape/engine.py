"""The engine of a scrape: does what the scheduler says, keeps every answer, tells who looks on. The only asyncio under it is the client's.

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
from palimpsest_pipeline.wire.failures import retry_after_s
from palimpsest_pipeline.wire.retry_rules import RULES, Bears

from .dialect_guard import words
from .host_budget import PATIENCE, Budget
from .outcomes import cancelled, not_asked, outcome_of
from .scheduler import OUT_OF_TIME, Ask, Job, Over, Rank, Scheduler, Start
from .sinks import AnswerSink, HostView, Watch, Watches

if TYPE_CHECKING:
    from palimpsest_pipeline.wire.client import Judge, PlatformClient

log = logging.getLogger(__name__)

_AGAINST_HOST: Final = (Bears.ERROR, Bears.BLOCK, Bears.PAUSE)
"""What may shut a host, and so be why a request was not asked."""


@dataclass(frozen=True, slots=True)
class Host:
    """One platform's host: who asks it, what its answers mean, how much may be asked."""

    client: "PlatformClient"
    judge: "Judge"
    budget: Budget


@dataclass(frozen=True, slots=True)
class Asked:
    """One request whose asking is over. `last` is the answer that decided, attempt 0 when it was never asked; None unless bodies were wanted."""

    request: Request
    outcome: EventOutcome
    last: Answer | None


@dataclass(frozen=True, slots=True)
class Submitted:
    """`done` has one Asked per request, in their order, once all of them are over; what ended the engine, if that came first."""

    job: int
    done: asyncio.Future[list[Asked]]


@dataclass(frozen=True, slots=True)
class Held:
    """What another scrape found of a host: why it is to be left alone, and for how many more seconds (0: it was, until a little while ago)."""

    reason: str
    for_s: float
    blocked: bool = True
    """It is not waited for when nothing else is left to do."""


@dataclass(slots=True, eq=False)
class _Question:
    """One request on its way."""

    request: Request
    attempts: int = 0
    """Started."""
    first_at: datetime | None = None
    """Start of the first attempt that was answered."""
    outcome: EventOutcome | None = None
    """After the latest answer."""
    last: Answer | None = None
    withdrawn: bool = False
    ends_at_s: float | None = None
    """When the attempt under way is given up, by the loop's clock; None: when the engine ends."""
    end_reason: str = OUT_OF_TIME
    timeout: asyncio.Timeout | None = None
    """Of the attempt under way."""


@dataclass(slots=True, eq=False)
class _Job:
    questions: list[_Question]
    bodies: bool
    done: asyncio.Future[list[Asked]]
    left: int = 0
    """Questions whose asking is not over."""


class Engine:
    """Use as `async with`, once. Hosts' budgets, pace and breakers last as long as it does, so discovery and capture of a cycle share one.

    Leaving it cancels what is under way and starts nothing more; `unfinished` then still tells what was not over. What `sink` or a watch raises
    ends it: every future that is still open gets that error, for nothing is fetched that cannot be kept.

    `held` are hosts that others found in trouble. With `ends_at` nothing is asked from that instant on: what has no answer then has failed, as
    `transient`, and every future is done at once.
    """

    def __init__(
        self,
        hosts: Mapping[Platform, Host],
        sink: AnswerSink,
        *,
        clock: Clock,
        watch: Watch | None = None,
        patience: int = PATIENCE,
        held: Mapping[Platform, Held] | None = None,
        ends_at: datetime | None = None,
    ) -> None:
        self.hosts = dict(hosts)
        self.watches = Watches([watch] if watch is not None else [])
        self._sink = sink
        self._clock = clock
        self._scheduler = Scheduler(self.budgets, patience=patience)
        self._held = held or {}
        self._ends_at = ends_at
        self._ends_at_s: float | None = None
        """By the loop's clock."""
        self._jobs: dict[int, _Job] = {}
        self._questions: dict[int, tuple[_Question, int]] = {}
        """Open questions and their jobs, by the scheduler's key."""
        self._keys = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._wake_at: float | None = None
        """When it goes off. Not every loop's timers can say."""
        self._soon: asyncio.Handle | None = None
        self._states: dict[Platform, str] = {}
        self._last_failure: dict[Platform, FailureClass] = {}
        self._ended: BaseException | None = None

    @property
    def budgets(self) -> dict[Platform, Budget]:
        return {platform: host.budget for platform, host in self.hosts.items()}

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        now_s = self._loop.time()
        for platform, held in self._held.items():
            self._scheduler.hold(platform, held.reason, now_s + held.for_s, now_s, blocked=held.blocked)
        if self._ends_at is not None:
            self._ends_at_s = now_s + (self._ends_at - self._clock.now()).total_seconds()
            self._scheduler.end_at(self._ends_at_s, now_s)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end(error or RuntimeError("the engine is closed"))
        for job in self._jobs.values():
            job.done.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @contextmanager
    def watched_by(self, watch: Watch) -> Iterator[None]:
        """One more who looks on for a while, told before the others."""
        self.watches.members.insert(0, watch)
        try:
            yield
        finally:
            self.watches.members.remove(watch)

    def submit(self, rank: Rank, requests: Sequence[Request], *, bodies: bool = False) -> Submitted:
        """Ask all of these, together where their hosts allow; smaller ranks first. Bodies are dropped once the sink has them, unless wanted.

        Raises ValueError without a request or for an unknown host, and what ended the engine when it has ended.
        """
        if self._ended is not None:
            raise self._ended
        job_key, asks = self._key(), self._asks(requests)
        self._scheduler.add(Job(job_key, rank, asks), self._loop.time())
        job = self._jobs[job_key] = _Job([], bodies, self._loop.create_future())
        self._add_questions(job_key, asks, requests)
        return Submitted(job_key, job.done)

    def extend(self, job: int, requests: Sequence[Request]) -> bool:
        """Ask these too, together with what the job has not asked yet; its future then has an Asked of each of them as well.

        Return False, and ask nothing, when the job is over or withdrawn. Raises as `submit`.
        """
        if self._ended is not None:
            raise self._ended
        asks = self._asks(requests)
        if job not in self._jobs or not self._scheduler.extend(job, asks, self._loop.time()):
            return False
        self._add_questions(job, asks, requests)
        return True

    def _asks(self, requests: Sequence[Request]) -> tuple[Ask, ...]:
        return tuple(Ask(self._key(), request.platform) for request in requests)

    def _add_questions(self, job_key: int, asks: Sequence[Ask], requests: Sequence[Request]) -> None:
        job = self._jobs[job_key]
        for ask, request in zip(asks, requests, strict=True):
            question = _Question(request)
            job.questions.append(question)
            job.left += 1
            self._questions[ask.key] = question, job_key
            self.watches.planned(request.platform, 1, request.kind)
        self._pump_soon()

    def is_over(self, job: int) -> bool:
        """Return whether those who look on have been told that the asking of all of it is over."""
        return job not in self._jobs

    def rerank(self, job: int, rank: Rank) -> None:
        """A new place among those that wait."""
        self._scheduler.rerank(job, rank)
        self._pump_soon()

    def withdraw(self, job: int, reason: str) -> None:
        """What it asks for is not there any more: whatever has not been asked yet never is, and counts as not found ("not asked: `reason`")."""
        for question in self._jobs[job].questions if job in self._jobs else ():
            question.withdrawn = not question.attempts
        self._scheduler.withdraw(job, reason)
        self._pump_soon()

    def time_out(self, job: int, reason: str) -> None:
        """Its time is over: what has no answer now has failed, as `transient`; the future is done at once. It says nothing of the host."""
        self._scheduler.withdraw(job, reason, is_timed_out=True)
        for question in self._jobs[job].questions if job in self._jobs else ():
            if question.ends_at_s is None:
                question.ends_at_s, question.end_reason = self._loop.time(), reason
                if question.timeout is not None:
                    question.timeout.reschedule(question.ends_at_s)
        self._pump_soon()

    def host(self, platform: Platform) -> HostView:
        """The host as it stands."""
        return self._scheduler.host(platform)

    def unfinished(self) -> list[EventOutcome]:
        """Ledger lines of the listings whose asking is not over, for a cycle that ends now: cancelled, with the attempts so far."""
        now = self._clock.now()
        return [cancelled(q.request, q.attempts, q.outcome, now) for q, _ in self._questions.values() if q.request.external_id]

    def _key(self) -> int:
        self._keys += 1
        return self._keys

    def _pump_soon(self) -> None:
        # Once for all that is submitted in one go: the first one submitted is not the first one in rank. And once for all answers that came together.
        if self._soon is None:
            self._soon = self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        """Everything that is to happen now. Whatever changes the scheduler's mind ends here."""
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        if self._ended is not None:
            return
        try:
            over = []
            for action in self._scheduler.due(self._loop.time()):
                if isinstance(action, Start):
                    self._start(action)
                else:
                    over.append((action.ask, self._verdict(action)))
            if over:
                self.watches.settled([outcome for _, outcome in over])
                for ask, _ in over:
                    self._close(ask)
            self._tell_of_hosts()
        except BaseException as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            self._fail(error)
        else:
            self._set_timer(self._scheduler.wake_at())

    def _set_timer(self, wake_at: float | None) -> None:
        if self._wake_at == wake_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._wake_at = wake_at
        self._timer = None if wake_at is None else self._loop.call_at(wake_at, self._wake)

    def _wake(self) -> None:
        self._timer = self._wake_at = None
        self._pump()

    def _start(self, start: Start) -> None:
        question, _ = self._questions[start.ask]
        question.attempts = start.attempt
        task = self._loop.create_task(self._attempt(start, question))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _attempt(self, start: Start, question: _Question) -> None:
        try:
            answer = await self._send(question, start.attempt)
            self._sink.append(answer)
            self._learn(start.ask, question, answer)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            self._fail(error)
        else:
            self._pump_soon()

    async def _send(self, question: _Question, attempt: int) -> Answer:
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
                failed = FailureClass.PERMANENT, f"could not be asked: {words(error)}"
            now = self._clock.now()
            return Answer(request, attempt, requested_at, now, now, None, {}, None, *failed)

    def _learn(self, key: int, question: _Question, answer: Answer) -> None:
        """After the sink, everyone else: those who look on, the ledger line, the scheduler."""
        self.watches.answered(answer)
        self._note(question, answer, self._questions[key][1])
        if answer.failure is not None and RULES[answer.failure].bears in _AGAINST_HOST:
            self._last_failure[answer.request.platform] = answer.failure
        told_s = retry_after_s(answer.headers, answer.received_at)
        self._scheduler.answered(key, answer.failure, told_s, self._loop.time(), answer.failure_detail)

    def _note(self, question: _Question, answer: Answer, job: int) -> EventOutcome:
        question.first_at = question.first_at or answer.requested_at
        question.outcome = outcome_of(answer, question.first_at)
        if self._jobs[job].bodies:
            question.last = answer
        return question.outcome

    def _verdict(self, over: Over) -> EventOutcome:
        question, job = self._questions[over.ask]
        return question.outcome or self._note(question, self._not_asked(question, over.reason), job)

    def _close(self, ask: int) -> None:
        """Forgets a question that everyone has been told of; its job is done when it was the last one."""
        _, job_key = self._questions.pop(ask)
        job = self._jobs[job_key]
        job.left -= 1
        if not job.left:
            del self._jobs[job_key]
            if not job.done.done():
                job.done.set_result([Asked(q.request, q.outcome, q.last) for q in job.questions if q.outcome is not None])

    def _not_asked(self, question: _Question, reason: str) -> Answer:
        """In place of an answer. The sink gets it too, for else nobody could tell that the host was to be asked."""
        now, request = self._clock.now(), question.request
        if question.withdrawn:
            return not_asked(request, FailureClass.NOT_FOUND, reason, now)
        # A host that is asked as usual is not why: then the time was over.
        why = FailureClass.TRANSIENT if self.host(request.platform).state == "closed" else self._last_failure.get(request.platform)
        answer = not_asked(request, why or FailureClass.TRANSIENT, reason, now)
        self._sink.append(answer)
        return answer

    def _tell_of_hosts(self) -> None:
        for platform in self.hosts:
            view = self._scheduler.host(platform)
            if view.state != self._states.get(platform, "closed"):
                self._states[platform] = view.state
                log.info("%s is %s%s", platform, view.state, f": {view.reason}" if view.reason else "")
                self.watches.host(platform, view)

    def _fail(self, error: BaseException) -> None:
        self._end(error)
        for job in self._jobs.values():
            if not job.done.done():
                job.done.set_exception(error)
                job.done.exception()  # one who hears of it is enough
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise error

    def _end(self, reason: BaseException) -> None:
        self._ended = self._ended or reason
        self._set_timer(None)
        for task in self._tasks - {asyncio.current_task()}:
            task.cancel()
