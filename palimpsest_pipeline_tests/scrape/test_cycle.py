"""Discovery, capture and whole cycles against three small platforms on loopback."""

import asyncio
import gc
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from aiohttp import web

from palimpsest_pipeline.domain.cycles import CycleResult, EventOutcome, PlatformRun, Target
from palimpsest_pipeline.domain.enums import Completeness, FailureClass, PayloadKind, Platform, RunStatus, Scope, Sport
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.domain.instants import Clock
from palimpsest_pipeline.domain.observations import Discovery
from palimpsest_pipeline.platforms.base import Crawl
from palimpsest_pipeline.scrape import (
    ScrapeEngine,
    StageTally,
    build_discovery_result,
    build_unfinished_result,
    capture_targets,
    discover,
)
from palimpsest_pipeline.scrape.host_budget import BreakerRule
from palimpsest_pipeline.scrape.sinks import AnswerSink, HostView, ScrapeObserver
from palimpsest_pipeline_tests.fixtures.loopback import Responder, after, answering, silence
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA, PLATFORMS, SPORTYBET
from palimpsest_pipeline_tests.fixtures.whole_cycle import WholeCycle, run_whole_cycle

from .world import NOW, QUICK, Dialect, Kept, World, cycle, open_world

P, S, B = BETPAWA, SPORTYBET, BET9JA
LATER = NOW + timedelta(hours=3)


@dataclass
class Watching:
    """A Watch that remembers."""

    totals: dict[Platform, int] = field(default_factory=lambda: defaultdict(int))
    attempts: dict[Platform, int] = field(default_factory=lambda: defaultdict(int))
    good: dict[Platform, int] = field(default_factory=lambda: defaultdict(int))
    bad: dict[Platform, int] = field(default_factory=lambda: defaultdict(int))
    states: list[tuple[Platform, str]] = field(default_factory=list)

    def on_planned(self, platform: Platform, n: int, kind: PayloadKind) -> None:
        self.totals[platform] += n

    def on_answer(self, answer: Answer) -> None:
        self.attempts[answer.request.platform] += 1

    def on_outcomes(self, outcomes: Sequence[EventOutcome]) -> None:
        for outcome in outcomes:
            (self.good if outcome.status is RunStatus.COMPLETED else self.bad)[outcome.platform] += 1

    def on_host_change(self, platform: Platform, view: HostView) -> None:
        self.states.append((platform, view.state))


def when_all_are_here(together: asyncio.Barrier) -> Responder:
    """Answers once so many requests are under way at the same time."""

    async def respond(request: web.Request) -> web.StreamResponse:
        async with asyncio.timeout(5):
            await together.wait()
        return await answering()(request)

    return respond


def run_of(result: CycleResult, platform: Platform) -> PlatformRun:
    (run,) = [run for run in result.runs if run.platform == platform]
    return run


async def captured(world: World, *targets: Target, watch: ScrapeObserver | None = None, **more: object) -> CycleResult:
    async with world.engine(watch=watch) as engine:
        return await capture_targets(cycle(Scope.EVENTS), targets, world.adapters, engine, clock=world.clock, **more)  # type: ignore[arg-type]


async def discovered(world: World, sink: AnswerSink | None = None) -> CycleResult:
    async with world.engine(sink) as engine:
        tally = StageTally()
        found = await discover(world.adapters, engine, sport=Sport.FOOTBALL, tally=tally)
    return build_discovery_result(cycle(), found.discoveries, tally, world.clock.now())


async def scraped_whole(world: World, watch: ScrapeObserver | None = None) -> WholeCycle:
    async with world.engine(watch=watch) as engine:
        return await run_whole_cycle(cycle(), world.adapters, engine, clock=world.clock)


def three_fixtures(world: World) -> None:
    world.lists(P, {"p1": 1, "p2": 2}, {"p3": 3})
    world.lists(S, {"s1": 1}, {"s2": 2, "s-alone": None})
    world.lists(B, {"b1": 1, "b4": 4})


async def test_a_whole_cycle_lands_every_answer_and_accounts_for_every_listing() -> None:
    async with open_world() as world:
        three_fixtures(world)
        scraped = await scraped_whole(world)
    result = scraped.result
    assert result.status is RunStatus.COMPLETED
    assert {(o.platform, o.external_id, o.sr_id, o.status) for o in result.outcomes} == {
        (platform, external_id, sr_id, RunStatus.COMPLETED)
        for platform, listed in {
            P: {"p1": 1, "p2": 2, "p3": 3},
            S: {"s1": 1, "s2": 2, "s-alone": None},
            B: {"b1": 1, "b4": 4},
        }.items()
        for external_id, sr_id in listed.items()
    }
    requests = {platform: len(host.requests) for platform, host in world.hosts.items()}
    assert requests == {P: 1 + 2 + 3, S: 1 + 2 + 3, B: 1 + 1 + 2}
    for platform in PLATFORMS:
        run = run_of(result, platform)
        assert run.requests == len(world.sink.of(platform)) == requests[platform]
        assert run.bytes == sum(len(answer.body or b"") for answer in world.sink.of(platform))
        assert (run.discovered, run.targets, run.fetched) == (len(scraped.discoveries[platform].listings),) * 3
        assert run.p50_ms is not None
        assert run.p95_ms is not None
        assert 0 < run.p50_ms <= run.p95_ms
        assert run.errors_by_class == {}
        assert NOW < run.started_at < run.finished_at <= result.finished_at
        assert run.message == ""


async def test_one_platform_down_leaves_the_others_complete_and_says_so() -> None:
    async with open_world() as world:
        three_fixtures(world)
        world.hosts[S].script("/tree", answering(503))
        scraped = await scraped_whole(world)
    assert scraped.discoveries[S].completeness is Completeness.FAILED
    statuses = {run.platform: run.status for run in scraped.result.runs}
    assert statuses == {P: RunStatus.COMPLETED, S: RunStatus.FAILED, B: RunStatus.COMPLETED}
    assert scraped.result.status is RunStatus.PARTIAL
    assert run_of(scraped.result, S).errors_by_class == {"transient": 3}
    assert run_of(scraped.result, S).message == "no tree"
    assert [a.attempt for a in world.sink.of(S)] == [1, 2, 3]


async def test_nothing_reachable_is_a_failed_cycle_not_an_empty_one() -> None:
    async with open_world() as world:
        for host in world.hosts.values():
            host.script("/tree", answering(403, b"<html>no</html>"))
        scraped = await scraped_whole(world)
    assert scraped.result.status is RunStatus.FAILED
    assert all(run.errors_by_class == {"blocked": 1} for run in scraped.result.runs)


async def test_a_platform_that_lists_nothing_at_all_has_failed() -> None:
    async with open_world() as world:
        three_fixtures(world)
        world.lists(B, {})
        run = run_of(await discovered(world), B)
    assert (run.status, run.message) == (RunStatus.FAILED, "nothing is listed")


async def test_a_page_that_failed_makes_its_platform_partial() -> None:
    async with open_world() as world:
        three_fixtures(world)
        world.hosts[P].script("/page/1", answering(404))
        scraped = await scraped_whole(world)
    run = run_of(scraped.result, P)
    assert (run.status, run.discovered, run.fetched, run.message) == (RunStatus.PARTIAL, 2, 2, "a page is missing")


class CannotRead(Dialect):
    def read_discovery(self, answers: object, sport: Sport) -> Discovery:
        raise KeyError("eventLists")


class CannotCrawl(Dialect):
    def discover(self, sport: Sport):  # type: ignore[no-untyped-def]
        (tree,) = yield from super().discover(sport)
        yield [tree]


@pytest.mark.parametrize(
    ("broken", "said"),
    [(CannotRead, "discovery could not be read: KeyError"), (CannotCrawl, "the crawl broke off: TypeError")],
)
async def test_an_exception_in_one_dialect_fails_that_platform_only(broken: type[Dialect], said: str) -> None:
    async with open_world() as world:
        three_fixtures(world)
        world.adapters[S] = broken(S)
        scraped = await scraped_whole(world)
    assert scraped.discoveries[S].completeness is Completeness.FAILED
    assert said in scraped.discoveries[S].reason
    assert {run.platform: run.status for run in scraped.result.runs} == {
        P: RunStatus.COMPLETED,
        S: RunStatus.FAILED,
        B: RunStatus.COMPLETED,
    }
    assert len(world.sink.of(S)) == 3, "what arrived before the dialect stumbled is kept"


class CannotJudge(Dialect):
    def judge(self, answer: Answer) -> tuple[FailureClass, str] | None:
        raise IndexError("no R")


class CannotAsk(Dialect):
    def list_detail_requests(self, external_id: str, sr_id: int | None, answers: Sequence[Answer]) -> Sequence[Request]:
        raise ValueError("not a number")


@pytest.mark.parametrize(
    ("broken", "failure", "said", "attempts"),
    [
        (CannotJudge, FailureClass.CONTRACT_BROKEN, "could not be judged: IndexError: no R", 1),
        (CannotAsk, FailureClass.PERMANENT, "not asked: ValueError: not a number", 0),
    ],
)
async def test_a_dialect_that_stumbles_over_a_listing_costs_that_listing(
    broken: type[Dialect], failure: FailureClass, said: str, attempts: int
) -> None:
    async with open_world() as world:
        three_fixtures(world)
        world.adapters[S] = broken(S)
        result = await captured(world, Target(1, LATER, {P: ("p1",), S: ("s1",)}))
    outcomes = {outcome.platform: outcome for outcome in result.outcomes}
    assert outcomes[P].status is RunStatus.COMPLETED
    assert (outcomes[S].failure, outcomes[S].failure_detail, outcomes[S].attempts) == (failure, said, attempts)
    assert result.status is RunStatus.PARTIAL


async def test_a_sink_that_cannot_keep_ends_the_scrape() -> None:
    class Full(Kept):
        def append(self, answer: Answer) -> None:
            raise OSError("no space left")

    async with open_world() as world:
        three_fixtures(world)
        with pytest.raises(OSError, match="no space left"):
            await discovered(world, Full())


async def test_the_requests_of_one_fixture_are_under_way_on_all_its_platforms_at_once() -> None:
    together = asyncio.Barrier(3)
    async with open_world(lambda _: replace(QUICK, max_in_flight=1)) as world:
        targets = []
        for n in range(4):
            for platform in PLATFORMS:
                world.hosts[platform].script(f"/detail/{n}", when_all_are_here(together))
            targets.append(Target(n + 1, LATER, {platform: (str(n),) for platform in PLATFORMS}))
        result = await captured(world, *targets)
    assert result.status is RunStatus.COMPLETED
    assert [o.sr_id for o in result.outcomes if o.platform == P] == [1, 2, 3, 4]


async def test_fixtures_that_do_not_need_a_slow_host_are_not_kept_waiting_by_it() -> None:
    async with open_world(lambda _: replace(QUICK, max_in_flight=1), read_timeout_s=5) as world:
        gate = asyncio.Event()

        async def slow(request: object):  # type: ignore[no-untyped-def]
            await gate.wait()
            return await answering()(request)  # type: ignore[arg-type]

        for n in range(3):
            world.hosts[B].script(f"/detail/b{n}", slow)
        for n in range(10):
            world.hosts[P].script(f"/detail/p{n}", answering())
        both = [Target(n + 1, LATER, {P: (f"p{n}",), B: (f"b{n}",)}) for n in range(3)]
        alone = [Target(n + 1, LATER, {P: (f"p{n}",)}) for n in range(3, 10)]
        work = asyncio.create_task(captured(world, *both, *alone))
        await world.hosts[P].wait_for_requests("/detail/p9", 1)
        assert [host_asked for n in range(3) if (host_asked := world.hosts[B].count_requests(f"/detail/b{n}"))] == [1]
        gate.set()
        result = await work
    assert result.status is RunStatus.COMPLETED


async def test_budgets_hold_per_host_and_are_used() -> None:
    budgets = {P: 4, S: 2, B: 1}
    async with open_world(lambda platform: replace(QUICK, max_in_flight=budgets[platform])) as world:
        targets = []
        for n in range(12):
            for platform in PLATFORMS:
                world.hosts[platform].script(f"/detail/{n}", after(0.003, answering()))
            targets.append(
                Target(n + 1, LATER, {platform: (str(n),) for platform in PLATFORMS if n % 3 or platform == P})
            )
        await captured(world, *targets)
    assert world.hosts[S].most_in_flight <= 2
    assert world.hosts[B].most_in_flight == 1
    assert 1 < world.hosts[P].most_in_flight <= 4


async def test_several_listings_of_a_fixture_on_one_platform_are_asked_together_and_the_first_good_one_counts_for_the_skew() -> (
    None
):
    async with open_world() as world:
        together = asyncio.Barrier(3)
        for external_id in ("a", "b", "c"):
            world.hosts[P].script(f"/detail/{external_id}", when_all_are_here(together))
        world.hosts[B].script("/detail/b", answering(Age="2"))
        result = await captured(world, Target(1, LATER, {P: ("a", "b", "c"), B: ("b",)}))
    assert sorted(o.external_id for o in result.outcomes if o.platform == P) == ["a", "b", "c"]
    first = {p: min(a.observed_at for a in world.sink.of(p)) for p in (P, B)}
    assert (first[P] - first[B]).total_seconds() > 1.9


async def test_the_ledger_line_tells_of_attempts_failure_and_time() -> None:
    async with open_world() as world:
        world.hosts[P].script("/detail/flaky", answering(500), answering(body=b'{"n":1}'))
        world.hosts[P].script("/detail/gone", answering(404))
        result = await captured(world, Target(1, LATER, {P: ("flaky",)}), Target(2, LATER, {P: ("gone",)}))
    flaky, gone = sorted(result.outcomes, key=lambda outcome: outcome.external_id)
    assert (flaky.status, flaky.attempts, flaky.failure, flaky.http_status, flaky.bytes) == (
        RunStatus.COMPLETED,
        2,
        None,
        200,
        7,
    )
    assert (gone.status, gone.attempts, gone.failure, gone.http_status) == (
        RunStatus.FAILED,
        1,
        FailureClass.NOT_FOUND,
        404,
    )
    assert gone.failure_detail == "HTTP 404"
    assert flaky.duration_ms == pytest.approx((flaky.received_at - flaky.requested_at).total_seconds() * 1000)
    run = run_of(result, P)
    assert run.errors_by_class == {"not_found": 1, "transient": 1}
    assert (run.status, run.targets, run.fetched) == (RunStatus.COMPLETED, 2, 1), "a listing that is gone is an answer"


async def test_a_platform_where_every_listing_is_gone_has_failed() -> None:
    async with open_world() as world:
        world.hosts[P].script("/detail/gone", answering(404))
        result = await captured(world, Target(1, LATER, {P: ("gone",)}))
    assert result.status is RunStatus.FAILED
    assert run_of(result, P).message == "0 of 1 listings fetched; 1 not_found, e.g. HTTP 404"


async def test_a_blocked_platform_is_asked_no_more_and_every_listing_of_it_is_accounted_for() -> None:
    async with open_world(
        lambda _: replace(QUICK, max_in_flight=1, breaker=BreakerRule(blocks_in_a_row=2, block_pause_s=0))
    ) as world:
        targets = []
        for n in range(10):
            world.hosts[P].script(f"/detail/{n}", answering())
            world.hosts[S].script(f"/detail/{n}", answering(200, b"<html>robot?</html>", "text/html"))
            targets.append(Target(n + 1, LATER, {P: (str(n),), S: (str(n),)}))
        result = await captured(world, *targets)
    assert len(world.hosts[S].requests) == run_of(result, S).requests == 2 + 1, (
        "and once more to see whether it still blocks"
    )
    assert run_of(result, S).errors_by_class == {"blocked": 10}
    assert sum(o.platform == S and o.attempts == 0 and o.failure is FailureClass.BLOCKED for o in result.outcomes) == 7
    assert (run_of(result, P).status, run_of(result, P).fetched) == (RunStatus.COMPLETED, 10)
    assert len(world.sink.of(S)) == 10


async def test_a_cancelled_capture_has_kept_what_arrived() -> None:
    async with open_world() as world:
        for n in range(3):
            world.hosts[P].script(f"/detail/{n}", answering())
        world.hosts[S].script("/detail/never", silence)
        targets = [Target(n + 1, LATER, {P: (str(n),)}) for n in range(3)]
        seen = Watching()
        work = asyncio.create_task(captured(world, *targets, Target(9, LATER, {S: ("never",)}), watch=seen))
        await world.hosts[S].wait_for_requests("/detail/never", 1)
        async with asyncio.timeout(5):
            while seen.good[P] < 3:  # noqa: ASYNC110
                await asyncio.sleep(0)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
    assert sorted(a.request.external_id or "" for a in world.sink.answers) == ["0", "1", "2"]


class Relisting(Dialect):
    """Listings `old-...` kicked off three hours ago and have many markets; all others kick off in three days and
    have few.
    """

    def read_discovery(self, answers: Sequence[Answer], sport: Sport) -> Discovery:
        found = super().read_discovery(answers, sport)
        changed = [
            replace(each, kickoff_at=NOW - timedelta(hours=3), n_markets_declared=40)
            if each.external_id.startswith("old-")
            else replace(each, kickoff_at=NOW + timedelta(days=3), n_markets_declared=10)
            for each in found.listings
        ]
        return replace(found, listings=changed)


async def test_a_match_listed_anew_after_it_was_postponed_is_asked_for_everywhere_by_its_new_listing() -> None:
    async with open_world() as world:
        world.adapters = {platform: Relisting(platform) for platform in PLATFORMS}
        world.lists(P, {"old-1": 7, "new-1": 7})
        world.lists(S, {"s-1": 7})
        world.lists(B, {"b-1": 7})
        async with world.engine() as engine:
            scraped = await run_whole_cycle(cycle(), world.adapters, engine, clock=world.clock)
    assert {(line.platform, line.external_id): line.status for line in scraped.result.outcomes} == dict.fromkeys(
        [(P, "new-1"), (S, "s-1"), (B, "b-1")], RunStatus.COMPLETED
    )


async def test_the_garbage_collector_leaves_older_objects_alone_during_a_capture_only() -> None:
    class Counter(StageTally):
        n_frozen = 0

        def on_answer(self, answer: Answer) -> None:
            super().on_answer(answer)
            self.n_frozen = gc.get_freeze_count()

    async with open_world() as world:
        three_fixtures(world)
        n_before, tally = gc.get_freeze_count(), Counter()
        await captured(world, Target(1, LATER, {P: ("p1",), S: ("s1",)}), tally=tally)
    assert gc.get_freeze_count() <= n_before < tally.n_frozen


async def test_platforms_without_a_client_are_left_out() -> None:
    async with open_world() as world:
        three_fixtures(world)
        del world.clients[S]
        scraped = await scraped_whole(world)
        result = await captured(world, Target(2, LATER, {S: ("s2",)}))
    assert scraped.discoveries.keys() == {P, B}
    assert scraped.result.status is RunStatus.COMPLETED
    assert result.outcomes == ()


async def test_progress_counts_every_request_of_discovery_and_every_listing() -> None:
    async with open_world() as world:
        three_fixtures(world)
        world.hosts[B].script("/detail/b4", answering(404))
        seen = Watching()
        await scraped_whole(world, seen)
    assert seen.totals == {P: 3 + 3, S: 3 + 3, B: 2 + 2}
    assert (seen.good, seen.bad) == ({P: 6, S: 6, B: 3}, {B: 1})


async def test_the_answers_that_the_sink_has_read_again_give_the_same_discovery() -> None:
    async with open_world() as world:
        three_fixtures(world)
        world.hosts[P].script("/page/0", answering(500), answering(body=json.dumps({"p1": 1}).encode()))
        async with world.engine() as engine:
            found = await discover(world.adapters, engine, sport=Sport.FOOTBALL)
    last = {answer.request.key: answer for answer in world.sink.of(P)}
    replayed = world.adapters[P].read_discovery(list(last.values()), Sport.FOOTBALL)
    assert (
        {x.external_id for x in replayed.listings}
        == {x.external_id for x in found.discoveries[P].listings}
        == {"p1", "p3"}
    )


class Moving(Clock):
    """Goes forward when told to."""

    def __init__(self) -> None:
        object.__setattr__(self, "offset_s", 0.0)

    def forward(self, minutes: float) -> None:
        object.__setattr__(self, "offset_s", self.offset_s + minutes * 60)


async def test_what_kicks_off_while_it_waits_is_not_asked_and_is_no_fault_of_the_run() -> None:
    async with open_world(lambda _: replace(QUICK, max_in_flight=1)) as world:
        world.clock = clock = Moving()
        gate, told = asyncio.Event(), asyncio.Event()

        async def slow(request: web.Request) -> web.StreamResponse:
            await gate.wait()
            return await answering()(request)

        class Waiting(Watching):
            def on_outcomes(self, outcomes: Sequence[EventOutcome]) -> None:
                told.set()

        world.hosts[P].script("/detail/first", slow)
        for external_id in ("soon", "later"):
            world.hosts[P].script(f"/detail/{external_id}", answering())
        kickoffs = {"first": 5, "soon": 10, "later": 300}
        targets = [
            Target(n, NOW + timedelta(minutes=minutes), {P: (name,)})
            for n, (name, minutes) in enumerate(kickoffs.items())
        ]
        work = asyncio.create_task(captured(world, *targets, watch=Waiting(), rerank_interval_s=0.01))
        await world.hosts[P].wait_for_requests("/detail/first", 1)
        clock.forward(20)
        async with asyncio.timeout(5):
            await told.wait()
        gate.set()
        result = await work
    outcomes = {outcome.external_id: outcome for outcome in result.outcomes}
    assert {name: o.status for name, o in outcomes.items()} == {
        "first": RunStatus.COMPLETED,
        "soon": RunStatus.FAILED,
        "later": RunStatus.COMPLETED,
    }
    soon = outcomes["soon"]
    assert (soon.attempts, soon.failure, soon.failure_detail) == (
        0,
        FailureClass.NOT_FOUND,
        "not asked: it has kicked off",
    )
    assert (result.status, run_of(result, P).targets, run_of(result, P).fetched) == (RunStatus.COMPLETED, 3, 2)
    assert world.hosts[P].count_requests("/detail/soon") == 0
    assert "soon" not in {answer.request.external_id for answer in world.sink.answers}, (
        "nothing was heard of it, so nothing is landed"
    )


async def test_a_capture_that_is_ended_has_a_ledger_line_for_every_listing() -> None:
    async with open_world() as world:
        world.hosts[P].script("/detail/p", answering())
        world.hosts[S].otherwise = silence
        targets = [Target(1, LATER, {P: ("p",)}), *(Target(n, LATER, {S: (f"s{n}",)}) for n in range(2, 8))]
        tally, seen = StageTally(), Watching()

        async def capturing() -> None:
            async with world.engine(watch=seen) as engine:
                engines.append(engine)
                await capture_targets(
                    cycle(Scope.EVENTS), targets, world.adapters, engine, clock=world.clock, tally=tally
                )

        engines: list[ScrapeEngine] = []
        work = asyncio.create_task(capturing())
        await world.hosts[S].wait_for_requests("/detail/s4", 1)
        async with asyncio.timeout(5):
            while not seen.good[P]:  # noqa: ASYNC110
                await asyncio.sleep(0)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
    (engine,) = engines
    ended = build_unfinished_result(
        cycle(Scope.EVENTS),
        RunStatus.CANCELLED,
        "capture was ended",
        world.clock.now(),
        tally=tally,
        unfinished_outcomes=engine.list_unfinished(),
        budgets=engine.budgets,
    )
    assert {(o.external_id, o.status, o.attempts) for o in ended.outcomes} == {
        ("p", RunStatus.COMPLETED, 1),
        *((f"s{n}", RunStatus.CANCELLED, 1 if n < 5 else 0) for n in range(2, 8)),
    }
    assert (run_of(ended, P).status, run_of(ended, S).status) == (RunStatus.COMPLETED, RunStatus.CANCELLED)


async def test_pace_and_breakers_of_the_discovery_hold_for_the_capture() -> None:
    async with open_world(
        lambda _: replace(QUICK, max_attempts=1, breaker=BreakerRule(blocks_in_a_row=2, block_pause_s=60))
    ) as world:
        three_fixtures(world)
        world.lists(S, {"s1": None}, {"s2": None}, {"s3": None})
        for page in ("/page/1", "/page/2"):
            world.hosts[S].script(page, answering(403))
        scraped = await scraped_whole(world)
    assert scraped.discoveries[S].completeness is Completeness.PARTIAL
    assert world.hosts[S].count_requests("/detail/s1") == 0, "blocked in the discovery, not asked again in the capture"
    (line,) = [o for o in scraped.result.outcomes if o.platform == S]
    assert (line.attempts, line.failure) == (0, FailureClass.BLOCKED)
    assert {run.platform: run.status for run in scraped.result.runs} == {
        P: RunStatus.COMPLETED,
        S: RunStatus.FAILED,
        B: RunStatus.COMPLETED,
    }


async def test_a_run_says_how_long_its_capture_took_and_how_fast_it_could_have_been() -> None:
    async with open_world() as world:
        three_fixtures(world)
        scraped = await scraped_whole(world)
        earlier = await discovered(world)
    for run in scraped.result.runs:
        assert run.capture_s is not None
        assert run.floor_s is not None
        assert 0 < run.floor_s <= run.capture_s < (run.finished_at - run.started_at).total_seconds()
        assert run.clock_offset_s == pytest.approx(0, abs=2)
    assert {(run.capture_s, run.floor_s) for run in earlier.runs} == {(None, None)}


async def test_a_crawl_gets_an_answer_to_every_question_also_to_one_that_was_not_asked() -> None:
    class Pairing(Dialect):
        def discover(self, sport: Sport) -> Crawl:
            asked = [Request(self.platform, PayloadKind.LISTING, f"/page/{n}") for n in range(9)]
            answers = yield asked
            given.extend(zip(asked, answers, strict=True))

    given: list[tuple[Request, Answer]] = []
    async with open_world(
        lambda _: replace(QUICK, max_in_flight=1, breaker=BreakerRule(blocks_in_a_row=2, block_pause_s=60))
    ) as world:
        world.hosts[S].otherwise = answering(403)
        world.adapters = {S: Pairing(S)}
        world.clients = {S: world.clients[S]}
        await discovered(world)
    assert [answer.request for _, answer in given] == [request for request, _ in given]
    assert [answer.attempt for _, answer in given] == [1] * 2 + [0] * 7
    assert {answer.failure for _, answer in given} == {FailureClass.BLOCKED}
    assert len(world.sink.of(S)) == 9
