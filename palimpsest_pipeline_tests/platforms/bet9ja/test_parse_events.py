"""Bet9ja's events against captured answers and against an independent reading of the same JSON."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest

from palimpsest_pipeline.domain.enums import FailureClass, ListingKind, PayloadKind, Sport
from palimpsest_pipeline.domain.observations import PayloadRejected
from palimpsest_pipeline.platforms.registry import build_adapter
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA

from ..support import HTML, JSON, answer, columns, ids, loaded, milli

ADAPTER = build_adapter(BET9JA)
NORWAY_FRANCE = "getevent_soccer_norway_france.json"
QATAR_SUDAN = "getevent_soccer_qatar_sudan_suspended_prices.json"
BASKETBALL = "getevent_basketball.json"
LIVE = "getliveevent_soccer_all_suspended.json"
EPL = "geteventsingroupv2_epl_trimmed.json"
EPL_WHOLE = "geteventsingroupv2_full_envelope_example.json"
KEY = re.compile(r"^([A-Z]+_[A-Z0-9-]+)(?:@([^_]+))?_(.+)$")


def detail_of(body: Any, **request: Any) -> Any:
    return ADAPTER.read_detail([answer(BET9JA, PayloadKind.DETAIL, body, **request)])


def listing_of(body: Any, **request: Any) -> Any:
    return ADAPTER.read_listing([answer(BET9JA, PayloadKind.DETAIL, body, **request)])


def listed(events: Any, **request: Any) -> Any:
    body = {"R": "OK", "D": {"E": events}}
    return ADAPTER.read_discovery([answer(BET9JA, PayloadKind.LISTING, body, **request)], Sport.FOOTBALL)


def independent(body: dict[str, Any]) -> list[tuple[str, str, str, int | None, bool]]:
    rows = []
    for key, value in body["D"]["O"].items():
        market, line, outcome = KEY.match(key).groups()  # type: ignore[union-attr]
        rows.append((market, line or "", outcome, milli(value), False))
    return sorted(rows, key=lambda row: (row[:3], str(row[3])))


@pytest.mark.parametrize(
    ("name", "n_prices", "n_lines", "n_markets"),
    [(NORWAY_FRANCE, 1346, 430, 274), (QATAR_SUDAN, 845, 194, 138), (BASKETBALL, 316, 141, 51)],
)
def test_every_price_of_a_detail_is_read_as_the_json_says(
    samples: Path, name: str, n_prices: int, n_lines: int, n_markets: int
) -> None:
    body = loaded(samples, BET9JA, name)
    detail = detail_of(body)
    assert columns(detail) == independent(body)
    assert len(detail.prices) == len(body["D"]["O"]) == n_prices
    assert len({(market, line) for market, line, *_ in columns(detail)}) == n_lines
    assert set(detail.prices.market_id) == {mk["ID"] for mk in body["D"]["MK"]}
    assert len(set(detail.prices.market_id)) == n_markets
    assert detail.rejects == []


def test_norway_against_france_is_read_exactly(samples: Path) -> None:
    listing = listing_of(loaded(samples, BET9JA, NORWAY_FRANCE))
    assert (listing.external_id, listing.sr_id, listing.genius_id) == ("782203257", 66457014, None)
    assert listing.kickoff_at.isoformat() == "2026-06-26T19:00:00+00:00"
    assert (listing.home_team, listing.away_team) == ("Norway", "France")
    assert (listing.tournament_external_id, listing.tournament_name, listing.country_raw) == (
        "2252278",
        "FIFA World Cup 2026",
        "International",
    )
    assert (listing.kind, listing.sport, listing.n_markets_declared, listing.is_in_play) == (
        ListingKind.MATCH,
        Sport.FOOTBALL,
        274,
        False,
    )


def test_basketball_is_basketball_and_has_no_declared_count(samples: Path) -> None:
    listing = listing_of(loaded(samples, BET9JA, BASKETBALL))
    assert (listing.sport, listing.sr_id, listing.country_raw, listing.n_markets_declared) == (
        Sport.BASKETBALL,
        71427986,
        "Germany",
        None,
    )


def test_the_prices_of_a_market_and_line_are_one_row_wherever_they_stand(samples: Path) -> None:
    body = loaded(samples, BET9JA, NORWAY_FRANCE)
    prices = detail_of(body).prices
    assert len(prices.market_id) == len(set(zip(prices.market_id, prices.specifier, strict=True))) == 430
    assert sum(prices.n_outcomes) == 1346
    assert min(prices.n_outcomes) > 0


def test_a_price_of_one_is_listed_without_odds(samples: Path) -> None:
    body = loaded(samples, BET9JA, QATAR_SUDAN)
    ones = sum(value == "1" for value in body["D"]["O"].values())
    prices = detail_of(body).prices
    assert sum(odds is None for odds in prices.odds_milli) == ones == 47
    assert not any(prices.off)


def test_names_come_from_the_market_descriptors(samples: Path) -> None:
    body = loaded(samples, BET9JA, NORWAY_FRANCE)
    prices = detail_of(body).prices
    market = prices.market_id.index("S_OU")
    over = prices.outcome_id.index("O", sum(prices.n_outcomes[:market]))
    descriptor = next(mk for mk in body["D"]["MK"] if mk["ID"] == "S_OU")
    assert prices.market_name[market] == descriptor["DS"]
    assert prices.outcome_name[over] == descriptor["SGN"][descriptor["SGNK"].index("O")]


def test_keys_are_cut_at_two_underscores_and_the_line() -> None:
    book = {
        "S_DCMULTI4-5_1X": "1.5",
        "S_CSFT_2:1": "9",
        "S_HTFTOU@4.5_1/1U": "9.6",
        "S_AH@-0.25_1": 1.9,
        "S_WINMARGIN_HT>2": {"v": 3.5},
        "S_1X21_X1": "-",
    }
    body = {"R": "OK", "D": {"ID": 1, "DS": "A - B", "GID": 2, "SID": 1, "STARTDATE": "2026-09-14 19:00:00", "O": book}}
    assert columns(detail_of(body)) == [
        ("S_1X21", "", "X1", None, False),
        ("S_AH", "-0.25", "1", 1900, False),
        ("S_CSFT", "", "2:1", 9000, False),
        ("S_DCMULTI4-5", "", "1X", 1500, False),
        ("S_HTFTOU", "4.5", "1/1U", 9600, False),
        ("S_WINMARGIN", "", "HT>2", 3500, False),
    ]


@pytest.mark.parametrize("key", ["S_1X2", "S__1", "_1X2_1", "S_@2.5_O", "S_OU@2.5_", "nonsense", ""])
def test_a_key_of_another_form_is_rejected_by_name_and_the_rest_is_read(samples: Path, key: str) -> None:
    body = loaded(samples, BET9JA, BASKETBALL)
    body["D"]["O"][key] = "2.5"
    detail = detail_of(body)
    assert len(detail.prices) == 316
    assert [(r.external_id, r.path) for r in detail.rejects] == [("775268202", f'$.D.O["{key}"]')]


@pytest.mark.parametrize("book", [[], {}, None, False])
def test_a_book_without_prices_is_an_empty_book(samples: Path, book: Any) -> None:
    body = loaded(samples, BET9JA, NORWAY_FRANCE)
    body["D"]["O"] = book
    body["D"]["MK"] = []
    assert len(detail_of(body).prices) == 0
    del body["D"]["O"], body["D"]["MK"]
    assert len(detail_of(body).prices) == 0


def test_the_in_play_feed_is_refused_as_in_play(samples: Path) -> None:
    live = loaded(samples, BET9JA, LIVE)
    assert ADAPTER.judge(answer(BET9JA, PayloadKind.DETAIL, live)) is None
    for read in (listing_of, detail_of):
        with pytest.raises(PayloadRejected) as rejected:
            read(live)
        assert rejected.value.reason.startswith("in play")


def test_live_sports_and_live_keys_are_refused_as_in_play(samples: Path) -> None:
    body = loaded(samples, BET9JA, BASKETBALL)
    body["D"]["O"]["LIVES_1X2_1"] = {"v": 1.5}
    assert not listing_of(body).is_in_play
    with pytest.raises(PayloadRejected) as rejected:
        detail_of(body)
    assert rejected.value.reason.startswith("in play")
    body["D"]["SID"] = 3000002
    with pytest.raises(PayloadRejected) as rejected:
        listing_of(body)
    assert rejected.value.reason.startswith("in play")


def test_the_events_of_a_competition_become_listings(samples: Path) -> None:
    for name in (EPL, EPL_WHOLE):
        body = loaded(samples, BET9JA, name)
        given_answer = answer(BET9JA, PayloadKind.LISTING, body, params={"GROUPID": "170880"})
        assert ADAPTER.judge(given_answer) is None
        leeds, brentford = ADAPTER.read_discovery([given_answer], Sport.FOOTBALL).listings
        assert (leeds.external_id, leeds.sr_id, leeds.home_team, leeds.away_team) == (
            "828890052",
            72221262,
            "Loevl Utd",
            "Nukloglto Utd",
        )
        assert (leeds.tournament_external_id, leeds.tournament_name, leeds.country_raw) == (
            "170880",
            "Premier League",
            "England",
        )
        assert (leeds.n_markets_declared, leeds.kickoff_at.isoformat()) == (307, "2026-09-14T19:00:00+00:00")
        assert (brentford.external_id, brentford.sr_id, brentford.n_markets_declared) == ("831880021", 72221274, 208)


def test_the_event_of_an_older_year_is_read_as_well(samples: Path) -> None:
    old = loaded(samples, BET9JA, "searchv2_soccer_2025.json")["D"]["S"]["1"]["E"]
    (listing,) = listed(old).listings
    assert (listing.external_id, listing.sr_id, listing.country_raw, listing.n_markets_declared) == (
        "594248600",
        60323257,
        "Tunisia",
        None,
    )
    assert listing.kickoff_at.isoformat() == "2025-05-11T14:00:00+00:00"
    assert len(detail_of({"R": "OK", "D": old[0]}).prices) == len(old[0]["O"])


def test_entries_of_the_daily_bundle_are_rejected_not_guessed(samples: Path) -> None:
    events = loaded(samples, BET9JA, "geteventsindailybundlev3_example.json")["D"]["E"]
    discovery = listed(events)
    assert not discovery.listings
    assert [r.external_id for r in discovery.rejects] == [str(e["ID"]) for e in events]


EVENT = {
    "ID": 828890052,
    "C": "2566",
    "EXTID": "72221262",
    "DS": "Leeds Utd - Newcastle Utd",
    "STARTDATE": "2026-09-14 19:00:00",
    "SID": 1,
    "SGID": 11058,
    "GID": 170880,
    "GN": "Premier League",
    "SG": "England",
    "SGN": "wrong",
}


def only(**changes: Any) -> Any:
    (listing,) = listed([{**EVENT, **changes}], params={"GROUPID": "170880"}).listings
    return listing


@pytest.mark.parametrize("extid", [None, "", "0", 0, "n/a"])
def test_a_match_without_sportradar_id_stays_a_listing(extid: Any) -> None:
    assert (only(EXTID=extid).sr_id, only(EXTID=extid).kind) == (None, ListingKind.MATCH)


def test_ids_may_be_numbers_or_text() -> None:
    assert only(ID="828890052", EXTID=72221262, GID="170880", SID="1", SGID="11058", MKNUM="307") == only(MKNUM=307)


def test_each_id_is_taken_from_its_own_field() -> None:
    listing = only(C=1, SPORTCAST_FIXTURE_ID="547845", PLAYER_EID=10076870)
    assert (listing.external_id, listing.sr_id, listing.tournament_external_id, listing.country_raw) == (
        "828890052",
        72221262,
        "170880",
        "England",
    )


@pytest.mark.parametrize(
    ("name", "home", "away"),
    [
        ("Saint-Etienne - Paris SG", "Saint-Etienne", "Paris SG"),
        ("A - B - C", "A", "B - C"),
        ("Atmane, Terence - Etcheverry, Tomas Martin", "Atmane, Terence", "Etcheverry, Tomas Martin"),
    ],
)
def test_names_are_cut_at_the_first_separator_only(name: str, home: str, away: str) -> None:
    assert (only(DS=name).home_team, only(DS=name).away_team) == (home, away)


def test_an_entry_without_two_names_is_antepost(samples: Path) -> None:
    assert (only(DS="Premier League Winner 2026/27").kind, only(DS="Premier League Winner 2026/27").away_team) == (
        ListingKind.ANTEPOST,
        "",
    )
    (outright,) = listed(_error_case(samples, "outright-like")["body"]["D"]["E"]).listings
    assert (outright.kind, outright.sr_id, outright.external_id) == (ListingKind.ANTEPOST, None, "990100004")


def test_the_utc_field_outranks_the_one_without_zone() -> None:
    assert only(STARTDATEUTC="2026-09-14T18:00:00Z").kickoff_at.hour == 18
    assert only(STARTDATEUTC="").kickoff_at.hour == 19
    assert only(STARTDATEUTC="soon").kickoff_at.hour == 19


@pytest.mark.parametrize("slot", ["0", "828890052"])
def test_events_may_come_as_an_object(slot: str) -> None:
    assert ids(listed({slot: EVENT}).listings) == ["828890052"]


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"STARTDATE": "soon"}, "$.D.E[1].STARTDATE"),
        ({"STARTDATE": None}, "$.D.E[1].STARTDATE"),
        ({"ID": None}, "$.D.E[1].ID"),
        ({"DS": None}, "$.D.E[1].DS"),
        ({"SID": 3000001}, "$.D.E[1].SID"),
        ({"SID": 7}, "$.D.E[1].SID"),
    ],
)
def test_one_bad_entry_is_rejected_by_path_and_the_rest_is_read(changes: dict[str, Any], path: str) -> None:
    discovery = listed([{**EVENT, "ID": 1}, {**EVENT, **changes}, {**EVENT, "ID": 3}])
    assert ids(discovery.listings) == ["1", "3"]
    assert [r.path for r in discovery.rejects] == [path]


def _error_case(samples: Path, beginning: str) -> Any:
    cases = loaded(samples, BET9JA, "error_and_empty_bodies_example.json")["cases"]
    return copy.deepcopy(next(case for case in cases if case["case"].startswith(beginning)))


@pytest.mark.parametrize(
    ("beginning", "kind", "failure"),
    [
        ("unknown or withdrawn event, GetEvent", PayloadKind.DETAIL, FailureClass.NOT_FOUND),
        ("withdrawn event, variant 2", PayloadKind.DETAIL, FailureClass.NOT_FOUND),
        ("unknown event, variant 3", PayloadKind.DETAIL, FailureClass.NOT_FOUND),
        ("unknown event, variant 4", PayloadKind.DETAIL, FailureClass.NOT_FOUND),
        ("unknown or withdrawn event, GetEvent", PayloadKind.LISTING, FailureClass.RATE_LIMITED),
        ("withdrawn event, variant 2", PayloadKind.LISTING, FailureClass.CONTRACT_BROKEN),
        ("unknown event, variant 3", PayloadKind.TREE, FailureClass.CONTRACT_BROKEN),
        ("unknown event, variant 4", PayloadKind.TREE, FailureClass.CONTRACT_BROKEN),
        ("competition without events", PayloadKind.LISTING, None),
        ("unknown event, variant 4", PayloadKind.LISTING, None),
        ("event listed with no prices", PayloadKind.LISTING, None),
        ("events as object", PayloadKind.LISTING, None),
        ("edge block page", PayloadKind.TREE, FailureClass.BLOCKED),
        ("block page served", PayloadKind.LISTING, FailureClass.BLOCKED),
    ],
)
def test_every_known_odd_body_is_judged(
    samples: Path, beginning: str, kind: PayloadKind, failure: FailureClass | None
) -> None:
    case = _error_case(samples, beginning)
    body = case.get("body", case.get("body_text", "").encode())
    verdict = ADAPTER.judge(
        answer(BET9JA, kind, body, case["http"], HTML if "text/html" in case["content_type"] else JSON)
    )
    assert (verdict[0] if verdict else None) is failure


@pytest.mark.parametrize(
    ("kind", "body", "good"),
    [
        (PayloadKind.DETAIL, {"R": "D", "D": EVENT}, True),
        (PayloadKind.DETAIL, {"R": "OK", "D": EVENT}, True),
        (PayloadKind.DETAIL, {"R": "X", "D": EVENT}, False),
        (PayloadKind.DETAIL, {"D": EVENT}, False),
        (PayloadKind.LISTING, {"D": {"E": [EVENT]}}, True),
        (PayloadKind.LISTING, {"D": {"E": []}}, False),
        (PayloadKind.LISTING, {"D": {}}, False),
        (PayloadKind.TREE, {"R": "OK", "D": {"PAL": {"1": {}}}}, True),
        (PayloadKind.TREE, {"D": {"PAL": {"1": {}}}}, False),
        (PayloadKind.TREE, {"R": "OK", "D": {"PAL": "none"}}, False),
    ],
)
def test_the_envelope_counts_together_with_what_it_holds(kind: PayloadKind, body: Any, good: bool) -> None:
    assert (ADAPTER.judge(answer(BET9JA, kind, body)) is None) is good
