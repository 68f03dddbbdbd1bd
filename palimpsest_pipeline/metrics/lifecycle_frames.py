"""The columns of the frames that metrics of a fixture's lifecycle take, and nothing else.

A look is an observation of a listing: an answer about it, or a discovery of its tournament. Instants are Datetime("us",
"UTC"). Frames may come in any order and with repeated rows; results depend on neither. Each fixture has at most one
listing per platform: the primary one.
"""

from typing import Final

import polars as pl

from palimpsest_pipeline.domain.schemas import INSTANT

FrameSchema = dict[str, pl.DataType | type[pl.DataType]]

LIFECYCLE_LISTINGS_SCHEMA: Final[FrameSchema] = {
    "listing_id": pl.Int32,
    "sr_id": pl.Int64,
    "platform": pl.String,
    "is_home": pl.Boolean,
    "first_listed_at": INSTANT,
    "last_seen_at": INSTANT,
}
"""One row per (sr_id, platform).

`is_home` is true for the listing on the home platform. `first_listed_at` and `last_seen_at` are the instants of the
first and the last answer that showed the listing.
"""


CHANGES_SCHEMA: Final[FrameSchema] = {
    "listing_id": pl.Int32,
    "observed_at": INSTANT,
    "market_key": pl.String,
    "specifier": pl.String,
    "outcome": pl.String,
    "state": pl.String,
    "off_mask": pl.Int64,
    "odds_milli": pl.List(pl.Int32),
    "keyframe": pl.Boolean,
}
"""Rows of the odds history: the markets of an answer that differ from the previous answer.

Only the previous answer of the same UTC day is compared. The first answer of a day (the keyframe) has all its markets;
a market without a row there is not in that answer. `outcome` is '' for a whole market. Bit i-1 of `off_mask` is set
when outcome i cannot be backed; null means 0.
"""

KICKOFFS_SCHEMA: Final[FrameSchema] = {
    "sr_id": pl.Int64,
    "version": pl.Int16,
    "observed_from": INSTANT,
    "kickoff_at": INSTANT,
}
"""Versions of a fixture's effective kickoff, numbered from 1. The last one is the current kickoff.

`observed_from` is the instant of the answer that first showed the version.
"""

LISTED_KICKOFFS_SCHEMA: Final[FrameSchema] = {"listing_id": pl.Int32, "observed_from": INSTANT, "kickoff_at": INSTANT}
"""Versions of the kickoff that the listing itself states."""

TOURNAMENT_KEYS_SCHEMA: Final[FrameSchema] = {"sr_id": pl.Int64, "tournament_key": pl.String}
"""The tournament of each fixture."""
