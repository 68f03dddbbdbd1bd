"""The markets of each simulated platform, with its own ids and labels, from `catalogue.json`.

It contains no prices. The file has the markets of each platform in order of popularity, with the platform's ids of
markets and outcomes. Each outcome is linked to a canonical one, for which `pricing` computes chances. There are
also markets without a canonical key, which no vocabulary knows; their outcomes have a base chance.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from typing import Any

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.simulator.simulated_platforms import BET9JA, BETPAWA, SPORTYBET

LINE_DISTANCE_PLACES = 9.0
"""How many places in the order of popularity a line loses per line of distance from the middle line."""
UNKNOWN_MARKETS = {
    BETPAWA: ("28000999", "Goal in stoppage time - FT"),
    SPORTYBET: ("909999", "Goal in Stoppage Time"),
    BET9JA: ("S_STOPGOAL", "Goal In Stoppage Time"),
}


@dataclass(frozen=True, slots=True)
class SimulatedOutcome:
    """One outcome of a platform's market.

    It has a canonical name ('' when unknown), the platform's id and label, and a base chance if no model computes one.
    """

    canonical_key: str
    native_id: str
    label: str
    chance: float = 0.0


@dataclass(frozen=True, slots=True)
class Part:
    """The outcomes of one canonical market in a platform's market; Bet9ja combines several in one."""

    key: str
    outcomes: tuple[SimulatedOutcome, ...]
    lines: dict[str, str]
    """The canonical text of each line, by the platform's text of it."""


@dataclass(frozen=True, slots=True)
class SimulatedMarket:
    """One market of a platform, with its place in the catalogue (`number`).

    `facts` are the platform's own labels and layout fields.
    """

    number: int
    native_id: str
    name: str
    lines: tuple[str, ...]
    parts: tuple[Part, ...]
    facts: dict[str, Any] = field(default_factory=dict)


@lru_cache(maxsize=1)
def _load_catalogue() -> dict[str, Any]:
    catalogue: dict[str, Any] = json.loads((files(__package__) / "catalogue.json").read_text(encoding="utf-8"))
    return catalogue


def _build_outcome(entry: Sequence[Any], labels: dict[str, str]) -> SimulatedOutcome:
    is_known = isinstance(entry[0], str)
    label = entry[2] if len(entry) > 2 else labels.get(entry[1], entry[1])
    return SimulatedOutcome(entry[0] if is_known else "", entry[1], label, 0.0 if is_known else float(entry[0]))


def _build_market(number: int, entry: dict[str, Any]) -> SimulatedMarket:
    labels = dict(entry.get("signs", []))
    raw_parts = entry.get("parts") or [entry]
    parts = []
    for raw in raw_parts:
        outcomes = tuple(_build_outcome(item, labels) for item in raw["outcomes"])
        parts.append(Part(raw["key"], outcomes, dict(raw["lines"])))
    name = entry["name"] or entry.get("desc", "")
    return SimulatedMarket(number, entry["id"], name, tuple(parts[0].lines), tuple(parts), entry)


def _build_unknown_market(platform: Platform, number: int) -> SimulatedMarket:
    native, name = UNKNOWN_MARKETS[platform]
    yes, no = ("Y", "N") if platform == BET9JA else ("74", "76") if platform == SPORTYBET else ("28001000", "28001001")
    outcomes = (SimulatedOutcome("", yes, "Yes", 0.22), SimulatedOutcome("", no, "No", 0.78))
    facts: dict[str, Any] = {"rank": 12.0, "priority": 990, "kind": "", "columns": 2, "desc": name, "group": "Main"}
    facts["signs"] = [["Y", "Yes"], ["N", "No"]]
    return SimulatedMarket(number, native, name, ("",), (Part("", outcomes, {"": ""}),), facts)


@lru_cache(maxsize=3)
def list_simulated_markets(platform: Platform) -> tuple[SimulatedMarket, ...]:
    """Return every market of the platform, most popular first, one of them unknown to the vocabulary."""
    markets = [_build_market(number, entry) for number, entry in enumerate(_load_catalogue()[platform])]
    return (*markets, _build_unknown_market(platform, len(markets)))


@lru_cache(maxsize=256)
def list_first_pairs(platform: Platform, count: int, version: str = "") -> tuple[tuple[SimulatedMarket, str], ...]:
    """Return the `count` most popular pairs (market, line).

    `version` is the version of BetPawa's API.
    """
    ranked = []
    for market in list_simulated_markets(platform):
        if market.facts.get("only", version) != version:
            continue
        ranked += [
            (market.facts["rank"] + LINE_DISTANCE_PLACES * n, market.number, n, market, line)
            for n, line in enumerate(market.lines)
        ]
    ranked.sort(key=lambda item: item[:3])
    choices = sorted(ranked[:count], key=lambda item: item[1:3])
    return tuple((market, line) for _, _, _, market, line in choices)
