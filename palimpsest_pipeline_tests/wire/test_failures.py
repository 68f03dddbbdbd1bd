"""What an answer or an error means, against a real server."""

import gzip
import ssl
import subprocess
from asyncio import StreamReader, StreamWriter, start_server
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import httpx
import pytest
from aiohttp import web

from palimpsest_pipeline.domain.enums import FailureClass
from palimpsest_pipeline.wire import failures, library_errors
from palimpsest_pipeline.wire.retry_rules import FAILURE_RULES
from palimpsest_pipeline_tests.fixtures.loopback import Loopback, Responder, answering, cut_off, drip, hang_up, silence

from .asking import client, request, send_request

GOOD = answering()
BLOCK_PAGE = answering(403, b"<html>Access denied</html>", "text/html")
SOON = format_datetime(datetime.now(UTC) - timedelta(seconds=5), usegmt=True)
SELF_SIGNED = [
    "openssl",
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-subj",
    "/CN=localhost",
]
HASTE = {silence: {"read_timeout_s": 0.05}, drip: {"total_timeout_s": 0.2}}
"""For those whose time must run out. Others have theirs: a machine that halts for a moment is no verdict."""


@pytest.fixture
async def host() -> AsyncIterator[Loopback]:
    async with Loopback() as server:
        yield server


F = FailureClass


@pytest.mark.parametrize(
    ("responder", "verdict", "said"),
    [
        (GOOD, None, ""),
        (answering(400), F.PERMANENT, "HTTP 400"),
        (BLOCK_PAGE, F.BLOCKED, "HTTP 403"),
        (answering(200, b"<html>who are you?</html>", "text/html"), F.BLOCKED, "HTML in place of JSON"),
        (answering(200, b""), F.CONTRACT_BROKEN, "empty body"),
        (
            answering(301, location="http://elsewhere.invalid/"),
            F.CONTRACT_BROKEN,
            "redirect to 'http://elsewhere.invalid/' refused",
        ),
        (answering(503), F.TRANSIENT, "HTTP 503"),
        (answering(429, Retry_After="0"), F.RATE_LIMITED, ""),
        (answering(429, Retry_After=SOON), F.RATE_LIMITED, ""),
        (answering(429), F.RATE_LIMITED, "HTTP 429"),
        (cut_off, F.TRANSIENT, ""),
        (hang_up, F.TRANSIENT, ""),
        (silence, F.TRANSIENT, ""),
        (drip, F.TRANSIENT, "no whole answer within"),
        (answering(200, gzip.compress(b'{"ok":true}')[:-9], content_encoding="gzip"), F.TRANSIENT, ""),
        (answering(200, b"?", content_encoding="br"), F.CONTRACT_BROKEN, "content-encoding 'br'"),
        (answering(200, gzip.compress(b"{}"), content_encoding="gzip, gzip"), F.CONTRACT_BROKEN, "content-encoding"),
    ],
)
async def test_what_an_answer_is_worth_is_typed_and_in_words(
    host: Loopback, responder: Responder, verdict: FailureClass | None, said: str
) -> None:
    host.script("/events", responder)
    async with client(host.base_url, **HASTE.get(responder, {})) as asking:
        answer = await send_request(asking)
    assert (answer.failure, answer.attempt) == (verdict, 1)
    assert said in answer.failure_detail
    assert host.count_requests("/events") == 1, "an attempt is one request"


async def test_a_gzip_body_arrives_unpacked_and_whole_members_in_a_row_too(host: Loopback) -> None:
    host.script("/events", answering(200, gzip.compress(b'{"a":') + gzip.compress(b"1}"), content_encoding="gzip"))
    async with client(host.base_url) as asking:
        answer = await send_request(asking)
    assert answer.body == b'{"a":1}'
    assert host.requests[0].headers["accept-encoding"] == "gzip"


async def test_a_body_exactly_as_long_as_the_cap_is_taken(host: Loopback) -> None:
    host.script("/plain", answering(200, b"x" * 100_000))
    host.script("/packed", answering(200, gzip.compress(b"x" * 100_000), content_encoding="gzip"))
    async with client(host.base_url) as asking:
        for path in ("/plain", "/packed"):
            answer = await send_request(asking, path)
            assert answer.ok
            assert len(answer.body or b"") == 100_000


async def test_the_body_of_a_refusal_is_kept_as_evidence(host: Loopback) -> None:
    host.script("/events", BLOCK_PAGE)
    async with client(host.base_url) as asking:
        answer = await send_request(asking)
    assert (answer.status, answer.body, answer.ok) == (403, b"<html>Access denied</html>", False)


async def test_a_redirect_reaches_no_other_host(host: Loopback) -> None:
    async with Loopback() as other:
        host.script("/events", answering(302, location=f"{other.base_url}/events"))
        async with client(host.base_url) as asking:
            answer = await send_request(asking)
        assert answer.failure is FailureClass.CONTRACT_BROKEN
        assert other.requests == []


async def test_a_host_that_is_not_there_is_an_answer_too() -> None:
    async with Loopback() as gone:
        base_url = gone.base_url
    async with client(base_url) as asking:
        answer = await send_request(asking)
    assert (answer.failure, answer.status, answer.body) == (FailureClass.TRANSIENT, None, None)


async def test_an_error_nobody_foresaw_is_permanent_and_names_its_class() -> None:
    async def talk_nonsense(reader: StreamReader, writer: StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"\x00\x01 this is no HTTP\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await start_server(talk_nonsense, "127.0.0.1", 0)
    async with server, client(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as asking:
        answer = await send_request(asking)
    assert answer.failure is FailureClass.PERMANENT
    assert "ClientResponseError" in answer.failure_detail


async def test_a_certificate_that_nobody_vouches_for_is_refused_and_not_tried_again(tmp_path: Path) -> None:
    subprocess.run(  # noqa: ASYNC221
        [*SELF_SIGNED, "-keyout", tmp_path / "key.pem", "-out", tmp_path / "certificate.pem"],
        check=True,
        capture_output=True,
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")
    app = web.Application()
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    async with client(f"https://127.0.0.1:{runner.addresses[0][1]}") as asking:
        answer = await send_request(asking)
    await runner.cleanup()
    assert answer.failure is FailureClass.PERMANENT
    assert "certificate" in answer.failure_detail


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (httpx.ConnectError("refused"), FailureClass.TRANSIENT),
        (httpx.ConnectTimeout("slow"), FailureClass.TRANSIENT),
        (httpx.ReadTimeout("slow"), FailureClass.TRANSIENT),
        (httpx.RemoteProtocolError("cut"), FailureClass.TRANSIENT),
        (httpx.ProxyError("down"), FailureClass.TRANSIENT),
        (ConnectionResetError("reset"), FailureClass.TRANSIENT),
        (httpx.UnsupportedProtocol("gopher"), FailureClass.PERMANENT),
        (httpx.LocalProtocolError("bad header"), FailureClass.PERMANENT),
        (httpx.TooManyRedirects("no"), FailureClass.PERMANENT),
    ],
)
def test_errors_of_the_network_are_worth_another_try_and_our_own_are_not(
    error: Exception, expected: FailureClass
) -> None:
    failure, detail = library_errors.classify_error(error)
    assert failure is expected
    assert type(error).__name__ in detail


async def test_what_the_judge_raises_is_a_bug_and_passed_on(host: Loopback) -> None:
    def broken(_: object) -> None:
        raise KeyError("bizCode")

    host.script("/events", GOOD)
    async with client(host.base_url) as asking:
        with pytest.raises(KeyError, match="bizCode"):
            await asking.send(request(), 1, broken)


def test_every_failure_class_has_its_rule() -> None:
    assert FAILURE_RULES.keys() == set(FailureClass)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        (" 7 ", 7),
        ("-3", None),
        ("soon", None),
        (None, None),
        ("Fri, 26 Jun 2026 19:00:30 GMT", 30),
        ("Fri, 26 Jun 2026 18:00:00 GMT", 0),
    ],
)
def test_retry_after_is_read_as_seconds_or_date_and_never_negative(value: str | None, seconds: float | None) -> None:
    headers = {} if value is None else {"retry-after": value}
    assert failures.parse_retry_after_s(headers, datetime(2026, 6, 26, 19, 0, 0, tzinfo=UTC)) == seconds
