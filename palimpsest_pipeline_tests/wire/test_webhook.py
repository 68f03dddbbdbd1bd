"""The result of one POST to a webhook. What counts as a success is tested with `post_json`."""

import pytest

from palimpsest_pipeline.wire.webhook import WebhookAnswer, WebhookClient, is_usable_address
from palimpsest_pipeline_tests.fixtures.loopback import Loopback, answering, hang_up

BAD_ADDRESSES = (
    "https://[abc",
    "http://h:99999/",
    "http://h:x/",
    "http://h:0/",
    f"https://{'a' * 300}/",
    f"https://{'.'.join(['a' * 60] * 6)}/",
    "http://",
    "https:///x",
    "http://a..b/",
    "http://h/\n",
    "http://\u2100/",
    "ftp://h/",
    "hooks.example.com/x",
    "http://xn--/",
    "",
)
GOOD_ADDRESSES = (
    "https://hooks.example.com/services/T0/B0/x",
    "http://127.0.0.1:8080/hook?a=1",
    "http://[::1]:8/x",
    "https://münchen.example/ü",
    "HTTPS://h.",
    "http://my_host:80",
)


def test_an_address_is_usable_when_a_request_can_be_sent_to_it():
    assert [url for url in BAD_ADDRESSES if is_usable_address(url)] == []
    assert [url for url in GOOD_ADDRESSES if not is_usable_address(url)] == []


@pytest.mark.parametrize("url", BAD_ADDRESSES)
async def test_a_bad_address_is_a_result_and_no_exception(url: str):
    async with WebhookClient(5) as client:
        answer = await client.post(url, b"{}", {})
    assert answer.status is None
    assert answer.detail


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("Mon, 01 Jan 2024 00:00:00 +99999999999999999999", None), ("soon", None), ("9" * 400, None), ("30", 30.0)],
)
async def test_a_retry_after_that_cannot_be_read_is_none(value: str, seconds: float | None):
    async with Loopback() as server, WebhookClient(5) as client:
        server.script("/hook", answering(503, retry_after=value))
        answer = await client.post(f"{server.base_url}/hook", b"{}", {})
    assert (answer.status, answer.retry_after_s) == (503, seconds)


async def test_the_bytes_and_headers_arrive_and_the_answer_is_a_value():
    async with Loopback() as server, WebhookClient(5) as client:
        server.script("/hook", answering(200), answering(429, b"slow down", retry_after="7"), hang_up)
        url = f"{server.base_url}/hook?token=hunter2"
        answers = [await client.post(url, b'{"n":1}', {"webhook-id": "a"}) for _ in range(3)]
    assert server.bodies[0] == b'{"n":1}'
    assert server.requests[0].headers["webhook-id"] == "a"
    assert answers[0] == WebhookAnswer(200, "")
    assert answers[1] == WebhookAnswer(429, "127.0.0.1 answered HTTP 429: slow down", 7.0)
    assert answers[2].status is None
    assert [answer.is_success for answer in answers] == [True, False, False]
    assert "hunter2" not in "".join(answer.detail for answer in answers)
