"""What the metrics of a fixture's life take: the shapes of the frames, and nothing else.

Instants are Datetime("us", "UTC"). Frames may come in any order and with repeated rows: no result depends on it. Each
listing is the one that speaks for its platform on its fixture.
"""

from typing import Final

import polars as pl

from palimpsest_pipeline.domain.schemas import INSTANT

FrameSchema = dict[str, pl.DataType | type[pl.DataType]]

LISTINGS_SCHEMA: Final[FrameSchema] = {
    "listing_id": pl.Int32,
    "sr_id": pl.Int64,
    "platform": pl.String,
    "is_home": pl.Boolean,
    "first_listed_at": INSTANT,
    "last_seen_at": INSTANT,
}
"""One row per (sr_id, platform).

`is_home`: the platform is the home one. The instants: first and last time an answer showed it.
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
"""Rows of the odds history: an answer's markets that differ from the answer before on its UTC day, all of them where
`keyframe`. A market that a keyframe lacks is not in that answer. `outcome` is '' for a whole market; bit i-1 of
`off_mask`: outcome i cannot be backed; no mask is 0."""

KICKOFFS_SCHEMA: Final[FrameSchema] = {
    "sr_id": pl.Int64,
    "version": pl.Int16,
    "observed_from": INSTANT,
    "kickoff_at": INSTANT,
}
"""Versions of a fixture's effective kickoff, from 1, each since the answer that first showed it.

The last one is in force.
"""

LISTED_KICKOFFS_SCHEMA: Final[FrameSchema] = {"listing_id": pl.Int32, "observed_from": INSTANT, "kickoff_at": INSTANT}
"""Versions of the kickoff that a listing itself claims."""

TOURNAMENTS_SCHEMA: Final[FrameSchema] = {"sr_id": pl.Int64, "tournament_key": pl.String}
"""Which tournament each fixture belongs to."""
