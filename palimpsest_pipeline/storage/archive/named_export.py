"""Read the export with names as one lazy Polars frame.

Columns and rows equal those of the DuckDB view `prices` of open.sql.

The state at an instant is computed in `storage.odds.export_reader`.
"""

from collections.abc import Sequence
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import MarketState
from palimpsest_pipeline.domain.schemas import INSTANT
from palimpsest_pipeline.tables.frame_types import Schema

from .catalogue import ExportedDay
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
"""Columns of the prices with names.

`date` is the UTC day. `odds` is decimal, null without a price. `is_active` is true when bets on the outcome were
accepted. `keyframe` is true when the row was written because the day began, not because of a change. `is_primary` is
true for the primary listing of the platform for the fixture, and false when that is not known. A price is valid until
the outcome's next row.
"""


def scan_prices(
    store: FileStore, numbers: Dimensions, days: Sequence[ExportedDay], sr_ids: Sequence[int] | None
) -> pl.LazyFrame:
    """Return the prices with names of these days (NAMED_PRICES_SCHEMA), of all or the given fixtures.

    Filters on date and listing_id are applied while the files are read.
    """
    listings = numbers.listings if sr_ids is None else numbers.listings.filter(pl.col("sr_id").is_in(sr_ids))
    is_selected = pl.lit(value=True) if sr_ids is None else pl.col("listing_id").is_in(listings["listing_id"].to_list())
    answers = store.scan_days([day.captures_path for day in days]).filter(is_selected)
    changes = store.scan_days([day.odds_path for day in days]).filter(is_selected)
    outcomes = numbers.outcomes.lazy().select("market_id", "ordinal", "outcome_key", outcome=pl.lit(""))
    rows = (
        changes.join(
            answers.select("date", "listing_id", "answer", "observed_at", "keyframe", "cycle_id"),
            on=["date", "listing_id", "answer"],
        )
        .join(listings.lazy(), on="listing_id")
        .join(numbers.lines.lazy(), on="line_id")
        .join(outcomes, on=["market_id", "ordinal", "outcome"], how="left")
    )
    is_active = pl.col("odds_milli").is_not_null() & (pl.col("state") == MarketState.OFFERED.value) & ~pl.col("off")
    outcome = pl.when(pl.col("outcome") != "").then("outcome")
    # rounded, because Polars multiplies by the inverse of a literal divisor
    decimal_odds = (pl.col("odds_milli") / 1000).round(3)
    is_primary = pl.col("is_primary").fill_null(value=False)
    return rows.with_columns(
        outcome_key=pl.coalesce("outcome_key", outcome), odds=decimal_odds, is_active=is_active, is_primary=is_primary
    ).select(pl.col(name).cast(kind) for name, kind in NAMED_PRICES_SCHEMA.items())
