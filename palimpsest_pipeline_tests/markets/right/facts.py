"""What the captured bytes say of themselves, in the platforms' own words, and where each of these prices must stand.

The easy mistakes: outcomes taken by their place in the list, a market taken for one with a like id or name, half of a
market's outcomes left out. A fact finds its price in the answer by the platform's label ("Home & Under 1.5"), which the
vocabulary never reads.
"""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any, Final

import polars as pl

from ..captures import CAPTURES

Odds = dict[tuple[str, str, str], int]
"""(market, specifier, label) to thousandths, of one answer."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A row of `facts.csv`.

    `labels`: the platform's label to the canonical outcome; its price stands there and nowhere else in that market and
    specifier.
    """

    capture: str
    market: str
    specifier: str
    market_key: str
    line: str
    labels: dict[str, str]


def _read_facts() -> dict[str, list[Fact]]:
    found: dict[str, list[Fact]] = {}
    with (Path(__file__).parent / "facts.csv").open(newline="", encoding="utf-8") as file:
        for name, *fields, labels in islice(csv.reader(file), 1, None):
            pairs = [pair.split("=") for pair in labels.split("|")]
            found.setdefault(name, []).append(Fact(*fields, dict(pairs)))
    return found


FACTS: Final = _read_facts()
"""By what must hold."""

NOT_A_MARKET: Final = [
    "S_AH1T",
    "S_AH2T",
    "S_HOMEGOALS",
    "S_AWAYGOALS",
    "S_TTSCORE",
    "S_OUGGNG",
    "S_MULTIGOAL",
    "S_MULTIGOAL1T",
    "S_MULTIGOAL2T",
    "S_1X2CORNERS",
    "S_1X2CORNERS1T",
    "S_AHCORNERS",
    "S_AHCORNERS1T",
    "S_SENDOFF",
    "S_LASTGOAL",
    "S_DCGGNG1T",
]
"""Keys that Bet9ja does not have, neither priced nor in its list of markets."""


def misread(prices: pl.DataFrame, samples: Path, facts: list[Fact]) -> list[str]:
    """The facts that canonical prices contradict, in words."""
    found = []
    for fact in facts:
        given = _answer(samples, fact.capture)
        market = prices.filter(
            (pl.col("capture") == fact.capture)
            & (pl.col("market_key") == fact.market_key)
            & (pl.col("specifier") == fact.line)
        ).select("outcome", "odds_milli")
        have = dict(market.iter_rows())
        for label, outcome in fact.labels.items():
            odds = given[fact.market, fact.specifier, label]
            if have.get(outcome) != odds:
                where = f"{fact.market_key} {fact.line} {outcome}"
                found.append(
                    f"{fact.capture} {fact.market} {fact.specifier} {label!r} at {odds} is not {where}: {have}"
                )
    return found


_ANSWERS: dict[tuple[Path, str], Odds] = {}


def _answer(samples: Path, capture: str) -> Odds:
    """The prices of an answer by the platform's own words, read without the package."""
    if (samples, capture) not in _ANSWERS:
        platform, _, file = CAPTURES[capture]
        answer = json.loads((samples / platform / file).read_bytes(), parse_float=Decimal)
        _ANSWERS[samples, capture] = {name: int(Decimal(odds) * 1000) for name, odds in READERS[platform](answer)}
    return _ANSWERS[samples, capture]


Priced = Iterator[tuple[tuple[str, str, str], Any]]


def _betpawa(answer: Any) -> Priced:
    for market in answer["markets"]:
        for row in market["row"]:
            line = row.get("handicap")
            for price in row["prices"]:
                odds = price.get("price", price.get("odds"))
                yield (market["marketType"]["id"], "" if line is None else str(line), price["name"]), odds or 0


def _sportybet(answer: Any) -> Priced:
    for market in answer["data"]["markets"]:
        for outcome in market.get("outcomes", ()):
            yield (market["id"], market.get("specifier") or "", outcome["desc"]), outcome["odds"]


def _bet9ja(answer: Any) -> Priced:
    for key, odds in answer["D"]["O"].items():
        prefix, market, label = key.split("_", 2)
        name, _, line = market.partition("@")
        yield (f"{prefix}_{name}", line, label), odds


READERS: Final = {"betpawa": _betpawa, "sportybet": _sportybet, "bet9ja": _bet9ja}
