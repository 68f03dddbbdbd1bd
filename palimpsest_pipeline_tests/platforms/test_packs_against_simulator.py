"""Dialects against the simulated sites of their packs: they read exactly what the renderer writes."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from palimpsest_pipeline.domain.enums import Completeness, FailureClass, Platform, Sport
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.domain.observations import PayloadRejected
from palimpsest_pipeline.markets import normalise
from palimpsest_pipeline.pipeline.ingest.books import collect_raw_books
from palimpsest_pipeline.pipeline.installed_vocabulary import load_installed_vocabulary
from palimpsest_pipeline.platforms.betika import BetikaAdapter
from palimpsest_pipeline.platforms.betika.simulator import BetikaRenderer
from palimpsest_pipeline.platforms.betway import BetwayAdapter
from palimpsest_pipeline.platforms.betway.simulator import BetwayRenderer
from palimpsest_pipeline.platforms.msport import MsportAdapter
from palimpsest_pipeline.platforms.msport.simulator import MsportRenderer
from palimpsest_pipeline.platforms.sportpesa import SportpesaAdapter
from palimpsest_pipeline.platforms.sportpesa.simulator import SportpesaRenderer
from palimpsest_pipeline.simulator.app import Simulator

from .pack_support import configure
from .support import Reply, answer_to, crawl, judge_answer, reply

EPOCH = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
NOW = EPOCH + timedelta(minutes=1)
SOURCE = Platform("sportybet")
ADAPTERS: dict[str, Any] = {
    "betika": BetikaAdapter(configure("betika")),
    "betway": BetwayAdapter(configure("betway")),
    "msport": MsportAdapter(configure("msport")),
    "sportpesa": SportpesaAdapter(configure("sportpesa")),
}
RENDERERS: dict[str, Any] = {
    "betika": BetikaRenderer,
    "betway": BetwayRenderer,
    "msport": MsportRenderer,
    "sportpesa": SportpesaRenderer,
}
IN_SEVERAL_ANSWERS = ("betway", "sportpesa")
PACKS = pytest.mark.parametrize("pack", sorted(ADAPTERS))


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


def external_id_of(pack: str, listing: Any) -> str:
    if pack == "sportpesa":
        return str(SportpesaRenderer.make_game_id(listing))
    return f"sr:match:{listing.fixture.sr_id}" if pack == "msport" else str(listing.fixture.sr_id)


def fetch(pack: str, renderer: Any, external_id: str, sr_id: int, now: datetime) -> list[Answer]:
    """All answers about the listing, or those up to the first failure."""
    adapter, answers = ADAPTERS[pack], []
    while requests := adapter.list_detail_requests(external_id, sr_id, answers):
        answers += [judge_answer(adapter, answer_to(one, serve(renderer, now)(one), at=now)) for one in requests]
        if any(answer.failure for answer in answers):
            break
    return answers


@PACKS
def test_discovery_finds_every_match_with_its_kickoff_and_teams(simulator: Simulator, pack: str) -> None:
    renderer, adapter = render(simulator, pack), ADAPTERS[pack]
    answers, _ = crawl(adapter, Sport.FOOTBALL, serve(renderer, NOW))
    discovery = adapter.read_discovery(answers, Sport.FOOTBALL)
    assert (discovery.completeness, discovery.reason) == (Completeness.COMPLETE, "")
    found = {listing.external_id: listing for listing in discovery.listings}
    listed = renderer.list_listings(NOW)
    assert len(listed) > 150
    assert found.keys() == {external_id_of(pack, listing) for listing in listed}
    for listing in listed:
        one = found[external_id_of(pack, listing)]
        assert one.kickoff_at == simulator.timeline.find_kickoff(listing.fixture, SOURCE, NOW)
        assert (one.home_team, one.away_team) == tuple(team.names[SOURCE] for team in listing.teams)
        assert one.tournament_name == listing.group_name
        if pack == "sportpesa":
            assert (one.sr_id or 0) == renderer.find_sr_id(listing)
        else:
            assert one.sr_id == listing.fixture.sr_id
    unidentified = sum(one.sr_id is None for one in found.values())
    assert unidentified > 10 if pack == "sportpesa" else unidentified == 0
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


@PACKS
def test_every_price_of_a_book_arrives_under_its_canonical_name(simulator: Simulator, pack: str) -> None:
    renderer, words = render(simulator, pack), load_installed_vocabulary()
    keys = dict(words.markets.select("market_id", "market_key").iter_rows())
    n_prices, n_answers, n_listings = 0, 0, 12
    largest = sorted(renderer.list_listings(NOW), key=lambda listing: -listing.n_pairs)[:n_listings]
    for listing in largest:
        answers = fetch(pack, renderer, external_id_of(pack, listing), listing.fixture.sr_id, NOW)
        assert not any(answer.failure for answer in answers)
        n_answers += len(answers)
        detail = ADAPTERS[pack].read_detail(answers)
        assert detail.rejects == []
        lines = (renderer if pack in IN_SEVERAL_ANSWERS else renderer.feed).list_lines(listing, NOW)
        sources = [line.source.source if pack == "betway" else line.source for line in lines]
        prices = detail.prices
        owners = zip(
            prices.repeat_per_outcome(prices.market_id), prices.repeat_per_outcome(prices.specifier), strict=True
        )
        read: dict[tuple[str, str], set[float]] = {}
        for owner, odds, off in zip(owners, prices.odds_milli, prices.off, strict=True):
            if odds is not None and not off:
                read.setdefault(owner, set()).add(odds / 1000)
        if pack == "sportpesa":
            offered = {(line.market, f"{line.spec_value:g}"): set(line.prices.values()) for line in lines}
        else:
            offered = {
                (line.market, line.specifier): {odds for *_, odds in line.prices if odds}
                for line, source in zip(lines, sources, strict=True)
                if not source.is_suspended
            }
        assert read == {owner: odds for owner, odds in offered.items() if odds}
        batch = normalise(collect_raw_books([detail]), words)
        assert batch.unmapped.is_empty()
        truth = {part.key for line in sources for part in line.market.parts if line.prices}
        assert {keys[market] for market in batch.prices["market_id"]} <= truth
        n_prices += batch.prices.height
    assert n_prices > 1500
    assert n_answers > 2 * n_listings or pack != "betway", "some books have several pages"


@PACKS
def test_a_match_that_has_begun_is_listed_no_more_and_its_book_is_no_prematch_book(
    simulator: Simulator, pack: str
) -> None:
    renderer, adapter = render(simulator, pack), ADAPTERS[pack]
    first = min(renderer.list_listings(NOW), key=lambda one: simulator.timeline.find_kickoff(one.fixture, SOURCE, NOW))
    later = simulator.timeline.find_kickoff(first.fixture, SOURCE, NOW) + timedelta(minutes=1)
    assert external_id_of(pack, first) not in {external_id_of(pack, one) for one in renderer.list_listings(later)}
    answers = fetch(pack, renderer, external_id_of(pack, first), first.fixture.sr_id, later)
    if pack not in IN_SEVERAL_ANSWERS and answers[-1].failure is not None:
        assert answers[-1].failure is FailureClass.NOT_FOUND
        return
    assert not any(answer.failure for answer in answers)
    assert adapter.read_listing(answers).is_in_play
    with pytest.raises(PayloadRejected, match="in play"):
        adapter.read_detail(answers)


@PACKS
def test_an_unknown_match_is_not_found(simulator: Simulator, pack: str) -> None:
    answers = fetch(pack, render(simulator, pack), "sr:match:5" if pack == "msport" else "5", 5, NOW)
    assert {answer.failure for answer in answers if answer.failure} == {FailureClass.NOT_FOUND}
