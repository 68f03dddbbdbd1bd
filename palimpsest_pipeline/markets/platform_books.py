"""The books of several answers with the platforms' own ids, as frames. Uses no vocabulary."""

from dataclasses import dataclass
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import Sport

PLATFORM_MARKETS_SCHEMA: Final[dict[str, pl.DataType]] = {
    "capture": pl.UInt32(),
    "platform": pl.Categorical(),
    "sport": pl.Enum(Sport),
    "market_id": pl.String(),
    "market_name": pl.String(),
    "specifier": pl.String(),
    "n_outcomes": pl.UInt32(),
}
OUTCOMES_SCHEMA: Final[dict[str, pl.DataType]] = {
    "outcome_id": pl.String(),
    "outcome_name": pl.String(),
    "odds_milli": pl.Int32(),
    "off": pl.Boolean(),
}


@dataclass(frozen=True, slots=True)
class RawBooks:
    """The books of several answers.

    `markets` has the columns `PLATFORM_MARKETS_SCHEMA`, one row per market row of an answer. `outcomes` has the columns
    `OUTCOMES_SCHEMA`: the outcomes of the first market row, then those of the second, and so on.
    """

    markets: pl.DataFrame
    outcomes: pl.DataFrame


def repeat_places(counts: pl.Series) -> pl.Series:
    """Return each position of `counts` repeated by its count: [2, 1] gives [0, 0, 1]."""
    places = counts.alias("n").to_frame().with_row_index("place").filter(pl.col("n") > 0)
    return places.select("place", n=pl.int_ranges(0, "n", dtype=pl.UInt32)).explode("n")["place"]
