"""Fair probabilities of a market: its prices without the book's margin, by three models.

multiplicative  every price carries the same share of it: p = k r / sum(r), where r is the inverse of the odds
power           long shots carry more: p = r ** n, with n such that the p add up to k
Shin            long shots carry more, as the book guards against a share z of bettors who know the winner:
                p = 2 r**2/S / (sqrt(z**2 + 4 (1 - z) r**2/S) + z), with S = sum(r) and z such that the p add up to 1

All three keep the order of the prices, and equal the inverses when there is no margin. Negative margins are removed the
same way (n below 1, z below 0). With two outcomes Shin takes the same amount from both. Shin's model has exactly one
winner; for markets with more it is not defined, and null.

Every market with a margin gets every method that applies, so that readers see where the methods disagree.
"""

from collections.abc import Sequence
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.price_numbers import EVENS_MILLI

from .margins import compute_market_margins

FAIR_SCHEMA: Final[dict[str, pl.DataType]] = {
    "ordinal": pl.Int16(),
    "odds_milli": pl.Int32(),
    "fair_multiplicative": pl.Float64(),
    "fair_power": pl.Float64(),
    "fair_shin": pl.Float64(),
}
MAX_NEWTON_STEPS: Final = 50
"""Maximum number of Newton steps for n and z. Markets with usual margins need five.

Both equations are convex, so the iteration cannot diverge.
"""
LAST_STEP: Final = 1e-10
"""A market whose step was smaller than this is solved.

Each step squares the error, so the next would be below rounding error.
"""

_INVERSE: Final = pl.col("inverse")
_SHARE: Final = pl.col("winners_k") / pl.col("sum_inverse")


def compute_fair_probabilities(margins: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Return one row per outcome of every market with a margin: `keys`, then `FAIR_SCHEMA`.

    The rows are sorted by `keys` and ordinal. `margins` is the result of `compute_market_margins` for the same `keys`.
    If a method gives any outcome of a market a probability of 1 or more, the method's values are null for the whole
    market. This can happen to the multiplicative method with two winners and a negative margin.
    """
    markets = (
        margins.filter(pl.col("margin").is_not_null())
        .select(*keys, "winners_k", "sum_inverse", "odds_milli", ordinal="ordinals")
        .with_columns(inverse=EVENS_MILLI / pl.col("odds_milli").cast(pl.List(pl.Float64)))
        .with_columns(fair_multiplicative=_INVERSE * _SHARE)
        .pipe(_add_power)
        .pipe(_add_shin)
    )
    methods = [name for name in FAIR_SCHEMA if name.startswith("fair_")]
    nulls = pl.lit(None, pl.Float64).repeat_by(pl.col("ordinal").list.len())
    rows = markets.select(*keys, *FAIR_SCHEMA).with_columns(
        pl.when(pl.col(name).list.max() < 1).then(name).otherwise(nulls).alias(name) for name in methods
    )
    return rows.explode(*FAIR_SCHEMA).with_columns(pl.col(name).cast(dtype) for name, dtype in FAIR_SCHEMA.items())


def add_fair_probabilities(prices: pl.DataFrame, keys: Sequence[str], sets: pl.DataFrame) -> pl.DataFrame:
    """Return `prices` with fair_multiplicative, fair_power and fair_shin, in the same order.

    `prices` has `keys` (market_id among them), outcome, ordinal, odds_milli and state, as `compute_market_margins`
    takes them; more columns are kept. `sets` has the columns `OUTCOME_SETS_SCHEMA`. The new columns are null where a
    market has no margin. Raises ValueError when an outcome of a market appears twice.
    """
    fair = compute_fair_probabilities(compute_market_margins(prices, keys, sets), keys).drop("odds_milli")
    return prices.join(fair, on=[*keys, "ordinal"], how="left", maintain_order="left")


def compute_multiplicative_share() -> pl.Expr:
    """Return the factor that turns the inverse of a price into its fair_multiplicative.

    The factor is null where fair_multiplicative is null. The expression applies to rows of `compute_margin_figures`.
    """
    return pl.when(pl.col("margin").is_not_null() & (EVENS_MILLI / pl.col("shortest_milli") * _SHARE < 1)).then(_SHARE)


def _add_power(markets: pl.DataFrame) -> pl.DataFrame:
    """Return `markets` with `fair_power`: solve log(sum(r ** n)) = log(k), which is nearly linear in n."""
    log, power = pl.col("log"), pl.col("fair_power")
    total = power.list.sum()
    return _solve(
        markets.with_columns(log=_INVERSE.list.eval(pl.element().log()), fair_power=_INVERSE, unknown=pl.lit(1.0)),
        step=total * (total / pl.col("winners_k")).log() / (power * log).list.sum(),
        fair_power=(log * pl.col("unknown")).list.eval(pl.element().exp()),
    ).drop("log", "unknown")


def _add_shin(markets: pl.DataFrame) -> pl.DataFrame:
    """Return `markets` with `fair_shin`: solve sum(q) - 2 - (N - 2) z = 0 for z.

    Here a = r**2/S, and q is the square root. The equation says that the p add up to 1, without the division by 1 - z.
    z = 1 solves it too for all prices; from z = 0 the steps converge to the other solution.
    """
    a, q, z, n_above_two = pl.col("a"), pl.col("q"), pl.col("unknown"), pl.col("n_above_two")
    root = (a * (4 * (1 - z)) + z * z).list.eval(pl.element().sqrt())
    markets = markets.with_columns(
        a=_INVERSE * _INVERSE / pl.col("sum_inverse"),
        unknown=pl.when(pl.col("winners_k") == 1).then(0.0),
        n_above_two=_INVERSE.list.len().cast(pl.Int64) - 2,
    ).with_columns(q=root)
    step = (q.list.sum() - 2 - n_above_two * z) / (((a * -2.0 + z) / q).list.sum() - n_above_two)
    # Both forms are equal. Neither subtracts two numbers that are nearly equal.
    fair = pl.when(z < 0).then((q - z) / (2 * (1 - z))).otherwise(a * 2.0 / (q + z))
    return _solve(markets, step, q=root).with_columns(fair_shin=fair).drop("a", "q", "unknown", "n_above_two")


def _solve(markets: pl.DataFrame, step: pl.Expr, **terms: pl.Expr) -> pl.DataFrame:
    """Return `markets` with `unknown` solved by Newton's method, and `terms` computed from it.

    A solved market stays as it is while others are solved, so the result of a market never depends on the others.
    """
    markets = markets.with_columns(step=pl.lit(float("inf")))
    for _ in range(MAX_NEWTON_STEPS):
        is_open = pl.col("step").abs() >= LAST_STEP
        markets = (
            markets.with_columns(step=pl.when(is_open).then(step).otherwise(0.0))
            .with_columns(unknown=pl.col("unknown") - pl.col("step"))
            .with_columns(**terms)
        )
        if not markets.select(is_open.any()).item():
            break
    return markets.drop("step")
