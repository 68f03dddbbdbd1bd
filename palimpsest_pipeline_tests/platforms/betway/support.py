"""Betway's answers about one match, from recorded ones."""

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.platforms.betway import BetwayAdapter

from ..pack_support import configure, load_pack_sample
from ..support import AT, answer_to, reply

CONFIG: Final = configure("betway")
ADAPTER: Final[Any] = BetwayAdapter(CONFIG)
BETWAY: Final = CONFIG.platform
LISTS: Final = ("marketsInGroup", "outcomes", "prices")
MATCH: Final = "66457014"


def with_event(samples: Path, name: str, sport: str = "soccer") -> dict[str, Any]:
    """A recorded book with its match; a made-up match where the recording has none."""
    body: dict[str, Any] = load_pack_sample(samples, "betway", name)
    if "sportEvent" not in body:
        event = load_pack_sample(samples, "betway", "prematch.json")["sportEvent"]
        body["sportEvent"] = event | {"eventId": body["marketsInGroup"][0]["eventId"], "sportId": sport}
    return body


def serve(body: dict[str, Any], request: Request) -> Answer:
    """The answer of the site to a detail request, made from a recorded answer with everything."""
    assert request.params["eventId"] == str(body["sportEvent"]["eventId"])
    if request.path.endswith("/EventAndGameState"):
        return answer_to(request, reply({"sportEvent": body["sportEvent"]}), at=AT + timedelta(seconds=1))
    skip, take = int(request.params["skip"]), int(request.params["take"])
    markets = body["marketsInGroup"][skip : skip + take]
    names = {market["marketId"] for market in markets}
    headers = {market["marketId"] for market in body["marketsInGroup"]}
    outcomes = [
        outcome
        for outcome in body["outcomes"]
        if (outcome["originalMarketId"] if outcome["originalMarketId"] in headers else outcome["marketId"]) in names
    ]
    kept = {outcome["outcomeId"] for outcome in outcomes}
    prices = [price for price in body["prices"] if price["outcomeId"] in kept]
    page = {"marketGroupNames": [], "marketsInGroup": markets, "outcomes": outcomes, "prices": prices}
    return answer_to(request, reply(page), at=AT + timedelta(seconds=2 + skip))


def list_answers(body: dict[str, Any], external_id: str | None = None) -> list[Answer]:
    """All answers that the dialect asks for, in the order of the requests."""
    answers: list[Answer] = []
    external_id = external_id or str(body["sportEvent"]["eventId"])
    while requests := ADAPTER.list_detail_requests(external_id, None, answers):
        answers += [serve(body, request) for request in requests]
    return answers


def detail_of(body: dict[str, Any]) -> Any:
    return ADAPTER.read_detail(list_answers(body))


def shortened(body: dict[str, Any], wanted: Sequence[int]) -> dict[str, Any]:
    """The body with the markets at these places."""
    markets = [body["marketsInGroup"][place] for place in wanted]
    names = {market["marketId"] for market in markets}
    outcomes = [outcome for outcome in body["outcomes"] if outcome["originalMarketId"] in names]
    kept = {outcome["outcomeId"] for outcome in outcomes}
    prices = [price for price in body["prices"] if price["outcomeId"] in kept]
    return json.loads(json.dumps({**body, "marketsInGroup": markets, "outcomes": outcomes, "prices": prices}))
