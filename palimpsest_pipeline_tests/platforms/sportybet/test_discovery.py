"""SportyBet's crawl against a server in memory that is made from captured events."""

import copy
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from palimpsest_pipeline.domain.enums import Completeness, PayloadKind, Sport
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.platforms.registry import build_adapter
from palimpsest_pipeline_tests.fixtures.platforms import SPORTYBET

from ..support import HTML, Reply, answer, answer_to, crawl, judge_answer, loaded, reply

ADAPTER = build_adapter(SPORTYBET)


@dataclass
class Site:
    """So many events per tournament; pages hold whole tournaments.

    `holes` are pages that are empty the first time they are asked for.
    """

    template: dict[str, Any]
    sizes: dict[str, int]
    declared: dict[str, int] = field(default_factory=dict)
    failing: dict[int, Reply] = field(default_factory=dict)
    holes: set[int] = field(default_factory=set)
    tree: Reply | None = None
    total: int | None = None
    sport_id: str = "sr:sport:1"

    def pages(self) -> list[list[dict[str, Any]]]:
        pages: list[list[dict[str, Any]]] = []
        room = 0
        for n, (tournament, size) in enumerate(self.sizes.items()):
            events = []
            for i in range(size):
                event = copy.deepcopy(self.template)
                event["eventId"] = f"sr:match:{70000000 + n * 1000 + i}"
                event["eventSource"] = {}
                event["sport"]["id"] = self.sport_id
                event["sport"]["category"]["tournament"] = {"id": tournament, "name": f"League {tournament}"}
                events.append(event)
            if size > room:
                pages.append([])
                room = 100
            pages[-1].append({"id": tournament, "name": f"League {tournament}", "events": events})
            room -= size
        return pages

    def __call__(self, request: Request) -> Reply:
        assert request.params["productId"] == "3"
        assert request.params["sportId"] == self.sport_id
        if request.kind is PayloadKind.TREE:
            return self.tree or reply({"bizCode": 10000, "message": "0#0", "data": self.tree_data()})
        assert (request.params["option"], request.params["pageSize"]) == ("2", "100")
        assert request.params["marketId"]
        page = int(request.params["pageNum"])
        if page in self.failing:
            return self.failing[page]
        pages = self.pages()
        total = sum(self.sizes.values()) if self.total is None else self.total
        data: dict[str, Any] = {"totalNum": total}
        if page <= len(pages) and page not in self.holes:
            data["tournaments"] = pages[page - 1]
        self.holes.discard(page)
        return reply({"bizCode": 10000, "message": "0#0", "data": data})

    def tree_data(self) -> dict[str, Any]:
        counts = self.sizes | self.declared
        tournaments = [{"id": t, "name": f"League {t}", "eventSize": n} for t, n in counts.items()]
        category = {
            "id": "sr:category:1",
            "name": "England",
            "eventSize": sum(counts.values()),
            "tournaments": tournaments,
        }
        node = {"id": self.sport_id, "name": "Sport", "eventSize": sum(counts.values()), "categories": [category]}
        popular = [{**node, "tournaments": tournaments, "categories": None}]
        return {"sportList": [{"id": "sr:sport:99"}, {"odd": True}, node], "popularEvents": popular}


A, B, C, SIMPLE = "sr:tournament:17", "sr:tournament:18", "sr:tournament:24", "sr:simple_tournament:191116"


def read(answers: list[Answer], sport: Sport = Sport.FOOTBALL) -> Any:
    return ADAPTER.read_discovery(answers, sport)


def test_short_pages_are_not_the_end(template: dict[str, Any]) -> None:
    site = Site(template, {A: 60, B: 60, C: 60, SIMPLE: 10})
    answers, batches = crawl(ADAPTER, Sport.FOOTBALL, site)
    assert [len(batch) for batch in batches] == [2, 2]
    discovery = read(answers)
    assert (discovery.completeness, discovery.reason, len(discovery.listings)) == (Completeness.COMPLETE, "", 190)
    assert {t.external_id: (t.n_declared, t.n_received, t.sr_tournament_id) for t in discovery.tournaments} == {
        A: (60, 60, 17),
        B: (60, 60, 18),
        C: (60, 60, 24),
        SIMPLE: (10, 10, None),
    }
    assert {t.country_raw for t in discovery.tournaments} == {"England"}


def test_popular_tournaments_count_once(template: dict[str, Any]) -> None:
    discovery = read(crawl(ADAPTER, Sport.FOOTBALL, Site(template, {A: 3}))[0])
    assert [(t.external_id, t.n_declared, t.n_received) for t in discovery.tournaments] == [(A, 3, 3)]


def test_more_pages_than_the_total_suggests_are_walked_to_the_end(template: dict[str, Any]) -> None:
    answers, _ = crawl(ADAPTER, Sport.FOOTBALL, Site(template, {f"sr:tournament:{n}": 55 for n in range(1, 9)}))
    discovery = read(answers)
    assert (discovery.completeness, len(discovery.listings)) == (Completeness.COMPLETE, 440)


def test_a_passing_hole_is_asked_for_again(template: dict[str, Any]) -> None:
    site = Site(template, {A: 90, B: 90, C: 90, SIMPLE: 90}, holes={2})
    answers, batches = crawl(ADAPTER, Sport.FOOTBALL, site)
    assert [request.params["pageNum"] for request in batches[-1]] == ["2"]
    assert (read(answers).completeness, len(read(answers).listings)) == (Completeness.COMPLETE, 360)


def pages_asked(batches: list[list[Request]]) -> list[list[str | None]]:
    return [[request.params.get("pageNum") for request in batch] for batch in batches]


def test_a_hole_in_place_of_the_last_page_is_asked_for_again(template: dict[str, Any]) -> None:
    answers, _ = crawl(ADAPTER, Sport.FOOTBALL, Site(template, {A: 90, B: 90}, holes={2}))
    assert (read(answers).completeness, len(read(answers).listings)) == (Completeness.COMPLETE, 180)


def test_all_pages_are_asked_for_once_more_when_none_was_empty_and_events_are_missing(template: dict[str, Any]) -> None:
    site = Site(template, {A: 90, B: 90}, total=200)
    answers, batches = crawl(ADAPTER, Sport.FOOTBALL, site)
    assert pages_asked(batches)[-1] == ["1", "2", "3"], "and the one where they ended"
    assert "180 of 200 listed events received" in read(answers).reason


def test_a_page_and_a_tree_that_failed_are_asked_for_once_more(template: dict[str, Any]) -> None:
    site = Site(template, {A: 90, B: 90, C: 90})
    first = {None: reply(b"", 503), "2": reply({"bizCode": 10000})}
    answers, batches = crawl(
        ADAPTER, Sport.FOOTBALL, lambda request: first.pop(request.params.get("pageNum"), None) or site(request)
    )
    assert pages_asked(batches)[-1] == [None, "2"]
    assert (read(answers).completeness, len(read(answers).listings)) == (Completeness.COMPLETE, 270)


@pytest.mark.parametrize("bad", [reply({"bizCode": 19000}), reply(b"", 202, {})])
def test_what_would_fail_in_the_same_way_and_a_platform_that_blocks_are_not_asked_again(
    template: dict[str, Any], bad: Reply
) -> None:
    site = Site(template, {A: 90, B: 90, C: 90}, failing={2: bad})
    answers, batches = crawl(ADAPTER, Sport.FOOTBALL, site)
    again = [page for batch in pages_asked(batches)[2:] for page in batch if page in {None, "1"}]
    assert again == []
    assert read(answers).completeness is Completeness.PARTIAL


def test_a_host_that_is_asked_no_more_ends_the_crawl(template: dict[str, Any]) -> None:
    site = Site(template, {A: 90, B: 90, C: 90})
    steps = ADAPTER.discover(Sport.FOOTBALL)
    first = next(steps)
    batch = steps.send([judge_answer(ADAPTER, answer_to(request, site(request))) for request in first])
    assert len(batch) == 2
    with pytest.raises(StopIteration):
        steps.send([judge_answer(ADAPTER, answer_to(batch[0], site(batch[0])))])
    unanswered = ADAPTER.discover(Sport.FOOTBALL)
    next(unanswered)
    with pytest.raises(StopIteration):
        unanswered.send([])


def test_a_tournament_gone_from_tree_and_lists_that_still_count_it_makes_the_platform_partial(
    template: dict[str, Any],
) -> None:
    site = Site(template, {A: 5, B: 6})
    tree = site.tree_data()
    del tree["sportList"][2]["categories"][0]["tournaments"][1]
    gone = Site(template, {A: 5}, tree=reply({"bizCode": 10000, "data": tree}))
    discovery = read(crawl(ADAPTER, Sport.FOOTBALL, gone)[0])
    assert discovery.completeness is Completeness.PARTIAL
    assert (
        discovery.reason == "the tree contradicts itself: it counts 11 events, and 5 in the tournaments that it shows"
    )
    gone.total = 11
    assert "5 of 11 listed events received" in read(crawl(ADAPTER, Sport.FOOTBALL, gone)[0]).reason


def test_fewer_events_than_counted_end_after_two_empty_pages_and_one_more_look_and_are_partial(
    template: dict[str, Any],
) -> None:
    site = Site(template, {A: 5, B: 4}, declared={B: 6}, total=11)
    answers, batches = crawl(ADAPTER, Sport.FOOTBALL, site)
    assert pages_asked(batches) == [[None, "1"], ["2"], ["3"], ["1", "2"]]
    discovery = read(answers)
    assert discovery.completeness is Completeness.PARTIAL
    assert "9 of 11 listed events received" in discovery.reason
    assert [(t.external_id, t.completeness, t.missing_reason) for t in discovery.tournaments] == [
        (A, "complete", ""),
        (B, "partial", "4 of 6 listings received"),
    ]


def test_a_complete_sweep_outranks_a_stale_count_of_the_tree(template: dict[str, Any]) -> None:
    discovery = read(crawl(ADAPTER, Sport.FOOTBALL, Site(template, {A: 5}, declared={A: 7}))[0])
    (tournament,) = discovery.tournaments
    assert (discovery.completeness, tournament.completeness, tournament.n_declared, tournament.n_received) == (
        "complete",
        "complete",
        7,
        5,
    )
    assert "7 is stale" in tournament.missing_reason


@pytest.mark.parametrize("shown", [0, 3])
def test_lists_that_show_much_less_than_the_tree_prove_no_absence(template: dict[str, Any], shown: int) -> None:
    discovery = read(
        crawl(ADAPTER, Sport.FOOTBALL, Site(template, {A: shown} if shown else {}, declared={A: shown, B: 7}))[0]
    )
    assert discovery.completeness is Completeness.PARTIAL
    assert f"the lists show {shown} events where the tree counts {shown + 7}" in discovery.reason
    assert {t.external_id: t.completeness for t in discovery.tournaments}[B] == "partial"


def test_a_failed_page_makes_short_tournaments_partial_and_names_the_page(template: dict[str, Any]) -> None:
    site = Site(template, {A: 90, B: 90, C: 90}, failing={2: reply({"bizCode": 19000, "message": "Invalid"})})
    discovery = read(crawl(ADAPTER, Sport.FOOTBALL, site)[0])
    assert discovery.completeness is Completeness.PARTIAL
    assert "page 2: permanent: bizCode 19000: Invalid" in discovery.reason
    assert {t.external_id: t.completeness for t in discovery.tournaments} == {
        A: "complete",
        B: "partial",
        C: "complete",
    }


def test_without_a_tree_the_platform_is_failed_but_its_listings_are_kept(template: dict[str, Any]) -> None:
    discovery = read(crawl(ADAPTER, Sport.FOOTBALL, Site(template, {A: 90, B: 90}, tree=reply(b"", 502)))[0])
    assert (discovery.completeness, len(discovery.listings)) == (Completeness.FAILED, 180)
    assert {t.completeness for t in discovery.tournaments} == {"partial"}


@pytest.mark.parametrize("block", [reply(b"", 202, {}), reply(b"<html>", 403, HTML)])
def test_a_challenge_ends_the_crawl_and_is_no_empty_list(template: dict[str, Any], block: Reply) -> None:
    answers, batches = crawl(ADAPTER, Sport.FOOTBALL, Site(template, {A: 300}, tree=block, failing={1: block}))
    assert len(batches) == 1
    assert read(answers).completeness is Completeness.FAILED
    assert "blocked" in read(answers).reason


def test_lists_without_a_total_are_walked_until_they_are_empty(template: dict[str, Any]) -> None:
    site = Site(template, {A: 90, B: 90, C: 90})

    def silent(request: Request) -> Reply:
        body = json.loads(site(request)[2])
        if isinstance(body["data"], dict):
            body["data"].pop("totalNum", None)
        return reply(body)

    discovery = read(crawl(ADAPTER, Sport.FOOTBALL, silent)[0])
    assert len(discovery.listings) == 270
    assert "no page says how many events there are" in discovery.reason


def test_an_empty_sport_is_complete(template: dict[str, Any]) -> None:
    discovery = read(crawl(ADAPTER, Sport.FOOTBALL, Site(template, {}))[0])
    assert (discovery.completeness, discovery.tournaments, discovery.listings) == (Completeness.COMPLETE, [], [])


def test_pages_of_the_highlights_view_are_no_sweep(template: dict[str, Any]) -> None:
    answers, _ = crawl(ADAPTER, Sport.FOOTBALL, Site(template, {A: 5}, declared={A: 9}))
    tree, page = answers
    highlights = Request(SPORTYBET, PayloadKind.LISTING, page.request.path, {**page.request.params, "option": "1"})
    discovery = read([tree, answer_to(highlights, (200, {}, page.body or b""))])
    assert (discovery.completeness, len(discovery.listings)) == (Completeness.PARTIAL, 5)
    assert "page 1 was not asked for" in discovery.reason


def test_the_known_tree_is_read_whole(samples: Path) -> None:
    body = loaded(samples, SPORTYBET, "tournament_tree_example.json")
    discovery = read([answer(SPORTYBET, PayloadKind.TREE, body)])
    assert {
        (t.external_id, t.name, t.country_raw, t.n_declared, t.sr_tournament_id) for t in discovery.tournaments
    } == {
        ("sr:tournament:841", "Ligue 1", "Algeria", 5, 841),
        ("sr:tournament:17", "Premier League", "England", 10, 17),
        ("sr:tournament:20", "Eliteserien", "Norway", 5, 20),
        ("sr:simple_tournament:191116", "K3/K4 Championship", "Republic of Korea", 1, None),
        ("sr:tournament:36225", "K-League 1 SRL", "Simulated Reality League", 5, 36225),
    }


def test_the_cap_on_pages_is_a_setting_and_a_discovery_that_reaches_it_is_partial(template: dict[str, Any]) -> None:
    answers, _ = crawl(
        build_adapter(SPORTYBET, max_lists=2),
        Sport.FOOTBALL,
        Site(template, {A: 90, B: 90, C: 90, "sr:tournament:99": 90, "sr:tournament:98": 90}),
    )
    assert len({answer.request.key for answer in answers if answer.request.kind is PayloadKind.LISTING}) == 2
    discovery = read(answers)
    assert discovery.completeness is Completeness.PARTIAL
    assert "listed events received" in discovery.reason
