"""MSport's events against recorded answers and against an independent reading of the same JSON."""

from pathlib import Path
from typing import Any

import pytest

from palimpsest_pipeline.domain.enums import FailureClass, ListingKind, PayloadKind, Sport
from palimpsest_pipeline.domain.observations import PayloadRejected
from palimpsest_pipeline.platforms.msport import MsportAdapter

from ..pack_support import configure, load_pack_sample
from ..support import answer, columns, milli

CONFIG = configure("msport")
ADAPTER: Any = MsportAdapter(CONFIG)
MSPORT = CONFIG.platform
DETAILS = {"wc_nf.json": 631, "prematch.json": 188, "tennis.json": 41, "basketball.json": 353}


def detail_of(body: Any, **request: Any) -> Any:
    return ADAPTER.read_detail([answer(MSPORT, PayloadKind.DETAIL, body, **request)])


def listing_of(body: Any, **request: Any) -> Any:
    return ADAPTER.read_listing([answer(MSPORT, PayloadKind.DETAIL, body, **request)])


def independent(body: dict[str, Any]) -> list[tuple[str, str, str, int | None, bool]]:
    rows = [
        (str(m["id"]), m["specifiers"], o["id"], milli(o["odds"]), m["status"] != 0 or o["isActive"] != 1)
        for m in body["data"]["markets"]
        for o in m["outcomes"]
    ]
    return sorted(rows, key=lambda row: (row[:3], str(row[3])))


@pytest.mark.parametrize(("name", "n_markets"), DETAILS.items())
def test_every_price_of_a_detail_is_read_as_the_json_says(samples: Path, name: str, n_markets: int) -> None:
    body = load_pack_sample(samples, "msport", name)
    detail = detail_of(body)
    assert columns(detail) == independent(body)
    assert len(detail.prices.market_id) == len(body["data"]["markets"]) == n_markets
    assert detail.rejects == []


def test_norway_against_france_is_read_exactly(samples: Path) -> None:
    listing = listing_of(load_pack_sample(samples, "msport", "wc_nf.json"))
    assert (listing.external_id, listing.sr_id, listing.genius_id) == ("sr:match:66457014", 66457014, None)
    assert listing.kickoff_at.isoformat() == "2026-06-26T19:00:00+00:00"
    assert (listing.home_team, listing.away_team) == ("Norway", "France")
    assert (listing.tournament_external_id, listing.sr_tournament_id) == ("sr:tournament:16", 16)
    assert (listing.tournament_name, listing.country_raw) == ("FIFA World Cup", "International")
    assert (listing.kind, listing.is_in_play, listing.n_markets_declared) == (ListingKind.MATCH, False, None)


@pytest.mark.parametrize(("name", "sport"), [("tennis.json", Sport.TENNIS), ("basketball.json", Sport.BASKETBALL)])
def test_other_sports_are_told_by_their_ids(samples: Path, name: str, sport: Sport) -> None:
    assert listing_of(load_pack_sample(samples, "msport", name)).sport is sport


def test_a_running_match_is_recognised_and_its_book_refused(samples: Path) -> None:
    body = load_pack_sample(samples, "msport", "live.json")
    assert listing_of(body).is_in_play
    with pytest.raises(PayloadRejected, match="in play"):
        detail_of(body)


@pytest.mark.parametrize(
    "change",
    [{"status": 1}, {"status": 4}, {"status": "1"}, {"playedTime": "12'"}, {"scoreOfWholeMatch": "0:0"}],
)
def test_a_status_a_clock_or_a_score_is_in_play(samples: Path, change: dict[str, Any]) -> None:
    body = load_pack_sample(samples, "msport", "prematch.json")
    body["data"].update(change)
    assert listing_of(body).is_in_play


def test_a_market_or_a_request_of_the_live_product_is_in_play(samples: Path) -> None:
    body = load_pack_sample(samples, "msport", "prematch.json")
    assert listing_of(body, params={"productId": "1"}).is_in_play
    body["data"]["markets"][7]["product"] = 1
    assert listing_of(body).is_in_play


def test_early_payout_markets_keep_their_names_though_their_ids_are_swapped(samples: Path) -> None:
    prices = detail_of(load_pack_sample(samples, "msport", "wc_nf.json")).prices
    names = dict(zip(prices.market_id, prices.market_name, strict=True))
    assert (names["5000002"], names["5000001"]) == ("1x2 - 1UP", "1x2 - 2UP")


@pytest.mark.parametrize(("where", "field", "value"), [("market", "status", 1), ("outcome", "isActive", 0)])
def test_a_price_is_off_when_market_or_outcome_is_closed(samples: Path, where: str, field: str, value: Any) -> None:
    body = load_pack_sample(samples, "msport", "prematch.json")
    market = body["data"]["markets"][0]
    body["data"]["markets"] = [market]
    assert [off for *_, off in columns(detail_of(body))] == [False] * 3
    {"market": market, "outcome": market["outcomes"][0]}[where][field] = value
    assert [off for *_, off in columns(detail_of(body))] == ([True, False, False] if where == "outcome" else [True] * 3)


@pytest.mark.parametrize(
    ("event_id", "sr_id", "kind"),
    [
        ("sr:match:68995116", 68995116, ListingKind.MATCH),
        ("sr:match:111111114343675", None, ListingKind.MATCH),
        ("sr:match:abc", None, ListingKind.MATCH),
        ("sr:season:101177", None, ListingKind.ANTEPOST),
    ],
)
def test_only_sportradars_ids_join_a_fixture(
    samples: Path, event_id: str, sr_id: int | None, kind: ListingKind
) -> None:
    body = load_pack_sample(samples, "msport", "prematch.json")
    body["data"]["eventId"] = event_id
    listing = listing_of(body)
    assert (listing.external_id, listing.sr_id, listing.kind) == (event_id, sr_id, kind)


@pytest.mark.parametrize(
    "change",
    [{"categoryId": "sr:category:2123"}, {"tournament": "Premier League SRL"}, {"category": "Electronic Leagues"}],
)
def test_simulated_leagues_inside_football_are_recognised(samples: Path, change: dict[str, Any]) -> None:
    body = load_pack_sample(samples, "msport", "prematch.json")
    body["data"].update(change)
    assert listing_of(body).kind is ListingKind.SIMULATED


def test_optional_fields_may_be_absent_or_odd(samples: Path) -> None:
    body = load_pack_sample(samples, "msport", "prematch.json")
    known, prices = listing_of(body), columns(detail_of(body))
    wanted = ("eventId", "startTime", "sportId", "tournamentId", "tournament", "category", "homeTeam", "awayTeam")
    bare = {"bizCode": 10000, "data": {name: body["data"][name] for name in (*wanted, "markets")} | {"novelty": [{}]}}
    for market in bare["data"]["markets"]:
        market["specifiers"] = market["specifiers"] or None
        del market["product"], market["group"]
    assert listing_of(bare) == known
    assert columns(detail_of(bare)) == prices
    bare["data"]["status"] = "soon"
    assert listing_of(bare) == known


def test_one_bad_market_or_outcome_is_rejected_by_path_and_the_rest_is_read(samples: Path) -> None:
    body = load_pack_sample(samples, "msport", "prematch.json")
    markets = body["data"]["markets"]
    before = len(detail_of(body).prices)
    lost = len(markets[3]["outcomes"]) + 1
    markets[3] = "gone"
    del markets[5]["outcomes"][1]["id"]
    detail = detail_of(body)
    assert len(detail.prices) == before - lost
    assert [r.path for r in detail.rejects] == ["$.data.markets[3]", "$.data.markets[5].outcomes[1].id"]


@pytest.mark.parametrize(
    ("kind", "body", "failure"),
    [
        (PayloadKind.DETAIL, {"bizCode": 19000, "message": "Invalid"}, FailureClass.NOT_FOUND),
        (PayloadKind.DETAIL, {"bizCode": 19000, "innerMsg": "invalid operId"}, FailureClass.PERMANENT),
        (PayloadKind.DETAIL, {"bizCode": 19001}, FailureClass.NOT_FOUND),
        (PayloadKind.DETAIL, {"bizCode": 50000, "innerMsg": "busy"}, FailureClass.PERMANENT),
        (PayloadKind.DETAIL, {"bizCode": 10000, "data": None}, FailureClass.NOT_FOUND),
        (PayloadKind.DETAIL, {"data": {"eventId": "sr:match:1"}}, FailureClass.CONTRACT_BROKEN),
        (PayloadKind.LISTING, {"bizCode": 19000, "innerMsg": "invalid operId"}, FailureClass.PERMANENT),
        (PayloadKind.LISTING, {"bizCode": 19001}, FailureClass.CONTRACT_BROKEN),
        (PayloadKind.LISTING, {"bizCode": 10000, "data": None}, FailureClass.TRANSIENT),
        (PayloadKind.LISTING, {"bizCode": 10000, "data": []}, FailureClass.CONTRACT_BROKEN),
        (PayloadKind.LISTING, [], FailureClass.CONTRACT_BROKEN),
    ],
)
def test_failures_that_come_with_a_good_status_are_judged(kind: PayloadKind, body: Any, failure: FailureClass) -> None:
    verdict = ADAPTER.judge(answer(MSPORT, kind, body))
    assert verdict is not None
    assert verdict[0] is failure


def test_a_country_is_a_path_and_an_operators_number() -> None:
    numbers = {}
    for country in ("ng", "gh", "ke", "ug", "zm"):
        adapter = MsportAdapter(configure("msport", country))
        [request] = adapter.list_detail_requests("sr:match:1", 1, [])
        assert request.platform == adapter.platform == ("msport" if country == "ng" else f"msport-{country}")
        assert request.path == f"/api/{country}/facts-center/query/frontend/match/detail"
        assert request.params == {"eventId": "sr:match:1", "productId": "3"}
        numbers[country] = adapter.build_headers()["operid"]
    assert numbers == {"ng": "2", "gh": "3", "ke": "1", "ug": "4", "zm": "5"}


def test_one_answer_is_the_whole_book(samples: Path) -> None:
    given_answer = answer(MSPORT, PayloadKind.DETAIL, load_pack_sample(samples, "msport", "prematch.json"))
    assert ADAPTER.list_detail_requests("sr:match:68995116", 68995116, [given_answer]) == ()
