"""BetPawa's events, old wire and new, against captured answers and against an independent reading of the same JSON."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from palimpsest_pipeline.domain.enums import FailureClass, ListingKind, PayloadKind, Sport
from palimpsest_pipeline.domain.observations import PayloadRejected
from palimpsest_pipeline.platforms.registry import build_adapter
from palimpsest_pipeline_tests.fixtures.platforms import BETPAWA

from ..support import HTML, answer, columns, loaded, milli

ADAPTER = build_adapter(BETPAWA)
V3 = "detail_football_113_markets_v3_2026-06-26.json"
V4 = "detail_football_59_markets_v4_2026-08-21.json"
LISTS = [
    "list_multiquery_6blocks_v3_2025-09-27.json",
    "list_page_skip220_odd_prices_v3_2025-09-27.json",
    "list_v4_excerpt_2_of_65_events_2026-09-08.json",
]


def detail_of(body: Any) -> Any:
    return ADAPTER.read_detail([answer(BETPAWA, PayloadKind.DETAIL, body)])


def listing_of(body: Any) -> Any:
    return ADAPTER.read_listing([answer(BETPAWA, PayloadKind.DETAIL, body)])


def independent(event: dict[str, Any]) -> list[tuple[str, str, str, int | None, bool]]:
    rows = [
        (
            market["marketType"]["id"],
            "" if row.get("handicap") is None else str(row["handicap"]),
            price["typeId"],
            milli(price.get("odds", price.get("price"))),
            bool(price.get("suspended")),
        )
        for market in event["markets"]
        for row in market["row"]
        for price in row["prices"]
    ]
    return sorted(rows, key=lambda row: (row[:3], str(row[3])))


@pytest.mark.parametrize("name", [V3, V4])
def test_every_price_of_a_detail_is_read_as_the_json_says(samples: Path, name: str) -> None:
    event = loaded(samples, BETPAWA, name)
    detail = detail_of(event)
    assert columns(detail) == independent(event)
    assert detail.rejects == []
    assert (
        len({(market, line) for market, line, *_ in columns(detail)})
        == int(event["totalMarketCount"])
        == detail.listing.n_markets_declared
    )


def test_norway_against_france_is_read_exactly(samples: Path) -> None:
    event = loaded(samples, BETPAWA, V3)
    listing = listing_of(event)
    assert (listing.external_id, listing.sr_id, listing.genius_id) == ("35429065", 66457014, 13344921)
    assert listing.kickoff_at.isoformat() == "2026-06-26T19:00:00+00:00"
    assert (listing.home_team, listing.away_team) == ("Norway", "France")
    assert (listing.tournament_external_id, listing.tournament_name, listing.country_raw) == (
        "258194",
        "FIFA World Cup",
        "International",
    )
    assert (listing.kind, listing.sport, listing.is_in_play) == (ListingKind.MATCH, Sport.FOOTBALL, False)
    assert (listing.n_markets_declared, listing.sr_tournament_id) == (173, None)
    assert len(detail_of(event).prices) == 854
    assert detail_of(event).listing == listing


def test_the_new_wire_is_read_like_the_old_one(samples: Path) -> None:
    listing = listing_of(loaded(samples, BETPAWA, V4))
    assert (listing.external_id, listing.sr_id, listing.genius_id, listing.n_markets_declared) == (
        "36552873",
        67691078,
        13395068,
        87,
    )
    assert (listing.home_team, listing.away_team, listing.country_raw) == (
        "Sotrui FC Youth",
        "Rigslevo Imudsev FC",
        "Australia",
    )


def test_lines_are_quarters_of_the_home_side_for_both_outcomes(samples: Path) -> None:
    excerpt = loaded(samples, BETPAWA, LISTS[2])["responses"][0]["responses"][0]
    handicaps = [row for row in columns(detail_of(excerpt)) if row[0] == "3774"]
    assert ("3774", "-10", "3775", 6310, False) in handicaps
    assert ("3774", "-10", "3776", 1090, False) in handicaps


@pytest.mark.parametrize("name", [V3, V4])
def test_a_line_is_read_from_the_rows_handicap_and_from_nowhere_else(samples: Path, name: str) -> None:
    event = loaded(samples, BETPAWA, name)
    expected = columns(detail_of(event))
    for market in event["markets"]:
        for row in market["row"]:
            row["specifier"], row["formattedHandicap"] = {"total": "99"}, "99"
            for price in row["prices"]:
                price["specifier"], price["handicap"] = {"hcp": "99"}, "99"
    assert columns(detail_of(event)) == expected


def test_every_row_is_a_market_row_though_several_make_up_one_line_and_some_are_empty(samples: Path) -> None:
    event = loaded(samples, BETPAWA, V3)
    event["markets"][0]["row"].append({"id": "1", "handicap": None, "prices": []})
    prices = detail_of(event).prices
    rows = [(market["marketType"]["id"], row) for market in event["markets"] for row in market["row"]]
    assert prices.market_id == [market for market, _ in rows]
    assert prices.n_outcomes == [len(row["prices"]) for _, row in rows]
    assert 0 in prices.n_outcomes
    assert len(set(zip(prices.market_id, prices.specifier, strict=True))) == 173 < len(rows)


def test_players_are_outcomes_by_their_id(samples: Path) -> None:
    event = loaded(samples, BETPAWA, V3)
    detail = detail_of(event)
    raw = next(m for m in event["markets"] if m["marketType"]["id"] == "129108")["row"][0]["prices"][0]
    at = [i for i, market in enumerate(detail.prices.repeat_per_outcome(detail.prices.market_id)) if market == "129108"]
    assert (detail.prices.outcome_id[at[0]], detail.prices.outcome_name[at[0]]) == (raw["typeId"], raw["name"])


def test_the_odd_prices_of_a_list_are_listed_without_odds(samples: Path) -> None:
    events = loaded(samples, BETPAWA, LISTS[1])["responses"][0]["responses"]
    odd = {e["id"]: detail_of(e) for e in events}
    assert sum(not e["markets"] for e in events) == 1
    assert [len(odd[e["id"]].prices) for e in events if not e["markets"]] == [0]
    unpriced = [row for detail in odd.values() for row in columns(detail) if row[3] is None]
    expected = [row for e in events for row in independent(e) if row[3] is None]
    assert sorted(map(str, unpriced)) == sorted(map(str, expected))
    assert unpriced
    assert not any(off for *_, off in unpriced)


def test_a_suspended_price_is_off_and_keeps_its_odds(samples: Path) -> None:
    event = loaded(samples, BETPAWA, V4)
    event["markets"] = event["markets"][:1]
    event["markets"][0]["row"][0]["prices"][0]["suspended"] = True
    assert [(odds, off) for *_, odds, off in columns(detail_of(event))] == [(4590, True), (3900, False), (1680, False)]


def test_a_line_that_the_new_wire_leaves_out_is_zero(samples: Path) -> None:
    event = loaded(samples, BETPAWA, V4)
    with_lines = next(m for m in event["markets"] if m["marketType"].get("handicapType") == "ASIAN")
    without = next(m for m in event["markets"] if "handicapType" not in m["marketType"])
    with_lines["row"] = with_lines["row"][:1]
    del with_lines["row"][0]["handicap"]
    event["markets"] = [with_lines, without]
    lines = {(market, line) for market, line, *_ in columns(detail_of(event))}
    assert lines == {(with_lines["marketType"]["id"], "0"), (without["marketType"]["id"], "")}


def test_ids_and_counts_come_as_numbers_or_text(samples: Path) -> None:
    event = loaded(samples, BETPAWA, V4)
    changed = copy.deepcopy(event)
    changed["id"], changed["totalMarketCount"] = int(event["id"]), 87
    changed["competition"]["id"], changed["category"]["id"] = 12647, 2
    changed["participants"][0]["position"] = "1"
    for widget in changed["widgets"]:
        widget["id"] = int(widget["id"])
    for market in changed["markets"]:
        market["marketType"]["id"] = int(market["marketType"]["id"])
        for row in market["row"]:
            if "handicap" in row:
                row["handicap"] = str(row["handicap"])
    assert listing_of(changed) == listing_of(event)
    assert columns(detail_of(changed)) == columns(detail_of(event))


def test_sides_are_taken_by_position_not_by_order_or_name(samples: Path) -> None:
    event = loaded(samples, BETPAWA, V4)
    event["participants"].reverse()
    event["name"] = "X - Y - Z (n)"
    assert (listing_of(event).home_team, listing_of(event).away_team) == ("Sotrui FC Youth", "Rigslevo Imudsev FC")


def test_two_participants_without_positions_are_rejected_not_guessed(samples: Path) -> None:
    event = loaded(samples, BETPAWA, V4)
    del event["participants"][0]["position"]
    with pytest.raises(PayloadRejected) as rejected:
        listing_of(event)
    assert rejected.value.path == "$.participants"


def test_an_event_without_two_sides_is_antepost(samples: Path) -> None:
    event = loaded(samples, BETPAWA, V4)
    event["name"] = "Winner 2026"
    for participants in ([], event["participants"][:1], None):
        event["participants"] = participants
        assert (listing_of(event).kind, listing_of(event).home_team) == (ListingKind.ANTEPOST, "Winner 2026")


SR, GENIUS = {"type": "SPORTRADAR", "id": "67691078"}, {"type": "GENIUSSPORTS", "id": "13395068"}


@pytest.mark.parametrize(
    ("widgets", "sr_id", "genius_id"),
    [
        ([GENIUS, SR], 67691078, 13395068),
        ([{**SR, "retention": "PREMATCH"}, GENIUS, {**SR, "retention": "INPLAY"}], 67691078, 13395068),
        ([SR], 67691078, None),
        ([GENIUS], None, 13395068),
        ([SR, GENIUS, {"type": "GENIUSSPORTS", "id": "13395069"}], 67691078, None),
        ([SR, {"type": "SPORTRADAR", "id": "1"}, GENIUS], None, 13395068),
        (
            [SR, {"type": "SPORTRADAR", "id": "n/a"}, {"type": "OTHER", "id": "5"}, {"type": ["x"]}, "odd"],
            67691078,
            None,
        ),
        ([], None, None),
        (None, None, None),
        ({"type": "SPORTRADAR"}, None, None),
    ],
)
def test_provider_ids_are_chosen_by_type_and_contradictions_give_none(
    samples: Path, widgets: Any, sr_id: int | None, genius_id: int | None
) -> None:
    event = loaded(samples, BETPAWA, V4)
    event["widgets"] = widgets
    assert (listing_of(event).sr_id, listing_of(event).genius_id) == (sr_id, genius_id)


def test_a_match_in_play_is_recognised_and_its_prices_refused(samples: Path) -> None:
    live = loaded(samples, BETPAWA, LISTS[0])["responses"][2]["responses"]
    assert len(live) == 4
    for event in live:
        assert listing_of(event).is_in_play
        with pytest.raises(PayloadRejected, match="in play"):
            detail_of(event)


def test_a_running_score_alone_shows_that_a_match_is_in_play(samples: Path) -> None:
    event = loaded(samples, BETPAWA, V4)
    assert not listing_of(event).is_in_play
    event["results"] = {"display": {"minute": "12", "currentPeriod": {"slug": "FIRST_HALF"}}}
    assert listing_of(event).is_in_play


def test_unknown_fields_are_ignored_and_optional_ones_may_be_absent_or_odd(samples: Path) -> None:
    event = loaded(samples, BETPAWA, V4)
    known = listing_of(event)
    event["novelty"] = {"deep": [1]}
    for optional in ("marketCounters", "version", "additionalInfo", "name"):
        event.pop(optional)
    assert listing_of(event) == known
    for optional, odd in (
        ("region", None),
        ("totalMarketCount", {"all": 3}),
        ("additionalInfo", []),
        ("results", "none"),
        ("name", None),
    ):
        event[optional] = odd
    assert (listing_of(event).country_raw, listing_of(event).n_markets_declared, listing_of(event).is_in_play) == (
        None,
        None,
        False,
    )


def test_one_bad_market_is_rejected_by_path_and_the_rest_is_read(samples: Path) -> None:
    event = loaded(samples, BETPAWA, V4)
    whole = len(detail_of(event).prices)
    lost = sum(len(row["prices"]) for row in event["markets"][3]["row"])
    event["markets"][3] = {"row": event["markets"][3]["row"]}
    event["markets"][4]["row"][0]["handicap"] = "abc"
    lost += len(event["markets"][4]["row"][0]["prices"])
    event["markets"][5]["row"][0]["prices"].append({"odds": 2.0})
    detail = detail_of(event)
    assert len(detail.prices) == whole - lost
    assert [reject.path for reject in detail.rejects] == [
        "$.markets[3]",
        "$.markets[4].row[0].handicap",
        detail.rejects[2].path,
    ]
    assert detail.rejects[2].path.startswith("$.markets[5].row[0].prices[")
    assert {reject.external_id for reject in detail.rejects} == {"36552873"}


@pytest.mark.parametrize(
    ("kind", "status", "body", "failure"),
    [
        (PayloadKind.DETAIL, 404, {"error": "NOT_FOUND"}, FailureClass.NOT_FOUND),
        (PayloadKind.DETAIL, 200, {"error": "NOT_FOUND", "serverMessage": "Event not found"}, FailureClass.NOT_FOUND),
        (PayloadKind.LISTING, 400, {"serverMessage": "The maximum number of events is 100"}, FailureClass.PERMANENT),
        (PayloadKind.LISTING, 200, {"error": "BAD_REQUEST"}, FailureClass.PERMANENT),
        (PayloadKind.LISTING, 404, {"error": "NOT_FOUND"}, FailureClass.CONTRACT_BROKEN),
        (PayloadKind.LISTING, 200, {"withRegions": []}, FailureClass.CONTRACT_BROKEN),
        (PayloadKind.TREE, 200, {"responses": []}, FailureClass.CONTRACT_BROKEN),
        (PayloadKind.TREE, 200, {"onlyMeta": []}, FailureClass.CONTRACT_BROKEN),
        (PayloadKind.TREE, 200, {"withRegions": {"0": {}}}, FailureClass.CONTRACT_BROKEN),
        (PayloadKind.DETAIL, 200, {"responses": []}, FailureClass.CONTRACT_BROKEN),
    ],
)
def test_envelopes_are_judged_by_the_root_that_the_endpoint_promises(
    kind: PayloadKind, status: int, body: Any, failure: FailureClass
) -> None:
    verdict = ADAPTER.judge(answer(BETPAWA, kind, body, status))
    assert verdict is not None
    assert verdict[0] is failure
    if "serverMessage" in body:
        assert body["serverMessage"] in verdict[1]


def test_the_sites_own_page_in_place_of_an_event_means_gone_but_a_challenge_means_blocked() -> None:
    page = b"<!doctype html><html><head><title>betPawa - Bet small win BIG</title></head></html>"
    challenge = b"<html><title>Just a moment...</title>www.betpawa.ng</html>"
    judge = ADAPTER.judge
    assert judge(answer(BETPAWA, PayloadKind.DETAIL, page, 200, HTML))[0] is FailureClass.NOT_FOUND  # type: ignore[index]
    assert judge(answer(BETPAWA, PayloadKind.DETAIL, challenge, 200, HTML))[0] is FailureClass.BLOCKED  # type: ignore[index]
    assert judge(answer(BETPAWA, PayloadKind.LISTING, page, 200, HTML))[0] is FailureClass.BLOCKED  # type: ignore[index]


def test_an_empty_list_is_an_answer() -> None:
    for body in ({"responses": []}, {"responses": [{}]}, {"responses": [{"responses": []}]}):
        assert ADAPTER.judge(answer(BETPAWA, PayloadKind.LISTING, json.dumps(body).encode())) is None
