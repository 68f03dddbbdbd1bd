"""Books of three platforms as they stand, of the size and shape of real ones, made fast: partitions of about a million
prices each.

Markets and their outcomes are those of the vocabulary. Of every market the platforms agree on the chances, more or
less; each adds its own margin. Now and then one of them lacks a market, has withdrawn it, holds it off, has no price
for it or for one of its outcomes, or has dropped the fixture.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import polars as pl

from palimpsest_pipeline.domain.enums import MarketState
from palimpsest_pipeline.domain.schemas import COMPARED_LISTINGS
from palimpsest_pipeline.markets import Vocabulary
from palimpsest_pipeline.metrics import build_outcome_sets, comparison_frames
from palimpsest_pipeline.pipeline.installed_vocabulary import load_installed_vocabulary
from palimpsest_pipeline_tests.fixtures.platforms import PLATFORMS

PARTITION_PRICES: Final = 1_000_000
MARKETS: Final = 200
"""Different markets with outcomes of the vocabulary; totals among them on several lines.

So a fixture has some 3,000 prices, as real ones do.
"""
TOTALS: Final = (0.5, 1.5, 2.5, 3.5, 4.5)
MOST_OUTCOMES: Final = 12
PLAYER_MARKETS: Final = 2
PLAYERS: Final = 12
"""Of a fixture: one row each in every market of players."""
AS_OF: Final = datetime(2026, 3, 2, 12, tzinfo=UTC)

LACKS, WITHDRAWN, SUSPENDED, NO_PRICE, ONE_OFF, ONE_UNPRICED = range(6)
SHARES: Final = (0.12, 0.03, 0.02, 0.01, 0.02, 0.02)
"""How often a platform's market is so; else it is offered with all its prices."""
THERE: Final = (0.98, 0.92, 0.92)
"""How often a platform lists a fixture."""
PLAYER_THERE: Final = 0.7


@dataclass(frozen=True)
class Line:
    """A market on a line; `winners` of its outcomes win. Of players: no outcomes of the vocabulary."""

    market_key: str
    specifier: str
    n_outcomes: int
    winners: int


def lines(words: Vocabulary) -> list[Line]:
    """What every fixture has: MARKETS of the vocabulary in its order, totals on every line of TOTALS."""
    sizes = words.outcomes.group_by("market_id").agg(n=pl.len())
    known = words.markets.filter(
        pl.col("sport") == "football",
        pl.col("line_kind").is_in(["none", "total"]),
        pl.col("fair_sum").is_in(["1", "2"]),
    )
    chosen = (
        known.join(sizes, on="market_id")
        .filter(pl.col("n").is_between(2, MOST_OUTCOMES))
        .sort("market_id")
        .head(MARKETS)
    )
    found = []
    for key, kind, fair_sum, n in chosen.select("market_key", "line_kind", "fair_sum", "n").iter_rows():
        specifiers = [f"total={total}" for total in TOTALS] if kind == "total" else [""]
        found += [Line(key, specifier, n, int(fair_sum)) for specifier in specifiers]
    return found


def player_markets(words: Vocabulary) -> list[str]:
    players = words.markets.filter(pl.col("sport") == "football", pl.col("line_kind") == "player").sort("market_id")
    return players["market_key"].head(PLAYER_MARKETS).to_list()


class MartsWorld:
    """Partitions of fixtures, each with the frames that the metrics of prices side by side take."""

    def __init__(self, seed: int, partition_prices: int = PARTITION_PRICES) -> None:
        words = load_installed_vocabulary()
        self._lines, self._players, self._seed = lines(words), player_markets(words), seed
        a_listing = sum(line.n_outcomes for line in self._lines) * (
            1 - SHARES[LACKS] - SHARES[WITHDRAWN] - SHARES[NO_PRICE]
        )
        a_listing += len(self._players) * PLAYERS * PLAYER_THERE
        self.fixtures = max(1, round(partition_prices / (sum(THERE) * a_listing)))
        """In a partition."""
        keys = words.markets.select("market_id", "market_key").cast({"market_id": pl.Int16})
        self.outcomes = (
            words.outcomes.cast({"market_id": pl.Int16, "ordinal": pl.Int16})
            .join(keys, on="market_id")
            .select("market_key", "market_id", "ordinal", "outcome_key")
        )
        self.sets = build_outcome_sets(words.markets, words.outcomes, words.complete_sets).join(keys, on="market_id")

    def partition(self, number: int) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Markets (`present.MARKETS`), fixture by fixture, and listings (`present.LISTINGS`)."""
        random = np.random.default_rng([self._seed, number])
        listings = self._listings(random, 1 + number * self.fixtures)
        listed = listings.filter(pl.col("answered_at").is_not_null()).select("sr_id", "platform", "answered_at")
        books = pl.concat(self._books(random, 1 + number * self.fixtures))
        since = pl.col("answered_at") - pl.duration(minutes=pl.col("since_min"))
        markets = books.join(listed, on=["sr_id", "platform"]).with_columns(state_since=since)
        return markets.select(
            pl.col(name).cast(kind) for name, kind in comparison_frames.COMPARED_MARKETS_SCHEMA.items()
        ).sort("sr_id", maintain_order=True), listings

    def _listings(self, random: np.random.Generator, first: int) -> pl.DataFrame:
        """Home lists nearly every fixture, the others most; some were dropped, some were never answered, some were
        seen long after the others.
        """
        n = self.fixtures * len(PLATFORMS)
        rows = pl.DataFrame(
            {
                "sr_id": np.repeat(np.arange(first, first + self.fixtures), len(PLATFORMS)),
                "platform": list(PLATFORMS) * self.fixtures,
                "seconds": np.where(random.random(n) < 0.05, random.uniform(200, 3000, n), random.uniform(0, 100, n)),
                "silent": random.random(n) < 0.01,
                "dropped": random.random(n) < 0.02,
                "there": random.random(n) < np.tile(THERE, self.fixtures),
                "hours": np.repeat(random.uniform(1, 72, self.fixtures), len(PLATFORMS)),
            }
        )
        answered = pl.lit(AS_OF) - pl.duration(microseconds=(pl.col("seconds") * 1e6).cast(pl.Int64))
        found = rows.filter("there").select(
            "sr_id",
            "platform",
            answered_at=pl.when(~pl.col("silent")).then(answered),
            dropped_at=pl.when("dropped").then(answered + timedelta(minutes=5)),
            kickoff_at=pl.lit(AS_OF) + pl.duration(minutes=(pl.col("hours") * 60).cast(pl.Int64)),
        )
        return found.select(pl.col(name).cast(kind) for name, kind in COMPARED_LISTINGS.items())

    def _books(self, random: np.random.Generator, first: int) -> Iterator[pl.DataFrame]:
        shape = (self.fixtures, len(PLATFORMS))
        sr_ids = np.repeat(np.arange(first, first + self.fixtures), len(PLATFORMS))
        for line in self._lines:
            odds = self._odds(random, line)
            fate = random.choice(len(SHARES) + 1, shape, p=[*SHARES, 1 - sum(SHARES)])
            spot = random.integers(0, line.n_outcomes, shape)
            at_spot = np.arange(line.n_outcomes) == spot[..., None]
            unpriced = np.isin(fate, (WITHDRAWN, NO_PRICE))[..., None] | ((fate == ONE_UNPRICED)[..., None] & at_spot)
            states = np.full(shape, MarketState.OFFERED.value, dtype=object)
            for which, state in (
                (WITHDRAWN, MarketState.WITHDRAWN),
                (SUSPENDED, MarketState.SUSPENDED),
                (NO_PRICE, MarketState.NO_PRICE),
            ):
                states[fate == which] = state.value
            masks = np.where(fate == SUSPENDED, (1 << line.n_outcomes) - 1, np.where(fate == ONE_OFF, 1 << spot, 0))
            rows = pl.DataFrame(
                {
                    "sr_id": sr_ids,
                    "platform": list(PLATFORMS) * self.fixtures,
                    "state": pl.Series(states.ravel().tolist(), dtype=pl.String),
                    "off_mask": masks.ravel(),
                    "odds": pl.Series(
                        np.where(unpriced, 0, odds).reshape(-1, line.n_outcomes),
                        dtype=pl.Array(pl.Int32, line.n_outcomes),
                    ),
                    "since_min": random.integers(0, 3000, sr_ids.size),
                    "there": fate.ravel() != LACKS,
                }
            )
            odds_milli = pl.col("odds").cast(pl.List(pl.Int32)).list.eval(pl.when(pl.element() > 0).then(pl.element()))
            yield (
                rows.filter("there")
                .select(
                    "sr_id",
                    "platform",
                    "state",
                    "off_mask",
                    "since_min",
                    market_key=pl.lit(line.market_key),
                    specifier=pl.lit(line.specifier),
                    outcome=pl.lit(""),
                    odds_milli=odds_milli,
                )
                .select(BOOK)
            )
        for market_key in self._players:
            for player in range(PLAYERS):
                there = random.random(sr_ids.size) < PLAYER_THERE
                rows = pl.DataFrame(
                    {"sr_id": sr_ids, "platform": list(PLATFORMS) * self.fixtures, "there": there}
                ).with_columns(
                    odds=pl.Series(random.integers(110, 2000, sr_ids.size) * 10),
                    since_min=pl.Series(random.integers(0, 3000, sr_ids.size)),
                )
                yield (
                    rows.filter("there")
                    .select(
                        "sr_id",
                        "platform",
                        "since_min",
                        state=pl.lit(MarketState.OFFERED.value),
                        off_mask=pl.lit(0, pl.Int64),
                        market_key=pl.lit(market_key),
                        specifier=pl.lit(""),
                        outcome=pl.format("{}:{}", pl.col("platform"), pl.lit(player)),
                        odds_milli=pl.col("odds").cast(pl.Int32).implode().over(pl.int_range(pl.len())),
                    )
                    .select(BOOK)
                )

    def _odds(self, random: np.random.Generator, line: Line) -> np.ndarray:
        """Decimal odds x 1000, (fixtures, platforms, outcomes)."""
        n, k = line.n_outcomes, line.winners
        chances = random.dirichlet(np.full(n, 3.0), self.fixtures)
        if k > 1:  # every outcome short of certain, all together k
            chances = (1 - chances) * k / (n - 1) if n - 1 <= k + 1 else np.minimum(chances * k, 0.95)
        margins = random.uniform(0.02, 0.09, (1, len(PLATFORMS), 1))
        opinions = random.normal(1, 0.015, (self.fixtures, len(PLATFORMS), n))
        odds = 1 / (np.clip(chances, 0.002, 0.97)[:, None, :] * opinions * (1 + margins))
        return np.maximum(np.rint(odds * 100).astype(np.int32) * 10, 1010)


BOOK: Final = (
    "sr_id",
    "platform",
    "market_key",
    "specifier",
    "outcome",
    "state",
    "off_mask",
    "odds_milli",
    "since_min",
)
