"""Books that need several requests: what starts when, what is landed together, and that a missing answer fails all."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import polars as pl
import pytest

from palimpsest_pipeline.domain.cycles import CycleResult, EventOutcome, Target
from palimpsest_pipeline.domain.enums import FailureClass, RunStatus
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.domain.observations import PayloadRejected
from palimpsest_pipeline.landing import Landing
from palimpsest_pipeline.scrape import StageTally, capture_targets, rebuild_outcomes
from palimpsest_pipeline.scrape.engine import MAX_BOOK_REQUESTS
from palimpsest_pipeline_tests.fixtures.loopback import Loopback, Responder, answering, gated, hang_up
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA, SPORTYBET

from .world import NOW, QUICK, Dialect, Kept, World, cycle, open_world

P, S, B = BETPAWA, SPORTYBET, BET9JA
LATER = NOW + timedelta(hours=3)
ONE_BY_ONE = replace(QUICK, max_in_flight=1)


class Paged(Dialect):
    """A dialect whose book is `/detail/ID`, `/head/ID`, and as many `/detail/ID/N` as the first page says."""

    def request(self, path: str, external_id: str, sr_id: int | None) -> Request:
        (first,) = super().list_detail_requests(external_id, sr_id, ())
        return replace(first, path=path)

    def list_detail_requests(self, external_id: str, sr_id: int | None, answers: Sequence[Answer]) -> Sequence[Request]:
        bodies = {answer.request.path: json.loads(answer.body or b"{}") for answer in answers}
        first = f"/detail/{external_id}"
        paths = [first, f"/head/{external_id}"]
        paths += [f"{first}/{n}" for n in range(1, bodies.get(first, {}).get("pages", 1))]
        return [self.request(path, external_id, sr_id) for path in paths if path not in bodies]


@dataclass
class Segments(Kept):
    """A sink that also records which answers were landed together."""

    def __post_init__(self) -> None:
        self.together: list[list[str]] = []

    def append_together(self, answers: Sequence[Answer]) -> None:
        super().append_together(answers)
        self.together.append([answer.request.path for answer in answers])


def pages(host: Loopback, external_id: str, n: int, **headers: str) -> None:
    """Scripts a book of `n` pages and its head."""
    host.script(f"/detail/{external_id}", answering(body=b'{"pages": %d}' % n, **headers))
    host.script(f"/head/{external_id}", answering())
    for page in range(1, n):
        host.script(f"/detail/{external_id}/{page}", answering())


async def captured(world: World, *targets: Target, sink: Kept | None = None) -> CycleResult:
    async with world.engine(sink) as engine:
        return await capture_targets(cycle(), targets, world.adapters, engine, clock=world.clock)


def outcome_of(result: CycleResult, external_id: str) -> EventOutcome:
    (outcome,) = [outcome for outcome in result.outcomes if outcome.external_id == external_id]
    return outcome


async def test_a_book_of_several_requests_is_one_outcome_and_its_answers_are_landed_side_by_side() -> None:
    async with open_world(platforms=[P, S]) as world:
        world.adapters[S] = Paged(S)
        world.hosts[P].script("/detail/p1", answering())
        pages(world.hosts[S], "s1", 3, age="7")
        sink = Segments()
        result = await captured(world, Target(1, LATER, {P: ("p1",), S: ("s1",)}), sink=sink)
    outcome = outcome_of(result, "s1")
    assert outcome.status is RunStatus.COMPLETED
    assert (outcome.attempts, outcome.failure) == (4, None)
    answers = sink.of(S)
    assert outcome.bytes == sum(len(answer.body or b"") for answer in answers)
    assert outcome.observed_at == min(answer.observed_at for answer in answers) < outcome.requested_at
    assert outcome.requested_at == min(answer.requested_at for answer in answers)
    assert outcome.received_at == max(answer.received_at for answer in answers)
    assert [sorted(paths) for paths in sink.together] == [["/detail/s1", "/detail/s1/1", "/detail/s1/2", "/head/s1"]]
    assert {run.platform: (run.targets, run.fetched, run.requests) for run in result.runs} == {
        P: (1, 1, 1),
        S: (1, 1, 4),
    }


async def test_further_requests_go_before_the_first_ones_of_other_fixtures() -> None:
    async with open_world(lambda _: ONE_BY_ONE, platforms=[S]) as world:
        world.adapters[S] = Paged(S)
        for external_id in ("s1", "s2", "s3"):
            pages(world.hosts[S], external_id, 2)
        targets = [
            Target(n, LATER + timedelta(minutes=n), {S: (external_id,)})
            for n, external_id in enumerate(("s1", "s2", "s3"))
        ]
        result = await captured(world, *targets)
        paths = [request.path for request in world.hosts[S].requests]
    assert [outcome.status for outcome in result.outcomes] == [RunStatus.COMPLETED] * 3
    for external_id in ("s1", "s2", "s3"):
        own = [n for n, path in enumerate(paths) if external_id in path]
        assert own == list(range(own[0], own[0] + 3)), paths


async def test_a_request_that_is_answered_at_the_second_try_completes_the_book() -> None:
    async with open_world(platforms=[S]) as world:
        world.adapters[S] = Paged(S)
        pages(world.hosts[S], "s1", 2)
        world.hosts[S].script("/detail/s1/1", answering(503), answering())
        sink = Segments()
        result = await captured(world, Target(1, LATER, {S: ("s1",)}), sink=sink)
    outcome = outcome_of(result, "s1")
    assert (outcome.status, outcome.attempts) == (RunStatus.COMPLETED, 4)
    assert [answer.request.path for answer in sink.answers if not answer.ok] == ["/detail/s1/1"]
    assert [sorted(paths) for paths in sink.together] == [["/detail/s1", "/detail/s1/1", "/head/s1"]]


@pytest.mark.parametrize("missing", ["/detail/s1", "/head/s1", "/detail/s1/1", "/detail/s1/2"])
@pytest.mark.parametrize(
    ("responder", "failure"),
    [
        (answering(503), FailureClass.TRANSIENT),
        (hang_up, FailureClass.TRANSIENT),
        (answering(404), FailureClass.NOT_FOUND),
        (answering(403), FailureClass.BLOCKED),
    ],
)
async def test_a_missing_answer_fails_the_whole_book(missing: str, responder: Responder, failure: FailureClass) -> None:
    async with open_world(platforms=[S]) as world:
        world.adapters[S] = Paged(S)
        pages(world.hosts[S], "s1", 3)
        world.hosts[S].script(missing, responder)
        result = await captured(world, Target(1, LATER, {S: ("s1",)}))
    outcome = outcome_of(result, "s1")
    assert (outcome.status, outcome.failure, outcome.observed_at) == (RunStatus.FAILED, failure, None)
    assert not any(answer.ok for answer in world.sink.answers), "no part of a book counts as one"
    whole = [answer for answer in world.sink.answers if answer.status == 200]
    assert all(answer.body and answer.failure_detail.startswith("its book is not complete") for answer in whole)
    assert {answer.failure for answer in whole} <= {failure}


async def test_only_attempts_that_failed_count_as_failed_and_again_from_the_landing(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    landing = Landing(tmp_path_factory.mktemp("landing"))
    async with open_world(platforms=[S]) as world:
        world.adapters[S] = Paged(S)
        pages(world.hosts[S], "s1", 3)
        world.hosts[S].script("/detail/s1/2", answering(403))
        writer, tally = landing.open_writer(cycle()), StageTally()
        async with world.engine(writer) as engine:
            target = Target(1, LATER, {S: ("s1",)})
            result = await capture_targets(cycle(), [target], world.adapters, engine, clock=world.clock, tally=tally)
        manifest = writer.close(result.status, result.finished_at)
    (run,) = result.runs
    assert (run.requests, run.errors_by_class) == (4, {"blocked": 1})
    landed = landing.read_landed_listings(manifest.cycle_id)
    assert landed["failure"].to_list() == ["blocked"] * 4
    (again,) = rebuild_outcomes(landed)[1]
    assert (again.requests, again.errors_by_class) == (4, {"blocked": 1})


async def test_a_dialect_that_always_asks_for_more_or_repeats_itself_is_ended() -> None:
    class Endless(Dialect):
        def list_detail_requests(
            self, external_id: str, sr_id: int | None, answers: Sequence[Answer]
        ) -> Sequence[Request]:
            (first,) = super().list_detail_requests(external_id, sr_id, ())
            return [first if external_id == "again" else replace(first, params={"page": str(len(answers))})]

    class Stumbling(Dialect):
        def list_detail_requests(
            self, external_id: str, sr_id: int | None, answers: Sequence[Answer]
        ) -> Sequence[Request]:
            if answers:
                raise IndexError("no page")
            return super().list_detail_requests(external_id, sr_id, answers)

    async with open_world(platforms=[P, S]) as world:
        world.adapters = {P: Stumbling(P), S: Endless(S)}
        for host in world.hosts.values():
            host.otherwise = answering()
        result = await captured(world, Target(1, LATER, {P: ("p1",), S: ("again", "more")}))
    said = {
        "p1": "further requests could not be built: IndexError: no page",
        "again": "the book is not complete, and nothing is left to request",
        "more": f"the book has no end after {MAX_BOOK_REQUESTS} requests",
    }
    for external_id, reason in said.items():
        outcome = outcome_of(result, external_id)
        assert (outcome.failure, outcome.failure_detail) == (FailureClass.CONTRACT_BROKEN, reason)
    assert not any(answer.ok for answer in world.sink.answers)
    errors = {run.platform: run.errors_by_class for run in result.runs}
    assert errors == {P: {"contract_broken": 1}, S: {"contract_broken": 2}}, "one for each book"


@pytest.mark.parametrize("failure", [FailureClass.TRANSIENT, FailureClass.CONTRACT_BROKEN])
async def test_a_book_whose_answers_do_not_fit_together_fails_as_its_dialect_says(failure: FailureClass) -> None:
    class Moving(Paged):
        def list_detail_requests(
            self, external_id: str, sr_id: int | None, answers: Sequence[Answer]
        ) -> Sequence[Request]:
            if len(answers) == 3:
                raise PayloadRejected(S, "$", "the book has moved", failure)
            return super().list_detail_requests(external_id, sr_id, answers)

    async with open_world(platforms=[S]) as world:
        world.adapters[S] = Moving(S)
        pages(world.hosts[S], "s1", 3)
        result = await captured(world, Target(1, LATER, {S: ("s1",)}))
    outcome = outcome_of(result, "s1")
    assert (outcome.status, outcome.failure) == (RunStatus.FAILED, failure)
    assert "the book has moved" in outcome.failure_detail
    assert {answer.failure for answer in world.sink.answers} == {failure}


async def test_a_match_that_kicks_off_between_two_requests_is_not_found() -> None:
    async with open_world(platforms=[S]) as world:
        world.adapters[S] = Paged(S)
        pages(world.hosts[S], "s1", 2)
        first = world.adapters[S].list_detail_requests("s1", 1, ())
        async with world.engine() as engine:
            submitted = engine.submit((1,), first, list_missing=lambda _, answers: withdraw(answers))

            def withdraw(answers: Sequence[Answer]) -> Sequence[Request]:
                engine.withdraw_job(submitted.job_key, "it has kicked off")
                return world.adapters[S].list_detail_requests("s1", 1, answers)

            (result,) = await submitted.results
    assert result.outcome.failure is FailureClass.NOT_FOUND
    assert result.outcome.failure_detail == "not asked: it has kicked off"
    assert not any(answer.ok for answer in world.sink.answers)


async def test_answers_of_a_book_that_is_not_complete_are_landed_when_the_scrape_is_cut_short() -> None:
    async with open_world(platforms=[S]) as world:
        world.adapters[S] = Paged(S)
        pages(world.hosts[S], "s1", 2)
        first = world.adapters[S].list_detail_requests("s1", 1, ())[:1]
        async with world.engine() as engine:
            list_requests = world.adapters[S].list_detail_requests
            engine.submit((1,), first, list_missing=lambda _, answers: list_requests("s1", 1, answers))
            world.hosts[S].script("/head/s1", gated(asyncio.Event()))
            await world.hosts[S].wait_for_requests("/head/s1", 1)
        (line,) = engine.list_unfinished()
    assert (line.status, line.attempts > 0) == (RunStatus.CANCELLED, True)
    assert not any(answer.ok for answer in world.sink.answers)
    assert "/detail/s1" in {answer.request.path for answer in world.sink.answers if answer.status == 200}


async def test_the_ledger_from_the_landing_is_the_one_of_the_capture(tmp_path_factory: pytest.TempPathFactory) -> None:
    landing = Landing(tmp_path_factory.mktemp("landing"))
    async with open_world(platforms=[P, S]) as world:
        world.adapters[S] = Paged(S)
        world.hosts[P].script("/detail/p1", answering(503), answering())
        pages(world.hosts[S], "whole", 3)
        pages(world.hosts[S], "broken", 3)
        world.hosts[S].script("/detail/broken/2", answering(503))
        writer = landing.open_writer(cycle())
        tally = StageTally()
        async with world.engine(writer) as engine:
            targets = [Target(1, LATER, {P: ("p1",), S: ("whole",)}), Target(2, LATER, {S: ("broken",)})]
            result = await capture_targets(cycle(), targets, world.adapters, engine, clock=world.clock, tally=tally)
        manifest = writer.close(result.status, result.finished_at)
    rebuilt, runs = rebuild_outcomes(landing.read_landed_listings(manifest.cycle_id))
    exact = {outcome.external_id: outcome for outcome in result.outcomes}
    again = {outcome.external_id: outcome for outcome in rebuilt}
    assert {key: again[key] for key in ("p1", "whole")} == {key: exact[key] for key in ("p1", "whole")}
    assert (again["broken"].status, again["broken"].failure) == (RunStatus.FAILED, FailureClass.TRANSIENT)
    assert {run.platform: run.requests for run in runs} == {run.platform: run.requests for run in result.runs}
    frames = list(landing.read_segments(manifest, platforms=[S]))
    rows = pl.concat(frames).filter(pl.col("failure").is_null(), external_id="whole")
    assert sorted(rows["path"]) == ["/detail/whole", "/detail/whole/1", "/detail/whole/2", "/head/whole"]
    assert sum(frame.filter(external_id="whole").height > 0 for frame in frames) == 1, "in one segment"
