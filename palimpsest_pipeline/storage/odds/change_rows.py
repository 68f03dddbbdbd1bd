"""Which rows of history an answer is worth: frames in, frames out, no database.

The rows of an answer depend on what it says and on what the answer before it said, on nothing else: that is what makes
the history the same whatever the order in which answers arrive. Reading those two books and writing the rows belongs to
`history`.

A book is all that an answer says of a listing, in the form in which Postgres stores it: no mask where nothing is off,
prices as the text of an array. So what is stored and what is new are compared as they are, and prices are taken apart
nowhere.
"""

from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import MarketState
from palimpsest_pipeline.domain.schemas import INSTANT

from ..db.copy_frames import build_array_text
from ..marts.cycle_marts import get_frame_schema

ANSWER_KEY: Final = ("listing_id", "observed_at")
LINE_KEY: Final = ("listing_id", "line_id")
"""Key of a market in a frame that holds one book of each listing."""

FACTS_SCHEMA: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "state": pl.String,
    "off_mask": pl.Int64,
    "odds_milli": pl.List(pl.Int32),
}
CONTENT_SCHEMA: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "listing_id": pl.Int32,
    "observed_at": INSTANT,
    "market_id": pl.Int16,
    "specifier": pl.String,
    "outcome": pl.String,
    **FACTS_SCHEMA,
}
"""What answers say, as they are given: one row per market that is in an answer. Nothing is null but single prices."""

CHANGE_SCHEMA: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "listing_id": pl.Int32,
    "observed_at": INSTANT,
    "line_id": pl.Int32,
    **FACTS_SCHEMA,
    "keyframe": pl.Boolean,
}
"""Rows of core.market_changes, as they are given to readers: a mask is never null, 0 says that no outcome is off."""

CAPTURE_SCHEMA: Final[dict[str, pl.DataType | type[pl.DataType]]] = dict(get_frame_schema("core.captures"))
"""Rows of core.captures."""

STORED_FACTS_SCHEMA: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "state": pl.String,
    "off_mask": pl.Int64,
    "odds_milli": pl.String,
}
BOOK_SCHEMA: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "listing_id": pl.Int32,
    "line_id": pl.Int32,
    **STORED_FACTS_SCHEMA,
}
"""One book of each of several listings; withdrawn markets are in no book."""

ROW_SCHEMA: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "listing_id": pl.Int32,
    "observed_at": INSTANT,
    "line_id": pl.Int32,
    **STORED_FACTS_SCHEMA,
    "keyframe": pl.Boolean,
}
"""Rows of core.market_changes as they are written."""


def encode_facts(frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` (columns of FACTS_SCHEMA) with its facts as they are stored."""
    return frame.with_columns(
        off_mask=pl.when(pl.col("off_mask") != 0).then("off_mask"),
        odds_milli=build_array_text("odds_milli", pl.Int32()),
    )


def withdraw_markets(books: pl.DataFrame) -> pl.DataFrame:
    """The same markets as no longer in the answer: nothing off, no price, arrays as long as before."""
    return books.with_columns(
        state=pl.lit(MarketState.WITHDRAWN.value),
        off_mask=pl.lit(None, pl.Int64),
        odds_milli=pl.col("odds_milli").str.replace_all(r"[^{},]+", "NULL"),
    )


def diff_books(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """Rows (BOOK_SCHEMA) by which books differ from those before, listing by listing: markets that are new or stand
    otherwise, and withdrawn those that are gone. A listing without rows has an empty book."""
    moved = after.join(before, on=list(BOOK_SCHEMA), how="anti", nulls_equal=True)
    gone = before.join(after, on=LINE_KEY, how="anti")
    return pl.concat([moved, withdraw_markets(gone)])


def build_history_rows(answers: pl.DataFrame, before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """Rows of history (ROW_SCHEMA) of answers, one of each listing.

    `answers`: ANSWER and keyframe. `after`: their books; of a keyframe all of it is written. `before`: the books of the
    answers before them, of those that are no keyframe.
    """
    whole, rest = answers.filter("keyframe"), answers.filter(~pl.col("keyframe"))
    moved = diff_books(select_listings(before, rest), select_listings(after, rest))
    return pl.concat([select_listings(after, whole), moved]).join(answers, on="listing_id").select(list(ROW_SCHEMA))


def select_listings(books: pl.DataFrame, listings: pl.DataFrame) -> pl.DataFrame:
    """The rows that are about these listings (`listing_id`)."""
    return books.join(listings, on="listing_id", how="semi")


def find_differing_answers(left: pl.DataFrame, right: pl.DataFrame) -> pl.DataFrame:
    """ANSWER keys for which two frames of ROW_SCHEMA do not hold the same rows."""
    on = list(ROW_SCHEMA)
    one, other = (
        left.join(right, on=on, how="anti", nulls_equal=True),
        right.join(left, on=on, how="anti", nulls_equal=True),
    )
    return pl.concat([one.select(ANSWER_KEY), other.select(ANSWER_KEY)]).unique()
