"""SportPesa's games and books against recorded answers and against an independent reading of the same JSON."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from palimpsest_pipeline.domain.enums import FailureClass, ListingKind, PayloadKind, Sport
from palimpsest_pipeline.domain.observations import PayloadRejected
from palimpsest_pipeline.markets import normalise
from palimpsest_pipeline.pipeline.ingest.books import collect_raw_books
from palimpsest_pipeline.pipeline.installed_vocabulary import load_installed_vocabulary

from ..pack_support import load_pack_sample
from ..support import HTML, answer, answer_to, columns, milli
from .support import ADAPTER, GAME, SEEN_AT, SPORTPESA, book_of, detail_of, game_of, list_answers

BOOKS = {
    "markets.json": (Sport.FOOTBALL, 1, 59, 59),
    "basketball_markets.json": (Sport.BASKETBALL, 2, 25, 26),
    "tennis.json": (Sport.TENNIS, 5, 22, 22),
}


def with_book(samples: Path, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A recorded book and a game of its sport with its id."""
    book = book_of(samples, name)
    (game_id,) = book
    return game_of(samples, id=int(game_id), sport={"id": BOOKS[name][1], "name": "x"}), book


def independent(markets: list[dict[str, Any]]) -> list[tuple[str, str, str, int | None, bool]]:
    rows = [
        (str(m["id"]), str(m["specValue"]), s["shortName"], milli(s["odds"]), False)
        for m in markets
        for s in m["selections"]
    ]
    return sorted(rows, key=lambda row: (row[:3], str(row[3])))


@pytest.mark.parametrize("name", BOOKS)
def test_every_price_of_a_book_is_read_as_the_json_says(samples: Path, name: str) -> None:
    game, book = with_book(samples, name)
    detail = detail_of(game, book)
    assert columns(detail) == independent(book[str(game["id"])])
    assert (detail.rejects, detail.listing.sport) == ([], BOOKS[name][0])


@pytest.mark.parametrize("name", BOOKS)
def test_nearly_all_lines_have_a_canonical_market(samples: Path, name: str) -> None:
    _, _, n_mapped, n_lines = BOOKS[name]
    coverage = normalise(
        collect_raw_books([detail_of(*with_book(samples, name))]), load_installed_vocabulary()
    ).coverage
    assert coverage["n_markets"].sum() == n_lines
    assert coverage.filter(error_class="")["n_markets"].sum() == n_mapped >= 0.95 * n_lines


def canonical(samples: Path, name: str) -> dict[tuple[str, str, str], int | None]:
    """Odds by canonical market, specifier and outcome."""
    words = load_installed_vocabulary()
    prices = normalise(collect_raw_books([detail_of(*with_book(samples, name))]), words).prices
    named = prices.join(words.markets, on="market_id").join(words.outcomes, on=["market_id", "ordinal"])
    rows = named.select("market_key", "specifier", "outcome_key", "odds_milli").rows()
    return {(market, specifier, outcome): odds for market, specifier, outcome, odds in rows}


def test_one_market_id_is_another_bet_in_each_sport(samples: Path) -> None:
    football, basketball, tennis = (canonical(samples, name) for name in BOOKS)
    assert football["home_total_goals", "total=2.5", "over"]
    assert basketball["basketball_home_total_points", "total=97.5", "over"]
    assert tennis["tennis_home_total_games", "total=11.5", "over"]


def test_numbers_that_the_unified_feed_has_too_keep_their_own_meaning(samples: Path) -> None:
    """10 is double chance there and the result here; 45, 46, 47 and 52 differ as well."""
    prices = canonical(samples, "markets.json")
    assert prices["match_result", "", "home"] == 1040
    assert {outcome for market, _, outcome in prices if market == "odd_even_goals"} == {"odd", "even"}
    assert {outcome for market, _, outcome in prices if market == "double_chance"} == {
        "home_or_draw",
        "draw_or_away",
        "home_or_away",
    }


def test_lines_are_from_the_view_of_the_home_side(samples: Path) -> None:
    prices = canonical(samples, "markets.json")
    assert ("european_handicap_3way", "hcp=-1", "home") in prices
    assert ("asian_handicap", "hcp=-2.75", "away") in prices
    assert ("total_goals", "total=2", "over") in prices, "whole and quarter lines occur"
    assert ("exact_goals", "top=6", "6_plus") in prices
    assert ("goal_range", "top=6", "4_5") in prices


def test_a_handicap_of_nought_is_a_line_and_an_unexpected_line_no_known_market(samples: Path) -> None:
    game = game_of(samples)
    book = {GAME: [market for market in book_of(samples)[GAME] if market["id"] in (10, 51)][:2]}
    book[GAME][1]["specValue"] = 0
    words = load_installed_vocabulary()
    prices = normalise(collect_raw_books([detail_of(game, book)]), words).prices.join(words.markets, on="market_id")
    assert ("asian_handicap", "hcp=0") in prices.select("market_key", "specifier").rows()
    book[GAME][0]["specValue"] = 1
    unmapped = normalise(collect_raw_books([detail_of(game, book)]), words).unmapped
    assert unmapped.select("external_market_id", "specifier").rows() == [("10", "1")]


def test_a_recorded_game_is_read_exactly(samples: Path) -> None:
    listing = ADAPTER.read_listing(list_answers(game_of(samples), book_of(samples)))
    assert (listing.external_id, listing.sr_id, listing.genius_id) == (GAME, 71348330, None)
    assert listing.kickoff_at.isoformat() == "2026-05-12T10:30:00+00:00"
    assert (listing.home_team, listing.away_team) == ("Gevt Coast Krafsst W", "Gevt Coast United W")
    assert (listing.tournament_external_id, listing.tournament_name) == ("97675", "Queensland Npl, Women")
    assert (listing.country_raw, listing.n_markets_declared) == ("Australia", 21)


@pytest.mark.parametrize("radar_id", [0, None, "0", -5])
def test_no_sportradar_id_joins_nothing(samples: Path, radar_id: Any) -> None:
    assert ADAPTER.read_listing(list_answers(game_of(samples, betradarId=radar_id), book_of(samples))).sr_id is None


def test_game_and_book_are_requested_at_once(samples: Path) -> None:
    first = ADAPTER.list_detail_requests(GAME, 71348330, ())
    assert [(request.path, dict(request.params)) for request in first] == [
        ("/api/upcoming/games", {"gameId": GAME, "sportId": "1", "section": "markets", "pag_count": "1"}),
        ("/api/games/markets", {"games": GAME, "markets": "all"}),
    ]
    assert all((request.external_id, request.sr_id) == (GAME, 71348330) for request in first)
    assert ADAPTER.list_detail_requests(GAME, None, list_answers(game_of(samples), book_of(samples))) == []


def test_a_game_of_another_sport_is_looked_for_in_one_sport_after_the_other(samples: Path) -> None:
    answers = list_answers(*with_book(samples, "tennis.json"))
    assert [answer.request.params.get("sportId") for answer in answers] == ["1", None, "2", "5"]
    assert ADAPTER.read_detail(answers).listing.sport is Sport.TENNIS


def test_a_game_that_no_sport_has_is_not_found(samples: Path) -> None:
    assert load_pack_sample(samples, "sportpesa", "basketball.json") == []
    for sport_id, failure in (("1", None), ("2", None), ("5", FailureClass.NOT_FOUND)):
        verdict = ADAPTER.judge(answer(SPORTPESA, PayloadKind.DETAIL, [], params={"gameId": GAME, "sportId": sport_id}))
        assert (verdict and verdict[0]) is failure


@pytest.mark.parametrize("left_out", [0, 1])
def test_a_missing_answer_is_never_a_smaller_book(samples: Path, left_out: int) -> None:
    answers = list_answers(game_of(samples), book_of(samples))
    (missing,) = ADAPTER.list_detail_requests(GAME, None, answers[:left_out] + answers[left_out + 1 :])
    assert missing.key == answers[left_out].request.key
    with pytest.raises(PayloadRejected, match="is missing"):
        ADAPTER.read_detail(answers[:left_out] + answers[left_out + 1 :])


def test_a_book_of_other_games_is_no_book(samples: Path) -> None:
    answers = list_answers(game_of(samples), {"1": []})
    with pytest.raises(PayloadRejected, match=f"no markets of {GAME}"):
        ADAPTER.read_detail(answers)


def test_a_recorded_game_with_its_whole_book_needs_no_other_answer(samples: Path) -> None:
    game = load_pack_sample(samples, "sportpesa", "odds-kenya_game_8534383.json")
    whole = answer(SPORTPESA, PayloadKind.DETAIL, game, external_id="8534383")
    early = answer_to(whole.request, (200, {}, whole.body), at=SEEN_AT - timedelta(days=90))
    assert ADAPTER.list_detail_requests("8534383", None, [early]) == []
    assert columns(ADAPTER.read_detail([early])) == independent(game[0]["markets"])


@pytest.mark.parametrize("market", [{}, {"specValue": 0}])
def test_the_one_market_that_a_game_shows_is_not_its_book(samples: Path, market: dict[str, Any]) -> None:
    game = game_of(samples)
    game["markets"][0] |= market
    (missing,) = ADAPTER.list_detail_requests(GAME, None, [answer(SPORTPESA, PayloadKind.DETAIL, [game])])
    assert missing.path == "/api/games/markets"


def test_only_the_clock_tells_that_a_match_has_begun(samples: Path) -> None:
    live = load_pack_sample(samples, "sportpesa", "live.json")[0]
    assert live["state"] == {}
    kickoff = SEEN_AT + timedelta(minutes=90)
    game, book = game_of(samples), book_of(samples)
    assert not ADAPTER.read_listing(list_answers(game, book, kickoff - timedelta(seconds=2))).is_in_play
    for at in (kickoff, kickoff - timedelta(seconds=1), kickoff + timedelta(hours=1)):
        answers = list_answers(game, book, at)
        assert ADAPTER.read_listing(answers).is_in_play, "the last answer decides"
        with pytest.raises(PayloadRejected) as rejected:
            ADAPTER.read_detail(answers)
        assert rejected.value.reason.startswith("in play")


def test_the_kickoff_is_utc_whatever_the_sites_zone(samples: Path) -> None:
    game = game_of(samples)
    assert game["date"] == "2026-05-12T10:30:00.000Z"
    assert ADAPTER.read_listing(list_answers(game, book_of(samples))).kickoff_at.hour == 10
    assert ADAPTER.build_headers()["x-app-timezone"] == "Africa/Nairobi"


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"competition": {"id": 9, "name": "eSoccer Battle"}}, ListingKind.SIMULATED),
        ({"country": {"name": "Electronic Leagues"}}, ListingKind.SIMULATED),
        ({"competitors": [{"name": "Champion"}]}, ListingKind.ANTEPOST),
    ],
)
def test_entries_that_are_not_matches_are_recognised(samples: Path, change: dict[str, Any], kind: ListingKind) -> None:
    listing = ADAPTER.read_listing(list_answers(game_of(samples, **change), book_of(samples)))
    assert (listing.kind, listing.sr_id) == (kind, None)


def test_unreadable_markets_and_selections_are_rejects_of_their_own(samples: Path) -> None:
    book = {GAME: book_of(samples)[GAME][:2]}
    book[GAME] += [{"id": "x"}, {"id": 1, "specValue": 0, "selections": [{"odds": "2.00"}]}]
    detail = detail_of(game_of(samples), book)
    assert (len(detail.prices), len(detail.rejects)) == (5, 2)


@pytest.mark.parametrize(
    "sent",
    [
        (403, HTML, b"<html><title>Access Denied</title></html>"),
        (200, HTML, b"<html>challenge</html>"),
        (202, {}, b""),
        (403, {}, b'{"denied": true}'),
    ],
)
def test_a_refusal_of_the_edge_is_a_session_that_has_expired(sent: tuple[int, dict[str, str], bytes]) -> None:
    status, headers, body = sent
    verdict = ADAPTER.judge(answer(SPORTPESA, PayloadKind.DETAIL, body, status, headers))
    assert verdict is not None
    assert verdict[0] is FailureClass.SESSION_EXPIRED
    assert "cookie" in verdict[1]


@pytest.mark.parametrize(
    ("kind", "sent", "failure"),
    [
        (PayloadKind.TREE, (200, {}, b'{"a": 1}'), FailureClass.CONTRACT_BROKEN),
        (PayloadKind.LISTING, (200, {}, b"[]"), None),
        (PayloadKind.LISTING, (200, {}, b"[1, 2]"), FailureClass.CONTRACT_BROKEN),
        (PayloadKind.DETAIL, (200, {}, b"{}"), FailureClass.NOT_FOUND),
        (PayloadKind.DETAIL, (200, {}, b'{"1": {}}'), FailureClass.CONTRACT_BROKEN),
        (PayloadKind.DETAIL, (200, {}, b'{"error": []}'), FailureClass.CONTRACT_BROKEN),
        (PayloadKind.DETAIL, (206, {}, b'{"1": []}'), None),
        (PayloadKind.DETAIL, (404, {}, b""), FailureClass.NOT_FOUND),
        (PayloadKind.DETAIL, (429, {}, b""), FailureClass.RATE_LIMITED),
        (PayloadKind.DETAIL, (503, HTML, b"<html>busy</html>"), FailureClass.TRANSIENT),
    ],
)
def test_an_answer_is_judged_by_its_content(
    kind: PayloadKind, sent: tuple[int, dict[str, str], bytes], failure: FailureClass | None
) -> None:
    status, headers, body = sent
    verdict = ADAPTER.judge(answer(SPORTPESA, kind, body, status, headers))
    assert (verdict and verdict[0]) is failure
