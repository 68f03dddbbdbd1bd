"""Every class of failure by real dialects over real HTTP; and that an answer read again from what is kept of it is
judged like the live one.
"""

import gzip
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from palimpsest_pipeline.domain.enums import FailureClass, PayloadKind, Platform
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.domain.instants import Clock
from palimpsest_pipeline.wire import HostConfig
from palimpsest_pipeline.wire.client import PlatformClient
from palimpsest_pipeline_tests.fixtures.loopback import Loopback, Responder, answering
from palimpsest_pipeline_tests.fixtures.platforms import PLATFORMS, build_adapters

F, K = FailureClass, PayloadKind
ADAPTERS = build_adapters()
HTML = "text/html; charset=UTF-8"
MOMENT = b"<!DOCTYPE html><html><head><title>Just a moment...</title></head></html>"
CHL = b'<html><body><form id="challenge-form" action="/?__cf_chl_tk=x" class="cf-chl-form"></form></body></html>'
SCRIPT = b'<html><script src="/cdn-cgi/challenge-platform/h/b/orchestrate/chl_page/v1"></script></html>'
PLAIN_PAGE = b"<html><h1>502 Bad Gateway</h1></html>"
CUT_JSON = gzip.compress(b'{"id": "1", "bizCode": 10000, "R": "OK", "data": {"eventId": "sr:mat')
AMAZON = answering(405, b"", HTML, x_amzn_waf_action="captcha")


@pytest.fixture
async def host() -> AsyncIterator[Loopback]:
    async with Loopback() as server:
        yield server


async def asked(host: Loopback, platform: Platform, kind: PayloadKind, responder: Responder) -> Answer:
    host.script("/question", responder)
    config = HostConfig(platform, host.base_url, ADAPTERS[platform].build_headers(), max_body_bytes=100_000)
    async with PlatformClient(config, Clock()) as client:
        return await client.send(Request(platform, kind, "/question"), 1, ADAPTERS[platform].judge)


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize(
    ("kind", "responder", "failure"),
    [
        (K.DETAIL, answering(404), F.NOT_FOUND),
        (K.DETAIL, answering(410), F.NOT_FOUND),
        (K.LISTING, answering(404), F.CONTRACT_BROKEN),
        (K.TREE, answering(410), F.CONTRACT_BROKEN),
        (K.LISTING, answering(408), F.TRANSIENT),
        (K.DETAIL, answering(500), F.TRANSIENT),
        (K.DETAIL, answering(502, PLAIN_PAGE, HTML), F.TRANSIENT),
        (K.DETAIL, answering(503, PLAIN_PAGE, HTML), F.TRANSIENT),
        (K.DETAIL, answering(429, Retry_After="7"), F.RATE_LIMITED),
        (K.DETAIL, answering(429, PLAIN_PAGE, HTML), F.RATE_LIMITED),
        (K.DETAIL, answering(403, b"{}"), F.BLOCKED),
        (K.DETAIL, answering(403, MOMENT, HTML), F.BLOCKED),
        (K.DETAIL, answering(429, CHL, HTML), F.BLOCKED),
        (K.TREE, answering(503, MOMENT, HTML), F.BLOCKED),
        (K.DETAIL, answering(503, SCRIPT, HTML), F.BLOCKED),
        (K.DETAIL, answering(200, MOMENT, HTML), F.BLOCKED),
        (K.LISTING, answering(206, PLAIN_PAGE, HTML), F.BLOCKED),
        (K.DETAIL, answering(404, b"{}", cf_mitigated="challenge"), F.BLOCKED),
        (K.DETAIL, answering(500, b"{}", cf_mitigated="challenge"), F.BLOCKED),
        (K.DETAIL, answering(200, b"{}", cf_mitigated="challenge"), F.BLOCKED),
        (K.DETAIL, answering(200, b"<html>betpawa</html>", HTML, cf_mitigated="challenge"), F.BLOCKED),
        (K.DETAIL, AMAZON, F.BLOCKED),
        (K.DETAIL, answering(202, b"", x_amzn_waf_action="challenge"), F.BLOCKED),
        (K.DETAIL, answering(202, b""), F.BLOCKED),
        (K.DETAIL, answering(200, b""), F.CONTRACT_BROKEN),
        (K.DETAIL, answering(204, b""), F.CONTRACT_BROKEN),
        (K.DETAIL, answering(302, location="https://elsewhere.invalid/"), F.CONTRACT_BROKEN),
        (K.DETAIL, answering(302, location="/login"), F.CONTRACT_BROKEN),
        (K.DETAIL, answering(304, b""), F.CONTRACT_BROKEN),
        (K.DETAIL, answering(200, b"\x0a\x07\x08", "application/x-protobuf"), F.CONTRACT_BROKEN),
        (K.DETAIL, answering(200, b"hello", "text/plain"), F.CONTRACT_BROKEN),
        (K.DETAIL, answering(200, b'{"unknown": 1}'), F.CONTRACT_BROKEN),
        (K.DETAIL, answering(200, CUT_JSON, content_encoding="gzip"), F.TRANSIENT),
        (K.DETAIL, answering(401), F.PERMANENT),
        (K.DETAIL, answering(418), F.PERMANENT),
    ],
)
async def test_live_and_from_what_is_kept_it_is_the_same_failure(
    host: Loopback, platform: Platform, kind: PayloadKind, responder: Responder, failure: FailureClass
) -> None:
    live = await asked(host, platform, kind, responder)
    assert live.failure is failure, live.failure_detail
    assert live.failure_detail
    kept = replace(live, failure=None, failure_detail="")
    assert ADAPTERS[platform].judge(kept) == (live.failure, live.failure_detail)
    assert host.count_requests("/question") == 1


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize(
    ("responder", "failure", "said"),
    [
        (
            answering(200, gzip.compress(bytes(5_000_000)), content_encoding="gzip"),
            F.CONTRACT_BROKEN,
            "body over 100000 bytes",
        ),
        (answering(200, b"[" * 100_001), F.CONTRACT_BROKEN, "body over 100000 bytes"),
        (answering(200, b"no gzip", content_encoding="gzip"), F.CONTRACT_BROKEN, "does not begin like gzip"),
        (
            answering(200, gzip.compress(b"{}") * 17, content_encoding="gzip"),
            F.CONTRACT_BROKEN,
            "more than 16 gzip members",
        ),
        (answering(200, gzip.compress(b"{}")[:-3], content_encoding="gzip"), F.TRANSIENT, "cut off"),
        (answering(403, b"no gzip", content_encoding="gzip"), F.BLOCKED, "HTTP 403"),
        (answering(503, b"no gzip", content_encoding="gzip", cf_mitigated="challenge"), F.BLOCKED, "cf-mitigated"),
        (answering(404, b"[" * 100_001), F.NOT_FOUND, "HTTP 404"),
    ],
)
async def test_a_body_that_cannot_be_had_is_typed_by_its_status_first(
    host: Loopback, platform: Platform, responder: Responder, failure: FailureClass, said: str
) -> None:
    live = await asked(host, platform, K.DETAIL, responder)
    assert (live.failure, live.body) == (failure, None)
    assert said in live.failure_detail


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_the_user_agent_of_the_settings_replaces_the_dialects_own(host: Loopback, platform: Platform) -> None:
    host.script("/question", answering())
    for name in ("user-agent", "User-Agent"):
        config = HostConfig(
            platform, host.base_url, {**ADAPTERS[platform].build_headers(), name: "somebody/1.0 (mail@example.org)"}
        )
        async with PlatformClient(config, Clock()) as client:
            await client.send(Request(platform, K.TREE, "/question"), 1, ADAPTERS[platform].judge)
        assert host.requests[-1].headers.getall("user-agent") == ["somebody/1.0 (mail@example.org)"]
