"""No text that leaves the wire shows credentials of a proxy or the value of a header, whatever goes wrong."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palimpsest_pipeline.domain.proxy import Proxy
from palimpsest_pipeline.domain.secrets import list_store_secrets, redact
from palimpsest_pipeline.landing.schema import build_frame
from palimpsest_pipeline.wire import HostConfig
from palimpsest_pipeline_tests.fixtures.loopback import Loopback, answering
from palimpsest_pipeline_tests.fixtures.platforms import BETPAWA

from .asking import Clock, PlatformClient, send_request

USER, PASSWORD = "marker-user", "marker p@ss/word"
LEAKS = ("marker", base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode(), base64.b64encode(b"marker").decode()[:8])
CREDENTIALS = f"{quote(USER)}:{quote(PASSWORD, safe='')}"


@asynccontextmanager
async def proxy_that_answers(answer: bytes, *, echo: bool = False) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Host and port of a proxy that refuses what it is asked, and the heads of the requests that reached it."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        body = heads[-1] * echo
        writer.write(answer + f"\r\ncontent-type: text/plain\r\ncontent-length: {len(body)}\r\nlocation: ".encode())
        writer.write((f"http://{CREDENTIALS}@elsewhere/".encode() if echo else b"/") + b"\r\n\r\n" + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", heads


def client(base_url: str, place: str) -> PlatformClient:
    proxy = Proxy.from_url(f"http://{CREDENTIALS}@{place}")
    headers = {"cookie": "session=marker-cookie", "accept": "*/*"}
    return PlatformClient(
        HostConfig(BETPAWA, base_url, headers, proxy, 2, 2, 5, 100_000, ("session=marker-cookie",)), Clock()
    )


@pytest.mark.parametrize("base_url", ["https://platform.invalid", "http://platform.invalid"])
@pytest.mark.parametrize(
    "status",
    [b"407 Proxy Authentication Required", b"502 marker-user:marker p@ss/word", b"403 Forbidden", b"302 Found"],
)
async def test_a_proxy_that_refuses_is_told_of_without_its_credentials(base_url: str, status: bytes) -> None:
    async with (
        proxy_that_answers(b"HTTP/1.1 " + status, echo=True) as (place, heads),
        client(base_url, place) as asking,
    ):
        answer = await send_request(asking)
    assert base64.b64encode(f"{USER}:{PASSWORD}".encode()) in heads[0]  # it was told who asks
    assert answer.failure is not None
    kept = f"{answer.failure_detail} {answer.headers} {answer.body!r} {build_frame(1, [answer]).to_dicts()}"
    assert not [leak for leak in LEAKS if leak in kept], kept
    assert asking.config.proxy is not None
    assert asking.config.proxy.url == f"http://{place}"
    assert "marker" not in repr(asking.config)


async def test_a_proxy_s_credentials_never_reach_the_host_behind_its_tunnel() -> None:
    async with (
        proxy_that_answers(b"HTTP/1.1 200 OK") as (place, heads),
        client("https://platform.invalid", place) as asking,
    ):
        await send_request(asking)  # what comes next is no TLS
    assert [head.split(b" ", 1)[0] for head in heads] == [b"CONNECT"]
    assert b"marker-cookie" not in heads[0]  # what is the host's is not the proxy's


async def test_a_proxy_that_is_not_there_is_named_without_its_credentials() -> None:
    async with client("https://platform.invalid", "127.0.0.1:1") as asking:
        answer = await send_request(asking)
    assert "127.0.0.1:1" in answer.failure_detail
    assert "marker" not in answer.failure_detail


@pytest.mark.parametrize(
    "url",
    [
        "http://marker:marker@proxy:port",
        "http://marker:marker@proxy:99999",
        "socks5://marker:marker@proxy:1",
        "marker",
        "http://mar/ker@marker:80",
    ],
)
def test_a_proxy_s_url_that_cannot_be_used_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ValueError, match="is not the URL of a proxy") as refused:
        Proxy.from_url(url)
    assert "mar" not in str(refused.value)


@given(st.text(min_size=8))
def test_a_secret_is_hidden_raw_encoded_and_decoded(secret: str) -> None:
    encoded = quote(secret, safe="")
    assert secret not in redact(f"said {secret} twice {secret}", secret)
    assert encoded not in redact(f"url={encoded}", secret)
    assert secret not in redact(f"said {secret}", encoded)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("url='http://user:pass@proxy:8080'", "url='http://***@proxy:8080'"),
        ("cannot reach redis://:p%40ss@h:1/0 at all", "cannot reach redis://***@h:1/0 at all"),
        ("url='http://user:pa/ss@127.0.0.1:80' refused", "url='http://***@127.0.0.1:80' refused"),
        ("http://user:p@ss/w@host", "http://***@host"),
        ("http://user:p?a#s@host/path", "http://***@host/path"),
        (
            "https://example.com answers, write to me@example.com",
            "https://example.com answers, write to me@example.com",
        ),
        (
            '{"url":"https://example.com/a","mail":"me@example.com"}',
            '{"url":"https://example.com/a","mail":"me@example.com"}',
        ),
        ("file:///home/me@example.com/landing", "file:///home/me@example.com/landing"),
        (
            "write redis://:PASSWORD@HOST:6379/0 or http://user:password@host",
            "write redis://:PASSWORD@HOST:6379/0 or http://user:password@host",
        ),
        ("http://user:password@host:secret@proxy", "http://***@proxy"),
        ("cannot reach postgresql://me:***@host/db", "cannot reach postgresql://me:***@host/db"),
        ("http://me:***@host:secret@proxy", "http://***@proxy"),
        ("abfss://container@account.dfs.core.windows.net/x", "abfss://container@account.dfs.core.windows.net/x"),
        ("mail me@example.com", "mail me@example.com"),
    ],
)
def test_credentials_are_hidden_in_every_url_and_the_rest_stays(text: str, shown: str) -> None:
    assert redact(text) == shown


def test_a_short_secret_is_hidden_as_a_word_and_does_not_blot_out_others() -> None:
    assert redact("pass refused: compass, pass!", "pass") == "*** refused: compass, ***!"
    assert redact("a secret of one letter", "a") == "a secret of one letter"


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "FSSPEC_S3_ENDPOINT_URL"])
def test_the_password_in_the_address_of_an_object_store_is_a_secret(name: str) -> None:
    secrets = list_store_secrets({name: "http://minio:mar%2Fker@minio:9000", "AWS_REGION": "us-east-1"})
    assert (
        redact("minio refused mar%2Fker and mar/ker in us-east-1", *secrets) == "minio refused *** and *** in us-east-1"
    )


async def test_an_answer_s_json_stays_as_it_came_even_where_it_holds_a_secret() -> None:
    async with Loopback() as host:
        host.script(
            "/events",
            answering(body=b'{"name":"marker-cookie"}'),
            answering(status=500, body=b"you sent marker-cookie"),
        )
        config = HostConfig(BETPAWA, host.base_url, {}, None, 2, 2, 5, 100_000, ("marker-cookie",))
        async with PlatformClient(config, Clock()) as asking:
            assert (await send_request(asking)).body == b'{"name":"marker-cookie"}'
            assert (await send_request(asking)).body == b"you sent ***"
