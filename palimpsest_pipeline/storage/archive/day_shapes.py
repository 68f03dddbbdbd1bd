"""Convert rows of the odds history to the rows of a day's Parquet files, and back.

All functions take and return frames. `odds.parquet` has one row per outcome, sorted by listing, line and instant, so
the prices of a market are adjacent. A row refers to its answer by a number, because an instant in every row would take
more than half of the file. `captures.parquet` maps the numbers to answers and instants.
"""

from typing import Final

import polars as pl

from palimpsest_pipeline.domain.schemas import INSTANT
from palimpsest_pipeline.tables.frame_types import Schema

from ..odds.change_rows import ANSWER_KEY, CAPTURE_SCHEMA, CHANGE_SCHEMA

CAPTURES_FILE_SCHEMA: Final[Schema] = {**CAPTURE_SCHEMA, "answer": pl.Int16}
"""Columns of captures.parquet.

`answer` numbers the answers of a listing on a UTC day. A number never changes, even if other answers arrive later.
"""
ODDS_FILE_SCHEMA: Final[Schema] = {
    "listing_id": pl.Int32,
    "line_id": pl.Int32,
    "answer": pl.Int16,
    "ordinal": pl.Int16,
    "odds_milli": pl.Int32,
    "state": pl.String,
    "off": pl.Boolean,
}
"""Columns of odds.parquet.

`ordinal` is the outcome's position in the vocabulary, from 1. A market without outcomes has one row with ordinal 0.
`odds_milli` is decimal odds x 1000, null when the outcome has no price. `off` is true when the answer contains the
outcome but no bet on it is accepted.
"""
ANSWER_NUMBERS_SCHEMA: Final[Schema] = {"listing_id": pl.Int32, "observed_at": INSTANT, "answer": pl.Int16}
"""Columns of captures.parquet that map an answer to its number."""
MAX_OUTCOMES: Final = 63
"""Maximum number of outcomes of a market: the usable bits of a signed 64-bit mask."""


def number_answers(captures: pl.DataFrame, previous_numbers: pl.DataFrame) -> pl.DataFrame:
    """Add the column `answer` to `captures` (CAPTURE_SCHEMA), sorted by listing and instant.

    An answer that the last export numbered (`previous_numbers`, ANSWER_NUMBERS_SCHEMA) keeps its number. Other answers
    get the next free numbers. A reader that combines files of two exports therefore never takes one instant for
    another.
    """
    numbered = captures.join(previous_numbers.select(list(ANSWER_NUMBERS_SCHEMA)), on=ANSWER_KEY, how="left").sort(
        ANSWER_KEY
    )
    last = previous_numbers.group_by("listing_id").agg(last=pl.col("answer").max())
    new = pl.col("answer").is_null()
    complete = numbered.join(last, on="listing_id", how="left", maintain_order="left").with_columns(
        pl.when(new)
        .then(pl.col("last").fill_null(0) + new.cast(pl.Int16).cum_sum().over("listing_id"))
        .otherwise("answer")
        .alias("answer")
    )
    return complete.select(pl.col(name).cast(kind) for name, kind in CAPTURES_FILE_SCHEMA.items())


def build_odds_rows(changes: pl.DataFrame, numbers: pl.DataFrame) -> pl.DataFrame:
    """Convert rows of market_changes (CHANGE_SCHEMA) to rows of odds.parquet.

    `answer` is null for an answer that `numbers` (ANSWER_NUMBERS_SCHEMA) lacks.
    """
    keyed = changes.join(numbers, on=ANSWER_KEY, how="left").sort("listing_id", "line_id", "observed_at")
    places = pl.int_ranges(1, pl.col("odds_milli").list.len() + 1, dtype=pl.Int16)
    rows = keyed.with_columns(ordinal=places).explode("odds_milli", "ordinal", empty_as_null=True, keep_nulls=True)
    off = (pl.col("off_mask") // _build_outcome_bit()) % 2 == 1
    return rows.with_columns(pl.col("ordinal").fill_null(0)).with_columns(off=off).select(list(ODDS_FILE_SCHEMA))


def build_change_rows(odds: pl.DataFrame, numbers: pl.DataFrame) -> pl.DataFrame:
    """Convert rows of odds.parquet, in the order of the file, to rows of market_changes (CHANGE_SCHEMA).

    The result is sorted by listing, line and instant. `numbers` has ANSWER_NUMBERS_SCHEMA and the column `keyframe` of
    the answers. A row whose answer is not in `numbers` is left out.
    """
    # A market's rows are adjacent and begin with its first outcome, so a running count identifies the market. Grouping
    # by key would take most of the time.
    run = (pl.col("ordinal") <= 1).cum_sum().set_sorted()
    markets = (
        odds.with_columns(run=run, off_bit=pl.when("off").then(_build_outcome_bit()).otherwise(0))
        .group_by("run", maintain_order=True)
        .agg(
            pl.first("listing_id", "line_id", "answer", "state", "ordinal"),
            pl.col("odds_milli"),
            off_mask=pl.col("off_bit").sum(),
        )
        .with_columns(
            pl.when(pl.col("ordinal") == 0)
            .then(pl.lit([], pl.List(pl.Int32)))
            .otherwise("odds_milli")
            .alias("odds_milli")
        )
    )
    keyed = markets.join(numbers, on=["listing_id", "answer"], maintain_order="left")
    return keyed.select(pl.col(name).cast(kind) for name, kind in CHANGE_SCHEMA.items()).sort(
        "listing_id", "line_id", "observed_at"
    )


def _build_outcome_bit() -> pl.Expr:
    """Return an expression: the mask in which only the bit of the row's outcome is set."""
    return pl.lit(2, pl.Int64).pow((pl.col("ordinal").cast(pl.Int64) - 1).clip(0, MAX_OUTCOMES - 1))
