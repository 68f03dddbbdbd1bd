"""The archive as one object: what others call. How each thing is done is in the modules beside it."""

from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import psycopg

from .catalogue import ExportedDay


class Archive:
    """Exported days of the odds history under one root: a local folder, or an object-store URL such as `s3://bucket/export`."""

    def __init__(self, root: str | Path) -> None:
        self.root = root

    def days(self) -> dict[date, ExportedDay]:
        """The catalogue, by day in order. Empty when nothing was exported yet; ArchiveError when it cannot be read."""
        raise NotImplementedError

    def day(self, day: date) -> ExportedDay | None:
        """The day's entry of the catalogue; None when it was not exported."""
        raise NotImplementedError

    def export(self, conn: psycopg.Connection[Any], day: date, *, exported_at: datetime) -> ExportedDay:
        """Write a UTC day anew from Postgres, read it back, verify it, and only then let readers see it in place of what was there.

        `conn` must be outside a transaction: all is read from one snapshot of its own, together with the day's version. Another export or restore
        of the same day is waited for. Raises ExportMismatch when what was written does not say what Postgres says, MissingPartitionError
        when Postgres does not hold the day, ArchiveError when the store cannot be used.
        """
        raise NotImplementedError

    def restore(self, conn: psycopg.Connection[Any], day: date) -> int:
        """Bring an exported day back into Postgres, into partitions of its own that others see when the caller's transaction commits.

        Returns the rows of market_changes and captures written; 0 when the day is in Postgres already, also when another session has just brought
        it back. Raises ArchiveError when the day is not in the catalogue, ArchiveDamaged when its files are not as they were written.
        """
        raise NotImplementedError

    def check(self, day: date) -> ExportedDay:
        """The day's entry, after a look at its files. Raises ArchiveDamaged when one is missing or of another size, ArchiveError without entry."""
        raise NotImplementedError

    def changes(self, days: Iterable[date], listing_ids: Iterable[int] | None = None) -> pl.LazyFrame:
        """Rows of market_changes (change_rows.CHANGE_SCHEMA) of exported days, of all listings or those given; sorted by listing, line, instant
        within a day. Raises ArchiveError for a day that is not in the catalogue, ArchiveDamaged for one whose file is not as it was written."""
        raise NotImplementedError

    def captures(self, days: Iterable[date], listing_ids: Iterable[int] | None = None) -> pl.LazyFrame:
        """Rows of core.captures, all its columns, as `changes`; sorted by listing and instant within a day."""
        raise NotImplementedError
