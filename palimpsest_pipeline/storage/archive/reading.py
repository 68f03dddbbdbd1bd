"""Reading days from their files: rows of history, as they stood in Postgres. A file that is not as the catalogue says is an error, never no rows."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from itertools import pairwise
from typing import Final

import polars as pl

from ..change_rows import CAPTURE_SCHEMA
from .catalogue import ExportedDay, captures_file, odds_file
from .errors import ArchiveDamaged, ArchiveError
from .shapes import NUMBERS, change_rows_of
from .store import Store

CHUNK_ROWS: Final = 100_000
"""Rows of market_changes that are in memory together, besides the answers of a day."""
SWITCH_S: Final = {True: 2.0, False: 30.0}
"""How long an export may take to put a day's files in place, one after the other: by whether the store is local."""
TICK_S: Final = 0.05

Entry = Callable[[date], ExportedDay | None]
Read = Callable[[pl.LazyFrame, pl.LazyFrame], Iterator[pl.DataFrame]]
"""From captures.parquet and odds.parquet of a day to what is asked of them."""


def ranges(weights: pl.DataFrame, most: int = CHUNK_ROWS) -> list[tuple[int, int]]:
    """Ranges of listing ids, both ends included, that follow each other without a gap from the least to the greatest number, each of about `most`
    rows. `weights`: listing_id, n (its rows), one row a listing."""
    ends = (
        weights.sort("listing_id")
        .with_columns(part=(pl.col("n").cum_sum() - 1) // most)
        .group_by("part", maintain_order=True)
        .agg(pl.col("listing_id").last())["listing_id"]
        .to_list()
    )
    bounds = [-(2**31), *ends[:-1], 2**31 - 1]
    return [(first + (n > 0), last) for n, (first, last) in enumerate(pairwise(bounds))]


def weights_of(captures: pl.DataFrame) -> pl.DataFrame:
    """Rows of market_changes by listing, as the answers tell (listing_id, n_changed)."""
    return captures.group_by("listing_id").agg(n=pl.col("n_changed").cast(pl.Int64).sum())


def changes_in(captures: pl.LazyFrame, odds: pl.LazyFrame, listing_ids: Collection[int] | None = None) -> Iterator[pl.DataFrame]:
    """Rows of history (CHANGE_SCHEMA) of a day's files, by listing, line and instant, some listings at a time."""
    wanted = pl.lit(True) if listing_ids is None else pl.col("listing_id").is_in(listing_ids)
    numbers = captures.filter(wanted).select(*NUMBERS, "keyframe", "n_changed").collect()
    for first, last in ranges(weights_of(numbers)):
        within = pl.col("listing_id").is_between(first, last)
        rows = odds.filter(wanted & within if listing_ids is not None else within).collect()
        yield change_rows_of(rows, numbers.filter(within).drop("n_changed"))


def captures_in(captures: pl.LazyFrame, _odds: pl.LazyFrame, listing_ids: Collection[int] | None = None) -> Iterator[pl.DataFrame]:
    """Rows of core.captures of a day's files, by listing and instant."""
    wanted = pl.lit(True) if listing_ids is None else pl.col("listing_id").is_in(listing_ids)
    yield captures.filter(wanted).select(list(CAPTURE_SCHEMA)).collect()


def read_days(store: Store, entry: Entry, days: Sequence[date], read: Read) -> Iterator[pl.DataFrame]:
    """What `read` finds in each of the days."""
    for day in days:
        yield from _read_day(store, entry, day, read)


def _read_day(store: Store, entry: Entry, day: date, read: Read) -> Iterator[pl.DataFrame]:
    """Once the files are those of one entry. While an export puts them in place one by one they are not: then the reader waits."""
    give_up_at_s = time.monotonic() + SWITCH_S[store.local]
    begun = False
    while True:
        named = demanded(store, entry, day)
        try:
            with _opened(store, named, captures_file(day)) as captures, _opened(store, named, odds_file(day)) as odds:
                for frame in read(captures, odds):
                    begun = True
                    yield frame
                return
        except ArchiveDamaged as damaged:
            found: ArchiveError = damaged
        except pl.exceptions.PolarsError as error:
            found = ArchiveDamaged(day, f"{captures_file(day)} or {odds_file(day)}", f"cannot be read ({_first_line(error)})")
        except OSError as error:
            found = ArchiveError(f"cannot read {day} of the export at {store.address}: {_first_line(error)}")
        if begun or time.monotonic() > give_up_at_s:
            raise found
        time.sleep(TICK_S)


def demanded(store: Store, entry: Entry, day: date) -> ExportedDay:
    """The day's entry. Raises ArchiveError when there is none."""
    found = entry(day)
    if found is None:
        raise ArchiveError(f"{day} is not in the export at {store.address}: it was not exported there, or nothing was observed on it")
    return found


def check_files(store: Store, entry: ExportedDay) -> None:
    """Raises ArchiveDamaged when a file of the day is missing or of another size than the catalogue says."""
    for file, size in entry.files.items():
        _demand_size(entry, file, store.size_bytes(file), size)


def _demand_size(entry: ExportedDay, file: str, found: int | None, size: int) -> None:
    if found is None:
        raise ArchiveDamaged(entry.day, file, "is missing")
    if found != size:
        raise ArchiveDamaged(entry.day, file, f"has {found} bytes, and {size} were written")


@contextmanager
def _opened(store: Store, entry: ExportedDay, file: str) -> Iterator[pl.LazyFrame]:
    """The rows of a file that has the size the catalogue says, and a footer that can be read."""
    try:
        with store.scan(file) as (size, rows):
            _demand_size(entry, file, size, entry.files[file])
            rows.collect_schema()
            yield rows
    except FileNotFoundError:
        raise ArchiveDamaged(entry.day, file, "is missing") from None


def last_numbers(store: Store, day: date) -> pl.DataFrame:
    """Which number each answer of the day has in the file that stands (NUMBERS); none when there is none, or it cannot be read."""
    empty = pl.DataFrame(schema=NUMBERS)
    try:
        with store.scan(captures_file(day)) as (_, rows):
            return pl.concat([empty, rows.select(list(NUMBERS)).collect()])
    except (FileNotFoundError, pl.exceptions.PolarsError):
        return empty


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
