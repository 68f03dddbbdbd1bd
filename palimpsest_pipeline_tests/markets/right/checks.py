"""The checks by name: each takes what the vocabulary makes of the captures and says what is wrong, in words. Nothing is wrong with the right vocabulary.

What the books themselves get wrong is listed with reasons, in `outside.csv` and `swaps.csv` and below. A line that is no longer so is wrong too.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import polars as pl

from palimpsest_pipeline.markets import Vocabulary

from . import laws, pairs
from .facts import FACTS, misread

HERE: Final = Path(__file__).parent

LEAST_PAIRS: Final = 1_900
LEAST_MARKETS: Final = 190
"""Compared on two platforms at least, of the one fixture."""
MOST_OUTSIDE: Final = 0.015
MOST_BETTER: Final = 0.002
LEAST_SUMS: Final = 7_900
MARGIN: Final = (0.0, 0.25)
"""Of a complete market of two outcomes."""
MARGIN_OF_MANY: Final = (0.0, 0.85)

LOADED: Final = {
    ("bet9ja_qatar_sudan", "winning_margin"): "40 % of overround on the seven margins, nearly all on the outsider's",
}
"""Markets whose prices say something else than their parts, once margins are taken out in proportion."""
TWO_FEEDS: Final = {
    ("sportybet_norway_france", market): "the two-way market's last line is followed by the first of the ladder `n+`, from another feed"
    for market in (
        "away_total_fouls",
        "away_total_shots",
        "away_total_shots_on_target",
        "home_total_fouls",
        "total_fouls",
        "total_offsides",
        "total_shots",
        "total_shots_on_target_1h",
    )
} | {("bet9ja_norway_france", "total_goals"): "half lines and quarter lines are two markets of the book"}
"""Markets with lines that are not in order."""
FEED_ERROR: Final = {
    ("betpawa_norway_france", "double_chance_and_total_goals", "total=3.5"): "all six prices are near half of the other books'",
}
"""Markets whose sum is no margin."""


@dataclass(frozen=True)
class Reading:
    """What a vocabulary makes of the captured answers."""

    prices: pl.DataFrame
    words: Vocabulary
    samples: Path

    @cached_property
    def pairs(self) -> pl.DataFrame:
        return pairs.pairs(self.prices)

    @cached_property
    def swaps(self) -> pl.DataFrame:
        return pairs.swaps(self.pairs)

    @cached_property
    def sums(self) -> pl.DataFrame:
        return laws.sums(self.prices)


def known(name: str) -> pl.DataFrame:
    """A committed list. Its last column is the reason."""
    return pl.read_csv(HERE / f"{name}.csv", infer_schema=False).fill_null("")


def _lines(frame: pl.DataFrame, prefix: str = "") -> list[str]:
    return [prefix + " ".join(str(value) for value in row) for row in frame.iter_rows()]


def _apart(found: pl.DataFrame, name: str) -> list[str]:
    """Where what was found and the committed list differ."""
    listed = known(name)
    key = [column for column in listed.columns if column != "reason"]
    new = found.select(key).join(listed, on=key, how="anti")
    gone = listed.select(key).join(found.select(key), on=key, how="anti")
    return _lines(new) + _lines(gone, "listed, and no longer so: ")


def _few(name: str, have: int, least: int) -> Iterable[str]:
    return [f"{have} {name}, of at least {least}"] if have < least else []


def same_bet_same_price(reading: Reading) -> list[str]:
    found = reading.pairs
    return [
        *_apart(found.filter("outside"), "outside"),
        *_few("pairs compared", found.height, LEAST_PAIRS),
        *_few("markets compared", found["market_key"].n_unique(), LEAST_MARKETS),
    ]


def no_exchange_fits_better(reading: Reading) -> list[str]:
    return _apart(reading.swaps.filter(pl.col("verdict") == "better"), "swaps")


def parts_sum_to_the_whole(reading: Reading) -> list[str]:
    found = reading.sums
    name = ["capture", "part_market", "part_specifier", "market_key", "specifier", "outcome"]
    apart = found.filter(~pl.col("close")).filter(
        ~pl.struct("capture", "part_market").is_in(_pairs(LOADED)) & ~pl.struct("capture", part_market="market_key").is_in(_pairs(LOADED))
    )
    return _lines(pl.concat([found.filter(~pl.col("within")), apart]).select(name).unique(maintain_order=True)) + [
        *_few("sums", found.height, LEAST_SUMS)
    ]


def _pairs(listed: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"capture": capture, "part_market": market} for capture, market in listed]


def the_narrower_bet_is_dearer(reading: Reading) -> list[str]:
    found = laws.inclusions(reading.prices)
    return _lines(found.filter(pl.col("excess") > pl.col("allowed")).drop("excess", "allowed"))


def lines_are_in_order(reading: Reading) -> list[str]:
    steps = laws.order(reading.prices).filter(pl.col("rise") < -laws.ROUNDING)
    found = set(steps.select("capture", "market_key").iter_rows())
    new = [f"{row['capture']} {row['market_key']} {row['specifier']} {row['outcome']}" for row in steps.iter_rows(named=True)
           if (row["capture"], row["market_key"]) not in TWO_FEEDS]
    return new + [f"listed, and no longer so: {' '.join(market)}" for market in TWO_FEEDS if market not in found]


def margins_are_margins(reading: Reading) -> list[str]:
    found = []
    for capture, market, specifier, n, margin in laws.margins(reading.prices, reading.words).iter_rows():
        low, high = MARGIN if n == 2 else MARGIN_OF_MANY
        if not low < margin < high and (capture, market, specifier) not in FEED_ERROR:
            found.append(f"{capture} {market} {specifier}: {margin:.3f}")
    return found


def labels_are_where_they_belong(reading: Reading) -> list[str]:
    return [line for facts in FACTS.values() for line in misread(reading.prices, reading.samples, facts)]


CHECKS: Final[dict[str, Callable[[Reading], list[str]]]] = {
    check.__name__: check
    for check in (
        same_bet_same_price,
        no_exchange_fits_better,
        parts_sum_to_the_whole,
        the_narrower_bet_is_dearer,
        lines_are_in_order,
        margins_are_margins,
        labels_are_where_they_belong,
    )
}
