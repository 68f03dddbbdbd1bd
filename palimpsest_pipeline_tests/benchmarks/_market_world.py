"""A world of prices of the size of the real one, made fast: every listing has the same markets, and a share of them
moves at each cycle.

Prices walk at random; each answer has an instant of its own, down to the microsecond.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import polars as pl

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.domain.schemas import INSTANT
from palimpsest_pipeline_tests.fixtures.platforms import PLATFORMS

SIZES: Final = ((2, 50), (3, 50), (6, 13))
"""(outcomes of a market, how many such markets a listing has): 113 markets, 328 prices."""
MARKETS: Final = sum(n for _, n in SIZES)
PRICES: Final = sum(size * n for size, n in SIZES)
LINES_PER_MARKET: Final = 5
SWEEP: Final = timedelta(seconds=40)
"""How long a cycle takes to see every listing."""
BEGIN: Final = datetime(2026, 3, 2, tzinfo=UTC)


class MarketWorld:
    """`events` on three platforms each. `listing_id` is 3 x event + place of the platform + 1."""

    def __init__(self, events: int, changed: float, seed: int) -> None:
        self.events, self._changed = events, changed
        self.listings = events * len(PLATFORMS)
        self._random = np.random.default_rng(seed)
        self._log_odds = self._random.uniform(np.log(1.05), np.log(30), (self.listings, PRICES))
        self.odds = self._milli(self._log_odds)
        sizes = [size for size, n in SIZES for _ in range(n)]
        self._market_of_price = np.repeat(np.arange(MARKETS), sizes)
        numbers = range(MARKETS)
        self.lines = pl.DataFrame(
            {
                "market": numbers,
                "market_id": [1 + number // LINES_PER_MARKET for number in numbers],
                "specifier": [
                    "" if number % LINES_PER_MARKET == 0 else f"total={number % LINES_PER_MARKET + 0.5}"
                    for number in numbers
                ],
                "size": sizes,
            },
            schema={"market": pl.Int32, "market_id": pl.Int16, "specifier": pl.String, "size": pl.Int16},
        )

    @staticmethod
    def _milli(log_odds: np.ndarray) -> np.ndarray:
        return np.maximum(np.rint(np.exp(log_odds) * 100).astype(np.int32) * 10, 1010)

    @property
    def n_prices(self) -> int:
        return self.listings * PRICES

    def move(self) -> np.ndarray:
        """One cycle later: which markets of which listing moved, as a mask (listings, MARKETS)."""
        before = self.odds
        moved = self._random.random((self.listings, MARKETS)) < self._changed
        prices = moved[:, self._market_of_price]
        self._log_odds = np.where(
            prices,
            np.clip(self._log_odds + self._random.normal(0, 0.04, prices.shape), np.log(1.02), np.log(900)),
            self._log_odds,
        )
        self.odds = np.where(prices, self._milli(self._log_odds), before)
        return np.add.reduceat((self.odds != before).astype(np.int8), self._starts, axis=1) > 0

    @property
    def _starts(self) -> np.ndarray:
        return np.searchsorted(self._market_of_price, np.arange(MARKETS))

    def instants(self, at: datetime) -> np.ndarray:
        """When each listing is seen in the sweep that begins at `at`, microseconds since 1970."""
        begin_us = int(at.timestamp() * 1_000_000)
        return begin_us + self._random.integers(0, int(SWEEP.total_seconds() * 1_000_000), self.listings)

    def captures(self, instants: np.ndarray) -> pl.DataFrame:
        """One answer per listing."""
        counts = {
            "n_markets_listed": MARKETS,
            "n_markets_mapped": MARKETS,
            "n_markets_priced": MARKETS,
            "n_prices": PRICES,
            "n_prices_merged": 0,
        }
        return pl.DataFrame(
            {"listing_id": np.arange(1, self.listings + 1, dtype=np.int32), "observed_at": instants}
        ).with_columns(pl.col("observed_at").cast(INSTANT), **{name: pl.lit(n, pl.Int32) for name, n in counts.items()})

    def rows(self, instants: np.ndarray, moved: np.ndarray | None = None) -> pl.DataFrame:
        """Market rows of the answers: all, or those in the mask.

        Columns listing_id, observed_at, market (place in `lines`), odds_milli.
        """
        parts = []
        start_market = start_price = 0
        for size, n in SIZES:
            block = self.odds[:, start_price : start_price + size * n].reshape(self.listings, n, size)
            chosen = np.ones((self.listings, n), bool) if moved is None else moved[:, start_market : start_market + n]
            listing, market = np.nonzero(chosen)
            parts.append(
                pl.DataFrame(
                    {
                        "listing_id": (listing + 1).astype(np.int32),
                        "observed_at": instants[listing],
                        "market": (market + start_market).astype(np.int32),
                        "odds_milli": pl.Series(block[chosen], dtype=pl.Array(pl.Int32, size)).cast(pl.List(pl.Int32)),
                    }
                )
            )
            start_market, start_price = start_market + n, start_price + size * n
        return pl.concat(parts).with_columns(pl.col("observed_at").cast(INSTANT))

    def contents(self, instants: np.ndarray) -> pl.DataFrame:
        """What the answers say, as the history takes it in."""
        return (
            self.rows(instants)
            .join(self.lines, on="market")
            .select(
                "listing_id",
                "observed_at",
                "market_id",
                "specifier",
                outcome=pl.lit(""),
                state=pl.lit("offered"),
                off_mask=pl.lit(0, pl.Int64),
                odds_milli="odds_milli",
            )
        )

    @staticmethod
    def platform_of(platform: Platform) -> pl.Expr:
        """Whether a listing is one of the platform's."""
        return (pl.col("listing_id") - 1) % len(PLATFORMS) == PLATFORMS.index(platform)

    def cycles(self, n: int, every: timedelta, begin: datetime = BEGIN) -> Iterator[datetime]:
        """Instants at which `n` cycles begin."""
        for number in range(n):
            yield begin + number * every
