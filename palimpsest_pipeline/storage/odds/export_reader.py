"""Read the odds history from an export alone, without a database.

`ExportHistoryReader` has the methods of `OddsHistoryReader`, with the days and names of the export.

An export cannot tell whether a day that it lacks had answers, so a query of such a day raises an error. Prices as of an
instant use no answers before the first exported day.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from functools import cached_property

import polars as pl

from palimpsest_pipeline.domain.instants import get_day_start
from palimpsest_pipeline.domain.schemas import OUTCOME_NAMES

from ..archive import Archive, ArchiveError, Dimensions
from .day_sources import DAY, ArchivedDays, DaySource
from .history_names import NAMED_LISTINGS_SCHEMA, IdFilter
from .history_reader import OddsHistoryReader, format_days


class ArchivedNames:
    """The names of listings, lines and outcomes from the archive's dimension files."""

    listings_source, markets_source, outcomes_source = "listings.parquet", "lines.parquet", "outcomes.parquet"
    remedy = "the file is older than the days; copy it again from where the export was made, along with them"

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    @cached_property
    def _dimensions(self) -> Dimensions:
        return self._archive.read_dimensions()

    def find_listing_ids(
        self, sr_ids: IdFilter, tournament_keys: Sequence[str] | None, listing_ids: IdFilter
    ) -> list[int]:
        listings = self._dimensions.listings
        for column, ids in {"sr_id": sr_ids, "tournament_key": tournament_keys, "listing_id": listing_ids}.items():
            if ids is not None:
                listings = listings.filter(pl.col(column).is_in(ids))
        return listings["listing_id"].to_list()

    def add_market_names(self, rows: pl.DataFrame) -> pl.DataFrame:
        lines = self._dimensions.lines
        unknown = rows.join(lines, on="line_id", how="anti")["line_id"].unique().sort()
        if unknown.len():
            raise LookupError(
                f"no line {', '.join(map(str, unknown.head(5)))} in lines.parquet: these days are from another export"
            )
        names = lines.select("line_id", "market_key", "specifier", "outcome")
        return rows.join(names, on="line_id", how="left", maintain_order="left").drop("line_id")

    def read_listings(self, listing_ids: Iterable[int]) -> pl.DataFrame:
        listings = self._dimensions.listings.filter(pl.col("listing_id").is_in(list(listing_ids)))
        return listings.select(*NAMED_LISTINGS_SCHEMA).with_columns(pl.col("is_primary").fill_null(value=False))

    def read_outcomes(self, market_keys: Iterable[str]) -> pl.DataFrame:
        keys = (
            self._dimensions.lines.select("market_id", "market_key")
            .unique()
            .filter(pl.col("market_key").is_in(list(market_keys)))
        )
        return self._dimensions.outcomes.join(keys, on="market_id").select(*OUTCOME_NAMES)


class ExportHistoryReader(OddsHistoryReader):
    """An `OddsHistoryReader` over an export; its list of days is read once, at the first query."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._cold = ArchivedDays(archive)
        self._names = ArchivedNames(archive)

    @cached_property
    def _days(self) -> list[date]:
        return list(self._archive.read_catalogue())

    def _find_earliest(self, instant: datetime, max_age: timedelta | None) -> datetime:
        earliest = super()._find_earliest(instant, max_age)
        return max(earliest, min(get_day_start(self._days[0]), instant)) if self._days else earliest

    @contextmanager
    def _split_by_source(self, first_day: date, last_day: date) -> Iterator[list[tuple[DaySource, list[date]]]]:
        """Yield the archive with all days from `first_day` to `last_day`.

        Raises ArchiveError when a day is not exported.
        """
        exported = self._days
        days_asked = [first_day + n * DAY for n in range((last_day - first_day).days + 1)]
        missing = [day for day in days_asked if day not in exported]
        if missing:
            holds = (
                f"it holds {len(exported)} days from {exported[0]} to {exported[-1]}" if exported else "it holds no day"
            )
            raise ArchiveError(
                f"the export at {self._cold.address} does not have {format_days(missing)}: {holds}. "
                "`palimpsest export` adds past days. A day on which nothing was observed is never exported: ask for "
                "the days before or after it (first_day, last_day; at, max_age)."
            )
        yield [(self._cold, days_asked)]
