"""The odds history from an export alone, for whoever has its files and no database: the questions of `Layers`, answered by its days and its names.

An export knows the days that it holds. What was observed on others it cannot say: asked for one of those, it refuses. Its history begins with its
first day: prices as of an instant look no further back.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from functools import cached_property

import polars as pl

from palimpsest_pipeline.domain.instants import begin_of_day
from palimpsest_pipeline.domain.schemas import OUTCOME_NAMES

from ..archive import Archive, ArchiveError, Numbers
from .day_sources import DAY, ColdDays, Side
from .history_names import LISTINGS_SCHEMA, Ids
from .reader import Layers, some


class ExportedNames:
    """Names by the files beside the exported days."""

    listings_in, markets_in, outcomes_in = "listings.parquet", "lines.parquet", "outcomes.parquet"
    remedy = "the file is older than the days; copy it again from where the export was made, along with them"

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    @cached_property
    def _numbers(self) -> Numbers:
        return self._archive.numbers()

    def asked(self, sr_ids: Ids, tournament_keys: Sequence[str] | None, listing_ids: Ids) -> list[int]:
        listings = self._numbers.listings
        for column, wanted in {"sr_id": sr_ids, "tournament_key": tournament_keys, "listing_id": listing_ids}.items():
            if wanted is not None:
                listings = listings.filter(pl.col(column).is_in(wanted))
        return listings["listing_id"].to_list()

    def with_markets(self, rows: pl.DataFrame) -> pl.DataFrame:
        lines = self._numbers.lines
        strangers = rows.join(lines, on="line_id", how="anti")["line_id"].unique().sort()
        if strangers.len():
            raise LookupError(f"no line {', '.join(map(str, strangers.head(5)))} in lines.parquet: these days are of another export")
        named = lines.select("line_id", "market_key", "specifier", "outcome")
        return rows.join(named, on="line_id", how="left", maintain_order="left").drop("line_id")

    def listings(self, listing_ids: Iterable[int]) -> pl.DataFrame:
        found = self._numbers.listings.filter(pl.col("listing_id").is_in(list(listing_ids)))
        return found.select(*LISTINGS_SCHEMA).with_columns(pl.col("is_primary").fill_null(value=False))

    def outcomes(self, market_keys: Iterable[str]) -> pl.DataFrame:
        keys = self._numbers.lines.select("market_id", "market_key").unique().filter(pl.col("market_key").is_in(list(market_keys)))
        return self._numbers.outcomes.join(keys, on="market_id").select(*OUTCOME_NAMES)


class ExportedLayers(Layers):
    """`Layers` over the days that an export held when it was first asked."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._cold = ColdDays(archive)
        self._names = ExportedNames(archive)

    @cached_property
    def _days(self) -> list[date]:
        return list(self._archive.days())

    def _earliest(self, instant: datetime, max_age: timedelta | None) -> datetime:
        earliest = super()._earliest(instant, max_age)
        return max(earliest, min(begin_of_day(self._days[0]), instant)) if self._days else earliest

    @contextmanager
    def _sides(self, first_day: date, last_day: date) -> Iterator[list[tuple[Side, list[date]]]]:
        """The days, all of them. Raises ArchiveError when one is not exported."""
        there = self._days
        asked = [first_day + n * DAY for n in range((last_day - first_day).days + 1)]
        lacking = [day for day in asked if day not in there]
        if lacking:
            holds = f"it holds {len(there)} days from {there[0]} to {there[-1]}" if there else "it holds no day"
            raise ArchiveError(
                f"the export at {self._cold.address} does not have {some(lacking)}: {holds}. Days that are over come with `palimpsest export`; a day "
                "on which nothing was observed never does: ask for what lies before or after it (first_day, last_day; at, max_age)."
            )
        yield [(self._cold, asked)]
