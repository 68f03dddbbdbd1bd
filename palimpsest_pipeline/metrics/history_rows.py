"""Rows of the odds history: how long a row holds, and the names of its outcomes. No I/O.

A row holds until the next row of its line. The first answer of a UTC day (the keyframe) contains all markets, so a row
ends there too: an equal row follows, or the market is withdrawn.
"""

from typing import Final

import polars as pl

PLACES_PER_LINE: Final = pl.lit(1 << 16, pl.Int64)
"""A number above the length of any price array. A place is line x this number + ordinal."""


def add_next_keyframes(answers: pl.DataFrame) -> pl.DataFrame:
    """Return `answers` (listing_id, at and others) with `next_keyframe_at`, in their order.

    It is the first answer about the listing on its next UTC day with answers, or null.
    """
    dated = answers.with_columns(day=pl.col("at").dt.date())
    keyframes = dated.group_by("listing_id", "day").agg(pl.col("at").min()).sort("listing_id", "day")
    following = keyframes.select("listing_id", "day", next_keyframe_at=pl.col("at").shift(-1).over("listing_id"))
    return dated.join(following, on=["listing_id", "day"], how="left", maintain_order="left").drop("day")


def refuse_orphans(changes: pl.DataFrame) -> None:
    """Raise ValueError when there are any `changes` (listing_id, at).

    They are the rows of the history that no answer among the looks shows.
    """
    if changes.height:
        listing_id, at = changes.select("listing_id", "at").row(0)
        raise ValueError(
            f"{changes.height} changes have no answer among the looks, "
            f"first of listing {listing_id} at {at}: give all its answers"
        )


def refuse_unnamed(outcomes: pl.DataFrame) -> None:
    """Raise ValueError when any of the `outcomes` (market_key, ordinal, outcome_key) has no key."""
    unnamed = outcomes.filter(pl.col("outcome_key").is_null())
    if unnamed.height:
        market, ordinal = unnamed.select("market_key", "ordinal").sort(pl.all()).row(0)
        raise ValueError(
            f"no name is given for outcome {ordinal} of market {market}: "
            "the history knows more than the vocabulary that was given"
        )


def name_places(places: pl.DataFrame, lines: pl.DataFrame, outcomes: pl.DataFrame) -> pl.DataFrame:
    """Return `places` with their line, ordinal and outcome_key, and the columns of `lines`.

    `lines` has line, market_key, outcome and others. Raises ValueError when `outcomes` (`domain.schemas.OUTCOME_NAMES`)
    lacks a key.
    """
    names = outcomes.select("market_key", "ordinal", "outcome_key").unique()
    named_places = (
        places.with_columns(
            line=(pl.col("place") // PLACES_PER_LINE).cast(pl.UInt32),
            ordinal=(pl.col("place") % PLACES_PER_LINE).cast(pl.Int16),
        )
        .join(lines, on="line")
        .join(names, on=["market_key", "ordinal"], how="left")
        .with_columns(outcome_key=pl.when(pl.col("outcome") != "").then("outcome").otherwise("outcome_key"))
    )
    refuse_unnamed(named_places)
    return named_places


def equals_previous(*names: str) -> pl.Expr:
    """Return whether these columns equal those of the previous row; false where one is null."""
    return pl.all_horizontal(pl.col(name) == pl.col(name).shift() for name in names).fill_null(value=False)
