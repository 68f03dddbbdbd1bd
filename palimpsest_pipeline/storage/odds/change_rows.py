"""Compute the history rows that an answer produces. Functions take and return frames.

The rows of an answer depend only on its content and the content of the listing's previous answer. So the stored history
does not depend on the order in which answers arrive. `history` reads the two books and writes the rows.

A book is all markets of a listing in one answer. Its columns have the form that Postgres stores: the mask is null when
no outcome is off, and prices are the text of an array. Stored and new books are therefore compared without parsing the
prices.
"""

from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import MarketState
from palimpsest_pipeline.domain.schemas import INSTANT
from palimpsest_pipeline.tables.frame_types import get_frame_schema

from ..db.copy_frames import build_array_text

ANSWER_KEY: Final = ("listing_id", "observed_at")
LINE_KEY: Final = ("listing_id", "line_id")
"""Key of a market in a frame that has at most one book per listing."""

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
"""Content of answers, the input of the history writer: one row per market and answer.

Only the prices inside an array may be null.
"""

CHANGE_SCHEMA: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "listing_id": pl.Int32,
    "observed_at": INSTANT,
    "line_id": pl.Int32,
    **FACTS_SCHEMA,
    "keyframe": pl.Boolean,
}
"""Rows of core.market_changes as readers get them.

`off_mask` is never null; 0 means that no outcome is off.
"""

CAPTURE_SCHEMA: Final[dict[str, pl.DataType | type[pl.DataType]]] = dict(get_frame_schema("core.captures"))
"""Columns of core.captures."""

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
"""Columns of books, at most one book per listing. A book has no withdrawn markets."""

ROW_SCHEMA: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "listing_id": pl.Int32,
    "observed_at": INSTANT,
    "line_id": pl.Int32,
    **STORED_FACTS_SCHEMA,
    "keyframe": pl.Boolean,
}
"""Columns of core.market_changes in the form that is written."""


def encode_facts(frame: pl.DataFrame) -> pl.DataFrame:
    """Convert the columns of FACTS_SCHEMA in `frame` to the form that Postgres stores."""
    return frame.with_columns(
        off_mask=pl.when(pl.col("off_mask") != 0).then("off_mask"),
        odds_milli=build_array_text("odds_milli", pl.Int32()),
    )


def withdraw_markets(books: pl.DataFrame) -> pl.DataFrame:
    """Return the markets with the state withdrawn: null mask, null prices, arrays of the same length."""
    return books.with_columns(
        state=pl.lit(MarketState.WITHDRAWN.value),
        off_mask=pl.lit(None, pl.Int64),
        odds_milli=pl.col("odds_milli").str.replace_all(r"[^{},]+", "NULL"),
    )


def diff_books(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """Return the rows (BOOK_SCHEMA) that differ between the books before and after, per listing.

    New and changed markets have their content of `after`. Markets that are missing in `after` are returned as
    withdrawn. A listing without rows has an empty book.
    """
    changed = after.join(before, on=list(BOOK_SCHEMA), how="anti", nulls_equal=True)
    absent = before.join(after, on=LINE_KEY, how="anti")
    return pl.concat([changed, withdraw_markets(absent)])


def build_history_rows(answers: pl.DataFrame, before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """Return the history rows (ROW_SCHEMA) of answers, at most one answer per listing.

    `answers` has ANSWER_KEY and keyframe. `after` has the books of the answers; a keyframe writes its whole book.
    `before` has the books of the previous answers, for all answers that are not keyframes.
    """
    keyframes, later_answers = answers.filter("keyframe"), answers.filter(~pl.col("keyframe"))
    differences = diff_books(select_listings(before, later_answers), select_listings(after, later_answers))
    return (
        pl.concat([select_listings(after, keyframes), differences])
        .join(answers, on="listing_id")
        .select(list(ROW_SCHEMA))
    )


def select_listings(books: pl.DataFrame, listings: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of `books` whose listing_id is in `listings`."""
    return books.join(listings, on="listing_id", how="semi")


def find_differing_answers(rows: pl.DataFrame, other_rows: pl.DataFrame) -> pl.DataFrame:
    """Return the keys of answers whose rows (ROW_SCHEMA) differ between two frames."""
    on = list(ROW_SCHEMA)
    only_rows, only_other_rows = (
        rows.join(other_rows, on=on, how="anti", nulls_equal=True),
        other_rows.join(rows, on=on, how="anti", nulls_equal=True),
    )
    return pl.concat([only_rows.select(ANSWER_KEY), only_other_rows.select(ANSWER_KEY)]).unique()
