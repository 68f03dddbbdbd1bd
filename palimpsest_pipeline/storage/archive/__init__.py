"""Closed days of the odds history as Parquet: written, verified, read, and brought back into Postgres.

A day is two files of a fixed name, which are replaced in one step each, so anybody opens all days with one line and
sees each once:

    polars   Archive("export").prices(), a lazy frame with names; or the files: pl.scan_parquet("export/odds"),
             pl.scan_parquet("export/captures"), which are joined on date, listing_id, answer
    duckdb   .read export/open.sql    then e.g.    from prices where sr_id = 61301159 and market_key = 'match_result'

`open.sql` has views with names, decimal odds and instants. (DuckDB opens a file twice for one question: one that it
answers in the very moment of a replacement may fail, and is asked again. It is never answered from half of it.) The
same on an object store; what it needs is in the environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, and
AWS_ENDPOINT_URL for a store of one's own. The package for its fsspec must be installed (s3fs, gcsfs, adlfs).

Belongs here: the files, their catalogue, and moving whole days between them and Postgres. Does not: which days are
exported or dropped when (retention), and questions that span hot and cold days.
"""

from .archive import Archive
from .catalogue import ExportedDay
from .dimensions import Dimensions
from .errors import ArchiveDamaged, ArchiveError, CyclesMissing, EntryUnreadable, ExportMismatch
from .export_record import RecordedDay, build_recorded_day, delete_recorded_days, read_recorded_days, record_days
from .root_marker import MARKER_FILE as MARKER_NAME
from .version import compute_day_version

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
    "build_recorded_day",
    "compute_day_version",
    "delete_recorded_days",
    "read_recorded_days",
    "record_days",
]
