"""Betway's matches and books against recorded answers and against an independent reading of the same JSON."""

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from palimpsest_pipeline.domain.enums import FailureClass, ListingKind, PayloadKind, Sport
from palimpsest_pipeline.domain.observations import PayloadRejected
from palimpsest_pipeline.markets import normalise
from palimpsest_pipeline.pipeline.ingest.books import collect_raw_books
from palimpsest_pipeline.pipeline.installed_vocabulary import load_installed_vocabulary
from palimpsest_pipeline.platforms.betway.endpoints import MARKETS_SIZE

from ..pack_support import load_pack_sample
from ..support import HTML, answer, answer_to, columns, milli
from .support import ADAPTER, BETWAY, MATCH, detail_of, list_answers, serve, shortened, with_event

SPORTS = {"wc_nf.json": "soccer", "basketball.json": "basketball", "tennis.json": "tennis"}


def recorded(body: Any, **request: Any) -> Any:
    return answer(BETWAY, PayloadKind.DETAIL, body, **request)


def independent(body: dict[str, Any]) -> list[tuple[str, str, str, int | None, bool]]:
    """Every outcome, its id split by length into event, market, specifier and outcome."""
    event = str(body["sportEvent"]["eventId"])
    markets = {market["marketId"]: market for market in body["marketsInGroup"]}
    prices = {price["outcomeId"]: price["priceDecimal"] for price in body["prices"]}
    players = {38, 39, 40, *range(1404, 1416), 1575, 1596, 1597}
    rows = []
    for outcome in body["outcomes"]:
        line = outcome["originalMarketId"]
        market = markets.get(line, markets[outcome["marketId"]])
        number = market["subscriptionId"]
        specifier = "|".join(line[len(f"{event}{number}") :].rstrip("~").split("~"))
        own = outcome["outcomeId"][len(line) :]
        if number in players and own != "1716":
            own = f"sr:player:{own}"
        elif "variant=" in specifier:
            own = f"{specifier.partition('variant=')[2].partition('|')[0]}:{own}"
        is_off = not (
            outcome["isTradingActive"] and outcome["shouldDisplay"] and market["isActive"] and not market["isSuspended"]
        )
        rows.append((str(number), specifier, own, milli(prices[outcome["outcomeId"]]), is_off))
    return sorted(rows, key=lambda row: (row[:3], str(row[3])))


@pytest.mark.parametrize(("name", "sport"), SPORTS.items())
def test_every_price_of_a_book_is_read_as_the_json_says(samples: Path, name: str, sport: str) -> None:
    body = with_event(samples, name, sport)
    detail = detail_of(body)
    assert columns(detail) == independent(body)
    assert detail.rejects == []


@pytest.mark.parametrize(
    ("name", "n_mapped", "n_lines"), [("wc_nf.json", 222, 223), ("basketball.json", 55, 57), ("tennis.json", 18, 18)]
)
def test_nearly_all_lines_have_a_canonical_market(samples: Path, name: str, n_mapped: int, n_lines: int) -> None:
    detail = detail_of(with_event(samples, name, SPORTS[name]))
    coverage = normalise(collect_raw_books([detail]), load_installed_vocabulary()).coverage
    assert coverage["n_markets"].sum() == n_lines
    assert coverage.filter(error_class="")["n_markets"].sum() == n_mapped >= 0.95 * n_lines


def test_norway_against_france_is_read_exactly(samples: Path) -> None:
    listing = ADAPTER.read_listing(list_answers(with_event(samples, "wc_nf.json")))
    assert (listing.external_id, listing.sr_id, listing.genius_id) == (MATCH, 66457014, None)
    assert listing.kickoff_at.isoformat() == "2026-06-26T19:00:00+00:00"
    assert (listing.home_team, listing.away_team) == ("Norway", "France")
    assert listing.tournament_external_id == "soccer::international::fifa-world-cup"
    assert (listing.tournament_name, listing.country_raw) == ("FIFA World Cup", "International")
    assert (listing.kind, listing.sport, listing.is_in_play) == (ListingKind.MATCH, Sport.FOOTBALL, False)


def test_the_first_page_and_the_match_are_requested_together_and_further_pages_in_turn(samples: Path) -> None:
    body = with_event(samples, "wc_nf.json")
    first = ADAPTER.list_detail_requests(MATCH, 66457014, ())
    assert [(request.path.rpartition("/")[2], request.params.get("skip")) for request in first] == [
        ("MarketGroupNamesAndMarketsForEvent", "0"),
        ("EventAndGameState", None),
    ]
    assert all((request.external_id, request.sr_id) == (MATCH, 66457014) for request in first)
    assert [request.params["eventId"] for request in first] == [MATCH, MATCH], "the bare number"
    answers = list_answers(body)
    assert [answer.request.params.get("skip") for answer in answers] == ["0", None, "99", "198"]
    assert ADAPTER.list_detail_requests(MATCH, None, answers) == []


def test_a_page_that_is_just_full_is_not_the_last_one(samples: Path) -> None:
    """No field of a page says that it is the last one."""
    body = shortened(with_event(samples, "wc_nf.json"), range(MARKETS_SIZE))
    answers = list_answers(body)
    assert [answer.request.params.get("skip") for answer in answers] == ["0", None, "99"]
    assert len(ADAPTER.read_detail(answers).prices.market_id) > 80


@pytest.mark.parametrize(
    ("n_markets", "n_pages"), [(0, 1), (1, 1), (99, 1), (100, 2), (198, 2), (199, 3), (200, 3), (233, 3)]
)
def test_a_book_needs_about_one_page_for_a_hundred_markets(samples: Path, n_markets: int, n_pages: int) -> None:
    answers = list_answers(shortened(with_event(samples, "wc_nf.json"), range(n_markets)))
    assert len(answers) == n_pages + 1


def test_a_book_without_end_is_refused(samples: Path) -> None:
    body = with_event(samples, "wc_nf.json")
    request = ADAPTER.list_detail_requests(MATCH, None, ())[0]
    full = json.loads(serve(body, request).body or b"")
    answers = []
    with pytest.raises(PayloadRejected, match="no end after 20 pages"):
        while requests := ADAPTER.list_detail_requests(MATCH, None, answers):
            answers += [answer_to(request, (200, {}, json.dumps(full).encode())) for request in requests[:1]]


def test_a_recorded_answer_with_everything_is_a_whole_book(samples: Path) -> None:
    body = with_event(samples, "wc_nf.json")
    whole = recorded(body, external_id=MATCH)
    assert ADAPTER.list_detail_requests(MATCH, None, [whole]) == []
    assert columns(ADAPTER.read_detail([whole])) == columns(detail_of(body))


@pytest.mark.parametrize("left_out", ["0", "99", "198", None])
def test_a_missing_answer_is_never_a_smaller_book(samples: Path, left_out: str | None) -> None:
    answers = [a for a in list_answers(with_event(samples, "wc_nf.json")) if a.request.params.get("skip") != left_out]
    missing = ADAPTER.list_detail_requests(MATCH, None, answers)
    assert [request.params.get("skip") for request in missing] == [left_out]
    with pytest.raises(PayloadRejected, match="missing"):
        ADAPTER.read_detail(answers)


def test_a_market_that_moved_onto_the_next_page_is_there_once(samples: Path) -> None:
    body = with_event(samples, "wc_nf.json")
    answers = list_answers(body)
    moved = copy.deepcopy(body)
    moved["marketsInGroup"].insert(98, moved["marketsInGroup"][97])
    answers[2] = serve(moved, answers[2].request)
    answers[3] = serve(moved, answers[3].request)
    assert columns(ADAPTER.read_detail(answers)) == columns(detail_of(body))


@pytest.mark.parametrize(("place", "n_pages"), [(40, 1), (99, 1), (150, 2)])
def test_a_market_that_closes_between_two_pages_hides_none_of_the_others(
    samples: Path, place: int, n_pages: int
) -> None:
    """The others move up, one of them onto the page that was read already: the list is read anew later."""
    body = with_event(samples, "wc_nf.json")
    answers = list_answers(body)
    del body["marketsInGroup"][place]
    later = [serve(body, given.request) if n > n_pages else given for n, given in enumerate(answers)]
    for read in (ADAPTER.read_detail, lambda given: ADAPTER.list_detail_requests(MATCH, None, given)):
        with pytest.raises(PayloadRejected, match="the list has moved") as rejected:
            read(later)
        assert rejected.value.failure is FailureClass.TRANSIENT
    assert ADAPTER.read_listing(later).external_id == MATCH


def test_pages_that_were_recorded_without_an_overlap_are_a_whole_book(samples: Path) -> None:
    body = with_event(samples, "wc_nf.json")
    first, event = list_answers(body)[:2]
    answers = [first, event]
    for skip in ("100", "200"):
        assert ADAPTER.list_detail_requests(MATCH, None, answers) != []
        request = replace(first.request, params={**first.request.params, "skip": skip})
        answers.append(serve(body, request))
    assert ADAPTER.list_detail_requests(MATCH, None, answers) == []
    assert columns(ADAPTER.read_detail(answers)) == columns(detail_of(body))
    just_full = shortened(body, range(MARKETS_SIZE))
    answers = [serve(just_full, answer.request) for answer in answers[:3]]
    assert len(ADAPTER.read_detail(answers).prices.market_id) > 80


def test_the_line_of_an_outcome_is_its_own_and_not_that_of_its_header(samples: Path) -> None:
    body = with_event(samples, "wc_nf.json")
    header = next(market for market in body["marketsInGroup"] if market["isSquashedParent"])
    assert header["handicap"] == 0
    lines = {specifier for market, specifier, *_ in columns(detail_of(body)) if market == str(header["subscriptionId"])}
    assert lines == {
        name.rpartition(str(header["subscriptionId"]))[2].rstrip("~") for name in header["squashedMarketIds"]
    }
    assert "" not in lines


def test_no_name_decides_anything(samples: Path) -> None:
    """Names contain the teams' names, and "Over " ends with a blank."""
    body = with_event(samples, "wc_nf.json")
    assert {"Over ", "Under "} <= {outcome["name"] for outcome in body["outcomes"]}
    assert any("Norway" in market["name"] for market in body["marketsInGroup"])
    renamed = json.loads(json.dumps(body))
    for entry in (*renamed["marketsInGroup"], *renamed["outcomes"]):
        entry["name"] = "Norway "
    words = load_installed_vocabulary()
    before, after = (normalise(collect_raw_books([detail_of(each)]), words).prices for each in (body, renamed))
    assert after.equals(before)
    assert before.height > 1000


def test_ids_are_cut_by_their_length_and_not_by_a_pattern(samples: Path) -> None:
    """66457014548 + 1730 is market 548, outcome 1730, and neither market 54 nor 5481."""
    rows = {(market, outcome) for market, _, outcome, *_ in columns(detail_of(with_event(samples, "wc_nf.json")))}
    assert ("548", "1730") in rows


def test_the_two_repairs_make_the_ids_those_of_the_unified_feed(samples: Path) -> None:
    rows = columns(detail_of(with_event(samples, "wc_nf.json")))
    assert {outcome for market, _, outcome, *_ in rows if market == "21"} == {
        f"sr:exact_goals:6+:{number}" for number in range(68, 75)
    }
    assert {outcome for market, _, outcome, *_ in rows if market == "25"} == {
        f"sr:point_range:6+:{number}" for number in range(1121, 1125)
    }
    scorers = {outcome for market, _, outcome, *_ in rows if market == "40"}
    assert {"1716", "sr:player:796046"} <= scorers
    assert all(outcome == "1716" or outcome.startswith("sr:player:") for outcome in scorers)


def test_a_player_who_scores_with_overtime_has_a_market_of_its_own(samples: Path) -> None:
    body = shortened(with_event(samples, "wc_nf.json"), [0])
    line = f"{MATCH}882player=sr:player:1006665~"
    market = body["marketsInGroup"][0] | {"marketId": line, "subscriptionId": 882}
    outcome = body["outcomes"][0] | {"marketId": line, "originalMarketId": line}
    body["marketsInGroup"].append(market)
    body["outcomes"] += [outcome | {"outcomeId": line + number} for number in ("74", "76")]
    body["prices"] += [{"outcomeId": line + "74", "priceDecimal": 4.2}, {"outcomeId": line + "76", "priceDecimal": 1.2}]
    words = load_installed_vocabulary()
    prices = normalise(collect_raw_books([detail_of(body)]), words).prices.join(words.markets, on="market_id")
    rows = prices.filter(market_key="player_to_score_incl_et").select("specifier", "ordinal", "odds_milli").rows()
    assert rows == [("player=sr:player:1006665", 1, 4200), ("player=sr:player:1006665", 2, 1200)]
    assert "anytime_goalscorer" not in set(prices["market_key"])


@pytest.mark.parametrize(
    ("where", "change"),
    [
        ("market", {"isActive": False}),
        ("market", {"isSuspended": True}),
        ("market", {"shouldDisplay": False}),
        ("outcome", {"isTradingActive": False}),
        ("outcome", {"shouldDisplay": False}),
        ("event", {"isActive": False}),
    ],
)
def test_a_price_is_off_when_match_market_or_outcome_is_closed(
    samples: Path, where: str, change: dict[str, Any]
) -> None:
    body = shortened(with_event(samples, "wc_nf.json"), [0])
    assert [off for *_, off in columns(detail_of(body))] == [False] * 3
    {"market": body["marketsInGroup"][0], "outcome": body["outcomes"][0], "event": body["sportEvent"]}[where].update(
        change
    )
    assert sum(off for *_, off in columns(detail_of(body))) == (1 if where == "outcome" else 3)


def test_0_is_no_price_and_101_is_a_price(samples: Path) -> None:
    body = shortened(with_event(samples, "wc_nf.json"), [0])
    body["prices"][0]["priceDecimal"], body["prices"][1]["priceDecimal"] = 0, 101
    del body["prices"][2]
    assert sorted(str(odds) for *_, odds, _ in columns(detail_of(body))) == ["101000", "None", "None"]


def test_a_running_match_and_the_live_book_are_refused(samples: Path) -> None:
    body = with_event(samples, "wc_nf.json")
    live = load_pack_sample(samples, "betway", "live.json")
    assert ADAPTER.read_listing([recorded(live)]).is_in_play
    for change in ({"isLive": True}, {"isFinished": True}):
        with pytest.raises(PayloadRejected) as rejected:
            detail_of({**body, "sportEvent": body["sportEvent"] | change})
        assert rejected.value.reason.startswith("in play")
    body["marketsInGroup"][150]["additionalInfo"]["Producer"] = "1"
    answers = list_answers(body)
    assert ADAPTER.read_listing(answers).is_in_play
    with pytest.raises(PayloadRejected, match="in play"):
        ADAPTER.read_detail(answers)


def test_the_producer_of_the_match_is_not_read(samples: Path) -> None:
    body = with_event(samples, "wc_nf.json")
    assert body["sportEvent"]["sportSpecificProperties"]["Producer"] == "1"
    assert not ADAPTER.read_listing(list_answers(body)).is_in_play


@pytest.mark.parametrize(
    ("change", "kind", "sr_id"),
    [
        ({}, ListingKind.MATCH, 66457014),
        ({"regionId": "esoccer", "region": "eSoccer"}, ListingKind.SIMULATED, None),
        ({"league": "Premier League SRL"}, ListingKind.SIMULATED, None),
        ({"isOutright": True, "homeTeam": None, "awayTeam": None}, ListingKind.ANTEPOST, None),
    ],
)
def test_electronic_matches_and_outrights_of_the_sport_are_recognised(
    samples: Path, change: dict[str, Any], kind: ListingKind, sr_id: int | None
) -> None:
    body = with_event(samples, "wc_nf.json")
    listing = ADAPTER.read_listing([recorded({"sportEvent": body["sportEvent"] | change})])
    assert (listing.kind, listing.sr_id) == (kind, sr_id)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"expectedStartEpoch": None}, "$.sportEvent.expectedStartEpoch"),
        ({"expectedStartEpoch": 1782500400000}, "$.sportEvent.expectedStartEpoch"),
        ({"sportId": "cricket"}, "$.sportEvent.sportId"),
        ({"homeTeam": None}, "$.sportEvent.homeTeam"),
        ({"leagueId": ""}, "$.sportEvent.leagueId"),
        ({"eventId": None}, "$.sportEvent.eventId"),
        ({"eventId": 1}, "$.sportEvent.eventId"),
    ],
)
def test_a_match_without_its_identifying_fields_is_rejected(samples: Path, change: dict[str, Any], path: str) -> None:
    event = with_event(samples, "wc_nf.json")["sportEvent"] | change
    with pytest.raises(PayloadRejected) as rejected:
        ADAPTER.read_listing([recorded({"sportEvent": event}, external_id=MATCH)])
    assert rejected.value.path == path


def test_entries_that_do_not_fit_together_are_rejects_of_their_own(samples: Path) -> None:
    body = shortened(with_event(samples, "wc_nf.json"), [0, 4])
    body["outcomes"].append({"outcomeId": "9", "originalMarketId": "nobody's", "marketId": "nobody's"})
    body["outcomes"].append(body["outcomes"][0] | {"outcomeId": "stray"})
    body["outcomes"].append({"name": "no id"})
    body["marketsInGroup"].append(body["marketsInGroup"][0] | {"marketId": f"{MATCH}99", "subscriptionId": 18})
    detail = ADAPTER.read_detail([recorded(body, external_id=MATCH)])
    assert len(detail.prices) == 6
    assert sorted(reject.reason for reject in detail.rejects) == [
        "Object missing required field `outcomeId`",
        f"its id does not begin with {MATCH}1",
        f"its id does not begin with {MATCH}18",
        "its market is not in the answer",
    ]


@pytest.mark.parametrize(
    ("kind", "sent", "failure"),
    [
        (PayloadKind.TREE, (200, {}, b""), FailureClass.CONTRACT_BROKEN),
        (PayloadKind.DETAIL, (404, {}, b"{}"), FailureClass.NOT_FOUND),
        (PayloadKind.DETAIL, (400, {}, b'{"errorCode": 1}'), FailureClass.PERMANENT),
        (PayloadKind.DETAIL, (200, {}, b'{"errorCode": 6000331}'), FailureClass.PERMANENT),
        (PayloadKind.DETAIL, (200, {}, b'{"sportEvent": null}'), FailureClass.CONTRACT_BROKEN),
        (PayloadKind.DETAIL, (200, {}, b'{"marketsInGroup": {}}'), FailureClass.CONTRACT_BROKEN),
        (PayloadKind.LISTING, (200, {}, b'{"regions": []}'), FailureClass.CONTRACT_BROKEN),
        (PayloadKind.DETAIL, (200, HTML, b"<html>blocked</html>"), FailureClass.BLOCKED),
        (PayloadKind.DETAIL, (200, {}, b'{"marketsInGroup": []}'), None),
        (PayloadKind.LISTING, (200, {}, b'{"events": []}'), None),
    ],
)
def test_an_answer_is_judged_by_its_content(
    kind: PayloadKind, sent: tuple[int, dict[str, str], bytes], failure: FailureClass | None
) -> None:
    status, headers, body = sent
    verdict = ADAPTER.judge(answer(BETWAY, kind, body, status, headers))
    assert (verdict and verdict[0]) is failure
