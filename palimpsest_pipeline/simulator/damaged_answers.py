"""The effects of failures on answers: replaced answers, truncated answers, and missing parts."""

import gzip
import struct
import zlib
from email.utils import formatdate
from functools import cache, reduce
from math import ceil
from typing import Any, Final

from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.simulator.simulated_platforms import BET9JA, BETPAWA, SPORTYBET

from .bodies import GZIP_HEADER, deflate
from .faults import Fault

BLOCK_PAGE: Final = "<html><head><title>Access Denied</title></head><body>Access Denied</body></html>"
CHALLENGE_PAGE: Final = (
    '<!DOCTYPE html><html lang="en-US"><head><title>Just a moment...</title>'
    '<meta name="robots" content="noindex,nofollow"></head>'
    '<body><div class="main-wrapper"><noscript>Enable JavaScript and cookies to continue</noscript></div>'
    '<script>(function(){window._cf_chl_opt={cType:"managed"};var a=document.createElement("script");'
    'a.src="/cdn-cgi/challenge-platform/h/g/orchestrate/chl_page/v1";document.head.appendChild(a);}());</script></body></html>'
)
BOMB_MB: Final = 1024
HUGE_MB: Final = 100
FAR_PAGE: Final = 1_000_000
"""A page beyond the end of every list."""

_ONE_MB: Final = b"0" * 1_000_000
_BODY_START, _BODY_END = b'{"padding":"', b'"}'


class TruncatedResponse(Response):
    """A response whose header announces the whole body, and whose connection ends after the first half."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body[: len(self.body) // 2], "more_body": True})


class HugeResponse(Response):
    """A JSON response of a given number of megabytes, sent in pieces without a content length."""

    def __init__(self, megabytes: int) -> None:
        super().__init__(media_type="application/json")
        del self.headers["content-length"]
        self._megabytes = megabytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for piece in (_BODY_START, *[_ONE_MB] * self._megabytes):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": _BODY_END})


@cache
def build_bomb(megabytes: int) -> bytes:
    """Return a gzip body of valid JSON that is about a thousand times larger when it is decompressed."""
    pieces = (_BODY_START, *[_ONE_MB] * megabytes, _BODY_END)
    checksum = reduce(lambda so_far, piece: zlib.crc32(piece, so_far), pieces, 0)
    packed = (
        deflate(_BODY_START, zlib.Z_FULL_FLUSH)
        + deflate(_ONE_MB, zlib.Z_FULL_FLUSH) * megabytes
        + deflate(_BODY_END, zlib.Z_FINISH)
    )
    return GZIP_HEADER + packed + struct.pack("<II", checksum, sum(map(len, pieces)) & 0xFFFFFFFF)


def build_replacement(fault: Fault, date: float) -> Response:  # noqa: PLR0911 -- one return per mode
    """Return the answer of a failure that replaces the real answer.

    `date` is the platform's current time in Unix seconds.
    """
    match fault.mode:
        case "block":
            return HTMLResponse(BLOCK_PAGE, 403)
        case "html":
            return HTMLResponse(BLOCK_PAGE, 200)
        case "challenge503":
            return HTMLResponse(
                CHALLENGE_PAGE, 503, {"server": "cloudflare", "cf-mitigated": "challenge", "cache-control": "no-store"}
            )
        case "empty202":
            return Response(b"", 202, {"x-amzn-waf-action": "challenge"})
        case "down":
            return Response(b"", 503, {"connection": "close"})
        case "ratelimit":
            retry_after = (
                formatdate(ceil(date) + fault.retry_after_s, usegmt=True) if fault.as_date else str(fault.retry_after_s)
            )
            return Response(b"", 429, {"retry-after": retry_after})
        case "redirect":
            return Response(b"", 302, {"location": fault.to})
        case "huge":
            return HugeResponse(fault.size_mb or HUGE_MB)
        case "bomb":
            return Response(
                build_bomb(fault.size_mb or BOMB_MB), 200, {"content-encoding": "gzip"}, media_type="application/json"
            )
        case _:
            return Response(b'{"error":"INTERNAL_SERVER_ERROR"}', 500, media_type="application/json")


def truncate_response(response: Response) -> Response:
    """Return the answer with a connection that ends after half of the body."""
    truncated = TruncatedResponse(bytes(response.body), response.status_code)
    truncated.raw_headers = response.raw_headers
    return truncated


def cut_json_response(response: Response) -> Response:
    """Return a complete and correctly compressed answer whose JSON ends after half of the text."""
    is_packed = response.headers.get("content-encoding") == "gzip"
    plain = gzip.decompress(bytes(response.body)) if is_packed else bytes(response.body)
    half = plain[: len(plain) // 2]
    damaged = Response(gzip.compress(half, 1, mtime=0) if is_packed else half, response.status_code)
    headers = [(name, value) for name, value in response.raw_headers if name != b"content-length"]
    damaged.raw_headers = [*headers, (b"content-length", str(len(damaged.body)).encode())]
    return damaged


def remove_tournament(platform: Platform, body: Any, tournament: str) -> Any:
    """Return a tree or a list without one tournament and with unchanged counts, like a site's mistake."""
    {
        BETPAWA: _remove_from_betpawa,
        SPORTYBET: _remove_from_sportybet,
        BET9JA: _remove_from_bet9ja,
    }[platform](body, tournament)
    return body


def _remove_from_betpawa(body: Any, tournament: str) -> None:
    for sport in body.get("withRegions", ()):
        for region in sport["regions"]:
            region["competitions"] = [
                entry for entry in region["competitions"] if entry["competition"]["id"] != tournament
            ]
        sport["regions"] = [region for region in sport["regions"] if region["competitions"]]
    for block in body.get("responses", ()):
        if "responses" in block:
            block["responses"] = [event for event in block["responses"] if event["competition"]["id"] != tournament]


def _remove_from_sportybet(body: Any, tournament: str) -> None:
    data = body["data"]
    sports = data.get("sportList", ())
    for holder in [data, *(category for sport in sports for category in sport["categories"])]:
        if "tournaments" in holder:
            holder["tournaments"] = [entry for entry in holder["tournaments"] if entry["id"] != tournament]
    for sport in sports:
        sport["categories"] = [category for category in sport["categories"] if category["tournaments"]]


def _remove_from_bet9ja(body: Any, tournament: str) -> None:
    countries = body["D"]["PAL"]["1"]["SG"] or {}
    for country in countries.values():
        country["G"].pop(tournament, None)
    body["D"]["PAL"]["1"]["SG"] = {number: country for number, country in countries.items() if country["G"]}
