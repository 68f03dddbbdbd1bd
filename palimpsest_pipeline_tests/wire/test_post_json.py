"""One POST of JSON: what counts as a yes, and that no failure shows the address."""

import asyncio
import json

import pytest

from palimpsest_pipeline.wire.post_json import PostError, post_json
from palimpsest_pipeline_tests.fixtures.loopback import Loopback, Responder, answering, cut_off, hang_up, silence

PATH = "/services/T1/hunter2"


async def posted(server: Loopback, payload: dict[str, object], timeout_s: float = 5) -> None:
    await asyncio.to_thread(post_json, f"{server.base_url}{PATH}?token=hunter3", payload, timeout_s=timeout_s)


@pytest.mark.parametrize("answer", [answering(200, b"ok", "text/plain"), answering(204, b""), cut_off])
async def test_what_is_posted_arrives_as_json_and_any_2xx_is_a_yes_whatever_becomes_of_its_body(
    answer: Responder,
) -> None:
    async with Loopback() as server:
        server.script(PATH, answer)
        await posted(server, {"text": "früh", "n": 1})
        assert [json.loads(body) for body in server.bodies] == [{"text": "früh", "n": 1}]
        assert server.requests[0].headers["content-type"] == "application/json"
        assert server.requests[0].query["token"] == "hunter3"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (
            answering(404, b"no_service for /services/T1/hunter2?token=hunter3"),
            "127.0.0.1 answered HTTP 404: no_service for ***",
        ),
        (answering(500, b""), "127.0.0.1 answered HTTP 500"),
        (answering(302, b"", location="http://127.0.0.1/hunter2"), "HTTP 302: redirects are not followed"),
        (hang_up, "127.0.0.1: RemoteProtocolError"),
        (silence, "no whole answer within 0.2 s"),
    ],
)
async def test_anything_else_is_a_failure_that_shows_no_address_and_is_not_tried_again(
    answer: Responder, says: str
) -> None:
    async with Loopback() as server:
        server.script(PATH, answer)
        with pytest.raises(PostError) as caught:
            await posted(server, {}, timeout_s=0.2 if answer is silence else 5)
        assert says in str(caught.value)
        assert "hunter" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert server.count_requests(PATH) == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/hunter2", "http://me:hunter2@127.0.0.1:1/x"])
def test_a_host_that_is_not_there_is_named_without_the_rest(url: str) -> None:
    with pytest.raises(PostError) as caught:
        post_json(url, {}, timeout_s=2)
    assert "hunter" not in str(caught.value)
