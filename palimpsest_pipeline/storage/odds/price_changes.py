"""Compute each price change once from history rows. Functions take and return frames.

Keyframe rows that repeat the last state of the previous day are left out. Markets that disappeared between two days are
added as withdrawn.
"""

from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import MarketState
from palimpsest_pipeline.domain.schemas import INSTANT
from palimpsest_pipeline.tables.frame_types import Schema

from .change_rows import CHANGE_SCHEMA

OUTCOME_CHANGES_SCHEMA: Final[Schema] = {
    "listing_id": pl.Int32,
    "line_id": pl.Int32,
    "place": pl.Int16,
    "observed_at": INSTANT,
    "state": pl.String,
    "odds_milli": pl.Int32,
    "is_active": pl.Boolean,
    "previous_odds_milli": pl.Int32,
}
"""One row for each change of an outcome.

`place` is the position of the price in the row's array, from 1. `previous_odds_milli` is null in an outcome's first
row, and after a time without a price.
"""

_LINE_KEY: Final = ("listing_id", "line_id")
_OUTCOME_KEY: Final = (*_LINE_KEY, "place")


def explode_outcomes(markets: pl.DataFrame) -> pl.DataFrame:
    """Return markets as one row per outcome, with the columns `place` and `is_active`.

    `markets` has the columns odds_milli (an array), state and off_mask. `place` is the position in the array, from 1.
    `is_active` is true when bets on the outcome were accepted.
    """
    price = pl.col("odds_milli")
    off = pl.col("off_mask") & pl.lit(2, pl.Int64).pow(pl.col("place") - 1) != 0
    return (
        markets.with_columns(place=pl.int_ranges(1, price.list.len() + 1, dtype=pl.Int16))
        .explode("odds_milli", "place", empty_as_null=False)
        .with_columns(is_active=(pl.col("state") == MarketState.OFFERED.value) & price.is_not_null() & ~off)
    )


def derive_outcome_changes(changes: pl.DataFrame, captures: pl.DataFrame) -> pl.DataFrame:
    """Return each change once (OUTCOME_CHANGES_SCHEMA), sorted by listing, line, place and instant.

    `changes` are history rows (CHANGE_SCHEMA). `captures` are all answers of the same listings and days (listing_id,
    observed_at, keyframe). The history has no row for a market that exists at the end of a day and is missing in the
    next day's first answer; this function adds a withdrawn row at that answer.
    """
    begins = captures.filter("keyframe").select("listing_id", "observed_at").unique().sort("listing_id", "observed_at")
    days = begins.select(
        "listing_id",
        day=pl.col("observed_at").dt.date(),
        next_day_at=pl.col("observed_at").shift(-1).over("listing_id"),
    )
    written = (
        changes.unique(["listing_id", "line_id", "observed_at"])
        .with_columns(day=pl.col("observed_at").dt.date())
        .join(days, on=["listing_id", "day"], how="left")
        .sort(*_LINE_KEY, "observed_at")
        .with_columns(following_at=pl.col("observed_at").shift(-1).over(_LINE_KEY))
    )
    disappears = (
        (pl.col("state") != MarketState.WITHDRAWN.value)
        & pl.col("next_day_at").is_not_null()
        & (pl.col("following_at").is_null() | (pl.col("following_at") > pl.col("next_day_at")))
    )
    disappeared = written.filter(disappears).with_columns(
        observed_at="next_day_at",
        state=pl.lit(MarketState.WITHDRAWN.value),
        off_mask=pl.lit(0, pl.Int64),
        odds_milli=pl.lit(None, pl.Int32).repeat_by(pl.col("odds_milli").list.len()),
    )
    all_rows = pl.concat([frame.select(*CHANGE_SCHEMA) for frame in (written, disappeared)])
    before = {
        name: pl.col(name).shift().over(_OUTCOME_KEY, order_by="observed_at")
        for name in ("state", "odds_milli", "is_active")
    }
    repeats = pl.all_horizontal(pl.col(name).eq_missing(value) for name, value in before.items())
    first = pl.col("observed_at").shift().over(_OUTCOME_KEY, order_by="observed_at").is_null()
    rows = (
        explode_outcomes(all_rows)
        .with_columns(repeats=repeats & ~first, previous_odds_milli=before["odds_milli"])
        .filter(~pl.col("repeats"))
    )
    return rows.select(pl.col(name).cast(kind) for name, kind in OUTCOME_CHANGES_SCHEMA.items()).sort(
        *_OUTCOME_KEY, "observed_at"
    )
