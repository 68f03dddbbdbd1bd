"""Bet9ja's crawl against a server in memory that is made from captured events."""

import copy
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from palimpsest_pipeline.domain.enums import Completeness, PayloadKind, Sport
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.platforms.registry import build_adapter
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA

from ..support import HTML, Reply, answer, answer_to, crawl, judge_answer, loaded, reply

ADAPTER = build_adapter(BET9JA)


@dataclass
class Site:
    """So many events per competition; `declared` overrides the tree's counts, `failing` maps a competition to its
    reply.
    """

    template: dict[str, Any]
    sizes: dict[str, int]
    declared: dict[str, Any] = field(default_factory=dict)
    failing: dict[str, Reply] = field(default_factory=dict)
    tree: Reply | None = None
    sport_id: str = "1"
    as_object: bool = False

    def __call__(self, request: Request) -> Reply:
        assert request.params["DISP"] == "0"
        assert request.params["v_cache_version"] == "1.301.2.225"
        if request.kind is PayloadKind.TREE:
            return self.tree or reply({"R": "OK", "D": {"PAL": self.tree_sports()}})
        group = request.params["GROUPID"]
        assert request.tournament_external_id == group
        if group in self.failing:
            return self.failing[group]
        events = [
            {
                **copy.deepcopy(self.template),
                "ID": int(group) * 1000 + i,
                "GID": int(group),
                "GN": f"League {group}",
                "SID": int(self.sport_id),
            }
            for i in range(self.sizes.get(group, 0))
        ]
        listed: Any = {str(i): event for i, event in enumerate(events)} if self.as_object and events else events
        return reply({"R": "OK", "D": {"E": listed, "GID": 1}})

    def tree_sports(self) -> dict[str, Any]:
        counts = self.sizes | self.declared
        groups = {group: {"G_DESC": f"League {group}", "NUM": n} for group, n in counts.items()}
        other = {
            "S_DESC": "Soccer Antepost",
            "NUM": 1,
            "SG": {"9": {"SG_DESC": "England", "G": {"990021": {"G_DESC": "Winner", "NUM": 1}}}},
        }
        country = {"SG_DESC": "England", "SG_LANG": {"en": "England"}, "G": groups}
        return {
            self.sport_id: {"S_DESC": "Sport", "SG": {"11058": country, "5": {"SG_DESC": "Empty", "G": []}}},
            "990001": other,
        }


def read(answers: list[Answer], sport: Sport = Sport.FOOTBALL) -> Any:
    return ADAPTER.read_discovery(answers, sport)


@pytest.mark.parametrize("as_object", [False, True])
def test_all_competitions_with_events_are_asked_for_at_once(template: dict[str, Any], as_object: bool) -> None:
    site = Site(template, {"170880": 21, "170881": 24, "967783": 0}, as_object=as_object)
    answers, batches = crawl(ADAPTER, Sport.FOOTBALL, site)
    assert [[request.tournament_external_id for request in batch] for batch in batches] == [
        [None],
        ["170880", "170881"],
    ]
    discovery = read(answers)
    assert (discovery.completeness, discovery.reason, len(discovery.listings)) == (Completeness.COMPLETE, "", 45)
    assert [
        (t.external_id, t.name, t.country_raw, t.n_declared, t.n_received, t.completeness)
        for t in discovery.tournaments
    ] == [
        ("170880", "League 170880", "England", 21, 21, "complete"),
        ("170881", "League 170881", "England", 24, 24, "complete"),
        ("967783", "League 967783", "England", 0, 0, "complete"),
    ]


def test_pseudo_sports_are_never_walked(template: dict[str, Any]) -> None:
    _, batches = crawl(ADAPTER, Sport.FOOTBALL, Site(template, {"170880": 1}))
    assert [request.tournament_external_id for request in batches[1]] == ["170880"]


def test_a_competition_below_its_count_is_partial_in_numbers(template: dict[str, Any]) -> None:
    discovery = read(crawl(ADAPTER, Sport.FOOTBALL, Site(template, {"1": 2, "2": 2}, declared={"2": "3"}))[0])
    assert [(t.external_id, t.completeness, t.missing_reason) for t in discovery.tournaments] == [
        ("1", "complete", ""),
        ("2", "partial", "2 of 3 listings received"),
    ]
    assert discovery.completeness is Completeness.PARTIAL
    assert "1 of 2 tournaments incomplete: League 2 (2)" in discovery.reason


@pytest.mark.parametrize(
    "bad", [reply(b"<html>blocked</html>", 200, HTML), reply({"R": "E", "D": False}), reply(b"", 403, HTML)]
)
def test_a_competition_that_could_not_be_looked_at_is_failed_not_empty(template: dict[str, Any], bad: Reply) -> None:
    discovery = read(crawl(ADAPTER, Sport.FOOTBALL, Site(template, {"1": 2, "2": 2}, failing={"2": bad}))[0])
    failed = discovery.tournaments[1]
    assert (failed.completeness, failed.n_received, failed.n_declared) == ("failed", 0, 2)
    assert failed.missing_reason
    assert discovery.completeness is Completeness.PARTIAL


@pytest.mark.parametrize("count", [None, "many", "", {}])
def test_an_unreadable_count_is_asked_for_and_proves_nothing_when_empty(template: dict[str, Any], count: Any) -> None:
    discovery = read(
        crawl(ADAPTER, Sport.FOOTBALL, Site(template, {"1": 2, "2": 0}, declared={"1": count, "2": count}))[0]
    )
    assert [(t.n_declared, t.n_received, t.completeness) for t in discovery.tournaments] == [
        (None, 2, "complete"),
        (None, 0, "partial"),
    ]


def test_without_a_tree_nothing_is_asked_and_the_platform_is_failed(template: dict[str, Any]) -> None:
    for bad in (
        reply({"R": "E", "D": False}),
        reply(b"<html>", 200, HTML),
        reply({"R": "OK", "D": []}),
        reply({"R": "OK", "D": {"PAL": {"2": {}}}}),
    ):
        answers, _ = crawl(ADAPTER, Sport.FOOTBALL, Site(template, {"1": 2}, tree=bad))
        assert {one.request.kind for one in answers} == {PayloadKind.TREE}
        assert read(answers).completeness is Completeness.FAILED
        assert read(answers).reason.startswith("tree: ")


def in_turn(site: Site, **first: Reply) -> tuple[list[Answer], list[list[str | None]]]:
    """The crawl when competitions (or the `tree`) answer in this way the first time they are asked; and which were
    asked, batch by batch.
    """

    def server(request: Request) -> Reply:
        return first.pop(
            f"group{request.tournament_external_id}" if request.tournament_external_id else "tree", None
        ) or site(request)

    answers, batches = crawl(ADAPTER, Sport.FOOTBALL, server)
    return answers, [[request.tournament_external_id for request in batch] for batch in batches]


def test_competitions_that_failed_or_came_short_are_asked_for_once_more(template: dict[str, Any]) -> None:
    site = Site(template, {"1": 2, "2": 2, "3": 2, "4": 2})
    short = Site(template, {"2": 1})(crawl(ADAPTER, Sport.FOOTBALL, site)[1][1][1])
    answers, asked = in_turn(site, group1=reply(b"", 500), group2=short, group3=reply({"R": "OK", "D": {"E": []}}))
    assert asked == [[None], ["1", "2", "3", "4"], ["1", "2", "3"]]
    assert (read(answers).completeness, len(read(answers).listings)) == (Completeness.COMPLETE, 8)


def test_a_competition_that_stays_short_is_asked_for_twice_and_no_more(template: dict[str, Any]) -> None:
    site = Site(template, {"1": 2, "2": 2}, declared={"2": 3})
    answers, asked = in_turn(site)
    assert asked == [[None], ["1", "2"], ["2"]]
    assert read(answers).completeness is Completeness.PARTIAL


@pytest.mark.parametrize(
    "bad",
    [
        reply(b"", 404),
        reply({"R": "X", "D": 1}),
        reply({"R": "OK", "D": {"E": [{"ID": 5}]}}),
        reply({"R": "OK", "D": {"E": [{}, {}]}}),
    ],
)
def test_what_would_fail_in_the_same_way_is_not_asked_again(template: dict[str, Any], bad: Reply) -> None:
    answers, asked = in_turn(Site(template, {"1": 1, "2": 2}, failing={"1": bad}))
    assert asked == [[None], ["1", "2"]]
    assert read(answers).completeness is Completeness.PARTIAL


def test_a_platform_that_blocks_is_not_asked_again(template: dict[str, Any]) -> None:
    _, asked = in_turn(Site(template, {"1": 2, "2": 2}, failing={"1": reply(b"", 500), "2": reply(b"", 403)}))
    assert asked == [[None], ["1", "2"]]


def test_a_tree_that_failed_is_asked_for_again_before_the_competitions(template: dict[str, Any]) -> None:
    answers, asked = in_turn(Site(template, {"1": 2}), tree=reply(b"", 502))
    assert asked == [[None], [None], ["1"]]
    assert read(answers).completeness is Completeness.COMPLETE


def test_questions_that_were_never_asked_break_nothing(template: dict[str, Any]) -> None:
    steps = ADAPTER.discover(Sport.FOOTBALL)
    site = Site(template, {"1": 2, "2": 2})
    (tree,) = next(steps)
    batch = steps.send([judge_answer(ADAPTER, answer_to(tree, site(tree)))])
    with pytest.raises(StopIteration):
        steps.send([judge_answer(ADAPTER, answer_to(batch[1], site(batch[1])))])
    with pytest.raises(StopIteration):
        (others := ADAPTER.discover(Sport.FOOTBALL)).send(None)
        others.send([])


def counted(site: Site, total: int) -> Reply:
    sports = site.tree_sports()
    sports["1"]["NUM"] = total
    return reply({"R": "OK", "D": {"PAL": sports}})


def test_a_competition_gone_from_a_tree_that_still_counts_it_makes_the_platform_partial(
    template: dict[str, Any],
) -> None:
    site = Site(template, {"1": 2, "2": 3})
    site.tree = counted(site, 9)
    answers, asked = in_turn(site)
    discovery = read(answers)
    assert asked == [[None], [None], ["1", "2"]]
    assert [t.completeness for t in discovery.tournaments] == ["complete", "complete"]
    assert discovery.completeness is Completeness.PARTIAL
    assert discovery.reason == "the tree contradicts itself: it counts 9 events, and 5 in the tournaments that it shows"


def test_a_tree_that_agrees_with_itself_when_asked_again_is_believed(template: dict[str, Any]) -> None:
    whole = Site(template, {"1": 2, "2": 3})
    whole.tree = counted(whole, 5)
    answers, asked = in_turn(whole, tree=counted(Site(template, {"1": 2}), 5))
    assert asked == [[None], [None], ["1", "2"]]
    assert read(answers).completeness is Completeness.COMPLETE


def test_events_of_another_competition_do_not_count_for_the_one_asked(template: dict[str, Any]) -> None:
    site = Site(template, {"1": 2, "2": 2})
    moved = json.loads(
        site(next(r for r in crawl(ADAPTER, Sport.FOOTBALL, site)[1][1] if r.tournament_external_id == "2"))[2]
    )
    site.failing["1"] = reply(moved)
    discovery = read(crawl(ADAPTER, Sport.FOOTBALL, site)[0])
    assert [(t.external_id, t.n_received, t.completeness) for t in discovery.tournaments] == [
        ("1", 0, "partial"),
        ("2", 2, "complete"),
    ]


def test_an_unreadable_event_puts_its_competition_in_doubt(template: dict[str, Any]) -> None:
    odd = {
        "R": "OK",
        "D": {
            "E": [{**template, "GID": 1, "ID": 5}, {**template, "GID": 1, "ID": 6, "STARTDATE": "", "STARTDATEUTC": ""}]
        },
    }
    discovery = read(crawl(ADAPTER, Sport.FOOTBALL, Site(template, {"1": 1, "2": 1}, failing={"1": reply(odd)}))[0])
    assert [(t.external_id, t.completeness, t.missing_reason) for t in discovery.tournaments] == [
        ("1", "partial", "an entry could not be read"),
        ("2", "complete", ""),
    ]


def test_the_known_tree_is_read_whole(samples: Path) -> None:
    body = loaded(samples, BET9JA, "getsports_example.json")
    football = read([answer(BET9JA, PayloadKind.TREE, body)])
    assert {(t.external_id, t.name, t.country_raw, t.n_declared) for t in football.tournaments} == {
        ("170880", "Premier League", "England", 21),
        ("170881", "Championship", "England", 24),
        ("967783", "Ligue 1", "Tunisia", 6),
        ("1014717", "International Friendly Games", "International", 8),
    }
    assert [t.name for t in read([answer(BET9JA, PayloadKind.TREE, body)], Sport.BASKETBALL).tournaments] == ["BBL"]
    tennis = read([answer(BET9JA, PayloadKind.TREE, body)], Sport.TENNIS)
    assert (tennis.completeness, tennis.tournaments) == (Completeness.COMPLETE, [])


@pytest.mark.parametrize("node", [{"NUM": 861, "SG": []}, {"NUM": "861"}, {}, {"SG": {"1": {"NUM": 5, "G": []}}}])
def test_a_tree_that_shows_nothing_without_saying_nought_is_failed_not_empty(node: dict[str, Any]) -> None:
    discovery = read([answer(BET9JA, PayloadKind.TREE, {"R": "OK", "D": {"PAL": {"1": node}}})])
    assert discovery.completeness is Completeness.FAILED
    assert "shows no tournament" in discovery.reason


def test_a_country_with_events_and_without_competitions_makes_the_platform_partial(template: dict[str, Any]) -> None:
    site = Site(template, {"1": 2})
    sports = site.tree_sports()
    sports["1"]["SG"]["77"] = {"SG_DESC": "Kenya", "NUM": 4, "G": []}
    site.tree = reply({"R": "OK", "D": {"PAL": sports}})
    discovery = read(crawl(ADAPTER, Sport.FOOTBALL, site)[0])
    assert discovery.completeness is Completeness.PARTIAL
    assert [r.path for r in discovery.rejects] == ['$.D.PAL["1"].SG["77"].G']


def test_a_tree_that_invents_competitions_is_asked_up_to_the_cap_and_the_discovery_is_partial_and_says_so(
    template: dict[str, Any],
) -> None:
    site = Site(template, {"1": 2}, declared={str(number): 1 for number in range(2, 3002)})
    answers, batches = crawl(ADAPTER, Sport.FOOTBALL, site)
    assert len(answers) <= 1_300
    assert sum(map(len, batches)) == len(answers)
    found = read(answers)
    assert found.completeness is Completeness.PARTIAL
    assert "the tree has 3001 competitions with events, and 1200 were asked for" in found.reason
    assert [listing.tournament_external_id for listing in found.listings] == ["1", "1"]


def test_the_cap_on_competitions_is_a_setting(template: dict[str, Any]) -> None:
    site = Site(template, {"1": 2, "2": 2, "3": 2})
    answers, _ = crawl(build_adapter(BET9JA, max_lists=2), Sport.FOOTBALL, site)
    assert len(answers) == 3
    assert "the tree has 3 competitions with events, and 2 were asked for" in read(answers).reason
    assert (
        read(crawl(build_adapter(BET9JA, max_lists=3), Sport.FOOTBALL, site)[0]).completeness is Completeness.COMPLETE
    )
