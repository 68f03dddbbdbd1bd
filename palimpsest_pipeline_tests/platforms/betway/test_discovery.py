"""Betway's crawl of leagues against a server in memory."""

import copy
from dataclasses import dataclass, field
from typing import Any

import pytest

from palimpsest_pipeline.domain.enums import Completeness, PayloadKind, Sport
from palimpsest_pipeline.domain.exchange import Request

from ..support import HTML, Reply, crawl, reply
from .support import ADAPTER

FAILED: Reply = (500, {}, b"")
REGION, LEAGUE = "RegionAndLeagueIds[0].regionId", "RegionAndLeagueIds[0].leagueId"
A, B = "soccer::japan::j1-league", "soccer::england::premier-league"


@dataclass
class Site:
    """A site with `sizes` matches in each league.

    `failing` has the requests (league id, offset) and how often each fails.
    """

    template: dict[str, Any]
    sizes: dict[str, int]
    failing: dict[tuple[str, str], int] = field(default_factory=dict)
    failure: Reply = FAILED
    says_final: bool = True
    page_size: int = 100

    def __call__(self, request: Request) -> Reply:
        assert request.params["countryCode"] == "NG"
        if request.kind is PayloadKind.TREE:
            assert request.path.endswith("/soccer")
            return self.fail("tree", "") or reply({"regions": self.regions()})
        league = "::".join((request.params["sportId"], request.params[REGION], request.params[LEAGUE]))
        skip = int(request.params["Skip"])
        events = self.events(league)[skip : skip + self.page_size]
        body: dict[str, Any] = {"events": events, "markets": [], "outcomes": [], "prices": []}
        if self.says_final:
            body["isFinalPage"] = skip + self.page_size >= self.sizes[league]
        return self.fail(league, str(skip)) or reply(body)

    def fail(self, league: str, place: str) -> Reply | None:
        left = self.failing.get((league, place), 0)
        self.failing[league, place] = left - 1
        return self.failure if left > 0 else None

    def regions(self) -> list[dict[str, Any]]:
        return [
            {"regionId": region, "name": region.title(), "leagues": [{"leagueId": league, "name": league}]}
            for _, region, league in (name.split("::") for name in self.sizes)
        ]

    def events(self, league: str) -> list[dict[str, Any]]:
        _, region, name = league.split("::")
        event = self.template | {"regionId": region, "leagueId": name, "league": name}
        first = 1000 * (list(self.sizes).index(league) + 70_000)
        return [copy.deepcopy(event) | {"eventId": first + n} for n in range(self.sizes[league])]


def read(answers: Any) -> Any:
    return ADAPTER.read_discovery(answers, Sport.FOOTBALL)


@pytest.mark.parametrize("says_final", [True, False])
def test_every_league_is_listed_to_its_own_end(template: dict[str, Any], says_final: bool) -> None:
    answers, batches = crawl(ADAPTER, Sport.FOOTBALL, Site(template, {A: 230, B: 3}, says_final=says_final))
    assert [len(batch) for batch in batches] == [1, 2, 1, 1]
    discovery = read(answers)
    assert (discovery.completeness, discovery.reason, len(discovery.listings)) == (Completeness.COMPLETE, "", 233)
    assert {t.external_id: (t.n_declared, t.n_received, t.completeness) for t in discovery.tournaments} == {
        A: (None, 230, Completeness.COMPLETE),
        B: (None, 3, Completeness.COMPLETE),
    }


def test_leagues_of_one_slug_in_two_regions_are_two_tournaments(template: dict[str, Any]) -> None:
    england, ghana = "soccer::england::premier-league", "soccer::ghana::premier-league"
    answers, _ = crawl(ADAPTER, Sport.FOOTBALL, Site(template, {england: 4, ghana: 3}))
    discovery = read(answers)
    assert {t.external_id: t.n_received for t in discovery.tournaments} == {england: 4, ghana: 3}
    assert {x.tournament_external_id for x in discovery.listings} == {england, ghana}


def test_a_site_with_smaller_pages_is_followed_as_long_as_it_says_there_is_more(template: dict[str, Any]) -> None:
    answers, batches = crawl(ADAPTER, Sport.FOOTBALL, Site(template, {A: 130}, page_size=60))
    assert [batch[0].params.get("Skip") for batch in batches] == [None, "0", "60", "120"]
    assert len(read(answers).listings) == 130


def test_a_list_that_does_not_move_on_is_left_and_partial(template: dict[str, Any]) -> None:
    """It says that there is more, and shows the same matches whatever offset is requested."""

    class Stuck(Site):
        def events(self, league: str) -> list[dict[str, Any]]:
            return super().events(league)[:100] * 7

    answers, batches = crawl(ADAPTER, Sport.FOOTBALL, Stuck(template, {A: 700, B: 3}))
    assert [len(batch) for batch in batches] == [1, 2, 1]
    by_league = {t.external_id: t.completeness for t in read(answers).tournaments}
    assert by_league == {A: Completeness.PARTIAL, B: Completeness.COMPLETE}


def test_lists_ask_for_the_market_of_their_own_sport(template: dict[str, Any]) -> None:
    _, batches = crawl(ADAPTER, Sport.FOOTBALL, Site(template, {A: 1}))
    assert batches[1][0].params["marketTypes"] == "[Win/Draw/Win]"


def test_lists_that_are_all_empty_prove_nothing_absent(template: dict[str, Any]) -> None:
    """A market's name that the site does not know gives that, without an error."""
    answers, _ = crawl(ADAPTER, Sport.FOOTBALL, Site(template, {A: 0, B: 0}))
    discovery = read(answers)
    assert (discovery.completeness, discovery.listings) == (Completeness.PARTIAL, [])
    reason = "no list shows a match, though the tree shows leagues"
    assert discovery.reason.startswith(reason)
    assert {(t.completeness, t.missing_reason) for t in discovery.tournaments} == {(Completeness.PARTIAL, reason)}


def test_one_league_with_a_match_is_enough_to_believe_the_empty_ones(template: dict[str, Any]) -> None:
    answers, _ = crawl(ADAPTER, Sport.FOOTBALL, Site(template, {A: 0, B: 1}))
    discovery = read(answers)
    assert (discovery.completeness, len(discovery.tournaments)) == (Completeness.COMPLETE, 2)


def test_a_request_that_failed_once_is_asked_for_again(template: dict[str, Any]) -> None:
    site = Site(template, {A: 230, B: 3}, failing={("tree", ""): 1, (A, "100"): 1, (B, "0"): 1})
    answers, batches = crawl(ADAPTER, Sport.FOOTBALL, site)
    assert [len(batch) for batch in batches] == [1, 1, 2, 1, 2, 1]
    assert (read(answers).completeness, len(read(answers).listings)) == (Completeness.COMPLETE, 233)


def test_a_league_whose_list_fails_is_partial_and_the_others_complete(template: dict[str, Any]) -> None:
    answers, _ = crawl(ADAPTER, Sport.FOOTBALL, Site(template, {A: 230, B: 3}, failing={(A, "200"): 9}))
    discovery = read(answers)
    assert (discovery.completeness, len(discovery.listings)) == (Completeness.PARTIAL, 203)
    by_league = {t.external_id: (t.completeness, t.missing_reason) for t in discovery.tournaments}
    assert by_league[A] == (Completeness.PARTIAL, "the list from entry 200 on failed: transient: HTTP 500")
    assert by_league[B] == (Completeness.COMPLETE, "")


def test_without_the_tree_the_discovery_has_failed(template: dict[str, Any]) -> None:
    answers, batches = crawl(ADAPTER, Sport.FOOTBALL, Site(template, {A: 1}, failing={("tree", ""): 9}))
    assert len(batches) == 2
    assert read(answers).completeness is Completeness.FAILED


def test_a_block_ends_the_crawl_at_once(template: dict[str, Any]) -> None:
    site = Site(template, {A: 230, B: 3}, failing={(B, "0"): 9}, failure=(403, HTML, b"<html>no</html>"))
    _, batches = crawl(ADAPTER, Sport.FOOTBALL, site)
    assert [len(batch) for batch in batches] == [1, 2]


def test_electronic_leagues_inside_the_sport_are_simulated(template: dict[str, Any]) -> None:
    answers, _ = crawl(ADAPTER, Sport.FOOTBALL, Site(template, {"soccer::esoccer::gt-league": 2, B: 1}))
    assert sorted((x.kind, x.sr_id is None) for x in read(answers).listings) == [
        ("match", False),
        ("simulated", True),
        ("simulated", True),
    ]
