"""What an answer or an error means, and how often it is tried, against a real server."""

import gzip
import ssl
import subprocess
from asyncio import StreamReader, StreamWriter, start_server
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import httpx
import pytest
from aiohttp import web

from palimpsest_pipeline.domain.words import FailureClass
from palimpsest_pipeline.wire import failures
from palimpsest_pipeline.wire.rules import RULES

from ..fixtures.loopback import Loopback, Responder, answering, cut_off, drip, hang_up, silence
from .asking import QUICK, Waits, client, html_is_a_block, request

GOOD = answering()
BLOCK_PAGE = answering(403, b"<html>Access denied</html>", "text/html")
SOON = format_datetime(datetime.now(UTC) - timedelta(seconds=5), usegmt=True)
SELF_SIGNED = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=localhost"]
BOMB = gzip.compress(bytes(5_000_000))


@pytest.fixture
async def host() -> AsyncIterator[Loopback]:
    async with Loopback() as server:
        yield server


F = FailureClass


@pytest.mark.parametrize(
    ("responders", "verdict", "attempts", "said"),
    [
        ([GOOD], None, 1, ""),
        ([answering(404)], F.NOT_FOUND, 1, "HTTP 404"),
        ([answering(410)], F.NOT_FOUND, 1, "HTTP 410"),
        ([answering(400)], F.PERMANENT, 1, "HTTP 400"),
        ([BLOCK_PAGE], F.BLOCKED, 1, "HTTP 403"),
        ([answering(200, b"<html>who are you?</html>", "text/html")], F.BLOCKED, 1, "HTML in place of JSON"),
        ([answering(202, b"")], F.BLOCKED, 1, "empty body"),
        ([answering(200, b"")], F.CONTRACT_BROKEN, 1, "empty body"),
        ([answering(301, location="http://elsewhere.invalid/")], F.CONTRACT_BROKEN, 1, "redirect to 'http://elsewhere.invalid/' refused"),
        ([answering(304, b"")], F.CONTRACT_BROKEN, 1, "HTTP 304"),
        ([answering(500), GOOD], None, 2, ""),
        ([answering(503)], F.TRANSIENT, 3, "HTTP 503"),
        ([answering(408), answering(502), GOOD], None, 3, ""),
        ([answering(429, Retry_After="0"), GOOD], None, 2, ""),
        ([answering(429, Retry_After=SOON), GOOD], None, 2, ""),
        ([answering(429)], F.RATE_LIMITED, 3, "HTTP 429"),
        ([cut_off, GOOD], None, 2, ""),
        ([cut_off], F.TRANSIENT, 3, ""),
        ([hang_up], F.TRANSIENT, 3, ""),
        ([silence], F.TRANSIENT, 3, ""),
        ([drip], F.TRANSIENT, 3, "no whole answer within"),
        ([answering(200, BOMB, content_encoding="gzip")], F.CONTRACT_BROKEN, 1, "body over 100000 bytes"),
        ([answering(200, bytes(100_001))], F.CONTRACT_BROKEN, 1, "body over 100000 bytes"),
        ([answering(200, gzip.compress(b'{"ok":true}')[:-9], content_encoding="gzip"), GOOD], None, 2, ""),
        ([answering(200, b"never packed", content_encoding="gzip")], F.CONTRACT_BROKEN, 1, "not gzip"),
        ([answering(200, b"?", content_encoding="br")], F.CONTRACT_BROKEN, 1, "content-encoding 'br'"),
        ([answering(200, gzip.compress(b"{}"), content_encoding="gzip, gzip")], F.CONTRACT_BROKEN, 1, "content-encoding"),
    ],
)
async def test_the_class_of_an_answer_alone_decides_how_often_it_is_asked(
    host: Loopback, responders: Sequence[Responder], verdict: FailureClass | None, attempts: int, said: str
) -> None:
    host.script("/events", *responders)
    async with client(host.base_url, replace(QUICK, read_timeout_s=0.05, total_timeout_s=0.2)) as asking:
        answers = await asking.fetch(request(), html_is_a_block)
    assert [a.attempt for a in answers] == list(range(1, attempts + 1))
    assert answers[-1].failure is verdict
    assert said in answers[-1].failure_detail
    # The library may repeat by itself a request that a kept connection lost before any answer.
    assert host.asked("/events") >= attempts


async def test_a_gzip_body_arrives_unpacked_and_whole_members_in_a_row_too(host: Loopback) -> None:
    host.script("/events", answering(200, gzip.compress(b'{"a":') + gzip.compress(b"1}"), content_encoding="gzip"))
    async with client(host.base_url) as asking:
        (answer,) = await asking.fetch(request(), html_is_a_block)
    assert answer.body == b'{"a":1}'
    assert host.requests[0].headers["accept-encoding"] == "gzip"


async def test_a_body_exactly_as_long_as_the_cap_is_taken(host: Loopback) -> None:
    host.script("/plain", answering(200, b"x" * 100_000))
    host.script("/packed", answering(200, gzip.compress(b"x" * 100_000), content_encoding="gzip"))
    async with client(host.base_url) as asking:
        for path in ("/plain", "/packed"):
            (answer,) = await asking.fetch(request(path), html_is_a_block)
            assert answer.ok
            assert len(answer.body or b"") == 100_000


async def test_the_body_of_a_refusal_is_kept_as_evidence(host: Loopback) -> None:
    host.script("/events", BLOCK_PAGE)
    async with client(host.base_url) as asking:
        (answer,) = await asking.fetch(request(), html_is_a_block)
    assert (answer.status, answer.body, answer.ok) == (403, b"<html>Access denied</html>", False)


async def test_a_redirect_reaches_no_other_host(host: Loopback) -> None:
    async with Loopback() as other:
        host.script("/events", answering(302, location=f"{other.base_url}/events"))
        async with client(host.base_url) as asking:
            (answer,) = await asking.fetch(request(), html_is_a_block)
        assert answer.failure is FailureClass.CONTRACT_BROKEN
        assert other.requests == []


async def test_a_host_that_is_not_there_is_tried_again_then_reported() -> None:
    async with Loopback() as gone:
        base_url = gone.base_url
    async with client(base_url) as asking:
        answers = await asking.fetch(request(), html_is_a_block)
    assert [(a.failure, a.status, a.body) for a in answers] == [(FailureClass.TRANSIENT, None, None)] * 3


async def test_an_error_nobody_foresaw_is_permanent_and_names_its_class() -> None:
    async def talk_nonsense(reader: StreamReader, writer: StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"\x00\x01 this is no HTTP\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await start_server(talk_nonsense, "127.0.0.1", 0)
    async with server, client(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as asking:
        (answer,) = await asking.fetch(request(), html_is_a_block)
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
        (answer,) = await asking.fetch(request(), html_is_a_block)
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
def test_errors_of_the_network_are_worth_another_try_and_our_own_are_not(error: Exception, expected: FailureClass) -> None:
    failure, detail = failures.of_error(error)
    assert failure is expected
    assert type(error).__name__ in detail


async def test_what_the_judge_raises_is_a_bug_and_passed_on(host: Loopback) -> None:
    def broken(_: object) -> None:
        raise KeyError("bizCode")

    host.script("/events", GOOD)
    async with client(host.base_url) as asking:
        with pytest.raises(KeyError, match="bizCode"):
            await asking.fetch(request(), broken)


def test_every_failure_class_has_its_rule() -> None:
    assert RULES.keys() == set(FailureClass)


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
    assert failures.retry_after_s(headers, datetime(2026, 6, 26, 19, 0, 0, tzinfo=UTC)) == seconds


async def test_a_wait_that_the_host_names_is_kept_before_the_next_try(host: Loopback) -> None:
    waits = Waits()
    host.script("/events", answering(429, Retry_After="1"), GOOD)
    async with client(host.base_url, sleep=waits) as asking:
        answers = await asking.fetch(request(), html_is_a_block)
    assert [a.failure for a in answers] == [FailureClass.RATE_LIMITED, None]
    assert waits[0] == 1
    # The clock of the pacer has not moved on, as nobody slept: it holds the whole host for that second too.
    assert waits[1] == pytest.approx(1, abs=0.5)


async def test_back_off_doubles_up_to_its_limit_without_jitter_and_stays_below_it_with(host: Loopback) -> None:
    host.script("/events", answering(500))
    steady = replace(QUICK, max_attempts=5, backoff_initial_s=1, backoff_max_s=4, jitter=False)
    waits = Waits()
    async with client(host.base_url, steady, sleep=waits) as asking:
        await asking.fetch(request(), html_is_a_block)
    assert waits == [1, 2, 4, 4]
    jittered = Waits()
    async with client(host.base_url, replace(steady, jitter=True), sleep=jittered) as asking:
        await asking.fetch(request(), html_is_a_block)
    assert all(0 <= drawn <= bound for drawn, bound in zip(jittered, waits, strict=True))
    assert jittered != waits
