"""What the metrics of prices side by side take: the shapes of the frames, and when a fixture was last looked at.

Instants are Datetime("us", "UTC"). Frames may come in any order and with repeated rows: no result depends on it. Each
listing is the one that speaks for its platform on its fixture. The frames say how things stand at one instant, the
present one or another: the metrics do not know which.
"""

from typing import Final

import polars as pl

from palimpsest_pipeline.domain.schemas import COMPARED_LISTINGS, INSTANT

from .lifecycle_frames import FrameSchema

MARKETS_SCHEMA: Final[FrameSchema] = {
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
"""One row per market that an answer of the listing ever showed, or per outcome where a market has a row an outcome
(`outcome` is '' but there).
`state`: words of MarketState; what the last answer lacks is withdrawn. `state_since`: answer since which it is in that
state, at whatever prices. Bit i-1 of `off_mask`: outcome i cannot be backed; no mask is 0. `odds_milli`: decimal odds x
1000 by the ordinal of the outcome."""


LISTING_KEY: Final = ("sr_id", "platform")


def add_as_of(listings: pl.DataFrame) -> pl.DataFrame:
    """Return `listings` (COMPARED_LISTINGS), each once, with `as_of` of the fixture: the latest answer of any platform,
    or discovery that lacks it.

    Fixtures of which there is neither are left out.

    Raises ValueError when two listings speak for one platform on one fixture.
    """
    rows = listings.select(COMPARED_LISTINGS.keys()).unique()
    twice = rows.filter(rows.select(LISTING_KEY).is_duplicated())
    if twice.height:
        raise ValueError(
            f"{twice.height} listings that speak for one platform on one fixture, first {twice.row(0, named=True)}: give one"
        )
    seen = pl.max_horizontal("answered_at", "dropped_at")
    return rows.with_columns(as_of=seen.max().over("sr_id")).filter(pl.col("as_of").is_not_null())
