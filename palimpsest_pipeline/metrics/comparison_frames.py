"""The columns of the frames that price comparisons take, and the instant of a fixture's newest answer.

Instants are Datetime("us", "UTC"). Frames may come in any order and with repeated rows; results depend on neither. Each
fixture has at most one listing per platform: the primary one. The frames contain the state at one instant, now or in
the past.
"""

from typing import Final

import polars as pl

from palimpsest_pipeline.domain.schemas import COMPARED_LISTINGS, INSTANT

from .lifecycle_frames import FrameSchema

COMPARED_MARKETS_SCHEMA: Final[FrameSchema] = {
    "sr_id": pl.Int64,
    "platform": pl.String,
    "market_key": pl.String,
    "specifier": pl.String,
    "outcome": pl.String,
    "state": pl.String,
    "off_mask": pl.Int64,
    "odds_milli": pl.List(pl.Int32),
    "state_since": INSTANT,
}
"""One row per market that any answer of the listing has shown.

A market of open outcomes (players) has one row per outcome. `outcome` is '' except in these rows. `state` is a value of
MarketState; a market that is not in the last answer is withdrawn. `state_since` is the first answer with the current
state, even if prices changed later. Bit i-1 of `off_mask` is set when outcome i cannot be backed; null means 0.
`odds_milli` has decimal odds x 1000 by the ordinal of the outcome.
"""


LISTING_KEY: Final = ("sr_id", "platform")


def add_as_of(listings: pl.DataFrame) -> pl.DataFrame:
    """Return the distinct `listings` with `as_of`, the instant of the fixture's last look on any platform.

    `listings` has the columns `COMPARED_LISTINGS`. A look is an answer, or a discovery without the listing. Fixtures
    without any look are left out.

    Raises ValueError when a fixture has two listings of one platform.
    """
    rows = listings.select(COMPARED_LISTINGS.keys()).unique()
    twice = rows.filter(rows.select(LISTING_KEY).is_duplicated())
    if twice.height:
        raise ValueError(
            f"{twice.height} primary listings of one platform on one fixture, "
            f"first {twice.row(0, named=True)}: give one"
        )
    last_seen_at = pl.max_horizontal("answered_at", "dropped_at")
    return rows.with_columns(as_of=last_seen_at.max().over("sr_id")).filter(pl.col("as_of").is_not_null())
