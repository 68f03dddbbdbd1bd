"""The client's budget, breaker and bookkeeping, against a real server."""

import asyncio
import base64
import itertools
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.domain.instants import Clock
from palimpsest_pipeline.domain.words import FailureClass, PayloadKind, Platform
from palimpsest_pipeline.wire import HostConfig, HostLimits, PlatformClient
from palimpsest_pipeline.wire.host import Pacer

from ..fixtures.loopback import Loopback, after, answering, silence
from .asking import QUICK, Waits, client, html_is_a_block, request


@pytest.fixture
async def host() -> AsyncIterator[Loopback]:
    async with Loopback() as server:
        yield server


async def test_no_more_requests_are_in_flight_than_the_budget_says_and_the_budget_is_used(host: Loopback) -> None:
    host.script("/events", after(0.005, answering()))
    async with client(host.base_url) as asking:
        results = await asyncio.gather(*(asking.fetch(request(params={"n": str(n)}), html_is_a_block) for n in range(40)))
    assert host.most_in_flight == QUICK.max_in_flight
    assert all(answers[-1].ok for answers in results)


async def test_a_request_waiting_for_its_next_try_keeps_nobody_waiting(host: Loopback) -> None:
    host.script("/bad", answering(500), answering())
    host.script("/good", answering())
    retry_now = asyncio.Event()

    async def until_told(_: float) -> None:
        await retry_now.wait()

    config = HostConfig(Platform.BETPAWA, host.base_url, {}, replace(QUICK, max_in_flight=1, backoff_initial_s=9, backoff_max_s=9))
    async with PlatformClient(config, Clock(), sleep=until_told) as asking, asyncio.timeout(5):
        bad = asyncio.create_task(asking.fetch(request("/bad"), html_is_a_block))
        await host.until_asked("/bad", 1)
        assert (await asking.fetch(request("/good"), html_is_a_block))[-1].ok
        assert not bad.done()
        retry_now.set()
        assert (await bad)[-1].ok


@settings(deadline=None)  # a busy machine is no failure
@given(gap=st.floats(0, 10), arrivals=st.lists(st.floats(0, 1000), min_size=2, max_size=30))
def test_starts_keep_their_distance_whenever_they_are_asked_for(gap: float, arrivals: list[float]) -> None:
    pacer = Pacer(gap)
    starts = [now + pacer.reserve(now) for now in sorted(arrivals)]
    assert all(b - a >= gap - 1e-6 for a, b in itertools.pairwise(starts))
    assert starts[0] == sorted(arrivals)[0]


async def test_the_client_keeps_the_least_gap_between_starts(host: Loopback) -> None:
    host.script("/events", answering())
    waits = Waits()
    async with client(host.base_url, replace(QUICK, min_gap_s=60), sleep=waits) as asking:
        await asyncio.gather(*(asking.fetch(request(), html_is_a_block) for _ in range(4)))
    assert waits == pytest.approx([60, 120, 180], abs=5)


async def test_a_pause_that_the_host_asks_for_holds_those_too_whose_start_was_near(host: Loopback) -> None:
    host.script("/refused", answering(429, Retry_After="30"), answering())
    host.script("/events", answering())
    waits: dict[str, list[float]] = {"refused": [], "next": []}
    told = asyncio.Event()

    async def sleep(seconds: float) -> None:
        task = asyncio.current_task()
        assert task is not None
        waits[task.get_name()].append(seconds)
        if task.get_name() == "refused":
            told.set()
        await told.wait()

    async with client(host.base_url, replace(QUICK, min_gap_s=5), sleep=sleep) as asking:
        refused = asyncio.create_task(asking.fetch(request("/refused"), html_is_a_block), name="refused")
        following = asyncio.create_task(asking.fetch(request(), html_is_a_block), name="next")
        await asyncio.gather(refused, following)
    start, instead = waits["next"]
    assert start == pytest.approx(5, abs=1)
    assert instead > 29


async def test_of_two_spellings_of_a_header_only_the_later_is_sent(host: Loopback) -> None:
    host.script("/events", answering())
    config = HostConfig(Platform.BETPAWA, host.base_url, {"user-agent": "ours", "User-Agent": "theirs"}, QUICK)
    async with PlatformClient(config, Clock()) as asking:
        await asking.fetch(request(), html_is_a_block)
    assert host.requests[0].headers.getall("user-agent") == ["theirs"]


async def test_content_from_an_edge_cache_is_as_old_as_it_says(host: Loopback) -> None:
    host.script("/events", answering(Age="42", cf_cache_status="HIT", set_cookie="a=b"))
    host.script("/odd", answering(Age="very"))
    async with client(host.base_url) as asking:
        (cached,) = await asking.fetch(request(), html_is_a_block)
        (odd,) = await asking.fetch(request("/odd"), html_is_a_block)
    assert cached.received_at - cached.observed_at == timedelta(seconds=42)
    assert odd.observed_at == odd.received_at
    assert cached.headers["cf-cache-status"] == "HIT"
    assert "set-cookie" not in cached.headers


async def test_after_blocked_answers_in_a_row_the_host_is_asked_no_more(host: Loopback) -> None:
    host.script("/block", answering(403))
    host.script("/good", answering())
    async with client(host.base_url, replace(QUICK, blocks_before_closing=2)) as asking:
        await asking.fetch(request("/block"), html_is_a_block)
        assert (await asking.fetch(request("/good"), html_is_a_block))[-1].ok
        await asking.fetch(request("/block"), html_is_a_block)
        assert asking.closed_because is None
        await asking.fetch(request("/block"), html_is_a_block)
        assert asking.closed_because == "blocked 2 times in a row, last by HTTP 403"
        (answer,) = await asking.fetch(request("/good"), html_is_a_block)
    assert (host.asked("/block"), host.asked("/good")) == (3, 1)
    assert (answer.attempt, answer.failure, answer.status, answer.body) == (0, FailureClass.BLOCKED, None, None)
    assert answer.failure_detail == "not asked: blocked 2 times in a row, last by HTTP 403"


async def test_requests_that_queue_when_the_host_closes_are_not_sent(host: Loopback) -> None:
    host.script("/events", answering(403))
    async with client(host.base_url, replace(QUICK, max_in_flight=1, blocks_before_closing=1)) as asking:
        results = await asyncio.gather(*(asking.fetch(request(), html_is_a_block) for _ in range(20)))
    assert host.asked("/events") == 1
    assert [answers[-1].attempt for answers in results] == [1] + [0] * 19


async def test_told_to_wait_longer_than_taken_on_the_host_is_closed_not_asked_early(host: Loopback) -> None:
    host.script("/events", answering(429, Retry_After="3600"))
    waits = Waits()
    async with client(host.base_url, sleep=waits) as asking:
        first = await asking.fetch(request(), html_is_a_block)
        second = await asking.fetch(request(), html_is_a_block)
    assert [a.failure for a in first] == [FailureClass.RATE_LIMITED]
    assert second[-1].failure_detail.startswith("not asked: told to wait 3600 s")
    assert host.asked("/events") == 1
    assert waits == []


async def test_each_attempt_is_reported_as_it_arrives_even_when_the_rest_is_cancelled(host: Loopback) -> None:
    host.script("/events", answering(500), silence)
    arrived: list[Answer] = []
    async with client(host.base_url) as asking:
        task = asyncio.create_task(asking.fetch(request(), html_is_a_block, arrived.append))
        await host.until_asked("/events", 2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert [(a.attempt, a.status) for a in arrived] == [(1, 500)]


async def test_parameters_body_and_headers_reach_the_host_as_given(host: Loopback) -> None:
    params = {"q": '{"a":"x y+z&=#%3A:ü"}', "productId": "1,3"}
    host.script("/p/api/events", answering())
    async with client(f"{host.base_url}/p/", x_pawa_brand="betpawa-nigeria") as asking:
        sent = request("/api/events", params=params, method="POST", json_body=b'[{"id":1}]')
        (answer,) = await asking.fetch(sent, html_is_a_block)
    (got,) = host.requests
    assert answer.request is sent
    assert dict(got.query) == params
    assert (got.method, host.bodies[0], got.headers["content-type"]) == ("POST", b'[{"id":1}]', "application/json")
    assert got.headers["x-pawa-brand"] == "betpawa-nigeria"


async def test_a_proxy_is_asked_in_place_of_the_host(host: Loopback) -> None:
    host.script("/events", answering(body=b'{"by":"proxy"}'))
    proxy = host.base_url.replace("http://", "http://user:secret@")
    async with client("http://platform.invalid", proxy=proxy) as asking:
        (answer,) = await asking.fetch(request(), html_is_a_block)
        assert "secret" not in repr(asking.config)
    assert answer.body == b'{"by":"proxy"}'
    assert host.requests[0].headers["host"] == "platform.invalid"
    assert host.requests[0].headers["proxy-authorization"] == "Basic " + base64.b64encode(b"user:secret").decode()


@pytest.mark.parametrize("path", ["events", "http://elsewhere.invalid/", "@elsewhere.invalid/"])
async def test_a_path_cannot_leave_the_host(host: Loopback, path: str) -> None:
    async with client(host.base_url) as asking:
        with pytest.raises(ValueError, match="must begin with"):
            await asking.fetch(request(path), html_is_a_block)


async def test_a_request_to_another_platform_is_refused(host: Loopback) -> None:
    async with client(host.base_url) as asking:
        with pytest.raises(ValueError, match="bet9ja"):
            await asking.fetch(Request(Platform.BET9JA, PayloadKind.TREE, "/events"), html_is_a_block)


@pytest.mark.parametrize("wrong", [{"max_in_flight": 0}, {"max_attempts": 0}, {"read_timeout_s": 0}, {"min_gap_s": -1}])
def test_a_budget_that_could_never_work_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        HostLimits(**{**{f: getattr(QUICK, f) for f in QUICK.__slots__}, **wrong})  # type: ignore[arg-type]
