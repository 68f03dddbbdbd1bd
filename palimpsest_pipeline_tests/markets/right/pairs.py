"""What must hold between the prices that two books give one fixture: the same bet costs much the same, and no two
outcomes are exchanged.
"""

from itertools import combinations
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline_tests.fixtures.platforms import PLATFORMS

ONE_FIXTURE: Final = "_norway_france"
"""End of the names of the captures of one fixture by all platforms."""

ODDS_FACTOR: Final = 1.8
COMPARED_BELOW: Final = 15_000
"""Thousandths. Longer odds are a matter of taste: books differ on them by more than the factor."""
PROBABILITY: Final = 0.12

NOISE: Final = 0.1
"""Of log odds: prices of two outcomes this near each other say nothing about their order."""

BET: Final = ["market_key", "specifier", "outcome"]
MARKET: Final = ["platform", "other_platform", "market_key", "specifier"]


def pairs(prices: pl.DataFrame) -> pl.DataFrame:
    """Backable prices of the same bet on two platforms: platform, other_platform, the bet, odds_milli,
    other_odds_milli, `outside` (of tolerance).
    """
    offered = prices.filter(pl.col("backable") & pl.col("capture").str.ends_with(ONE_FIXTURE))

    def one(platform: Platform, prefix: str) -> pl.DataFrame:
        return offered.filter(pl.col("platform") == platform).select(
            *BET, pl.col("platform").alias(f"{prefix}platform"), pl.col("odds_milli").alias(f"{prefix}odds_milli")
        )

    both = pl.concat(
        [one(first, "").join(one(second, "other_"), on=BET) for first, second in combinations(PLATFORMS, 2)]
    )
    odds, other = pl.col("odds_milli"), pl.col("other_odds_milli")
    factor = pl.max_horizontal(odds / other, other / odds)
    return both.with_columns(
        outside=((1000 / odds - 1000 / other).abs() > PROBABILITY)
        | ((factor > ODDS_FACTOR) & (pl.max_horizontal(odds, other) < COMPARED_BELOW))
    ).sort(*MARKET, "outcome")


def swaps(both: pl.DataFrame) -> pl.DataFrame:
    """Every exchange of two outcomes of a market on one of two platforms, from `pairs`: the market, outcome, outcome_2
    and `verdict`.

    The fit of two platforms is the sum of the squared differences of their log odds. Exchanging two outcomes on one of
    them changes it by twice the
    product of the steps between the two outcomes on either platform, whatever the overrounds: it fits `better` where
    the platforms put the two in different order and `worse` where they agree; `undecided` when a step is within NOISE.
    """
    log = both.with_columns(x=pl.col("odds_milli").log(), y=pl.col("other_odds_milli").log()).select(
        *MARKET, "outcome", "x", "y"
    )
    two = log.join(log, on=MARKET, suffix="_2").filter(pl.col("outcome") < pl.col("outcome_2"))
    step, other = pl.col("x") - pl.col("x_2"), pl.col("y") - pl.col("y_2")
    decided = pl.min_horizontal(step.abs(), other.abs()) > NOISE
    verdict = (
        pl.when(~decided)
        .then(pl.lit("undecided"))
        .when(step * other < 0)
        .then(pl.lit("better"))
        .otherwise(pl.lit("worse"))
    )
    return two.select(*MARKET, "outcome", "outcome_2", verdict=verdict).sort(*MARKET, "outcome", "outcome_2")
