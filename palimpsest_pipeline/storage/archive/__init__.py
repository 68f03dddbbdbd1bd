"""The archive: closed UTC days of the odds history as Parquet files.

This package writes, verifies and reads the files, and restores days into Postgres. Each day has two files with fixed
names, and each file is replaced in one step. A glob over the files therefore reads each day exactly once:

    polars   Archive("export").prices(), a lazy frame with names; or the files: pl.scan_parquet("export/odds"),
             pl.scan_parquet("export/captures"), which are joined on date, listing_id, answer
    duckdb   .read export/open.sql    then e.g.    from prices where sr_id = 61301159 and market_key = 'match_result'

`open.sql` has views with names, decimal odds and instants. DuckDB opens a file twice per query, so a query may fail
while an export replaces the file; run it again. A query never reads a half-written file.

The same works on an object store. Its settings come from the environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
AWS_REGION, and AWS_ENDPOINT_URL for a private store. The store's fsspec package must be installed (s3fs, gcsfs, adlfs).
"""

from .archive import MARKER_FILE as MARKER_NAME
from .archive import Archive
from .catalogue import ExportedDay, RecordedDay, delete_recorded_days, read_recorded_days, record_days
from .checksums import compute_day_version
from .dimensions import Dimensions
from .errors import ArchiveDamaged, ArchiveError, CyclesMissing, EntryUnreadable, ExportMismatch

__all__ = [
    "MARKER_NAME",
    "Archive",
    "ArchiveDamaged",
    "ArchiveError",
    "CyclesMissing",
    "Dimensions",
    "EntryUnreadable",
    "ExportMismatch",
    "ExportedDay",
    "RecordedDay",
    "compute_day_version",
    "delete_recorded_days",
    "read_recorded_days",
    "record_days",
]
