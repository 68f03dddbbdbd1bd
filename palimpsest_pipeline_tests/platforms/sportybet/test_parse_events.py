"""SportyBet's events against captured answers and against an independent reading of the same JSON."""

import copy
from pathlib import Path
from typing import Any

import pytest

from palimpsest_pipeline.domain.enums import FailureClass, ListingKind, PayloadKind, Sport
from palimpsest_pipeline.domain.observations import PayloadRejected
from palimpsest_pipeline.platforms.registry import build_adapter
from palimpsest_pipeline.platforms.sportybet.parse_events import parse_sr_tournament_id, read_match_ids
from palimpsest_pipeline_tests.fixtures.platforms import SPORTYBET

from ..support import answer, answer_to, columns, ids, loaded, milli, reply

ADAPTER = build_adapter(SPORTYBET)
NORWAY_FRANCE = "event_prematch_football_norway_france_974_markets.json"
CHINA = "event_prematch_football_360_markets.json"
TENNIS = "event_prematch_tennis.json"
PRODUCT_1 = "event_product1_before_kickoff_all_suspended.json"
IN_PLAY = "event_inplay_product1_no_markets.json"
LISTS = {
    "list_pcUpcomingEvents_football.json": 5,
    "list_pcEvents_epl_1x2_ou_ah.json": 2,
    "list_genius_and_srl_example.json": 2,
}


def detail_of(body: Any, **request: Any) -> Any:
    return ADAPTER.read_detail([answer(SPORTYBET, PayloadKind.DETAIL, body, **request)])


def listing_of(body: Any, **request: Any) -> Any:
    return ADAPTER.read_listing([answer(SPORTYBET, PayloadKind.DETAIL, body, **request)])


def listed(body: Any) -> Any:
    return ADAPTER.read_discovery([answer(SPORTYBET, PayloadKind.LISTING, body)], Sport.FOOTBALL)


def independent(body: dict[str, Any]) -> list[tuple[str, str, str, int | None, bool]]:
    rows = [
        (
            m["id"],
            m.get("specifier", ""),
            o["id"],
            milli(o["odds"]),
            m["status"] != 0 or m["banned"] or o["isActive"] != 1,
        )
        for m in body["data"]["markets"]
        for o in m["outcomes"]
    ]
    return sorted(rows, key=lambda row: (row[:3], str(row[3])))


@pytest.mark.parametrize(
    ("name", "n_markets", "n_prices"), [(NORWAY_FRANCE, 974, 4873), (CHINA, 360, 1382), (TENNIS, 46, 116)]
)
def test_every_price_of_a_detail_is_read_as_the_json_says(
    samples: Path, name: str, n_markets: int, n_prices: int
) -> None:
    body = loaded(samples, SPORTYBET, name)
    detail = detail_of(body)
    assert columns(detail) == independent(body)
    assert len(detail.prices) == n_prices
    assert len({(market, line) for market, line, *_ in columns(detail)}) == len(body["data"]["markets"]) == n_markets
    assert detail.rejects == []


def test_norway_against_france_is_read_exactly(samples: Path) -> None:
    listing = listing_of(loaded(samples, SPORTYBET, NORWAY_FRANCE))
    assert (listing.external_id, listing.sr_id, listing.genius_id) == ("sr:match:66457014", 66457014, None)
    assert listing.kickoff_at.isoformat() == "2026-06-26T19:00:00+00:00"
    assert (listing.home_team, listing.away_team) == ("Norway", "France")
    assert (listing.tournament_external_id, listing.sr_tournament_id) == ("sr:tournament:16", 16)
    assert (listing.tournament_name, listing.country_raw) == ("World Cup", "International")
    assert (listing.kind, listing.is_in_play, listing.n_markets_declared) == (ListingKind.MATCH, False, None)


def test_tennis_is_tennis(samples: Path) -> None:
    listing = listing_of(loaded(samples, SPORTYBET, TENNIS))
    assert (listing.sport, listing.sr_id, listing.country_raw, listing.home_team) == (
        Sport.TENNIS,
        71529092,
        "ATP",
        "Rodsenlruzt, Avtsup",
    )


def test_a_match_in_play_is_recognised_and_its_prices_refused(samples: Path) -> None:
    for name in (IN_PLAY, PRODUCT_1):
        body = loaded(samples, SPORTYBET, name)
        assert listing_of(body).is_in_play
        with pytest.raises(PayloadRejected, match="in play"):
            detail_of(body)


def test_an_answer_of_the_live_product_is_in_play_even_without_markets(samples: Path) -> None:
    body = loaded(samples, SPORTYBET, CHINA)
    body["data"]["markets"] = []
    assert not listing_of(body).is_in_play
    assert listing_of(body, params={"productId": "1"}).is_in_play


@pytest.mark.parametrize("status", [1, 2, 3, 4, 5, 6, 8, "1"])
def test_any_status_but_not_started_is_out_of_scope(samples: Path, status: Any) -> None:
    body = loaded(samples, SPORTYBET, CHINA)
    body["data"]["status"] = status
    assert listing_of(body).is_in_play


def source(pre: tuple[str, str] | None, live: tuple[str, str] | None = None) -> dict[str, Any]:
    named = {"preMatchSource": pre, "liveSource": live}
    return {phase: {"sourceType": given[0], "sourceId": given[1]} for phase, given in named.items() if given}


@pytest.mark.parametrize(
    ("event_id", "event_source", "sr_id", "genius_id"),
    [
        ("sr:match:68995116", None, 68995116, None),
        ("sr:match:68995116", source(("BET_RADAR", "68995116"), ("BET_RADAR", "68995116")), 68995116, None),
        ("sr:match:111111114210144", None, None, 14210144),
        (
            "sr:match:111111114343675",
            source(("BET_GENIUS", "111111114343675"), ("BET_GENIUS", "111111114343675")),
            None,
            14343675,
        ),
        ("sr:match:111111171127902", source(("BET_RADAR", "111111171127902")), 71127902, None),
        (
            "sr:match:111111114343675",
            source(("BET_GENIUS", "111111114343675"), ("BET_RADAR", "111111114343675")),
            None,
            14343675,
        ),
        (
            "sr:match:111111114343675",
            source(("BET_GENIUS", "111111114343675"), ("BET_RADAR", "71000001")),
            71000001,
            14343675,
        ),
        ("sr:match:68995116", source(("BET_RADAR", "68995117")), 68995117, None),
        ("sr:match:68995116", source(None, ("BET_RADAR", "68995118")), 68995118, None),
        ("sr:match:68995116", source(("BET_GENIUS", "111111114343675")), 68995116, 14343675),
        ("sr:match:68995116", source(("LSPORTS", "12")), 68995116, None),
        ("sr:match:BAaDswk7me6i4doEmJKRIxg", None, None, None),
        ("sr:match:1111111", None, 1111111, None),
        ("sr:match:11111112", {"preMatchSource": "odd"}, 11111112, None),
        ("sr:season:12345678", None, None, None),
        ("sr:match:", [], None, None),
    ],
)
def test_ids_of_both_providers_are_told_apart(
    event_id: str, event_source: Any, sr_id: int | None, genius_id: int | None
) -> None:
    assert read_match_ids(event_id, event_source) == (sr_id, genius_id)


def test_a_simple_tournament_has_no_sportradar_number() -> None:
    assert [
        parse_sr_tournament_id(t) for t in ("sr:tournament:17", "sr:simple_tournament:191116", "sr:season:5", "17")
    ] == [17, None, None, None]


@pytest.mark.parametrize(("name", "n"), LISTS.items())
def test_every_event_of_a_list_becomes_a_listing(samples: Path, name: str, n: int) -> None:
    body = loaded(samples, SPORTYBET, name)
    wrappers = body["data"] if isinstance(body["data"], list) else body["data"]["tournaments"]
    events = {e["eventId"]: e for wrapper in wrappers for e in wrapper["events"]}
    discovery = listed(body)
    assert ids(discovery.listings) == sorted(events)
    assert len(events) == n
    assert not discovery.rejects
    for listing in discovery.listings:
        event = events[listing.external_id]
        assert listing.n_markets_declared == event["totalMarketSize"]
        assert round(listing.kickoff_at.timestamp() * 1000) == event["estimateStartTime"]
        assert listing.tournament_external_id == event["sport"]["category"]["tournament"]["id"]


def test_genius_and_simulated_events_are_listings_of_their_own_kind(samples: Path) -> None:
    genius, simulated = listed(loaded(samples, SPORTYBET, "list_genius_and_srl_example.json")).listings
    assert (genius.sr_id, genius.genius_id, genius.kind, genius.sr_tournament_id) == (
        None,
        14343675,
        ListingKind.MATCH,
        None,
    )
    assert (simulated.kind, simulated.country_raw) == (ListingKind.SIMULATED, "Simulated Reality League")


def test_simulation_is_told_by_names_when_the_category_does_not(samples: Path) -> None:
    body = loaded(samples, SPORTYBET, CHINA)
    data = body["data"]
    data["homeTeamName"], data["awayTeamName"] = "Arsenal SRL", "Chelsea Srl"
    assert listing_of(body).kind is ListingKind.SIMULATED
    data["awayTeamName"] = "Chelsea"
    assert listing_of(body).kind is ListingKind.MATCH


def test_an_event_that_is_no_match_is_antepost(samples: Path) -> None:
    body = loaded(samples, SPORTYBET, CHINA)
    body["data"]["eventId"] = "sr:season:105353"
    del body["data"]["homeTeamName"], body["data"]["awayTeamName"], body["data"]["eventSource"]
    assert (listing_of(body).kind, listing_of(body).sr_id) == (ListingKind.ANTEPOST, None)


def test_the_events_own_tournament_outranks_the_wrapper(samples: Path) -> None:
    body = loaded(samples, SPORTYBET, "list_pcEvents_epl_1x2_ou_ah.json")
    body["data"][0].update(id="sr:tournament:999", name="Elsewhere", categoryName="Nowhere")
    assert {(x.tournament_external_id, x.country_raw) for x in listed(body).listings} == {
        ("sr:tournament:17", "England")
    }


@pytest.mark.parametrize(
    ("where", "field", "value"),
    [
        ("event", "banned", True),
        ("event", "productStatus", "1#0"),
        ("market", "status", 1),
        ("market", "status", 2),
        ("market", "banned", True),
        ("outcome", "isActive", 0),
        ("outcome", "isActive", None),
    ],
)
def test_a_price_is_off_when_any_level_is_closed(samples: Path, where: str, field: str, value: Any) -> None:
    body = loaded(samples, SPORTYBET, CHINA)
    market = next(m for m in body["data"]["markets"] if m["id"] == "1")
    body["data"]["markets"] = [market]
    assert [off for *_, off in columns(detail_of(body))] == [False] * 3
    {"event": body["data"], "market": market, "outcome": market["outcomes"][0]}[where][field] = value
    assert [off for *_, off in columns(detail_of(body))] == ([True, False, False] if where == "outcome" else [True] * 3)


def test_optional_fields_may_be_absent_null_or_odd_and_unknown_ones_are_ignored(samples: Path) -> None:
    body = loaded(samples, SPORTYBET, CHINA)
    known, prices = listing_of(body), columns(detail_of(body))
    bare = copy.deepcopy(body)
    bare["data"] = {
        k: body["data"][k] for k in ("eventId", "estimateStartTime", "sport", "homeTeamName", "awayTeamName", "markets")
    }
    bare["data"]["novelty"] = [{}]
    for market in bare["data"]["markets"]:
        for absent in ("group", "groupId", "marketGuide", "title", "name", "farNearOdds", "sourceType", "favourite"):
            market.pop(absent, None)
        market.setdefault("specifier", None)
    assert listing_of(bare) == known
    assert columns(detail_of(bare)) == prices
    for odd, value in (
        ("eventSource", "x"),
        ("productStatus", 0),
        ("totalMarketSize", "many"),
        ("setScore", None),
        ("playedSeconds", ""),
    ):
        bare["data"][odd] = value
    assert listing_of(bare) == known


def test_every_market_is_a_market_row_in_the_answers_order_though_it_has_no_outcomes(samples: Path) -> None:
    body = loaded(samples, SPORTYBET, CHINA)
    markets = body["data"]["markets"]
    markets[1]["outcomes"], markets[2]["outcomes"] = [], None
    prices = detail_of(body).prices
    assert prices.market_id == [market["id"] for market in markets]
    assert prices.n_outcomes == [len(market["outcomes"] or []) for market in markets]
    assert len(prices) == sum(prices.n_outcomes) == len(prices.odds_milli) == len(prices.off)


def test_market_names_fall_back_on_the_description(samples: Path) -> None:
    body = loaded(samples, SPORTYBET, NORWAY_FRANCE)
    unnamed = next(m for m in body["data"]["markets"] if "name" not in m)
    body["data"]["markets"] = [unnamed]
    assert set(detail_of(body).prices.market_name) == {unnamed["desc"]}


def test_one_bad_market_or_outcome_is_rejected_by_path_and_the_rest_is_read(samples: Path) -> None:
    body = loaded(samples, SPORTYBET, CHINA)
    markets = body["data"]["markets"]
    lost = len(markets[3]["outcomes"]) + 1
    markets[3] = "gone"
    del markets[5]["outcomes"][1]["id"]
    detail = detail_of(body)
    assert len(detail.prices) == 1382 - lost
    assert [r.path for r in detail.rejects] == ["$.data.markets[3]", "$.data.markets[5].outcomes[1].id"]


def test_one_bad_event_of_a_list_is_rejected_by_path_and_the_rest_is_read(samples: Path) -> None:
    body = loaded(samples, SPORTYBET, "list_pcUpcomingEvents_football.json")
    events = body["data"]["tournaments"][0]["events"]
    events[2]["estimateStartTime"] = "tomorrow"
    discovery = listed(body)
    assert len(discovery.listings) == 4
    assert [(r.external_id, r.path) for r in discovery.rejects] == [
        (events[2]["eventId"], "$.data.tournaments[0].events[2].estimateStartTime")
    ]


def test_an_answer_about_another_event_is_refused(samples: Path) -> None:
    body = loaded(samples, SPORTYBET, CHINA)
    assert listing_of(body, external_id="68995116").sr_id == 68995116
    with pytest.raises(PayloadRejected, match="asked was sr:match:1"):
        listing_of(body, external_id="sr:match:1")


EXPECTED = {
    "business error: missing or malformed parameter": FailureClass.PERMANENT,
    "unknown or retired route inside the API gateway": FailureClass.CONTRACT_BROKEN,
    "anti-bot challenge, empty body, status is 2xx": FailureClass.BLOCKED,
    "blocked": FailureClass.BLOCKED,
    "success envelope without data (seen with todayGames=true around local midnight)": FailureClass.TRANSIENT,
    "country code the platform does not serve": FailureClass.TRANSIENT,
}


def test_every_known_error_body_is_judged(samples: Path) -> None:
    cases = loaded(samples, SPORTYBET, "error_responses_example.json")["cases"]
    for case in cases:
        body = case.get("body", case.get("body_text", "").encode())
        sent = reply(body, case["http_status"], case["headers"])
        if case["case"].startswith("unknown or closed event id"):
            verdict = ADAPTER.judge(answer_to(ADAPTER.list_detail_requests("sr:match:1", None, ())[0], sent))
            assert verdict is not None
            assert verdict[0] is FailureClass.NOT_FOUND
            continue
        verdict = ADAPTER.judge(answer_to(next(ADAPTER.discover(Sport.FOOTBALL))[1], sent))
        assert verdict is not None, case["case"]
        assert verdict[0] is EXPECTED.pop(case["case"]), case["case"]
    assert EXPECTED == {}


@pytest.mark.parametrize(
    ("kind", "body", "failure"),
    [
        (PayloadKind.DETAIL, {"bizCode": 10000, "message": "0#0"}, FailureClass.NOT_FOUND),
        (PayloadKind.DETAIL, {"bizCode": 10000, "data": {}}, FailureClass.NOT_FOUND),
        (PayloadKind.DETAIL, {"bizCode": 10000, "data": [{"eventId": "sr:match:1"}]}, FailureClass.CONTRACT_BROKEN),
        (PayloadKind.DETAIL, {"bizCode": 50000, "innerMsg": "busy"}, FailureClass.PERMANENT),
        (PayloadKind.DETAIL, {"data": {"eventId": "sr:match:1"}}, FailureClass.CONTRACT_BROKEN),
        (PayloadKind.LISTING, {"bizCode": 10000, "data": "x"}, FailureClass.CONTRACT_BROKEN),
        (PayloadKind.TREE, {"bizCode": 10000, "data": []}, FailureClass.CONTRACT_BROKEN),
        (PayloadKind.TREE, {"bizCode": 10000, "data": None}, FailureClass.TRANSIENT),
    ],
)
def test_envelopes_are_judged_by_code_and_data(kind: PayloadKind, body: Any, failure: FailureClass) -> None:
    verdict = ADAPTER.judge(answer(SPORTYBET, kind, body))
    assert verdict is not None
    assert verdict[0] is failure
    if "innerMsg" in body:
        assert "50000: busy" in verdict[1]


def test_captured_answers_are_judged_good(samples: Path) -> None:
    for name in (NORWAY_FRANCE, CHINA, TENNIS, PRODUCT_1, IN_PLAY):
        assert ADAPTER.judge(answer(SPORTYBET, PayloadKind.DETAIL, loaded(samples, SPORTYBET, name))) is None
    for name in LISTS:
        assert ADAPTER.judge(answer(SPORTYBET, PayloadKind.LISTING, loaded(samples, SPORTYBET, name))) is None
