"""BetPawa's crawl against a server in memory that is made from captured events."""

import copy
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from palimpsest_pipeline.domain.enums import Completeness, FailureClass, ListingKind, PayloadKind, Sport
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.platforms.base import DelayedBatch
from palimpsest_pipeline.platforms.registry import build_adapter
from palimpsest_pipeline_tests.fixtures.platforms import BETPAWA

from ..support import HTML, Reply, answer, answer_to, crawl, ids, judge_answer, loaded, reply

ADAPTER = build_adapter(BETPAWA)


@dataclass
class Site:
    """So many events per competition, listed by page; `declared` overrides the tree's counts, `failing` maps a
    page's offset to its reply.
    """

    template: dict[str, Any]
    sizes: dict[str, int]
    declared: dict[str, int] = field(default_factory=dict)
    failing: dict[int, Reply] = field(default_factory=dict)
    tree: Reply | None = None
    sport_id: str = "2"

    def events(self) -> list[dict[str, Any]]:
        made = []
        for competition, size in self.sizes.items():
            for i in range(size):
                event = copy.deepcopy(self.template)
                event["id"] = f"{competition}{i:04d}"
                event["competition"] = {"id": competition, "name": f"League {competition}"}
                event["category"] = {"id": self.sport_id, "name": "Sport"}
                made.append(event)
        return made

    def __call__(self, request: Request) -> Reply:
        if request.kind is PayloadKind.TREE:
            assert request.path == f"/api/sportsbook/v4/categories/list/{self.sport_id}"
            return self.tree or reply(self.tree_body())
        (asked,) = json.loads(request.params["q"])["queries"]
        assert asked["query"] == {"eventType": "UPCOMING", "categories": [self.sport_id], "zones": {}}
        assert "view" not in asked
        assert asked["take"] == 100
        page = self.events()[asked["skip"] : asked["skip"] + asked["take"]]
        return self.failing.get(asked["skip"]) or reply({"responses": [{"responses": page} if page else {}]})

    def tree_body(self) -> dict[str, Any]:
        counts = {c: self.declared.get(c, size) for c, size in (self.sizes | self.declared).items()}
        competitions = [
            {"competition": {"id": c, "name": f"League {c}"}, "eventCounts": {"upcoming": str(n)} if n else {}}
            for c, n in counts.items()
        ]
        node = {
            "category": {"id": self.sport_id},
            "eventCounts": {"upcoming": str(sum(counts.values()))},
            "regions": [{"region": {"id": "288", "name": "England"}, "competitions": competitions}],
        }
        return {"onlyMeta": [{"category": {"id": "101"}}], "withRegions": [node]}


def read(answers: list[Answer], sport: Sport = Sport.FOOTBALL) -> Any:
    return ADAPTER.read_discovery(answers, sport)


def test_a_sweep_in_pages_is_complete(template: dict[str, Any]) -> None:
    answers, batches = crawl(ADAPTER, Sport.FOOTBALL, Site(template, {"1": 130, "2": 119, "3": 1}))
    assert [len(batch) for batch in batches] == [1, 3]
    discovery = read(answers)
    assert (discovery.completeness, discovery.reason, len(discovery.listings)) == (Completeness.COMPLETE, "", 250)
    assert [(t.external_id, t.n_declared, t.n_received, t.completeness) for t in discovery.tournaments] == [
        ("1", 130, 130, "complete"),
        ("2", 119, 119, "complete"),
        ("3", 1, 1, "complete"),
    ]
    assert discovery.tournaments[0].country_raw == "England"


def test_the_sweep_goes_on_after_a_full_last_page(template: dict[str, Any]) -> None:
    answers, batches = crawl(ADAPTER, Sport.FOOTBALL, Site(template, {"1": 200}))
    assert [len(batch) for batch in batches] == [1, 2, 1]
    assert read(answers).completeness is Completeness.COMPLETE


def test_a_tree_that_promises_too_little_does_not_end_the_sweep(template: dict[str, Any]) -> None:
    answers, _ = crawl(ADAPTER, Sport.FOOTBALL, Site(template, {"1": 150, "9": 200}, declared={"1": 20, "9": 0}))
    discovery = read(answers)
    assert (discovery.completeness, len(discovery.listings)) == (Completeness.COMPLETE, 350)
    assert [(t.n_declared, t.n_received) for t in discovery.tournaments] == [(20, 150), (0, 200)]


def test_a_competition_that_the_tree_does_not_know_is_listed_all_the_same(template: dict[str, Any]) -> None:
    site = Site(template, {"1": 3})
    answers, _ = crawl(ADAPTER, Sport.FOOTBALL, site)
    site.sizes = {"1": 3, "2": 2}
    late, _ = crawl(ADAPTER, Sport.FOOTBALL, site)
    discovery = read([answers[0], *late[1:]])
    unknown = discovery.tournaments[1]
    assert (unknown.n_declared, unknown.n_received, unknown.completeness, unknown.name) == (
        None,
        2,
        "complete",
        "League 2",
    )


def test_a_competition_below_its_count_is_partial_in_numbers(template: dict[str, Any]) -> None:
    answers, _ = crawl(ADAPTER, Sport.FOOTBALL, Site(template, {"1": 5, "2": 4}, declared={"2": 6, "3": 1}))
    discovery = read(answers)
    assert [(t.external_id, t.completeness, t.missing_reason) for t in discovery.tournaments] == [
        ("1", "complete", ""),
        ("2", "partial", "4 of 6 listings received"),
        ("3", "partial", "0 of 1 listings received"),
    ]
    assert discovery.completeness is Completeness.PARTIAL
    assert "2 of 3 tournaments incomplete: League 2 (2), League 3 (3)" in discovery.reason


def test_a_failed_page_makes_short_competitions_partial_and_names_the_page(template: dict[str, Any]) -> None:
    site = Site(template, {"1": 90, "2": 90, "3": 90}, failing={100: reply(b"", 503)})
    discovery = read(crawl(ADAPTER, Sport.FOOTBALL, site)[0])
    assert discovery.completeness is Completeness.PARTIAL
    assert discovery.reason.startswith("page from event 100: transient: HTTP 503")
    assert [(t.n_received, t.completeness) for t in discovery.tournaments] == [
        (90, "complete"),
        (10, "partial"),
        (70, "partial"),
    ]


def skips(batch: list[Request]) -> list[int | None]:
    return [
        json.loads(request.params["q"])["queries"][0]["skip"] if request.kind is PayloadKind.LISTING else None
        for request in batch
    ]


def at_first(site: Site, **first: Reply) -> tuple[list[Answer], list[list[Request]]]:
    """The crawl when pages (`p100`), or the `tree`, answer in this way the first time they are asked."""
    return crawl(
        ADAPTER,
        Sport.FOOTBALL,
        lambda request: first.pop("tree" if (at := skips([request])[0]) is None else f"p{at}", None) or site(request),
    )


EMPTY = reply({"responses": [{}]})


@pytest.mark.parametrize("first", [reply(b"", 503), EMPTY])
def test_a_page_that_failed_or_was_short_before_others_is_asked_for_again_when_the_cache_has_forgotten_it(
    template: dict[str, Any], first: Reply
) -> None:
    answers, batches = at_first(Site(template, {"1": 250}), p100=first)
    last = batches[-1]
    assert skips(last) == [100]
    assert isinstance(last, DelayedBatch)
    assert last.pause_s >= 5
    assert not any(isinstance(batch, DelayedBatch) for batch in batches[:-1])
    assert (read(answers).completeness, len(read(answers).listings)) == (Completeness.COMPLETE, 250)


def test_the_whole_sweep_is_done_again_when_events_are_missing_and_no_page_was_short(template: dict[str, Any]) -> None:
    site = Site(template, {"1": 130, "2": 40})
    shifted = Site(template, {"1": 100, "2": 39})
    answers, batches = at_first(site, p100=shifted(crawl(ADAPTER, Sport.FOOTBALL, site)[1][1][1]))
    assert skips(batches[-1]) == [0, 100]
    assert (read(answers).completeness, len(read(answers).listings)) == (Completeness.COMPLETE, 170)


def test_a_sweep_that_stays_short_is_done_twice_and_no_more(template: dict[str, Any]) -> None:
    _, batches = at_first(Site(template, {"1": 130}, declared={"1": 131}))
    assert [skips(batch) for batch in batches] == [[None], [0, 100], [0, 100]]


def test_unreadable_events_are_no_reason_to_look_again(template: dict[str, Any]) -> None:
    class Odd(Site):
        def events(self) -> list[dict[str, Any]]:
            return [
                {**event, "startTime": "tomorrow"} if event["id"] == "10000" else event for event in super().events()
            ]

    _, batches = at_first(Odd(template, {"1": 4}))
    assert [skips(batch) for batch in batches] == [[None], [0]]


def test_a_platform_that_blocks_is_not_asked_again(template: dict[str, Any]) -> None:
    site = Site(template, {"1": 250}, failing={0: reply(b"", 500), 100: reply(b"", 403)})
    _, batches = at_first(site)
    assert [skips(batch) for batch in batches] == [[None], [0, 100, 200]]


def test_a_host_that_is_asked_no_more_is_not_waited_for(template: dict[str, Any]) -> None:
    site = Site(template, {"1": 250}, failing={0: reply(b"", 500)})
    steps = ADAPTER.discover(Sport.FOOTBALL)
    tree = [judge_answer(ADAPTER, answer_to(request, site(request))) for request in next(steps)]
    pages = [judge_answer(ADAPTER, answer_to(request, site(request))) for request in steps.send(tree)]
    unasked = replace(
        pages[-1],
        attempt=0,
        status=None,
        body=None,
        failure=FailureClass.TRANSIENT,
        failure_detail="not asked: no answer for 10 s",
    )
    with pytest.raises(StopIteration):
        steps.send([*pages[:-1], unasked])


def test_a_tree_that_failed_is_asked_for_again_at_the_end(template: dict[str, Any]) -> None:
    answers, batches = at_first(Site(template, {"1": 120}), tree=reply(b"", 502))
    assert [skips(batch) for batch in batches] == [[None], [0], [100], [None]]
    assert read(answers).completeness is Completeness.COMPLETE


def test_a_host_that_is_asked_no_more_ends_the_crawl(template: dict[str, Any]) -> None:
    site = Site(template, {"1": 200})
    for answered in range(3):
        steps = ADAPTER.discover(Sport.FOOTBALL)
        batch = next(steps)
        answers: list[Answer] = []
        for _ in range(10):
            got = [judge_answer(ADAPTER, answer_to(request, site(request))) for request in batch][
                : max(answered - len(answers), 0)
            ]
            answers += got
            try:
                batch = steps.send(got)
            except StopIteration:
                break
        else:
            pytest.fail("the crawl does not end")
        assert read(answers).completeness is not Completeness.COMPLETE


def test_a_competition_gone_from_a_tree_that_still_counts_it_makes_the_platform_partial(
    template: dict[str, Any],
) -> None:
    site = Site(template, {"1": 3, "2": 4})
    tree = site.tree_body()
    del tree["withRegions"][0]["regions"][0]["competitions"][1]
    gone = Site(template, {"1": 3}, tree=reply(tree))
    answers, batches = at_first(gone)
    discovery = read(answers)
    assert [skips(batch) for batch in batches] == [[None], [0], [None]]
    assert (discovery.completeness, [t.completeness for t in discovery.tournaments]) == (
        Completeness.PARTIAL,
        ["complete"],
    )
    assert discovery.reason == "the tree contradicts itself: it counts 7 events, and 3 in the tournaments that it shows"


def test_a_failed_last_page_is_never_taken_for_the_end(template: dict[str, Any]) -> None:
    site = Site(template, {"1": 150}, declared={"1": 100}, failing={100: reply(b"<html>", 200, HTML)})
    discovery = read(crawl(ADAPTER, Sport.FOOTBALL, site)[0])
    assert discovery.completeness is Completeness.PARTIAL
    assert "blocked" in discovery.reason


def test_without_a_tree_the_platform_is_failed_but_its_listings_are_kept(template: dict[str, Any]) -> None:
    site = Site(template, {"1": 120}, tree=reply(b"", 500))
    discovery = read(crawl(ADAPTER, Sport.FOOTBALL, site)[0])
    assert (discovery.completeness, len(discovery.listings)) == (Completeness.FAILED, 120)
    assert [t.completeness for t in discovery.tournaments] == ["partial"]
    assert "transient: HTTP 500" in discovery.reason


def test_a_block_ends_the_crawl(template: dict[str, Any]) -> None:
    answers, batches = crawl(ADAPTER, Sport.FOOTBALL, Site(template, {"1": 120}, tree=reply(b"<html>", 403, HTML)))
    assert len(batches) == 1
    assert answers[0].failure is FailureClass.BLOCKED
    assert read(answers).completeness is Completeness.FAILED


def test_a_tree_without_the_sport_is_a_failed_tree(template: dict[str, Any]) -> None:
    site = Site(template, {"1": 1}, tree=reply({"withRegions": [{"category": {"id": "3"}}], "onlyMeta": []}))
    discovery = read(crawl(ADAPTER, Sport.FOOTBALL, site)[0])
    assert discovery.completeness is Completeness.FAILED
    assert "no node of sport 2" in discovery.reason


def test_an_unreadable_event_puts_its_competition_in_doubt(template: dict[str, Any]) -> None:
    class Odd(Site):
        def events(self) -> list[dict[str, Any]]:
            made = super().events()
            made[0]["startTime"] = "tomorrow"
            return made

    discovery = read(crawl(ADAPTER, Sport.FOOTBALL, Odd(template, {"1": 4, "2": 4}, declared={"1": 3}))[0])
    assert [(t.external_id, t.completeness, t.missing_reason) for t in discovery.tournaments] == [
        ("1", "partial", "an entry could not be read"),
        ("2", "complete", ""),
    ]
    assert [(r.external_id, r.path) for r in discovery.rejects] == [("10000", "$.responses[0].responses[0].startTime")]


def test_the_captured_tree_is_read_whole(samples: Path) -> None:
    body = loaded(samples, BETPAWA, "categories_football_v3_2025-09-27.json")
    declared = {
        c["competition"]["id"]: (
            c["competition"]["name"].strip(),
            region["region"]["name"],
            c["eventCounts"]["upcoming"],
        )
        for region in body["withRegions"][0]["regions"]
        for c in region["competitions"]
    }
    discovery = read([answer(BETPAWA, PayloadKind.TREE, body)])
    assert {t.external_id: (t.name, t.country_raw, t.n_declared) for t in discovery.tournaments} == declared
    assert len(declared) == 302
    assert sum(t.n_declared for t in discovery.tournaments) == body["withRegions"][0]["eventCounts"]["upcoming"] == 1805
    assert discovery.completeness is Completeness.PARTIAL


def test_a_captured_answer_to_many_queries_gives_the_sports_own_listings(samples: Path) -> None:
    body = loaded(samples, BETPAWA, "list_multiquery_6blocks_v3_2025-09-27.json")
    events = [e for block in body["responses"] for e in block["responses"]]
    football = {e["id"] for e in events if e["category"]["id"] in ("2", "101")}
    discovery = read([answer(BETPAWA, PayloadKind.LISTING, body)])
    assert set(ids(discovery.listings)) == football
    simulated = {e["id"] for e in events if e["category"]["id"] == "101"}
    assert {x.external_id for x in discovery.listings if x.kind is ListingKind.SIMULATED} == simulated
    live = {e["id"] for e in events if e["additionalInfo"]["live"]}
    for sport in Sport:
        listings = read([answer(BETPAWA, PayloadKind.LISTING, body)], sport).listings
        assert {x.external_id for x in listings if x.is_in_play} == {x.external_id for x in listings} & live
        assert all(x.sr_id for x in listings)


def test_the_cap_on_pages_is_a_setting_and_a_discovery_that_reaches_it_is_partial(template: dict[str, Any]) -> None:
    answers, _ = crawl(build_adapter(BETPAWA, max_lists=2), Sport.FOOTBALL, Site(template, {"1": 400}))
    assert len({answer.request.key for answer in answers if answer.request.kind is PayloadKind.LISTING}) == 2
    discovery = read(answers)
    assert discovery.completeness is Completeness.PARTIAL
    assert "the sweep stopped after a full page" in discovery.reason
