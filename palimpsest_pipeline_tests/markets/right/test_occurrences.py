"""An occurrence is one market and line of one answer, however many rows it is sent in."""

import json
from pathlib import Path

import polars as pl
import pytest

from palimpsest_pipeline.markets import normalise
from palimpsest_pipeline.pipeline.installed_vocabulary import load_installed_vocabulary

from ..captures import CAPTURES, INDEX, captured_books


def _occurrences(samples: Path, capture: str) -> int:
    coverage = normalise(captured_books(samples), load_installed_vocabulary()).coverage
    return int(coverage.filter(pl.col("capture") == INDEX[capture])["n_markets"].sum())


def _answer(samples: Path, capture: str) -> dict[str, object]:
    platform, _, file = CAPTURES[capture]
    return json.loads((samples / platform / file).read_bytes())  # type: ignore[no-any-return]


@pytest.mark.parametrize("capture", ["betpawa_norway_france", "betpawa_v4"])
def test_betpawa_counts_its_markets_as_we_do(samples: Path, capture: str) -> None:
    assert _occurrences(samples, capture) == int(str(_answer(samples, capture)["totalMarketCount"]))


@pytest.mark.parametrize("capture", ["sportybet_norway_france", "sportybet_360"])
def test_each_market_of_sportybet_is_an_occurrence(samples: Path, capture: str) -> None:
    markets = _answer(samples, capture)["data"]["markets"]  # type: ignore[index]
    assert _occurrences(samples, capture) == len({(market["id"], market.get("specifier")) for market in markets})


@pytest.mark.parametrize("capture", ["bet9ja_norway_france", "bet9ja_qatar_sudan"])
def test_keys_of_bet9ja_that_differ_in_their_suffix_are_one_occurrence(samples: Path, capture: str) -> None:
    keys = _answer(samples, capture)["D"]["O"]  # type: ignore[index]
    assert _occurrences(samples, capture) == len({tuple(key.split("_", 2)[:2]) for key in keys})
