"""Episodes with hysteresis: from where something passes a threshold until all of it has calmed down. Frames in, frames
out.

A unit has parts; each part has a size that holds from the instant at which it is given until the next one. An episode
of the unit begins when a part reaches `low`, and ends when none is as large as `calm` x `low` any more. So a size that
swings round the threshold makes one episode.
"""

from typing import Final

import polars as pl

SIZE_DECIMALS: Final = 9
"""Sizes are compared to so many decimals: 2675 / 2500 - 1 is 7 %, though floats make it less."""


def find_episodes(sizes: pl.DataFrame, min_size: float, calm_share: float) -> pl.DataFrame:
    """One row per episode, by unit and time: unit, opened_at, closed_at (null: not over), opened_by and open_size (the
    part that was largest when it opened), peak_part, peak_at and peak_size (the part that was largest while it lasted,
    when it first was).

    `sizes`: unit, part, at, size (never null; 0 where there is nothing to measure). A part of which nothing is known
    keeps its last size: leave it out. Rows in any order, one per part and instant.
    """
    least = round(calm_share * min_size, SIZE_DECIMALS)
    steps = sizes.with_columns(pl.col("size").round(SIZE_DECIMALS)).with_columns(
        hot=(pl.col("size") >= round(min_size, SIZE_DECIMALS)).cast(pl.Int32),
        warm=(pl.col("size") >= least).cast(pl.Int32),
    )
    held = (
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
    turns = held.filter(pl.col("is_open") != pl.col("is_open").shift().over("unit").fill_null(value=False)).select(
        "unit", "is_open", opened_at="at", closed_at=pl.col("at").shift(-1).over("unit")
    )
    found = turns.filter("is_open").drop("is_open")
    largest = (
        steps.filter(pl.col("hot") > 0)
        .sort("at")
        .join_asof(
            found.select("unit", "opened_at", at="opened_at").sort("at"), on="at", by="unit", check_sortedness=False
        )
        .sort("unit", "opened_at", -pl.col("size"), "at", "part")
    )
    opening = largest.filter(pl.col("at") == pl.col("opened_at")).unique(
        ["unit", "opened_at"], keep="first", maintain_order=True
    )
    peak = largest.unique(["unit", "opened_at"], keep="first", maintain_order=True)
    key = ["unit", "opened_at"]
    return (
        found.join(opening.select(*key, opened_by="part", open_size="size"), on=key, how="left")
        .join(peak.select(*key, peak_part="part", peak_at="at", peak_size="size"), on=key, how="left")
        .sort(key)
    )


def _subtract_previous(name: str) -> pl.Expr:
    """By how much it differs from what it was at the instant before of the same part."""
    value = pl.col(name)
    return value - value.shift().over("unit", "part").fill_null(0)
