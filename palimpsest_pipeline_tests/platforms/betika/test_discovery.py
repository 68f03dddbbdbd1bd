"""Betika's crawl against recorded lists and a server in memory made from a recorded match."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from palimpsest_pipeline.domain.enums import Completeness, PayloadKind, Sport
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.platforms.betika import BetikaAdapter
from palimpsest_pipeline.platforms.betika.endpoints import build_page_request

from ..pack_support import configure, load_pack_sample
from ..support import HTML, Reply, answer_to, crawl, reply

CONFIG = configure("betika")
ADAPTER: Any = BetikaAdapter(CONFIG)
FAILED: Reply = (500, {}, b"")


@dataclass
class Site:
    """A site with `sizes` matches in each competition. `declared` replaces counts of the tree.

    After `gone_after` list requests the first match leaves the list, and all others move up. `failing` has pages (or
    `tree`) and how often each fails. `n_competitions` replaces the tree's number of competitions.
    """

    template: dict[str, Any]
    sizes: dict[str, int]
    declared: dict[str, int] = field(default_factory=dict)
    failing: dict[str, int] = field(default_factory=dict)
    failure: Reply = FAILED
    n_competitions: int | None = None
    gone_after: int | None = None
    n_lists: int = 0

    def matches(self) -> list[dict[str, Any]]:
        return [
            {**self.template, "parent_match_id": str(70000000 + n * 1000 + i), "competition_name": name}
            for n, (name, size) in enumerate(self.sizes.items())
            for i in range(size)
        ]

    def __call__(self, request: Request) -> Reply:
        page = request.params["page"] if request.kind is PayloadKind.LISTING else "tree"
        if self.failing.get(page, 0) > 0:
            self.failing[page] -= 1
            return self.failure
        if request.kind is PayloadKind.TREE:
            assert request.params == {"page": "1", "limit": "1000", "id": "14"}
            counts = self.sizes | self.declared
            competitions = [
                {"competition_id": str(n), "competition_name": name, "count": str(count)}
                for n, (name, count) in enumerate(counts.items())
            ]
            total = len(competitions) if self.n_competitions is None else self.n_competitions
            data = [{"category_id": "1", "category_name": "Poland", "competitions": competitions}] if counts else []
            return reply({"data": data, "meta": {"total": str(total)}})
        assert (request.params["sort_id"], request.params["period_id"], request.params["sport_id"]) == ("2", "9", "14")
        matches = self.matches()
        if self.gone_after is not None and self.n_lists >= self.gone_after:
            matches = matches[1:]
        self.n_lists += 1
        start, limit = (int(page) - 1) * int(request.params["limit"]), int(request.params["limit"])
        return reply({"data": matches[start : start + limit], "meta": {"total": str(len(matches))}})


def read(answers: list[Answer], sport: Sport = Sport.FOOTBALL) -> Any:
    return ADAPTER.read_discovery(answers, sport)


def recorded(samples: Path, name: str, request: Request) -> Answer:
    return answer_to(request, reply(load_pack_sample(samples, "betika", name)))


def test_recorded_pages_fit_the_recorded_tree(samples: Path) -> None:
    crawled = ADAPTER.discover(Sport.FOOTBALL)
    [tree_request] = next(crawled)
    pages = crawled.send([recorded(samples, "2026-08-09_sport_14_tree.json", tree_request)])
    assert [request.params["page"] for request in pages] == [str(page) for page in range(1, 11)]
    answers = [recorded(samples, "2026-08-09_sport_14_tree.json", tree_request)] + [
        recorded(samples, f"2026-08-09_matches_football_sort2_period9_p{n}.json", pages[n - 1]) for n in range(1, 9)
    ]
    discovery = read(answers)
    assert len(discovery.listings) == 80
    assert len(discovery.tournaments) == 176
    assert sum(tournament.n_declared for tournament in discovery.tournaments) == 918
    assert {x.tournament_external_id for x in discovery.listings} <= {t.external_id for t in discovery.tournaments}
    assert all(t.n_received <= t.n_declared for t in discovery.tournaments)
    assert [x.sr_id for x in discovery.listings] == [int(x.external_id) for x in discovery.listings]
    assert discovery.completeness is Completeness.PARTIAL


@pytest.mark.parametrize(("sport", "name"), [(Sport.BASKETBALL, "basketball"), (Sport.TENNIS, "tennis")])
def test_recorded_pages_of_other_sports_are_read(samples: Path, sport: Sport, name: str) -> None:
    request = build_page_request(sport, 1, CONFIG)
    listings = read([recorded(samples, f"2026-08-09_matches_{name}_p1.json", request)], sport).listings
    assert len(listings) == 10
    assert {listing.sport for listing in listings} == {sport}


def test_virtual_matches_are_never_listed_as_football(samples: Path) -> None:
    request = build_page_request(Sport.FOOTBALL, 1, CONFIG)
    discovery = read([recorded(samples, "2026-08-09_matches_zoom_soccer_p1.json", request)])
    assert discovery.listings == []
    assert {reject.reason for reject in discovery.rejects} == {"sport 139 is not covered"}


def test_the_trees_counts_prove_a_sweep_complete(template: dict[str, Any]) -> None:
    answers, batches = crawl(ADAPTER, Sport.FOOTBALL, Site(template, {"A": 150, "B": 60, "C": 1}))
    assert [len(batch) for batch in batches] == [1, 3]
    discovery = read(answers)
    assert (discovery.completeness, discovery.reason, len(discovery.listings)) == (Completeness.COMPLETE, "", 211)
    assert {t.external_id: (t.n_declared, t.n_received, t.name) for t in discovery.tournaments} == {
        "Poland/A": (150, 150, "A"),
        "Poland/B": (60, 60, "B"),
        "Poland/C": (1, 1, "C"),
    }


def test_a_full_last_page_is_followed(template: dict[str, Any]) -> None:
    answers, batches = crawl(ADAPTER, Sport.FOOTBALL, Site(template, {"A": 230}, declared={"A": 100}))
    assert [len(batch) for batch in batches] == [1, 1, 1, 1]
    assert (read(answers).completeness, len(read(answers).listings)) == (Completeness.COMPLETE, 230)


def test_a_match_that_begins_moves_another_to_a_page_already_read_and_the_sweep_is_repeated(
    template: dict[str, Any],
) -> None:
    site = Site(template, {"A": 1, "B": 150}, gone_after=1)
    answers, batches = crawl(ADAPTER, Sport.FOOTBALL, site)
    assert [len(batch) for batch in batches] == [1, 2, 3]
    discovery = read(answers)
    assert {t.external_id: t.completeness for t in discovery.tournaments}["Poland/B"] is Completeness.COMPLETE


def test_the_lists_own_total_proves_nothing(template: dict[str, Any]) -> None:
    site = Site(template, {"A": 40}, declared={"A": 41})
    answers, batches = crawl(ADAPTER, Sport.FOOTBALL, site)
    assert [len(batch) for batch in batches] == [1, 1, 2]
    discovery = read(answers)
    assert discovery.completeness is Completeness.PARTIAL
    assert [t.missing_reason for t in discovery.tournaments] == ["40 of 41 listings received"]


def test_failed_requests_are_asked_once_more(template: dict[str, Any]) -> None:
    answers, batches = crawl(ADAPTER, Sport.FOOTBALL, Site(template, {"A": 150}, failing={"2": 1}))
    assert [len(batch) for batch in batches] == [1, 2, 1]
    assert read(answers).completeness is Completeness.COMPLETE


def test_a_page_that_fails_twice_is_named(template: dict[str, Any]) -> None:
    answers, _ = crawl(ADAPTER, Sport.FOOTBALL, Site(template, {"A": 150}, failing={"2": 9}))
    discovery = read(answers)
    assert discovery.completeness is Completeness.PARTIAL
    assert "page 2: transient: HTTP 500" in discovery.reason


def test_without_a_tree_the_discovery_has_failed_though_there_are_listings(template: dict[str, Any]) -> None:
    answers, _ = crawl(ADAPTER, Sport.FOOTBALL, Site(template, {"A": 5}, failing={"tree": 9}))
    discovery = read(answers)
    assert (discovery.completeness, len(discovery.listings)) == (Completeness.FAILED, 5)
    assert {t.completeness for t in discovery.tournaments} == {Completeness.PARTIAL}


def test_a_block_is_not_asked_again(template: dict[str, Any]) -> None:
    blocked: Reply = (403, HTML, b"<html>Access Denied</html>")
    _, batches = crawl(ADAPTER, Sport.FOOTBALL, Site(template, {"A": 5}, failing={"tree": 9}, failure=blocked))
    assert len(batches) == 1


def test_a_tree_with_fewer_competitions_than_it_counts_is_partial(template: dict[str, Any]) -> None:
    answers, _ = crawl(ADAPTER, Sport.FOOTBALL, Site(template, {"A": 5}, n_competitions=2))
    discovery = read(answers)
    assert discovery.completeness is Completeness.PARTIAL
    assert [reject.reason for reject in discovery.rejects] == ["the tree counts 2 competitions and shows 1"]


def test_a_sport_that_counts_no_competition_offers_nothing(template: dict[str, Any]) -> None:
    answers, _ = crawl(ADAPTER, Sport.FOOTBALL, Site(template, {}))
    assert read(answers).completeness is Completeness.COMPLETE
    answers, _ = crawl(ADAPTER, Sport.FOOTBALL, Site(template, {}, n_competitions=7))
    assert read(answers).completeness is Completeness.FAILED


def test_two_competitions_of_one_name_are_one_tournament_with_both_counts(template: dict[str, Any]) -> None:
    answers, _ = crawl(ADAPTER, Sport.FOOTBALL, Site(template, {"A": 5}))
    body = json.loads(answers[0].body or b"")
    body["data"].append(body["data"][0])
    body["meta"]["total"] = "2"
    answers[0] = answer_to(answers[0].request, reply(body))
    [tournament] = read(answers).tournaments
    assert (tournament.n_declared, tournament.completeness) == (10, Completeness.PARTIAL)
