"""Three small platforms on loopback with a dialect of a few lines, for tests of what the scrape does whatever the
dialect is.
"""

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from palimpsest_pipeline.domain.cycles import Cycle
from palimpsest_pipeline.domain.enums import (
    Completeness,
    FailureClass,
    ListingKind,
    PayloadKind,
    Platform,
    Scope,
    Sport,
    Trigger,
)
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.domain.instants import Clock, floor_to_hour, make_cycle_id
from palimpsest_pipeline.domain.observations import Detail, Discovery, Listing, RawPrices
from palimpsest_pipeline.platforms.base import Crawl
from palimpsest_pipeline.scrape import ScrapeEngine, build_host_setups
from palimpsest_pipeline.scrape.host_budget import BreakerRule, HostBudget
from palimpsest_pipeline.scrape.sinks import AnswerSink, ScrapeObserver
from palimpsest_pipeline.wire import HostConfig
from palimpsest_pipeline.wire.client import PlatformClient
from palimpsest_pipeline_tests.fixtures.loopback import Loopback, Responder, answering
from palimpsest_pipeline_tests.fixtures.platforms import BETPAWA, PLATFORMS

NOW = datetime.now(UTC)
QUICK = HostBudget(
    max_in_flight=3,
    backoff_initial_s=0,
    backoff_max_s=0,
    breaker=BreakerRule(pause_s=0.01, pause_max_s=0.01, block_pause_s=0),
)


def listing(platform: Platform, external_id: str, sr_id: int | None = None, **changes: object) -> Listing:
    """A football match three hours from now, but for what is changed."""
    made = Listing(
        platform=platform,
        external_id=external_id,
        kind=ListingKind.MATCH,
        sport=Sport.FOOTBALL,
        tournament_external_id="t1",
        tournament_name="Premier League",
        country_raw="England",
        home_team="Home",
        away_team="Away",
        kickoff_at=NOW + timedelta(hours=3),
        sr_id=sr_id,
        genius_id=None,
        sr_tournament_id=None,
        n_markets_declared=None,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


class Dialect:
    """`/tree` names the pages, `/page/N` lists `id:sr_id` pairs, `/detail/ID` is a listing's book."""

    parser_version = 1

    def __init__(self, platform: Platform) -> None:
        self.platform = platform

    def build_headers(self) -> dict[str, str]:
        return {}

    def discover(self, sport: Sport) -> Crawl:
        (tree,) = yield [Request(self.platform, PayloadKind.TREE, "/tree")]
        if tree.ok:
            yield [
                Request(self.platform, PayloadKind.LISTING, f"/page/{n}") for n in range(json.loads(tree.body or b"0"))
            ]

    def read_discovery(self, answers: Sequence[Answer], sport: Sport) -> Discovery:
        if not any(answer.ok and answer.request.kind is PayloadKind.TREE for answer in answers):
            return Discovery(self.platform, Completeness.FAILED, (), (), reason="no tree")
        found = [
            listing(self.platform, external_id, sr_id)
            for answer in answers
            if answer.ok and answer.request.kind is PayloadKind.LISTING
            for external_id, sr_id in json.loads(answer.body or b"{}").items()
        ]
        whole = all(answer.ok for answer in answers)
        return Discovery(
            self.platform,
            Completeness.COMPLETE if whole else Completeness.PARTIAL,
            (),
            found,
            reason="" if whole else "a page is missing",
        )

    def list_detail_requests(self, external_id: str, sr_id: int | None, answers: Sequence[Answer]) -> Sequence[Request]:
        path = f"/detail/{external_id}"
        return (
            () if answers else [Request(self.platform, PayloadKind.DETAIL, path, external_id=external_id, sr_id=sr_id)]
        )

    def read_listing(self, answers: Sequence[Answer]) -> Listing:
        return listing(self.platform, answers[0].request.external_id or "", answers[0].request.sr_id)

    def read_detail(self, answers: Sequence[Answer]) -> Detail:
        return Detail(self.read_listing(answers), RawPrices())

    def judge(self, answer: Answer) -> tuple[FailureClass, str] | None:
        return (FailureClass.BLOCKED, "HTML in place of JSON") if (answer.body or b"").startswith(b"<") else None


@dataclass
class Kept:
    """A sink that keeps everything in memory."""

    answers: list[Answer] = field(default_factory=list)

    def append(self, answer: Answer) -> None:
        self.answers.append(answer)

    def append_together(self, answers: Sequence[Answer]) -> None:
        self.answers += answers

    def of(self, platform: Platform) -> list[Answer]:
        return [answer for answer in self.answers if answer.request.platform == platform]


@dataclass
class World:
    """The three hosts, a client, a budget and a dialect for each."""

    hosts: dict[Platform, Loopback]
    clients: dict[Platform, PlatformClient]
    adapters: dict[Platform, Dialect]
    budgets: dict[Platform, HostBudget]
    sink: Kept = field(default_factory=Kept)
    clock: Clock = field(default_factory=Clock)

    def lists(self, platform: Platform, *pages: Mapping[str, int | None], detail: Responder | None = None) -> None:
        """Scripts the platform to list these pages of listing id -> SportRadar id, each with a book."""
        host = self.hosts[platform]
        host.script("/tree", answering(body=json.dumps(len(pages)).encode()))
        for n, page in enumerate(pages):
            host.script(f"/page/{n}", answering(body=json.dumps(page).encode()))
            for external_id in page:
                host.script(f"/detail/{external_id}", detail or answering())

    def engine(
        self, sink: AnswerSink | None = None, watch: ScrapeObserver | None = None, **limits: Any
    ) -> ScrapeEngine:
        """An engine that asks these hosts, not entered yet. `limits` as the engine takes them."""
        return ScrapeEngine(
            build_host_setups(self.adapters, self.clients, self.budgets),
            sink or self.sink,
            clock=self.clock,
            observer=watch,
            **limits,
        )


@asynccontextmanager
async def open_world(
    budget: Callable[[Platform], HostBudget] = lambda _: QUICK,
    platforms: Sequence[Platform] = tuple(PLATFORMS),
    **limits: float,
) -> AsyncIterator[World]:
    """`limits` are the clients' own, as in `HostConfig`."""
    quick = {"connect_timeout_s": 2, "read_timeout_s": 2, "total_timeout_s": 5, "max_body_bytes": 100_000, **limits}
    async with AsyncExitStack() as stack:
        loopbacks = {platform: await stack.enter_async_context(Loopback()) for platform in platforms}
        clients = {
            platform: await stack.enter_async_context(
                PlatformClient(HostConfig(platform, host.base_url, {}, **quick), Clock())
            )  # type: ignore[arg-type]
            for platform, host in loopbacks.items()
        }
        yield World(loopbacks, clients, {p: Dialect(p) for p in platforms}, {p: budget(p) for p in platforms})


def cycle(scope: Scope = Scope.FULL) -> Cycle:
    return Cycle(make_cycle_id(NOW), Trigger.MANUAL, scope, BETPAWA, floor_to_hour(NOW), NOW)
