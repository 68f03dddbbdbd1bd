"""What the platforms refuse and how, the faults that can be switched on, the controls, and the life of the process."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from http.client import IncompleteRead
from urllib.parse import quote

import psutil
import pytest

from palimpsest_pipeline.simulator.simulator_process import SimulatorError, SimulatorProcess
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA, SPORTYBET

from .reading import HEADERS, detail_path, get, send_request, sportybet_list

Start = Callable[..., SimulatorProcess]
TREES = {
    BETPAWA: "/api/sportsbook/v4/categories/list/2",
    SPORTYBET: "/api/ng/factsCenter/popularAndSportList?sportId=sr:sport:1&productId=3",
    BET9JA: "/desktop/feapi/PalimpsestAjax/GetSports?DISP=0",
}


def by_queries(query: object) -> str:
    return "/api/sportsbook/v4/events/lists/by-queries?q=" + quote(json.dumps(query))


def test_betpawa_refuses_what_the_real_one_refuses(start_simulator: Start) -> None:
    simulator = start_simulator(20)
    without_brand = {name: value for name, value in HEADERS.items() if name != "x-pawa-brand"}
    assert send_request(simulator, BETPAWA, TREES[BETPAWA], without_brand)[0] == 400
    query = {"query": {"eventType": "UPCOMING", "categories": ["2"], "zones": {}}, "skip": 0, "take": 101}
    status, _, body = send_request(simulator, BETPAWA, by_queries({"queries": [query]}))
    assert status == 400
    assert "100" in json.loads(body)["serverMessage"]
    assert send_request(simulator, BETPAWA, by_queries({"queries": [{"query": query["query"]}]}))[0] == 400
    told = send_request(
        simulator, BETPAWA, by_queries({"queries": [query | {"take": 5}]}), HEADERS | {"accept": "*/*"}
    )[1]
    assert told["content-type"].startswith("application/x-protobuf")
    assert send_request(simulator, BETPAWA, "/api/sportsbook/v3/categories/list/2")[0] == 404
    assert send_request(simulator, BETPAWA, "/api/sportsbook/v4/events/1")[0] == 404


def test_sportybet_refuses_what_the_real_one_refuses(start_simulator: Start) -> None:
    simulator = start_simulator(20)
    path = "/api/ng/factsCenter/pcUpcomingEvents?sportId=sr:sport:1&pageSize=100&pageNum=1&option=2"
    assert get(simulator, SPORTYBET, path)["bizCode"] == 19000
    assert get(simulator, SPORTYBET, detail_path(SPORTYBET, "sr:match:1"))["bizCode"] == 19000
    status, _, body = send_request(simulator, SPORTYBET, "/api/ng/factsCenter/publicEvents")
    assert (status, json.loads(body)["bizCode"]) == (404, 19001)
    assert send_request(simulator, SPORTYBET, "/api/ca/factsCenter/popularAndSportList")[0] == 502
    assert (
        get(simulator, SPORTYBET, f"{path}&marketId=1".replace("pageNum=1", "pageNum=50"))["data"]["tournaments"] == []
    )


def test_sportybet_before_kickoff_shows_the_live_book_suspended(start_simulator: Start) -> None:
    simulator = start_simulator(20)
    _, events = sportybet_list(simulator)
    path = detail_path(SPORTYBET, events[0]["eventId"]).replace("productId=3", "productId=1")
    markets = get(simulator, SPORTYBET, path)["data"]["markets"]
    assert markets
    assert {(market["product"], market["status"]) for market in markets} == {(1, 1)}


def test_bet9ja_answers_unknown_things_as_the_real_one_does(start_simulator: Start) -> None:
    simulator = start_simulator(20)
    assert get(simulator, BET9JA, detail_path(BET9JA, "1")) == {"R": "E", "D": False}
    for group in ("1", "170880,170881"):
        answer = get(simulator, BET9JA, f"/desktop/feapi/PalimpsestAjax/GetEventsInGroupV2?GROUPID={group}")
        assert answer == {"R": "OK", "D": {"E": []}}


@pytest.mark.parametrize(
    ("mode", "status"),
    [("down", 503), ("block", 403), ("html", 200), ("error", 500), ("empty202", 202), ("ratelimit", 429)],
)
def test_a_fault_replaces_the_answer_of_one_platform_only_until_it_is_switched_off(
    start_simulator: Start, mode: str, status: int
) -> None:
    simulator = start_simulator(10)
    simulator.set_fault(BET9JA, mode)
    got, told, body = send_request(simulator, BET9JA, TREES[BET9JA])
    assert got == status
    assert not body.startswith(b'{"R"')
    assert mode != "ratelimit" or told["retry-after"] == "1"
    assert send_request(simulator, SPORTYBET, TREES[SPORTYBET])[0] == 200
    simulator.set_fault(BET9JA, "none")
    assert get(simulator, BET9JA, TREES[BET9JA])["R"] == "OK"


def test_a_truncated_answer_ends_before_its_announced_length(start_simulator: Start) -> None:
    simulator = start_simulator(10)
    simulator.set_fault(BETPAWA, "truncate")
    with pytest.raises(IncompleteRead):
        send_request(simulator, BETPAWA, TREES[BETPAWA])


def test_latency_and_hanging_hold_the_answer_back(start_simulator: Start) -> None:
    simulator = start_simulator(10)
    simulator.set_fault(SPORTYBET, "latency", latency_ms=300, sigma=0.01)
    began = time.monotonic()
    assert send_request(simulator, SPORTYBET, TREES[SPORTYBET])[0] == 200
    assert time.monotonic() - began > 0.25
    simulator.set_fault(SPORTYBET, "hang")
    with pytest.raises(TimeoutError):
        send_request(simulator, SPORTYBET, TREES[SPORTYBET], timeout_s=0.5)


def test_a_fault_can_befall_a_share_of_the_requests_to_one_kind_of_endpoint(start_simulator: Start) -> None:
    simulator = start_simulator(10)
    simulator.set_fault(BET9JA, "error", share=0.5, endpoint="detail")
    assert [send_request(simulator, BET9JA, TREES[BET9JA])[0] for _ in range(10)] == [200] * 10
    statuses = [send_request(simulator, BET9JA, detail_path(BET9JA, "1"))[0] for _ in range(60)]
    assert 10 < statuses.count(500) < 50


def test_a_wrong_fault_is_refused_by_name(start_simulator: Start) -> None:
    simulator = start_simulator(10)
    with pytest.raises(SimulatorError, match="unknown mode 'gone'"):
        simulator.set_fault(BET9JA, "gone")


def test_the_clock_takes_fixtures_off_at_kickoff(start_simulator: Start) -> None:
    simulator = start_simulator(40)
    before = simulator.fetch_truth()
    first = min(before["fixtures"], key=lambda one: one["kickoff_at"])
    simulator.set_clock(7200)
    after = {fixture["sr_id"] for fixture in simulator.fetch_truth()["fixtures"]}
    assert first["sr_id"] not in after
    assert len(after) < len(before["fixtures"])


def test_a_match_in_play_says_so_and_leaves_the_lists(start_simulator: Start) -> None:
    simulator = start_simulator(120)
    soon = [one for one in simulator.fetch_truth()["fixtures"] if {"betpawa", "sportybet"} <= set(one["platforms"])]
    first = min(soon, key=lambda one: one["kickoff_at"])
    simulator.set_clock(7000)
    gone = first["sr_id"] not in {fixture["sr_id"] for fixture in simulator.fetch_truth()["fixtures"]}
    assert gone
    paws = get(simulator, BETPAWA, detail_path(BETPAWA, first["platforms"]["betpawa"][0]))
    sporty = get(simulator, SPORTYBET, detail_path(SPORTYBET, first["platforms"]["sportybet"][0]))["data"]
    assert paws["additionalInfo"]["live"] is True
    assert sporty["status"] == 1
    assert all(market["id"].startswith("800") for market in sporty["markets"])


def test_the_script_drops_postpones_and_lists_fixtures(start_simulator: Start) -> None:
    simulator = start_simulator(40)
    fixtures = {one["sr_id"]: one for one in simulator.fetch_truth()["fixtures"]}
    three = [sr_id for sr_id, one in fixtures.items() if len(one["platforms"]) == 3]
    lone = next(sr_id for sr_id, one in fixtures.items() if set(one["platforms"]) == {"betpawa"})
    simulator.run_script("drop", three[0], platform="bet9ja")
    simulator.run_script("postpone", three[1], minutes=45)
    simulator.run_script("list", lone, platform="sportybet")
    after = {one["sr_id"]: one for one in simulator.fetch_truth()["fixtures"]}
    assert set(after[three[0]]["platforms"]) == {"betpawa", "sportybet"}
    assert after[three[1]]["kickoff_at"] > fixtures[three[1]]["kickoff_at"]
    assert set(after[lone]["platforms"]) == {"betpawa", "sportybet"}
    assert get(simulator, SPORTYBET, detail_path(SPORTYBET, f"sr:match:{lone}"))["bizCode"] == 10000


def test_the_log_counts_requests_per_platform_and_endpoint(start_simulator: Start) -> None:
    simulator = start_simulator(10)
    for path in TREES.items():
        send_request(simulator, *path)
    assert simulator.fetch_log()["requests"] == {"betpawa.tree": 1, "sportybet.tree": 1, "bet9ja.tree": 1}
    assert simulator.fetch_log()["most_in_flight"]["betpawa"] == 1


def test_answers_are_compressed_only_for_clients_that_accept_it(start_simulator: Start) -> None:
    simulator = start_simulator(10)
    path = TREES[BET9JA]
    plain, packed = (
        send_request(simulator, BET9JA, path, HEADERS | extra) for extra in ({}, {"accept-encoding": "gzip"})
    )
    assert "content-encoding" not in plain[1]
    assert packed[1]["content-encoding"] == "gzip"
    assert packed[2] == plain[2]


def test_clients_that_hang_up_before_their_answer_do_no_harm(start_simulator: Start) -> None:
    simulator = start_simulator(40)
    question = f"GET /bet9ja{TREES[BET9JA]} HTTP/1.1\r\nhost: simulator\r\nreferer: x\r\n\r\n".encode()
    for _ in range(3):
        callers = [socket.create_connection(("127.0.0.1", simulator.port)) for _ in range(30)]
        for caller in callers:
            caller.sendall(question)
        for caller in callers:
            caller.close()
    assert get(simulator, BET9JA, TREES[BET9JA])["R"] == "OK"


def test_stopping_ends_the_process(start_simulator: Start) -> None:
    simulator = start_simulator(10)
    simulator.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(simulator.pid, 0)


def test_a_simulator_that_cannot_start_says_why() -> None:
    with pytest.raises(SimulatorError, match="invalid choice"):
        SimulatorProcess(10, betpawa_version="v9")


def test_the_simulator_ends_when_its_parent_is_gone() -> None:
    program = (
        "from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess\n"
        "import os\n"
        "simulator = SimulatorProcess(5)\n"
        "print(simulator.pid, flush=True)\n"
        "os._exit(0)\n"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    pid = int(told.stdout)
    try:
        orphan = psutil.Process(pid)
        gone, alive = psutil.wait_procs([orphan], timeout=15)
        assert gone or orphan.status() == psutil.STATUS_ZOMBIE, alive
    except psutil.NoSuchProcess:
        pass
