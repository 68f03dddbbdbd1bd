"""The class `Archive`, the public interface of this package."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Final

import msgspec
import polars as pl
import psycopg
from polars.io.plugins import register_io_source

from palimpsest_pipeline.tables.frame_types import Schema

from ..odds import book_sizes, partitions
from ..odds.change_rows import CAPTURE_SCHEMA, CHANGE_SCHEMA
from . import catalogue, day_reader, dimensions
from .catalogue import ExportedDay, read_recorded_days, record_days
from .day_reader import (
    MAX_READS,
    READ_ERRORS,
    RowReader,
    build_read_error,
    check_files,
    read_archived_captures,
    read_changes,
    read_days,
    require_entry,
)
from .day_writer import hold_day_lock, write_day
from .dimensions import Dimensions
from .errors import ArchiveError, EntryUnreadable
from .file_store import FileStore
from .restore_day import lock_day, restore_day

MARKER_FILE: Final = "palimpsest-export.txt"
"""The file that identifies a folder or bucket as the root of an export.

Without it, an empty export looks the same as a disk that is not mounted.
"""
MARKER_CONTENT: Final = (
    b"The odds history is exported here. Keep this file: where it is missing, the place counts as not mounted.\n"
)
PRICES_PER_PART: Final = 20_000_000
"""Number of prices that are in memory at once while prices with names are read."""


class Archive:
    """The exported days of the odds history in one folder or bucket.

    `root` is a local folder, or an object-store URL such as `s3://bucket/export`. With `requires_marker`, a root
    without its marker file counts as not available, for example because its disk is not mounted; every read and write
    then raises ArchiveError. Raises ArchiveError when the store is unknown or its package is not installed.
    """

    def __init__(self, root: str | Path, *, requires_marker: bool = False) -> None:
        self._store = FileStore(root)
        self._requires_marker = requires_marker

    @property
    def address(self) -> str:
        """The root's path or URL in the form that DuckDB and Polars accept."""
        return self._store.address

    def read_catalogue(self) -> dict[date, ExportedDay]:
        """Return the catalogue: entries by day, in order of days; empty when nothing was exported yet.

        Raises ArchiveError when the catalogue cannot be read.
        """
        entries = [
            self._decode_entry(name, content)
            for name, content in self._store.read_all(catalogue.CATALOGUE_FOLDER, ".json").items()
        ]
        if not entries:
            self._require_marker()
        return {entry.day: entry for entry in entries}

    def read_entry(self, day: date) -> ExportedDay | None:
        """Return the day's catalogue entry; None when the day was not exported."""
        name = catalogue.build_entry_path(day)
        content = self._store.read(name)
        if content is None:
            self._require_marker()
            return None
        return self._decode_entry(name, content)

    def is_marked(self) -> bool:
        """Return whether the root has the marker file. Raises ArchiveError when the root cannot be read."""
        return self._store.read(MARKER_FILE) is not None

    def write_marker(self) -> None:
        """Write the marker file into the root. Raises ArchiveError when it cannot be written."""
        with self._store.open_workspace("marker") as workspace:
            file = Path(workspace) / MARKER_FILE
            file.write_bytes(MARKER_CONTENT)
            self._store.publish(file, MARKER_FILE)

    def list_catalogued_days(self) -> list[date]:
        """Return the days that have a catalogue entry, in order, even if the marker file is missing.

        The entries themselves are not read.
        """
        names = self._store.list_names(catalogue.CATALOGUE_FOLDER, ".json")
        try:
            return sorted(date.fromisoformat(PurePosixPath(name).stem) for name in names)
        except ValueError as error:
            raise ArchiveError(
                f"a file in {self.address}/{catalogue.CATALOGUE_FOLDER} does not have a day as its name: {error}. "
                "Move it away."
            ) from error

    def export(
        self, conn: psycopg.Connection[Any], day: date, *, exported_at: datetime, force: bool = False
    ) -> ExportedDay:
        """Export a UTC day from Postgres: write the files, verify them, then replace an earlier export.

        `conn` must be outside a transaction. All rows and the day's version are read in one repeatable-read
        transaction. The call waits while another session exports or restores the same day.

        Raises ExportMismatch when the files differ from Postgres, MissingPartitionError when Postgres does not have the
        day, and ArchiveError when the store cannot be used or belongs to another database. Without `force` it also
        raises CyclesMissing when the exported day has cycles that Postgres lacks, and EntryUnreadable when the entry of
        the exported day cannot be read. `force` replaces the files in both cases.
        """
        with hold_day_lock(conn, day):
            self._require_marker()
            dimensions.require_same_numbers(conn, self._store)
            if self._requires_marker:
                self._require_recorded_days(conn, day)
            before = self._read_entry_to_replace(conn, day, force=force)
            conn.rollback()
            entry = write_day(conn, self._store, day, before, exported_at, force=force)
            record_days(conn, [entry])
            conn.commit()
            return entry

    def restore(self, conn: psycopg.Connection[Any], day: date) -> int:
        """Restore an exported day into Postgres; other sessions see it after the caller's commit.

        Missing partitions of the day are created, empty ones are filled. Returns the number of rows written to
        market_changes and captures; 0 when Postgres already has rows of the day. Raises ArchiveError when the day is
        not in the catalogue, and ArchiveDamaged when its files have changed since the export.
        """
        lock_day(conn, day)
        if partitions.find_days_with_rows(conn, [day]):
            return 0
        dimensions.require_same_numbers(conn, self._store)
        entry = require_entry(self._store, self.read_entry, day)
        captures, changes = (
            read_days(self._store, self.read_entry, [day], read) for read in (read_archived_captures, read_changes)
        )
        book_sizes.delete_largest_books(conn, day)
        return restore_day(conn, entry, captures, changes)

    def check_day(self, day: date) -> ExportedDay:
        """Check the day's files and return its catalogue entry.

        Raises ArchiveDamaged when a file is missing or has another size, and ArchiveError without an entry.
        """
        entry = require_entry(self._store, self.read_entry, day)
        check_files(self._store, entry)
        return entry

    def require_same_database(self, conn: psycopg.Connection[Any]) -> None:
        """Raise ArchiveError when the archive was written from another database than this one.

        The ids of listings, lines and outcomes mean something else in another database.
        """
        dimensions.require_same_numbers(conn, self._store)

    def read_dimensions(self) -> Dimensions:
        """Return the names of the listing, line and outcome ids in the files.

        Raises ArchiveError when nothing was exported.
        """
        return dimensions.read_dimensions(self._store)

    def prices(
        self, sr_ids: Iterable[int] | None = None, first_day: date | None = None, last_day: date | None = None
    ) -> pl.LazyFrame:
        """Return all exported prices with names, one row per outcome and change.

        The columns are `day_reader.NAMED_PRICES_SCHEMA`, as in the view `prices` of open.sql. `sr_ids` selects
        fixtures; `first_day` and `last_day` (both included) select UTC days. The files are opened when the lazy frame
        is collected. Raises ArchiveError when nothing was exported.
        """
        fixture_ids = None if sr_ids is None else sorted(set(sr_ids))
        self.read_dimensions()

        def source(
            columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, _batch: int | None
        ) -> Iterator[pl.DataFrame]:
            entries = [
                entry
                for day, entry in self.read_catalogue().items()
                if (first_day is None or day >= first_day) and (last_day is None or day <= last_day)
            ]
            n_left = n_rows
            for days in _split_into_parts(entries):
                if n_left is None:
                    yield self._read_prices(days, fixture_ids, lambda rows: _select_rows(rows, predicate, columns))
                elif n_left > 0:
                    head = partial(pl.LazyFrame.head, n=n_left)
                    # `n_rows` limits the rows before the filter is applied
                    rows = self._read_prices(days, fixture_ids, head)
                    n_left -= rows.height
                    yield _select_rows(rows.lazy(), predicate, columns).collect()

        return register_io_source(source, schema=day_reader.NAMED_PRICES_SCHEMA)

    def _read_prices(
        self, days: Sequence[date], sr_ids: Sequence[int] | None, select_rows: Callable[[pl.LazyFrame], pl.LazyFrame]
    ) -> pl.DataFrame:
        """Return the rows that `select_rows` selects from the prices of these days.

        The prices have the columns NAMED_PRICES_SCHEMA. The read is repeated when an export replaces a file meanwhile.
        """
        attempt = 1
        while True:
            entries = [require_entry(self._store, self.read_entry, day) for day in days]
            try:
                return select_rows(
                    day_reader.scan_prices(self._store, self.read_dimensions(), entries, sr_ids)
                ).collect()
            except READ_ERRORS as error:
                if attempt == MAX_READS:
                    for entry in entries:
                        check_files(self._store, entry)  # raises the error that names a missing or shortened file
                    raise build_read_error(self._store, entries[0], error) from error
            attempt += 1

    def scan_changes(self, days: Iterable[date], listing_ids: Iterable[int] | None = None) -> pl.LazyFrame:
        """Return rows of market_changes (CHANGE_SCHEMA) of exported days, of all or the given listings.

        The rows are sorted by day, listing, line and instant. Collecting reads some listings at a time to save memory.
        Raises ArchiveError at once for a day that is not in the catalogue, and ArchiveDamaged at collection when a file
        has changed since the export.
        """
        return self._scan_rows(days, dict(CHANGE_SCHEMA), partial(read_changes, listing_ids=_sort_ids(listing_ids)))

    def scan_captures(self, days: Iterable[date], listing_ids: Iterable[int] | None = None) -> pl.LazyFrame:
        """Return rows of core.captures with all columns, sorted by day, listing and instant.

        Errors and the time of reading are as in `scan_changes`.
        """
        return self._scan_rows(
            days, CAPTURE_SCHEMA, partial(read_archived_captures, listing_ids=_sort_ids(listing_ids))
        )

    def _scan_rows(self, days: Iterable[date], schema: Schema, read: RowReader) -> pl.LazyFrame:
        sorted_days = sorted(set(days))
        for day in sorted_days:
            require_entry(self._store, self.read_entry, day)

        def source(
            columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, _batch: int | None
        ) -> Iterator[pl.DataFrame]:
            n_left = n_rows
            for frame in read_days(self._store, self.read_entry, sorted_days, read):
                if n_left == 0:
                    return
                rows = frame if n_left is None else frame.head(n_left)
                n_left = None if n_left is None else n_left - rows.height
                rows = rows if predicate is None else rows.filter(predicate)
                yield rows if columns is None else rows.select(columns)

        return register_io_source(source, schema=schema)

    def _require_marker(self) -> None:
        if self._requires_marker and not self.is_marked():
            raise ArchiveError(
                f"the export cannot be seen at {self.address}: the file {MARKER_FILE} is missing there. The folder may "
                "not be mounted, or PALIMPSEST_EXPORT_URL may name another place than before. `palimpsest doctor` says "
                "what to do."
            )

    def _require_recorded_days(self, conn: psycopg.Connection[Any], day: date) -> None:
        """Raise ArchiveError when a day other than `day` is recorded as exported but not in the catalogue.

        The record is the table ops.exported_days.
        """
        if missing := sorted(read_recorded_days(conn).keys() - {*self.list_catalogued_days(), day}):
            raise ArchiveError(
                f"the export at {self.address} lacks {len(missing)} days that were exported, e.g. {missing[-1]}: it is "
                "not the place they were exported to. `palimpsest doctor` says what to do."
            )

    def _decode_entry(self, name: str, content: bytes) -> ExportedDay:
        try:
            return msgspec.json.decode(content, type=ExportedDay)
        except msgspec.DecodeError as error:
            raise EntryUnreadable(f"{self.address}/{name}", PurePosixPath(name).stem, str(error)) from error

    def _read_entry_to_replace(self, conn: psycopg.Connection[Any], day: date, *, force: bool) -> ExportedDay | None:
        """Return the day's catalogue entry; None when there is none.

        With `force`, an entry that cannot be read also gives None, if Postgres has rows of the day.
        """
        try:
            return self.read_entry(day)
        except EntryUnreadable:
            if not force or not partitions.find_days_with_rows(conn, [day]):
                raise
            return None


def _split_into_parts(entries: Iterable[ExportedDay]) -> Iterator[list[date]]:
    """Split the days into consecutive lists of about PRICES_PER_PART prices each."""
    days: list[date] = []
    n_prices = 0
    for entry in entries:
        days.append(entry.day)
        n_prices += entry.n_prices
        if n_prices >= PRICES_PER_PART:
            yield days
            days, n_prices = [], 0
    if days:
        yield days


def _select_rows(rows: pl.LazyFrame, predicate: pl.Expr | None, columns: list[str] | None) -> pl.LazyFrame:
    filtered = rows if predicate is None else rows.filter(predicate)
    return filtered if columns is None else filtered.select(columns)


def _sort_ids(listing_ids: Iterable[int] | None) -> list[int] | None:
    return None if listing_ids is None else sorted(set(listing_ids))
