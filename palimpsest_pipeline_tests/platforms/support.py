"""Answers made by hand and servers in memory, to drive the dialects without a network."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from palimpsest_pipeline.domain.enums import PayloadKind, Platform, Sport
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.platforms.base import PlatformAdapter

AT = datetime(2026, 6, 26, 10, 0, tzinfo=UTC)
JSON = {"content-type": "application/json"}
HTML = {"content-type": "text/html"}

Reply = tuple[int, dict[str, str], bytes]
Server = Callable[[Request], Reply]


def reply(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    return status, JSON if headers is None else headers, body if isinstance(body, bytes) else json.dumps(body).encode()


def answer_to(request: Request, reply: Reply, attempt: int = 1, at: datetime = AT) -> Answer:
    status, headers, body = reply
    return Answer(request, attempt, at, at + timedelta(milliseconds=200), at, status, headers, body)


def answer(
    platform: Platform,
    kind: PayloadKind,
    body: Any,
    status: int = 200,
    headers: dict[str, str] | None = None,
    **request: Any,
) -> Answer:
    """An answer to a question that only its kind is known of."""
    return answer_to(Request(platform, kind, "/recorded", **request), reply(body, status, headers))


def sample(samples: Path, platform: Platform, name: str) -> bytes:
    return (samples / platform / name).read_bytes()


def loaded(samples: Path, platform: Platform, name: str) -> Any:
    """The sample as plain JSON values, read by the standard library: the independent opinion."""
    return json.loads(sample(samples, platform, name))


def judge_answer(adapter: PlatformAdapter, given: Answer) -> Answer:
    """The answer as the wire would hand it on: failures marked."""
    verdict = adapter.judge(given)
    if verdict is None:
        return given
    return Answer(
        given.request,
        given.attempt,
        given.requested_at,
        given.received_at,
        given.observed_at,
        given.status,
        given.headers,
        given.body,
        verdict[0],
        verdict[1],
    )


def crawl(adapter: PlatformAdapter, sport: Sport, server: Server) -> tuple[list[Answer], list[list[Request]]]:
    """Drives the crawl against the server; returns all answers and the batches that were asked."""
    answers: list[Answer] = []
    batches: list[list[Request]] = []
    steps = adapter.discover(sport)
    batch = next(steps, None)
    while batch is not None:
        batches.append(batch)
        assert len(batches) < 500, "the crawl does not end"
        at = AT + timedelta(seconds=len(batches))
        got = [judge_answer(adapter, answer_to(request, server(request), at=at)) for request in batch]
        answers.extend(got)
        try:
            batch = steps.send(got)
        except StopIteration:
            batch = None
    return answers, batches


def columns(detail: Any) -> list[tuple[str, str, str, int | None, bool]]:
    """(market, specifier, outcome, odds, off) per price, sorted."""
    prices = detail.prices
    market_id, specifier = prices.repeat_per_outcome(prices.market_id), prices.repeat_per_outcome(prices.specifier)
    return sorted(
        zip(market_id, specifier, prices.outcome_id, prices.odds_milli, prices.off, strict=True),
        key=lambda row: (row[:3], str(row[3])),
    )


def milli(value: Any) -> int | None:
    """Independent opinion on odds: decimal text or number above 1.00, in thousandths."""
    try:
        odds = round(float(value) * 1000)
    except (TypeError, ValueError):
        return None
    return odds if odds > 1000 else None


def shuffle_all(value: Any, random: Random) -> Any:
    """The same JSON value with the entries of all its lists and objects in another order."""
    if isinstance(value, dict):
        return {name: shuffle_all(inside, random) for name, inside in random.sample(list(value.items()), len(value))}
    if isinstance(value, list):
        return [shuffle_all(inside, random) for inside in random.sample(value, len(value))]
    return value


def ids(listings: Sequence[Any]) -> list[str]:
    return [listing.external_id for listing in listings]
