"""What measurements rest on: latencies that come again, a line per request with its instants, and details of real
size that the dialects take.
"""

import json
import socket
import urllib.request
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from statistics import quantiles

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palimpsest_pipeline.domain.enums import PayloadKind, Platform
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.simulator.bodies import PADDED_BYTES
from palimpsest_pipeline.simulator.latency import Latency, LatencyTable, draw_share
from palimpsest_pipeline.simulator.request_log import RequestLine
from palimpsest_pipeline.simulator.simulator_process import SimulatorError, SimulatorProcess
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA, PLATFORMS, build_adapters

from .reading import HEADERS, detail_path, get, send_request
from .test_answers import TREES

Start = Callable[..., SimulatorProcess]
PACKED = HEADERS | {"accept-encoding": "gzip"}


def test_latencies_have_the_median_and_the_95th_percentile_asked_for() -> None:
    latencies = LatencyTable(7, {"*": Latency(250, 700)})
    found = sorted(latencies.draw_s("bet9ja", "detail", str(key), 1) for key in range(20_000))
    percents = quantiles(found, n=100)
    assert percents[49] == pytest.approx(0.25, rel=0.03)
    assert percents[94] == pytest.approx(0.7, rel=0.03)


@given(st.text(), st.integers(1, 9))
def test_a_draw_depends_on_its_key_alone(key: str, attempt: int) -> None:
    one, other = (LatencyTable(3, {"*": Latency(250, 700)}) for _ in range(2))
    other.draw_s("betpawa", "detail", "something else", 1)
    assert one.draw_s("bet9ja", "detail", key, attempt) == other.draw_s("bet9ja", "detail", key, attempt)
    assert 0 < draw_share(key, attempt) < 1


def test_the_most_particular_latency_counts() -> None:
    latencies = LatencyTable(
        1, {"*": Latency(1, 1), "*.detail": Latency(2, 2), "bet9ja": Latency(3, 3), "bet9ja.detail": Latency(4, 4)}
    )
    assert [
        latencies.draw_s(*at, "1", 1)
        for at in (("bet9ja", "detail"), ("bet9ja", "tree"), ("betpawa", "detail"), ("betpawa", "tree"))
    ] == [
        0.004,
        0.003,
        0.002,
        0.001,
    ]


def test_no_answer_is_out_before_the_latency_drawn_for_it_and_after_forgetting_the_same_ones_come_again(
    start_simulator: Start,
) -> None:
    simulator = start_simulator(10, latency={"*": (20, 60), "sportybet.tree": (1, 1)})
    rounds = []
    for _ in range(2):
        simulator.clear_log()
        for path in [*TREES.items(), *TREES.items(), (BET9JA, detail_path(BET9JA, "1"))]:
            send_request(simulator, *path)
        rounds.append(simulator.list_requests())
    first, second = (
        [(one.platform, one.endpoint, one.external_id, one.attempt, one.drawn_s) for one in lines] for lines in rounds
    )
    assert first == second
    assert [(name, attempt) for name, _, _, attempt, _ in first] == [
        ("betpawa", 1),
        ("sportybet", 1),
        ("bet9ja", 1),
        ("betpawa", 2),
        ("sportybet", 2),
        ("bet9ja", 2),
        ("bet9ja", 1),
    ]
    assert first[0][4] != first[3][4]
    assert first[1][4] == first[4][4] == pytest.approx(0.001)
    assert first[6][2] == "1"
    for one in (*rounds[0], *rounds[1]):
        assert one.status == 200
        assert one.bytes > 0
        assert one.sent_at is not None
        assert one.sent_at - one.arrived_at >= one.drawn_s - 1e-6
    assert simulator.fetch_log()["cpu_s"] > 0


def test_the_latency_can_be_set_while_it_runs_and_a_wrong_one_is_refused_by_name(start_simulator: Start) -> None:
    simulator = start_simulator(10)
    simulator.set_latency("bet9ja.tree", 5, 5)
    for path in TREES.items():
        send_request(simulator, *path)
    assert [one.drawn_s for one in simulator.list_requests()] == [0, 0, pytest.approx(0.005)]
    with pytest.raises(SimulatorError, match="'bet8ja' names no platform"):
        simulator.set_latency("bet8ja", 5, 5)
    with pytest.raises(SimulatorError, match="0 < p50 <= p95"):
        simulator.set_latency("*", 5, 4)


def test_an_answer_that_nobody_waited_for_is_not_logged_as_sent(start_simulator: Start) -> None:
    simulator = start_simulator(10, latency={"bet9ja": (1000, 1000)})
    with socket.create_connection(("127.0.0.1", simulator.port)) as impatient:
        impatient.sendall(f"GET /bet9ja{TREES[BET9JA]} HTTP/1.1\r\nhost: simulator\r\nreferer: x\r\n\r\n".encode())
        while not simulator.fetch_log()["requests"]:
            pass
    send_request(simulator, BET9JA, TREES[BET9JA])
    first, second = simulator.list_requests()
    assert (first.status, first.bytes, first.sent_at) == (None, 0, None)
    assert second.sent_at is not None


def test_one_line_per_request_as_json_over_http(start_simulator: Start) -> None:
    simulator = start_simulator(10)
    for path in TREES.items():
        send_request(simulator, *path)
    with urllib.request.urlopen(f"{simulator.url}/_sim/log?detail=1") as answer:
        lines = [json.loads(line) for line in answer.read().splitlines()]
    assert [line["platform"] for line in lines] == list(TREES)
    assert lines[0].keys() == set(RequestLine.__struct_fields__)


def detail_of(simulator: SimulatorProcess, platform: Platform, external_id: str) -> Answer:
    """The answer as it would be landed."""
    status, told, body = send_request(simulator, platform, detail_path(platform, external_id), PACKED)
    assert (status, told["content-encoding"]) == (200, "gzip")
    now = datetime.now(UTC)
    request = Request(platform, PayloadKind.DETAIL, "/", external_id=external_id)
    return Answer(request, 1, now, now, now, status, {"content-type": told["content-type"]}, body)


def check_details(simulator: SimulatorProcess) -> dict[Platform, list[int]]:
    """Asks for every listing, through the dialect; the sizes of the bodies, unpacked."""
    sizes: dict[Platform, list[int]] = {platform: [] for platform in PLATFORMS}
    truth = simulator.fetch_truth()
    tournaments = truth["tournaments"]
    for fixture in truth["fixtures"]:
        for name, external_ids in fixture["platforms"].items():
            platform = Platform(name)
            for external_id in external_ids:
                answer = detail_of(simulator, platform, external_id)
                assert build_adapters()[platform].judge(answer) is None
                listing = build_adapters()[platform].read_listing([answer])
                assert listing.external_id == external_id
                assert listing.kickoff_at == datetime.fromisoformat(fixture["kickoffs"][name])
                assert listing.sr_id in {fixture["sr_id"], None}
                assert listing.tournament_external_id in tournaments[name]
                sizes[platform].append(len(answer.body or b""))
    return sizes


def test_details_of_real_size_are_the_listings_own_and_the_dialects_take_them(start_simulator: Start) -> None:
    sizes = check_details(start_simulator(15, bodies="real"))
    for platform, found in sizes.items():
        assert min(found) > 0.7 * PADDED_BYTES[platform][0]
        assert max(found) < 1.3 * PADDED_BYTES[platform][-1]


def test_a_kickoff_that_moved_is_shown_by_a_detail_of_real_size_too(start_simulator: Start) -> None:
    simulator = start_simulator(15, bodies="real")
    fixture = next(one for one in simulator.fetch_truth()["fixtures"] if "betpawa" in one["platforms"])
    path = detail_path(BETPAWA, fixture["platforms"]["betpawa"][0])
    before = get(simulator, BETPAWA, path)["startTime"]
    simulator.run_script("postpone", fixture["sr_id"], minutes=45)
    assert get(simulator, BETPAWA, path)["startTime"] > before


def read_markets(
    simulator: SimulatorProcess, platform: Platform, external_id: str
) -> dict[tuple[str, str], list[tuple[str, int | None]]]:
    """Return the prices of a detail by market and specifier."""
    prices = build_adapters()[platform].read_detail([detail_of(simulator, platform, external_id)]).prices
    markets: dict[tuple[str, str], list[tuple[str, int | None]]] = defaultdict(list)
    keys = zip(prices.repeat_per_outcome(prices.market_id), prices.repeat_per_outcome(prices.specifier), strict=True)
    for key, outcome in zip(keys, zip(prices.outcome_id, prices.odds_milli, strict=True), strict=True):
        markets[key].append(outcome)
    return markets


def test_prices_of_real_size_move_in_a_share_of_the_markets_each_time_in_others(start_simulator: Start) -> None:
    simulator = start_simulator(15, bodies="real")
    listings = [
        (Platform(name), ids[0])
        for fixture in simulator.fetch_truth()["fixtures"][:3]
        for name, ids in fixture["platforms"].items()
    ]
    before = [read_markets(simulator, *listing) for listing in listings]
    ever_moved: list[set[tuple[str, str]]] = [set() for _ in listings]
    for _ in range(2):
        assert simulator.move_prices(0.05) > 0
        after = [read_markets(simulator, *listing) for listing in listings]
        for number, (old, new) in enumerate(zip(before, after, strict=True)):
            assert new.keys() == old.keys()
            moved = {key for key in old if new[key] != old[key]}
            assert 0.03 * len(old) < len(moved) < 0.06 * len(old), "one in twenty, less the suspended"
            assert moved.isdisjoint(ever_moved[number])
            assert {
                odds - was
                for key in moved
                for (_, was), (_, odds) in zip(old[key], new[key], strict=True)
                if was and odds
            } == {10}
            ever_moved[number] |= moved
        before = after
    assert [read_markets(simulator, *listing) for listing in listings] == before, "they stand still in between"


def test_a_share_that_is_none_and_prices_that_move_with_the_clock_are_refused(start_simulator: Start) -> None:
    with pytest.raises(SimulatorError, match="must be above 0 and at most 1"):
        start_simulator(5, bodies="real").move_prices(1.5)
    with pytest.raises(SimulatorError, match="rendered prices move with the clock"):
        start_simulator(5).move_prices(0.05)
