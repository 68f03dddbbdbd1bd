"""The export under names, as one lazy frame: for Polars what the view `scan_prices` of open.sql is for DuckDB. Columns
and rows are the same.

Belongs here: joining the files. Does not: folding changes to a state at an instant (`exported`).
"""

from collections.abc import Sequence
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import MarketState
from palimpsest_pipeline.domain.schemas import INSTANT

from .catalogue import ExportedDay
from .day_shapes import Schema
from .dimensions import Dimensions
from .file_store import FileStore

NAMED_PRICES_SCHEMA: Final[Schema] = {
    "date": pl.Date,
    "observed_at": INSTANT,
    "platform": pl.String,
    "sr_id": pl.Int64,
    "home_team": pl.String,
    "away_team": pl.String,
    "kickoff_at": INSTANT,
    "tournament_name": pl.String,
    "country": pl.String,
    "market_key": pl.String,
    "specifier": pl.String,
    "outcome_key": pl.String,
    "odds": pl.Float64,
    "state": pl.String,
    "is_active": pl.Boolean,
    "keyframe": pl.Boolean,
    "listing_id": pl.Int32,
    "external_id": pl.String,
    "is_primary": pl.Boolean,
    "line_id": pl.Int32,
    "ordinal": pl.Int16,
    "cycle_id": pl.Int64,
}
"""`date`: UTC day. `odds`: decimal, null without a price. `is_active`: it could be backed. `keyframe`: written because
the day begins, not because it changed. `is_primary`: its listing speaks for the platform, as of several listings of one
fixture one does; false where that is not known. A price holds until the outcome's next row; the captures in between
confirm it."""


def scan_prices(
    store: FileStore, numbers: Dimensions, days: Sequence[ExportedDay], sr_ids: Sequence[int] | None
) -> pl.LazyFrame:
    """Rows of these exported days (PRICES), of the fixtures that are given or of everything.

    Filters on date and listing_id reach the files.
    """
    listings = numbers.listings if sr_ids is None else numbers.listings.filter(pl.col("sr_id").is_in(sr_ids))
    wanted = pl.lit(value=True) if sr_ids is None else pl.col("listing_id").is_in(listings["listing_id"].to_list())
    answers = store.scan_days([day.captures_path for day in days]).filter(wanted)
    filed = store.scan_days([day.odds_path for day in days]).filter(wanted)
    known = numbers.outcomes.lazy().select("market_id", "ordinal", "outcome_key", outcome=pl.lit(""))
    rows = (
        filed.join(
            answers.select("date", "listing_id", "answer", "observed_at", "keyframe", "cycle_id"),
            on=["date", "listing_id", "answer"],
        )
        .join(listings.lazy(), on="listing_id")
        .join(numbers.lines.lazy(), on="line_id")
        .join(known, on=["market_id", "ordinal", "outcome"], how="left")
    )
    can = pl.col("odds_milli").is_not_null() & (pl.col("state") == MarketState.OFFERED.value) & ~pl.col("off")
    outcome = pl.when(pl.col("outcome") != "").then("outcome")
    decimal = (pl.col("odds_milli") / 1000).round(3)  # Polars divides by a literal through its inverse
    speaks = pl.col("is_primary").fill_null(value=False)
    return rows.with_columns(
        outcome_key=pl.coalesce("outcome_key", outcome), odds=decimal, is_active=can, is_primary=speaks
    ).select(pl.col(name).cast(kind) for name, kind in NAMED_PRICES_SCHEMA.items())
