"""What the client sends and what it says of an answer, against a real server."""

import asyncio
import base64
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from palimpsest_pipeline.domain.enums import FailureClass, PayloadKind
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.domain.instants import Clock
from palimpsest_pipeline.wire import HostConfig
from palimpsest_pipeline.wire.client import PlatformClient
from palimpsest_pipeline_tests.fixtures.loopback import Loopback, answering, hang_up, silence
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA

from .asking import client, html_is_a_block, request, send_request


@pytest.fixture
async def host() -> AsyncIterator[Loopback]:
    async with Loopback() as server:
        yield server


async def test_of_two_spellings_of_a_header_only_the_later_is_sent(host: Loopback) -> None:
    host.script("/events", answering())
    config = HostConfig(BETPAWA, host.base_url, {"user-agent": "ours", "User-Agent": "theirs"})
    async with PlatformClient(config, Clock()) as asking:
        await send_request(asking)
    assert host.requests[0].headers.getall("user-agent") == ["theirs"]


async def test_nothing_is_asked_on_condition_and_nothing_of_an_answer_comes_back(host: Loopback) -> None:
    host.script(
        "/events", answering(ETag='"1"', Last_Modified="Fri, 26 Jun 2026 18:00:00 GMT", Set_Cookie="known=1; Path=/")
    )
    async with client(host.base_url) as asking:
        for attempt in (1, 2):
            assert (await send_request(asking, attempt=attempt)).ok
    names = {name.lower() for name in host.requests[1].headers}
    assert not names & {"cookie", "if-none-match", "if-modified-since", "if-range"}
    assert host.requests[1].headers.keys() == host.requests[0].headers.keys()


async def test_a_kept_connection_that_breaks_is_a_failed_attempt_and_not_asked_again_by_itself(host: Loopback) -> None:
    host.script("/events", answering(), hang_up, answering())
    async with client(host.base_url) as asking:
        answers = [await send_request(asking, attempt=attempt) for attempt in (1, 2, 3)]
    assert [answer.failure for answer in answers] == [None, FailureClass.TRANSIENT, None]
    assert host.count_requests("/events") == 3


async def test_content_from_an_edge_cache_is_as_old_as_it_says(host: Loopback) -> None:
    host.script("/events", answering(Age="42", cf_cache_status="HIT", set_cookie="a=b"))
    host.script("/odd", answering(Age="very"))
    async with client(host.base_url) as asking:
        cached = await send_request(asking)
        odd = await send_request(asking, "/odd")
    assert cached.received_at - cached.observed_at == timedelta(seconds=42)
    assert odd.observed_at == odd.received_at
    assert cached.headers["cf-cache-status"] == "HIT"
    assert "set-cookie" not in cached.headers


async def test_parameters_body_and_headers_reach_the_host_as_given(host: Loopback) -> None:
    params = {"q": '{"a":"x y+z&=#%3A:ü"}', "productId": "1,3"}
    host.script("/p/api/events", answering())
    async with client(f"{host.base_url}/p/", x_pawa_brand="betpawa-nigeria") as asking:
        sent = request("/api/events", params=params, method="POST", json_body=b'[{"id":1}]')
        answer = await asking.send(sent, 1, html_is_a_block)
    (got,) = host.requests
    assert answer.request is sent
    assert dict(got.query) == params
    assert (got.method, host.bodies[0], got.headers["content-type"]) == ("POST", b'[{"id":1}]', "application/json")
    assert got.headers["x-pawa-brand"] == "betpawa-nigeria"


async def test_a_proxy_is_asked_in_place_of_the_host(host: Loopback) -> None:
    host.script("/events", answering(body=b'{"by":"proxy"}'))
    proxy = host.base_url.replace("http://", "http://user:secret@")
    async with client("http://platform.invalid", proxy=proxy) as asking:
        answer = await send_request(asking)
        assert "secret" not in repr(asking.config)
    assert answer.body == b'{"by":"proxy"}'
    assert host.requests[0].headers["host"] == "platform.invalid"
    assert host.requests[0].headers["proxy-authorization"] == "Basic " + base64.b64encode(b"user:secret").decode()


@pytest.mark.parametrize("path", ["events", "http://elsewhere.invalid/", "@elsewhere.invalid/"])
async def test_a_path_cannot_leave_the_host(host: Loopback, path: str) -> None:
    async with client(host.base_url) as asking:
        with pytest.raises(ValueError, match="must begin with"):
            await send_request(asking, path)


async def test_a_request_to_another_platform_is_refused(host: Loopback) -> None:
    async with client(host.base_url) as asking:
        with pytest.raises(ValueError, match="bet9ja"):
            await asking.send(Request(BET9JA, PayloadKind.TREE, "/events"), 1, html_is_a_block)


async def test_an_answer_says_which_attempt_it_is(host: Loopback) -> None:
    host.script("/events", answering(500), answering())
    async with client(host.base_url) as asking:
        answers = [await send_request(asking, attempt=n) for n in (1, 2)]
    assert [(answer.attempt, answer.status) for answer in answers] == [(1, 500), (2, 200)]


async def test_an_attempt_that_is_cancelled_leaves_the_client_usable(host: Loopback) -> None:
    host.script("/events", silence)
    host.script("/good", answering())
    async with client(host.base_url) as asking:
        task = asyncio.create_task(send_request(asking))
        await host.wait_for_requests("/events", 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await send_request(asking, "/good")).ok


@pytest.mark.parametrize(
    "wrong", [{"read_timeout_s": 0}, {"connect_timeout_s": -1}, {"total_timeout_s": 0}, {"max_body_bytes": 0}]
)
def test_a_client_that_could_never_have_an_answer_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        HostConfig(BETPAWA, "http://127.0.0.1", {}, **wrong)  # type: ignore[arg-type]


async def test_the_dialect_says_what_a_refusal_of_its_sites_edge_means(host: Loopback) -> None:
    def judge(answer: Answer) -> tuple[FailureClass, str] | None:
        return (FailureClass.SESSION_EXPIRED, "renew it") if answer.status == 403 else None

    host.script("/events", answering(403, b"<html>denied</html>", "text/html"), answering(503, b"<html>busy</html>"))
    async with client(host.base_url) as asking:
        answers = [await asking.send(request(), attempt, judge) for attempt in (1, 2)]
    assert [(answer.failure, answer.failure_detail) for answer in answers] == [
        (FailureClass.SESSION_EXPIRED, "renew it"),
        (FailureClass.TRANSIENT, "HTTP 503"),
    ]
