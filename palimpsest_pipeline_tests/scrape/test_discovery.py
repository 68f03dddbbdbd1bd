"""For how long a discovery waits for a platform, how it goes on later, and how what a late platform lists is
captured.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest

from palimpsest_pipeline.domain.cycles import EventOutcome, Target
from palimpsest_pipeline.domain.enums import Completeness, FailureClass, PayloadKind, Platform, RunStatus, Sport
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.domain.observations import Discovery
from palimpsest_pipeline.platforms.base import Crawl, DelayedBatch
from palimpsest_pipeline.scrape import StageTally, capture_targets, continue_discoveries, discover
from palimpsest_pipeline.scrape.discovery import TIME_OVER_REASON, DiscoveryRound, _Crawl
from palimpsest_pipeline.scrape.sinks import ScrapeObserver
from palimpsest_pipeline_tests.fixtures.loopback import after, answering, gated, silence
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA, PLATFORMS, SPORTYBET

from .world import NOW, QUICK, Dialect, World, cycle, open_world

P, S, B = BETPAWA, SPORTYBET, BET9JA
IMPATIENT_S = 0.5
"""Longer than an answer on loopback takes, and shorter than a test may last."""
Ask = Callable[[Sequence[Target]], None]


async def run_discovery(world: World, patience_s: float, watch: ScrapeObserver | None = None) -> DiscoveryRound:
    async with world.engine(watch=watch) as engine:
        return await discover(world.adapters, engine, sport=Sport.FOOTBALL, patience_s=patience_s)


async def continue_discovery(
    world: World, landed: Sequence[Answer], for_s: float = 30
) -> tuple[list[Discovery], StageTally]:
    """Continue the discovery of SportyBet after these answers; return its discoveries and the tally."""
    discoveries, tally = list[Discovery](), StageTally()
    async with world.engine() as engine:
        with engine.observe(tally):
            await continue_discoveries(
                {S: world.adapters[S]},
                engine,
                sport=Sport.FOOTBALL,
                landed_answers={S: landed},
                duration_s=for_s,
                on_discovery=discoveries.append,
            )
    return discoveries, tally


def ids(discovery: Discovery) -> set[str]:
    return {listing.external_id for listing in discovery.listings}


class Planned(ScrapeObserver):
    """A watch that counts planned requests."""

    def __init__(self) -> None:
        self.n = dict.fromkeys(PLATFORMS, 0)

    def on_planned(self, platform: Platform, n: int, kind: PayloadKind) -> None:
        self.n[platform] += n


async def test_a_silent_platform_is_late_with_its_listings_so_far_and_the_others_are_complete() -> None:
    async with open_world(read_timeout_s=30, total_timeout_s=30) as world:
        world.lists(P, {"p1": 1})
        world.lists(S, {"s1": 1}, {"s2": 2})
        world.hosts[S].script("/page/1", silence)
        world.hosts[B].script("/tree", answering(404))
        planned = Planned()
        result = await run_discovery(world, IMPATIENT_S, planned)
    assert result.late_platforms == [S]
    assert [result.discoveries[p].completeness for p in (P, B)] == [Completeness.COMPLETE, Completeness.FAILED]
    assert ids(result.discoveries[P]) == {"p1"}
    assert planned.n == {P: 2, S: 2, B: 1}, "what was not answered is not counted"
    assert len(world.sink.of(S)) == 2, "running requests are not landed"


class EndsPatience(ScrapeObserver):
    """A Watch: patience with a crawl is over in the very moment in which the answer to this path comes.

    Counts what is planned and what is over.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.crawl: asyncio.Task[None] | None = None
        self.n_planned = self.n_over = 0

    def on_planned(self, platform: Platform, n: int, kind: PayloadKind) -> None:
        self.n_planned += n

    def on_answer(self, answer: Answer) -> None:
        if answer.request.path == self.path and self.crawl is not None:
            self.crawl.cancel()

    def on_outcomes(self, outcomes: Sequence[EventOutcome]) -> None:
        self.n_over += len(outcomes)


async def test_an_answer_at_the_end_of_the_patience_stays_planned_and_counts_as_finished() -> None:
    watch = EndsPatience("/page/0")
    async with open_world(platforms=(S,), read_timeout_s=30, total_timeout_s=30) as world:
        world.lists(S, {"s1": 1}, {"s2": 2})
        world.hosts[S].script("/page/1", silence)
        async with world.engine(watch=watch) as engine:
            crawl = _Crawl(world.adapters[S], engine, Sport.FOOTBALL, count())
            watch.crawl = asyncio.create_task(crawl.run())
            await asyncio.gather(watch.crawl, return_exceptions=True)
            crawl.cancel_planned()
    assert (watch.n_planned, watch.n_over) == (2, 2), "the tree and the first page"


async def test_a_platform_is_waited_for_while_its_answers_come() -> None:
    async with open_world(lambda _: replace(QUICK, max_in_flight=1)) as world:
        world.lists(P, {"p1": 1})
        world.lists(S, *({f"s{n}": n} for n in range(8)))
        for n in range(8):
            world.hosts[S].script(f"/page/{n}", after(0.1, answering(body=json.dumps({f"s{n}": n}).encode())))
        result = await run_discovery(world, IMPATIENT_S)
    assert result.late_platforms == []
    assert len(ids(result.discoveries[S])) == 8


async def test_no_platform_is_late_while_none_is_known_to_list_anything() -> None:
    async with open_world(platforms=(P, S)) as world:
        world.hosts[P].script("/tree", answering(404))
        world.lists(S, {"s1": 1})
        world.hosts[S].script("/tree", after(0.2, answering(body=b"1")))
        result = await run_discovery(world, 0.0)
    assert (result.late_platforms, ids(result.discoveries[S])) == ([], {"s1"})


class Pausing(Dialect):
    """Asks its first page again after a pause."""

    def discover(self, sport: Sport) -> Crawl:
        yield from super().discover(sport)
        yield DelayedBatch([Request(self.platform, PayloadKind.LISTING, "/page/0")], 2 * IMPATIENT_S)


async def test_a_pause_of_a_crawl_after_good_answers_is_no_silence() -> None:
    async with open_world(platforms=(P, S)) as world:
        world.lists(P, {"p1": 1})
        world.lists(S, {"s1": 1})
        world.adapters[S] = Pausing(S)
        result = await run_discovery(world, IMPATIENT_S)
    assert result.late_platforms == []
    assert world.hosts[S].count_requests("/page/0") == 2


async def test_a_continued_discovery_repeats_no_request_that_has_a_good_answer() -> None:
    async with open_world(platforms=(S,)) as world:
        world.lists(S, {"s1": 1}, {"s2": 2})
        world.hosts[S].script("/page/1", answering(404), answering(body=b'{"s2": 2}'))
        first = await run_discovery(world, 0.0)
        discoveries, tally = await continue_discovery(world, world.sink.of(S))
        n_requests = {path: world.hosts[S].count_requests(path) for path in ("/tree", "/page/0", "/page/1")}
    assert ids(first.discoveries[S]) == {"s1"}
    assert ids(discoveries[-1]) == {"s1", "s2"}
    assert n_requests == {"/tree": 1, "/page/0": 1, "/page/1": 2}
    assert tally.counts_by_platform[S].requests == 1


async def test_a_request_that_a_crawl_makes_twice_is_repeated_when_only_one_answer_is_landed() -> None:
    async with open_world(platforms=(S,)) as world:
        world.lists(S, {"s1": 1})
        await run_discovery(world, 0.0)
        world.adapters[S] = Pausing(S)
        before = world.hosts[S].count_requests("/page/0")
        await continue_discovery(world, world.sink.of(S))
        assert (before, world.hosts[S].count_requests("/page/0"), world.hosts[S].count_requests("/tree")) == (1, 2, 1)
        await continue_discovery(world, world.sink.of(S))
        assert world.hosts[S].count_requests("/page/0") == 2


async def test_a_discovery_whose_time_ends_is_incomplete_and_this_is_landed() -> None:
    async with open_world(
        lambda _: replace(QUICK, max_in_flight=1), platforms=(S,), read_timeout_s=30, total_timeout_s=30
    ) as world:
        world.lists(S, {"s1": 1}, {"s2": 2}, {"s3": 3})
        world.hosts[S].script("/page/1", silence)
        discoveries, _ = await continue_discovery(world, (), for_s=IMPATIENT_S)
    assert (discoveries[-1].completeness, ids(discoveries[-1])) == (Completeness.PARTIAL, {"s1"})
    failed = {
        answer.request.path: (answer.attempt, answer.failure, answer.failure_detail)
        for answer in world.sink.of(S)
        if not answer.ok
    }
    assert failed == {
        "/page/1": (1, FailureClass.TRANSIENT, f"no answer when {TIME_OVER_REASON}"),
        "/page/2": (0, FailureClass.TRANSIENT, f"not asked: {TIME_OVER_REASON}"),
    }
    replayed = world.adapters[S].read_discovery(world.sink.of(S), Sport.FOOTBALL)
    assert replayed == discoveries[-1]


async def test_a_discovery_without_any_time_left_sends_no_request() -> None:
    async with open_world(platforms=(S,)) as world:
        discoveries, _ = await continue_discovery(world, (), for_s=0)
        assert world.hosts[S].requests == []
    assert discoveries[-1].completeness is Completeness.FAILED


def target(sr_id: int, **listings: str) -> Target:
    return Target(
        sr_id,
        NOW + timedelta(hours=sr_id),
        {Platform(platform): (external_id,) for platform, external_id in listings.items()},
    )


async def run_capture(
    world: World, targets: Sequence[Target], source: Callable[[Ask], Awaitable[None]]
) -> set[tuple[Platform, str, int | None]]:
    async with world.engine() as engine:
        result = await capture_targets(cycle(), targets, world.adapters, engine, clock=world.clock, source=source)
    assert {outcome.status for outcome in result.outcomes} <= {RunStatus.COMPLETED}
    return {(outcome.platform, outcome.external_id, outcome.sr_id) for outcome in result.outcomes}


async def test_a_late_listing_joins_its_waiting_fixture_or_is_requested_alone() -> None:
    gate, answered = asyncio.Event(), asyncio.Event()
    async with open_world(lambda _: replace(QUICK, max_in_flight=1)) as world:
        for host in world.hosts.values():
            host.otherwise = answering()
        world.hosts[P].script("/detail/p2", gated(gate))

        async def find(ask: Ask) -> None:
            await world.hosts[P].wait_for_requests("/detail/p2", 1)
            everything = [target(n, betpawa=f"p{n}", sportybet=f"s{n}") for n in (1, 2, 3)] + [
                target(4, sportybet="s4")
            ]
            ask(everything)
            ask(everything)
            for alone in ("s1", "s2", "s4"):
                await world.hosts[S].wait_for_requests(f"/detail/{alone}", 1)
            assert world.hosts[S].count_requests("/detail/s3") == 0, "it waits with its fixture"
            answered.set()
            gate.set()

        lines = await run_capture(world, [target(n, betpawa=f"p{n}") for n in (1, 2, 3)], find)
    assert answered.is_set()
    assert lines == {(host, f"{name}{n}", n) for host, name in ((P, "p"), (S, "s")) for n in (1, 2, 3)} | {(S, "s4", 4)}
    assert all(
        len(host.requests) == len({request.path for request in host.requests}) for host in world.hosts.values()
    ), "nothing twice"


async def test_a_capture_lasts_until_no_further_targets_can_come() -> None:
    async with open_world() as world:
        for host in world.hosts.values():
            host.otherwise = answering()

        async def find(ask: Ask) -> None:
            await world.hosts[P].wait_for_requests("/detail/p1", 1)
            ask([target(1, betpawa="p1")])
            await asyncio.sleep(0)
            ask([target(2, bet9ja="b2")])

        assert await run_capture(world, [target(1, betpawa="p1")], find) == {(P, "p1", 1), (B, "b2", 2)}
        assert await run_capture(world, [], find_nothing) == set()


async def find_nothing(ask: Ask) -> None:
    ask([])


async def test_an_error_of_the_source_ends_the_capture() -> None:
    async def find(ask: Ask) -> None:
        raise OSError("no space left")

    async with open_world(read_timeout_s=30, total_timeout_s=30) as world:
        world.hosts[P].script("/detail/p1", silence)
        with pytest.raises(OSError, match="no space left"):
            await run_capture(world, [target(1, betpawa="p1")], find)
