"""SportPesa's crawl of leagues against a server in memory."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from palimpsest_pipeline.domain.enums import Completeness, PayloadKind, Sport
from palimpsest_pipeline.domain.exchange import Request

from ..pack_support import load_pack_sample
from ..support import HTML, Reply, answer, crawl, reply
from .support import ADAPTER, SPORTPESA, game_of


@dataclass
class Site:
    """A site with `sizes` games in each league.

    `failing` has the requests (league id, first number) that always fail. With `ignores_place`, every list begins with
    its first game, whatever number is requested.
    """

    template: dict[str, Any]
    sizes: dict[str, int]
    failing: set[tuple[str, str]] = field(default_factory=set)
    failure: Reply = (500, {}, b"")
    ignores_place: bool = False

    def __call__(self, request: Request) -> Reply:
        if request.kind is PayloadKind.TREE:
            leagues = [{"id": int(league), "name": f"League {league}"} for league in self.sizes]
            football = {"id": 1, "name": "Football", "countries": [{"id": 1, "name": "Kenya", "leagues": leagues}]}
            tennis = {"id": 5, "countries": [{"name": "Kenya", "leagues": [{"id": 99}]}]}
            return reply([{"id": "broken", "countries": 5}, tennis, football])
        league, first = request.params["leagueId"], request.params["pag_min"]
        if (league, first) in self.failing:
            return self.failure
        games = [
            self.template | {"id": 1000 * int(league) + n, "competition": {"id": int(league), "name": "x"}}
            for n in range(self.sizes[league])
        ]
        start = 0 if self.ignores_place else int(first) - 1
        return reply(games[start : start + int(request.params["pag_count"])])


def read(answers: Any) -> Any:
    return ADAPTER.read_discovery(answers, Sport.FOOTBALL)


def test_every_league_of_the_sport_is_listed_to_its_own_end(template: dict[str, Any]) -> None:
    answers, batches = crawl(ADAPTER, Sport.FOOTBALL, Site(template, {"7": 200, "8": 3, "9": 0}))
    assert [[request.params.get("pag_min") for request in batch] for batch in batches] == [
        [None],
        ["1", "1", "1"],
        ["101"],
        ["201"],
    ]
    discovery = read(answers)
    assert (discovery.completeness, len(discovery.listings)) == (Completeness.COMPLETE, 203)
    assert [(t.external_id, t.n_received, t.country_raw) for t in discovery.tournaments] == [
        ("7", 200, "Kenya"),
        ("8", 3, "Kenya"),
        ("9", 0, "Kenya"),
    ]


def test_a_league_whose_list_fails_is_partial(template: dict[str, Any]) -> None:
    answers, _ = crawl(ADAPTER, Sport.FOOTBALL, Site(template, {"7": 130, "8": 3}, failing={("7", "101")}))
    by_league = {t.external_id: t.completeness for t in read(answers).tournaments}
    assert by_league == {"7": Completeness.PARTIAL, "8": Completeness.COMPLETE}


def test_a_list_that_begins_anew_on_every_page_is_left_and_partial(template: dict[str, Any]) -> None:
    answers, batches = crawl(ADAPTER, Sport.FOOTBALL, Site(template, {"7": 130, "8": 3}, ignores_place=True))
    assert [[request.params.get("pag_min") for request in batch] for batch in batches] == [[None], ["1", "1"], ["101"]]
    discovery = read(answers)
    assert (discovery.completeness, len(discovery.listings)) == (Completeness.PARTIAL, 103)
    by_league = {t.external_id: (t.completeness, t.missing_reason) for t in discovery.tournaments}
    reason = "the list does not move on: from entry 101 on it shows nothing new"
    assert by_league == {"7": (Completeness.PARTIAL, reason), "8": (Completeness.COMPLETE, "")}
    assert read(list(reversed(answers))) == discovery


def test_lists_that_are_all_empty_prove_nothing_absent(template: dict[str, Any]) -> None:
    answers, batches = crawl(ADAPTER, Sport.FOOTBALL, Site(template, {"7": 0, "8": 0}))
    assert [len(batch) for batch in batches] == [1, 2]
    discovery = read(answers)
    assert (discovery.completeness, discovery.listings) == (Completeness.PARTIAL, [])
    assert discovery.reason.startswith("no list shows a match, though the tree shows leagues")
    assert {t.completeness for t in discovery.tournaments} == {Completeness.PARTIAL}


def test_an_expired_cookie_ends_the_crawl_at_once(template: dict[str, Any]) -> None:
    site = Site(template, {"7": 130, "8": 3}, failing={("8", "1")}, failure=(403, HTML, b"<html>denied</html>"))
    answers, batches = crawl(ADAPTER, Sport.FOOTBALL, site)
    assert [len(batch) for batch in batches] == [1, 2]
    assert "session_expired" in read(answers).reason


def test_a_recorded_list_is_read(samples: Path) -> None:
    games = load_pack_sample(samples, "sportpesa", "games_upcoming.json")
    given = answer(SPORTPESA, PayloadKind.LISTING, games, params={"sportId": "1", "leagueId": "1", "pag_min": "1"})
    listings = read([given]).listings
    assert {int(x.external_id): x.sr_id for x in listings} == {game["id"]: game["betradarId"] for game in games}
    assert all(x.is_in_play for x in listings), "these matches had begun when the test's answers came"


def test_the_live_interface_has_other_sport_numbers(samples: Path) -> None:
    live = {
        sport["name"]: sport["id"] for sport in load_pack_sample(samples, "sportpesa", "sports_live.json")["sports"]
    }
    assert live["Tennis"] == 4
    assert next(ADAPTER.discover(Sport.TENNIS))[0].path == "/api/navigation"
    game = game_of(samples, sport={"id": 4, "name": "Tennis"})
    given = answer(SPORTPESA, PayloadKind.LISTING, [game], params={"sportId": "5", "leagueId": "1", "pag_min": "1"})
    assert [reject.reason for reject in ADAPTER.read_discovery([given], Sport.TENNIS).rejects] == [
        "sport 4 is not covered"
    ]
