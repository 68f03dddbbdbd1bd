"""The markets of each simulated platform, with its own ids and labels, from `catalogue.json`.

It contains no prices. The file has, per platform, markets in order of popularity with the platform's ids of the market
and of its outcomes, each linked to a canonical outcome for which `pricing` computes chances. It also has markets
without a canonical key, which no vocabulary knows; their outcomes have a base chance.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from typing import Any

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.simulator.simulated_platforms import BET9JA, BETPAWA, SPORTYBET

from .names import make_help_text

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
    display: str = ""
    early_payout: str = "NO_UP"
    """BetPawa's name of the early payout rule for the outcome."""


@dataclass(frozen=True, slots=True)
class Part:
    """The outcomes of one canonical market in a platform's market; Bet9ja combines several in one."""

    key: str
    outcomes: tuple[SimulatedOutcome, ...]
    lines: dict[str, str]
    """The platform's text of a line to the canonical text."""


@dataclass(frozen=True, slots=True)
class SimulatedMarket:
    """One market of a platform. `facts` are the platform's own labels and layout fields."""

    number: int
    native_id: str
    name: str
    line_template: str
    lines: tuple[str, ...]
    parts: tuple[Part, ...]
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def outcome_count(self) -> int:
        return sum(len(part.outcomes) for part in self.parts)


@lru_cache(maxsize=1)
def _load_catalogue() -> dict[str, Any]:
    catalogue: dict[str, Any] = json.loads((files(__package__) / "catalogue.json").read_text(encoding="utf-8"))
    return catalogue


def _build_outcome(entry: Sequence[Any], labels: dict[str, str]) -> SimulatedOutcome:
    is_known = isinstance(entry[0], str)
    label = entry[2] if len(entry) > 2 else labels.get(entry[1], entry[1])
    display, early_payout = (entry[3] if len(entry) > 3 else label), (entry[4] if len(entry) > 4 else "NO_UP")
    return SimulatedOutcome(
        entry[0] if is_known else "", entry[1], label, 0.0 if is_known else float(entry[0]), display, early_payout
    )


def _build_market(number: int, entry: dict[str, Any]) -> SimulatedMarket:
    labels = dict(entry.get("signs", []))
    raw_parts = entry.get("parts") or [entry]
    parts = []
    for raw in raw_parts:
        outcomes = tuple(_build_outcome(item, labels) for item in raw["outcomes"])
        parts.append(Part(raw["key"], outcomes, dict(raw["lines"])))
    name = entry["name"] or entry.get("desc", "")
    return SimulatedMarket(
        number, entry["id"], name, make_help_text(name, entry["text"]), tuple(parts[0].lines), tuple(parts), entry
    )


def _build_unknown_market(platform: Platform, number: int) -> SimulatedMarket:
    native, name = UNKNOWN_MARKETS[platform]
    yes, no = ("Y", "N") if platform == BET9JA else ("74", "76") if platform == SPORTYBET else ("28001000", "28001001")
    outcomes = (SimulatedOutcome("", yes, "Yes", 0.22, "Yes"), SimulatedOutcome("", no, "No", 0.78, "No"))
    facts: dict[str, Any] = {
        "rank": 12.0,
        "priority": 990,
        "tabs": ["all", "specials"],
        "kind": "",
        "columns": 2,
        "sorting": "PRICE_TYPE_ID",
    }
    facts |= {
        "labels": [],
        "display": name,
        "desc": name,
        "title": "",
        "group": "Main",
        "groupId": "171121135724MGI11262166",
        "source": "BET_GENIUS",
    }
    facts |= {
        "p": "990",
        "vw": "0",
        "gcat": "OTHER",
        "marketid": "19999",
        "cnt": "G",
        "label": "Goals",
        "signs": [["Y", "Yes"], ["N", "No"]],
    }
    return SimulatedMarket(
        number, native, name, make_help_text(name, 90), ("",), (Part("", outcomes, {"": ""}),), facts
    )


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


@lru_cache(maxsize=1)
def load_betpawa_price_offsets() -> dict[tuple[str, str], int]:
    """Return the first price number inside an event by (market id, line)."""
    offsets, offset = {}, 0
    for market in list_simulated_markets(BETPAWA):
        for line in market.lines:
            offsets[market.native_id, line] = offset
            offset += max(market.outcome_count, 30)
    return offsets


@lru_cache(maxsize=1)
def load_bet9ja_labels() -> dict[str, Any]:
    """Return the labels that Bet9ja sends with every event: all markets of the sport, offered or not."""
    raw = _load_catalogue()
    labels: dict[str, Any] = {}
    for key, (name, length, header, outcomes) in raw["bet9ja_names"].items():
        if name:
            labels[f"M#{key}"] = {"NAME": name, "DESC": make_help_text(name, length)}
        if header:
            labels[f"MH#{key}"] = header
        for native, label, template in outcomes:
            labels[f"M#{key}_{native}"] = label
            if template:
                labels[f"MCU#{key}_{native}"] = template
    labels |= {f"CNT#{code}": name for code, name in raw["bet9ja_counts"]}
    return labels


@lru_cache(maxsize=1)
def load_bet9ja_tabs() -> dict[str, str]:
    """Return the tab code by tab name."""
    return {name: code for code, name in _load_catalogue()["bet9ja_tabs"]}
