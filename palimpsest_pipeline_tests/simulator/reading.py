"""Asks a simulator over HTTP as a plain client would, and collects the field paths of JSON bodies."""

import gzip
import http.client
import json
import re
from collections.abc import Mapping
from types import ModuleType
from typing import Any
from urllib.parse import quote

import msgspec

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA, SPORTYBET

HEADERS = {
    "accept": "application/json",
    "x-pawa-brand": "betpawa-nigeria",
    "clientid": "web",
    "operid": "2",
    "platform": "web",
    "referer": "https://sports.bet9ja.com/",
}


def send_request(
    simulator: SimulatorProcess,
    platform: Platform,
    path: str,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = 30.0,
) -> tuple[int, dict[str, str], bytes]:
    """Status, lower-case headers and body (unpacked) of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", simulator.port, timeout=timeout_s)
    try:
        connection.request("GET", f"/{platform}{path}", headers=dict(HEADERS if headers is None else headers))
        answer = connection.getresponse()
        raw = answer.read()
        told = {name.lower(): value for name, value in answer.getheaders()}
    finally:
        connection.close()
    return answer.status, told, gzip.decompress(raw) if told.get("content-encoding") == "gzip" else raw


def get(simulator: SimulatorProcess, platform: Platform, path: str) -> Any:
    """The decoded body of a request that must succeed."""
    status, _, body = send_request(simulator, platform, path)
    assert status == 200, (path, status, body[:300])
    return json.loads(body)


def betpawa_list(simulator: SimulatorProcess, version: str = "v4", **query: Any) -> list[dict[str, Any]]:
    """Every upcoming football event of BetPawa, page by page."""
    events: list[dict[str, Any]] = []
    while True:
        asked = {
            "query": {"eventType": "UPCOMING", "categories": ["2"], "zones": {}},
            "skip": len(events),
            "take": 100,
            **query,
        }
        path = f"/api/sportsbook/{version}/events/lists/by-queries?q={quote(json.dumps({'queries': [asked]}))}"
        page = get(simulator, BETPAWA, path)["responses"][0].get("responses", [])
        events += page
        if len(page) < 100:
            return events


def sportybet_list(simulator: SimulatorProcess) -> tuple[int, list[dict[str, Any]]]:
    """Declared total and every event of SportyBet's paged list."""
    events: list[dict[str, Any]] = []
    for page in range(1, 200):
        path = (
            f"/api/ng/factsCenter/pcUpcomingEvents?sportId=sr:sport:1&marketId=1&pageSize=100&pageNum={page}&option=2"
        )
        data = get(simulator, SPORTYBET, path)["data"]
        if not data["tournaments"]:
            return data["totalNum"], events
        events += [event for tournament in data["tournaments"] for event in tournament["events"]]
    raise AssertionError("the list does not end")


def bet9ja_groups(simulator: SimulatorProcess) -> dict[str, int]:
    """Soccer groups of the tree with the number of entries each declares."""
    tree = get(simulator, BET9JA, "/desktop/feapi/PalimpsestAjax/GetSports?DISP=0")
    return {
        group: node["NUM"] for country in tree["D"]["PAL"]["1"]["SG"].values() for group, node in country["G"].items()
    }


def bet9ja_list(simulator: SimulatorProcess, group: str) -> list[dict[str, Any]]:
    """Entries of one Bet9ja group, whether they come as a list or by slot."""
    entries = get(
        simulator,
        BET9JA,
        f"/desktop/feapi/PalimpsestAjax/GetEventsInGroupV2?GROUPID={group}&DISP=0&GROUPMARKETID=1",
    )["D"]["E"]
    return list(entries.values()) if isinstance(entries, dict) else entries


def detail(simulator: SimulatorProcess, platform: Platform, external_id: str, version: str = "v4") -> Any:
    """The decoded detail of a listing that is up."""
    return get(simulator, platform, detail_path(platform, external_id, version))


def detail_path(platform: Platform, external_id: str, version: str = "v4") -> str:
    paths = {
        BETPAWA: f"/api/sportsbook/{version}/events/{external_id}",
        SPORTYBET: f"/api/ng/factsCenter/event?eventId={external_id}&productId=3",
        BET9JA: f"/desktop/feapi/PalimpsestAjax/GetEvent?EVENTID={external_id}",
    }
    return paths[platform]


DYNAMIC = re.compile(r"\.(O|SG|G|PAL)$")


def paths(body: Any, at: str = "") -> set[str]:
    """Field paths with JSON types; keys that are ids, lines, prices or labels stand as `*`."""
    if isinstance(body, dict):
        found = {f"{at}{{}}"}
        for key, value in body.items():
            found |= paths(value, f"{at}.{'*' if DYNAMIC.search(at) or key.isdigit() else key}")
        return found
    if isinstance(body, list):
        return {f"{at}[]"}.union(*(paths(value, f"{at}[]") for value in body))
    kind = (
        "null"
        if body is None
        else "bool"
        if isinstance(body, bool)
        else "number"
        if isinstance(body, int | float)
        else "text"
    )
    return {f"{at}:{kind}"}


UNREAD = re.compile(
    r"\.markets\[\]\.(additionalInfo|sourceType)|prices\[\]\.(id|handicap|additionalInfo)|(row|participants)\[\]\.id:"
    r"|\.live:number|^\[\]\.O"
)
"""Paths that no pack reads, although their last names are read elsewhere."""


def read_paths(body: Any, shapes: ModuleType, *more: str) -> set[str]:
    """The field paths of a body that a pack reads: all their names are in its shapes or in `more`."""
    structs = [one for one in vars(shapes).values() if isinstance(one, type) and issubclass(one, msgspec.Struct)]
    names = {field.encode_name for struct in structs for field in msgspec.structs.fields(struct)} | set(more)
    return {path for path in paths(body) if set(re.findall(r"\.(\w+)", path)) <= names and not UNREAD.search(path)}
