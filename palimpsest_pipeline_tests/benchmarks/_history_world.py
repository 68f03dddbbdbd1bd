"""Histories of the main markets' prices up to kickoff, of the size and shape of real ones, made fast: partitions of
about a million prices each.

Every listing answers each half hour for three days, but for answers that failed, hours in which nobody looked, and
discoveries that lacked it. Now and then a market's prices move, or it is withdrawn, held off, or lacks its prices or
one of them. A UTC day's first answer names every market.
"""

from datetime import timedelta
from typing import Final

import numpy as np
import polars as pl

from palimpsest_pipeline.domain.enums import LookResult, MarketState
from palimpsest_pipeline.domain.schemas import LISTING_LOOKS
from palimpsest_pipeline.metrics import lifecycle_frames
from palimpsest_pipeline.pipeline.installed_vocabulary import load_installed_vocabulary

from ._marts_files import HISTORY_AS_OF, HOME_FIRST, MAIN_MARKETS

ANSWERS: Final = 144
EVERY: Final = timedelta(minutes=30)
MOVES: Final = 0.1
"""How often an answer shows a market otherwise than the one before."""
PRICES_A_LISTING: Final = 390
"""About, of the lines below: what a listing's history comes to."""
LINES: Final = {
    "total_goals": ("total=0.5", "total=1.5", "total=2.5", "total=3.5", "total=4.5"),
    "asian_handicap": ("handicap=-1", "handicap=0"),
}
"""Specifiers of markets on several lines."""
STATES: Final = (MarketState.OFFERED, MarketState.SUSPENDED, MarketState.NO_PRICE, MarketState.WITHDRAWN)
SHARES: Final = (0.88, 0.05, 0.02, 0.05)


class HistoryWorld:
    """Partitions of listings with what looking at them came to: the frames that the metrics of a fixture's life
    take.
    """

    def __init__(self, seed: int, partition_prices: int) -> None:
        words = load_installed_vocabulary()
        keys = words.markets.filter(pl.col("market_key").is_in(MAIN_MARKETS)).select(
            "market_id", "market_key", "fair_sum"
        )
        sizes = (
            words.outcomes.join(keys, on="market_id")
            .group_by("market_key", "fair_sum")
            .agg(n=pl.len())
            .sort("market_key")
        )
        self._lines = [(key, line, n, int(k)) for key, k, n in sizes.iter_rows() for line in LINES.get(key, ("",))]
        self._seed, self.fixtures = seed, max(1, round(partition_prices / (len(HOME_FIRST) * PRICES_A_LISTING)))

    def partition(self, number: int) -> dict[str, pl.DataFrame]:
        """`lives` (life.LISTINGS), `looks`, `changes`, `kickoffs`."""
        random = np.random.default_rng([self._seed, number, 1])
        n = self.fixtures * len(HOME_FIRST)
        began = HISTORY_AS_OF - ANSWERS * EVERY
        sr_ids = np.arange(1, self.fixtures + 1) + number * self.fixtures
        minutes = random.integers(-20 * 60, 4 * 60, self.fixtures)
        kickoffs = pl.DataFrame({"sr_id": sr_ids, "minutes": minutes}).select(
            "sr_id",
            version=1,
            observed_from=pl.lit(began),
            kickoff_at=pl.lit(HISTORY_AS_OF) + pl.duration(minutes="minutes"),
        )
        lives = pl.DataFrame(
            {"sr_id": np.repeat(sr_ids, len(HOME_FIRST)), "platform": list(HOME_FIRST) * self.fixtures}
        ).with_columns(
            listing_id=pl.int_range(pl.len()) + number * n,
            is_home=pl.col("platform") == HOME_FIRST[0],
            first_listed_at=pl.lit(began),
        )
        looks = self._looks(random, lives)
        answered = looks.filter(look=LookResult.ANSWERED.value)
        lives = lives.join(
            answered.group_by("listing_id").agg(last_seen_at=pl.col("at").max()), on="listing_id", maintain_order="left"
        )
        frames = {"lives": lives, "looks": looks, "changes": self._changes(random, answered), "kickoffs": kickoffs}
        return {
            name: frame.select(pl.col(c).cast(kind) for c, kind in SCHEMAS[name].items())
            for name, frame in frames.items()
        }

    def _looks(self, random: np.random.Generator, lives: pl.DataFrame) -> pl.DataFrame:
        """One row a cycle and listing, but for the five hours in which nobody looked at it."""
        n = lives.height * ANSWERS
        quiet = random.integers(0, ANSWERS - 10, lives.height).repeat(ANSWERS)
        rows = pl.DataFrame(
            {
                "listing_id": lives["listing_id"].to_numpy().repeat(ANSWERS),
                "cycle_id": np.tile(np.arange(ANSWERS), lives.height),
                "second": random.integers(0, 600, n),
                "luck": random.random(n),
                "quiet": quiet,
            }
        ).filter(~pl.col("cycle_id").is_between("quiet", pl.col("quiet") + 9))
        other = (
            pl.when(pl.col("luck") < 0.03)
            .then(pl.lit(LookResult.FAILED.value))
            .when(pl.col("luck") < 0.05)
            .then(pl.lit(LookResult.ABSENT.value))
        )
        minutes = pl.col("cycle_id") * (EVERY // timedelta(minutes=1))
        return rows.with_columns(
            at=pl.lit(HISTORY_AS_OF - ANSWERS * EVERY) + pl.duration(minutes=minutes, seconds="second"),
            look=other.otherwise(pl.lit(LookResult.ANSWERED.value)),
            detail=pl.lit(""),
            n_markets_priced=pl.lit(len(self._lines)),
        )

    def _changes(self, random: np.random.Generator, answered: pl.DataFrame) -> pl.DataFrame:
        day = pl.col("at").dt.date()
        said = answered.select(
            "listing_id", observed_at="at", keyframe=(day != day.shift().over("listing_id")).fill_null(value=True)
        )
        first = (
            said.select(pl.col("listing_id") != pl.col("listing_id").shift())
            .to_series()
            .fill_null(value=True)
            .to_numpy()
        )
        parts = [self._line(random, said, first, *line) for line in self._lines]
        return pl.concat(parts).sort("listing_id", "observed_at", maintain_order=True)

    def _line(
        self,
        random: np.random.Generator,
        said: pl.DataFrame,
        first: np.ndarray,
        key: str,
        specifier: str,
        n: int,
        k: int,
    ) -> pl.DataFrame:
        """The rows of a line: what moved, and in keyframes all that is not withdrawn."""
        moved = first | (random.random(said.height) < MOVES)
        version = moved.cumsum() - 1
        n_versions = int(version[-1]) + 1
        state = random.choice(len(STATES), n_versions, p=SHARES)
        chances = (
            random.dirichlet(np.full(n, 4.0), n_versions)
            if k == 1
            else np.full((n_versions, n), k / n) * random.uniform(0.9, 1.1, (n_versions, n))
        )
        odds = np.maximum(
            np.rint(100 / (np.clip(chances, 0.002, 0.97) * random.uniform(1.01, 1.1, (n_versions, 1)))).astype(np.int32)
            * 10,
            1010,
        )
        odds[(state >= STATES.index(MarketState.NO_PRICE)) | (random.random(n_versions) < 0.01)] = 0
        spot = np.arange(n) == random.integers(0, n, n_versions)[:, None]
        odds[spot & (random.random(n_versions) < 0.02)[:, None]] = 0
        masks = np.where(
            state == STATES.index(MarketState.SUSPENDED), (1 << n) - 1, np.where(random.random(n_versions) < 0.02, 1, 0)
        )
        rows = said.with_columns(
            market_key=pl.lit(key),
            specifier=pl.lit(specifier),
            outcome=pl.lit(""),
            state=pl.Series(
                np.array([one.value for one in STATES], dtype=object)[state].tolist(), dtype=pl.String
            ).gather(version),
            off_mask=pl.Series(masks).gather(version),
            odds=pl.Series(odds, dtype=pl.Array(pl.Int32, n)).gather(version),
            moved=pl.Series(moved),
        )
        gone = pl.col("state") == MarketState.WITHDRAWN.value
        prices = pl.col("odds").cast(pl.List(pl.Int32)).list.eval(pl.when(pl.element() > 0).then(pl.element()))
        return (
            rows.filter(pl.when("keyframe").then(~gone).otherwise("moved"))
            .with_columns(odds_milli=prices)
            .drop("odds", "moved")
        )


SCHEMAS: Final = {
    "lives": lifecycle_frames.LIFECYCLE_LISTINGS_SCHEMA,
    "looks": LISTING_LOOKS,
    "changes": lifecycle_frames.CHANGES_SCHEMA,
    "kickoffs": lifecycle_frames.KICKOFFS_SCHEMA,
}
