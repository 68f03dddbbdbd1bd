"""Read exported days from their files: as rows of the odds history, or as prices with names.

A file that differs from the catalogue raises an error. It never gives an empty result.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from itertools import pairwise
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import MarketState
from palimpsest_pipeline.domain.schemas import INSTANT
from palimpsest_pipeline.tables.frame_types import Schema

from ..odds.change_rows import CAPTURE_SCHEMA
from .catalogue import ExportedDay
from .day_shapes import ANSWER_NUMBERS_SCHEMA, build_change_rows
from .dimensions import Dimensions
from .errors import ArchiveDamaged, ArchiveError
from .file_store import FileStore

CHUNK_ROWS: Final = 100_000
"""Rows of market_changes that are in memory at once, in addition to a day's captures."""
MAX_READS: Final = 5
"""Maximum number of attempts to read a day.

Each attempt reads the day's catalogue entry again. An attempt fails only if another export has replaced the files
meanwhile, or if the files are damaged.
"""
READ_ERRORS: Final = (ArchiveError, pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)
"""Errors that can occur when a file is replaced or removed during a read.

Polars's PanicException is a BaseException, so `except Exception` would miss it.
"""

EntryReader = Callable[[date], ExportedDay | None]
RowReader = Callable[[pl.LazyFrame, pl.LazyFrame], Iterator[pl.DataFrame]]
"""A function that takes the rows of captures.parquet and odds.parquet and yields result frames."""


def split_listing_ranges(weights: pl.DataFrame, max_rows: int = CHUNK_ROWS) -> list[tuple[int, int]]:
    """Return ranges of listing ids (first, last), both included, each with about `max_rows` rows.

    Consecutive ranges cover all possible ids. `weights` has one row per listing: listing_id and n, its number of rows.
    """
    ends = (
        weights.sort("listing_id")
        .with_columns(part=(pl.col("n").cum_sum() - 1) // max_rows)
        .group_by("part", maintain_order=True)
        .agg(pl.col("listing_id").last())["listing_id"]
        .to_list()
    )
    bounds = [-(2**31), *ends[:-1], 2**31 - 1]
    return [(first + (n > 0), last) for n, (first, last) in enumerate(pairwise(bounds))]


def count_rows_by_listing(captures: pl.DataFrame) -> pl.DataFrame:
    """Return the number of market_changes rows per listing (listing_id, n), summed from `captures`."""
    return captures.group_by("listing_id").agg(n=pl.col("n_changed").cast(pl.Int64).sum())


def read_changes(
    captures: pl.LazyFrame, odds: pl.LazyFrame, listing_ids: Collection[int] | None = None
) -> Iterator[pl.DataFrame]:
    """Yield the rows of market_changes (CHANGE_SCHEMA) of a day's files, some listings at a time.

    They are sorted by listing, line and instant. `listing_ids` None means all listings.
    """
    is_selected = pl.lit(True) if listing_ids is None else pl.col("listing_id").is_in(listing_ids)
    numbers = captures.filter(is_selected).select(*ANSWER_NUMBERS_SCHEMA, "keyframe", "n_changed").collect()
    for first, last in split_listing_ranges(count_rows_by_listing(numbers)):
        is_in_range = pl.col("listing_id").is_between(first, last)
        rows = odds.filter(is_selected & is_in_range if listing_ids is not None else is_in_range).collect()
        yield build_change_rows(rows, numbers.filter(is_in_range).drop("n_changed"))


def read_archived_captures(
    captures: pl.LazyFrame, _odds: pl.LazyFrame, listing_ids: Collection[int] | None = None
) -> Iterator[pl.DataFrame]:
    """Yield the rows of core.captures of a day's files, sorted by listing and instant."""
    is_selected = pl.lit(True) if listing_ids is None else pl.col("listing_id").is_in(listing_ids)
    yield captures.filter(is_selected).select(list(CAPTURE_SCHEMA)).collect()


def read_days(
    store: FileStore, read_entry: EntryReader, days: Sequence[date], read_rows: RowReader
) -> Iterator[pl.DataFrame]:
    """Yield, day by day, the frames that `read_rows` makes from the day's two files."""
    for day in days:
        yield from _read_day(store, read_entry, day, read_rows)


def _read_day(store: FileStore, entry: EntryReader, day: date, read: RowReader) -> Iterator[pl.DataFrame]:
    """Yield the frames that `read` makes from the two files of the day's catalogue entry.

    An export first changes the entry and then replaces the files. If that happens during the read, the entry and the
    new files are read.
    """
    has_yielded = False
    for attempt in range(1, MAX_READS + 1):
        current = require_entry(store, entry, day)
        try:
            with (
                _open_file(store, current, current.captures_path) as captures,
                _open_file(store, current, current.odds_path) as odds,
            ):
                if require_entry(store, entry, day) != current:
                    continue  # the opened file may already be that of the next export
                for frame in read(captures, odds):
                    has_yielded = True
                    yield frame
                return
        except READ_ERRORS as error:
            if has_yielded or attempt == MAX_READS:
                raise build_read_error(store, current, error) from error
    raise ArchiveError(
        f"{day} of the export at {store.address} is replaced again and again: read it when the exports have ended"
    )


def build_read_error(store: FileStore, entry: ExportedDay, error: BaseException) -> ArchiveError:
    """Return an ArchiveError that explains why a day cannot be read."""
    if isinstance(error, ArchiveError):
        return error
    if isinstance(error, OSError):
        return ArchiveError(f"cannot read {entry.day} of the export at {store.address}: {_get_first_line(error)}")
    return ArchiveDamaged(
        entry.day, f"{entry.captures_path} or {entry.odds_path}", f"cannot be read ({_get_first_line(error)})"
    )


def require_entry(store: FileStore, read_entry: EntryReader, day: date) -> ExportedDay:
    """Return the day's catalogue entry. Raises ArchiveError when there is none."""
    entry = read_entry(day)
    if entry is None:
        raise ArchiveError(
            f"{day} is not in the export at {store.address}: it was not exported there, or the day has no answers"
        )
    return entry


def check_files(store: FileStore, entry: ExportedDay) -> None:
    """Raise ArchiveDamaged when a file of the day is missing, has another size or another name."""
    if entry.is_staged:
        raise ArchiveDamaged(
            entry.day, entry.odds_path, "does not have its fixed name: an export is running, or was interrupted"
        )
    for file, size in entry.files.items():
        _require_size(entry, file, store.read_size_bytes(file), size)


def _require_size(entry: ExportedDay, file: str, actual_size: int | None, size: int) -> None:
    if actual_size is None:
        raise ArchiveDamaged(entry.day, file, "is missing")
    if actual_size != size:
        raise ArchiveDamaged(entry.day, file, f"has {actual_size} bytes, and {size} were written")


@contextmanager
def _open_file(store: FileStore, entry: ExportedDay, file: str) -> Iterator[pl.LazyFrame]:
    """Open a file of the day after checking its size and its Parquet footer."""
    try:
        with store.scan_file(file) as (size, rows):
            _require_size(entry, file, size, entry.files[file])
            rows.collect_schema()
            yield rows
    except FileNotFoundError:
        raise ArchiveDamaged(entry.day, file, "is missing") from None


def read_answer_numbers(store: FileStore, captures_path: str) -> pl.DataFrame:
    """Return the number of each answer in a day's captures file (ANSWER_NUMBERS_SCHEMA).

    The frame is empty when the file does not exist or cannot be read.
    """
    numbers = _read_columns(store, captures_path, list(ANSWER_NUMBERS_SCHEMA))
    return pl.DataFrame(schema=ANSWER_NUMBERS_SCHEMA) if numbers is None else numbers


def read_archived_cycles(store: FileStore, captures_path: str) -> frozenset[int] | None:
    """Return the ids of the cycles in a day's captures file; None when the file cannot be read."""
    rows = _read_columns(store, captures_path, ["cycle_id"])
    return None if rows is None else frozenset(rows["cycle_id"])


def _read_columns(store: FileStore, path: str, columns: list[str]) -> pl.DataFrame | None:
    try:
        with store.scan_file(path) as (_, rows):
            return rows.select(columns).collect()
    except (FileNotFoundError, pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return None


def _get_first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]


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
