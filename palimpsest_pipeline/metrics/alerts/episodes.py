"""Episodes: spans that begin when a size reaches a threshold and end when it is well below. No I/O.

An episode becomes one alert. It belongs to a unit, such as a market of a listing, which has parts, such as outcomes.
Each part has a size, which holds from its instant until the part's next instant. An episode of a unit begins when the
size of one of its parts reaches `min_size`, and ends when every size is below `calm_share` x `min_size`. So a size that
moves up and down around the threshold makes one episode.
"""

from typing import Final

import polars as pl

SIZE_DECIMALS: Final = 9
"""Number of decimals to which sizes are rounded before they are compared.

In floats, 2675 / 2500 - 1 is slightly less than 7 %.
"""


def find_episodes(sizes: pl.DataFrame, min_size: float, calm_share: float) -> pl.DataFrame:
    """Return one row per episode, sorted by unit and begin.

    The columns are unit, opened_at, closed_at (null if the episode has not ended), opened_by and open_size (the part
    with the largest size at the begin, and its size), peak_part, peak_at and peak_size (the largest size during the
    episode, at its first instant).

    `sizes` has unit, part, at and size, one row per part and instant in any order. The size is never null; it is 0
    where there is nothing to measure. Leave out instants at which a part's size is not known: the part keeps its last
    size.
    """
    calm_size = round(calm_share * min_size, SIZE_DECIMALS)
    steps = sizes.with_columns(pl.col("size").round(SIZE_DECIMALS)).with_columns(
        hot=(pl.col("size") >= round(min_size, SIZE_DECIMALS)).cast(pl.Int32),
        warm=(pl.col("size") >= calm_size).cast(pl.Int32),
    )
    states = (
        steps.sort("unit", "part", "at")
        .with_columns(_subtract_previous(name) for name in ("hot", "warm"))
        .group_by("unit", "at")
        .agg(pl.col("hot", "warm").sum())
        .sort("unit", "at")
        .with_columns(pl.col("hot", "warm").cum_sum().over("unit"))
        .with_columns(
            is_open=pl.when(pl.col("hot") > 0)
            .then(pl.lit(value=True))
            .when(pl.col("warm") == 0)
            .then(pl.lit(value=False))
        )
        .with_columns(pl.col("is_open").forward_fill().over("unit").fill_null(value=False))
    )
    turns = states.filter(pl.col("is_open") != pl.col("is_open").shift().over("unit").fill_null(value=False)).select(
        "unit", "is_open", opened_at="at", closed_at=pl.col("at").shift(-1).over("unit")
    )
    episodes = turns.filter("is_open").drop("is_open")
    largest = (
        steps.filter(pl.col("hot") > 0)
        .sort("at")
        .join_asof(
            episodes.select("unit", "opened_at", at="opened_at").sort("at"), on="at", by="unit", check_sortedness=False
        )
        .sort("unit", "opened_at", -pl.col("size"), "at", "part")
    )
    opening = largest.filter(pl.col("at") == pl.col("opened_at")).unique(
        ["unit", "opened_at"], keep="first", maintain_order=True
    )
    peak = largest.unique(["unit", "opened_at"], keep="first", maintain_order=True)
    key = ["unit", "opened_at"]
    return (
        episodes.join(opening.select(*key, opened_by="part", open_size="size"), on=key, how="left")
        .join(peak.select(*key, peak_part="part", peak_at="at", peak_size="size"), on=key, how="left")
        .sort(key)
    )


def _subtract_previous(name: str) -> pl.Expr:
    """Return the difference between a column and its value at the previous instant of the same part."""
    value = pl.col(name)
    return value - value.shift().over("unit", "part").fill_null(0)
