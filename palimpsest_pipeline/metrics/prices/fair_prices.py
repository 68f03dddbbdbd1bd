"""Fair probabilities: what the prices of a market say once the book's margin is taken out, by three models of where the
margin sits.

multiplicative  every price carries the same share of it: p = k r / sum(r), where r is the inverse of the odds
power           long shots carry more: p = r ** n, with n such that the p add up to k
Shin            long shots carry more, as the book guards against a share z of bettors who know the winner:
                p = 2 r**2/S / (sqrt(z**2 + 4 (1 - z) r**2/S) + z), with S = sum(r) and z such that the p add up to 1

All three keep the order of the prices, and are the inverses themselves when there is no margin. Negative margins are
taken out the same way (n below 1, z below 0). With two outcomes Shin takes the same amount from both. Shin's model
knows one winner; for more it is not defined, and null.

Every market with a margin gets every method that applies: where they disagree is for the reader to see.
"""

from collections.abc import Sequence
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.price_numbers import EVENS_MILLI

FAIR_SCHEMA: Final[dict[str, pl.DataType]] = {
    "ordinal": pl.Int16(),
    "odds_milli": pl.Int32(),
    "fair_multiplicative": pl.Float64(),
    "fair_power": pl.Float64(),
    "fair_shin": pl.Float64(),
}
NEWTON_STEPS: Final = 12
"""Newton's steps for n and z.

Both equations are convex: it cannot diverge. Within the range of margins it is down to rounding by then.
"""

_INVERSE: Final = pl.col("inverse")
_SHARE: Final = pl.col("winners_k") / pl.col("sum_inverse")


def compute_fair_probabilities(margins: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """One row per outcome of every market that has a margin: `by`, then the columns of `FAIR_SCHEMA`, sorted by `by`
    and ordinal.

    `margins`: what `compute_market_margins` returns for the same `by`. A method that makes an outcome of a market
    certain, or more, is null for all of its
    outcomes: with two winners and a negative margin, sharing it out evenly can do that to a short price.
    """
    markets = (
        margins.filter(pl.col("margin").is_not_null())
        .select(*by, "winners_k", "sum_inverse", "odds_milli", ordinal="ordinals")
        .with_columns(inverse=EVENS_MILLI / pl.col("odds_milli").cast(pl.List(pl.Float64)))
        .with_columns(fair_multiplicative=_INVERSE * _SHARE)
        .pipe(_add_power)
        .pipe(_add_shin)
    )
    methods = [name for name in FAIR_SCHEMA if name.startswith("fair_")]
    nulls = pl.lit(None, pl.Float64).repeat_by(pl.col("ordinal").list.len())
    rows = markets.select(*by, *FAIR_SCHEMA).with_columns(
        pl.when(pl.col(name).list.max() < 1).then(name).otherwise(nulls).alias(name) for name in methods
    )
    return rows.explode(*FAIR_SCHEMA).with_columns(pl.col(name).cast(dtype) for name, dtype in FAIR_SCHEMA.items())


def compute_multiplicative_share() -> pl.Expr:
    """Of rows of `compute_margin_figures`: what the inverse of each price is multiplied by to be its
    fair_multiplicative; null where that is null.
    """
    return pl.when(pl.col("margin").is_not_null() & (EVENS_MILLI / pl.col("shortest_milli") * _SHARE < 1)).then(_SHARE)


def _add_power(markets: pl.DataFrame) -> pl.DataFrame:
    """`markets` with `fair_power`. Solves log(sum(r ** n)) = log(k), which is nearly a line in n."""
    log = pl.col("log")
    markets = markets.with_columns(log=_INVERSE.list.eval(pl.element().log()), n=pl.lit(1.0)).with_columns(
        fair_power=_INVERSE
    )
    for _ in range(NEWTON_STEPS):
        power = pl.col("fair_power")
        total = power.list.sum()
        step = total * (total / pl.col("winners_k")).log() / (power * log).list.sum()
        markets = markets.with_columns(n=pl.col("n") - step).with_columns(
            fair_power=(log * pl.col("n")).list.eval(pl.element().exp())
        )
    return markets.drop("log", "n")


def _add_shin(markets: pl.DataFrame) -> pl.DataFrame:
    """`markets` with `fair_shin`. With a = r**2/S and q the root, solves sum(q) - 2 - (N - 2) z = 0: the sum of p,
    without its division by 1 - z.

    z = 1 solves it as well, whatever the prices; from z = 0 the steps end at the other solution.
    """
    a, q, z, more = pl.col("a"), pl.col("q"), pl.col("z"), pl.col("more")
    root = (a * (4 * (1 - z)) + z * z).list.eval(pl.element().sqrt())
    markets = markets.with_columns(
        a=_INVERSE * _INVERSE / pl.col("sum_inverse"),
        z=pl.when(pl.col("winners_k") == 1).then(0.0),
        more=_INVERSE.list.len().cast(pl.Int64) - 2,
    ).with_columns(q=root)
    for _ in range(NEWTON_STEPS):
        step = (q.list.sum() - 2 - more * z) / (((a * -2.0 + z) / q).list.sum() - more)
        markets = markets.with_columns(z=z - step).with_columns(q=root)
    return markets.with_columns(fair_shin=a * 2.0 / (q + z)).drop("a", "q", "z", "more")
