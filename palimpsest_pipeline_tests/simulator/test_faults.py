"""The failures that can be switched on: whom they befall, when, and what the client then sees."""

import gzip
import json
import re
import socket
import time
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.client import RemoteDisconnected
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.simulator.damaged_answers import BOMB_MB, build_bomb
from palimpsest_pipeline.simulator.faults import Fault, FaultBoard, parse_fault
from palimpsest_pipeline.simulator.simulator_process import SimulatorError, SimulatorProcess
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA, PLATFORMS, SPORTYBET

from .reading import (
    HEADERS,
    bet9ja_groups,
    bet9ja_list,
    betpawa_list,
    detail,
    detail_path,
    get,
    send_request,
    sportybet_list,
)
from .test_answers import TREES

Start = Callable[..., SimulatorProcess]
HUNG_UP = (RemoteDisconnected, ConnectionResetError)
NINE = TREES[BET9JA]


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 3)), unique=True), st.floats(0, 1))
def test_whom_a_share_befalls_does_not_depend_on_the_order_of_asking(
    asked: list[tuple[str, int]], share: float
) -> None:
    found = []
    for order in (asked, asked[::-1]):
        board = FaultBoard(5)
        board.switch_fault("betpawa", Fault("error", share))
        found.append({one for one in order if board.list_faults_met("betpawa", "detail", *one, 0.0)})
    assert found[0] == found[1]


def test_a_share_of_a_tenth_befalls_a_tenth() -> None:
    board = FaultBoard(5)
    board.switch_fault("betpawa", Fault("error", 0.1))
    assert 900 < sum(bool(board.list_faults_met("betpawa", "detail", str(n), 1, 0.0)) for n in range(10_000)) < 1100


def test_a_failure_begins_with_its_request_and_ends_after_its_time() -> None:
    board = FaultBoard(5)
    board.switch_fault("betpawa", Fault("error", endpoint="detail", from_request=3, for_s=10.0))
    met = []
    for at, endpoint in (
        (0.0, "detail"),
        (1.0, "tree"),
        (2.0, "detail"),
        (5.0, "detail"),
        (14.9, "detail"),
        (15.0, "detail"),
    ):
        met.append(bool(board.list_faults_met("betpawa", endpoint, "1", 1, at)))
    assert met == [False, False, False, True, True, False]


def test_a_failure_of_the_first_askings_leaves_the_others_alone() -> None:
    board = FaultBoard(5)
    board.switch_fault("betpawa", Fault("error", tries=2))
    assert [bool(board.list_faults_met("betpawa", "detail", "1", attempt, 0.0)) for attempt in (1, 2, 3)] == [
        True,
        True,
        False,
    ]


def test_several_failures_are_on_at_once_and_the_last_one_switched_on_comes_first() -> None:
    board = FaultBoard(5)
    for mode in ("error", "clock", "block", "error"):
        board.switch_fault("betpawa", Fault(mode))
    assert list(board.list_faults_met("betpawa", "tree", "1", 1, 0.0)) == ["error", "block", "clock"]
    assert not board.list_faults_met("bet9ja", "tree", "1", 1, 0.0)
    board.switch_fault("betpawa", Fault("none"))
    assert not board.list_faults_met("betpawa", "tree", "1", 1, 0.0)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("sportybet=error,endpoint=details", "unknown endpoint 'details'; known are *, tree, listing, detail"),
        ("bet9ja=error,platform=sportybet", "unknown settings platform; known are share, endpoint, from_request"),
        ("bet9ja=error,mode=none", "unknown settings mode; known are share"),
        ("bet9ja=error,shares=1", "unknown settings shares; known are share"),
    ],
)
def test_a_failure_that_would_befall_nothing_is_refused_with_what_is_known(asked: str, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        parse_fault(asked)


def test_a_simulator_that_runs_refuses_an_endpoint_that_it_lacks(start_simulator: Start) -> None:
    with pytest.raises(SimulatorError, match="unknown endpoint 'details'"):
        start_simulator(10).set_fault(SPORTYBET, "error", endpoint="details")


def test_a_challenge_is_a_page_of_the_edge_with_its_headers(start_simulator: Start) -> None:
    simulator = start_simulator(10)
    simulator.set_fault(BET9JA, "challenge503")
    status, told, body = send_request(simulator, BET9JA, NINE)
    assert (status, told["cf-mitigated"], told["content-type"]) == (503, "challenge", "text/html; charset=utf-8")
    assert b"Just a moment" in body


def test_a_redirect_names_another_host(start_simulator: Start) -> None:
    simulator = start_simulator(10)
    simulator.set_fault(BET9JA, "redirect", to="http://127.0.0.1:9/there")
    status, told, _ = send_request(simulator, BET9JA, NINE)
    assert (status, told["location"]) == (302, "http://127.0.0.1:9/there")


def test_a_clock_that_is_ahead_shows_in_the_date_and_in_retry_after(start_simulator: Start) -> None:
    simulator = start_simulator(10)
    simulator.set_fault(BET9JA, "clock", offset_s=3600)
    ahead = parsedate_to_datetime(send_request(simulator, BET9JA, NINE)[1]["date"]) - datetime.now(UTC)
    assert timedelta(minutes=59) < ahead < timedelta(minutes=61)
    own = parsedate_to_datetime(send_request(simulator, SPORTYBET, TREES[SPORTYBET])[1]["date"]) - datetime.now(UTC)
    assert abs(own) < timedelta(minutes=1)
    simulator.set_fault(BET9JA, "ratelimit", retry_after_s=2, as_date=True)
    status, told, _ = send_request(simulator, BET9JA, NINE)
    assert status == 429
    wait = parsedate_to_datetime(told["retry-after"]) - parsedate_to_datetime(told["date"])
    assert timedelta(seconds=2) <= wait <= timedelta(seconds=4)


@pytest.mark.parametrize("mode", ["outage", "reset"])
def test_a_connection_is_broken_off_without_an_answer(start_simulator: Start, mode: str) -> None:
    simulator = start_simulator(10)
    simulator.set_fault(BET9JA, mode)
    with pytest.raises(HUNG_UP):
        send_request(simulator, BET9JA, NINE)
    assert send_request(simulator, SPORTYBET, TREES[SPORTYBET])[0] == 200
    (broken, _) = simulator.list_requests()
    assert (broken.faults, broken.status, broken.sent_at, broken.bytes) == ([mode], None, None, 0)


def test_an_outage_takes_the_answers_under_way_with_it_and_passes(start_simulator: Start) -> None:
    simulator = start_simulator(10, latency={"bet9ja.detail": (1500, 1500)})
    simulator.set_fault(BET9JA, "outage", from_request=2, for_s=2.5)
    question = f"GET /bet9ja{detail_path(BET9JA, '1')} HTTP/1.1\r\nhost: simulator\r\nreferer: x\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", simulator.port)) as slow:
        slow.sendall(question)
        while not simulator.fetch_log()["requests"]:
            pass
        with pytest.raises(HUNG_UP):
            send_request(simulator, BET9JA, NINE)
        assert slow.recv(1) == b""
    deadline = time.monotonic() + 20
    while True:
        try:
            assert send_request(simulator, BET9JA, NINE)[0] == 200
            break
        except HUNG_UP:
            assert time.monotonic() < deadline
    assert [one.faults for one in simulator.list_requests()][:2] == [["outage"], ["outage"]]


def test_a_hanging_answer_ends_when_the_client_hangs_up(start_simulator: Start) -> None:
    simulator = start_simulator(10)
    simulator.set_fault(BET9JA, "hang")
    with pytest.raises(TimeoutError):
        send_request(simulator, BET9JA, NINE, timeout_s=0.2)
    simulator.set_fault(BET9JA, "none")
    assert send_request(simulator, BET9JA, NINE)[0] == 200
    assert [(one.faults, one.sent_at is None) for one in simulator.list_requests()] == [(["hang"], True), ([], False)]
    assert simulator.fetch_log()["most_in_flight"]["bet9ja"] <= 2


def test_cut_json_is_whole_as_http_goes(start_simulator: Start) -> None:
    simulator = start_simulator(10)
    whole = send_request(simulator, BET9JA, NINE)[2]
    simulator.set_fault(BET9JA, "cut_json")
    for headers in (HEADERS, HEADERS | {"accept-encoding": "gzip"}):
        status, told, body = send_request(simulator, BET9JA, NINE, headers)
        assert (status, told["content-type"]) == (200, "application/json")
        assert body == whole[: len(whole) // 2]
        with pytest.raises(json.JSONDecodeError):
            json.loads(body)


def test_a_bomb_is_small_valid_and_bursts(start_simulator: Start) -> None:
    simulator = start_simulator(10)
    simulator.set_fault(BET9JA, "bomb", size_mb=50)
    status, told, body = send_request(simulator, BET9JA, NINE)
    assert status == 200
    assert int(told["content-length"]) < 100_000
    assert len(body) == 50_000_000 + len('{"padding":""}')
    assert body.endswith(b'0"}')
    packed = build_bomb(BOMB_MB)
    assert 900_000 < len(packed) < 1_500_000
    reader = zlib.decompressobj(zlib.MAX_WBITS | 16)
    assert reader.decompress(packed, 20).startswith(b'{"padding":"000')
    assert gzip.decompress(build_bomb(2)) == b'{"padding":"' + b"0" * 2_000_000 + b'"}'


def test_a_huge_body_is_streamed_without_a_length(start_simulator: Start) -> None:
    simulator = start_simulator(10)
    simulator.set_fault(BET9JA, "huge", size_mb=3)
    status, told, body = send_request(simulator, BET9JA, NINE)
    assert (status, told["transfer-encoding"]) == (200, "chunked")
    assert "content-length" not in told
    assert len(json.loads(body)["padding"]) == 3_000_000


def test_kickoffs_of_one_platform_can_be_an_hour_off(start_simulator: Start) -> None:
    simulator = start_simulator(40)
    fixture = next(one for one in simulator.fetch_truth()["fixtures"] if {"betpawa", "bet9ja"} <= set(one["platforms"]))
    ids = {platform: fixture["platforms"][platform][0] for platform in (BETPAWA, BET9JA)}
    before = {platform: detail(simulator, platform, external_id) for platform, external_id in ids.items()}
    simulator.set_fault(BETPAWA, "kickoffs", offset_s=3600)
    after = {platform: detail(simulator, platform, external_id) for platform, external_id in ids.items()}
    shift = datetime.fromisoformat(after[BETPAWA]["startTime"]) - datetime.fromisoformat(before[BETPAWA]["startTime"])
    assert shift == timedelta(hours=1)
    assert after[BET9JA]["D"]["STARTDATE"] == before[BET9JA]["D"]["STARTDATE"]
    listed = {event["id"]: event["startTime"] for event in betpawa_list(simulator)}
    assert listed[ids[BETPAWA]] == after[BETPAWA]["startTime"]
    assert fixture in simulator.fetch_truth()["fixtures"]


def page(simulator: SimulatorProcess, platform: Platform, number: int) -> Any:
    if platform == BETPAWA:
        query = {
            "query": {"eventType": "UPCOMING", "categories": ["2"], "zones": {}},
            "skip": 5 * (number - 1),
            "take": 5,
        }
        path = f"/api/sportsbook/v4/events/lists/by-queries?q={quote(json.dumps({'queries': [query]}))}"
        return get(simulator, platform, path)["responses"][0].get("responses", [])
    if platform == SPORTYBET:
        path = (
            f"/api/ng/factsCenter/pcUpcomingEvents?sportId=sr:sport:1&marketId=1&pageSize=8&pageNum={number}&option=2"
        )
        return get(simulator, platform, path)["data"]["tournaments"]
    return bet9ja_list(simulator, list(bet9ja_groups(simulator))[number - 1])


@pytest.mark.parametrize("platform", PLATFORMS)
def test_one_page_of_a_list_can_be_empty(start_simulator: Start, platform: Platform) -> None:
    simulator = start_simulator(40)
    assert page(simulator, platform, 2)
    simulator.set_fault(platform, "page_missing", tries=2)
    assert page(simulator, platform, 1)
    assert not page(simulator, platform, 2)
    assert page(simulator, platform, 2), "the third asking, with the one before the failure"
    assert page(simulator, platform, 3)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_tournament_can_be_gone_from_tree_and_lists_while_the_totals_still_count_it(
    start_simulator: Start, platform: Platform
) -> None:
    simulator = start_simulator(40)
    before = tree_of(simulator, platform)
    tournament, count = next((name, count) for name, count in before["tournaments"].items() if count)
    simulator.set_fault(platform, "tournament_gone", tournament=tournament)
    after = tree_of(simulator, platform)
    assert after["total"] == before["total"] == sum(after["tournaments"].values()) + count
    assert before["tournaments"].keys() - after["tournaments"].keys() == {tournament}
    if platform == BETPAWA:
        assert len(betpawa_list(simulator)) == before["total"] - count
    elif platform == SPORTYBET:
        total, events = sportybet_list(simulator)
        assert (total, len(events)) == (before["total"], before["total"] - count)
    else:
        assert bet9ja_list(simulator, tournament) == []


def tree_of(simulator: SimulatorProcess, platform: Platform) -> dict[str, Any]:
    tree = get(simulator, platform, TREES[platform])
    if platform == BETPAWA:
        sport = tree["withRegions"][0]
        nodes = [node for region in sport["regions"] for node in region["competitions"]]
        counts = {node["competition"]["id"]: int(node["eventCounts"]["upcoming"]) for node in nodes}
        return {"total": int(sport["eventCounts"]["upcoming"]), "tournaments": counts}
    if platform == SPORTYBET:
        sport = tree["data"]["sportList"][0]
        counts = {node["id"]: node["eventSize"] for category in sport["categories"] for node in category["tournaments"]}
        return {"total": sport["eventSize"], "tournaments": counts}
    sport = tree["D"]["PAL"]["1"]
    return {
        "total": sport["NUM"],
        "tournaments": {group: node["NUM"] for country in sport["SG"].values() for group, node in country["G"].items()},
    }


def test_several_failures_at_once_over_http(start_simulator: Start) -> None:
    simulator = start_simulator(10)
    simulator.set_fault(BET9JA, "clock", offset_s=-7200)
    simulator.set_fault(BET9JA, "latency", latency_ms=5)
    simulator.set_fault(BET9JA, "error", tries=1)
    assert [send_request(simulator, BET9JA, NINE)[0] for _ in range(2)] == [500, 200]
    first, second = simulator.list_requests()
    assert set(first.faults) == {"clock", "latency", "error"}
    assert set(second.faults) == {"clock", "latency"}
    assert first.drawn_s != second.drawn_s


def test_unknown_settings_of_a_failure_are_refused_by_name(start_simulator: Start) -> None:
    simulator = start_simulator(10)
    with pytest.raises(SimulatorError, match="unknown fields"):
        simulator.set_fault(BET9JA, "error", probability=1)
