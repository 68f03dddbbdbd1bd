"""The canonical markets with their outcomes, complete sets and notes, from the vocabulary's files.

The platforms' own names for them are in `key_sets`.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from palimpsest_pipeline.domain.enums import Sport

from .vocabulary_files import Row

MARKET_FILE_COLUMNS: Final = {
    "markets.csv": ("market_id", "market_key", "sport", "period", "family", "name", "line_kind", "fair_sum"),
    "outcomes.csv": ("market_key", "ordinal", "outcome_key", "name"),
    "complete_sets.csv": ("market_key", "set", "outcome_keys"),
    "notes.csv": ("market_key", "note"),
}
"""The files of the canonical markets and their columns."""

FAMILIES: Final = (
    "result",
    "total",
    "handicap",
    "both_score",
    "correct_score",
    "exact_goals",
    "combination",
    "half",
    "timing",
    "corners",
    "bookings",
    "statistics",
    "players",
    "special",
    "sets",
    "quarters",
)
"""Kinds of bet that belong together for a user; described in `vocabulary/README.md`."""

SPECIFIER_PARTS: Final[dict[str, frozenset[str]]] = {
    "none": frozenset(),
    "total": frozenset({"total"}),
    "handicap": frozenset({"hcp"}),
    "minute": frozenset({"minute"}),
    "minute+total": frozenset({"minute", "total"}),
    "early_payout+total": frozenset({"minsnr", "total"}),
    "goal_number": frozenset({"goalnr"}),
    "goals": frozenset({"goals"}),
    "score": frozenset({"score"}),
    "top": frozenset({"top"}),
    "player": frozenset(),
    "player+goal_number": frozenset({"goalnr"}),
    "player+total": frozenset({"total"}),
    "player_pair": frozenset({"pair"}),
    "named_player": frozenset({"player"}),
    "named_player+total": frozenset({"player", "total"}),
    "period_number": frozenset({"quarternr"}),
    "period_number+total": frozenset({"quarternr", "total"}),
    "period_number+handicap": frozenset({"hcp", "quarternr"}),
    "set_number": frozenset({"setnr"}),
    "set_number+total": frozenset({"setnr", "total"}),
}
"""Canonical specifier parts of each kind of line."""

_FAIR_SUM_PATTERN: Final = re.compile(r"|[12]|overlap\(\d+(\.\d+)?\)")


@dataclass(frozen=True, slots=True)
class CanonicalMarket:
    """One row of markets.csv."""

    market_id: int
    market_key: str
    sport: str
    period: str
    family: str
    name: str
    line_kind: str
    fair_sum: str


Markets = Mapping[str, CanonicalMarket]
"""The canonical markets by key."""
Outcomes = Mapping[tuple[str, str], tuple[int, str]]
"""Ordinal and name by (market key, outcome key)."""


def read_canonical_markets(rows: Sequence[Row]) -> Markets:
    """Return the markets of markets.csv by key."""
    markets: dict[str, CanonicalMarket] = {}
    ids: set[int] = set()
    for row in rows:
        market = CanonicalMarket(row.parse_number("market_id"), *list(row.values.values())[1:])
        row.require(market.market_id not in ids, f"market_id {market.market_id} is there twice")
        row.require(market.market_key not in markets, f"market_key {market.market_key} is there twice")
        row.require(market.sport in set(Sport), f"unknown sport {market.sport!r}")
        row.require(market.line_kind in SPECIFIER_PARTS, f"unknown line_kind {market.line_kind!r}")
        row.require(market.family in FAMILIES, f"unknown family {market.family!r}")
        row.require(
            _FAIR_SUM_PATTERN.fullmatch(market.fair_sum) is not None,
            f"fair_sum {market.fair_sum!r} is not 1, 2, overlap(x) or empty",
        )
        row.require(
            bool(market.market_key and market.name and market.period),
            "market_key, name and period must not be empty",
        )
        ids.add(market.market_id)
        markets[market.market_key] = market
    return markets


def read_outcomes(rows: Sequence[Row], markets: Markets) -> Outcomes:
    """Return ordinal and name by (market key, outcome key), from outcomes.csv."""
    outcomes: dict[tuple[str, str], tuple[int, str]] = {}
    count: dict[str, int] = defaultdict(int)
    for row in rows:
        market_key, outcome_key = row["market_key"], row["outcome_key"]
        row.require(market_key in markets, f"market_key {market_key!r} is not in markets.csv")
        row.require((market_key, outcome_key) not in outcomes, f"outcome {outcome_key} of {market_key} is there twice")
        row.require(bool(outcome_key and row["name"]), "outcome_key and name must not be empty")
        count[market_key] += 1
        ordinal = row.parse_number("ordinal")
        row.require(ordinal == count[market_key], f"ordinal {ordinal} of {market_key}: {count[market_key]} comes next")
        outcomes[market_key, outcome_key] = (ordinal, row["name"])
    return outcomes


def read_complete_sets(rows: Sequence[Row], outcomes: Outcomes) -> list[tuple[str, str, int]]:
    """Return (market key, name of the set, ordinal), from complete_sets.csv."""
    members: list[tuple[str, str, int]] = []
    set_identities: set[tuple[str, str]] = set()
    for row in rows:
        market_key, outcome_keys = row["market_key"], row["outcome_keys"].split("|")
        row.require(
            bool(row["set"]) and (market_key, row["set"]) not in set_identities,
            f"set {row['set']!r} of {market_key} is empty or there twice",
        )
        set_identities.add((market_key, row["set"]))
        for key in outcome_keys:
            row.require((market_key, key) in outcomes, f"outcome {key!r} of {market_key} is not in outcomes.csv")
            row.require(outcome_keys.count(key) == 1, f"outcome {key!r} of {market_key} is there twice")
            members.append((market_key, row["set"], outcomes[market_key, key][0]))
    return members


def read_notes(rows: Sequence[Row], markets: Markets) -> dict[str, str]:
    """Return note by market key, from notes.csv."""
    notes: dict[str, str] = {}
    for row in rows:
        market_key = row["market_key"]
        row.require(market_key in markets, f"market_key {market_key!r} is not in markets.csv")
        row.require(bool(row["note"]) and market_key not in notes, f"the note of {market_key} is empty or there twice")
        notes[market_key] = row["note"]
    return notes
