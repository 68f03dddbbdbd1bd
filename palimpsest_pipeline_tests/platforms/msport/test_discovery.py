"""MSport's crawl against a server in memory that is made from a recorded event."""

import copy
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palimpsest_pipeline.domain.enums import Completeness, PayloadKind, Sport
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.platforms.msport import MsportAdapter
from palimpsest_pipeline_tests.fixtures.examples import count_examples

from ..pack_support import configure
from ..support import HTML, Reply, crawl, reply

CONFIG = configure("msport")
ADAPTER: Any = MsportAdapter(CONFIG)
FAILED: Reply = (500, {}, b"")


@dataclass
class Site:
    """A site with `sizes` events in each tournament. A page of `page_size` may end inside a tournament.

    `failing` has pages and how often each fails. `end` is what follows the last event: "empty" (a page without
    tournaments), "same" (the last page again, its cursor unchanged), or "none" (a last page without a cursor).
    `gone_after` has the numbers of events, by the number of requests after which they leave the list. An unknown cursor
    gives an empty page.
    """

    template: dict[str, Any]
    sizes: dict[str, int]
    page_size: int = 100
    failing: dict[str, int] = field(default_factory=dict)
    failure: Reply = FAILED
    end: str = "empty"
    is_bare: bool = False
    gone_after: dict[int, set[int]] = field(default_factory=dict)
    n_requests: int = 0

    def events(self) -> list[tuple[str, dict[str, Any]]]:
        events = []
        for n, (tournament, size) in enumerate(self.sizes.items()):
            for i in range(size):
                event = copy.deepcopy({name: value for name, value in self.template.items() if name != "markets"})
                event.update(eventId=f"sr:match:{70000000 + n * 1000 + i}", tournamentId=tournament)
                event.update(tournament=f"League {tournament}")
                if self.is_bare:
                    for name in ("sportId", "tournamentId", "tournament", "category", "categoryId"):
                        del event[name]
                events.append((tournament, event))
        return events

    def __call__(self, request: Request) -> Reply:
        assert request.kind is PayloadKind.LISTING
        assert (request.params["sportId"], request.params["limit"]) == ("sr:sport:1", "100")
        cursor = request.params.get("lastEventId", "")
        if self.failing.get(cursor, 0) > 0:
            self.failing[cursor] -= 1
            return self.failure
        gone = {
            f"sr:match:{70000000 + n}" for after, ns in self.gone_after.items() if after <= self.n_requests for n in ns
        }
        self.n_requests += 1
        events = [entry for entry in self.events() if entry[1]["eventId"] not in gone]
        ids = [event["eventId"] for _, event in events]
        start = 0 if not cursor else ids.index(cursor) + 1 if cursor in ids else len(ids)
        if start >= len(events) and self.end == "same":
            start = max(len(events) - self.page_size, 0)
        page = events[start : start + self.page_size]
        tournaments: dict[str, Any] = {}
        for tournament, event in page:
            node = {"tournamentId": tournament, "tournament": f"League {tournament}", "category": "China"}
            tournaments.setdefault(tournament, {**node, "events": []})["events"].append(event)
        is_last = start + self.page_size >= len(events)
        last = None if not page or (is_last and self.end == "none") else page[-1][1]["eventId"]
        data = {"tournaments": list(tournaments.values()), "lastEventId": last}
        return reply({"bizCode": 10000, "message": "0#0", "data": data})


A, B, C = "sr:tournament:17", "sr:tournament:18", "sr:tournament:24"


def read(answers: list[Answer], sport: Sport = Sport.FOOTBALL) -> Any:
    return ADAPTER.read_discovery(answers, sport)


@pytest.mark.parametrize(("end", "n_requests"), [("empty", 4), ("same", 4), ("none", 3)])
def test_the_cursor_is_followed_to_the_walks_own_end(template: dict[str, Any], end: str, n_requests: int) -> None:
    answers, batches = crawl(ADAPTER, Sport.FOOTBALL, Site(template, {A: 130, B: 90, C: 3}, end=end))
    assert [len(batch) for batch in batches] == [1] * n_requests
    discovery = read(answers)
    assert (discovery.completeness, discovery.reason, len(discovery.listings)) == (Completeness.COMPLETE, "", 223)
    assert {t.external_id: (t.n_declared, t.n_received, t.sr_tournament_id) for t in discovery.tournaments} == {
        A: (None, 130, 17),
        B: (None, 90, 18),
        C: (None, 3, 24),
    }


def test_an_event_without_its_own_tournament_has_the_enclosing_one(template: dict[str, Any]) -> None:
    answers, _ = crawl(ADAPTER, Sport.FOOTBALL, Site(template, {A: 2, B: 1}, is_bare=True))
    listings = read(answers).listings
    assert [(x.tournament_external_id, x.tournament_name, x.country_raw) for x in listings] == [
        (A, f"League {A}", "China"),
        (A, f"League {A}", "China"),
        (B, f"League {B}", "China"),
    ]


def test_a_page_that_failed_once_is_asked_for_again_at_once(template: dict[str, Any]) -> None:
    site = Site(template, {A: 250}, failing={"sr:match:70000099": 1})
    answers, batches = crawl(ADAPTER, Sport.FOOTBALL, site)
    assert [batch[0].params.get("lastEventId", "")[-3:] for batch in batches] == ["", "099", "099", "199", "249"]
    assert (read(answers).completeness, len(read(answers).listings)) == (Completeness.COMPLETE, 250)


def test_a_page_that_fails_twice_ends_the_walk_and_proves_nothing_absent(template: dict[str, Any]) -> None:
    site = Site(template, {A: 100, B: 100}, failing={"sr:match:70000099": 9})
    answers, batches = crawl(ADAPTER, Sport.FOOTBALL, site)
    assert len(batches) == 3
    discovery = read(answers)
    assert discovery.completeness is Completeness.PARTIAL
    assert "the page after sr:match:70000099: transient" in discovery.reason
    assert {t.completeness for t in discovery.tournaments} == {Completeness.PARTIAL}


def cursors(batches: list[list[Request]]) -> list[str]:
    return [batch[0].params.get("lastEventId", "")[-3:] for batch in batches]


def test_a_cursor_that_begins_before_the_next_page_does_not_end_the_walk(template: dict[str, Any]) -> None:
    site = Site(template, {A: 230}, gone_after={1: {3, 99}})
    answers, batches = crawl(ADAPTER, Sport.FOOTBALL, site)
    assert cursors(batches) == ["", "099", "", "101", "201", "229"]
    discovery = read(answers)
    assert (discovery.completeness, discovery.reason, len(discovery.listings)) == (Completeness.COMPLETE, "", 228)


def test_several_cursors_that_begin_one_after_the_other_are_stepped_over(template: dict[str, Any]) -> None:
    """The page before is empty itself when its own cursor has gone too: then the one before that is requested."""
    site = Site(template, {A: 330}, gone_after={2: {99, 199}, 5: {100}})
    answers, batches = crawl(ADAPTER, Sport.FOOTBALL, site)
    assert cursors(batches) == ["", "099", "199", "099", "", "100", "", "101", "202", "302", "329"]
    discovery = read(answers)
    assert (discovery.completeness, discovery.reason) == (Completeness.COMPLETE, "")
    assert len(discovery.listings) >= 327


def test_an_end_after_a_full_page_is_confirmed_by_that_page(template: dict[str, Any]) -> None:
    answers, batches = crawl(ADAPTER, Sport.FOOTBALL, Site(template, {A: 200}))
    assert cursors(batches) == ["", "099", "199", "099"]
    discovery = read(answers)
    assert (discovery.completeness, discovery.reason, len(discovery.listings)) == (Completeness.COMPLETE, "", 200)


@pytest.mark.parametrize("page_size", [50, 97])
def test_pages_of_another_size_than_requested_are_doubted_too(template: dict[str, Any], page_size: int) -> None:
    """A page may hold whole tournaments, and the site may limit it further."""
    site = Site(template, {A: 2 * page_size + 1}, page_size=page_size, gone_after={1: {page_size - 1}})
    answers, batches = crawl(ADAPTER, Sport.FOOTBALL, site)
    assert len(batches) == 6
    assert (read(answers).completeness, len(read(answers).listings)) == (Completeness.COMPLETE, 2 * page_size)


def test_without_the_page_before_once_more_an_empty_page_proves_no_end(template: dict[str, Any]) -> None:
    site = Site(template, {A: 230}, gone_after={1: {99}})
    answers, _ = crawl(ADAPTER, Sport.FOOTBALL, site)
    discovery = read(answers[:2])
    assert (discovery.completeness, len(discovery.listings)) == (Completeness.PARTIAL, 100)
    assert "the page after sr:match:70000099 shows nothing new" in discovery.reason
    assert {t.completeness for t in discovery.tournaments} == {Completeness.PARTIAL}


def test_a_page_before_that_cannot_be_had_again_leaves_the_walk_partial(template: dict[str, Any]) -> None:
    site = Site(template, {A: 230}, gone_after={1: {99}})

    def serve(request: Request) -> Reply:
        return FAILED if site.n_requests > 1 and "lastEventId" not in request.params else site(request)

    answers, batches = crawl(ADAPTER, Sport.FOOTBALL, serve)
    assert cursors(batches) == ["", "099", "", ""]
    assert (read(answers).completeness, len(read(answers).listings)) == (Completeness.PARTIAL, 100)


def test_a_repeated_page_that_is_empty_takes_nothing_away(template: dict[str, Any]) -> None:
    site = Site(template, {A: 330}, gone_after={2: {99, 199}})
    answers, batches = crawl(ADAPTER, Sport.FOOTBALL, site)
    assert cursors(batches)[:4] == ["", "099", "199", "099"]
    discovery = read(answers[:4])
    assert (discovery.completeness, len(discovery.listings)) == (Completeness.PARTIAL, 200)


def test_a_site_whose_cursors_all_go_is_left_after_some_steps_back(template: dict[str, Any]) -> None:
    gone = {2 * n + 1: {99 + n} for n in range(50)}
    answers, batches = crawl(ADAPTER, Sport.FOOTBALL, Site(template, {A: 330}, gone_after=gone))
    assert len(batches) < 30
    assert read(answers).completeness is Completeness.PARTIAL


@settings(max_examples=count_examples(60), deadline=None)
@given(data=st.data())
def test_whatever_begins_when_a_complete_walk_has_all_that_stayed(
    template: dict[str, Any], data: st.DataObject
) -> None:
    gone = data.draw(st.dictionaries(st.integers(1, 12), st.sets(st.integers(0, 29), max_size=4), max_size=6))
    size = data.draw(st.integers(1, 30))
    site = Site(template, {A: size}, page_size=data.draw(st.integers(1, 10)), gone_after=gone)
    answers, _ = crawl(ADAPTER, Sport.FOOTBALL, site)
    discovery = read(answers)
    stayed = set(range(size)) - {n for ns in gone.values() for n in ns}
    read_ids = {int(listing.external_id[-3:]) for listing in discovery.listings}
    if discovery.completeness is Completeness.COMPLETE:
        assert stayed <= read_ids
    assert read(list(reversed(answers))) == discovery


def test_without_any_page_the_discovery_has_failed(template: dict[str, Any]) -> None:
    answers, _ = crawl(ADAPTER, Sport.FOOTBALL, Site(template, {A: 5}, failing={"": 9}))
    discovery = read(answers)
    assert (discovery.completeness, discovery.reason) == (Completeness.FAILED, "the first page: transient: HTTP 500")
    assert read([]).completeness is Completeness.FAILED


def test_a_block_is_not_asked_again(template: dict[str, Any]) -> None:
    blocked: Reply = (403, HTML, b"<html>Access Denied</html>")
    _, batches = crawl(ADAPTER, Sport.FOOTBALL, Site(template, {A: 5}, failing={"": 9}, failure=blocked))
    assert len(batches) == 1


def test_a_list_without_any_event_is_no_proof_of_absence(template: dict[str, Any]) -> None:
    answers, batches = crawl(ADAPTER, Sport.FOOTBALL, Site(template, {}))
    assert len(batches) == 1
    assert read(answers).completeness is Completeness.PARTIAL


def test_a_walk_longer_than_the_limit_is_partial(template: dict[str, Any]) -> None:
    answers, batches = crawl(ADAPTER, Sport.FOOTBALL, Site(template, {A: 150}, page_size=1))
    assert len(batches) == CONFIG.max_lists
    assert read(answers).completeness is Completeness.PARTIAL


def test_an_unreadable_event_makes_its_tournament_partial(template: dict[str, Any]) -> None:
    answers, _ = crawl(ADAPTER, Sport.FOOTBALL, Site({**template, "startTime": "soon"}, {A: 1}))
    discovery = read(answers)
    assert discovery.completeness is Completeness.PARTIAL
    assert [reject.external_id for reject in discovery.rejects] == ["sr:match:70000000"]
