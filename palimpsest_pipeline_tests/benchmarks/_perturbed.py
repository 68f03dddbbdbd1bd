"""Many answers out of a few captured ones: other odds and other event ids in otherwise the captured bytes."""

import re
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Final

from palimpsest_pipeline.domain.enums import PayloadKind, Platform
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA, SPORTYBET

CAPTURED: Final = {
    BETPAWA: (
        "detail_football_113_markets_v3_2026-06-26.json",
        "detail_football_59_markets_v4_2026-08-21.json",
    ),
    SPORTYBET: (
        "event_prematch_football_norway_france_974_markets.json",
        "event_prematch_football_360_markets.json",
    ),
    BET9JA: ("getevent_soccer_norway_france.json", "getevent_soccer_qatar_sudan_suspended_prices.json"),
}
"""Prematch details of football."""

AT: Final = datetime(2026, 6, 26, 10, tzinfo=UTC)
SPREAD: Final = 0.1
"""Odds move by at most this share."""

_ODDS: Final = {
    BETPAWA: re.compile(rb'("(?:price|odds)":\s*)(\d+(?:\.\d+)?)'),
    SPORTYBET: re.compile(rb'("odds":\s*")(\d+\.\d+)'),
    BET9JA: re.compile(rb'("[A-Z]+_[^"_]+_[^"]+":\s*")(\d+(?:\.\d+)?)(?=")'),
}
_EVENT_ID: Final = {
    BETPAWA: re.compile(rb'"id":\s*"(\d+)"'),
    SPORTYBET: re.compile(rb'"eventId":\s*"sr:match:(\d+)"'),
    BET9JA: re.compile(rb'"ID":\s*(\d+)'),
}
"""The first match is the event's own id."""
_PRICES_BY_KEY: Final = re.compile(rb'"O":\s*\{[^}]*\}')
"""Where Bet9ja's prices stand: its labels further down have keys of the same form."""


def answers(samples: Path, platform: Platform, n: int, seed: int) -> list[Answer]:
    """`n` different answers, the captured ones in turn. The same seed gives the same bytes."""
    captured = [(samples / platform / name).read_bytes() for name in CAPTURED[platform]]
    request = Request(platform, PayloadKind.DETAIL, "/recorded")
    bodies = (perturbed(platform, captured[i % len(captured)], i, Random(f"{seed} {platform} {i}")) for i in range(n))
    return [Answer(request, 1, AT, AT, AT, 200, {"content-type": "application/json"}, body) for body in bodies]


def perturbed(platform: Platform, body: bytes, number: int, random: Random) -> bytes:
    """The body with other odds, where it has a price, and the `number`-th other event id."""

    def moved(found: re.Match[bytes]) -> bytes:
        odds, decimals = float(found[2]), len(found[2].partition(b".")[2])
        other = round(odds * random.uniform(1 - SPREAD, 1 + SPREAD), decimals)
        # What is no price stays none, and a price stays a price.
        moves = odds > 1 and other > 1 and abs(other - odds) <= SPREAD * odds
        return found[1] + (f"{other:.{decimals}f}".encode() if moves else found[2])

    event_id = _EVENT_ID[platform].search(body)
    if event_id is None:
        raise ValueError(f"{platform}: no event id in the captured answer")
    body = body.replace(event_id[1], b"%d" % (int(event_id[1]) + 1 + number))
    if platform == BET9JA:
        return _PRICES_BY_KEY.sub(lambda prices: _ODDS[platform].sub(moved, prices[0]), body, count=1)
    return _ODDS[platform].sub(moved, body)
