"""Which rows of history an answer is worth: frames in, frames out, no database.

The rows of an answer depend on what it says and on what the answer before it said, on nothing else: that is what makes the history the same
whatever the order in which answers arrive. Reading those two contents and writing the rows belongs to `history`.
"""

from typing import Final

import polars as pl

from ..domain.words import MarketState

INSTANT: Final = pl.Datetime("us", "UTC")
ANSWER: Final = ("listing_id", "observed_at")

FACTS_SCHEMA: Final[dict[str, pl.DataType | type[pl.DataType]]] = {"state": pl.String, "off_mask": pl.Int64, "odds_milli": pl.List(pl.Int32)}
CONTENT_SCHEMA: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "listing_id": pl.Int32,
    "observed_at": INSTANT,
    "market_id": pl.Int16,
    "specifier": pl.String,
    "outcome": pl.String,
    **FACTS_SCHEMA,
}
"""What an answer says: one row per market that is in it. Nothing is null but single prices."""

BOOK_SCHEMA: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "listing_id": pl.Int32,
    "observed_at": INSTANT,
    "line_id": pl.Int32,
    **FACTS_SCHEMA,
}
"""The same with the market's number on its line (`lines`) in place of its name."""

CHANGE_SCHEMA: Final[dict[str, pl.DataType | type[pl.DataType]]] = {**BOOK_SCHEMA, "keyframe": pl.Boolean}
"""Rows of core.market_changes. In frames a mask is never null: 0 says that no outcome is off."""


def with_facts(frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` plus `facts`: state, mask and odds as one text, so that "the same" is one comparison of a column that holds no null."""
    odds = pl.col("odds_milli").cast(pl.List(pl.String)).list.eval(pl.element().fill_null("-")).list.join(",")
    return frame.with_columns(facts=pl.concat_str("state", "off_mask", odds, separator="|"))


def withdrawn(frame: pl.DataFrame) -> pl.DataFrame:
    """The same markets as no longer in the answer: nothing off, no price, arrays as long as before."""
    return frame.with_columns(
        state=pl.lit(MarketState.WITHDRAWN.value),
        off_mask=pl.lit(0, pl.Int64),
        odds_milli=pl.lit(None, pl.Int32).repeat_by(pl.col("odds_milli").list.len()),
    )


def change_rows(answers: pl.DataFrame, contents: pl.DataFrame) -> pl.DataFrame:
    """Rows by which each answer differs from its predecessor.

    `answers`: listing_id, observed_at, previous_at (null: none, everything in the answer is written). `contents`: BOOK_SCHEMA of every answer
    and predecessor named there; an answer without rows is an empty book. Returns CHANGE_SCHEMA, where `keyframe` says that there was no
    predecessor. A market that the predecessor has and the answer lacks becomes one row with state withdrawn.
    """
    keyed = with_facts(contents)
    flagged = answers.with_columns(keyframe=pl.col("previous_at").is_null())
    after = keyed.join(flagged, on=ANSWER)
    before = keyed.join(
        answers.rename({"previous_at": "observed_at", "observed_at": "answer_at"}).drop_nulls("observed_at"),
        on=ANSWER,
    ).with_columns(observed_at="answer_at")
    changed = after.join(before, on=[*ANSWER, "line_id", "facts"], how="anti")
    gone = withdrawn(before.join(after, on=[*ANSWER, "line_id"], how="anti")).with_columns(keyframe=pl.lit(False))
    columns = list(CHANGE_SCHEMA)
    return pl.concat([changed.select(columns), gone.select(columns)])


def differing_answers(left: pl.DataFrame, right: pl.DataFrame) -> pl.DataFrame:
    """ANSWER keys for which two frames of CHANGE_SCHEMA do not hold the same rows."""
    on = [*ANSWER, "line_id", "facts", "keyframe"]
    one, other = with_facts(left), with_facts(right)
    return pl.concat([one.join(other, on=on, how="anti").select(ANSWER), other.join(one, on=on, how="anti").select(ANSWER)]).unique()


def latest_per_market(changes: pl.DataFrame) -> pl.DataFrame:
    """The last of the rows of each (listing, market)."""
    return changes.sort("observed_at").unique(["listing_id", "line_id"], keep="last", maintain_order=True)


def stored_form(changes: pl.DataFrame) -> pl.DataFrame:
    """The frame as Postgres keeps it: no mask where no outcome is off, which spares eight bytes of almost every row."""
    return changes.with_columns(off_mask=pl.when(pl.col("off_mask") != 0).then("off_mask"))
