"""The result of one POST to a webhook. What counts as a success is tested with `post_json`."""

from datetime import UTC, datetime

import pytest

from palimpsest_pipeline.wire.webhook import WebhookAnswer, WebhookClient, parse_retry_after_s
from palimpsest_pipeline_tests.fixtures.loopback import Loopback, answering, hang_up

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("30", 30.0),
        ("0", 0.0),
        ("Fri, 01 May 2026 12:00:30 GMT", 30.0),
        ("Fri, 01 May 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-1", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None):
    assert parse_retry_after_s(value, NOW) == seconds


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
