"""MSport's crawl against a server in memory that is made from a recorded event."""

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palimpsest_pipeline.domain.enums import Completeness, PayloadKind, Sport
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.platforms.msport import MsportAdapter

from ..more_support import configure, load_more
from ..support import AT, HTML, Reply, answer_to, crawl, judged, reply

CONFIG = configure("msport")
ADAPTER: Any = MsportAdapter(CONFIG)
FAILED: Reply = (500, {}, b"")


@dataclass
class Site:
    """So many events in each tournament, in pages of `page_size` that cut tournaments.

    `failing` pages fail so often. `end` is what follows the last event: "empty" (a page without tournaments), "same"
    (the last page again, its cursor unchanged), or "none" (a last page without a cursor).
    """

    template: dict[str, Any]
    sizes: dict[str, int]
    page_size: int = 100
    failing: dict[str, int] = field(default_factory=dict)
    failure: Reply = FAILED
    end: str = "empty"
    is_bare: bool = False

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
        events = self.events()
        ids = [event["eventId"] for _, event in events]
        start = ids.index(cursor) + 1 if cursor else 0
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


@pytest.fixture(scope="module")
def template(samples: Path) -> dict[str, Any]:
    event: dict[str, Any] = load_more(samples, "msport", "prematch.json")["data"]
    return event


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


def test_an_event_without_its_own_tournament_has_the_one_around_it(template: dict[str, Any]) -> None:
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


def test_a_page_that_stays_away_ends_the_walk_and_proves_nothing_absent(template: dict[str, Any]) -> None:
    site = Site(template, {A: 100, B: 100}, failing={"sr:match:70000099": 9})
    answers, batches = crawl(ADAPTER, Sport.FOOTBALL, site)
    assert len(batches) == 3
    discovery = read(answers)
    assert discovery.completeness is Completeness.PARTIAL
    assert "the page after sr:match:70000099: transient" in discovery.reason
    assert {t.completeness for t in discovery.tournaments} == {Completeness.PARTIAL}


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


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_subset_in_any_order_is_read_and_only_a_whole_walk_is_complete(
    template: dict[str, Any], data: st.DataObject
) -> None:
    whole, batches = crawl(ADAPTER, Sport.FOOTBALL, Site(template, {A: 7, B: 5}, page_size=5))
    failures = [judged(ADAPTER, answer_to(batch[0], FAILED, at=AT)) for batch in batches]
    some = data.draw(st.lists(st.sampled_from([*whole, *failures]), max_size=12))
    discovery = read(some)
    has_all = {answer.request.key for answer in some if answer.failure is None} == {a.request.key for a in whole}
    assert (discovery.completeness is Completeness.COMPLETE) == has_all
    ids = [listing.external_id for listing in discovery.listings]
    assert ids == sorted(set(ids))
