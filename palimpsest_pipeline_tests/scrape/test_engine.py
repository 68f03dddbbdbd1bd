"""The engine against real hosts on loopback: order of requests and reports, end, and memory."""

import asyncio
import gc
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from palimpsest_pipeline.domain.cycles import EventOutcome
from palimpsest_pipeline.domain.enums import FailureClass, PayloadKind, Platform, RunStatus
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.scrape.engine import HostHold, RequestResult, SubmittedJob
from palimpsest_pipeline.scrape.host_budget import BreakerRule
from palimpsest_pipeline.scrape.sinks import HostView
from palimpsest_pipeline_tests.fixtures.loopback import Responder, answering, gated, hang_up, silence
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA, PLATFORMS, SPORTYBET

from .world import QUICK, open_world

P, S, B = BETPAWA, SPORTYBET, BET9JA
ONE_BY_ONE = replace(QUICK, max_in_flight=1)
HASTY = BreakerRule(stall_s=0.1, pause_s=0.02, pause_max_s=0.02, give_up_s=0.2, block_pause_s=0.05)


def detail(platform: Platform, external_id: object, sr_id: int = 1) -> Request:
    return Request(platform, PayloadKind.DETAIL, f"/detail/{external_id}", external_id=str(external_id), sr_id=sr_id)


@dataclass
class EventLog:
    """A watch and a sink that records its calls in order."""

    lines: list[str] = field(default_factory=list)
    settled_event: asyncio.Event = field(default_factory=asyncio.Event)

    def append(self, answer: Answer) -> None:
        self.lines.append(f"landed {answer.request.external_id} {answer.attempt}")

    def append_together(self, answers: Sequence[Answer]) -> None:
        self.lines.append("landed " + " ".join(answer.request.path for answer in answers))

    def on_planned(self, platform: Platform, n: int, kind: PayloadKind) -> None:
        self.lines.append(f"planned {platform} {n}")

    def on_answer(self, answer: Answer) -> None:
        self.lines.append(f"answered {answer.request.external_id} {answer.attempt}")

    def on_outcomes(self, outcomes: Sequence[EventOutcome]) -> None:
        self.lines += [f"settled {outcome.external_id} {outcome.status}" for outcome in outcomes]
        self.settled_event.set()

    def on_host_change(self, platform: Platform, view: HostView) -> None:
        self.lines.append(f"{platform} {view.state}")


async def collect_results(*submitted: SubmittedJob) -> list[RequestResult]:
    async with asyncio.timeout(10):
        return [result for job in submitted for result in await job.results]


async def test_results_have_the_order_of_the_requests_and_bodies_are_kept_only_on_request() -> None:
    async with open_world() as world, world.engine() as engine:
        for platform in PLATFORMS:
            world.hosts[platform].script("/detail/1", answering(body=f'"{platform}"'.encode()))
        requests = [detail(platform, 1) for platform in (B, P, S)]
        with_bodies, without = engine.submit((1,), requests, keeps_bodies=True), engine.submit((2,), requests)
        with_body_results, without_body_results = await collect_results(with_bodies), await collect_results(without)
    assert (
        [result.request for result in with_body_results]
        == [result.request for result in without_body_results]
        == requests
    )
    assert [result.last_answer.body for result in with_body_results if result.last_answer] == [
        b'"bet9ja"',
        b'"betpawa"',
        b'"sportybet"',
    ]
    assert [result.last_answer for result in without_body_results] == [None, None, None]
    assert [result.outcome.bytes for result in without_body_results] == [8, 9, 11]
    assert len(world.sink.answers) == 6


async def test_every_attempt_is_landed_before_it_is_reported() -> None:
    async with open_world() as world:
        log = EventLog()
        world.hosts[P].script("/detail/1", answering(503), answering())
        async with world.engine(log, log) as engine:
            await collect_results(engine.submit((1,), [detail(P, 1)]))
    assert log.lines == [
        "planned betpawa 1",
        "landed 1 1",
        "answered 1 1",
        "landed 1 2",
        "answered 1 2",
        "settled 1 completed",
    ]


@pytest.mark.parametrize(
    ("responders", "verdict", "attempts"),
    [
        ([answering()], None, 1),
        ([answering(404)], FailureClass.NOT_FOUND, 1),
        ([answering(400)], FailureClass.PERMANENT, 1),
        ([answering(403)], FailureClass.BLOCKED, 1),
        ([answering(301, location="/")], FailureClass.CONTRACT_BROKEN, 1),
        ([answering(503)], FailureClass.TRANSIENT, 3),
        ([hang_up], FailureClass.TRANSIENT, 3),
        ([answering(429, retry_after="0")], FailureClass.RATE_LIMITED, 3),
        ([answering(408), answering(502), answering()], None, 3),
        ([answering(429, retry_after="0"), answering()], None, 2),
    ],
)
async def test_the_class_of_an_answer_alone_decides_the_number_of_attempts(
    responders: Sequence[Responder], verdict: FailureClass | None, attempts: int
) -> None:
    async with open_world(platforms=[P]) as world, world.engine() as engine:
        world.hosts[P].script("/detail/1", *responders)
        (result,) = await collect_results(engine.submit((1,), [detail(P, 1)]))
    assert (result.outcome.failure, result.outcome.attempts) == (verdict, attempts)
    assert [answer.attempt for answer in world.sink.answers] == list(range(1, attempts + 1))
    assert world.hosts[P].count_requests("/detail/1") == attempts
    assert result.outcome.requested_at == world.sink.answers[0].requested_at


async def test_of_jobs_submitted_together_the_smallest_rank_starts_first() -> None:
    async with open_world(lambda _: ONE_BY_ONE) as world, world.engine() as engine:
        world.hosts[P].otherwise = answering()
        await collect_results(*(engine.submit((rank,), [detail(P, rank)]) for rank in (3, 1, 2)))
    assert [request.path for request in world.hosts[P].requests] == ["/detail/1", "/detail/2", "/detail/3"]


async def test_a_job_with_a_new_rank_starts_in_its_new_place() -> None:
    gate = asyncio.Event()
    async with open_world(lambda _: ONE_BY_ONE) as world, world.engine() as engine:
        world.hosts[P].otherwise = answering()
        world.hosts[P].script("/detail/0", gated(gate))
        jobs = [engine.submit((rank,), [detail(P, rank)]) for rank in range(4)]
        await world.hosts[P].wait_for_requests("/detail/0", 1)
        engine.rerank_job(jobs[3].job_key, (0.5,))
        gate.set()
        await collect_results(*jobs)
    assert [request.path for request in world.hosts[P].requests] == ["/detail/0", "/detail/3", "/detail/1", "/detail/2"]


async def test_a_withdrawn_job_is_never_requested_nor_landed_and_counts_as_not_found() -> None:
    gate = asyncio.Event()
    async with open_world(lambda _: ONE_BY_ONE) as world, world.engine() as engine:
        world.hosts[P].script("/detail/0", gated(gate))
        running, waiting = (engine.submit((rank,), [detail(P, rank)]) for rank in range(2))
        await world.hosts[P].wait_for_requests("/detail/0", 1)
        engine.withdraw_job(running.job_key, "too late for that")
        engine.withdraw_job(waiting.job_key, "it has kicked off")
        (withdrawn,) = await collect_results(waiting)
        gate.set()
        (finished,) = await collect_results(running)
        engine.withdraw_job(waiting.job_key, "again")
    outcome = withdrawn.outcome
    assert (outcome.status, outcome.attempts, outcome.failure) == (RunStatus.FAILED, 0, FailureClass.NOT_FOUND)
    assert outcome.failure_detail == "not asked: it has kicked off"
    assert finished.outcome.status is RunStatus.COMPLETED
    assert [a.request.external_id for a in world.sink.answers] == ["0"]
    assert world.hosts[P].count_requests("/detail/1") == 0


async def test_requests_added_to_a_waiting_job_are_sent_and_completed_with_it() -> None:
    gate = asyncio.Event()
    async with open_world(lambda _: ONE_BY_ONE) as world, world.engine() as engine:
        world.hosts[P].script("/detail/0", gated(gate))
        for path in ("/detail/1", "/detail/2"):
            world.hosts[P].script(path, answering())
            world.hosts[S].script(path, answering())
        running, waiting = (engine.submit((rank,), [detail(P, rank)]) for rank in range(2))
        await world.hosts[P].wait_for_requests("/detail/0", 1)
        assert engine.extend_job(running.job_key, [detail(S, 2)])
        assert engine.extend_job(waiting.job_key, [detail(S, 1)])
        await world.hosts[S].wait_for_requests("/detail/2", 1)
        assert world.hosts[S].count_requests("/detail/1") == 0
        gate.set()
        completed = [
            (result.request.platform, result.request.external_id, result.outcome.status)
            for result in await collect_results(running, waiting)
        ]
        assert not engine.extend_job(waiting.job_key, [detail(S, 3)])
    assert completed == [(host, n, RunStatus.COMPLETED) for host, n in ((P, "0"), (S, "2"), (P, "1"), (S, "1"))]
    assert world.hosts[S].count_requests("/detail/3") == 0


async def test_a_timed_out_job_fails_at_once_and_does_not_count_against_its_host() -> None:
    hasty = replace(QUICK, max_in_flight=1, breaker=BreakerRule(window=1, max_failed_in_window=1))
    async with open_world(lambda _: hasty, read_timeout_s=20, total_timeout_s=20) as world, world.engine() as engine:
        world.hosts[P].script("/detail/1", silence)
        world.hosts[P].script("/detail/2", answering())
        job = engine.submit((1,), [detail(P, 1), detail(P, 3)])
        other = engine.submit((2,), [detail(P, 2)])
        await world.hosts[P].wait_for_requests("/detail/1", 1)
        engine.time_out_job(job.job_key, "the time was over")
        engine.time_out_job(job.job_key, "again")
        started, waiting = await collect_results(job)
        (other_result,) = await collect_results(other)
        assert engine.view_host(P).state == "closed"
    assert (started.outcome.failure, started.outcome.failure_detail) == (
        FailureClass.TRANSIENT,
        "no answer when the time was over",
    )
    assert (waiting.outcome.failure, waiting.outcome.failure_detail) == (
        FailureClass.TRANSIENT,
        "not asked: the time was over",
    )
    assert other_result.outcome.status is RunStatus.COMPLETED
    assert {(a.request.external_id, a.attempt, a.ok) for a in world.sink.answers} == {
        ("1", 1, False),
        ("3", 0, False),
        ("2", 1, True),
    }


@pytest.mark.parametrize("requests", [[], [Request(B, PayloadKind.TREE, "/tree")]])
async def test_a_job_without_a_possible_request_is_refused_at_once(requests: list[Request]) -> None:
    async with open_world() as world:
        del world.clients[B]
        async with world.engine() as engine:
            with pytest.raises(ValueError):
                engine.submit((1,), requests)


async def test_a_request_at_which_the_client_fails_costs_only_that_request() -> None:
    async with open_world() as world, world.engine() as engine:
        world.hosts[P].otherwise = answering()
        odd = replace(detail(P, 1), path="no-slash")
        broken, good = await collect_results(engine.submit((1,), [odd]), engine.submit((2,), [detail(P, 2)]))
    assert (broken.outcome.failure, broken.outcome.attempts) == (FailureClass.PERMANENT, 1)
    assert broken.outcome.failure_detail.startswith("could not be asked: ValueError: path 'no-slash'")
    assert good.outcome.status is RunStatus.COMPLETED


@pytest.mark.parametrize("where", ["append", "on_answer", "on_outcomes"])
async def test_an_error_of_sink_or_watch_ends_the_engine_and_reaches_every_waiting_caller(where: str) -> None:
    class Interrupt(BaseException):
        """Like the error that Dagster raises in a signal handler: not a subclass of Exception."""

    def fail(_: object) -> None:
        raise Interrupt

    gate = asyncio.Event()
    async with open_world() as world:
        log = EventLog()
        setattr(log, where, fail)
        world.hosts[P].otherwise = answering()
        world.hosts[S].otherwise = gated(gate)
        async with world.engine(log, log) as engine:
            submitted = [engine.submit((n,), [detail(platform, n)]) for n in range(10) for platform in (P, S)]
            for one in submitted:
                with pytest.raises(Interrupt):
                    await collect_results(one)
            n_requests = len(world.hosts[P].requests)
            with pytest.raises(Interrupt):
                engine.submit((0,), [detail(P, 99)])
            gate.set()
    assert len(world.hosts[P].requests) == n_requests <= QUICK.max_in_flight
    assert {o.status for o in engine.list_unfinished()} <= {RunStatus.CANCELLED, RunStatus.COMPLETED}
    assert len(engine.list_unfinished()) == 20


async def test_a_closed_engine_cancels_running_requests_starts_no_more_and_lists_unfinished_ones() -> None:
    never = asyncio.Event()
    async with open_world(
        lambda _: replace(QUICK, max_in_flight=2, backoff_initial_s=60, backoff_max_s=60, backoff_jitter=False)
    ) as world:
        host = world.hosts[P]
        host.script("/detail/good", answering())
        host.script("/detail/flaky", answering(503))
        host.otherwise = gated(never)
        log = EventLog()
        async with world.engine(watch=log) as engine:
            order = ["good", "flaky", "hangs-1", "hangs-2", "waits"]
            submitted = {name: engine.submit((rank,), [detail(P, name)]) for rank, name in enumerate(order)}
            await collect_results(submitted["good"])
            await host.wait_for_requests("/detail/hangs-1", 1)
            await host.wait_for_requests("/detail/hangs-2", 1)
        with pytest.raises(RuntimeError, match="closed"):
            engine.submit((0,), [detail(P, 9)])
        unfinished = {o.external_id: (o.status, o.attempts, o.failure) for o in engine.list_unfinished()}
    assert unfinished == {
        "flaky": (RunStatus.CANCELLED, 1, FailureClass.TRANSIENT),
        "hangs-1": (RunStatus.CANCELLED, 1, None),
        "hangs-2": (RunStatus.CANCELLED, 1, None),
        "waits": (RunStatus.CANCELLED, 0, None),
    }
    assert all(one.results.cancelled() for name, one in submitted.items() if name != "good")
    assert host.count_requests("/detail/waits") == 0
    assert sorted(a.request.external_id or "" for a in world.sink.answers) == ["flaky", "good"]


async def test_thousands_of_waiting_fixtures_hold_neither_tasks_nor_bodies() -> None:
    @dataclass
    class Counting:
        n: int = 0
        most_tasks: int = 0
        bodies: int = 0

        def append(self, answer: Answer) -> None:
            self.n += 1
            self.most_tasks = max(self.most_tasks, len(asyncio.all_tasks()))
            if self.n == 300:
                self.bodies = sum(isinstance(it, Answer) and it.body is not None for it in gc.get_objects())

        def append_together(self, answers: Sequence[Answer]) -> None:
            raise AssertionError("every request stands alone")

    async with open_world(lambda _: replace(QUICK, max_in_flight=8)) as world:
        world.hosts[P].otherwise = answering(body=b"[" + b"1," * 500 + b"1]")
        sink = Counting()
        gc.collect()  # answers of earlier tests
        idle = len(asyncio.all_tasks())
        async with world.engine(sink) as engine:
            submitted = [engine.submit((n,), [detail(P, n)]) for n in range(3000)]
            waiting = len(asyncio.all_tasks())
            for one in submitted[:300]:
                await one.results
    assert waiting == idle
    # A running request has a task of the engine and, on loopback, tasks of the server and of the libraries.
    assert sink.most_tasks <= idle + 8 * 5
    assert 0 < sink.bodies <= 8 * 3


@pytest.mark.parametrize(
    ("trouble", "failure"),
    [
        pytest.param(None, FailureClass.TRANSIENT, id="nobody listens"),
        pytest.param(hang_up, FailureClass.TRANSIENT, id="hangs up"),
        pytest.param(silence, FailureClass.TRANSIENT, id="hangs"),
        pytest.param(answering(403), FailureClass.BLOCKED, id="forbids"),
        pytest.param(answering(200, b"<html>robot?</html>", "text/html"), FailureClass.BLOCKED, id="shows a page"),
        pytest.param(answering(429, retry_after="3600"), FailureClass.RATE_LIMITED, id="asks for an hour"),
    ],
)
async def test_a_failing_host_is_no_longer_requested_and_the_others_lose_nothing(
    trouble: Responder | None, failure: FailureClass
) -> None:
    async with open_world(lambda _: replace(QUICK, breaker=HASTY), read_timeout_s=1.5) as world:
        log = EventLog()
        for platform in (P, B):
            world.hosts[platform].otherwise = answering()
        world.hosts[S].otherwise = trouble
        if trouble is None:
            await world.hosts[S].close()
        async with world.engine(watch=log) as engine:
            results = await collect_results(
                *(engine.submit((n,), [detail(platform, n, n) for platform in PLATFORMS]) for n in range(40))
            )
            assert engine.view_host(S).state == "shut"
    outcomes = [result.outcome for result in results]
    assert all(o.status is RunStatus.COMPLETED and o.attempts == 1 for o in outcomes if o.platform is not S)
    failed = [o for o in outcomes if o.platform == S]
    assert len(failed) == 40
    assert {o.failure for o in failed} == {failure}
    unsent = {o.external_id for o in failed if not o.attempts}
    assert all(o.failure_detail.startswith("not asked: ") for o in failed if not o.attempts)
    assert unsent
    assert {a.request.external_id for a in world.sink.of(S) if not a.attempt} == unsent, (
        "an unsent request is landed too"
    )
    assert log.lines.count("sportybet shut") == 1


async def test_unsent_requests_fail_with_the_class_that_shut_their_host() -> None:
    async with open_world(
        lambda _: replace(QUICK, breaker=replace(HASTY, blocks_in_a_row=2, block_pause_s=60))
    ) as world:
        gate = asyncio.Event()
        world.hosts[S].script("/detail/1", answering(403))
        world.hosts[S].script("/detail/2", answering(403))
        world.hosts[S].script("/detail/3", gated(gate, answering(418)))
        async with world.engine() as engine:
            *blocked, odd = (engine.submit((n,), [detail(S, n)]) for n in (1, 2, 3))
            results = await collect_results(*blocked)
            late = engine.submit((4,), [detail(S, 4)])
            gate.set()
            results += await collect_results(odd, late)
    failures = [result.outcome.failure for result in results]
    assert failures == [FailureClass.BLOCKED, FailureClass.BLOCKED, FailureClass.PERMANENT, FailureClass.BLOCKED]
    assert [result.outcome.attempts for result in results] == [1, 1, 1, 0]


async def test_a_host_that_comes_back_gets_every_request_and_none_is_lost() -> None:
    async with open_world(
        lambda _: replace(QUICK, breaker=replace(HASTY, give_up_s=60, max_failed_in_window=4, window=8), max_attempts=4)
    ) as world:
        log = EventLog()
        for platform in PLATFORMS:
            world.hosts[platform].otherwise = answering()
        for n in range(6):
            world.hosts[S].script(f"/detail/{n}", answering(500), answering(500), answering())
        async with world.engine(watch=log) as engine:
            results = await collect_results(
                *(engine.submit((n,), [detail(platform, n, n) for platform in PLATFORMS]) for n in range(20))
            )
    assert {result.outcome.status for result in results} == {RunStatus.COMPLETED}
    assert len(results) == 60
    states = [line for line in log.lines if line in ("sportybet open", "sportybet closed", "sportybet shut")]
    assert (states[0], states[-1]) == ("sportybet open", "sportybet closed")
    assert "sportybet shut" not in states


async def test_a_later_watch_is_called_first_and_only_while_it_observes() -> None:
    async with open_world() as world:
        world.hosts[P].otherwise = answering()
        order: list[str] = []

        class Noting(EventLog):
            def __init__(self, name: str) -> None:
                super().__init__()
                self.name = name

            def on_answer(self, answer: Answer) -> None:
                order.append(self.name)

        async with world.engine(watch=Noting("always")) as engine:
            with engine.observe(Noting("stage")):
                await collect_results(engine.submit((1,), [detail(P, 1)]))
            await collect_results(engine.submit((1,), [detail(P, 2)]))
    assert order == ["stage", "always", "always"]


async def test_at_the_end_of_the_time_answers_are_kept_and_the_rest_fails_at_once() -> None:
    async with open_world(lambda _: replace(QUICK, max_in_flight=1), read_timeout_s=20, total_timeout_s=20) as world:
        world.hosts[P].otherwise = world.hosts[B].otherwise = answering()
        world.hosts[S].script("/detail/1", answering())
        world.hosts[S].otherwise = silence
        ends_at = world.clock.now() + timedelta(seconds=1)
        async with world.engine(ends_at=ends_at) as engine:
            results = await collect_results(
                *(engine.submit((n,), [detail(host, n) for host in (P, S, B)]) for n in (1, 2, 3))
            )
            took_s = (world.clock.now() - ends_at).total_seconds()
    assert 0 <= took_s < 10
    outcomes = {
        (a.request.platform, a.request.external_id): (a.outcome.failure, a.outcome.attempts, a.outcome.failure_detail)
        for a in results
    }
    good = (None, 1, "")
    assert {key: line for key, line in outcomes.items() if key[0] is not S} == {
        (host, n): good for host in (P, B) for n in "123"
    }
    assert outcomes[S, "1"] == good
    assert outcomes[S, "2"] == (FailureClass.TRANSIENT, 1, "no answer when the cycle's time was over")
    assert outcomes[S, "3"] == (FailureClass.TRANSIENT, 0, "not asked: the cycle's time was over")
    assert len(world.sink.answers) == 9


async def test_a_host_held_by_another_scrape_is_not_requested_and_the_others_lose_nothing() -> None:
    async with (
        open_world() as world,
        world.engine(host_holds={S: HostHold("blocked 3 times in a row", 3600)}) as engine,
    ):
        for host in world.hosts.values():
            host.otherwise = answering()
        results = await collect_results(engine.submit((1,), [detail(host, 1) for host in (P, S, B)]))
    assert [(a.outcome.status, a.outcome.failure_detail) for a in results] == [
        (RunStatus.COMPLETED, ""),
        (RunStatus.FAILED, "not asked: blocked 3 times in a row"),
        (RunStatus.COMPLETED, ""),
    ]
    assert world.hosts[S].requests == []
