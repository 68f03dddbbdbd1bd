"""Dialects against the simulated sites of their packs: they read exactly what the renderer writes."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from palimpsest_pipeline.domain.enums import Completeness, FailureClass, PayloadKind, Platform, Sport
from palimpsest_pipeline.domain.exchange import Request
from palimpsest_pipeline.domain.observations import PayloadRejected
from palimpsest_pipeline.markets import normalise
from palimpsest_pipeline.pipeline.ingest.books import collect_raw_books
from palimpsest_pipeline.pipeline.installed_vocabulary import load_installed_vocabulary
from palimpsest_pipeline.platforms.betika import BetikaAdapter
from palimpsest_pipeline.platforms.betika.simulator import BetikaRenderer
from palimpsest_pipeline.platforms.msport import MsportAdapter
from palimpsest_pipeline.platforms.msport.simulator import MsportRenderer
from palimpsest_pipeline.simulator.app import Simulator

from .pack_support import configure
from .support import Reply, answer_to, crawl, judged, reply

EPOCH = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
NOW = EPOCH + timedelta(minutes=1)
SOURCE = Platform("sportybet")
ADAPTERS: dict[str, Any] = {"msport": MsportAdapter(configure("msport")), "betika": BetikaAdapter(configure("betika"))}
RENDERERS: dict[str, Any] = {"msport": MsportRenderer, "betika": BetikaRenderer}
PACKS = sorted(ADAPTERS)


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    return Simulator(7, 260, EPOCH)


def render(simulator: Simulator, pack: str) -> Any:
    return RENDERERS[pack](simulator.timeline, simulator.books, SOURCE)


def serve(renderer: Any, now: datetime) -> Callable[[Request], Reply]:
    def server(request: Request) -> Reply:
        status, body = renderer.answer(request.path, request.params, now)
        return reply(body, status)

    return server


@pytest.mark.parametrize("pack", PACKS)
def test_discovery_finds_every_match_with_its_kickoff_and_teams(simulator: Simulator, pack: str) -> None:
    renderer, adapter = render(simulator, pack), ADAPTERS[pack]
    answers, _ = crawl(adapter, Sport.FOOTBALL, serve(renderer, NOW))
    discovery = adapter.read_discovery(answers, Sport.FOOTBALL)
    assert (discovery.completeness, discovery.reason) == (Completeness.COMPLETE, "")
    found = {listing.sr_id: listing for listing in discovery.listings}
    listed = renderer.list_listings(NOW)
    assert len(listed) > 150
    assert found.keys() == {listing.fixture.sr_id for listing in listed}
    for listing in listed:
        one = found[listing.fixture.sr_id]
        assert one.kickoff_at == simulator.timeline.find_kickoff(listing.fixture, SOURCE, NOW)
        assert (one.home_team, one.away_team) == tuple(team.names[SOURCE] for team in listing.teams)
        assert one.tournament_name == listing.group_name
    if pack == "betika":
        assert sum(tournament.n_declared for tournament in discovery.tournaments) == len(listed)


def test_a_match_that_begins_between_two_pages_hides_none_of_the_others(simulator: Simulator) -> None:
    """MSport's cursor is a match, and the list does not know it any more after its kickoff."""
    renderer, adapter = render(simulator, "msport"), ADAPTERS["msport"]
    cursor = renderer.list_listings(NOW)[99]
    later = renderer.feed.find_kickoff(cursor, NOW) + timedelta(minutes=1)
    instants = iter([NOW])

    def server(request: Request) -> Reply:
        return serve(renderer, next(instants, later))(request)

    answers, batches = crawl(adapter, Sport.FOOTBALL, server)
    assert batches[1][0].params["lastEventId"] == f"sr:match:{cursor.fixture.sr_id}"
    assert "lastEventId" not in batches[2][0].params, "the first page once more"
    discovery = adapter.read_discovery(answers, Sport.FOOTBALL)
    assert (discovery.completeness, discovery.reason) == (Completeness.COMPLETE, "")
    assert {listing.sr_id for listing in discovery.listings} == {
        listing.fixture.sr_id for listing in renderer.list_listings(later)
    }


@pytest.mark.parametrize("pack", PACKS)
def test_every_price_of_a_book_arrives_under_its_canonical_name(simulator: Simulator, pack: str) -> None:
    renderer, adapter, words = render(simulator, pack), ADAPTERS[pack], load_installed_vocabulary()
    keys = dict(words.markets.select("market_id", "market_key").iter_rows())
    n_prices, n_lines = 0, 0
    for listing in renderer.list_listings(NOW)[:12]:
        [request] = adapter.list_detail_requests(ADAPTER_IDS[pack](listing), listing.fixture.sr_id, [])
        given = judged(adapter, answer_to(request, serve(renderer, NOW)(request)))
        assert given.failure is None
        detail = adapter.read_detail([given])
        assert detail.rejects == []
        lines = renderer.feed.list_lines(listing, NOW)
        offered = {
            (line.market, line.specifier): {odds for _, _, odds in line.prices if odds}
            for line in lines
            if not line.source.is_suspended
        }
        read: dict[tuple[str, str], set[float]] = {}
        prices = detail.prices
        owners = zip(
            prices.repeat_per_outcome(prices.market_id), prices.repeat_per_outcome(prices.specifier), strict=True
        )
        for owner, odds, off in zip(owners, prices.odds_milli, prices.off, strict=True):
            if odds is not None and not off:
                read.setdefault(owner, set()).add(odds / 1000)
        assert read == {owner: odds for owner, odds in offered.items() if odds}
        batch = normalise(collect_raw_books([detail]), words)
        assert batch.unmapped.is_empty()
        arrived = {keys[market] for market in batch.prices["market_id"]}
        truth = {part.key for line in lines for part in line.source.market.parts if line.prices}
        assert arrived <= truth
        n_prices += batch.prices.height
        n_lines += len(lines)
    assert n_prices > 2000
    assert n_lines > 600


ADAPTER_IDS: dict[str, Callable[[Any], str]] = {
    "msport": lambda listing: f"sr:match:{listing.fixture.sr_id}",
    "betika": lambda listing: str(listing.fixture.sr_id),
}


@pytest.mark.parametrize("pack", PACKS)
def test_a_match_that_has_begun_is_listed_no_more_and_its_book_is_no_prematch_book(
    simulator: Simulator, pack: str
) -> None:
    renderer, adapter = render(simulator, pack), ADAPTERS[pack]
    first = min(renderer.list_listings(NOW), key=lambda listing: renderer.feed.find_kickoff(listing, NOW))
    later = renderer.feed.find_kickoff(first, NOW) + timedelta(minutes=1)
    assert first.fixture.sr_id not in {listing.fixture.sr_id for listing in renderer.list_listings(later)}
    [request] = adapter.list_detail_requests(ADAPTER_IDS[pack](first), first.fixture.sr_id, [])
    given = judged(adapter, answer_to(request, serve(renderer, later)(request)))
    if given.failure is not None:
        assert given.failure is FailureClass.NOT_FOUND
        return
    assert adapter.read_listing([given]).is_in_play
    with pytest.raises(PayloadRejected, match="in play"):
        adapter.read_detail([given])


@pytest.mark.parametrize("pack", PACKS)
def test_an_unknown_match_is_not_there(simulator: Simulator, pack: str) -> None:
    renderer, adapter = render(simulator, pack), ADAPTERS[pack]
    [request] = adapter.list_detail_requests("sr:match:5" if pack == "msport" else "5", 5, [])
    assert request.kind is PayloadKind.DETAIL
    verdict = adapter.judge(answer_to(request, serve(renderer, NOW)(request)))
    assert verdict is not None
    assert verdict[0] is FailureClass.NOT_FOUND
