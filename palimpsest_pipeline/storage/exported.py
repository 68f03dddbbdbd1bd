"""The odds history from an export alone, for whoever has its files and no database: the questions of `Layers`, answered by its days and its names.

An export knows the days that it holds. What was observed on others it cannot say: asked for those alone, it refuses.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from functools import cached_property

import polars as pl

from .archive import Archive, ArchiveError, Numbers
from .days import ColdDays, Side
from .layers import Layers
from .names import LISTINGS_SCHEMA, OUTCOMES_SCHEMA, Ids


class ExportedNames:
    """Names by the files beside the exported days."""

    listings_in, markets_in, outcomes_in = "listings.parquet", "lines.parquet", "outcomes.parquet"

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
        return self._numbers.outcomes.join(keys, on="market_id").select(*OUTCOMES_SCHEMA)


class ExportedLayers(Layers):
    """`Layers` over the days of an export."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._cold = ColdDays(archive)
        self._names = ExportedNames(archive)

    @contextmanager
    def _sides(self, first_day: date, last_day: date) -> Iterator[list[tuple[Side, list[date]]]]:
        """The days that are exported. Raises ArchiveError when none of those asked for is."""
        there = list(self._archive.days())
        days = [day for day in there if first_day <= day <= last_day]
        if not days:
            asked = f"{first_day}" if first_day == last_day else f"{first_day} to {last_day}"
            holds = f"it holds {len(there)} days from {there[0]} to {there[-1]}" if there else "it holds no day"
            raise ArchiveError(f"{asked} is not in the export at {self._cold.address}: {holds}. Later days come with `palimpsest export`.")
        yield [(self._cold, days)]
