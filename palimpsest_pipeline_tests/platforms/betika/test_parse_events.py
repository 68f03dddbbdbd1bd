"""Betika's matches against recorded answers and against an independent reading of the same JSON."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from palimpsest_pipeline.domain.enums import FailureClass, ListingKind, PayloadKind, Sport
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.domain.observations import PayloadRejected
from palimpsest_pipeline.platforms.betika import BetikaAdapter

from ..pack_support import configure, load_pack_sample
from ..support import AT, answer, answer_to, columns, milli, reply

CONFIG = configure("betika")
ADAPTER: Any = BetikaAdapter(CONFIG)
BETIKA = CONFIG.platform
FOOTBALL = "2026-08-09_match_72230652_football.json"
BASKETBALL = "2026-08-09_match_68095974_basketball.json"
TENNIS = "2026-08-09_match_73550032_tennis.json"
ZOOM = "2026-08-09_match_528657_zoom_soccer.json"
LIVE = "2026-08-09_live_match_4921987_football.json"
ROWS = ("prematch.json", "markets.json", "basketball.json", "tennis.json")
"""Lists of one match, recorded before answers had a provider."""
BEFORE_ROWS = datetime(2026, 5, 12, tzinfo=UTC)
"""An instant before the kickoffs of these matches."""


def recorded(body: Any, at: datetime = AT, **request: Any) -> list[Answer]:
    return [answer_to(Request(BETIKA, PayloadKind.DETAIL, "/recorded", **request), reply(body), at=at)]


def detail_of(body: Any, at: datetime = AT, **request: Any) -> Any:
    return ADAPTER.read_detail(recorded(body, at, **request))


def listing_of(body: Any, at: datetime = AT, **request: Any) -> Any:
    return ADAPTER.read_listing(recorded(body, at, **request))


def as_detail(samples: Path, name: str) -> dict[str, Any]:
    """The match of a list as a detail: its embedded markets have the same shape."""
    [row] = load_pack_sample(samples, "betika", name)["data"]
    return {"data": row["odds"], "meta": row}


def independent(body: dict[str, Any]) -> list[tuple[str, str, str, int | None, bool]]:
    rows = [
        (m["sub_type_id"], o["special_bet_value"], o["outcome_id"], milli(o["odd_value"]), False)
        for m in body["data"]
        for o in m["odds"]
    ]
    return sorted(rows, key=lambda row: (row[:3], str(row[3])))


@pytest.mark.parametrize(("name", "n_lines", "n_prices"), [(FOOTBALL, 53, 206), (BASKETBALL, 16, 34), (TENNIS, 2, 4)])
def test_every_price_of_a_detail_is_read_as_the_json_says(
    samples: Path, name: str, n_lines: int, n_prices: int
) -> None:
    body = load_pack_sample(samples, "betika", name)
    detail = detail_of(body)
    assert columns(detail) == independent(body)
    assert (len(detail.prices.market_id), len(detail.prices)) == (n_lines, n_prices)
    assert len(set(zip(detail.prices.market_id, detail.prices.specifier, strict=True))) == n_lines
    assert detail.rejects == []


def test_a_match_is_read_exactly_and_its_kickoff_is_nairobi_time(samples: Path) -> None:
    listing = listing_of(load_pack_sample(samples, "betika", FOOTBALL))
    assert (listing.external_id, listing.sr_id) == ("72230652", 72230652)
    assert listing.kickoff_at.isoformat() == "2026-08-09T15:15:00+00:00"
    assert (listing.home_team, listing.away_team) == ("Btud-Bet Tenrevubo Naazoazne", "Wavto Pemsit")
    assert (listing.tournament_external_id, listing.country_raw) == ("Poland/1. Liga", "Poland")
    assert (listing.kind, listing.sport, listing.is_in_play) == (ListingKind.MATCH, Sport.FOOTBALL, False)


@pytest.mark.parametrize(
    ("name", "kickoff"),
    [
        ("tennis.json", datetime(2026, 5, 18, 10, 10, tzinfo=UTC)),
        ("basketball.json", datetime(2026, 5, 19, 0, 30, tzinfo=UTC)),
        ("prematch.json", datetime(2026, 5, 13, 19, 0, tzinfo=UTC)),
    ],
)
def test_kickoffs_are_those_that_other_books_show(samples: Path, name: str, kickoff: datetime) -> None:
    """Rodsenlruzt against Tititle and Odribeze against Set Atlizao are in MSport's recorded answers too."""
    assert listing_of(as_detail(samples, name)).kickoff_at == kickoff


@pytest.mark.parametrize(
    ("name", "sport"), [(TENNIS, Sport.TENNIS), (BASKETBALL, Sport.BASKETBALL), (FOOTBALL, Sport.FOOTBALL)]
)
def test_sports_are_told_by_their_ids(samples: Path, name: str, sport: Sport) -> None:
    assert listing_of(load_pack_sample(samples, "betika", name)).sport is sport


def test_zoom_is_another_sport(samples: Path) -> None:
    with pytest.raises(PayloadRejected, match="sport 139 is not covered"):
        detail_of(load_pack_sample(samples, "betika", ZOOM))


def test_the_ids_of_another_provider_are_no_sportradar_ids(samples: Path) -> None:
    body = load_pack_sample(samples, "betika", ZOOM)
    body["meta"]["sport_id"] = "14"
    listing = listing_of(body)
    assert (listing.external_id, listing.sr_id, listing.kind) == ("528657", None, ListingKind.SIMULATED)


@pytest.mark.parametrize(("provider", "sr_id"), [("sr", 72230652), (None, 72230652), ("zm", None), ("bg", None)])
def test_only_sportradars_provider_gives_a_sportradar_id(samples: Path, provider: Any, sr_id: int | None) -> None:
    body = load_pack_sample(samples, "betika", FOOTBALL)
    body["meta"]["provider"] = provider
    assert listing_of(body).sr_id == sr_id


@pytest.mark.parametrize("name", ROWS)
def test_answers_without_a_provider_are_read(samples: Path, name: str) -> None:
    body = as_detail(samples, name)
    assert listing_of(body).sr_id == int(body["meta"]["parent_match_id"])
    assert columns(detail_of(body, BEFORE_ROWS)) == independent(body)


def test_a_running_match_is_recognised_and_its_book_refused(samples: Path) -> None:
    body = load_pack_sample(samples, "betika", LIVE)
    assert listing_of(body).is_in_play
    with pytest.raises(PayloadRejected, match="in play"):
        detail_of(body)
    with pytest.raises(PayloadRejected, match="in play"):
        detail_of(as_detail(samples, "live.json"))


def test_markets_of_the_live_feed_are_in_play_whatever_the_match_says(samples: Path) -> None:
    body = load_pack_sample(samples, "betika", FOOTBALL)
    body["data"][3]["market_active"] = 0
    assert listing_of(body).is_in_play


@pytest.mark.parametrize("change", [{"match_time": "12:10"}, {"event_status": "1st half"}, {"current_score": "0:0"}])
def test_a_clock_or_a_score_is_in_play(samples: Path, change: dict[str, Any]) -> None:
    body = load_pack_sample(samples, "betika", FOOTBALL)
    body["meta"].update(change)
    assert listing_of(body).is_in_play


@pytest.mark.parametrize(("seconds", "is_in_play"), [(-1, False), (0, True), (3600, True)])
def test_a_match_is_in_play_from_its_kickoff_on_whatever_it_shows(
    samples: Path, seconds: int, is_in_play: bool
) -> None:
    body = load_pack_sample(samples, "betika", FOOTBALL)
    at = listing_of(body).kickoff_at + timedelta(seconds=seconds)
    assert listing_of(body, at).is_in_play is is_in_play
    if is_in_play:
        with pytest.raises(PayloadRejected, match="in play: kickoff 2026-08-09T15:15:00"):
            detail_of(body, at)
    else:
        assert len(detail_of(body, at).prices) == 206


def test_a_list_that_still_shows_a_match_at_its_kickoff_is_complete(samples: Path) -> None:
    """The tree counts such a match too."""
    page = load_pack_sample(samples, "betika", "2026-08-09_matches_football_sort2_period9_p1.json")
    kickoff = datetime.fromisoformat(page["data"][0]["start_time"]).replace(tzinfo=UTC) - timedelta(hours=3)
    request = Request(BETIKA, PayloadKind.LISTING, "/v1/uo/matches")
    given_answer = answer_to(request, reply(page), at=kickoff + timedelta(seconds=10))
    listings = ADAPTER.read_discovery([given_answer], Sport.FOOTBALL).listings
    assert len(listings) == len(page["data"])
    assert not any(listing.is_in_play for listing in listings)


@pytest.mark.parametrize("change", [{"is_esport": True}, {"is_srl": 1}, {"home_team": "A SRL", "away_team": "B SRL"}])
def test_simulated_matches_are_recognised(samples: Path, change: dict[str, Any]) -> None:
    body = load_pack_sample(samples, "betika", FOOTBALL)
    body["meta"].update(change)
    assert listing_of(body).kind is ListingKind.SIMULATED


def test_ids_as_numbers_are_read_as_text(samples: Path) -> None:
    body = load_pack_sample(samples, "betika", FOOTBALL)
    known, prices = listing_of(body), columns(detail_of(body))
    body["meta"]["parent_match_id"], body["meta"]["sport_id"] = 72230652, 14
    for market in body["data"]:
        market["sub_type_id"] = int(market["sub_type_id"])
    assert listing_of(body) == known
    assert columns(detail_of(body)) == prices


def test_one_bad_market_or_price_is_rejected_by_path_and_the_rest_is_read(samples: Path) -> None:
    body = load_pack_sample(samples, "betika", FOOTBALL)
    markets = body["data"]
    lost = len(markets[2]["odds"]) + 2
    markets[2] = "gone"
    del markets[4]["odds"][0]["outcome_id"]
    markets[5]["odds"][1] = []
    detail = detail_of(body)
    assert len(detail.prices) == 206 - lost
    assert [r.path for r in detail.rejects] == ["$.data[2]", "$.data[4].odds[0].outcome_id", "$.data[5].odds[1]"]


@pytest.mark.parametrize(
    ("kind", "body", "failure"),
    [
        (PayloadKind.DETAIL, {"data": [], "meta": {}}, FailureClass.NOT_FOUND),
        (PayloadKind.DETAIL, {"data": [], "meta": []}, FailureClass.NOT_FOUND),
        (PayloadKind.DETAIL, {}, FailureClass.NOT_FOUND),
        (PayloadKind.DETAIL, {"data": {}, "meta": {"parent_match_id": "1"}}, FailureClass.CONTRACT_BROKEN),
        (PayloadKind.DETAIL, {"error": "busy", "data": "x"}, FailureClass.CONTRACT_BROKEN),
        (PayloadKind.LISTING, {"data": []}, FailureClass.CONTRACT_BROKEN),
        (PayloadKind.TREE, {"meta": {}}, FailureClass.CONTRACT_BROKEN),
        (PayloadKind.TREE, [], FailureClass.CONTRACT_BROKEN),
    ],
)
def test_answers_of_another_shape_are_failures(kind: PayloadKind, body: Any, failure: FailureClass) -> None:
    verdict = ADAPTER.judge(answer(BETIKA, kind, body))
    assert verdict is not None
    assert verdict[0] is failure


def test_recorded_answers_are_judged_good(samples: Path) -> None:
    kinds = {"match_": PayloadKind.DETAIL, "matches": PayloadKind.LISTING, "sport_": PayloadKind.TREE}
    folder = samples / "betika"
    for path in sorted(folder.glob("2026-08-09_*.json")):
        kind = next(kind for part, kind in kinds.items() if part in path.name)
        assert ADAPTER.judge(answer(BETIKA, kind, load_pack_sample(samples, "betika", path.name))) is None


def test_a_detail_is_requested_by_the_id_that_all_platforms_share() -> None:
    [request] = ADAPTER.list_detail_requests("72230652", 72230652, [])
    assert (request.path, request.params) == ("/v1/uo/match", {"parent_match_id": "72230652"})


def test_a_kickoff_is_three_hours_before_its_text_in_utc(samples: Path) -> None:
    body = load_pack_sample(samples, "betika", FOOTBALL)
    for text in ("2026-01-15 00:30:00", "2026-07-15 00:30:00"):
        body["meta"]["start_time"] = text
        assert listing_of(body).kickoff_at == datetime.fromisoformat(text).replace(tzinfo=UTC) - timedelta(hours=3)
