"""Every field of the captured prematch answers that a pack reads occurs in the simulator's answer to the same question,
with the same JSON type.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from palimpsest_pipeline.platforms.bet9ja import shapes as bet9ja_shapes
from palimpsest_pipeline.platforms.betpawa import shapes as betpawa_shapes
from palimpsest_pipeline.platforms.sportybet import shapes as sportybet_shapes
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA, SPORTYBET

from .reading import bet9ja_groups, bet9ja_list, betpawa_list, detail, get, paths, read_paths, sportybet_list

SIZE = 300


@pytest.fixture(scope="module")
def simulators() -> Iterator[Callable[[str], SimulatorProcess]]:
    """A simulator per BetPawa generation, started when first asked for."""
    running: dict[str, SimulatorProcess] = {}

    def one(version: str) -> SimulatorProcess:
        if version not in running:
            running[version] = SimulatorProcess(SIZE, 11, betpawa_version=version)
        return running[version]

    yield one
    for simulator in running.values():
        simulator.stop()


def captured(samples: Path, name: str) -> Any:
    return json.loads((samples / name).read_text(encoding="utf-8"))


def missing(expected: set[str], found: set[str]) -> list[str]:
    return sorted(expected - found)


def betpawa(body: Any) -> set[str]:
    return read_paths(body, betpawa_shapes, "live", "type", "upcoming")


def betpawa_lists(body: Any) -> set[str]:
    """The paths of a list of BetPawa, of which the markets are not read."""
    return {path for path in betpawa(body) if ".markets[]" not in path}


def sportybet(body: Any) -> set[str]:
    names = ("category", "tournament", "preMatchSource", "liveSource", "sourceType", "sourceId")
    return read_paths(body, sportybet_shapes, *names)


def bet9ja(body: Any) -> set[str]:
    return read_paths(body, bet9ja_shapes)


def prematch_blocks(body: Any) -> Any:
    """The list answer without its blocks of other sports and of matches in play."""
    blocks = [
        block
        for block in body["responses"]
        if block["request"]["query"] == block["request"]["query"] | {"eventType": "UPCOMING"}
    ]
    return {"responses": [block for block in blocks if "2" in block["request"]["query"]["categories"]]}


@pytest.mark.parametrize(
    ("version", "sample"),
    [
        ("v3", "betpawa/detail_football_113_markets_v3_2026-06-26.json"),
        ("v4", "betpawa/detail_football_59_markets_v4_2026-08-21.json"),
    ],
)
def test_every_field_of_a_captured_betpawa_detail_is_served(
    simulators: Callable[[str], SimulatorProcess], samples: Path, version: str, sample: str
) -> None:
    simulator = simulators(version)
    top = sorted(betpawa_list(simulator, version), key=lambda event: -int(event["totalMarketCount"]))[:8]
    neutral = [
        event
        for event in betpawa_list(simulator, version)
        if event.get("neutralVenue") or event["name"].endswith("(n)")
    ][:1]
    found: set[str] = set().union(
        *(paths(detail(simulator, BETPAWA, event["id"], version)) for event in [*top, *neutral])
    )
    assert missing(betpawa(captured(samples, sample)), found) == []


def test_every_field_of_the_captured_betpawa_tree_is_served(
    simulators: Callable[[str], SimulatorProcess], samples: Path
) -> None:
    found = paths(get(simulators("v3"), BETPAWA, "/api/sportsbook/v3/categories/list/2"))
    assert missing(betpawa(captured(samples, "betpawa/categories_football_v3_2025-09-27.json")), found) == []


def test_every_field_of_the_captured_betpawa_lists_is_served_in_the_older_generation(
    simulators: Callable[[str], SimulatorProcess], samples: Path
) -> None:
    odd = captured(samples, "betpawa/list_page_skip220_odd_prices_v3_2025-09-27.json")
    several = prematch_blocks(captured(samples, "betpawa/list_multiquery_6blocks_v3_2025-09-27.json"))
    simulator = simulators("v3")
    query = {"eventType": "UPCOMING", "categories": ["2"], "zones": {}}
    queries = [{"query": query, "take": 100, "skip": skip} for skip in (0, 100)]
    path = "/api/sportsbook/v3/events/lists/by-queries?q=" + quote(json.dumps({"queries": queries}))
    found = paths(get(simulator, BETPAWA, path))
    assert missing(betpawa_lists(odd) | betpawa_lists(several), found) == []


def test_every_field_of_the_captured_betpawa_list_is_served_in_the_newer_generation(
    simulators: Callable[[str], SimulatorProcess], samples: Path
) -> None:
    events = betpawa_list(simulators("v4"))
    assert (
        missing(
            betpawa_lists(
                captured(samples, "betpawa/list_v4_excerpt_2_of_65_events_2026-09-08.json")["responses"][0]["responses"]
            ),
            paths(events),
        )
        == []
    )


@pytest.mark.parametrize(
    "sample", ["event_prematch_football_360_markets", "event_prematch_football_norway_france_974_markets"]
)
def test_every_field_of_a_captured_sportybet_detail_is_served(
    simulators: Callable[[str], SimulatorProcess], samples: Path, sample: str
) -> None:
    simulator = simulators("v4")
    _, events = sportybet_list(simulator)
    top = sorted(events, key=lambda event: -event["totalMarketSize"])[:4]
    found: set[str] = set().union(*(paths(detail(simulator, SPORTYBET, event["eventId"])) for event in top))
    assert missing(sportybet(captured(samples, f"sportybet/{sample}.json")), found) == []


def test_every_field_of_the_captured_sportybet_lists_is_served(
    simulators: Callable[[str], SimulatorProcess], samples: Path
) -> None:
    simulator = simulators("v4")
    path = "/api/ng/factsCenter/pcUpcomingEvents?sportId=sr:sport:1&marketId=1,18,16&pageSize=100&pageNum=1&option=2"
    upcoming = get(simulator, SPORTYBET, path)
    assert missing(sportybet(captured(samples, "sportybet/list_pcUpcomingEvents_football.json")), paths(upcoming)) == []


@pytest.mark.parametrize("sample", ["getevent_soccer_norway_france", "getevent_soccer_qatar_sudan_suspended_prices"])
def test_every_field_of_a_captured_bet9ja_detail_is_served(
    simulators: Callable[[str], SimulatorProcess], samples: Path, sample: str
) -> None:
    simulator = simulators("v4")
    entries = [
        entry
        for group in list(bet9ja_groups(simulator))[:8]
        for entry in bet9ja_list(simulator, group)
        if " - " in entry["DS"]
    ]
    found: set[str] = set().union(*(paths(detail(simulator, BET9JA, str(entry["ID"]))) for entry in entries[:12]))
    assert missing(bet9ja(captured(samples, f"bet9ja/{sample}.json")), found) == []


def test_every_field_of_the_captured_bet9ja_group_is_served(
    simulators: Callable[[str], SimulatorProcess], samples: Path
) -> None:
    simulator = simulators("v4")
    entries = [entry for group in list(bet9ja_groups(simulator))[:12] for entry in bet9ja_list(simulator, group)]
    assert (
        missing(bet9ja(captured(samples, "bet9ja/geteventsingroupv2_epl_trimmed.json")["D"]["E"]), paths(entries)) == []
    )
